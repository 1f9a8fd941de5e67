-- The schema of the policy scenarios; the same text runs on both engines.
create table members (team int, uid uuid, primary key (team, uid));
create table todos (
  id int primary key, owner uuid default auth.uid(), team int, task text unique,
  locked boolean not null default false, n int not null default 0 check (n < 100)
);
create table notes (id int primary key, todo int references todos (id) on delete cascade, body text);
create table quota (id int primary key, owner uuid);
create table inbox (id int primary key, owner uuid, body text);
create table loop_a (id int primary key);
create table loop_b (id int primary key);
create table loop_c (id int primary key);
create table loop_d (id int primary key);
create table partly (id int primary key, open text, hidden text);
create table ranked (id int primary key, score numeric(6,2) unique, note text);
create table numbered (id serial primary key, note text);
create table identified (id int generated always as identity primary key, note text);
create view v_owner as select id, task from todos;
create view v_invoker with (security_invoker = true) as select id, task from todos;
create view v_low with (security_invoker = true) as select id, owner, task, n from todos where n < 10 with check option;
create function is_member(team_id int) returns boolean language sql stable security definer
  as 'select exists (select 1 from members m where m.team = team_id and m.uid = auth.uid())';
create table boards (id int primary key, team int, name text);
alter table members enable row level security;
alter table todos enable row level security;
alter table notes enable row level security;
alter table quota enable row level security;
alter table inbox enable row level security;
alter table loop_a enable row level security;
alter table loop_b enable row level security;
alter table loop_c enable row level security;
alter table loop_d enable row level security;
alter table boards enable row level security;
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
create policy i_upd on inbox for update to authenticated using (true);
create policy i_del on inbox for delete to authenticated using (true);
create policy la on loop_a using (exists (select 1 from loop_b b where b.id = loop_a.id));
create policy lb on loop_b using (exists (select 1 from loop_a a where a.id = loop_b.id));
create policy lc on loop_c using (true) with check (exists (select 1 from loop_d d where d.id = loop_c.id));
create policy ld on loop_d using (exists (select 1 from loop_c c where c.id = loop_d.id));
create policy b_all on boards to authenticated using (is_member(team));
grant all on members, todos, notes, quota, inbox, loop_a, loop_b, loop_c, loop_d, boards, ranked, v_owner, v_invoker, v_low to authenticated;
grant all on numbered, identified to authenticated;
grant select on todos to anon;
grant select (id, open), insert (id, open), update (open) on partly to authenticated;
insert into members values
  (1, 'aaaaaaaa-0000-4000-8000-000000000001'), (1, 'bbbbbbbb-0000-4000-8000-000000000002'),
  (2, 'bbbbbbbb-0000-4000-8000-000000000002');
insert into todos (id, owner, team, task, locked) values
  (1, 'aaaaaaaa-0000-4000-8000-000000000001', 1, 'a1', false),
  (2, 'aaaaaaaa-0000-4000-8000-000000000001', null, 'a2', false),
  (3, 'bbbbbbbb-0000-4000-8000-000000000002', 1, 'b1', false),
  (4, 'bbbbbbbb-0000-4000-8000-000000000002', 2, 'b2', false),
  (5, 'aaaaaaaa-0000-4000-8000-000000000001', null, 'a3', true),
  (6, 'cccccccc-0000-4000-8000-000000000003', 0, 'c1', false);
insert into notes values (1, 1, 'n1'), (2, 2, 'n2'), (3, 3, 'n3'), (4, 4, 'n4');
insert into inbox values (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'mine'),
  (2, 'bbbbbbbb-0000-4000-8000-000000000002', 'theirs');
insert into partly values (1, 'open', 'hidden');
insert into ranked values (1, 10.50, 'ten and a half'), (2, 9.00, 'nine');
insert into boards values (1, 1, 'one'), (2, 2, 'two');
