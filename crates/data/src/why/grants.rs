//! Privileges: which a relation is asked for, and which of them a role holds.

use mainstay_core::catalog::{Catalog, ColumnIndex, Privilege, Relation, Routine};
use mainstay_core::name::Ident;
use mainstay_core::policy::{self, Needs};

use super::report::Grant;

/// What `needs` asks of `relation`, and what `role` holds of it.
pub fn grants(catalog: &Catalog, role: &Ident, relation: &Relation, needs: &Needs) -> Vec<Grant> {
    let mut found = vec![of_schema(catalog, role, &relation.name.schema)];
    let kind = if relation.kind.is_view() { "view" } else { "table" };
    let on = format!("{kind} {}", relation.name);
    let mut add = |privilege, columns: &[ColumnIndex], whole: bool| {
        let name = |column: &ColumnIndex| relation.columns[*column].name.to_string();
        let missing: Vec<String> = columns
            .iter()
            .filter(|column| !policy::column_allows(catalog, role, relation, **column, privilege))
            .map(name)
            .collect();
        let held = match (columns, whole) {
            (_, true) => policy::acl_allows(catalog, role, &relation.owner, &relation.acl, privilege),
            ([], false) => policy::any_column_allows(catalog, role, relation, privilege),
            _ => missing.is_empty(),
        };
        found.push(Grant {
            privilege: spelled(privilege),
            on: on.clone(),
            columns: columns.iter().map(name).collect(),
            held,
            missing,
        });
    };
    if needs.select_any || !needs.select.is_empty() {
        add(Privilege::Select, &needs.select, false);
    }
    if let Some(columns) = &needs.insert {
        add(Privilege::Insert, columns, false);
    }
    if let Some(columns) = &needs.update {
        add(Privilege::Update, columns, false);
    }
    if needs.delete {
        add(Privilege::Delete, &[], true);
    }
    found
}

/// What a call of `routine` asks for.
pub fn of_routine(catalog: &Catalog, role: &Ident, routine: &Routine) -> Vec<Grant> {
    let kind = if routine.is_procedure { "procedure" } else { "function" };
    let execute = Grant {
        privilege: spelled(Privilege::Execute),
        on: format!("{kind} {}", routine.name),
        columns: Vec::new(),
        held: policy::acl_allows(catalog, role, &routine.owner, &routine.acl, Privilege::Execute),
        missing: Vec::new(),
    };
    vec![of_schema(catalog, role, &routine.name.schema), execute]
}

/// USAGE of a schema.
pub fn of_schema(catalog: &Catalog, role: &Ident, schema: &Ident) -> Grant {
    let held = catalog
        .schemas
        .get(schema)
        .is_some_and(|entry| policy::acl_allows(catalog, role, &entry.owner, &entry.acl, Privilege::Usage));
    Grant {
        privilege: spelled(Privilege::Usage),
        on: format!("schema {schema}"),
        columns: Vec::new(),
        held,
        missing: Vec::new(),
    }
}

/// As `GRANT` has it.
pub fn spelled(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Select => "SELECT",
        Privilege::Insert => "INSERT",
        Privilege::Update => "UPDATE",
        Privilege::Delete => "DELETE",
        Privilege::Truncate => "TRUNCATE",
        Privilege::References => "REFERENCES",
        Privilege::Trigger => "TRIGGER",
        Privilege::Usage => "USAGE",
        Privilege::Create => "CREATE",
        Privilege::Execute => "EXECUTE",
    }
}
