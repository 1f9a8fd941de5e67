//! Gives a bare PostgreSQL the roles, schemas and functions that projects written for Supabase refer to.
//!
//! A database that has `auth.uid()` is taken as it is, whoever made it. Everything here may run twice.
//! Not here: tables of `auth`, `storage` and `realtime`; their rooms bring them as migrations.

use mainstay_core::error::BackendError;

use crate::decode::text_field;
use crate::errors::{OpenError, closed, refused};
use crate::wire::Connection;

/// Who gets rights on new objects in `public` without a `GRANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// Only `service_role`.
    Closed,
    /// `anon`, `authenticated` and `service_role`, as Supabase's default privileges have it.
    Classic,
}

/// Objects of the platform that users' migrations neither make nor drop.
pub const PLATFORM_SCHEMAS: [&str; 11] = [
    "auth",
    "extensions",
    "storage",
    "realtime",
    "_realtime",
    "graphql",
    "graphql_public",
    "vault",
    "pgsodium",
    "pgbouncer",
    "supabase_functions",
];

const ROLES: &str = r#"
do $$ begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'anon') then
    create role anon nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticated') then
    create role authenticated nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    create role service_role nologin noinherit bypassrls;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticator') then
    create role authenticator login noinherit;
  end if;
exception when duplicate_object or unique_violation then
  null; -- another process was faster: roles belong to the whole cluster
end $$;
do $$
declare member name;
begin
  foreach member in array array['authenticator', current_user]::name[] loop
    if not (select rolsuper from pg_catalog.pg_roles where rolname = member) then
      execute format('grant anon, authenticated, service_role to %I', member);
    end if;
  end loop;
exception when unique_violation or internal_error then
  null; -- "tuple concurrently updated": as above
end $$;
"#;

const SCHEMAS: &str = r#"
create schema if not exists extensions;
create schema if not exists auth;
create schema if not exists storage;
create schema if not exists realtime;
grant usage on schema public, extensions, auth, storage, realtime to anon, authenticated, service_role;
do $$ begin
  create extension if not exists pgcrypto with schema extensions;
exception when others then
  raise notice 'pgcrypto is not available: %', sqlerrm;
end $$;
do $$ begin
  if exists (select from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase
             cross join unnest(s.setconfig) o
             where s.setrole = 0 and d.datname = current_database() and o like 'search\_path=%') then
    return; -- somebody chose one
  end if;
  execute format('alter database %I set search_path = "$user", public, extensions', current_database());
exception when insufficient_privilege then
  raise notice 'the search path of the database is left as it is';
end $$;
set local search_path = pg_catalog;
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                  nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
create or replace function auth.role() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
$$;
create or replace function auth.email() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
$$;
"#;

const CLASSIC: &str = r#"
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
"#;

/// Prepares the database unless it has been prepared, in one transaction. Errors: `MissingRights`, `Unreachable`.
pub(crate) async fn prepare(connection: &Connection, user: &str, grants: Grants) -> Result<(), OpenError> {
    let unavailable = |error: BackendError| match error {
        BackendError::Refused(error) => OpenError::MissingRights {
            role: user.to_owned(),
            error,
        },
        other => OpenError::Unreachable(other.to_string()),
    };
    let present = simple(
        connection,
        "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = 'auth' AND p.proname = 'uid'",
    )
    .await
    .map_err(unavailable)?;
    if present {
        return Ok(());
    }
    tracing::info!("preparing the database: roles, schemas and functions of the platform");
    simple(connection, &script(grants)).await.map_err(unavailable)?;
    Ok(())
}

/// What a bare database is given, as one transaction.
fn script(grants: Grants) -> String {
    let privileges = match grants {
        // What is new is granted to nobody, as on the embedded engine.
        Grants::Closed => "",
        Grants::Classic => CLASSIC,
    };
    // Schemas before privileges: the latter resolve `public` only.
    format!("begin;\n{ROLES}{SCHEMAS}{privileges}commit;")
}

/// What `public` needs after it was dropped and made anew.
pub(crate) fn public_schema(grants: Grants) -> String {
    let privileges = match grants {
        Grants::Closed => "",
        Grants::Classic => CLASSIC,
    };
    format!("grant usage on schema public to anon, authenticated, service_role;\n{privileges}")
}

/// Runs statements of ours; true if the last one that has rows has one.
async fn simple(connection: &Connection, sql: &str) -> Result<bool, BackendError> {
    let parsed = connection
        .send_simple(sql)
        .map_err(closed)?
        .wait()
        .await
        .map_err(closed)?;
    if let Some(error) = parsed.error {
        if parsed.status != b'I' {
            // The failed transaction must not outlive its connection's use.
            let _ = connection.send_simple("ROLLBACK");
        }
        return Err(refused(error));
    }
    Ok(parsed
        .steps
        .iter()
        .any(|step| step.rows.first().is_some_and(|row| text_field(row, 0).is_ok())))
}
