//! The platform's tables in the file: made once, when the file is new or a newer program opens it.
//!
//! Not here: what the platform is (`mainstay_sql::platform`), users' migrations and their record (`migrations`).

use std::sync::Arc;

use mainstay_core::catalog::Catalog;
use mainstay_core::error::BackendError;
use mainstay_sql::ddl;
use mainstay_sql::platform::{STEPS, Step};
use rusqlite::Connection;

use super::store::{read_fact, write_fact};
use super::{carry_out, script};

/// How many of the platform's steps the file has had.
const STEPS_FACT: &str = "platform_steps";

/// Brings the file up to this program's platform, in one transaction, and gives the catalog as it is then.
pub(super) fn bring_up(conn: &mut Connection, catalog: Catalog) -> Result<Catalog, BackendError> {
    let had = read_fact(conn, STEPS_FACT)?.and_then(|text| text.parse::<usize>().ok());
    let open = STEPS.get(had.unwrap_or(0)..).unwrap_or_default();
    if open.is_empty() {
        return Ok(catalog);
    }
    script::in_transaction(conn, &catalog, |conn| {
        let mut current = catalog.clone();
        ddl::complete(&mut current);
        for step in open.iter().filter(|step| !is_present(&catalog, step)) {
            if step.needed().is_some_and(|name| !current.relations.contains_key(&name)) {
                continue;
            }
            let (after, _) = script::run(conn, &current, step.sql).map_err(|failure| {
                BackendError::Internal(format!(
                    "step {} of the platform failed at line {}: {}",
                    step.name, failure.line, failure.error
                ))
            })?;
            current = after;
        }
        carry_out::ensure_publication(conn)?;
        write_fact(conn, STEPS_FACT, &STEPS.len().to_string())?;
        Ok(current)
    })
}

/// True if a migration of the user's has made what the step would make, before there was a platform.
fn is_present(catalog: &Catalog, step: &Step) -> bool {
    let relation: Option<&Arc<_>> = catalog.relations.get(&step.relation());
    relation.is_some_and(|relation| step.marker.2.is_none_or(|column| relation.column(column).is_some()))
}
