//! Finds the relationship that an embed means: by the target's name, a constraint, a column, or a hint of these.
//!
//! Source: PostgREST documentation, "Resource Embedding": foreign key joins, hints, recursive relationships.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Relationship, RelationshipKind};
use mainstay_core::name::{Ident, QualifiedName};

use super::suggest;
use super::tree::Branch;
use crate::error::Error;

/// A branch with the relation it turned out to be.
#[derive(Debug)]
pub struct Joined<'b> {
    pub branch: &'b Branch,
    pub relation: Arc<Relation>,
    /// `None` at the root.
    pub relationship: Option<Arc<Relationship>>,
    pub children: Vec<Joined<'b>>,
}

/// Where relations are looked for.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub catalog: &'a Catalog,
    /// The request's schema: embeds are of it.
    pub schema: &'a Ident,
    /// The exposed schemas: a junction must be in one of them.
    pub exposed: &'a [Ident],
}

/// Finds the relations of a tree whose root is `relation`.
///
/// Errors: `PGRST200`, `PGRST201`.
pub fn join<'b>(
    scope: Scope<'_>,
    branch: &'b Branch,
    relation: Arc<Relation>,
    relationship: Option<Arc<Relationship>>,
) -> Result<Joined<'b>, Error> {
    let mut children = Vec::with_capacity(branch.children.len());
    for child in &branch.children {
        let found = find(scope, &relation.name, &child.name, child.hint.as_deref())?;
        let target = scope
            .catalog
            .relation(&found.to)
            .cloned()
            .ok_or_else(|| Error::NoRelationship {
                parent: relation.name.name.to_string(),
                child: child.name.clone(),
                hint_used: child.hint.clone(),
                schema: scope.schema.clone(),
                suggestion: None,
            })?;
        children.push(join(scope, child, target, Some(found))?);
    }
    Ok(Joined {
        branch,
        relation,
        relationship,
        children,
    })
}

fn find(
    scope: Scope<'_>,
    parent: &QualifiedName,
    target: &str,
    hint: Option<&str>,
) -> Result<Arc<Relationship>, Error> {
    let Scope {
        catalog,
        schema,
        exposed,
    } = scope;
    let is_exposed = |candidate: &Relationship| match &candidate.kind {
        RelationshipKind::ManyToMany { junction, .. } => exposed.contains(&junction.schema),
        _ => true,
    };
    // A routine of that name stands before every key.
    let computed = catalog.relationships_of(parent).iter().find(|candidate| {
        matches!(&candidate.kind, RelationshipKind::Computed { routine, .. }
            if routine.name == *target && routine.schema == *schema)
    });
    if let Some(computed) = computed {
        return Ok(computed.clone());
    }
    let mut found: Vec<Arc<Relationship>> = catalog
        .relationships_of(parent)
        .iter()
        .filter(|candidate| {
            candidate.to.schema == *schema && is_exposed(candidate) && means(catalog, candidate, target, hint)
        })
        .cloned()
        .collect();
    if found.len() > 1 {
        found.sort_by_cached_key(|candidate| order_key(candidate));
        found.dedup();
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::NoRelationship {
            parent: parent.name.to_string(),
            child: target.to_owned(),
            hint_used: hint.map(str::to_owned),
            schema: schema.clone(),
            suggestion: suggestion(catalog, schema, parent, target),
        }),
        _ => Err(Error::AmbiguousRelationship {
            parent: parent.name.to_string(),
            child: target.to_owned(),
            candidates: found,
        }),
    }
}

/// The order in which candidates are told: to-many, to-one, one-to-one, many-to-many; then by constraint.
fn order_key(candidate: &Relationship) -> (Ident, u8, String) {
    let (rank, text) = match &candidate.kind {
        RelationshipKind::OneToMany { constraint, columns } => (0, format!("{constraint} {columns:?}")),
        RelationshipKind::ManyToOne { constraint, columns } => (1, format!("{constraint} {columns:?}")),
        RelationshipKind::OneToOne {
            constraint,
            columns,
            is_parent,
        } => (2, format!("{constraint} {columns:?} {is_parent}")),
        RelationshipKind::ManyToMany {
            junction,
            from_constraint,
            to_constraint,
            ..
        } => (3, format!("{junction} {from_constraint} {to_constraint}")),
        RelationshipKind::Computed { routine, .. } => (4, routine.to_string()),
    };
    (candidate.to.name.clone(), rank, text)
}

fn means(catalog: &Catalog, candidate: &Relationship, target: &str, hint: Option<&str>) -> bool {
    if matches!(candidate.kind, RelationshipKind::Computed { .. }) {
        return false;
    }
    let is_target = candidate.to.name == *target;
    let near = |name: &str| single_pair(candidate).is_some_and(|(column, _)| *column == *name);
    let far = |name: &str| single_pair(candidate).is_some_and(|(_, column)| *column == *name);
    if candidate.is_self {
        // One key gives two relationships here: by the relation's name the many, by the column's name the one.
        let is_many = matches!(candidate.kind, RelationshipKind::OneToMany { .. });
        let is_one = matches!(candidate.kind, RelationshipKind::ManyToOne { .. });
        return match hint {
            None => is_target && is_many || is_one && near(target),
            Some(hint) => is_target && is_many && far(hint),
        };
    }
    let to_view = catalog
        .relation(&candidate.to)
        .is_some_and(|relation| relation.kind.is_view());
    match hint {
        None => is_target || !to_view && (constraint(candidate).is_some_and(|name| *name == *target) || near(target)),
        Some(hint) => {
            is_target
                && (constraint(candidate).is_some_and(|name| *name == *hint)
                    || near(hint)
                    || far(hint)
                    || junction(candidate).is_some_and(|name| *name == *hint))
        }
    }
}

fn constraint(candidate: &Relationship) -> Option<&Ident> {
    match &candidate.kind {
        RelationshipKind::ManyToOne { constraint, .. }
        | RelationshipKind::OneToMany { constraint, .. }
        | RelationshipKind::OneToOne { constraint, .. } => Some(constraint),
        RelationshipKind::ManyToMany { .. } | RelationshipKind::Computed { .. } => None,
    }
}

fn junction(candidate: &Relationship) -> Option<&Ident> {
    match &candidate.kind {
        RelationshipKind::ManyToMany { junction, .. } => Some(&junction.name),
        _ => None,
    }
}

/// The columns of a key of one column.
fn single_pair(candidate: &Relationship) -> Option<&(Ident, Ident)> {
    match &candidate.kind {
        RelationshipKind::ManyToOne { columns, .. }
        | RelationshipKind::OneToMany { columns, .. }
        | RelationshipKind::OneToOne { columns, .. } => match columns.as_slice() {
            [pair] => Some(pair),
            _ => None,
        },
        RelationshipKind::ManyToMany { .. } | RelationshipKind::Computed { .. } => None,
    }
}

fn suggestion(catalog: &Catalog, schema: &Ident, parent: &QualifiedName, child: &str) -> Option<String> {
    let own = catalog.relationships_of(parent);
    if own.is_empty() {
        let parents = catalog
            .relationships
            .keys()
            .filter(|name| name.schema == *schema)
            .map(|name| name.name.as_str());
        let (_, best) = suggest::closest(parents, &parent.name, suggest::PART_SCORE_MIN)?;
        return Some(format!("Perhaps you meant '{best}' instead of '{}'.", parent.name));
    }
    let children = own
        .iter()
        .filter(|candidate| candidate.to.schema == *schema)
        .map(|candidate| candidate.to.name.as_str());
    let ranked = suggest::ranked(children, child, suggest::PART_SCORE_MIN);
    let (_, best) = ranked.into_iter().find(|(score, _)| *score < 1.0)?;
    Some(format!("Perhaps you meant '{best}' instead of '{child}'."))
}
