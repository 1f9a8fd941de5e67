//! A PL/pgSQL function as a tree: blocks, statements, variables, and what each expression can see.
//!
//! Lives here: the shapes. Expressions and SQL statements stay text ([`Fragment`]), as in PostgreSQL: what they mean
//! depends on the variables' types at run time.

use std::sync::Arc;

use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

/// A variable's place in [`Function::variables`].
pub type VariableId = usize;

/// A function's body.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: Ident,
    pub variables: Vec<Variable>,
    pub block: Block,
    /// The variables of the routine's input arguments, in their order.
    pub arguments: Vec<VariableId>,
    /// The variables of OUT arguments and of `RETURNS TABLE`'s columns.
    pub outputs: Vec<VariableId>,
    pub found: VariableId,
    /// In a trigger function.
    pub trigger: Option<TriggerVariables>,
    /// Texts, to be compiled each at most once for a set of variable types.
    pub fragments: usize,
    pub(super) names: Vec<Entry>,
    pub conflicts: Conflicts,
}

/// What a name means that is a variable's and a column's: `#variable_conflict` (43.11.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflicts {
    /// 42702
    #[default]
    Error,
    UseVariable,
    UseColumn,
}

/// Where a trigger function finds what fired it.
#[derive(Clone, Debug)]
pub struct TriggerVariables {
    pub new: VariableId,
    pub old: VariableId,
    pub operation: VariableId,
    pub name: VariableId,
    pub when: VariableId,
    pub level: VariableId,
    pub table: VariableId,
    pub schema: VariableId,
    pub count: VariableId,
    /// The elements of TG_ARGV that the body names, from 0.
    pub arguments: Vec<(usize, VariableId)>,
}

/// A variable.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Ident,
    pub ty: VariableType,
    pub constant: bool,
    pub not_null: bool,
    pub default: Option<Fragment>,
    pub line: u32,
}

/// What a variable holds.
#[derive(Clone, Debug, PartialEq)]
pub enum VariableType {
    Scalar {
        ty: Type,
        modifier: TypeModifier,
    },
    /// A table's row.
    Row {
        ty: Type,
        fields: Arc<[Field]>,
    },
    /// Takes the shape of what is assigned to it.
    Record,
}

/// One field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Ident,
    pub ty: Type,
    pub modifier: TypeModifier,
}

/// One name in scope; entries form a list from the innermost outwards.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub before: Option<usize>,
    pub kind: EntryKind,
    pub name: Ident,
}

/// What a name in scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A block's beginning; the name is empty for a block without one.
    Label { is_loop: bool, is_function: bool },
    /// `is_row`: it has fields.
    Variable { id: VariableId, is_row: bool },
}

/// An expression or statement as written, and what it can see.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Its number in the function.
    pub id: usize,
    pub text: Arc<str>,
    /// The line of the body it begins on, from 1.
    pub line: u32,
    /// The innermost name it sees.
    pub(super) scope: Option<usize>,
}

impl Fragment {
    /// The same with something around its text.
    pub fn with_text(&self, text: impl Into<Arc<str>>) -> Fragment {
        Fragment {
            text: text.into(),
            ..self.clone()
        }
    }
}

/// `[DECLARE …] BEGIN … [EXCEPTION …] END`.
#[derive(Clone, Debug)]
pub struct Block {
    pub label: Option<Ident>,
    /// Variables to be set anew whenever the block is entered.
    pub declared: Vec<VariableId>,
    pub body: Vec<Statement>,
    pub handlers: Option<Handlers>,
}

/// `EXCEPTION WHEN …`.
#[derive(Clone, Debug)]
pub struct Handlers {
    pub sqlstate: VariableId,
    pub message: VariableId,
    pub list: Vec<Handler>,
}

/// One `WHEN … THEN`.
#[derive(Clone, Debug)]
pub struct Handler {
    pub conditions: Vec<Condition>,
    pub body: Vec<Statement>,
}

/// What a handler catches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Everything but a cancelled query and a failed assertion.
    Others,
    /// A SQLSTATE or a class of them.
    Code(String),
}

/// A statement and the line of the body it begins on, from 1.
#[derive(Clone, Debug)]
pub struct Statement {
    pub line: u32,
    pub kind: StatementKind,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StatementKind {
    Block(Box<Block>),
    Assign {
        target: Target,
        value: Fragment,
    },
    If {
        branches: Vec<(Fragment, Vec<Statement>)>,
        otherwise: Vec<Statement>,
    },
    Case(Case),
    Loop(Loop),
    Exit {
        /// False: `CONTINUE`.
        leaves: bool,
        label: Option<Ident>,
        condition: Option<Fragment>,
    },
    /// `None`: without a value.
    Return(Option<Fragment>),
    ReturnNext(Option<Fragment>),
    ReturnQuery(Fragment),
    Raise(Raise),
    Assert {
        condition: Fragment,
        message: Option<Fragment>,
    },
    /// `PERFORM`: a query whose rows are dropped.
    Perform(Fragment),
    Sql(Sql),
    /// `GET DIAGNOSTICS`.
    Diagnostics(Vec<(Target, Diagnostic)>),
    Null,
}

/// A query or DML statement.
#[derive(Clone, Debug)]
pub struct Sql {
    /// Without its `INTO` clause.
    pub text: Fragment,
    pub into: Option<IntoClause>,
    /// In a DO block: it changes the catalog.
    pub is_schema_change: bool,
}

/// `INTO [STRICT] …`.
#[derive(Clone, Debug)]
pub struct IntoClause {
    pub strict: bool,
    pub targets: Vec<Target>,
}

/// What is assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub variable: VariableId,
    pub field: Option<Ident>,
}

/// `CASE`, with or without an operand.
#[derive(Clone, Debug)]
pub struct Case {
    /// The variable that holds the operand's value.
    pub operand: Option<(Fragment, VariableId)>,
    /// With an operand each condition is `"operand" IN (values)`.
    pub whens: Vec<(Fragment, Vec<Statement>)>,
    /// `None`: no branch may be missing (20000).
    pub otherwise: Option<Vec<Statement>>,
}

/// A loop of any kind.
#[derive(Clone, Debug)]
pub struct Loop {
    pub label: Option<Ident>,
    pub kind: LoopKind,
    pub body: Vec<Statement>,
}

/// What a loop goes over.
#[derive(Clone, Debug)]
pub enum LoopKind {
    Forever,
    While(Fragment),
    Integers {
        variable: VariableId,
        reverse: bool,
        from: Fragment,
        to: Fragment,
        by: Option<Fragment>,
    },
    Query {
        targets: Vec<Target>,
        query: Fragment,
    },
    Elements {
        target: Target,
        array: Fragment,
    },
}

/// How serious a `RAISE` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
    Exception,
}

/// `RAISE`.
#[derive(Clone, Debug)]
pub struct Raise {
    pub level: Level,
    /// `None` with nothing else: raise what is being handled again.
    pub format: Option<String>,
    pub parameters: Vec<Fragment>,
    /// SQLSTATE, and the condition's name if it was written with one.
    pub condition: Option<(String, Option<Ident>)>,
    pub options: Vec<(RaiseOption, Fragment)>,
}

/// What `USING` may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseOption {
    Errcode,
    Message,
    Detail,
    Hint,
    Column,
    Constraint,
    Datatype,
    Table,
    Schema,
}

/// What `GET DIAGNOSTICS` may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnostic {
    RowCount,
    ReturnedSqlstate,
    Message,
    Detail,
    Hint,
    Column,
    Constraint,
    Datatype,
    Table,
    Schema,
}
