//! Gates: which policies a row must pass for what is done with it, and what they make of it.
//!
//! Source: PostgreSQL manual, CREATE POLICY, "Policies Applied by Command Type".

use std::sync::Arc;

use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, Grantee, Policy, PolicyCommand, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::policy::{self, Needs};
use mainstay_core::trial::{Trial, Verdict};
use serde_json::{Map, Value};

use super::report::{Clause, Gate, PolicyOf, RowOf, RowSecurity, Side, Tried, TriedPart, TriedPolicy};
use super::sample::Row;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 500;
/// Columns that tell a row without a key.
const KEYLESS_COLUMNS: usize = 3;

/// One thing that rows must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub command: PolicyCommand,
    pub clause: Clause,
    pub of: Side,
}

/// What rows must pass for `needs`.
pub fn asks(needs: &Needs) -> Vec<Ask> {
    let ask = |command, clause, of| Ask { command, clause, of };
    if needs.insert.is_some() && needs.update.is_some() {
        // An upsert: rows that are there already are updated.
        let mut all = asks(&inserting(needs));
        let updating = asks(&updating(needs));
        all.extend(
            updating
                .into_iter()
                .filter(|ask| ask.command != PolicyCommand::Select || ask.of == Side::Existing),
        );
        return all;
    }
    let reads = needs.select_any || !needs.select.is_empty();
    let read = |of| reads.then(|| ask(PolicyCommand::Select, Clause::Using, of));
    let (own, sides): (Vec<Ask>, &[Side]) = if needs.insert.is_some() {
        let check = ask(PolicyCommand::Insert, Clause::WithCheck, Side::New);
        (vec![check], &[Side::New])
    } else if needs.update.is_some() {
        let using = ask(PolicyCommand::Update, Clause::Using, Side::Existing);
        let check = ask(PolicyCommand::Update, Clause::WithCheck, Side::New);
        (vec![using, check], &[Side::Existing, Side::New])
    } else if needs.delete {
        let using = ask(PolicyCommand::Delete, Clause::Using, Side::Existing);
        (vec![using], &[Side::Existing])
    } else {
        (Vec::new(), &[Side::Existing])
    };
    own.into_iter()
        .chain(sides.iter().filter_map(|side| read(*side)))
        .collect()
}

/// What an upsert asks for the rows that are new.
pub fn inserting(needs: &Needs) -> Needs {
    Needs {
        update: None,
        ..needs.clone()
    }
}

/// What an upsert asks for the rows that are there already.
pub fn updating(needs: &Needs) -> Needs {
    Needs {
        insert: None,
        ..needs.clone()
    }
}

/// The gate with every policy of its command, for whomever it is.
pub fn gate(catalog: &Catalog, role: &Ident, relation: &Relation, ask: Ask) -> Gate {
    let roles = catalog.effective_roles(role);
    let of_command = relation.policies.iter();
    let policies = in_order(of_command.filter(|policy| policy::is_for(policy, ask.command)))
        .into_iter()
        .map(|policy| PolicyOf {
            name: policy.name.to_string(),
            permissive: policy.permissive,
            command: command_name(policy.command),
            roles: policy.roles.iter().map(grantee_name).collect(),
            expression: expression(policy, ask.clause).map(str::to_owned),
            applies: policy::is_for_any(policy, &roles),
        });
    Gate {
        command: command_name(ask.command),
        clause: ask.clause,
        of: ask.of,
        policies: policies.collect(),
    }
}

/// Whether the policies of `relation` count for `role`.
pub fn row_security(catalog: &Catalog, role: &Ident, relation: &Relation) -> RowSecurity {
    let switches = relation.row_security;
    let applies = policy::row_security_applies(catalog, role, relation);
    let passes = catalog
        .roles
        .get(role)
        .is_some_and(|entry| entry.superuser || entry.bypass_rls);
    RowSecurity {
        enabled: switches.enabled,
        forced: switches.forced,
        applies,
        reason: match (switches.enabled, applies, passes) {
            (false, _, _) => "row security is not enabled for the relation",
            (true, true, _) => "row security is enabled for the relation",
            (true, false, true) => "the role passes row security",
            (true, false, false) => "the role owns the relation, and row security is not forced",
        },
    }
}

/// Rows of one side, and what they must pass.
pub struct Question<'a> {
    pub caller: &'a Caller,
    pub relation: &'a Arc<Relation>,
    pub asks: &'a [Ask],
    pub of: Side,
    pub rows: &'a [Row],
}

/// What the gates of one side make of its rows.
pub async fn tried(
    backend: &dyn Backend,
    catalog: &Catalog,
    question: Question<'_>,
) -> Result<Vec<RowOf>, BackendError> {
    let Question {
        caller,
        relation,
        asks,
        of,
        rows,
    } = question;
    let mut found: Vec<RowOf> = rows
        .iter()
        .map(|row| RowOf {
            key: key_of(relation, row),
            of,
            passes: Some(true),
            gates: Vec::new(),
        })
        .collect();
    if rows.is_empty() || !policy::row_security_applies(catalog, &caller.role, relation) {
        return Ok(found);
    }
    for ask in asks.iter().filter(|ask| ask.of == of) {
        let applicable = policy::applicable(catalog, &caller.role, relation, ask.command);
        let policies = in_order(applicable.permissive.iter().chain(&applicable.restrictive).copied());
        // A policy without an expression lets every row pass.
        let conditions = policies
            .iter()
            .map(|policy| expression(policy, ask.clause).unwrap_or("true").to_owned());
        let trial = Trial {
            relation: relation.clone(),
            conditions: conditions.collect(),
            rows: rows.to_vec(),
        };
        let verdicts = backend.judge(caller, &trial).await?;
        for (index, row) in found.iter_mut().enumerate() {
            let of_row: Vec<(&Policy, &Verdict)> = policies
                .iter()
                .zip(&verdicts)
                .filter_map(|(policy, verdicts)| Some((*policy, verdicts.get(index)?)))
                .collect();
            let passed = |permissive: bool| {
                of_row
                    .iter()
                    .filter(move |(policy, _)| policy.permissive == permissive)
                    .map(|(_, verdict)| verdict.passes())
            };
            let passes = passed(true).any(|passes| passes) && passed(false).all(|passes| passes);
            row.passes = row.passes.map(|so_far| so_far && passes);
            row.gates.push(Tried {
                command: command_name(ask.command),
                clause: ask.clause,
                passes,
                policies: of_row
                    .into_iter()
                    .map(|(policy, verdict)| told(policy, verdict))
                    .collect(),
            });
        }
    }
    Ok(found)
}

/// Permissive ones first, then by name.
fn in_order<'a>(policies: impl Iterator<Item = &'a Policy>) -> Vec<&'a Policy> {
    let mut policies: Vec<&Policy> = policies.collect();
    policies.sort_by_key(|policy| (!policy.permissive, policy.name.clone()));
    policies
}

fn told(policy: &Policy, verdict: &Verdict) -> TriedPolicy {
    let (value, error) = match &verdict.value {
        Ok(value) => (*value, None),
        Err(error) => (None, Some(format!("{} [{}]", error.message, error.sqlstate))),
    };
    TriedPolicy {
        name: policy.name.to_string(),
        permissive: policy.permissive,
        value,
        error,
        parts: verdict
            .parts
            .iter()
            .map(|part| TriedPart {
                expression: part.text.clone(),
                value: part.value,
                saw: part
                    .saw
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_deref().map(cut)))
                    .collect(),
            })
            .collect(),
    }
}

/// The beginning of a long value.
fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// What tells a row from others.
pub fn key_of(relation: &Relation, row: &Row) -> Map<String, Value> {
    let key = match relation.primary_key() {
        [] => (0..relation.columns.len().min(KEYLESS_COLUMNS)).collect(),
        key => key.to_vec(),
    };
    key.into_iter()
        .map(|column| {
            let value = row.get(column).cloned().flatten();
            (relation.columns[column].name.to_string(), Value::from(value))
        })
        .collect()
}

fn expression(policy: &Policy, clause: Clause) -> Option<&str> {
    match clause {
        Clause::Using => policy.using.as_deref(),
        Clause::WithCheck => policy.check.as_deref().or(policy.using.as_deref()),
    }
}

fn grantee_name(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Public => "public".to_owned(),
        Grantee::Role(role) => role.to_string(),
    }
}

/// As people write it.
pub fn command_name(command: PolicyCommand) -> &'static str {
    match command {
        PolicyCommand::All => "all",
        PolicyCommand::Select => "select",
        PolicyCommand::Insert => "insert",
        PolicyCommand::Update => "update",
        PolicyCommand::Delete => "delete",
    }
}
