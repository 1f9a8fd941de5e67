//! Which index a statement would be led by and does not have.
//!
//! A suggestion: it knows the filters, joins and orders of the request and what the caller's policies compare, not how
//! many rows there are.

use std::collections::BTreeSet;

use mainstay_core::backend::Backend;
use mainstay_core::catalog::{Catalog, ColumnIndex, ConstraintKind, IndexPart, Relation, RelationKind};
use mainstay_core::catalog::{PolicyCommand, Relationship, RelationshipKind};
use mainstay_core::name::Ident;
use mainstay_core::plan::{Action, CallResult, Field, Operator, Order, OrderTarget, Plan, Predicate, Read};
use mainstay_core::policy;

/// Columns of an index that is suggested.
const COLUMNS_MAX: usize = 3;

/// The indexes that `plan` lacks, as statements.
pub fn advice(backend: &dyn Backend, plan: &Plan) -> Vec<String> {
    let catalog = backend.catalog();
    let guarded = |relation: &Relation, command| guarded(backend, &catalog, &plan.role, relation, command);
    let mut found = BTreeSet::new();
    match &plan.action {
        Action::Read(read) => of_read(&guarded, read, Vec::new(), &mut found),
        Action::Update(update) => {
            let guard = guarded(&update.source.relation, PolicyCommand::Update);
            of_filter(&update.source.relation, update.filter.as_ref(), guard, &mut found)
        }
        Action::Delete(delete) => {
            let guard = guarded(&delete.source.relation, PolicyCommand::Delete);
            of_filter(&delete.source.relation, delete.filter.as_ref(), guard, &mut found)
        }
        Action::Call(call) => {
            if let CallResult::Rows { read, .. } = &call.result {
                of_embeds(&guarded, read, &mut found);
            }
        }
        Action::Insert(_) => {}
    }
    found.into_iter().collect()
}

/// The columns that the policies of a relation compare for a command.
type Guarded<'a> = dyn Fn(&Relation, PolicyCommand) -> Vec<ColumnIndex> + 'a;

fn guarded(
    backend: &dyn Backend,
    catalog: &Catalog,
    role: &Ident,
    relation: &Relation,
    command: PolicyCommand,
) -> Vec<ColumnIndex> {
    if !policy::row_security_applies(catalog, role, relation) {
        return Vec::new();
    }
    let applicable = policy::applicable(catalog, role, relation, command);
    let mut policies: Vec<_> = applicable
        .permissive
        .into_iter()
        .chain(applicable.restrictive)
        .collect();
    policies.sort_by(|one, other| one.name.cmp(&other.name));
    let mut columns = Vec::new();
    for condition in policies.iter().filter_map(|policy| policy.using.as_deref()) {
        add(&mut columns, backend.compared(relation, condition));
    }
    columns
}

fn add(columns: &mut Vec<ColumnIndex>, more: impl IntoIterator<Item = ColumnIndex>) {
    for column in more {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
}

fn of_filter(relation: &Relation, filter: Option<&Predicate>, guard: Vec<ColumnIndex>, found: &mut BTreeSet<String>) {
    let mut equal = guard;
    add(&mut equal, equalities(filter));
    found.extend(suggestion(relation, &equal, &[]));
}

/// `joined`: the columns by which the rows of an embed are found.
fn of_read(guarded: &Guarded<'_>, read: &Read, joined: Vec<ColumnIndex>, found: &mut BTreeSet<String>) {
    let mut equal = joined;
    add(&mut equal, guarded(&read.source.relation, PolicyCommand::Select));
    add(&mut equal, equalities(read.filter.as_ref()));
    found.extend(suggestion(&read.source.relation, &equal, &read.order));
    of_embeds(guarded, read, found);
}

fn of_embeds(guarded: &Guarded<'_>, read: &Read, found: &mut BTreeSet<String>) {
    for embed in &read.embeds {
        let relationship: &Relationship = &embed.relationship;
        let far = match &relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => positions(&embed.read.source.relation, columns),
            RelationshipKind::ManyToMany {
                from_columns,
                to_columns,
                ..
            } => {
                if let Some(junction) = &embed.junction {
                    let near = positions(&junction.relation, from_columns);
                    found.extend(suggestion(&junction.relation, &near, &[]));
                }
                let far = |(far, _): &(Ident, Ident)| embed.read.source.relation.column(far).map(|(at, _)| at);
                to_columns.iter().filter_map(far).collect()
            }
            RelationshipKind::Computed { .. } => Vec::new(),
        };
        of_read(guarded, &embed.read, far, found);
    }
}

fn positions(relation: &Relation, pairs: &[(Ident, Ident)]) -> Vec<ColumnIndex> {
    pairs
        .iter()
        .filter_map(|(_, far)| relation.column(far).map(|(at, _)| at))
        .collect()
}

/// The columns that must equal something for a row to be among those wanted.
fn equalities(filter: Option<&Predicate>) -> Vec<ColumnIndex> {
    fn plain(field: &Field) -> Option<ColumnIndex> {
        field.path.is_empty().then(|| field.base.column()).flatten()
    }
    match filter {
        Some(Predicate::And(all)) => {
            let mut columns = Vec::new();
            add(&mut columns, all.iter().flat_map(|part| equalities(Some(part))));
            columns
        }
        Some(
            Predicate::Compare {
                field,
                operator: Operator::Eq,
                ..
            }
            | Predicate::In { field, .. },
        ) => plain(field).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The index that is missing: none leads with a column that is compared, or where none is, with the first of the order.
fn suggestion(relation: &Relation, equal: &[ColumnIndex], order: &[Order]) -> Option<String> {
    if !matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        return None;
    }
    let ordered: Vec<(ColumnIndex, bool)> = order
        .iter()
        .map_while(|order| match &order.target {
            OrderTarget::Field(field) if field.path.is_empty() => {
                field.base.column().map(|column| (column, order.descending))
            }
            OrderTarget::Field(_) | OrderTarget::Related { .. } => None,
        })
        .collect();
    let leading: Vec<ColumnIndex> = match (equal, ordered.first()) {
        ([], Some((first, _))) => vec![*first],
        (equal, _) => equal.to_vec(),
    };
    if leading.is_empty() || leading.iter().any(|column| is_led(relation, *column)) {
        return None;
    }
    let mut keys: Vec<(ColumnIndex, bool)> = equal.iter().map(|column| (*column, false)).collect();
    for (column, descending) in ordered {
        if !keys.iter().any(|(known, _)| *known == column) {
            keys.push((column, descending));
        }
    }
    let keys: Vec<String> = keys
        .into_iter()
        .take(COLUMNS_MAX)
        .map(|(column, descending)| {
            let name = &relation.columns[column].name;
            format!("{}{}", quoted(name), if descending { " desc" } else { "" })
        })
        .collect();
    let (schema, table) = (quoted(&relation.name.schema), quoted(&relation.name.name));
    Some(format!("create index on {schema}.{table} ({});", keys.join(", ")))
}

/// True if a key or an index of all rows begins with the column.
fn is_led(relation: &Relation, column: ColumnIndex) -> bool {
    let by_key = relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => columns.first() == Some(&column),
        ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => false,
    });
    by_key
        || relation.indexes.iter().any(|index| {
            index.predicate.is_none()
                && matches!(index.keys.first().map(|key| &key.part), Some(IndexPart::Column(first)) if *first == column)
        })
}

/// As a person would write it.
fn quoted(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
