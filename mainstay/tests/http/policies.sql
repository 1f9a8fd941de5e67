create table members (team int, uid uuid, primary key (team, uid));
create table todos (
  id int primary key,
  owner uuid default auth.uid(),
  team int,
  task text unique,
  locked boolean not null default false,
  n int not null default 0
);
create table notes (id int primary key, todo int references todos (id) on delete cascade, body text);
create table quota (id int primary key, owner uuid);
create table inbox (id int primary key, owner uuid, body text);
create table closed (id int primary key);
create table nothing (id int primary key);
create table loops (id int primary key);
create table hidden_column (id int primary key, secret text);

alter table members enable row level security;
alter table todos enable row level security;
alter table notes enable row level security;
alter table quota enable row level security;
alter table inbox enable row level security;
alter table nothing enable row level security;
alter table loops enable row level security;

create policy m_sel on members for select to authenticated using (uid = auth.uid());
create policy t_sel on todos for select to authenticated
  using (owner = auth.uid() or exists (select 1 from members m where m.team = todos.team));
create policy t_anon on todos for select to anon using (team = 0);
create policy t_ins on todos for insert to authenticated with check (owner = auth.uid());
create policy t_upd on todos for update to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy t_del on todos for delete to authenticated using (owner = auth.uid());
create policy t_lock on todos as restrictive for update to authenticated using (not locked);
create policy n_all on notes for all to authenticated using (exists (select 1 from todos t where t.id = notes.todo));
create policy q_ins on quota for insert to authenticated with check ((select count(*) from quota) < 2);
create policy q_sel on quota for select to authenticated using (true);
create policy i_ins on inbox for insert to authenticated with check (true);
create policy i_sel on inbox for select to authenticated using (owner = auth.uid());
create policy l_sel on loops for select to authenticated using (exists (select 1 from loops l where l.id = loops.id));

-- Policies that ask for a table that nobody may read, alone and beside one that is true.
create table asked (id int);
create table asking (id int primary key, n int);
create table shaded (id int primary key, n int);
create table half_shaded (id int primary key, n int);
create table circular (id int primary key, n int);
alter table asking enable row level security;
alter table shaded enable row level security;
alter table half_shaded enable row level security;
alter table circular enable row level security;
create policy one on asking for all to authenticated using (exists (select 1 from asked where asked.id = asking.id));
create policy one on shaded for all to authenticated using (exists (select 1 from asked where asked.id = shaded.id));
create policy two on shaded for all to authenticated using (n > 0 or abs(-1) + 1 = 2);
create policy one on half_shaded for select to authenticated using (exists (select 1 from asked where asked.id = half_shaded.id));
create policy two on half_shaded for update to authenticated using (true);
create policy three on half_shaded as restrictive for select to authenticated using (true);
create table unread (id int primary key, n int);
create view unread_invoker with (security_invoker = true) as select id, n from unread;
create view unread_owner as select id, n from unread;
grant insert, update, delete on unread to authenticated;
grant all on unread_invoker, unread_owner to authenticated;
create policy one on circular for all to authenticated using (exists (select 1 from circular c where c.id = circular.id));
create policy two on circular for all to authenticated using (true);

create view v_owner as select id, task from todos;
create view v_invoker with (security_invoker = true) as select id, task from todos;

grant select, insert, update, delete on members, todos, notes, quota, inbox, nothing, loops, asking, shaded, half_shaded, circular to authenticated, service_role;
grant select on v_owner, v_invoker to authenticated;
grant select on todos to anon;
grant select (id) on hidden_column to authenticated;

insert into members values
  (1, 'aaaaaaaa-0000-4000-8000-000000000001'),
  (1, 'bbbbbbbb-0000-4000-8000-000000000002'),
  (2, 'bbbbbbbb-0000-4000-8000-000000000002');
insert into todos (id, owner, team, task, locked) values
  (1, 'aaaaaaaa-0000-4000-8000-000000000001', 1, 'a1', false),
  (2, 'aaaaaaaa-0000-4000-8000-000000000001', null, 'a2', false),
  (3, 'bbbbbbbb-0000-4000-8000-000000000002', 1, 'b1', false),
  (4, 'bbbbbbbb-0000-4000-8000-000000000002', 2, 'b2', false),
  (5, 'aaaaaaaa-0000-4000-8000-000000000001', null, 'a3', true),
  (6, 'cccccccc-0000-4000-8000-000000000003', 0, 'c1', false);
insert into notes values (1, 1, 'n1'), (2, 2, 'n2'), (3, 3, 'n3'), (4, 4, 'n4');
insert into nothing values (1);
insert into asking values (1, 1);
insert into shaded values (1, 1);
insert into half_shaded values (1, 1);
insert into circular values (1, 1);
insert into hidden_column values (1, 'x'), (2, 'y');
