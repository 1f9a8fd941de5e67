//! Derives relationships from foreign keys, and carries them over to the views that select their columns.
//!
//! Source: PostgREST documentation, "Resource Embedding": foreign key joins, junctions, views.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::{Catalog, ConstraintKind, Relation, Relationship, RelationshipKind};
use crate::name::{Ident, QualifiedName};

/// Views derived for one relationship, at most; a base column selected many times multiplies them.
const VIEW_COMBINATIONS_MAX: usize = 64;

impl Catalog {
    /// Fills [`Catalog::relationships`] from the foreign keys and views of this snapshot.
    pub fn derive_relationships(&mut self) {
        let mut keys = foreign_keys(self);
        keys.extend(keys_through_views(self, &keys));
        let mut all: Vec<Relationship> = keys.iter().flat_map(|key| both_ways(self, key)).collect();
        all.extend(through_junctions(self, &keys));
        all.extend(computed(self));
        let mut seen = HashSet::new();
        let mut by_relation: HashMap<QualifiedName, Vec<Arc<Relationship>>> = HashMap::new();
        for relationship in all {
            if seen.insert(format!("{relationship:?}")) {
                by_relation
                    .entry(relationship.from.clone())
                    .or_default()
                    .push(Arc::new(relationship));
            }
        }
        for list in by_relation.values_mut() {
            list.sort_by_cached_key(|relationship| format!("{relationship:?}"));
        }
        self.relationships = by_relation;
    }
}

/// Routines of one row that return rows of a relation. Source: PostgREST documentation, "Computed Relationships".
fn computed(catalog: &Catalog) -> Vec<Relationship> {
    let routines = catalog.routines.values().flatten();
    let found = routines.filter_map(|routine| {
        let from = routine
            .row_argument()
            .filter(|from| catalog.relations.contains_key(*from))?;
        let to = routine.returns.relation.as_ref()?;
        Some(Relationship {
            from: from.clone(),
            to: to.clone(),
            is_self: from == to,
            kind: RelationshipKind::Computed {
                routine: routine.name.clone(),
                to_one: !routine.returns.set || routine.returns.at_most_one,
            },
        })
    });
    found.collect()
}

/// A foreign key as joins see it; either end may be a view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    constraint: Ident,
    holder: QualifiedName,
    target: QualifiedName,
    /// (holder column, target column)
    columns: Vec<(Ident, Ident)>,
    /// The holder has at most one row per target.
    unique: bool,
}

fn foreign_keys(catalog: &Catalog) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for relation in catalog.relations.values() {
        for constraint in &relation.constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else {
                continue;
            };
            let columns: Vec<(Ident, Ident)> = key
                .columns
                .iter()
                .zip(&key.target_columns)
                .filter_map(|(index, target)| Some((relation.columns.get(*index)?.name.clone(), target.clone())))
                .collect();
            let unique = is_unique(relation, columns.iter().map(|(column, _)| column));
            keys.push(Key {
                constraint: constraint.name.clone(),
                holder: relation.name.clone(),
                target: key.target.clone(),
                columns,
                unique,
            });
        }
    }
    keys.sort_by(|a, b| (&a.holder, &a.constraint).cmp(&(&b.holder, &b.constraint)));
    keys
}

/// True if a primary key or unique constraint covers exactly these columns.
fn is_unique<'a>(relation: &Relation, columns: impl Iterator<Item = &'a Ident>) -> bool {
    let wanted: HashSet<&Ident> = columns.collect();
    relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
            let has: HashSet<&Ident> = columns.iter().map(|index| &relation.columns[*index].name).collect();
            has == wanted
        }
        _ => false,
    })
}

/// For each relation, the views that select its columns: view name and base column → the view's columns.
type Selections = HashMap<QualifiedName, BTreeMap<QualifiedName, HashMap<Ident, Vec<Ident>>>>;

fn selections(catalog: &Catalog) -> Selections {
    let mut found: Selections = HashMap::new();
    for relation in catalog.relations.values() {
        let Some(view) = &relation.view else { continue };
        for (column, source) in relation.columns.iter().zip(&view.sources) {
            let Some(source) = source else { continue };
            found
                .entry(source.relation.clone())
                .or_default()
                .entry(relation.name.clone())
                .or_default()
                .entry(source.column.clone())
                .or_default()
                .push(column.name.clone());
        }
    }
    found
}

/// The foreign keys that views inherit: the holder, the target, or both ends replaced by a view of it.
fn keys_through_views(catalog: &Catalog, keys: &[Key]) -> Vec<Key> {
    let views = selections(catalog);
    let mut derived = Vec::new();
    for key in keys {
        let holders = substitutes(&views, &key.holder, key.columns.iter().map(|(column, _)| column));
        let targets = substitutes(&views, &key.target, key.columns.iter().map(|(_, column)| column));
        let own_holder = (
            key.holder.clone(),
            key.columns.iter().map(|(column, _)| column.clone()).collect(),
        );
        let own_target = (
            key.target.clone(),
            key.columns.iter().map(|(_, column)| column.clone()).collect(),
        );
        let all_holders: Vec<&(QualifiedName, Vec<Ident>)> = std::iter::once(&own_holder).chain(&holders).collect();
        let all_targets: Vec<&(QualifiedName, Vec<Ident>)> = std::iter::once(&own_target).chain(&targets).collect();
        for (position, (holder, holder_columns)) in all_holders.iter().enumerate() {
            for (target_position, (target, target_columns)) in all_targets.iter().enumerate() {
                if position == 0 && target_position == 0 {
                    continue;
                }
                derived.push(Key {
                    constraint: key.constraint.clone(),
                    holder: holder.clone(),
                    target: target.clone(),
                    columns: holder_columns
                        .iter()
                        .cloned()
                        .zip(target_columns.iter().cloned())
                        .collect(),
                    unique: key.unique,
                });
            }
        }
    }
    derived
}

/// Every way in which a view shows all of `columns` of `base`.
fn substitutes<'a>(
    views: &Selections,
    base: &QualifiedName,
    columns: impl Iterator<Item = &'a Ident>,
) -> Vec<(QualifiedName, Vec<Ident>)> {
    let columns: Vec<&Ident> = columns.collect();
    let Some(of_base) = views.get(base) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (view, selected) in of_base {
        let mut combinations: Vec<Vec<Ident>> = vec![Vec::new()];
        for column in &columns {
            let choices = selected.get(*column).map(Vec::as_slice).unwrap_or_default();
            combinations = combinations
                .into_iter()
                .flat_map(|head| {
                    choices.iter().map(move |choice| {
                        let mut longer = head.clone();
                        longer.push(choice.clone());
                        longer
                    })
                })
                .take(VIEW_COMBINATIONS_MAX)
                .collect();
        }
        found.extend(combinations.into_iter().map(|columns| (view.clone(), columns)));
    }
    found
}

fn both_ways(catalog: &Catalog, key: &Key) -> Vec<Relationship> {
    let known = |name: &QualifiedName| catalog.relations.contains_key(name);
    if !known(&key.holder) || !known(&key.target) {
        return Vec::new();
    }
    let is_self = key.holder == key.target;
    let flipped: Vec<(Ident, Ident)> = key.columns.iter().map(|(a, b)| (b.clone(), a.clone())).collect();
    let (forward, backward) = if key.unique {
        (
            RelationshipKind::OneToOne {
                constraint: key.constraint.clone(),
                columns: key.columns.clone(),
                is_parent: false,
            },
            RelationshipKind::OneToOne {
                constraint: key.constraint.clone(),
                columns: flipped,
                is_parent: true,
            },
        )
    } else {
        (
            RelationshipKind::ManyToOne {
                constraint: key.constraint.clone(),
                columns: key.columns.clone(),
            },
            RelationshipKind::OneToMany {
                constraint: key.constraint.clone(),
                columns: flipped,
            },
        )
    };
    vec![
        Relationship {
            from: key.holder.clone(),
            to: key.target.clone(),
            kind: forward,
            is_self,
        },
        Relationship {
            from: key.target.clone(),
            to: key.holder.clone(),
            kind: backward,
            is_self,
        },
    ]
}

/// Many-to-many: two foreign keys of one relation whose columns are all in its primary key.
fn through_junctions(catalog: &Catalog, keys: &[Key]) -> Vec<Relationship> {
    let mut by_holder: BTreeMap<&QualifiedName, Vec<&Key>> = BTreeMap::new();
    for key in keys {
        by_holder.entry(&key.holder).or_default().push(key);
    }
    let mut found = Vec::new();
    for (holder, keys) in by_holder {
        let Some(junction) = catalog.relations.get(holder) else {
            continue;
        };
        let primary: HashSet<&Ident> = junction
            .primary_key()
            .iter()
            .map(|index| &junction.columns[*index].name)
            .collect();
        let inside = |key: &Key| !primary.is_empty() && key.columns.iter().all(|(column, _)| primary.contains(column));
        for (position, first) in keys.iter().enumerate() {
            for (other, second) in keys.iter().enumerate() {
                let known =
                    catalog.relations.contains_key(&first.target) && catalog.relations.contains_key(&second.target);
                if position == other || first.columns == second.columns || !inside(first) || !inside(second) || !known {
                    continue;
                }
                let flip = |key: &Key| key.columns.iter().map(|(a, b)| (b.clone(), a.clone())).collect();
                found.push(Relationship {
                    from: first.target.clone(),
                    to: second.target.clone(),
                    is_self: first.target == second.target,
                    kind: RelationshipKind::ManyToMany {
                        junction: holder.clone(),
                        from_constraint: first.constraint.clone(),
                        to_constraint: second.constraint.clone(),
                        from_columns: flip(first),
                        to_columns: flip(second),
                    },
                });
            }
        }
    }
    found
}
