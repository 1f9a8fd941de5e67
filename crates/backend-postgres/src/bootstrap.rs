//! Gives a bare PostgreSQL the roles, schemas, functions and tables that projects written for Supabase refer to.
//!
//! A real Supabase database is left alone. Elsewhere what is there is taken as it is, whoever made it, and what is
//! missing is made. Everything here may run twice.
//! Not here: the tables' own text, which both engines share (`mainstay_sql::platform`).

use mainstay_core::error::BackendError;
use mainstay_sql::platform::{SERVICE_ROLES, STEPS, Step};

use crate::decode::text_field;
use crate::errors::{OpenError, closed, refused};
use crate::render::sql::literal;
use crate::wire::Connection;

/// Who gets rights on new objects in `public` without a `GRANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// Only `service_role`.
    Closed,
    /// `anon`, `authenticated` and `service_role`, as Supabase's default privileges have it.
    Classic,
}

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
do $$ begin
  create publication supabase_realtime;
exception
  when duplicate_object then null;
  when insufficient_privilege then raise notice 'the publication supabase_realtime is left to somebody who may make it';
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

/// Prepares the database as far as it is not, each part in one transaction. Errors: `MissingRights`, `Unreachable`.
pub(crate) async fn prepare(connection: &Connection, user: &str, grants: Grants) -> Result<(), OpenError> {
    let unavailable = |error: BackendError| match error {
        BackendError::Refused(error) => OpenError::MissingRights {
            role: user.to_owned(),
            error,
        },
        other => OpenError::Unreachable(other.to_string()),
    };
    if simple(connection, IS_SUPABASE).await.map_err(unavailable)? {
        return Ok(());
    }
    let present = simple(
        connection,
        "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = 'auth' AND p.proname = 'uid'",
    )
    .await
    .map_err(unavailable)?;
    if !present {
        tracing::info!("preparing the database: roles, schemas and functions of the platform");
        simple(connection, &script(grants)).await.map_err(unavailable)?;
    }
    match complete(connection).await {
        Ok(()) => Ok(()),
        // Somebody else prepared it, and we may not add to that: their affair.
        Err(BackendError::Refused(error)) if present && error.sqlstate == "42501" => {
            tracing::warn!(
                "tables of the platform are missing and may not be made: {}",
                error.message
            );
            Ok(())
        }
        Err(error) => Err(unavailable(error)),
    }
}

/// Supabase's own services own schema `auth` there.
const IS_SUPABASE: &str = "SELECT 1 FROM pg_catalog.pg_namespace
     WHERE nspname = 'auth' AND pg_catalog.pg_get_userbyid(nspowner) LIKE 'supabase%'";

/// Makes the roles of services and the platform's tables that are missing.
async fn complete(connection: &Connection) -> Result<(), BackendError> {
    if missing(connection).await?.is_empty() {
        return Ok(());
    }
    let made = async {
        simple(connection, &format!("BEGIN; {LOCK}")).await?;
        // Another process may have been faster.
        let mut steps = missing(connection).await?;
        if steps.is_empty() {
            return Ok(());
        }
        simple(connection, &service_roles()).await?;
        // What one step brings may be what another needs.
        for _ in STEPS {
            for step in &steps {
                tracing::info!(step = step.name, "making tables of the platform");
                simple(connection, step.sql).await?;
            }
            steps = missing(connection).await?;
            if steps.is_empty() {
                break;
            }
        }
        simple(connection, OWN_SCHEMA_RIGHTS).await?;
        Ok(())
    };
    let made = made.await;
    simple(connection, if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    made
}

/// Makes Mainstay's own tables in a database that was left as it is, when one of them is first needed.
pub(crate) async fn make_own_tables(connection: &Connection) -> Result<(), BackendError> {
    let made = async {
        simple(connection, &format!("BEGIN; {LOCK}")).await?;
        let mut steps = missing(connection).await?;
        steps.retain(|step| step.is_own());
        for step in &steps {
            tracing::info!(step = step.name, "making tables of Mainstay's own");
            simple(connection, step.sql).await?;
        }
        if !steps.is_empty() {
            simple(connection, OWN_SCHEMA_RIGHTS).await?;
        }
        Ok(())
    };
    let made = made.await;
    simple(connection, if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    made
}

/// So that a database that its owner has prepared can be served by `authenticator`.
const OWN_SCHEMA_RIGHTS: &str = "DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticator') THEN
    GRANT USAGE ON SCHEMA _mainstay TO authenticator;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA _mainstay TO authenticator;
  END IF;
END $$";

/// One process at a time; the number is ours alone.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(7305808869229539);";

/// The steps whose marker the database has not, and which it has what they need for.
async fn missing(connection: &Connection) -> Result<Vec<&'static Step>, BackendError> {
    let mut open = Vec::new();
    for step in STEPS {
        let (schema, relation, column) = step.marker;
        let column = match column {
            Some(column) => format!("a.attname = {}", literal(column)),
            None => "true".to_owned(),
        };
        let (schema, relation) = (literal(schema), literal(relation));
        let present = simple(
            connection,
            &format!(
                "SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = {schema} AND c.relname = {relation} AND NOT a.attisdropped AND {column} LIMIT 1"
            ),
        )
        .await?;
        if present {
            continue;
        }
        let is_possible = match step.needed() {
            None => true,
            Some(name) => {
                let (schema, relation) = (literal(name.schema.as_str()), literal(name.name.as_str()));
                let there = format!(
                    "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = {schema} AND c.relname = {relation}"
                );
                simple(connection, &there).await?
            }
        };
        if is_possible {
            open.push(step);
        }
    }
    Ok(open)
}

/// Roles belong to the whole cluster: one that is there stays as it is.
fn service_roles() -> String {
    let names: Vec<String> = SERVICE_ROLES.iter().map(|name| literal(name)).collect();
    format!(
        "DO $$
DECLARE wanted name;
BEGIN
  FOREACH wanted IN ARRAY ARRAY[{}]::name[] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- another process was faster
    WHEN insufficient_privilege THEN
      RAISE NOTICE 'role % is missing and may not be made', wanted;
    END;
  END LOOP;
END $$",
        names.join(", ")
    )
}

/// Takes the policies off the platform's tables: only users' migrations make any.
pub(crate) const WITHOUT_POLICIES: &str = "DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT policyname, schemaname, tablename FROM pg_catalog.pg_policies
               WHERE schemaname IN ('auth', 'storage', 'realtime') LOOP
    EXECUTE format('DROP POLICY %I ON %I.%I', found.policyname, found.schemaname, found.tablename);
  END LOOP;
END $$;
";

/// Forgets the answers that were kept for retries: what they tell of is gone.
pub(crate) const WITHOUT_KEPT_ANSWERS: &str = "DO $$
BEGIN
  IF pg_catalog.to_regclass('_mainstay.kept_answers') IS NOT NULL THEN
    DELETE FROM _mainstay.kept_answers;
  END IF;
END $$;
";

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
