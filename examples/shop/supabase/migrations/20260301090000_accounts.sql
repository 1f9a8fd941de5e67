-- Whoever makes an account is a customer: with the name they gave, or what stands before the @ of their address.
create function customer_of_account() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  insert into public.customers (id, name, email, city)
    values (new.id, coalesce(nullif(trim(new.raw_user_meta_data ->> 'name'), ''), split_part(new.email, '@', 1)), new.email, '')
    on conflict do nothing;
  return new;
end;
$$;

create trigger customer_of_account
  after insert on auth.users
  for each row when (new.email is not null)
  execute function customer_of_account();
