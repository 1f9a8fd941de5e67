//! Tables and views: what a row has, what one is written with, and what may be embedded.

use mainstay_core::catalog::{Column, Identity, Relation, RelationshipKind};
use mainstay_core::name::Ident;
use mainstay_core::types::Type;

use super::Scope;
use super::layout::{Member, Ts};
use super::names::in_order;
use super::routine::Signature;

impl Scope<'_> {
    pub(super) fn relation(&self, relation: &Relation, signatures: &[Signature]) -> Ts {
        let mut members = vec![Member::new("Row", self.row(relation, signatures))];
        if relation.kind.is_view() {
            let write = || {
                let columns = by_name(relation).into_iter();
                Ts::Record(
                    columns
                        .map(|(at, column)| self.written_through(relation, at, column))
                        .collect(),
                )
            };
            if relation.insertable {
                members.push(Member::new("Insert", write()));
            }
            if relation.updatable {
                members.push(Member::new("Update", write()));
            }
        } else {
            let columns = || by_name(relation).into_iter().map(|(_, column)| column);
            let insert = columns().map(|column| self.written(column, column.has_default() || is_serial(column)));
            members.push(Member::new("Insert", Ts::Record(insert.collect())));
            let update = columns().map(|column| self.written(column, true));
            members.push(Member::new("Update", Ts::Record(update.collect())));
        }
        members.push(Member::new("Relationships", Ts::Tuple(self.relationships(relation))));
        Ts::Record(members)
    }

    /// The columns alone, as functions return them.
    pub(super) fn columns(&self, relation: &Relation) -> Vec<Member> {
        let columns = by_name(relation).into_iter();
        columns
            .map(|(_, column)| Member::new(&column.name, self.value(column)))
            .collect()
    }

    /// The columns, then those that are computed by a function of the row without a name.
    fn row(&self, relation: &Relation, signatures: &[Signature]) -> Ts {
        let mut members = self.columns(relation);
        let computed = signatures.iter().filter(|signature| signature.computes(&relation.name));
        members.extend(computed.map(|signature| {
            let value = self.returned(&signature.routine).or_null();
            Member::new(&signature.routine.name.name, value)
        }));
        Ts::Record(members)
    }

    fn value(&self, column: &Column) -> Ts {
        let value = self.spelled(&column.ty);
        match self.is_nullable(column) {
            true => value.or_null(),
            false => value,
        }
    }

    fn is_nullable(&self, column: &Column) -> bool {
        let by_domain = match &column.ty {
            Type::Domain(name, _) => self.catalog.domains.get(name).is_some_and(|domain| domain.not_null),
            _ => false,
        };
        !column.not_null && !by_domain
    }

    /// A table's column in a write.
    fn written(&self, column: &Column, may_be_left_out: bool) -> Member {
        if column.identity == Some(Identity::Always) {
            return Member::optional(&column.name, Ts::word("never"));
        }
        match may_be_left_out || self.is_nullable(column) {
            true => Member::optional(&column.name, self.value(column)),
            false => Member::new(&column.name, self.value(column)),
        }
    }

    /// A view's column in a write: one that shows no column of a table takes no value.
    fn written_through(&self, view: &Relation, at: usize, column: &Column) -> Member {
        let source = view.view.as_ref().and_then(|view| view.sources.get(at));
        match source {
            Some(Some(_)) => Member::optional(&column.name, self.spelled(&column.ty).or_null()),
            _ => Member::optional(&column.name, Ts::word("never")),
        }
    }

    /// The foreign keys that the relation holds, itself or as a view, to relations of its schema.
    fn relationships(&self, relation: &Relation) -> Vec<Ts> {
        let all = self.catalog.relationships_of(&relation.name).iter();
        let mut held: Vec<_> = all
            .filter(|relationship| relationship.to.schema == relation.name.schema)
            .filter_map(|relationship| {
                let (constraint, columns, is_one_to_one) = match &relationship.kind {
                    RelationshipKind::ManyToOne { constraint, columns } => (constraint, columns, false),
                    RelationshipKind::OneToOne {
                        constraint,
                        columns,
                        is_parent: false,
                    } => (constraint, columns, true),
                    _ => return None,
                };
                let (near, far): (Vec<Ident>, Vec<Ident>) = columns.iter().cloned().unzip();
                Some((constraint, near, is_one_to_one, &relationship.to.name, far))
            })
            .collect();
        let listed = |columns: &[Ident]| columns.join("\",\"");
        held.sort_by(|(a, near_a, _, to_a, far_a), (b, near_b, _, to_b, far_b)| {
            in_order(a, b)
                .then_with(|| in_order(to_a, to_b))
                .then_with(|| in_order(&listed(far_a), &listed(far_b)))
                .then_with(|| in_order(&listed(near_a), &listed(near_b)))
        });
        let texts = |columns: &[Ident]| Ts::Tuple(columns.iter().map(|name| Ts::literal(name)).collect());
        let declared = held.into_iter().map(|(constraint, near, is_one_to_one, to, far)| {
            Ts::Record(vec![
                Member::new("foreignKeyName", Ts::literal(constraint)),
                Member::new("columns", texts(&near)),
                Member::new("isOneToOne", Ts::word(is_one_to_one.to_string())),
                Member::new("referencedRelation", Ts::literal(to)),
                Member::new("referencedColumns", texts(&far)),
            ])
        });
        declared.collect()
    }
}

/// The sequence fills it where the embedded engine keeps no text of the default.
fn is_serial(column: &Column) -> bool {
    column.sequence.is_some()
}

fn by_name(relation: &Relation) -> Vec<(usize, &Column)> {
    let mut columns: Vec<_> = relation.columns.iter().enumerate().collect();
    columns.sort_by(|(_, a), (_, b)| in_order(&a.name, &b.name));
    columns
}
