//! Conditions of a read: filters, joins of embeds, rows that must or must not be embedded.
//!
//! Lives here: the plan's predicates and fields as typed expressions, written through the emitter.
//! Not here: operators and types (`mainstay-sql`), their SQL (`emit`).
//! Invariant: values of the request are placeholders.
//!
//! Source: PostgREST documentation, "Horizontal Filtering", "Resource Embedding".

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ColumnIndex, Relation, RelationshipKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{
    Base, Cast, Embed, EmbedIndex, Field, FullTextQuery, IsValue, JsonStep, Operator, Predicate, Quantifier, Read,
    ValueRef,
};
use mainstay_core::types::{Type, TypeModifier};
use mainstay_sql::analyse;
use mainstay_sql::analyse::kinds::Arg;
use mainstay_sql::typed::{CastContext, Expr, ExprKind, LikeKind, RteId, TableFunction};

use super::compile::Result;
use crate::emit::binds::Bind;
use crate::emit::compiled::Compiled;
use crate::emit::emitter::{Alias, Emitter, Parameters, Rte};
use crate::emit::input::InputType;
use crate::emit::relation::{READ, Wanted};
use crate::emit::types::collation;
use crate::values::cast::Kind;

/// Entries of functions' bodies are numbered from here; no statement has so many of its own.
const BODY_RTE_FIRST: u32 = 1 << 20;

/// How deep conditions may stand in each other. SQLite takes expressions 1,000 deep, and each step here is a few.
const DEPTH_MAX: usize = 150;

/// Placeholders of one statement: SQLite's own bound.
const BINDS_MAX: usize = 32_766;

/// Writes one statement of a read.
pub struct Builder<'a> {
    emitter: Emitter<'a>,
    next_rte: u32,
    depth: usize,
}

/// The row that a condition is about.
#[derive(Clone, Copy)]
pub struct Subject<'r> {
    pub relation: &'r Arc<Relation>,
    pub rte: RteId,
    /// What [`Predicate::EmbedIsNull`] counts.
    pub embeds: &'r [Embed],
}

impl<'r> Subject<'r> {
    /// A row of a read's relation.
    pub fn of_read(read: &'r Read, rte: RteId) -> Self {
        Subject {
            relation: &read.source.relation,
            rte,
            embeds: &read.embeds,
        }
    }
}

impl<'a> Builder<'a> {
    /// An empty statement of `role`.
    pub fn new(compiled: &'a Compiled, role: &Ident) -> Self {
        Builder {
            emitter: Emitter::new(compiled, role).with_parameters(Parameters::Request),
            next_rte: 0,
            depth: 0,
        }
    }

    /// Goes on with a statement that others have begun; entries are numbered from `first_rte`. Its parameters must be
    /// the request's values.
    pub fn over(emitter: Emitter<'a>, first_rte: u32) -> Self {
        Builder {
            emitter,
            next_rte: first_rte,
            depth: 0,
        }
    }

    /// The statement, to write what is not a condition.
    pub fn emitter(&mut self) -> &mut Emitter<'a> {
        &mut self.emitter
    }

    /// Gives the statement back.
    pub fn into_emitter(self) -> Emitter<'a> {
        self.emitter
    }

    /// The text and its placeholders.
    pub fn finish(self) -> (String, Vec<Bind>) {
        self.emitter.finish()
    }

    /// Literal text.
    pub fn sql(&mut self, text: &'static str) -> &mut Self {
        self.emitter.writer().sql(text);
        self
    }

    /// A quoted identifier.
    pub fn ident(&mut self, name: &Ident) -> &mut Self {
        self.emitter.writer().ident(name);
        self
    }

    /// A table's name in the file.
    pub fn object(&mut self, name: &QualifiedName) -> &mut Self {
        self.emitter.writer().object(name);
        self
    }

    /// A table's alias.
    pub fn alias(&mut self, alias: Alias) -> &mut Self {
        self.emitter.alias(alias);
        self
    }

    /// A placeholder.
    pub fn bind(&mut self, bind: Bind) -> &mut Self {
        self.emitter.writer().bind(bind);
        self
    }

    /// A typed expression.
    pub fn expr(&mut self, expr: &Expr) -> Result<()> {
        self.emitter.expr(expr)
    }

    /// An expression as its type's values are told apart.
    pub fn group_key(&mut self, expr: &Expr) -> Result<()> {
        self.emitter.compared(expr)
    }

    /// A range table entry that nothing else in the statement has.
    pub fn fresh_rte(&mut self) -> RteId {
        self.next_rte += 1;
        RteId(self.next_rte)
    }

    /// Says how an entry's columns are reached.
    pub fn place(&mut self, rte: RteId, entry: Rte) {
        self.emitter.declare(rte, entry);
    }

    /// An entry for `relation`, so that its columns may be written before its FROM.
    pub fn declare(&mut self, relation: &Arc<Relation>) -> RteId {
        let rte = self.fresh_rte();
        let alias = self.emitter.fresh_alias();
        self.place(
            rte,
            Rte::Relation {
                alias,
                relation: Arc::clone(relation),
            },
        );
        rte
    }

    /// A number that the program has made.
    pub fn number(&mut self, number: i64) -> &mut Self {
        self.emitter.writer().number(number);
        self
    }

    /// Writes the alias that [`declare`](Self::declare) gave an entry.
    pub fn alias_of(&mut self, relation: &Arc<Relation>, rte: RteId) -> Alias {
        let alias = self.emitter.relation_alias(relation, rte);
        self.emitter.alias(alias);
        alias
    }

    /// The relation as the role sees it, under the alias of `rte`.
    pub fn from(&mut self, relation: &Arc<Relation>, rte: RteId, wanted: Wanted<'_>) -> Result<Alias> {
        self.emitter.secured_relation(relation, rte, wanted)
    }

    /// A column as it stands.
    pub fn column(&self, rte: RteId, relation: &Relation, column: ColumnIndex) -> Expr {
        let declared = &relation.columns[column];
        let mut expr = Expr::new(ExprKind::Column { rte, column }, declared.ty.clone());
        expr.modifier = declared.modifier;
        expr
    }

    /// A column, or a place inside its JSON.
    pub fn field(&self, rte: RteId, relation: &Relation, field: &Field) -> Result<Expr> {
        let catalog = self.emitter.catalog();
        let mut expr = match &field.base {
            Base::Column(column) => self.column(rte, relation, *column),
            Base::Computed(computed) => {
                let overloads = catalog.routines.get(&computed.routine).into_iter().flatten();
                let mut of_row = overloads.filter(|routine| routine.row_argument() == Some(&relation.name));
                let routine = of_row
                    .next()
                    .ok_or_else(|| DatabaseError::new("XX000", "a computed column's function has gone"))?;
                let row = analyse::row_of(relation, |column| self.column(rte, relation, column));
                analyse::routine(catalog, routine, vec![row], BODY_RTE_FIRST)?
            }
        };
        if !field.path.is_empty() && !expr.ty.is_json() {
            expr = analyse::function(catalog, "to_jsonb", vec![expr])?;
        }
        for (index, step) in field.path.iter().enumerate() {
            let last = index + 1 == field.path.len();
            let name = if last && field.as_text { "->>" } else { "->" };
            let key = match step {
                JsonStep::Key(value) => Expr::new(ExprKind::Parameter(*value), Type::Text),
                JsonStep::Index(value) => Expr::new(ExprKind::Parameter(*value), Type::Int4),
            };
            expr = analyse::operator(catalog, name, expr, key)?;
        }
        Ok(expr)
    }

    /// A field of the output, cast if asked for.
    pub fn output(&self, rte: RteId, relation: &Relation, field: &Field, cast: Option<&Cast>) -> Result<Expr> {
        let expr = self.field(rte, relation, field)?;
        let Some(cast) = cast else { return Ok(expr) };
        let catalog = self.emitter.catalog();
        let ty = match &cast.ty {
            Some(ty) => ty.clone(),
            None => named_type(catalog, relation, &cast.name)?,
        };
        analyse::cast(catalog, expr, &ty, TypeModifier::None, CastContext::Explicit)
    }

    /// Every condition on a read's rows: its filter and the embeds that must have rows.
    pub fn conditions(&mut self, read: &Read, rte: RteId, first: &mut bool) -> Result<()> {
        let subject = Subject::of_read(read, rte);
        if let Some(filter) = &read.filter {
            self.and(first);
            self.candidates(subject, filter)?;
            self.predicate(subject, filter)?;
        }
        for (index, embed) in read.embeds.iter().enumerate() {
            if embed.inner {
                self.and(first);
                self.exists(subject, index)?;
            }
        }
        Ok(())
    }

    /// Where an index has candidates for a search that every row must pass, they are asked for first.
    fn candidates(&mut self, subject: Subject<'_>, predicate: &Predicate) -> Result<()> {
        match predicate {
            Predicate::And(parts) => parts.iter().try_for_each(|part| self.candidates(subject, part)),
            Predicate::FullText {
                field,
                query,
                language,
                value,
            } => {
                let document = self.field(subject.rte, subject.relation, field)?;
                let search = self.full_text(document, *query, *language, *value)?;
                self.emitter.candidates(&search)
            }
            _ => Ok(()),
        }
    }

    fn and(&mut self, first: &mut bool) {
        self.sql(if *first { " WHERE " } else { " AND " });
        *first = false;
    }

    /// One condition on a row.
    ///
    /// Errors: what the operators' types refuse (42883 …); 54001 for too many or too deep.
    pub fn predicate(&mut self, subject: Subject<'_>, predicate: &Predicate) -> Result<()> {
        if self.depth == DEPTH_MAX || self.emitter.writer().binds().len() >= BINDS_MAX {
            return Err(DatabaseError::new("54001", "the filters are too many or too deep")
                .hint("Use `in` for a list of values, and fewer filters."));
        }
        self.depth += 1;
        let written = match predicate {
            Predicate::And(parts) => self.all(subject, parts, " AND ", "1"),
            Predicate::Or(parts) => self.all(subject, parts, " OR ", "0"),
            Predicate::Not(inner) => {
                self.sql("(NOT ");
                self.predicate(subject, inner).map(|()| {
                    self.sql(")");
                })
            }
            leaf => self.leaf(subject, leaf),
        };
        self.depth -= 1;
        written
    }

    /// A condition that holds no others. Apart, so that nested ones need little stack.
    #[inline(never)]
    fn leaf(&mut self, subject: Subject<'_>, predicate: &Predicate) -> Result<()> {
        let Subject { relation, rte, .. } = subject;
        match predicate {
            Predicate::And(_) | Predicate::Or(_) | Predicate::Not(_) => Err(DatabaseError::new(
                "XX000",
                "a condition that holds others is not one by itself",
            )),
            Predicate::Compare { field, operator, value } => {
                let left = self.field(rte, relation, field)?;
                let compared = self.compared(*operator, left, unknown(*value))?;
                self.expr(&compared)
            }
            Predicate::Quantified {
                field,
                operator,
                quantifier,
                values,
            } => {
                let left = self.field(rte, relation, field)?;
                self.quantified(left, *operator, *quantifier, *values)
            }
            Predicate::In { field, values } => {
                let left = self.field(rte, relation, field)?;
                self.membership(left, *values)
            }
            Predicate::Is { field, what } => {
                let expr = Box::new(self.field(rte, relation, field)?);
                let kind = match what {
                    IsValue::Null => ExprKind::IsNull { expr, negated: false },
                    IsValue::NotNull => ExprKind::IsNull { expr, negated: true },
                    IsValue::True => boolean_test(expr, Some(true))?,
                    IsValue::False => boolean_test(expr, Some(false))?,
                    IsValue::Unknown => boolean_test(expr, None)?,
                };
                self.expr(&Expr::new(kind, Type::Bool))
            }
            Predicate::IsDistinct { field, value } => {
                let left = self.field(rte, relation, field)?;
                let equal = analyse::operator(self.emitter.catalog(), "=", left, unknown(*value))?;
                let ExprKind::Operator { operator, arguments } = equal.kind else {
                    return Err(not_binary("="));
                };
                let Ok([left, right]) = <[Expr; 2]>::try_from(arguments) else {
                    return Err(not_binary("="));
                };
                let (left, right) = (Box::new(left), Box::new(right));
                let kind = ExprKind::DistinctFrom {
                    operator,
                    left,
                    right,
                    negated: false,
                };
                self.expr(&Expr::new(kind, Type::Bool))
            }
            Predicate::FullText {
                field,
                query,
                language,
                value,
            } => {
                let left = self.field(rte, relation, field)?;
                let matched = self.full_text(left, *query, *language, *value)?;
                self.expr(&matched)
            }
            Predicate::EmbedIsNull(embed) => {
                self.sql("(NOT ");
                self.exists(subject, *embed)?;
                self.sql(")");
                Ok(())
            }
        }
    }

    /// `document @@ query`. Text and JSON are searched through the vector that is made of them.
    fn full_text(
        &self,
        document: Expr,
        query: FullTextQuery,
        language: Option<ValueRef>,
        value: ValueRef,
    ) -> Result<Expr> {
        let catalog = self.emitter.catalog();
        let with_language = |argument: Expr| language.map(unknown).into_iter().chain([argument]).collect::<Vec<_>>();
        let document = if *document.ty.base() == Type::Tsvector {
            document
        } else {
            analyse::function(catalog, "to_tsvector", with_language(document))?
        };
        let maker = match query {
            FullTextQuery::Plain => "to_tsquery",
            FullTextQuery::PlainTo => "plainto_tsquery",
            FullTextQuery::PhraseTo => "phraseto_tsquery",
            FullTextQuery::WebSearch => "websearch_to_tsquery",
        };
        let query = analyse::function(catalog, maker, with_language(unknown(value)))?;
        analyse::operator(catalog, "@@", document, query)
    }

    fn all(
        &mut self,
        subject: Subject<'_>,
        parts: &[Predicate],
        word: &'static str,
        empty: &'static str,
    ) -> Result<()> {
        // In halves, so that a long list is not a deep expression.
        match parts {
            [] => {
                self.sql(empty);
                Ok(())
            }
            [only] => self.predicate(subject, only),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.sql("(");
                self.all(subject, left, word, empty)?;
                self.sql(word);
                self.all(subject, right, word, empty)?;
                self.sql(")");
                Ok(())
            }
        }
    }

    /// `left operator right`, typed.
    fn compared(&self, operator: Operator, left: Expr, right: Expr) -> Result<Expr> {
        let (name, like) = match operator {
            Operator::Like => ("~~", Some(LikeKind::Like)),
            Operator::Ilike => ("~~*", Some(LikeKind::Ilike)),
            other => (other.sql(), None),
        };
        let typed = analyse::operator(self.emitter.catalog(), name, left, right)?;
        // As LIKE rather than as an operator, a pattern with a prefix can use an index.
        let of_citext =
            matches!(&typed.kind, ExprKind::Operator { operator, .. } if operator.left == Some(Arg::Citext));
        match (like, typed.kind) {
            // Case does not count, whichever was asked for.
            (Some(_), kind) if of_citext => Ok(Expr::new(kind, Type::Bool)),
            (Some(kind), ExprKind::Operator { arguments, .. }) => {
                let Ok([expr, pattern]) = <[Expr; 2]>::try_from(arguments) else {
                    return Err(not_binary(name));
                };
                let (expr, pattern) = (Box::new(expr), Box::new(pattern));
                Ok(Expr::new(
                    ExprKind::Like {
                        kind,
                        expr,
                        pattern,
                        escape: None,
                        negated: false,
                    },
                    Type::Bool,
                ))
            }
            (_, kind) => Ok(Expr { kind, ..typed }),
        }
    }

    /// The type that a value takes beside `left`.
    fn value_type(&self, name: &str, left: &Expr) -> Result<Type> {
        let typed = analyse::operator(self.emitter.catalog(), name, left.clone(), unknown(0))?;
        match typed.kind {
            ExprKind::Operator { arguments, .. } => arguments
                .get(1)
                .map(|right| right.ty.clone())
                .ok_or_else(|| not_binary(name)),
            _ => Err(not_binary(name)),
        }
    }

    /// `left IN (values)`.
    fn membership(&mut self, left: Expr, values: ValueRef) -> Result<()> {
        let ty = self.value_type("=", &left)?;
        refuse_lists_of_arrays(&ty)?;
        let element = Arc::new(InputType::new(self.emitter.catalog(), &ty, TypeModifier::None)?);
        self.sql("(");
        self.expr(&left)?;
        if let Some(collation) = collation(&left.ty).filter(|collation| collation.changes_equality()) {
            self.sql(" COLLATE ").ident(&collation.name());
        }
        self.sql(" IN (SELECT value FROM ");
        self.elements(values, element);
        self.sql("))");
        Ok(())
    }

    /// The elements of a list as rows of one column, `value`. JSON has no bytes: they travel as hex digits.
    fn elements(&mut self, values: ValueRef, element: Arc<InputType>) {
        let is_bytes = *element.kind() == Kind::Bytea;
        if is_bytes {
            self.sql("(SELECT unhex(value) AS value FROM ");
        }
        self.sql("json_each(")
            .bind(Bind::List { value: values, element })
            .sql(")");
        if is_bytes {
            self.sql(")");
        }
    }

    /// `left operator ANY|ALL (values)`.
    fn quantified(&mut self, left: Expr, operator: Operator, quantifier: Quantifier, values: ValueRef) -> Result<()> {
        let name = match operator {
            Operator::Like => "~~",
            Operator::Ilike => "~~*",
            other => other.sql(),
        };
        let ty = self.value_type(name, &left)?;
        refuse_lists_of_arrays(&ty)?;
        let element = Arc::new(InputType::new(self.emitter.catalog(), &ty, TypeModifier::None)?);
        let alias = self.emitter.fresh_alias();
        let rte = self.fresh_rte();
        self.place(
            rte,
            Rte::Set {
                alias,
                parts: 0,
                columns: 1,
            },
        );
        let value = Expr::new(ExprKind::Column { rte, column: 0 }, ty);
        let compared = self.compared(operator, left.clone(), value)?;
        self.sql("(CASE WHEN ");
        self.expr(&left)?;
        self.sql(match quantifier {
            Quantifier::Any => " IS NULL THEN NULL ELSE EXISTS (SELECT 1 FROM ",
            Quantifier::All => " IS NULL THEN NULL ELSE NOT EXISTS (SELECT 1 FROM ",
        });
        self.elements(values, element);
        self.sql(" AS ").alias(alias);
        self.sql(match quantifier {
            Quantifier::Any => " WHERE ",
            Quantifier::All => " WHERE NOT ",
        });
        self.expr(&compared)?;
        self.sql(") END)");
        Ok(())
    }

    /// The junction of a many-to-many embed, written after a comma.
    pub fn junction(&mut self, embed: &Embed) -> Result<Option<(RteId, Arc<Relation>)>> {
        let Some(junction) = &embed.junction else {
            return Ok(None);
        };
        let rte = self.declare(&junction.relation);
        self.sql(", ");
        self.from(&junction.relation, rte, READ)?;
        Ok(Some((rte, Arc::clone(&junction.relation))))
    }

    /// The condition by which rows of `child` belong to the row of `parent`.
    pub fn joined(
        &mut self,
        embed: &Embed,
        parent_relation: &Arc<Relation>,
        parent: RteId,
        child: RteId,
        junction: Option<(RteId, Arc<Relation>)>,
        first: &mut bool,
    ) -> Result<()> {
        let child_relation = &embed.read.source.relation;
        match &embed.relationship.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => {
                for (from, to) in columns {
                    self.and(first);
                    self.equal((child, child_relation, to), (parent, parent_relation, from))?;
                }
            }
            RelationshipKind::ManyToMany {
                from_columns,
                to_columns,
                ..
            } => {
                let Some((between, junction)) = junction else {
                    return Err(DatabaseError::new("XX000", "a many-to-many embed without its junction"));
                };
                for (to, through) in to_columns {
                    self.and(first);
                    self.equal((child, child_relation, to), (between, &junction, through))?;
                }
                for (from, through) in from_columns {
                    self.and(first);
                    self.equal((between, &junction, through), (parent, parent_relation, from))?;
                }
            }
            // Its rows are those of the parent's already.
            RelationshipKind::Computed { .. } => {}
        }
        Ok(())
    }

    fn equal(&mut self, left: (RteId, &Arc<Relation>, &Ident), right: (RteId, &Arc<Relation>, &Ident)) -> Result<()> {
        let column = |(rte, relation, name): (RteId, &Arc<Relation>, &Ident)| match relation.column(name) {
            Some((index, _)) => Ok(self.column(rte, relation, index)),
            None => Err(DatabaseError::new(
                "42703",
                format!("column {}.{name} does not exist", relation.name.name),
            )),
        };
        let equal = analyse::operator(self.emitter.catalog(), "=", column(left)?, column(right)?)?;
        self.expr(&equal)
    }

    /// What an embed's rows are taken from, under the alias of `child`: the relation, or what a function gives for the
    /// parent's row.
    pub fn embedded(
        &mut self,
        embed: &Embed,
        (parent_relation, parent): (&Arc<Relation>, RteId),
        child: RteId,
        wanted: Wanted<'_>,
    ) -> Result<Alias> {
        let relation = &embed.read.source.relation;
        let RelationshipKind::Computed { routine, .. } = &embed.relationship.kind else {
            return self.from(relation, child, wanted);
        };
        let catalog = self.emitter.catalog();
        let mut overloads = catalog.routines.get(routine).into_iter().flatten();
        let found = overloads
            .find(|found| {
                found.row_argument() == Some(&parent_relation.name)
                    && found.returns.relation.as_ref() == Some(&relation.name)
            })
            .ok_or_else(|| DatabaseError::new("XX000", "a computed relationship's function has gone"))?;
        let row = analyse::row_of(parent_relation, |column| self.column(parent, parent_relation, column));
        let rows = analyse::routine_rows(catalog, found, vec![row], BODY_RTE_FIRST)?;
        let TableFunction::Routine(call) = &rows else {
            return Err(DatabaseError::unavailable(
                "a computed relationship that cannot stand in the place of its call",
                &routine.name,
                1,
                None,
            ));
        };
        let names: Vec<Ident> = relation.columns.iter().map(|column| column.name.clone()).collect();
        self.emitter.routine_rows_as(call, &names)?;
        self.sql(" AS ");
        Ok(self.alias_of(relation, child))
    }

    /// `EXISTS` a row of the embed for the row.
    fn exists(&mut self, subject: Subject<'_>, embed: EmbedIndex) -> Result<()> {
        self.sql("EXISTS (SELECT 1");
        self.rows_of(subject, embed, |_, _| Ok(()))?;
        self.sql(")");
        Ok(())
    }

    /// A field of a to-one embed as a value. Returns its type.
    pub fn related(&mut self, subject: Subject<'_>, embed: EmbedIndex, field: &Field) -> Result<Type> {
        let relation = &subject.embeds[embed].read.source.relation;
        let mut ty = Type::Unknown;
        self.sql("(SELECT ");
        self.rows_of(subject, embed, |builder, child| {
            let expr = builder.field(child, relation, field)?;
            builder.expr(&expr)?;
            ty = expr.ty;
            Ok(())
        })?;
        self.sql(" LIMIT 1)");
        Ok(ty)
    }

    /// What `select` writes, then the embed's rows that belong to the row.
    fn rows_of(
        &mut self,
        subject: Subject<'_>,
        embed: EmbedIndex,
        select: impl FnOnce(&mut Self, RteId) -> Result<()>,
    ) -> Result<()> {
        let embed = &subject.embeds[embed];
        let relation = &embed.read.source.relation;
        let child = self.declare(relation);
        select(self, child)?;
        self.sql(" FROM ");
        self.embedded(embed, (subject.relation, subject.rte), child, READ)?;
        let junction = self.junction(embed)?;
        let mut first = true;
        self.joined(embed, subject.relation, subject.rte, child, junction, &mut first)?;
        self.conditions(&embed.read, child, &mut first)
    }
}

/// A value whose type its neighbour decides.
fn unknown(value: ValueRef) -> Expr {
    Expr::new(ExprKind::Parameter(value), Type::Unknown)
}

/// Errors: 42704: a list of values is an array to PostgreSQL, and it knows no array of arrays.
fn refuse_lists_of_arrays(ty: &Type) -> Result<()> {
    match ty.base() {
        Type::Array(_) => {
            let message = format!("could not find array type for data type {ty}");
            Err(DatabaseError::new("42704", message))
        }
        _ => Ok(()),
    }
}

fn not_binary(name: &str) -> DatabaseError {
    DatabaseError::new(
        "XX000",
        format!("operator {name} did not resolve to one over two values"),
    )
}

fn boolean_test(expr: Box<Expr>, value: Option<bool>) -> Result<ExprKind> {
    if *expr.ty.base() != Type::Bool {
        let word = match value {
            Some(true) => "TRUE",
            Some(false) => "FALSE",
            None => "UNKNOWN",
        };
        let message = format!("argument of IS {word} must be type boolean, not type {}", expr.ty);
        return Err(DatabaseError::new("42804", message));
    }
    Ok(ExprKind::BooleanTest {
        expr,
        value,
        negated: false,
    })
}

/// An enum or domain by the name that a cast gives.
fn named_type(catalog: &Catalog, relation: &Relation, name: &str) -> Result<Type> {
    let (schema, bare) = match name.split_once('.') {
        Some((schema, bare)) => (Some(schema), bare),
        None => (None, name),
    };
    let schemas = match schema {
        Some(schema) => vec![Ident::new(schema)],
        None => vec![relation.name.schema.clone(), Ident::new("public")],
    };
    for schema in schemas {
        let name = QualifiedName::new(schema, bare);
        if catalog.enums.contains_key(&name) {
            return Ok(Type::Enum(name));
        }
        if let Some(domain) = catalog.domains.get(&name) {
            return Ok(Type::Domain(name, Box::new(domain.base.clone())));
        }
    }
    Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")))
}
