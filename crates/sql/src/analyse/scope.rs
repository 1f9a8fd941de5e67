//! What names mean at a place in a statement: the levels of nested queries and what each can see.
//!
//! Lives here: range table entries, visibility, look-up of columns and relations, the errors of a failed look-up.
//! Not here: how FROM fills a level (`from`), expressions (`expr`).
//!
//! Source: PostgreSQL 15 manual, 7.2 and 7.8; messages as the server words them.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ColumnSource, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::Result;
use super::coerce::place;
use super::server;
use crate::ast::{self, ObjectName};
use crate::plpgsql::names::{Found as Outside, Names, unassigned};
use crate::plpgsql::tree::Conflicts;
use crate::system;
use crate::typed::{CteId, Expr, ExprKind, FromItem, Literal, OutputColumn, RteId};

/// Columns that every table of PostgreSQL has without declaring them.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Everything one analysis carries along.
pub struct State<'a> {
    pub catalog: &'a Catalog,
    pub search_path: Vec<Ident>,
    pub levels: Vec<Level>,
    pub entries: Vec<Entry>,
    pub first_rte: u32,
    pub next_cte: u32,
    /// Types of `$1` …
    pub parameters: Vec<Type>,
    /// Routine bodies being put in place of calls.
    pub routine_depth: usize,
    /// Their identities: one that calls itself is run instead.
    pub routines: Vec<u64>,
    /// The statement's line in its file, for refusals.
    pub line: u32,
    /// The next SELECT stands in EXISTS, which does not look at its columns.
    pub is_in_exists: bool,
    /// How the columns that each star stands for can be written out, by the star's position.
    pub stars: HashMap<u32, Vec<Vec<Ident>>>,
}

/// What is known about one range table entry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub alias: Ident,
    /// Index of the level it belongs to.
    pub level: usize,
    pub columns: Vec<EntryColumn>,
    pub relation: Option<Arc<Relation>>,
}

/// One column of an entry.
#[derive(Clone, Debug)]
pub struct EntryColumn {
    pub name: Ident,
    pub source: Option<ColumnSource>,
}

/// One query's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Nobody sees what its select list gives (EXISTS).
    pub is_unseen: bool,
    pub items: Vec<Item>,
    /// Inside LATERAL, a function in FROM or a join condition: earlier entries of FROM may be used.
    pub lateral: bool,
    pub ctes: Vec<Arc<CteInfo>>,
    /// Names of WITH that cannot be referred to yet.
    pub pending_ctes: Vec<Ident>,
    /// Entries that belong to this level, seen or not.
    pub rtes: Vec<RteId>,
    pub windows: Vec<ast::Window>,
    pub clause: Clause,
    pub has_aggregates: bool,
    pub has_windows: bool,
    /// Set-returning functions of the select list, as the lateral entries of FROM that they become; `None` where they
    /// may not stand.
    pub sets: Option<Vec<FromItem>>,
    pub inside_aggregate: bool,
    pub inside_window: bool,
    /// A routine's body or a lone expression: outer levels are not seen.
    pub barrier: bool,
    pub arguments: Arc<Arguments>,
    /// A PL/pgSQL function's variables.
    pub outside: Option<Arc<Names>>,
}

/// What a routine's parameters stand for.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    pub routine: Option<Ident>,
    /// Empty names cannot be referred to but by number.
    pub values: Vec<(Ident, Expr)>,
}

/// A CTE that can be referred to.
#[derive(Clone, Debug)]
pub struct CteInfo {
    pub id: CteId,
    pub name: Ident,
    pub columns: Vec<OutputColumn>,
    /// Being defined: a reference makes it recursive.
    pub references: Arc<std::sync::atomic::AtomicUsize>,
    /// References to it are an error now (the left side of a recursive UNION).
    pub forbidden: bool,
}

/// Something FROM offers names of.
#[derive(Clone, Debug)]
pub struct Item {
    /// `None`: a join without alias, which only offers columns.
    pub name: Option<Ident>,
    /// For `schema.table.column`.
    pub qualified: Option<QualifiedName>,
    pub rte: Option<RteId>,
    pub columns: Vec<ItemColumn>,
    /// A function of one plain column: its name stands for the value.
    pub is_scalar: bool,
    /// `name.column` works.
    pub names_visible: bool,
    /// A bare `column` works.
    pub columns_visible: bool,
    /// Only to be used by LATERAL entries, as the level's FROM is not complete yet.
    pub lateral_only: bool,
    /// False on the right of an outer join that must not look to its left.
    pub lateral_ok: bool,
}

/// One column that an item offers.
#[derive(Clone, Debug)]
pub struct ItemColumn {
    pub name: Ident,
    pub expr: Expr,
}

/// The clause whose expression is being analysed; names are as messages spell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clause {
    #[default]
    Select,
    Where,
    Having,
    GroupBy,
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    JoinOn,
    FromSubselect,
    FromFunction,
    Values,
    Filter,
    WindowPartition,
    WindowOrder,
    WindowFrame,
    InsertTarget,
    UpdateSource,
    Returning,
    ConflictWhere,
    ConflictTarget,
    Check,
    Policy,
    Default,
    Generated,
    Index,
    IndexPredicate,
}

impl Clause {
    /// The clause in `aggregate functions are not allowed in …`; `None` where they are.
    pub fn forbids_aggregates(self) -> Option<&'static str> {
        Some(match self {
            Clause::Select
            | Clause::Having
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::WindowPartition
            | Clause::WindowOrder => return None,
            Clause::Where => "WHERE",
            Clause::GroupBy => "GROUP BY",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::JoinOn => "JOIN conditions",
            Clause::FromSubselect => "FROM clause of their own query level",
            Clause::FromFunction => "functions in FROM",
            Clause::Values => "VALUES",
            Clause::Filter => "FILTER",
            Clause::WindowFrame => "window frame",
            Clause::InsertTarget => "INSERT",
            Clause::UpdateSource => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::ConflictWhere => "ON CONFLICT",
            Clause::ConflictTarget => "index expressions",
            Clause::Check => "check constraints",
            Clause::Policy => "policy expressions",
            Clause::Default => "DEFAULT expressions",
            Clause::Generated => "column generation expressions",
            Clause::Index => "index expressions",
            Clause::IndexPredicate => "index predicates",
        })
    }

    /// The clause in `window functions are not allowed in …`; `None` where they are.
    pub fn forbids_windows(self) -> Option<&'static str> {
        Some(match self {
            Clause::Select | Clause::OrderBy | Clause::DistinctOn => return None,
            Clause::Having => "HAVING",
            Clause::WindowPartition | Clause::WindowOrder => "window definitions",
            Clause::WindowFrame => "window definitions",
            other => return other.forbids_aggregates(),
        })
    }
}

/// What a bare or qualified name was found to be.
pub enum Found {
    Expr(Expr),
    /// A whole row.
    Row(Item),
}

impl<'a> State<'a> {
    /// A fresh analysis.
    pub fn new(catalog: &'a Catalog, search_path: Vec<Ident>, first_rte: u32, parameters: Vec<Type>) -> Self {
        State {
            catalog,
            search_path,
            levels: Vec::new(),
            entries: Vec::new(),
            first_rte,
            next_cte: 0,
            parameters,
            routine_depth: 0,
            routines: Vec::new(),
            line: 1,
            is_in_exists: false,
            stars: HashMap::new(),
        }
    }

    /// Something that only PostgreSQL can do.
    pub fn refuse(&self, feature: &str, object: &str, alternative: Option<&str>, position: u32) -> DatabaseError {
        place(
            DatabaseError::unavailable(feature, object, self.line, alternative),
            position,
        )
    }

    /// The innermost level. There is always one while expressions are analysed.
    pub fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Runs `work` one level further in.
    pub fn nested<T>(&mut self, level: Level, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.levels.push(level);
        let result = work(self);
        self.levels.pop();
        result
    }

    /// Runs `work` with the innermost level in another clause.
    pub fn within<T>(&mut self, clause: Clause, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.level().clause, clause);
        let result = work(self);
        self.level().clause = before;
        result
    }

    /// Registers a range table entry on the innermost level.
    pub fn add_entry(&mut self, alias: Ident, columns: Vec<EntryColumn>, relation: Option<Arc<Relation>>) -> RteId {
        let rte = RteId(self.first_rte + self.entries.len() as u32);
        self.level().rtes.push(rte);
        let level = self.levels.len().saturating_sub(1);
        self.entries.push(Entry {
            alias,
            level,
            columns,
            relation,
        });
        rte
    }

    /// What is known about an entry of this analysis.
    pub fn entry(&self, rte: RteId) -> Option<&Entry> {
        self.entries.get(rte.0.checked_sub(self.first_rte)? as usize)
    }

    /// The base column that an expression is, if it is one as it stands.
    pub fn source_of(&self, expr: &Expr) -> Option<ColumnSource> {
        match &expr.kind {
            ExprKind::Column { rte, column } => self.entry(*rte)?.columns.get(*column)?.source.clone(),
            _ => None,
        }
    }

    /// The relation called `name`. Errors: 42P01 `relation "x" does not exist`, 3F000.
    pub fn relation(&self, name: &ObjectName) -> Result<&'a Arc<Relation>> {
        if let Some(found) = system::relation(name.schema.as_ref(), &name.name) {
            return Ok(found);
        }
        let found = match &name.schema {
            Some(schema) if system::is_system_schema(schema) => {
                return Err(self.refuse("this system catalog", &name.to_string(), None, name.position));
            }
            Some(schema) => self
                .catalog
                .relation(&QualifiedName::new(schema.clone(), name.name.clone())),
            None => self.catalog.find_relation(&self.search_path, &name.name),
        };
        found.ok_or_else(|| {
            if server::has_relation(name.schema.as_deref(), &name.name) {
                return self.refuse("the system catalogs", &name.to_string(), None, name.position);
            }
            if self.is_sequence(name) {
                let way = Some("currval, or lastval");
                return self.refuse("reading a sequence as a table", &name.to_string(), way, name.position);
            }
            let mut error = DatabaseError::new("42P01", format!("relation \"{name}\" does not exist"));
            let pending = |level: &Level| level.pending_ctes.contains(&name.name);
            if name.schema.is_none() && self.levels.iter().any(pending) {
                let item = &name.name;
                error = error
                    .detail(format!(
                        "There is a WITH item named \"{item}\", but it cannot be referenced from this part of the query."
                    ))
                    .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.");
            }
            place(error, name.position)
        })
    }

    fn is_sequence(&self, name: &ObjectName) -> bool {
        let is_there = |schema: &Ident| {
            let full = QualifiedName::new(schema.clone(), name.name.clone());
            self.catalog.sequences.contains_key(&full)
        };
        match &name.schema {
            Some(schema) => is_there(schema),
            None => self.search_path.iter().any(is_there),
        }
    }

    /// The CTE called `name` that is visible here, innermost first.
    pub fn cte(&self, name: &str) -> Option<Arc<CteInfo>> {
        for level in self.levels.iter().rev() {
            if let Some(found) = level.ctes.iter().rev().find(|cte| cte.name == *name) {
                return Some(found.clone());
            }
            if level.barrier {
                return None;
            }
        }
        None
    }

    /// The variables of the function that this statement stands in, if it may see them from here.
    pub fn outside(&self) -> Option<&Arc<Names>> {
        for level in self.levels.iter().rev() {
            if level.outside.is_some() {
                return level.outside.as_ref();
            }
            if level.barrier {
                return None;
            }
        }
        None
    }

    /// What a name means that may be a column's or a variable's. Errors: 42702 if it is both.
    fn or_variable(&self, column: Result<Found>, names: &[Ident], position: u32) -> Result<Found> {
        let Some(outside) = self.outside() else { return column };
        let unknown = |error: &DatabaseError| matches!(error.sqlstate.as_str(), "42703" | "42P01");
        let missing = match &column {
            Ok(_) => false,
            Err(error) if unknown(error) => true,
            Err(_) => return column,
        };
        let variable = outside.find(names, missing).map_err(|error| place(error, position))?;
        // What is both is an error, unless the function says which it means.
        let missing = missing || outside.function.conflicts == Conflicts::UseVariable;
        match (variable, missing) {
            (None, _) => column,
            (Some(_), false) if outside.function.conflicts == Conflicts::UseColumn => column,
            (Some(_), false) => {
                let shown: Vec<&str> = names.iter().map(Ident::as_str).collect();
                let message = format!("column reference \"{}\" is ambiguous", shown.join("."));
                let detail = "It could refer to either a PL/pgSQL variable or a table column.";
                Err(place(DatabaseError::new("42702", message).detail(detail), position))
            }
            (Some(Outside::Value(expr)), true) => Ok(Found::Expr(Expr { position, ..expr })),
            (
                Some(Outside::Row {
                    fields,
                    names,
                    ty,
                    is_null,
                }),
                true,
            ) => Ok(Found::Expr(Expr {
                position,
                ..row_of(fields, names, ty, is_null)
            })),
        }
    }

    /// A variable's row, for `variable.*`.
    fn variable_row(&self, name: &Ident, position: u32) -> Result<Option<Item>> {
        let Some(outside) = self.outside() else { return Ok(None) };
        let found = outside
            .find(std::slice::from_ref(name), false)
            .map_err(|error| place(error, position))?;
        let Some(Outside::Row { fields, names, .. }) = found else {
            return Ok(None);
        };
        if fields.is_empty() {
            return Err(place(unassigned(name), position));
        }
        let columns = fields
            .into_iter()
            .zip(names)
            .map(|(expr, name)| ItemColumn { name, expr })
            .collect();
        Ok(Some(Item {
            name: Some(name.clone()),
            qualified: None,
            rte: None,
            columns,
            is_scalar: false,
            names_visible: true,
            columns_visible: false,
            lateral_only: false,
            lateral_ok: true,
        }))
    }

    /// A bare column or variable. Errors: 42702 ambiguous, 42703 unknown, 42P01 not to be used here.
    pub fn bare_column(&self, name: &Ident, position: u32) -> Result<Found> {
        let column = self.own_column(name, position);
        self.or_variable(column, std::slice::from_ref(name), position)
    }

    /// A bare column. Errors: 42702 ambiguous, 42703 unknown, 42P01 not to be used here.
    fn own_column(&self, name: &Ident, position: u32) -> Result<Found> {
        for level in self.levels.iter().rev() {
            let mut found: Option<&Expr> = None;
            for item in level
                .items
                .iter()
                .filter(|item| item.columns_visible && level.sees(item))
            {
                for column in item.columns.iter().filter(|column| column.name == *name) {
                    if found.is_some() {
                        let message = format!("column reference \"{name}\" is ambiguous");
                        return Err(place(DatabaseError::new("42702", message), position));
                    }
                    if !item.lateral_ok && item.lateral_only {
                        return Err(self.not_lateral(item, position));
                    }
                    found = Some(&column.expr);
                }
            }
            if let Some(expr) = found {
                return Ok(Found::Expr(Expr {
                    position,
                    ..expr.clone()
                }));
            }
            // A routine's parameter comes after the columns of its body, whatever the level.
            if let Some((_, value)) = level.arguments.values.iter().find(|(argument, _)| argument == name) {
                return Ok(Found::Expr(Expr {
                    position,
                    ..value.clone()
                }));
            }
            if level.barrier {
                break;
            }
        }
        // Not a column: perhaps a relation's whole row.
        match self.own_item(None, name, position)? {
            Some(item) => Ok(Found::Row(item)),
            None => Err(self.missing_column(None, name, position)),
        }
    }

    /// `relation.column` or `schema.relation.column`, or a part of a variable.
    pub fn qualified_column(
        &self,
        schema: Option<&Ident>,
        relation: &Ident,
        name: &Ident,
        position: u32,
    ) -> Result<Found> {
        let column = self.own_qualified_column(schema, relation, name, position);
        if self.outside().is_none() {
            return column;
        }
        let mut names: Vec<Ident> = schema.into_iter().cloned().collect();
        names.extend([relation.clone(), name.clone()]);
        self.or_variable(column, &names, position)
    }

    fn own_qualified_column(
        &self,
        schema: Option<&Ident>,
        relation: &Ident,
        name: &Ident,
        position: u32,
    ) -> Result<Found> {
        if let Some(item) = self.own_item(schema, relation, position)? {
            let mut matching = item.columns.iter().filter(|column| column.name == *name);
            return match (matching.next(), matching.next()) {
                (Some(column), None) => Ok(Found::Expr(Expr {
                    position,
                    ..column.expr.clone()
                })),
                (Some(_), Some(_)) => Err(place(
                    DatabaseError::new("42702", format!("column reference \"{name}\" is ambiguous")),
                    position,
                )),
                _ => Err(self.missing_column(Some(relation), name, position)),
            };
        }
        for level in self.levels.iter().rev() {
            if level.arguments.routine.as_ref() == Some(relation)
                && schema.is_none()
                && let Some((_, value)) = level.arguments.values.iter().find(|(argument, _)| argument == name)
            {
                return Ok(Found::Expr(Expr {
                    position,
                    ..value.clone()
                }));
            }
            // A field of a parameter that is a row; the routine's name may stand before it.
            let is_parameter = schema.is_none() || schema == level.arguments.routine.as_ref();
            if let (true, Some((_, value))) = (
                is_parameter,
                level.arguments.values.iter().find(|(argument, _)| argument == relation),
            ) && let ExprKind::Row { fields, names, .. } = &value.kind
            {
                return match names.iter().position(|field| field == name) {
                    Some(at) => Ok(Found::Expr(Expr {
                        position,
                        ..fields[at].clone()
                    })),
                    None => Err(self.missing_relation(relation, position)),
                };
            }
            if level.barrier {
                break;
            }
        }
        Err(self.missing_relation(relation, position))
    }

    /// The visible item or row variable of that name. Errors: 42P09 ambiguous, 42P01 not to be used here.
    pub fn item(&self, schema: Option<&Ident>, name: &Ident, position: u32) -> Result<Option<Item>> {
        match self.own_item(schema, name, position)? {
            None if schema.is_none() => self.variable_row(name, position),
            found => Ok(found),
        }
    }

    /// The visible item of that name, innermost first. Errors: 42P09 ambiguous, 42P01 not to be used here.
    fn own_item(&self, schema: Option<&Ident>, name: &Ident, position: u32) -> Result<Option<Item>> {
        for level in self.levels.iter().rev() {
            let matches = |item: &&Item| {
                item.names_visible
                    && level.sees(item)
                    && match schema {
                        None => item.name.as_ref() == Some(name),
                        Some(schema) => {
                            item.qualified
                                .as_ref()
                                .is_some_and(|full| full.schema == *schema && full.name == *name)
                                && item.name.as_ref() == Some(name)
                        }
                    }
            };
            let mut found = level.items.iter().filter(matches);
            if let Some(item) = found.next() {
                if found.next().is_some() {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(place(DatabaseError::new("42P09", message), position));
                }
                if item.lateral_only && !item.lateral_ok {
                    return Err(self.not_lateral(item, position));
                }
                return Ok(Some(item.clone()));
            }
            if level.barrier {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn not_lateral(&self, item: &Item, position: u32) -> DatabaseError {
        let name = item.name.clone().unwrap_or_else(|| Ident::new(""));
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let detail = "The combining JOIN type must be INNER or LEFT for a LATERAL reference.";
        place(DatabaseError::new("42P10", message).detail(detail), position)
    }

    /// A system catalog that a missing column may be meant of: PostgreSQL's has more columns than ours.
    fn system_relation(&self, alias: Option<&Ident>) -> Option<&QualifiedName> {
        let mut named = self
            .levels
            .iter()
            .rev()
            .flat_map(|level| &level.items)
            .filter(|item| alias.is_none() || item.name.as_ref() == alias);
        let system = |item: &'_ Item| {
            item.qualified
                .as_ref()
                .is_some_and(|name| system::is_system_schema(&name.schema))
        };
        match alias {
            // The nearest of that name.
            Some(_) => named.next().filter(|item| system(item)),
            None => named.find(|item| system(item)),
        }
        .and_then(|item| item.qualified.as_ref())
    }

    fn missing_relation(&self, name: &Ident, position: u32) -> DatabaseError {
        let invalid = |hint: String| {
            let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
            place(DatabaseError::new("42P01", message).hint(hint), position)
        };
        for level in self.levels.iter().rev() {
            for entry in level.rtes.iter().filter_map(|rte| self.entry(*rte)) {
                let is_table = entry
                    .relation
                    .as_ref()
                    .is_some_and(|relation| relation.name.name == *name);
                if entry.alias == *name {
                    return invalid(format!(
                        "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
                    ));
                }
                if is_table {
                    return invalid(format!(
                        "Perhaps you meant to reference the table alias \"{}\".",
                        entry.alias
                    ));
                }
            }
        }
        place(
            DatabaseError::new("42P01", format!("missing FROM-clause entry for table \"{name}\"")),
            position,
        )
    }

    fn missing_column(&self, relation: Option<&Ident>, name: &Ident, position: u32) -> DatabaseError {
        if let Some(system) = self.system_relation(relation) {
            let feature = format!("column {name} of {system}");
            return self.refuse(&feature, "", None, position);
        }
        if SYSTEM_COLUMNS.contains(&name.as_str()) {
            return self.refuse(
                &format!("the system column {name}"),
                "",
                Some("a key of the table"),
                position,
            );
        }
        let message = match relation {
            Some(relation) => format!("column {relation}.{name} does not exist"),
            None => format!("column \"{name}\" does not exist"),
        };
        let error = place(DatabaseError::new("42703", message), position);
        let found = match self.similar_columns(relation, name) {
            Similar::OutOfSight(table) => {
                return error.hint(format!(
                    "There is a column named \"{name}\" in table \"{table}\", but it cannot be referenced from this part of the query."
                ));
            }
            Similar::Columns(found) => found,
        };
        match found.as_slice() {
            [(table, column)] => error.hint(format!(
                "Perhaps you meant to reference the column \"{table}.{column}\"."
            )),
            [(first, a), (second, b)] => error.hint(format!(
                "Perhaps you meant to reference the column \"{first}.{a}\" or the column \"{second}.{b}\"."
            )),
            _ => error,
        }
    }

    /// The one or two columns that are nearest to a misspelt name; more than two equally near ones are none.
    fn similar_columns(&self, relation: Option<&Ident>, name: &Ident) -> Similar {
        let mut best = SIMILAR_DISTANCE_MAX + 1;
        let mut found: Vec<(Ident, Ident)> = Vec::new();
        for level in self.levels.iter().rev() {
            for entry in level.rtes.iter().filter_map(|rte| self.entry(*rte)) {
                let penalty = match relation {
                    Some(relation) => distance(relation, &entry.alias),
                    None => 0,
                };
                if penalty == 0 && entry.columns.iter().any(|column| column.name == *name) {
                    return Similar::OutOfSight(entry.alias.clone());
                }
                if penalty > best {
                    continue;
                }
                for column in &entry.columns {
                    let columns_apart = distance(&column.name, name);
                    if columns_apart > name.len() / 2 {
                        continue;
                    }
                    let apart = columns_apart + penalty;
                    if apart < best {
                        best = apart;
                        found = vec![(entry.alias.clone(), column.name.clone())];
                    } else if apart == best && found.len() == 2 {
                        found.clear();
                        best = apart.saturating_sub(1);
                    } else if apart == best && apart <= SIMILAR_DISTANCE_MAX {
                        found.push((entry.alias.clone(), column.name.clone()));
                    }
                }
            }
            if level.barrier {
                break;
            }
        }
        Similar::Columns(found)
    }
}

/// A row variable as an expression.
fn row_of(fields: Vec<Expr>, names: Vec<Ident>, ty: Type, is_null: bool) -> Expr {
    let kind = match is_null {
        true => ExprKind::Literal(Literal::Null),
        false => ExprKind::Row {
            fields,
            names,
            rte: None,
        },
    };
    Expr::new(kind, ty)
}

/// What a hint can offer for a column that was not found.
enum Similar {
    /// This table has it, but cannot be named here.
    OutOfSight(Ident),
    /// Tables and columns with a name much like it.
    Columns(Vec<(Ident, Ident)>),
}

/// How many characters may be wrong in a name that a hint offers.
const SIMILAR_DISTANCE_MAX: usize = 3;

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

impl Level {
    /// True if an item of this level may be named from where the analysis stands.
    fn sees(&self, item: &Item) -> bool {
        !item.lateral_only || self.lateral
    }
}

/// The names of a set of columns, to find duplicates.
pub fn first_duplicate<'n>(names: impl Iterator<Item = &'n Ident>) -> Option<Ident> {
    let mut seen: HashMap<&str, ()> = HashMap::new();
    for name in names {
        if seen.insert(name.as_str(), ()).is_some() {
            return Some(name.clone());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("owner", "ownr"), 1);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
    }
}
