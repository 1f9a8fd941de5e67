//! The statements that change the catalog.
//!
//! Lives here: what DDL says, with names as they were written and expressions as PostgreSQL text.
//! Not here: what it means ([`crate::ddl`]), or how it is read from the parser ([`crate::convert`]).
//!
//! Expressions and queries are kept as text because the catalog keeps them so: they are analysed where they are used.

use mainstay_core::catalog::{
    CheckOption, DefaultPrivilegeObject, Identity, PolicyCommand, Privilege, ReferentialAction, TriggerTiming,
    Volatility,
};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::{ObjectName, TypeName};

/// A statement that changes the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum DdlStatement {
    CreateTable(CreateTable),
    CreateIndex(CreateIndex),
    CreateEnum {
        name: ObjectName,
        labels: Vec<String>,
    },
    CreateDomain(CreateDomain),
    AlterDomain(AlterDomain),
    CreateView(CreateView),
    CreatePolicy(CreatePolicy),
    AlterPolicy(AlterPolicy),
    CreateRole(CreateRole),
    Grant(Grant),
    GrantRole(GrantRole),
    DefaultPrivileges(DefaultPrivileges),
    Comment(Comment),
    AlterTable(AlterTable),
    Rename(Rename),
    Drop(Drop),
    CreateSchema {
        name: Ident,
        /// `AUTHORIZATION`
        owner: Option<RoleName>,
        if_not_exists: bool,
    },
    CreateExtension {
        name: Ident,
        if_not_exists: bool,
        schema: Option<Ident>,
    },
    CreateSequence {
        name: ObjectName,
        if_not_exists: bool,
        options: SequenceOptions,
    },
    AlterSequence {
        name: ObjectName,
        if_exists: bool,
        options: SequenceOptions,
    },
    CreateFunction(CreateFunction),
    AlterFunction(AlterFunction),
    CreateTrigger(CreateTrigger),
    Owner {
        kind: ObjectKind,
        name: ObjectName,
        arguments: Option<Vec<TypeName>>,
        owner: RoleName,
    },
    Publication(Publication),
    /// `DROP PUBLICATION`.
    DropPublication {
        names: Vec<Ident>,
        if_exists: bool,
    },
    AlterEnum {
        name: ObjectName,
        change: EnumChange,
    },
    SetSchema(SetSchema),
    AlterRole(AlterRole),
    Truncate(Truncate),
    /// `SET CONSTRAINTS`; no names: ALL.
    SetConstraints {
        names: Vec<ObjectName>,
        deferred: bool,
    },
    CreateTableAs(CreateTableAs),
}

/// `ALTER TYPE … ADD VALUE` and `RENAME VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub enum EnumChange {
    Add {
        label: String,
        if_not_exists: bool,
        /// `BEFORE` (false) or `AFTER` (true) a label.
        place: Option<(String, bool)>,
    },
    Rename {
        from: String,
        to: String,
    },
}

/// `ALTER … SET SCHEMA`.
#[derive(Clone, Debug, PartialEq)]
pub struct SetSchema {
    pub kind: ObjectKind,
    pub name: ObjectName,
    /// A function's argument types, where they were given.
    pub arguments: Option<Vec<TypeName>>,
    pub schema: Ident,
    pub if_exists: bool,
}

/// `ALTER ROLE`; what is `None` stays.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterRole {
    pub role: RoleName,
    pub inherit: Option<bool>,
    pub bypass_rls: Option<bool>,
    /// `SET statement_timeout`, in milliseconds; `Some(None)` is RESET.
    pub statement_timeout_ms: Option<Option<u64>>,
}

/// `TRUNCATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Truncate {
    pub tables: Vec<ObjectName>,
    pub restart_identity: bool,
    pub cascade: bool,
}

/// `CREATE TABLE … AS` and `SELECT … INTO`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTableAs {
    pub name: ObjectName,
    pub if_not_exists: bool,
    /// The first columns' names, where they were given.
    pub columns: Vec<Ident>,
    pub query: Box<super::Query>,
    /// False: `WITH NO DATA`.
    pub with_data: bool,
    pub storage: TableStorage,
}

/// What kind of thing a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    Table,
    View,
    Index,
    Sequence,
    Type,
    Domain,
    DomainConstraint,
    Schema,
    Function,
    Role,
    Policy,
    Trigger,
    Extension,
    Publication,
    Column,
    Constraint,
}

/// `CREATE DOMAIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDomain {
    pub name: ObjectName,
    pub ty: TypeName,
    pub constraints: Vec<DomainConstraint>,
}

/// What a domain demands of its values, or gives where there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainConstraint {
    NotNull,
    Null,
    /// PostgreSQL text.
    Default(String),
    /// `expression`: PostgreSQL text over `VALUE`.
    Check {
        name: Option<Ident>,
        expression: String,
        /// `NOT VALID`: values that are there are not looked at.
        not_valid: bool,
    },
}

/// `ALTER DOMAIN`, but for what any type can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDomain {
    pub name: ObjectName,
    pub action: DomainAction,
}

/// What is changed of a domain.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainAction {
    SetDefault(String),
    DropDefault,
    SetNotNull,
    DropNotNull,
    AddConstraint(DomainConstraint),
    DropConstraint { name: Ident, if_exists: bool },
    Validate(Ident),
    SetSchema(Ident),
}

/// `CREATE TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<ConstraintDefinition>,
    /// `LIKE` clauses, each with the number of `columns` that stand before it.
    pub likes: Vec<(usize, Like)>,
    pub storage: TableStorage,
}

/// What a new table says to PostgreSQL's storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableStorage {
    /// `WITH (…)`
    pub options: Vec<StorageOption>,
    /// `USING`
    pub method: Option<Ident>,
}

/// One parameter of `WITH (…)`, `SET (…)` or `RESET (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageOption {
    /// `toast` of `toast.autovacuum_enabled`.
    pub namespace: Option<Ident>,
    pub name: Ident,
    /// As text; `true` where none was given.
    pub value: String,
    pub has_value: bool,
}

/// `LIKE relation INCLUDING …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Like {
    pub relation: ObjectName,
    pub defaults: bool,
    pub generated: bool,
    pub identity: bool,
    pub constraints: bool,
    pub indexes: bool,
    pub comments: bool,
}

/// One column of `CREATE TABLE` or `ADD COLUMN`.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDefinition {
    pub name: Ident,
    pub ty: TypeName,
    pub constraints: Vec<ConstraintDefinition>,
    /// `COMPRESSION`; empty: not said.
    pub compression: String,
    /// 1-based.
    pub line: u32,
}

/// A constraint, on a column or on the table, with the name it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstraintDefinition {
    pub name: Option<Ident>,
    pub body: ConstraintBody,
    /// `NOT VALID`: rows that are there are not looked at.
    pub not_valid: bool,
    /// `WITH (…)` of a key's index.
    pub storage: Vec<StorageOption>,
    /// `INCLUDE` of a key's index, which changes no answer.
    pub including: Vec<Ident>,
    /// 1-based.
    pub line: u32,
}

/// What a constraint demands. `columns` are empty where the constraint stands on its column.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintBody {
    Null,
    NotNull,
    Default(String),
    Identity {
        mode: Identity,
        options: SequenceOptions,
    },
    Generated(String),
    Check(String),
    PrimaryKey {
        columns: Vec<Ident>,
    },
    Unique {
        columns: Vec<Ident>,
    },
    ForeignKey(ForeignKeyDefinition),
    /// `ADD CONSTRAINT … USING INDEX`.
    UsingIndex {
        primary: bool,
        index: Ident,
    },
}

/// `FOREIGN KEY … REFERENCES …`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKeyDefinition {
    pub columns: Vec<Ident>,
    pub target: ObjectName,
    /// Empty: the target's primary key.
    pub target_columns: Vec<Ident>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    pub deferrable: bool,
    pub initially_deferred: bool,
}

/// Options of a sequence; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceOptions {
    pub ty: Option<TypeName>,
    pub start: Option<i64>,
    pub increment: Option<i64>,
    /// `Some(None)`: `NO MINVALUE`.
    pub min: Option<Option<i64>>,
    /// `Some(None)`: `NO MAXVALUE`.
    pub max: Option<Option<i64>>,
    pub cycle: Option<bool>,
    /// `Some(None)`: `RESTART` without a value.
    pub restart: Option<Option<i64>>,
    /// `OWNED BY`; an empty list is `OWNED BY NONE`.
    pub owned_by: Option<Vec<Ident>>,
    /// `SEQUENCE NAME`, inside identity options.
    pub name: Option<ObjectName>,
}

/// `CREATE INDEX`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    pub name: Option<Ident>,
    pub table: ObjectName,
    pub if_not_exists: bool,
    pub unique: bool,
    pub method: Ident,
    pub keys: Vec<IndexKeyDefinition>,
    /// `INCLUDE`: kept for PostgreSQL only.
    pub including: Vec<Ident>,
    /// `WITH (…)`
    pub options: Vec<StorageOption>,
    pub predicate: Option<String>,
}

/// One key of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexKeyDefinition {
    pub part: IndexPartDefinition,
    /// A COLLATE clause stands there.
    pub collated: bool,
    pub descending: bool,
    /// `None`: not said.
    pub nulls_first: Option<bool>,
    pub operator_class: Option<Ident>,
}

/// What an index key is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexPartDefinition {
    Column(Ident),
    Expression {
        text: String,
        /// What PostgreSQL would call the index's column: the function's name, or `expr`.
        label: Ident,
    },
}

/// `CREATE VIEW`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    pub name: ObjectName,
    pub replace: bool,
    pub columns: Vec<Ident>,
    pub query: String,
    /// `WITH (…)`, and `WITH CHECK OPTION` as PostgreSQL keeps it.
    pub options: Vec<StorageOption>,
}

/// `WITH (…)` of a view; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewOptions {
    pub security_invoker: Option<bool>,
    pub security_barrier: Option<bool>,
    pub check_option: Option<CheckOption>,
}

/// `CREATE POLICY`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatePolicy {
    pub name: Ident,
    pub table: ObjectName,
    pub command: PolicyCommand,
    pub permissive: bool,
    pub roles: Vec<RoleName>,
    pub using: Option<String>,
    pub check: Option<String>,
}

/// `ALTER POLICY`; what is `None` stays.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterPolicy {
    pub name: Ident,
    pub table: ObjectName,
    pub roles: Option<Vec<RoleName>>,
    pub using: Option<String>,
    pub check: Option<String>,
}

/// A role as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    Public,
    /// `CURRENT_USER`, `CURRENT_ROLE`, `SESSION_USER`.
    Current,
    Named(Ident),
}

/// `CREATE ROLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRole {
    pub name: Ident,
    pub inherit: bool,
    pub bypass_rls: bool,
    /// `IN ROLE`.
    pub member_of: Vec<RoleName>,
    /// `ROLE`, `ADMIN`.
    pub members: Vec<RoleName>,
}

/// `GRANT` and `REVOKE` on objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// False: `REVOKE`.
    pub grant: bool,
    pub target: GrantTarget,
    pub privileges: PrivilegeList,
    pub grantees: Vec<RoleName>,
    /// `WITH GRANT OPTION`, `GRANT OPTION FOR`.
    pub grant_option: bool,
    /// `GRANTED BY`
    pub grantor: Option<RoleName>,
}

/// What privileges are granted on.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantTarget {
    Tables(Vec<ObjectName>),
    Sequences(Vec<ObjectName>),
    Functions(Vec<FunctionName>),
    Schemas(Vec<Ident>),
    Types(Vec<ObjectName>),
    /// Databases: there is one.
    Databases(Vec<Ident>),
    /// Languages: everybody may use those there are.
    Languages(Vec<Ident>),
    AllTablesIn(Vec<Ident>),
    AllSequencesIn(Vec<Ident>),
    AllFunctionsIn(Vec<Ident>),
}

/// Which privileges.
#[derive(Clone, Debug, PartialEq)]
pub enum PrivilegeList {
    All,
    /// `ALL (column, …)`.
    AllOnColumns(Vec<Ident>),
    Some(Vec<PrivilegeItem>),
    /// One that the kind of object does not have: an error once the objects and roles are known to be there.
    Wrong(DatabaseError),
}

/// One privilege, on the object or on some of its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivilegeItem {
    pub privilege: Privilege,
    pub columns: Vec<Ident>,
}

/// A function as `GRANT`, `DROP` and `COMMENT` name it; `None`: without an argument list.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionName {
    pub name: ObjectName,
    pub arguments: Option<Vec<TypeName>>,
}

/// `GRANT role TO role`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRole {
    /// `REVOKE ADMIN OPTION FOR`: the membership stays.
    pub only_admin: bool,
    /// `GRANTED BY`
    pub grantor: Option<RoleName>,
    pub grant: bool,
    pub roles: Vec<Ident>,
    pub members: Vec<RoleName>,
}

/// `ALTER DEFAULT PRIVILEGES`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultPrivileges {
    /// `FOR ROLE`; empty: the current one.
    pub owners: Vec<RoleName>,
    /// `IN SCHEMA`; empty: everywhere.
    pub schemas: Vec<Ident>,
    pub object: DefaultPrivilegeObject,
    pub grant: bool,
    pub privileges: PrivilegeList,
    pub grantees: Vec<RoleName>,
    pub grant_option: bool,
}

/// `COMMENT ON … IS …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub on: CommentTarget,
    pub text: Option<String>,
}

/// What a comment is on.
#[derive(Clone, Debug, PartialEq)]
pub enum CommentTarget {
    Relation { kind: ObjectKind, name: ObjectName },
    Column { relation: ObjectName, column: Ident },
    Constraint { table: ObjectName, constraint: Ident },
    Policy { table: ObjectName, policy: Ident },
    Trigger { table: ObjectName, trigger: Ident },
    Function(FunctionName),
    Schema(Ident),
    Role(Ident),
    Type(ObjectName),
    Domain(ObjectName),
    DomainConstraint { domain: ObjectName, constraint: Ident },
    Database(Ident),
    Extension(Ident),
    Language(Ident),
    Publication(Ident),
}

/// `ALTER TABLE`, and `ALTER VIEW`/`INDEX`/`SEQUENCE` in its form.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

/// One action of `ALTER TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterAction {
    AddColumn {
        column: ColumnDefinition,
        if_not_exists: bool,
    },
    DropColumn {
        column: Ident,
        if_exists: bool,
        cascade: bool,
    },
    SetDefault {
        column: Ident,
        default: Option<String>,
    },
    SetNotNull {
        column: Ident,
    },
    DropNotNull {
        column: Ident,
    },
    /// `ALTER COLUMN … TYPE … USING`.
    SetType {
        column: Ident,
        ty: TypeName,
        using: Option<String>,
        /// 1-based.
        line: u32,
    },
    /// `SET GENERATED`, `RESTART` and the sequence options of an identity column.
    SetIdentity {
        column: Ident,
        mode: Option<Identity>,
        options: SequenceOptions,
    },
    DropExpression {
        column: Ident,
        if_exists: bool,
    },
    AddIdentity {
        column: Ident,
        mode: Identity,
        options: SequenceOptions,
    },
    DropIdentity {
        column: Ident,
        if_exists: bool,
    },
    AddConstraint(ConstraintDefinition),
    DropConstraint {
        name: Ident,
        if_exists: bool,
        cascade: bool,
    },
    /// `NOT VALID` constraints are validated at once here, so there is nothing left to do.
    ValidateConstraint {
        name: Ident,
    },
    AlterConstraint {
        name: Ident,
        deferrable: bool,
        initially_deferred: bool,
    },
    RowSecurity {
        enabled: Option<bool>,
        forced: Option<bool>,
    },
    Triggers(TriggerSwitch),
    Owner(RoleName),
    /// `SET (…)` and `RESET (…)`.
    Options {
        options: Vec<StorageOption>,
        reset: bool,
    },
    /// What PostgreSQL's storage or planner is told of a column.
    ColumnStorage {
        column: Ident,
        storage: ColumnStorage,
    },
    /// `CLUSTER ON index`.
    ClusterOn(Ident),
    /// `REPLICA IDENTITY` but for an index, `SET WITHOUT CLUSTER`, `SET LOGGED`, `SET WITHOUT OIDS`: nothing that can
    /// be asked for changes.
    Nothing,
}

/// `ALTER COLUMN … SET …` of what changes no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnStorage {
    /// `SET STATISTICS`
    Statistics(i64),
    /// `SET (…)` and `RESET (…)`
    Options { options: Vec<StorageOption>, reset: bool },
    /// `SET STORAGE`
    Storage(String),
    /// `SET COMPRESSION`
    Compression(String),
}

/// `ALTER … RENAME …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rename {
    pub kind: ObjectKind,
    /// The relation, type, schema, role or function; for columns, constraints and policies the relation they belong to.
    pub name: ObjectName,
    /// A function's argument types, where they were given.
    pub arguments: Option<Vec<TypeName>>,
    /// The column, constraint or policy.
    pub part: Option<Ident>,
    pub to: Ident,
    pub if_exists: bool,
}

/// `DROP …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    pub kind: ObjectKind,
    pub targets: Vec<DropTarget>,
    pub if_exists: bool,
    pub cascade: bool,
}

/// One thing to drop.
#[derive(Clone, Debug, PartialEq)]
pub struct DropTarget {
    pub name: ObjectName,
    /// A policy's table.
    pub table: Option<ObjectName>,
    /// A function's argument types, where they were given.
    pub arguments: Option<Vec<TypeName>>,
}

/// `CREATE FUNCTION … LANGUAGE sql`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    pub name: ObjectName,
    pub replace: bool,
    pub arguments: Vec<ArgumentDefinition>,
    pub returns: Option<TypeName>,
    pub language: Ident,
    pub body: String,
    pub volatility: Volatility,
    pub strict: bool,
    /// `ROWS 1`: a set of one row or none, which the data API embeds as one.
    pub one_row: bool,
    pub security_definer: bool,
    /// `SET search_path = …`.
    pub search_path: Option<Vec<Ident>>,
}

/// One argument, or one column of `RETURNS TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentDefinition {
    /// Empty if unnamed.
    pub name: Ident,
    pub mode: ArgumentMode,
    pub ty: TypeName,
    pub default: Option<String>,
}

/// Which way an argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentMode {
    In,
    Out,
    InOut,
    Variadic,
    /// A column of `RETURNS TABLE`.
    Table,
}

impl ArgumentMode {
    /// The caller gives it.
    pub fn is_input(self) -> bool {
        matches!(self, ArgumentMode::In | ArgumentMode::InOut | ArgumentMode::Variadic)
    }

    /// It is part of the result.
    pub fn is_output(self) -> bool {
        matches!(self, ArgumentMode::Out | ArgumentMode::InOut | ArgumentMode::Table)
    }
}

/// `ALTER FUNCTION` of what a function promises; what is `None` stays.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterFunction {
    pub function: FunctionName,
    /// `ALTER PROCEDURE` (true) or `ALTER FUNCTION`; `None`: `ALTER ROUTINE`.
    pub is_procedure: Option<bool>,
    pub volatility: Option<Volatility>,
    pub strict: Option<bool>,
    pub one_row: Option<bool>,
    pub security_definer: Option<bool>,
    /// `Some(None)`: `RESET`.
    pub search_path: Option<Option<Vec<Ident>>>,
}

/// `CREATE`/`ALTER PUBLICATION`.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    pub name: Ident,
    pub action: PublicationAction,
    pub tables: Vec<ObjectName>,
    pub all_tables: bool,
}

/// `CREATE TRIGGER`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTrigger {
    pub name: Ident,
    pub replace: bool,
    pub table: ObjectName,
    pub timing: TriggerTiming,
    pub on_insert: bool,
    pub on_update: bool,
    pub on_delete: bool,
    /// `UPDATE OF`.
    pub columns: Vec<Ident>,
    pub for_each_row: bool,
    /// `WHEN`
    pub condition: Option<String>,
    pub function: ObjectName,
    pub arguments: Vec<String>,
}

/// `ENABLE` and `DISABLE TRIGGER` of `ALTER TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSwitch {
    /// `None`: all of them.
    pub name: Option<Ident>,
    pub enabled: bool,
    /// ALL: those of foreign keys are among them.
    pub system: bool,
}

/// What happens to a publication's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationAction {
    Create,
    Add,
    Remove,
    Replace,
}
