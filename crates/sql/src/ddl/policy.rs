//! Row security: policies and their switches.

use std::sync::Arc;

use mainstay_core::catalog::{Grantee, Policy, PolicyCommand, Relation};
use mainstay_core::error::DatabaseError;

use super::expression::Place;
use super::{Result, Run};
use crate::ast::ddl::{AlterPolicy, CreatePolicy, RoleName};

impl Run<'_> {
    pub(super) fn create_policy(&mut self, create: &CreatePolicy) -> Result<()> {
        check_clauses(create.command, create.using.is_some(), create.check.is_some())?;
        let table = self.existing_table(&create.table)?;
        if table.policies.iter().any(|policy| policy.name == create.name) {
            let message = format!(
                "policy \"{}\" for table \"{}\" already exists",
                create.name, table.name.name
            );
            return Err(DatabaseError::new("42710", message));
        }
        let roles = self.policy_roles(&create.roles)?;
        let policy = Policy {
            name: create.name.clone(),
            command: create.command,
            permissive: create.permissive,
            roles,
            using: self.kept_condition(&create.using, &table)?,
            check: self.kept_condition(&create.check, &table)?,
        };
        self.relation_mut(&table.name)?.policies.push(policy);
        Ok(())
    }

    fn kept_condition(&self, text: &Option<String>, table: &Arc<Relation>) -> Result<Option<String>> {
        match text {
            Some(text) => self.kept(text, table, Place::Policy).map(|kept| Some(kept.text)),
            None => Ok(None),
        }
    }

    fn policy_roles(&self, roles: &[RoleName]) -> Result<Vec<Grantee>> {
        let mut grantees = Vec::new();
        for role in roles {
            grantees.push(match role {
                RoleName::Public => Grantee::Public,
                named => Grantee::Role(self.role(named)?),
            });
        }
        if grantees.is_empty() || grantees.contains(&Grantee::Public) {
            return Ok(vec![Grantee::Public]);
        }
        Ok(grantees)
    }

    pub(super) fn alter_policy(&mut self, alter: &AlterPolicy) -> Result<()> {
        let table = self.existing_table(&alter.table)?;
        let using = self.kept_condition(&alter.using, &table)?;
        let check = self.kept_condition(&alter.check, &table)?;
        let Some(index) = table.policies.iter().position(|policy| policy.name == alter.name) else {
            return Err(no_policy(&alter.name, &table.name.name));
        };
        let command = table.policies[index].command;
        if using.is_some() && command == PolicyCommand::Insert {
            return Err(DatabaseError::new(
                "42601",
                "only WITH CHECK expression allowed for INSERT",
            ));
        }
        if check.is_some() && matches!(command, PolicyCommand::Select | PolicyCommand::Delete) {
            return Err(DatabaseError::new(
                "42601",
                "only USING expression allowed for SELECT, DELETE",
            ));
        }
        let mut policy = table.policies[index].clone();
        if let Some(roles) = &alter.roles {
            policy.roles = self.policy_roles(roles)?;
        }
        policy.using = using.or(policy.using);
        policy.check = check.or(policy.check);
        self.relation_mut(&table.name)?.policies[index] = policy;
        Ok(())
    }
}

/// Which of USING and WITH CHECK a command may have. Errors: 42601.
fn check_clauses(command: PolicyCommand, using: bool, check: bool) -> Result<()> {
    match command {
        PolicyCommand::Select | PolicyCommand::Delete if check => Err(DatabaseError::new(
            "42601",
            "WITH CHECK cannot be applied to SELECT or DELETE",
        )),
        PolicyCommand::Insert if using => Err(DatabaseError::new(
            "42601",
            "only WITH CHECK expression allowed for INSERT",
        )),
        _ => Ok(()),
    }
}

pub(super) fn no_policy(policy: &str, table: &str) -> DatabaseError {
    DatabaseError::new(
        "42704",
        format!("policy \"{policy}\" for table \"{table}\" does not exist"),
    )
}
