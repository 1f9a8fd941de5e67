//! `mainstay doctor`: looks for what is wrong and says what to do.

use mainstay_core::catalog::{AclEntry, Catalog, Grantee, Privilege, RelationKind};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;
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
    for problem in &config.auth_unmet_in_production {
        println!("warn  {problem}; until then only `mainstay dev` serves");
    }
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
            State::Empty => println!("warn  migration {name} has no statement yet"),
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

/// What an operator should hear at every start: tables that anybody may read, functions with other rights that anybody may
/// call.
pub fn warnings(config: &Config, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    if config.rest.anon_role.as_deref() == Some("service_role") {
        found.push("requests without a key act as service_role: anybody may do anything".to_owned());
    }
    let anonymous = config.rest.anon_role.as_deref().unwrap_or_default();
    let is_exposed = |name: &QualifiedName| config.rest.schemas.iter().any(|schema| name.schema == **schema);
    let mut open: Vec<String> = catalog
        .relations
        .values()
        .filter(|relation| is_exposed(&relation.name))
        .filter(|relation| relation.kind == RelationKind::Table && !relation.row_security.enabled)
        .filter(|relation| may(&relation.acl, Privilege::Select, anonymous))
        .map(|relation| relation.name.to_string())
        .collect();
    open.sort();
    for name in open {
        found.push(format!(
            "table {name} is open to {anonymous} without row security: everybody may read all of it"
        ));
    }
    let mut callable: Vec<String> = catalog
        .routines
        .values()
        .flatten()
        .filter(|routine| {
            // Trigger functions cannot be called.
            let is_trigger = matches!(&routine.returns.ty, Type::Other(name) if name.name == *"trigger");
            routine.security_definer && !is_trigger
        })
        .filter(|routine| is_exposed(&routine.name) && may(&routine.acl, Privilege::Execute, anonymous))
        .map(|routine| routine.name.to_string())
        .collect();
    callable.sort();
    callable.dedup();
    for name in callable {
        found.push(format!(
            "function {name} runs with its owner's rights and {anonymous} may call it: revoke execute on function \
             {name} from public, unless that is meant"
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

fn may(acl: &[AclEntry], privilege: Privilege, role: &str) -> bool {
    acl.iter().any(|entry| {
        entry.privilege == privilege
            && match &entry.grantee {
                Grantee::Public => true,
                Grantee::Role(name) => *name == *role,
            }
    })
}
