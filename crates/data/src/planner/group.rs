//! Reads with aggregates: what rows are grouped by, and what is told of each group.
//!
//! The fields of a to-one spread are as good as the row's own, so its aggregates are taken over the rows that it is
//! spread into, and its other fields are grouped by there.
//!
//! Source: PostgREST documentation, "Aggregate Functions".

use mainstay_core::catalog::Relation;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::plan::{
    Aggregate, AggregateFunction, Base, EmbedIndex, Field, GroupMember, GroupOrder, GroupValue, Grouping,
};

use super::embed::Joined;
use super::read::{DraftEmbed, Place, Reads, Resolver, qualifier, shown_name};
use crate::error::Error;
use crate::request::syntax::{FieldRef, OrderTerm, SelectItem};

/// True if the level has an aggregate, or a to-one spread in it has.
pub(super) fn is_grouped(joined: &Joined<'_>) -> bool {
    let own = joined
        .branch
        .fields
        .iter()
        .any(|item| is_aggregate(item, &joined.relation));
    own || joined.children.iter().any(|child| is_part(child) && is_grouped(child))
}

/// A to-one spread is a part of its parent's rows.
fn is_part(child: &Joined<'_>) -> bool {
    child.branch.is_spread && child.relationship.as_ref().is_some_and(|found| found.is_to_one())
}

/// `count()`, and `count` where no column has that name.
fn is_aggregate(item: &SelectItem, relation: &Relation) -> bool {
    match item {
        SelectItem::Aggregate { .. } => true,
        SelectItem::Field { field, .. } => is_count(field, relation),
        _ => false,
    }
}

fn is_count(field: &FieldRef, relation: &Relation) -> bool {
    field.name == "count" && field.path.is_empty() && relation.column("count").is_none()
}

/// What a member was written as, for sort keys to find it by.
struct Written<'j> {
    field: Option<&'j FieldRef>,
    alias: Option<&'j str>,
}

/// The members found so far.
#[derive(Default)]
struct Members<'j> {
    members: Vec<GroupMember>,
    written: Vec<Written<'j>>,
}

impl<'j> Members<'j> {
    fn push(&mut self, name: Ident, path: &[EmbedIndex], value: GroupValue, written: Written<'j>) {
        self.members.push(GroupMember {
            name: Some(name),
            path: path.to_vec(),
            value,
        });
        self.written.push(written);
    }

    /// The member at `path` that is the field, or is called like it.
    fn find(&self, path: &[EmbedIndex], field: &FieldRef) -> Option<usize> {
        let is_key = |index: &usize| {
            let member = &self.members[*index];
            member.path == path && matches!(member.value, GroupValue::Field { cast: None, .. })
        };
        let keys = || (0..self.members.len()).filter(is_key);
        keys()
            .find(|index| self.written[*index].field == Some(field))
            .or_else(|| keys().find(|index| field.path.is_empty() && self.written[*index].alias == Some(&field.name)))
    }
}

impl Resolver<'_> {
    /// The groups of a level. Errors: as for its fields; 42803 for a sort key that is neither grouped by nor an aggregate.
    pub(super) fn grouping(
        &mut self,
        joined: &Joined<'_>,
        needs: &mut Reads,
        embeds: &mut [DraftEmbed],
    ) -> Result<Grouping, Error> {
        if !self.aggregates_enabled {
            return Err(Error::Aggregates);
        }
        let mut found = Members::default();
        self.members(joined, needs, embeds, &mut Vec::new(), &mut found)?;
        let mut order = Vec::with_capacity(joined.branch.order.len());
        for term in &joined.branch.order {
            let member = self.sorted_by(joined, term, needs, &mut found)?;
            order.push(GroupOrder {
                member,
                descending: term.is_descending,
                nulls_first: term.nulls_first,
            });
        }
        Ok(Grouping {
            members: found.members,
            order,
        })
    }

    fn members<'j>(
        &mut self,
        joined: &Joined<'j>,
        needs: &mut Reads,
        embeds: &mut [DraftEmbed],
        path: &mut Vec<EmbedIndex>,
        found: &mut Members<'j>,
    ) -> Result<(), Error> {
        let relation = joined.relation.clone();
        let place = Place {
            relation: &relation,
            qualifier: qualifier(joined),
        };
        for item in &joined.branch.fields {
            match item {
                SelectItem::All => {
                    for (index, column) in relation.columns.iter().enumerate() {
                        needs.columns.insert(index);
                        let field = Field::column(index);
                        let written = Written {
                            field: None,
                            alias: None,
                        };
                        found.push(
                            column.name.clone(),
                            path,
                            GroupValue::Field { field, cast: None },
                            written,
                        );
                    }
                }
                SelectItem::Field { field, alias, .. } if is_count(field, &relation) => {
                    let name = Ident::new(alias.as_deref().unwrap_or("count"));
                    let aggregate = Aggregate {
                        function: AggregateFunction::Count,
                        over: None,
                        cast: None,
                    };
                    let written = Written {
                        field: None,
                        alias: None,
                    };
                    found.push(name, path, GroupValue::Aggregate(aggregate), written);
                }
                SelectItem::Field { field, cast, alias } => {
                    let resolved = self.field(&place, field, needs)?;
                    let name = match alias {
                        Some(alias) => Ident::new(alias),
                        None => shown_name(field, &relation, &resolved.base),
                    };
                    let cast = cast.as_deref().map(|cast| self.cast(cast)).transpose()?;
                    let written = Written {
                        field: Some(field),
                        alias: alias.as_deref(),
                    };
                    found.push(name, path, GroupValue::Field { field: resolved, cast }, written);
                }
                SelectItem::Aggregate {
                    function,
                    over,
                    cast,
                    alias,
                } => {
                    let over = match over {
                        Some((field, cast)) => {
                            let cast = cast.as_deref().map(|cast| self.cast(cast)).transpose()?;
                            Some((self.field(&place, field, needs)?, cast))
                        }
                        None => None,
                    };
                    let aggregate = Aggregate {
                        function: *function,
                        over,
                        cast: cast.as_deref().map(|cast| self.cast(cast)).transpose()?,
                    };
                    let name = Ident::new(alias.as_deref().unwrap_or(function.name()));
                    let written = Written {
                        field: None,
                        alias: None,
                    };
                    found.push(name, path, GroupValue::Aggregate(aggregate), written);
                }
                SelectItem::Embed(_) => {}
            }
        }
        for (index, child) in joined.children.iter().enumerate() {
            if child.branch.is_empty() {
                continue;
            }
            if child.branch.is_spread {
                let draft = &mut embeds[index].draft;
                path.push(index);
                self.members(child, &mut draft.needs, &mut draft.embeds, path, found)?;
                path.pop();
            } else {
                let written = Written {
                    field: None,
                    alias: None,
                };
                found.push(Ident::new(child.branch.key()), path, GroupValue::Embed(index), written);
            }
        }
        Ok(())
    }

    /// The member that a sort key means; where the primary key is grouped by, any column may be sorted by.
    fn sorted_by(
        &mut self,
        joined: &Joined<'_>,
        term: &OrderTerm,
        needs: &mut Reads,
        found: &mut Members<'_>,
    ) -> Result<usize, Error> {
        let relation = &joined.relation;
        let path = match &term.relation {
            None => Vec::new(),
            Some(wanted) => {
                let index = joined.children.iter().position(|child| child.branch.key() == wanted);
                vec![index.ok_or_else(|| Error::NotEmbedded {
                    target: wanted.clone(),
                    renamed: None,
                })?]
            }
        };
        if let Some(member) = found.find(&path, &term.field) {
            return Ok(member);
        }
        let at = path.first().map_or(joined, |index| &joined.children[*index]);
        let place = Place {
            relation: &at.relation,
            qualifier: qualifier(at),
        };
        let mut unused = Reads::default();
        let reads = if path.is_empty() { needs } else { &mut unused };
        let field = self.field(&place, &term.field, reads)?;
        let is_grouped_by = |column: &usize| {
            found.members.iter().any(|member| {
                member.path.is_empty()
                    && matches!(&member.value, GroupValue::Field { field, cast: None }
                        if field.path.is_empty() && field.base == Base::Column(*column))
            })
        };
        let key = relation.primary_key();
        if path.is_empty() && !key.is_empty() && key.iter().all(is_grouped_by) {
            found.members.push(GroupMember {
                name: None,
                path,
                value: GroupValue::Field { field, cast: None },
            });
            found.written.push(Written {
                field: None,
                alias: None,
            });
            return Ok(found.members.len() - 1);
        }
        Err(DatabaseError::new(
            "42803",
            format!(
                "column \"{}.{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                place.qualifier, term.field.name
            ),
        )
        .into())
    }
}
