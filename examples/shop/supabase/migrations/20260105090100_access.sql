-- Who may see and do what. Everything is closed until a grant opens it, and then the policies choose the rows.

alter table customers enable row level security;
alter table products enable row level security;
alter table orders enable row level security;
alter table order_items enable row level security;

grant select on products to anon, authenticated;
grant select on customers, orders, order_items, order_totals to authenticated;
grant select, insert, update, delete on customers, products, orders, order_items to service_role;
grant select on order_totals to service_role;

-- Everyone sees the products.
create policy products_read on products
  for select to anon, authenticated
  using (true);

-- A customer sees their own row and no other.
create policy customers_read_own on customers
  for select to authenticated
  using (id = (select auth.uid()));

-- A customer sees their own orders, places orders for themselves, and may cancel one that is not paid yet.
-- The owner, the status and the time of a new order come from the defaults: only the note can be given.
grant insert (note) on orders to authenticated;
grant update (status) on orders to authenticated;

create policy orders_read_own on orders
  for select to authenticated
  using (customer_id = (select auth.uid()));

create policy orders_place_own on orders
  for insert to authenticated
  with check (customer_id = (select auth.uid()) and status = 'pending');

create policy orders_cancel_own on orders
  for update to authenticated
  using (customer_id = (select auth.uid()) and status = 'pending')
  with check (customer_id = (select auth.uid()) and status = 'cancelled');

-- The lines follow their order. A line costs what the product costs: a price of one's own is refused.
grant insert (order_id, product_id, quantity, unit_price) on order_items to authenticated;

create policy order_items_read_own on order_items
  for select to authenticated
  using (
    exists (
      select 1 from orders o
      where o.id = order_items.order_id and o.customer_id = (select auth.uid())
    )
  );

create policy order_items_place_own on order_items
  for insert to authenticated
  with check (
    exists (
      select 1 from orders o
      where o.id = order_items.order_id and o.customer_id = (select auth.uid()) and o.status = 'pending'
    )
    and exists (
      select 1 from products p
      where p.id = order_items.product_id and p.price = order_items.unit_price
    )
  );
