//! Plans inserts, upserts, PUT, updates and deletes.
//!
//! Source: PostgREST documentation, "Tables and Views": insert, update, upsert, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, Identity, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::plan::{
    Action as PlanAction, Conflict, ConflictAction, Delete, Insert, Missing, Predicate, Quantifier, Read, Returning,
    Source, Update,
};
use mainstay_core::policy::Needs;

use super::embed::Joined;
use super::leave::Leave;
use super::read::{Draft, Place, Reads, Resolver, both};
use super::template::Form;
use crate::error::Error;
use crate::request::prefer::{Preferences, Representation, Resolution};
use crate::request::syntax::{Filter, Operation};
use crate::request::{Action, Query};

/// What a write is planned from.
pub struct WriteRequest<'a> {
    pub action: &'a Action,
    pub query: &'a Query,
    pub preferences: &'a Preferences,
    /// The columns that the rows set, sorted.
    pub columns: &'a BTreeSet<String>,
    pub leave: Leave<'a>,
}

/// Plans a write to the relation at the root of `joined`.
///
/// Errors: `PGRST105`, `PGRST115`, `PGRST204`, 42703, 428C9, 42501.
pub fn plan(resolver: &mut Resolver<'_>, joined: &Joined<'_>, write: &WriteRequest<'_>) -> Result<PlanAction, Error> {
    let relation = joined.relation.clone();
    let shows_rows = write.preferences.representation == Some(Representation::Full);
    let draft = if shows_rows {
        Some(resolver.draft(joined)?)
    } else {
        None
    };
    match write.action {
        Action::Create => insert(relation, draft, write),
        Action::Put => put(resolver, relation, draft, write),
        Action::Update => update(resolver, relation, draft, write),
        _ => delete(resolver, relation, draft, write),
    }
}

fn insert(relation: Arc<Relation>, draft: Option<Draft>, write: &WriteRequest<'_>) -> Result<PlanAction, Error> {
    let columns = set_columns(&relation, write.columns)?;
    let conflict = match write.preferences.resolution {
        None => None,
        Some(resolution) => {
            let key = match &write.query.on_conflict {
                Some(names) => conflict_columns(&relation, names)?,
                None => relation.primary_key().to_vec(),
            };
            let action = match resolution {
                Resolution::MergeDuplicates if !columns.is_empty() => ConflictAction::Merge,
                _ => ConflictAction::Ignore,
            };
            (!key.is_empty()).then_some(Conflict { columns: key, action })
        }
    };
    let location = match write.preferences.representation {
        Some(Representation::HeadersOnly) => relation.primary_key().to_vec(),
        _ => Vec::new(),
    };
    let missing = write.preferences.missing.unwrap_or_default();
    finish_insert(relation, draft, write, columns, missing, conflict, location, Vec::new())
}

fn put(
    resolver: &mut Resolver<'_>,
    relation: Arc<Relation>,
    draft: Option<Draft>,
    write: &WriteRequest<'_>,
) -> Result<PlanAction, Error> {
    let key = relation.primary_key().to_vec();
    let names: BTreeSet<String> = key
        .iter()
        .map(|index| relation.columns[*index].name.to_string())
        .collect();
    let roots: Vec<&Filter> = write
        .query
        .filters
        .iter()
        .filter(|(path, _)| path.is_empty())
        .map(|(_, filter)| filter)
        .collect();
    let mut must_match = Vec::new();
    for filter in &roots {
        let value = match &filter.operation {
            Operation::Compare {
                operator: mainstay_core::plan::Operator::Eq,
                quantifier: None::<Quantifier>,
                value,
            } if !filter.is_negated && filter.field.path.is_empty() => value,
            _ => return Err(Error::PutFilters),
        };
        let (column, _) = relation.column(&filter.field.name).ok_or(Error::PutFilters)?;
        must_match.push((column, resolver.template.operand(value, Form::Text)));
    }
    if key.is_empty() || !write.query.logic.is_empty() || write.query.filter_names != names {
        return Err(Error::PutFilters);
    }
    let columns = set_columns(&relation, write.columns)?;
    // A row that does not say its key is not the one in the URL.
    if key.iter().any(|column| !columns.contains(column)) {
        return Err(Error::PutMismatch);
    }
    let conflict = Some(Conflict {
        columns: key,
        action: ConflictAction::Merge,
    });
    finish_insert(
        relation,
        draft,
        write,
        columns,
        Missing::Null,
        conflict,
        Vec::new(),
        must_match,
    )
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one statement, named at both call sites"
)]
fn finish_insert(
    relation: Arc<Relation>,
    draft: Option<Draft>,
    write: &WriteRequest<'_>,
    columns: Vec<ColumnIndex>,
    missing: Missing,
    conflict: Option<Conflict>,
    location: Vec<ColumnIndex>,
    must_match: Vec<(ColumnIndex, usize)>,
) -> Result<PlanAction, Error> {
    let mut select = Reads::default();
    select.columns.extend(&location);
    let mut updated = None;
    if let Some(conflict) = &conflict {
        select.columns.extend(&conflict.columns);
        if conflict.action == ConflictAction::Merge {
            updated = Some(columns.clone());
            // The update takes its values from the proposed row, and that is reading (PostgreSQL, INSERT).
            select.columns.extend(&columns);
        }
    }
    refuse_given(&relation, &columns, Given::Inserted)?;
    let needs = Needs {
        insert: Some(columns.clone()),
        update: updated,
        ..Needs::default()
    };
    let (source, read) = sources(relation, draft, write, needs, select)?;
    Ok(PlanAction::Insert(Insert {
        source,
        columns,
        missing,
        conflict,
        returning: Returning { read, location },
        must_match,
    }))
}

fn update(
    resolver: &mut Resolver<'_>,
    relation: Arc<Relation>,
    draft: Option<Draft>,
    write: &WriteRequest<'_>,
) -> Result<PlanAction, Error> {
    let columns = set_columns(&relation, write.columns)?;
    let mut select = Reads::default();
    let filter = root_filter(resolver, &relation, write.query, &mut select)?;
    refuse_given(&relation, &columns, Given::Updated)?;
    let needs = Needs {
        update: Some(columns.clone()),
        ..Needs::default()
    };
    let (source, read) = sources(relation, draft, write, needs, select)?;
    Ok(PlanAction::Update(Update {
        source,
        columns,
        missing: write.preferences.missing.unwrap_or_default(),
        filter,
        returning: Returning {
            read,
            location: Vec::new(),
        },
    }))
}

fn delete(
    resolver: &mut Resolver<'_>,
    relation: Arc<Relation>,
    draft: Option<Draft>,
    write: &WriteRequest<'_>,
) -> Result<PlanAction, Error> {
    let mut select = Reads::default();
    let filter = root_filter(resolver, &relation, write.query, &mut select)?;
    let needs = Needs {
        delete: true,
        ..Needs::default()
    };
    let (source, read) = sources(relation, draft, write, needs, select)?;
    Ok(PlanAction::Delete(Delete {
        source,
        filter,
        returning: Returning {
            read,
            location: Vec::new(),
        },
    }))
}

/// Asks leave once for all that the statement does with its relation: the write, the filter, and what it gives back.
fn sources(
    relation: Arc<Relation>,
    draft: Option<Draft>,
    write: &WriteRequest<'_>,
    mut needs: Needs,
    mut select: Reads,
) -> Result<(Source, Option<Read>), Error> {
    if let Some(draft) = &draft {
        select.columns.extend(&draft.needs.columns);
    }
    needs.select = select.columns.iter().copied().collect();
    let leave = &write.leave;
    leave.role()?;
    let access = leave.relation(&[], &relation, needs, false)?;
    select.authorize(leave)?;
    let read = match draft {
        Some(draft) => Some(draft.authorize(leave, Some(access.clone()))?),
        None => None,
    };
    Ok((Source { relation, access }, read))
}

/// The filters and trees of the root.
fn root_filter(
    resolver: &mut Resolver<'_>,
    relation: &Relation,
    query: &Query,
    needs: &mut Reads,
) -> Result<Option<Predicate>, Error> {
    let place = Place {
        relation,
        qualifier: relation.name.name.to_string(),
    };
    let mut all = Vec::new();
    for (_, filter) in query.filters.iter().filter(|(path, _)| path.is_empty()) {
        all.push(resolver.filter(&place, None, filter, needs)?);
    }
    for (_, tree) in query.logic.iter().filter(|(path, _)| path.is_empty()) {
        all.push(resolver.logic(&place, None, tree, needs)?);
    }
    Ok(both(all))
}

/// How a value would come into a column.
#[derive(Clone, Copy)]
enum Given {
    Inserted,
    Updated,
}

/// Refuses values for columns that only the table gives values to. PostgreSQL does so before it looks at grants.
///
/// Errors: 428C9.
fn refuse_given(relation: &Relation, columns: &[ColumnIndex], given: Given) -> Result<(), DatabaseError> {
    for column in columns.iter().map(|index| &relation.columns[*index]) {
        let name = &column.name;
        let detail = match (column.identity, column.generated.is_some()) {
            (Some(Identity::Always), _) => {
                format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.")
            }
            (_, true) => format!("Column \"{name}\" is a generated column."),
            _ => continue,
        };
        let message = match given {
            Given::Inserted => format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            Given::Updated => format!("column \"{name}\" can only be updated to DEFAULT"),
        };
        let refusal = DatabaseError::new("428C9", message).detail(detail);
        return Err(match (given, column.generated.is_some()) {
            (Given::Inserted, false) => refusal.hint("Use OVERRIDING SYSTEM VALUE to override."),
            _ => refusal,
        });
    }
    Ok(())
}

fn set_columns(relation: &Relation, names: &BTreeSet<String>) -> Result<Vec<ColumnIndex>, Error> {
    names
        .iter()
        .map(|name| {
            relation
                .column(name)
                .map(|(index, _)| index)
                .ok_or_else(|| Error::NoColumn {
                    relation: relation.name.name.clone(),
                    column: name.clone(),
                })
        })
        .collect()
}

fn conflict_columns(relation: &Relation, names: &[String]) -> Result<Vec<ColumnIndex>, Error> {
    names
        .iter()
        .map(|name| {
            relation
                .column(name)
                .map(|(index, _)| index)
                .ok_or_else(|| DatabaseError::new("42703", format!("column \"{name}\" does not exist")).into())
        })
        .collect()
}
