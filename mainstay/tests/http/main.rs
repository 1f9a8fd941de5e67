//! Black-box tests of the whole program over HTTP, on both engines.
//!
//! PostgreSQL is the oracle: wherever the engines could differ, the same requests go to both and status, headers, body
//! and the tables afterwards are compared byte for byte.

#![allow(clippy::unwrap_used, reason = "a failed fixture is a failed test")]

mod alter;
mod arrays;
mod auth;
mod auth_admin;
mod auth_audit;
mod auth_confirmations;
mod auth_crash;
mod auth_headers;
mod auth_hooks;
mod auth_keys;
mod auth_limits;
mod auth_routes;
mod auth_sessions;
mod auth_sign_in;
mod auth_supabase;
mod auth_sweeps;
mod bad_input;
mod batch;
mod both;
mod computed;
mod conditional;
mod cost_limits;
mod counts;
mod crash;
mod defaults_safe;
mod differential;
mod domains;
mod dump;
mod existence_oracle;
mod fail_closed;
mod full_text;
mod grants;
mod groups;
mod grow;
mod grow_online;
mod idempotency;
mod import;
mod instead;
mod jwt_claims;
mod limits;
mod mass_assignment;
mod migrations;
mod openapi31;
mod oracle_columns;
mod oracle_rows;
mod order_of_checks;
mod own_statements;
mod paging;
mod plpgsql;
mod policies;
mod policy_tests;
mod program;
mod response_settings;
mod revocation_live;
mod routines;
mod schema_pairs;
mod secrets_nowhere;
mod shop;
mod slow_log;
mod sql_built;
mod stale_grants;
mod system_catalogs;
mod timing_enumeration;
mod transport_parity;
mod triggers;
mod types;
mod vectors;
mod version_quiet;
mod why;
