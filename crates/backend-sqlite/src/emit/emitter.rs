//! The state of one emission: the text so far, under whose rights it stands, and what each range table entry is called.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ColumnIndex, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::ValueRef;
use mainstay_sql::typed::{BoundExpression, CteId, Expr, RteId};

use super::binds::Bind;
use super::compiled::Compiled;
use super::input::InputType;
use super::writer::SqlWriter;

/// The result of every emission.
pub type Result<T> = std::result::Result<T, DatabaseError>;

/// How deep views, policies and routines may stand in each other.
pub const INLINE_DEPTH_MAX: usize = 64;

/// A table's name within the emitted statement: `r7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alias(pub(super) u32);

/// How a range table entry's columns are reached.
#[derive(Clone)]
pub enum Rte {
    /// `r7."name"`: a table, a view, or anything that has the relation's column names.
    Relation { alias: Alias, relation: Arc<Relation> },
    /// `r7.c1`: a subquery, counted from 1.
    Numbered { alias: Alias },
    /// `json_each` over rows as [`cells`](crate::routine::cells) has them; with `ordinality` one column more.
    Packed { alias: Alias, columns: usize },
    /// `json_each` over a set: the value or, where `parts` are counted, the parts of a row; then its position if wanted.
    Set { alias: Alias, parts: usize, columns: usize },
    /// An existing row as an update would leave it: `assigned` columns are bound as in `Bound`, the others are the
    /// table's, and generated columns are computed.
    Merged {
        alias: Alias,
        relation: Arc<Relation>,
        assigned: Rc<[ColumnIndex]>,
    },
    /// As in `Relation`, but some columns are known to equal columns of a bound row: (column, column of the bound row).
    Joined {
        alias: Alias,
        relation: Arc<Relation>,
        bound: Rc<[(ColumnIndex, ColumnIndex)]>,
    },
    /// A row whose values are bound: [`Bind::Row`]. Generated columns are computed in place.
    Bound { relation: Arc<Relation> },
    /// Bare column names, for the file's schema.
    Bare { relation: Arc<Relation> },
    /// A view's column stands for an expression of another scope.
    Mapped { scope: Rc<Scope>, columns: Rc<[Expr]> },
}

/// The entries of one analysed fragment. Made by declaring them.
#[derive(Clone, Default)]
pub struct Scope {
    pub(super) rtes: HashMap<RteId, Rte>,
    pub(super) ctes: HashMap<CteId, Alias>,
    /// Entries that an outer join may fill with nulls.
    pub(super) nullable: HashSet<RteId>,
    /// Entries of `nullable` that are written with a column more, which tells whether they are there.
    pub(super) marked: HashSet<RteId>,
    /// Entries that are tables, or what policies leave of them with the rows' numbers.
    pub(super) numbered: HashSet<RteId>,
}

/// What `$n` stands for.
#[derive(Clone)]
pub enum Parameters {
    /// Nothing: parameters are refused.
    None,
    /// The value `n` of the request, read by the parameter's type.
    Request,
    /// A routine's argument `n`.
    Arguments(Rc<[Argument]>),
    /// Variable `n` of the routine that runs the statement: [`Bind::Variable`].
    Variables,
}

/// Whose rights a routine's body runs with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    pub role: Ident,
    /// `role` was set by a SECURITY DEFINER routine rather than by the request, so that `current_user` is it.
    pub definer: bool,
}

/// What a routine's argument is.
#[derive(Clone)]
pub enum Argument {
    /// A value of the request, read by the argument's type.
    Value(ValueRef),
    /// Its default.
    Default(Arc<BoundExpression>),
}

impl Scope {
    /// A scope with one entry.
    pub fn of(rte: Option<RteId>, entry: Rte) -> Self {
        let mut scope = Scope::default();
        if let Some(rte) = rte {
            scope.rtes.insert(rte, entry);
        }
        scope
    }
}

/// Writes typed trees as SQL for one role.
pub struct Emitter<'a> {
    pub(super) compiled: &'a Compiled,
    pub(super) writer: SqlWriter,
    /// Whose grants and policies hold here; a view's owner inside the view.
    pub(super) role: Ident,
    /// `current_user`, and the role that security-invoker views return to.
    pub(super) user: Ident,
    /// `user` was set by a SECURITY DEFINER routine rather than by the request.
    pub(super) definer: bool,
    pub(super) scope: Scope,
    pub(super) parameters: Parameters,
    next_alias: u32,
    /// Relations whose policies (with subqueries) are being written, to find recursion.
    pub(super) guarding: Vec<QualifiedName>,
    /// What is written is an alternative to `true`: nobody asks for the rights that it would need.
    pub(super) is_idle: bool,
    /// The statement calls `set_config`.
    pub(super) sets_config: bool,
    depth: usize,
    /// The text goes into the file's schema: no placeholders.
    pub(super) for_schema: bool,
    /// The text is evaluated once for each row that is written.
    pub(super) for_each_row: bool,
}

impl<'a> Emitter<'a> {
    /// An empty statement of `role`.
    pub fn new(compiled: &'a Compiled, role: &Ident) -> Self {
        Emitter {
            compiled,
            writer: SqlWriter::new(),
            role: role.clone(),
            user: role.clone(),
            definer: false,
            scope: Scope::default(),
            parameters: Parameters::None,
            next_alias: 0,
            guarding: Vec::new(),
            is_idle: false,
            sets_config: false,
            depth: 0,
            for_schema: false,
            for_each_row: false,
        }
    }

    /// The same, inside views of `user`'s that have come to `role`.
    pub fn for_user(mut self, user: &Ident) -> Self {
        self.user = user.clone();
        self
    }

    /// The same, for a body that runs with its owner's rights.
    pub fn as_definer(mut self) -> Self {
        self.definer = true;
        self
    }

    /// The same, for a body that runs with these rights.
    pub fn with_rights(mut self, rights: &Rights) -> Self {
        self.definer = rights.definer;
        self
    }

    /// The same, for text that the file's schema keeps: no placeholders.
    pub fn for_schema(mut self) -> Self {
        self.for_schema = true;
        self
    }

    /// The same, for what a table demands of each row that is written.
    pub fn for_each_row(mut self) -> Self {
        self.for_each_row = true;
        self
    }

    /// The same, with `$n` standing for the request's value `n`.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// The catalog of this emission.
    pub fn catalog(&self) -> &'a Catalog {
        self.compiled.catalog()
    }

    /// What has been analysed against the catalog.
    pub fn compiled(&self) -> &'a Compiled {
        self.compiled
    }

    /// The role whose rights hold here.
    pub fn role(&self) -> &Ident {
        &self.role
    }

    /// The role that runs the statement, as routines that it calls find it.
    pub fn user_rights(&self) -> Rights {
        Rights {
            role: self.user.clone(),
            definer: self.definer,
        }
    }

    /// The text so far, for writing around what is emitted.
    pub fn writer(&mut self) -> &mut SqlWriter {
        &mut self.writer
    }

    /// The statement's text and what stands behind its placeholders.
    pub fn finish(self) -> (String, Vec<Bind>) {
        self.writer.finish()
    }

    /// A table name that nothing else in the statement has.
    pub fn fresh_alias(&mut self) -> Alias {
        self.next_alias += 1;
        Alias(self.next_alias)
    }

    /// Says how the columns of `rte` are reached.
    pub fn declare(&mut self, rte: RteId, entry: Rte) {
        self.scope.rtes.insert(rte, entry);
    }

    /// Writes an alias.
    pub fn alias(&mut self, alias: Alias) -> &mut Self {
        self.writer.sql("r").number(i64::from(alias.0));
        self
    }

    /// Literal text.
    pub(super) fn sql(&mut self, text: &'static str) -> &mut Self {
        self.writer.sql(text);
        self
    }

    /// A placeholder. Errors: 0A000 inside the file's schema.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<()> {
        if self.for_schema {
            return Err(DatabaseError::new(
                "42P17",
                "functions in index expression must be marked IMMUTABLE",
            ));
        }
        self.writer.bind(bind);
        Ok(())
    }

    /// A type's input, looked up in the catalog.
    pub(super) fn input(&self, expr: &Expr) -> Result<Arc<InputType>> {
        // A parameter is compared, not assigned: its neighbour's length does not bind it.
        Ok(Arc::new(InputType::new(
            self.catalog(),
            &expr.ty,
            mainstay_core::types::TypeModifier::None,
        )?))
    }

    /// Writes something that was analysed apart, in a scope of its own.
    ///
    /// Errors: 54001 when such things stand too deep in each other.
    pub fn fragment<T>(&mut self, scope: Scope, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == INLINE_DEPTH_MAX {
            return Err(DatabaseError::new("54001", "stack depth limit exceeded")
                .hint("Views, policies and functions stand too deep in each other."));
        }
        let outer = std::mem::replace(&mut self.scope, scope);
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        self.scope = outer;
        written
    }

    /// True inside views, policies and defaults: their names were looked up when they were made, so that the schemas'
    /// USAGE is not asked for again.
    pub(super) fn is_stored(&self) -> bool {
        self.depth > 0
    }

    /// Writes something under another role's rights.
    pub fn under<T>(&mut self, role: &Ident, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::replace(&mut self.role, role.clone());
        let written = write(self);
        self.role = outer;
        written
    }
}
