//! Resolves a joined tree against its relations' columns, asks leave for what it uses, and makes the read of it.
//!
//! Two steps, because names are looked up before rights are: a misspelt column is told before a forbidden one, as the
//! database does it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ColumnIndex, Enforcement, Relation, Relationship, RelationshipKind, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::keyset::{self, Key};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{
    Base, Cardinality, Cast, ComputedColumn, Count, Embed, EmbedIndex, Field, Grouping, IsValue, JsonStep, Operator,
    Order, OrderTarget, Output, Paging, Position, Predicate, Read, Source, Value,
};
use mainstay_core::policy::{Access, Needs};
use mainstay_core::types::Type;

use super::embed::Joined;
use super::group;
use super::leave::Leave;
use super::suggest;
use super::template::{Form, Template, WindowRef};
use super::tree::Condition;
use crate::error::Error;
use crate::paging::{Page, Part};
use crate::request::range::{Window, Windows};
use crate::request::syntax::{FieldRef, Filter, LogicOperator, LogicTree, Operation, PathOperand, SelectItem};

/// Arrows in one JSON path.
const JSON_STEPS_MAX: usize = 64;

/// What resolving needs to know.
pub struct Resolver<'a> {
    pub catalog: &'a Catalog,
    pub schema: &'a Ident,
    pub extra_search_path: &'a [Ident],
    pub windows: &'a Windows,
    pub max_rows: Option<u64>,
    pub aggregates_enabled: bool,
    pub template: Template,
}

/// A read whose names are resolved and whose rights are not yet asked for.
#[derive(Debug)]
pub struct Draft {
    pub relation: Arc<Relation>,
    pub needs: Reads,
    output: Vec<Output>,
    pub(super) embeds: Vec<DraftEmbed>,
    filter: Option<Predicate>,
    order: Vec<Order>,
    limit: Option<usize>,
    offset: Option<usize>,
    grouping: Option<Box<Grouping>>,
    paging: Option<Paging>,
}

/// What a level's rows are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Itself,
    /// They are a part of their parent's groups.
    Nothing,
}

/// What one level of a read looks at.
#[derive(Debug, Default)]
pub struct Reads {
    /// Columns read anywhere.
    pub columns: BTreeSet<ColumnIndex>,
    /// Routines of the row.
    pub routines: Vec<Arc<Routine>>,
}

impl Reads {
    /// A routine of the row, which is given every column.
    fn call(&mut self, relation: &Relation, routine: &Arc<Routine>) {
        self.columns.extend(0..relation.columns.len());
        self.routines.push(routine.clone());
    }

    /// Asks leave for the routines. Errors: 42501.
    pub fn authorize(&self, leave: &Leave<'_>) -> Result<(), Error> {
        self.routines.iter().try_for_each(|routine| leave.routine(routine))
    }
}

#[derive(Debug)]
pub(super) struct DraftEmbed {
    name: Ident,
    relationship: Arc<Relationship>,
    junction: Option<(Arc<Relation>, Vec<ColumnIndex>)>,
    cardinality: Cardinality,
    inner: bool,
    pub(super) draft: Draft,
}

impl Draft {
    /// Asks leave for every relation and makes the read. `root`: leave for the root, where it was asked for already.
    ///
    /// Errors: 42501.
    pub fn authorize(self, leave: &Leave<'_>, root: Option<Access>) -> Result<Read, Error> {
        self.authorize_at(leave, &mut Vec::new(), root)
    }

    fn authorize_at(self, leave: &Leave<'_>, path: &mut Vec<Ident>, known: Option<Access>) -> Result<Read, Error> {
        let access = match known {
            Some(access) => access,
            None => {
                let needs = Needs {
                    select: self.needs.columns.iter().copied().collect(),
                    select_any: true,
                    ..Needs::default()
                };
                leave.relation(path, &self.relation, needs, false)?
            }
        };
        self.needs.authorize(leave)?;
        let mut embeds = Vec::with_capacity(self.embeds.len());
        for embed in self.embeds {
            path.push(embed.name.clone());
            let junction = match embed.junction {
                Some((relation, columns)) => {
                    let needs = Needs {
                        select: columns,
                        select_any: true,
                        ..Needs::default()
                    };
                    let access = leave.relation(path, &relation, needs, true)?;
                    Some(Source { relation, access })
                }
                None => None,
            };
            embeds.push(Embed {
                name: embed.name,
                relationship: embed.relationship,
                junction,
                cardinality: embed.cardinality,
                inner: embed.inner,
                read: embed.draft.authorize_at(leave, path, None)?,
            });
            path.pop();
        }
        Ok(Read {
            source: Source {
                relation: self.relation,
                access,
            },
            output: self.output,
            embeds,
            filter: self.filter,
            order: self.order,
            limit: self.limit,
            offset: self.offset,
            count: Count::None,
            grouping: self.grouping,
            paging: self.paging,
        })
    }
}

impl Resolver<'_> {
    /// Resolves a tree.
    ///
    /// Errors: 42703, 42704, `PGRST108`, `PGRST118`, `PGRST123`.
    pub fn draft(&mut self, joined: &Joined<'_>) -> Result<Draft, Error> {
        self.check(joined)?;
        self.level(joined, Shows::Itself)
    }

    /// What is refused before any column is looked up.
    fn check(&self, joined: &Joined<'_>) -> Result<(), Error> {
        for term in &joined.branch.order {
            let Some(wanted) = &term.relation else { continue };
            match joined.children.iter().find(|child| child.branch.key() == wanted) {
                None => {
                    return Err(Error::NotEmbedded {
                        target: wanted.clone(),
                        renamed: None,
                    });
                }
                Some(child) if !child.relationship.as_ref().is_some_and(|found| found.is_to_one()) => {
                    return Err(Error::RelatedOrder {
                        origin: joined.relation.name.name.clone(),
                        target: wanted.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        let has_aggregates = joined
            .branch
            .fields
            .iter()
            .any(|field| matches!(field, SelectItem::Aggregate { .. }));
        if has_aggregates && !self.aggregates_enabled {
            return Err(Error::Aggregates);
        }
        let is_to_many = joined.relationship.as_ref().is_some_and(|found| !found.is_to_one());
        if joined.branch.is_spread && is_to_many && group::is_grouped(joined) {
            return Err(Error::NotImplemented(
                "Aggregates are not implemented for one-to-many or many-to-many spreads.".into(),
            ));
        }
        joined.children.iter().try_for_each(|child| self.check(child))
    }

    fn level(&mut self, joined: &Joined<'_>, shows: Shows) -> Result<Draft, Error> {
        let branch = joined.branch;
        let relation = joined.relation.clone();
        let place = Place {
            relation: &relation,
            qualifier: qualifier(joined),
        };
        let is_grouped = shows == Shows::Itself && group::is_grouped(joined);
        let is_shown = shows == Shows::Itself && !is_grouped;
        let mut needs = Reads::default();
        let mut output = Vec::new();
        let shows_all = branch.depth == 0 && branch.fields.is_empty() && branch.children.is_empty();
        if shows_all {
            all_columns(&relation, &mut output, &mut needs);
        }
        for item in branch.fields.iter().filter(|_| is_shown) {
            match item {
                SelectItem::All => all_columns(&relation, &mut output, &mut needs),
                SelectItem::Field { field, cast, alias } => {
                    let resolved = self.field(&place, field, &mut needs)?;
                    let name = match alias {
                        Some(alias) => Ident::new(alias),
                        None => shown_name(field, &relation, &resolved.base),
                    };
                    let cast = cast.as_deref().map(|cast| self.cast(cast)).transpose()?;
                    output.push(Output::Column {
                        name,
                        field: resolved,
                        cast,
                    });
                }
                SelectItem::Aggregate { .. } | SelectItem::Embed(_) => {}
            }
        }
        let mut embeds = Vec::with_capacity(joined.children.len());
        for (position, child) in joined.children.iter().enumerate() {
            if is_shown && !child.branch.is_empty() {
                output.push(if child.branch.is_spread {
                    Output::Spread { embed: position }
                } else {
                    Output::Embed {
                        name: Ident::new(child.branch.key()),
                        embed: position,
                    }
                });
            }
            let is_part = child.branch.is_spread && (is_grouped || shows == Shows::Nothing);
            let shows = if is_part { Shows::Nothing } else { Shows::Itself };
            embeds.push(self.embed(&relation, child, shows, &mut needs)?);
        }
        let filter = self.conditions(&place, joined, &branch.conditions, &mut needs)?;
        let grouping = match is_grouped {
            true => Some(Box::new(self.grouping(joined, &mut needs, &mut embeds)?)),
            false => None,
        };
        let mut order = Vec::with_capacity(branch.order.len());
        for term in branch.order.iter().filter(|_| !is_grouped) {
            let target = match &term.relation {
                None => OrderTarget::Field(self.field(&place, &term.field, &mut needs)?),
                Some(wanted) => {
                    let position = child_named(joined, wanted).ok_or_else(|| Error::NotEmbedded {
                        target: wanted.clone(),
                        renamed: None,
                    })?;
                    let child = &joined.children[position];
                    let place = Place {
                        relation: &child.relation,
                        qualifier: related_qualifier(&relation, child),
                    };
                    let field = self.field(&place, &term.field, &mut embeds[position].draft.needs)?;
                    OrderTarget::Related { embed: position, field }
                }
            };
            order.push(Order {
                target,
                descending: term.is_descending,
                nulls_first: term.nulls_first,
            });
        }
        let (limit, offset) = self.window(joined);
        Ok(Draft {
            relation,
            needs,
            output,
            embeds,
            filter,
            order,
            limit,
            offset,
            grouping,
            paging: None,
        })
    }

    /// Makes pages of the root's rows: the order ends with a key, so that each row has a place of its own.
    ///
    /// `whole`: by one statement. True: there is a rest for another.
    ///
    /// Errors: `MS-DATA-013`, `MS-DATA-014`.
    pub fn paged(&mut self, mut draft: Draft, page: &Page, whole: bool) -> Result<(Draft, bool), Error> {
        if draft.grouping.is_some() {
            return Err(Error::NotPaged("groups"));
        }
        let relation = draft.relation.clone();
        let mut missing = relation.unique_key().to_vec();
        if missing.is_empty() {
            return Err(Error::NotPaged("a table or view without a key"));
        }
        let column_of = |order: &Order| match &order.target {
            OrderTarget::Field(field) if field.path.is_empty() => field.base.column(),
            _ => None,
        };
        // What is sorted by after a whole key changes nothing.
        let mut end = draft.order.len();
        for (position, order) in draft.order.iter().enumerate() {
            missing.retain(|column| column_of(order) != Some(*column));
            if missing.is_empty() {
                end = position + 1;
                break;
            }
        }
        draft.order.truncate(end);
        // In the last key's direction, so that one index may serve both.
        let descending = draft.order.last().is_some_and(|order| order.descending);
        for column in missing {
            draft.needs.columns.insert(column);
            draft.order.push(Order {
                target: OrderTarget::Field(Field::column(column)),
                descending,
                nulls_first: None,
            });
        }
        let keys: Vec<Key> = draft
            .order
            .iter()
            .map(|order| Key {
                descending: order.descending,
                nulls_first: order.nulls_first.unwrap_or(order.descending),
                may_be_null: column_of(order).is_none_or(|column| {
                    !relation.columns[column].not_null && !relation.unique_key().contains(&column)
                }),
            })
            .collect();
        let mut has_rest = false;
        let after = match &page.after {
            None => None,
            // The table has another key by now.
            Some(place) if place.nulls.len() != keys.len() => return Err(Error::Cursor),
            Some(place) => {
                let mut slot = place.first_slot;
                let values = place.nulls.iter().map(|is_null| {
                    (!is_null).then(|| {
                        slot += 1;
                        self.template.slot(slot - 1)
                    })
                });
                let values = values.collect();
                let condition = match (keyset::parts(&keys, &place.nulls), page.part) {
                    ((first, None), _) => first,
                    (_, Part::First) if whole => keyset::after(&keys, &place.nulls),
                    ((first, Some(_)), Part::First) => {
                        has_rest = true;
                        first
                    }
                    ((_, Some(rest)), Part::Rest) => rest,
                };
                Some(Position { values, condition })
            }
        };
        if let Some(limit) = draft.limit {
            self.template.page_limit(limit);
        }
        draft.paging = Some(Paging { after });
        Ok((draft, has_rest))
    }

    fn window(&mut self, joined: &Joined<'_>) -> (Option<usize>, Option<usize>) {
        let is_to_one = joined
            .relationship
            .as_ref()
            .is_some_and(|relationship| relationship.is_to_one());
        let (at, own) = match joined.branch.window {
            Some(WindowRef::Embed(position)) => (
                WindowRef::Embed(position),
                self.windows
                    .embeds
                    .get(position)
                    .map(|(_, window)| *window)
                    .unwrap_or_default(),
            ),
            Some(at) => (at, self.windows.root),
            None => (WindowRef::General, Window::default()),
        };
        let cap = if is_to_one { None } else { self.max_rows };
        let window = own.capped(cap);
        let limit = window.limit.is_some().then(|| self.template.limit(at));
        let offset = (window.offset > 0).then(|| self.template.offset(at));
        (limit, offset)
    }

    fn embed(
        &mut self,
        parent: &Arc<Relation>,
        child: &Joined<'_>,
        shows: Shows,
        parent_needs: &mut Reads,
    ) -> Result<DraftEmbed, Error> {
        let relationship = child
            .relationship
            .clone()
            .ok_or_else(|| internal("an embed without a relationship"))?;
        let mut draft = self.level(child, shows)?;
        let mut junction = None;
        match &relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => {
                for (near, far) in columns {
                    parent_needs.columns.insert(position(parent, near)?);
                    draft.needs.columns.insert(position(&child.relation, far)?);
                }
            }
            RelationshipKind::ManyToMany {
                junction: name,
                from_columns,
                to_columns,
                ..
            } => {
                let relation = self
                    .catalog
                    .relation(name)
                    .cloned()
                    .ok_or_else(|| internal("a junction that is gone"))?;
                let mut columns = Vec::new();
                for (near, between) in from_columns {
                    parent_needs.columns.insert(position(parent, near)?);
                    columns.push(position(&relation, between)?);
                }
                for (far, between) in to_columns {
                    draft.needs.columns.insert(position(&child.relation, far)?);
                    columns.push(position(&relation, between)?);
                }
                junction = Some((relation, columns));
            }
            RelationshipKind::Computed { routine: name, .. } => {
                let overloads = self.catalog.routines.get(name).map(Vec::as_slice).unwrap_or_default();
                let routine = overloads
                    .iter()
                    .find(|routine| routine.row_argument() == Some(&parent.name))
                    .ok_or_else(|| internal("a computed relationship whose routine is gone"))?;
                parent_needs.call(parent, routine);
            }
        }
        let cardinality = if relationship.is_to_one() {
            Cardinality::One
        } else {
            Cardinality::Many
        };
        Ok(DraftEmbed {
            name: Ident::new(child.branch.key()),
            relationship,
            junction,
            cardinality,
            inner: child.branch.is_inner,
            draft,
        })
    }

    /// The filter of one level: all of its conditions.
    pub fn conditions(
        &mut self,
        place: &Place<'_>,
        joined: &Joined<'_>,
        conditions: &[Condition],
        needs: &mut Reads,
    ) -> Result<Option<Predicate>, Error> {
        let mut all = Vec::with_capacity(conditions.len());
        for condition in conditions {
            all.push(match condition {
                Condition::Filter(filter) => self.filter(place, Some(joined), filter, needs)?,
                Condition::Logic(tree) => self.logic(place, Some(joined), tree, needs)?,
            });
        }
        Ok(both(all))
    }

    /// One tree of filters. `joined`: where embeds may be named; a write has none.
    pub fn logic(
        &mut self,
        place: &Place<'_>,
        joined: Option<&Joined<'_>>,
        tree: &LogicTree,
        needs: &mut Reads,
    ) -> Result<Predicate, Error> {
        match tree {
            LogicTree::Filter(filter) => self.filter(place, joined, filter, needs),
            LogicTree::Group {
                is_negated,
                operator,
                members,
            } => {
                let mut all = Vec::with_capacity(members.len());
                for member in members {
                    all.push(self.logic(place, joined, member, needs)?);
                }
                let group = match operator {
                    LogicOperator::And => Predicate::And(all),
                    LogicOperator::Or => Predicate::Or(all),
                };
                Ok(negated(*is_negated, group))
            }
        }
    }

    /// One filter.
    pub fn filter(
        &mut self,
        place: &Place<'_>,
        joined: Option<&Joined<'_>>,
        filter: &Filter,
        needs: &mut Reads,
    ) -> Result<Predicate, Error> {
        if let (Operation::Is(IsValue::Null), true, Some(joined)) =
            (&filter.operation, filter.field.path.is_empty(), joined)
            && let Some(embed) = child_named(joined, &filter.field.name)
        {
            return Ok(negated(filter.is_negated, Predicate::EmbedIsNull(embed)));
        }
        let field = self.field(place, &filter.field, needs)?;
        let predicate = match &filter.operation {
            Operation::Compare {
                operator,
                quantifier,
                value,
            } => {
                let is_pattern = matches!(operator, Operator::Like | Operator::Ilike);
                match quantifier {
                    None => {
                        let form = if is_pattern { Form::Pattern } else { Form::Text };
                        Predicate::Compare {
                            field,
                            operator: *operator,
                            value: self.template.operand(value, form),
                        }
                    }
                    Some(quantifier) => {
                        let form = if is_pattern {
                            Form::PatternArray(*quantifier)
                        } else {
                            Form::Array(*quantifier)
                        };
                        Predicate::Quantified {
                            field,
                            operator: *operator,
                            quantifier: *quantifier,
                            values: self.template.operand(value, form),
                        }
                    }
                }
            }
            Operation::In(values) => Predicate::In {
                field,
                values: self.template.operand(values, Form::List),
            },
            Operation::Is(what) => Predicate::Is { field, what: *what },
            Operation::IsDistinct(value) => Predicate::IsDistinct {
                field,
                value: self.template.operand(value, Form::Text),
            },
            Operation::FullText { query, language, value } => {
                let language = language
                    .clone()
                    .map(|language| self.template.constant(Value::Text(language)));
                let value = self.template.operand(value, Form::Text);
                Predicate::FullText {
                    field,
                    query: *query,
                    language,
                    value,
                }
            }
        };
        Ok(negated(filter.is_negated, predicate))
    }

    pub(super) fn field(&mut self, place: &Place<'_>, field: &FieldRef, needs: &mut Reads) -> Result<Field, Error> {
        let base = match place.relation.column(&field.name) {
            Some((column, _)) => {
                needs.columns.insert(column);
                Base::Column(column)
            }
            None => {
                let path: Vec<&Ident> = std::iter::once(self.schema).chain(self.extra_search_path).collect();
                let routine = self
                    .catalog
                    .computed_column(&path, &place.relation.name, &field.name)
                    .ok_or_else(|| missing_column(place.relation, &place.qualifier, &field.name))?;
                needs.call(place.relation, routine);
                Base::Computed(Arc::new(ComputedColumn {
                    routine: routine.name.clone(),
                    ty: routine.returns.ty.clone(),
                }))
            }
        };
        if field.path.len() > JSON_STEPS_MAX {
            return Err(Error::TooDeep { what: "a JSON path" });
        }
        let mut path = Vec::with_capacity(field.path.len());
        for step in &field.path {
            path.push(match &step.operand {
                PathOperand::Key(key) => JsonStep::Key(self.template.constant(Value::Text(key.clone()))),
                PathOperand::Index(digits) => {
                    let index: i32 = digits.parse().map_err(|_| {
                        DatabaseError::new("22003", format!("value \"{digits}\" is out of range for type integer"))
                    })?;
                    JsonStep::Index(self.template.constant(Value::Integer(i64::from(index))))
                }
            });
        }
        // Only the last arrow decides what comes out; `->>` before others is refused by the database, as text has no
        // members.
        if field.path.iter().rev().skip(1).any(|step| step.as_text) {
            return Err(DatabaseError::new("42883", "operator does not exist: text -> unknown")
                .hint(
                    "No operator matches the given name and argument types. You might need to add explicit type casts.",
                )
                .into());
        }
        Ok(Field {
            base,
            path,
            as_text: field.path.last().is_some_and(|step| step.as_text),
        })
    }

    pub(super) fn cast(&self, name: &str) -> Result<Cast, Error> {
        let name = name.to_lowercase();
        let ty = Type::from_builtin_name(&name).or_else(|| {
            std::iter::once(self.schema)
                .chain(self.extra_search_path)
                .find_map(|schema| {
                    let qualified = QualifiedName::new(schema.clone(), name.as_str());
                    if let Some(domain) = self.catalog.domains.get(&qualified) {
                        return Some(Type::Domain(qualified, Box::new(domain.base.clone())));
                    }
                    self.catalog
                        .enums
                        .contains_key(&qualified)
                        .then_some(Type::Enum(qualified))
                })
        });
        if ty.is_none() && self.catalog.enforcement == Enforcement::Catalog {
            return Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")).into());
        }
        Ok(Cast { name, ty })
    }
}

/// A relation, and what messages call it.
#[derive(Debug)]
pub struct Place<'a> {
    pub relation: &'a Relation,
    pub qualifier: String,
}

pub(super) fn all_columns(relation: &Relation, output: &mut Vec<Output>, needs: &mut Reads) {
    for (index, column) in relation.columns.iter().enumerate() {
        needs.columns.insert(index);
        output.push(Output::Column {
            name: column.name.clone(),
            field: Field::column(index),
            cast: None,
        });
    }
}

/// The key of a selected field without an alias: the last key of its path, or the column's name.
pub(super) fn shown_name(field: &FieldRef, relation: &Relation, base: &Base) -> Ident {
    let key = field.path.iter().rev().find_map(|step| match &step.operand {
        PathOperand::Key(key) => Some(Ident::new(key)),
        PathOperand::Index(_) => None,
    });
    key.unwrap_or_else(|| match base {
        Base::Column(column) => relation.columns[*column].name.clone(),
        Base::Computed(computed) => computed.routine.name.clone(),
    })
}

fn child_named(joined: &Joined<'_>, name: &str) -> Option<EmbedIndex> {
    joined.children.iter().position(|child| child.branch.key() == name)
}

/// What PostgREST's SQL calls a level, and with it the database's messages.
pub(super) fn qualifier(joined: &Joined<'_>) -> String {
    let name = &joined.relation.name.name;
    match joined.relationship.as_deref().map(|relationship| &relationship.kind) {
        None | Some(RelationshipKind::ManyToMany { .. } | RelationshipKind::Computed { .. }) => name.to_string(),
        Some(_) => format!("{name}_{}", joined.branch.depth),
    }
}

fn related_qualifier(parent: &Relation, child: &Joined<'_>) -> String {
    format!("{}_{}_{}", parent.name.name, child.branch.key(), child.branch.depth)
}

/// 42703, in PostgreSQL's words and with its suggestions.
pub fn missing_column(relation: &Relation, qualifier: &str, name: &str) -> DatabaseError {
    let error = DatabaseError::new("42703", format!("column {qualifier}.{name} does not exist"));
    let known = relation.columns.iter().map(|column| column.name.as_str());
    match suggest::columns(known, name).as_slice() {
        [one] => error.hint(format!(
            "Perhaps you meant to reference the column \"{qualifier}.{one}\"."
        )),
        [one, two] => error.hint(format!(
            "Perhaps you meant to reference the column \"{qualifier}.{one}\" or the column \"{qualifier}.{two}\"."
        )),
        _ => error,
    }
}

/// All of the predicates, as few nodes as it takes.
pub fn both(mut all: Vec<Predicate>) -> Option<Predicate> {
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Predicate::And(all)),
    }
}

fn negated(is_negated: bool, predicate: Predicate) -> Predicate {
    if is_negated {
        Predicate::Not(Box::new(predicate))
    } else {
        predicate
    }
}

fn position(relation: &Relation, name: &str) -> Result<ColumnIndex, Error> {
    relation
        .column(name)
        .map(|(index, _)| index)
        .ok_or_else(|| internal("a key's column that is gone"))
}

fn internal(what: &str) -> Error {
    Error::Backend(mainstay_core::error::BackendError::Internal(format!(
        "the catalog has {what}"
    )))
}
