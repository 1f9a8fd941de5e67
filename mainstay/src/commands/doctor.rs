//! `mainstay doctor`: looks for what is wrong and says what to do.

use mainstay_core::catalog::RelationKind;
use mainstay_core::catalog::{Catalog, Grantee, Privilege, Relation};
use mainstay_schema::State;

use super::CommandError;
use crate::app::reason;
use crate::cli::Target;
use crate::config::{Config, Grants};
use crate::keyring;

/// Checks settings, keys, database and migrations. Fails if anything is broken; warnings do not fail.
pub async fn run(target: &Target) -> Result<(), CommandError> {
    let config = super::load(&target.dir)?;
    println!("ok    settings");
    keyring::load(&config)?;
    println!("ok    keys");
    let opened = super::open(target).await?;
    let mut broken = 0;
    match opened.backend.health().await {
        Ok(health) => {
            println!("ok    database: {} at {}", health.engine, opened.database.describe());
            health.warnings.iter().for_each(|warning| println!("warn  {warning}"));
        }
        Err(error) => {
            println!("FAIL  database: {}", reason(&error));
            broken += 1;
        }
    }
    for status in opened.migrator.status().await? {
        let name = format!("{}_{}", status.version, status.name);
        match status.state {
            State::Applied | State::NotForThisEngine => {}
            State::Pending => println!("warn  migration {name} has not been applied: mainstay migrate up"),
            State::Edited => {
                println!("FAIL  migration {name} was edited after it had been applied");
                broken += 1;
            }
            State::Missing => {
                println!("FAIL  migration {name} was applied and is gone from the project");
                broken += 1;
            }
        }
    }
    for warning in warnings(&config, &opened.backend.catalog()) {
        println!("warn  {warning}");
    }
    opened.backend.close().await;
    if broken == 0 {
        Ok(())
    } else {
        Err(CommandError::Other(format!("{broken} thing(s) need mending")))
    }
}

/// What an operator should hear at every start: tables that anybody may read.
pub fn warnings(config: &Config, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    if config.rest.anon_role.as_deref() == Some("service_role") {
        found.push("requests without a key act as service_role: anybody may do anything".to_owned());
    }
    let anonymous = config.rest.anon_role.as_deref().unwrap_or_default();
    let mut open: Vec<String> = catalog
        .relations
        .values()
        .filter(|relation| {
            config
                .rest
                .schemas
                .iter()
                .any(|schema| relation.name.schema == **schema)
        })
        .filter(|relation| relation.kind == RelationKind::Table && !relation.row_security.enabled)
        .filter(|relation| may_read(relation, anonymous))
        .map(|relation| relation.name.to_string())
        .collect();
    open.sort();
    for name in open {
        found.push(format!(
            "table {name} is open to {anonymous} without row security: everybody may read all of it"
        ));
    }
    if config.grants == Grants::Classic && !catalog.relations.is_empty() {
        found.push(
            "grants are classic: every new table is granted to anon, authenticated and service_role; row security alone protects it"
                .to_owned(),
        );
    }
    found
}

fn may_read(relation: &Relation, role: &str) -> bool {
    relation.acl.iter().any(|entry| {
        entry.privilege == Privilege::Select
            && match &entry.grantee {
                Grantee::Public => true,
                Grantee::Role(name) => *name == *role,
            }
    })
}
