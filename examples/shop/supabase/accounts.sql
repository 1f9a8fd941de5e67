-- The customers' accounts: each signs in with the address in `customers` and the password "hearthside".
-- For development only, as every seed is: `mainstay serve` never runs it.
insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
    raw_user_meta_data, created_at, updated_at)
  select '00000000-0000-0000-0000-000000000000', id, 'authenticated', 'authenticated', email,
    '$2b$10$sduSUocdpWZlOeNgurmzNOamKQwa4H46L5LfLTE4GJpvBfu7xZtfm', created_at,
    '{"provider": "email", "providers": ["email"]}', jsonb_build_object('name', name), created_at, created_at
  from customers;

insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
  select id::text, id, jsonb_build_object('sub', id, 'email', email, 'email_verified', true), 'email', created_at,
    created_at
  from customers;
