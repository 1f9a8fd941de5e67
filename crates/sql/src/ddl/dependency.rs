//! What depends on what: found by analysing the texts that the catalog keeps.
//!
//! Nothing is stored for it. Dropping and renaming are rare, and a list kept beside the texts could only be wrong.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ConstraintKind, IndexPart, Relation};
use mainstay_core::name::{Ident, QualifiedName};

use super::{Result, spell, walk};
use crate::analyse::Analyser;
use crate::plpgsql;
use crate::session::Session;
use crate::typed::{self, ExprKind, RteId, SequenceCall};

/// Something that can be dropped, or that can stand in the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Object {
    Relation(QualifiedName),
    Column(QualifiedName, Ident),
    Constraint(QualifiedName, Ident),
    Index(QualifiedName, Ident),
    Policy(QualifiedName, Ident),
    Trigger(QualifiedName, Ident),
    Default(QualifiedName, Ident),
    Sequence(QualifiedName),
    Type(QualifiedName),
    Routine(QualifiedName, u64),
    Schema(Ident),
}

/// Where a text is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    View,
    Using(usize),
    WithCheck(usize),
    Check(usize),
    Default(usize),
    Generated(usize),
    /// Index, key.
    IndexKey(usize, usize),
    Predicate(usize),
    When(usize),
}

/// A text that the catalog keeps, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) relation: QualifiedName,
    pub(super) place: Place,
    pub(super) text: String,
}

/// What a text uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) relations: HashSet<QualifiedName>,
    /// Column, and where its reference stands.
    pub(super) columns: Vec<(QualifiedName, Ident, u32)>,
    pub(super) types: HashSet<QualifiedName>,
    pub(super) routines: HashSet<u64>,
    pub(super) sequences: HashSet<QualifiedName>,
    /// References to the relation that an expression stands on: their positions.
    pub(super) own: HashSet<u32>,
}

impl Uses {
    pub(super) fn column(&self, table: &QualifiedName, column: &Ident) -> bool {
        self.columns
            .iter()
            .any(|(relation, name, _)| relation == table && name == column)
    }
}

/// Every text that the catalog keeps, oldest relation first.
pub(super) fn stored(catalog: &Catalog) -> Vec<Stored> {
    let mut relations: Vec<&Arc<Relation>> = catalog.relations.values().collect();
    relations.sort_by_key(|relation| relation.id);
    let mut all = Vec::new();
    for relation in relations {
        let mut add = |place, text: &str| {
            all.push(Stored {
                relation: relation.name.clone(),
                place,
                text: text.to_owned(),
            });
        };
        if let Some(view) = &relation.view {
            add(Place::View, &view.definition);
        }
        for (index, column) in relation.columns.iter().enumerate() {
            column.default.iter().for_each(|text| add(Place::Default(index), text));
            column
                .generated
                .iter()
                .for_each(|text| add(Place::Generated(index), text));
        }
        for (index, constraint) in relation.constraints.iter().enumerate() {
            if let ConstraintKind::Check { expression } = &constraint.kind {
                add(Place::Check(index), expression);
            }
        }
        for (index, entry) in relation.indexes.iter().enumerate() {
            for (key, part) in entry.keys.iter().enumerate() {
                if let IndexPart::Expression(text) = &part.part {
                    add(Place::IndexKey(index, key), text);
                }
            }
            entry
                .predicate
                .iter()
                .for_each(|text| add(Place::Predicate(index), text));
        }
        for (index, policy) in relation.policies.iter().enumerate() {
            policy.using.iter().for_each(|text| add(Place::Using(index), text));
            policy.check.iter().for_each(|text| add(Place::WithCheck(index), text));
        }
        for (index, trigger) in relation.triggers.iter().enumerate() {
            trigger.condition.iter().for_each(|text| add(Place::When(index), text));
        }
    }
    all
}

impl Stored {
    /// What would have to go if something this text uses went.
    pub(super) fn object(&self, catalog: &Catalog) -> Option<Object> {
        let relation = catalog.relations.get(&self.relation)?;
        let name = self.relation.clone();
        Some(match self.place {
            Place::View => Object::Relation(name),
            Place::Using(index) | Place::WithCheck(index) => {
                Object::Policy(name, relation.policies.get(index)?.name.clone())
            }
            Place::Check(index) => Object::Constraint(name, relation.constraints.get(index)?.name.clone()),
            Place::Default(index) => Object::Default(name, relation.columns.get(index)?.name.clone()),
            Place::Generated(index) => Object::Column(name, relation.columns.get(index)?.name.clone()),
            Place::When(index) => Object::Trigger(name, relation.triggers.get(index)?.name.clone()),
            Place::IndexKey(index, _) | Place::Predicate(index) => {
                Object::Index(name, relation.indexes.get(index)?.name.clone())
            }
        })
    }

    /// Analyses the text. Errors: those of the analyser, which for a stored text would be a bug.
    pub(super) fn uses(&self, catalog: &Catalog) -> Result<Uses> {
        let mut uses = Uses::default();
        let Some(analysed) = self.analysed(catalog, false)? else {
            return Ok(uses);
        };
        let mut entries = HashMap::new();
        let mut own = None;
        if let (Analysed::Expression(bound), Some(relation)) = (&analysed, catalog.relations.get(&self.relation))
            && let Some(rte) = bound.rte
        {
            entries.insert(rte, relation.clone());
            own = Some(rte);
        }
        analysed.walk(&mut |place| collect(place, catalog, &mut entries, &mut uses));
        // Entries may be met after the columns that name them.
        analysed.walk(&mut |place| columns(place, &entries, own, &mut uses));
        if let (Place::When(_), Some(relation)) = (&self.place, catalog.relations.get(&self.relation)) {
            analysed.walk(&mut |place| row_columns(place, relation, &mut uses));
        }
        Ok(uses)
    }

    /// The text's typed tree; `None` if its relation has gone. `assigned`: cast to the type of its column, if it is a
    /// column's.
    pub(super) fn analysed(&self, catalog: &Catalog, assigned: bool) -> Result<Option<Analysed>> {
        let Some(relation) = catalog.relations.get(&self.relation) else {
            return Ok(None);
        };
        let path = relation
            .view
            .as_ref()
            .map(|view| view.search_path.clone())
            .unwrap_or_default();
        let session = Session::new(relation.owner.clone(), path);
        let mut analyser = Analyser::new(catalog, &session);
        if let Place::When(_) = self.place {
            analyser = analyser.with_variables(plpgsql::condition(relation));
        }
        if self.place == Place::View {
            let query = analyser.query(&spell::parse_query(&self.text)?)?;
            return Ok(Some(Analysed::Query(Box::new(query))));
        }
        let expected = match self.place {
            Place::Default(index) | Place::Generated(index) if assigned => {
                relation.columns.get(index).map(|column| (&column.ty, column.modifier))
            }
            _ => None,
        };
        let over = (!matches!(self.place, Place::Default(_) | Place::When(_))).then_some(relation);
        let bound = analyser.expression(&self.text, over, expected)?;
        Ok(Some(Analysed::Expression(bound)))
    }
}

/// A kept text that names `table` and that reads other columns after a change than it did before, or cannot be read.
pub(super) fn misread(before: &Catalog, after: &Catalog, table: &Ident) -> Result<Option<Stored>> {
    let columns = |stored: &Stored, catalog: &Catalog| -> Result<Vec<(QualifiedName, Ident, u32)>> {
        let mut columns = stored.uses(catalog)?.columns;
        columns.sort();
        Ok(columns)
    };
    for stored in stored(before) {
        if stored.text.contains(table.as_str()) {
            let was = columns(&stored, before)?;
            if columns(&stored, after).ok().as_ref() != Some(&was) {
                return Ok(Some(stored));
            }
        }
    }
    Ok(None)
}

/// What a kept text means.
pub(super) enum Analysed {
    Query(Box<typed::Query>),
    Expression(typed::BoundExpression),
}

impl Analysed {
    /// Every place of the tree.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(walk::Typed<'a>)) {
        match self {
            Analysed::Query(query) => walk::typed_query(query, visit),
            Analysed::Expression(bound) => walk::typed_expr(&bound.expr, visit),
        }
    }
}

fn collect(place: walk::Typed<'_>, catalog: &Catalog, entries: &mut HashMap<RteId, Arc<Relation>>, uses: &mut Uses) {
    match place {
        walk::Typed::From(typed::FromItem::Relation { rte, relation, .. }) => {
            entries.insert(*rte, relation.clone());
            uses.relations.insert(relation.name.clone());
        }
        walk::Typed::From(typed::FromItem::Function { rte, call, .. }) => {
            let routine = match call {
                typed::TableFunction::Routine(call) => &call.routine,
                typed::TableFunction::Run(run) => &run.routine,
                typed::TableFunction::Set { .. } | typed::TableFunction::Scalar(_) => return,
            };
            uses.routines.insert(routine.id);
            // Its columns are those of the relation whose rows it gives.
            let row_type = routine.returns.relation.as_ref();
            if let Some(relation) = row_type.and_then(|name| catalog.relations.get(name)) {
                entries.insert(*rte, relation.clone());
            }
        }
        walk::Typed::Expr(expr) => match &expr.kind {
            ExprKind::Cast { .. } | ExprKind::Literal(_) => {
                expr.ty.each_named(&mut |name| {
                    uses.types.insert(name.clone());
                });
            }
            ExprKind::Routine(call) => {
                uses.routines.insert(call.routine.id);
            }
            ExprKind::Run(run) => {
                uses.routines.insert(run.routine.id);
            }
            ExprKind::Sequence(call) => match &**call {
                SequenceCall::NextVal(sequence)
                | SequenceCall::CurrVal(sequence)
                | SequenceCall::SetVal { sequence, .. } => {
                    uses.sequences.insert(sequence.name.clone());
                }
                SequenceCall::LastVal => {}
            },
            _ => {}
        },
        _ => {}
    }
}

/// The columns that a trigger's condition takes of NEW and OLD.
fn row_columns(place: walk::Typed<'_>, relation: &Relation, uses: &mut Uses) {
    if let walk::Typed::Expr(typed::Expr {
        kind: ExprKind::Parameter(number),
        position,
        ..
    }) = place
        && let Some(column) = relation.columns.get(*number % relation.columns.len().max(1))
    {
        uses.columns
            .push((relation.name.clone(), column.name.clone(), *position));
    }
}

fn columns(place: walk::Typed<'_>, entries: &HashMap<RteId, Arc<Relation>>, own: Option<RteId>, uses: &mut Uses) {
    let walk::Typed::Expr(typed::Expr {
        kind: ExprKind::Column { rte, column },
        position,
        ..
    }) = place
    else {
        return;
    };
    if own == Some(*rte) {
        uses.own.insert(*position);
    }
    let Some(relation) = entries.get(rte) else { return };
    if let Some(found) = relation.columns.get(*column) {
        uses.columns
            .push((relation.name.clone(), found.name.clone(), *position));
    }
}
