//! A database's objects as definitions: what `db dump` writes and `db diff` compares.
//!
//! Lives here: one record per object, its parts as PostgreSQL text with every name qualified.
//! Not here: where the text comes from (`backend-*`; the embedded engine spells its catalog with `sql::define`), how it
//! is written (`sql::dump`), what differs (`sql::diff`).
//! Why not [`crate::catalog`]: that holds what requests need. PostgreSQL knows more of its objects (operator classes,
//! partitions, view texts) and spells it itself; here that text is kept as it is given.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{CheckOption, DefaultPrivilegeObject, Grantee, Identity, PolicyCommand, Privilege};
use crate::name::{Ident, QualifiedName};

/// Everything that users made in one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definitions {
    /// Who owns what has no other owner said: the role that made the definitions' database.
    pub owner: Ident,
    pub schemas: BTreeMap<Ident, Facts>,
    /// Name → schema.
    pub extensions: BTreeMap<Ident, Ident>,
    pub roles: BTreeMap<Ident, RoleDefinition>,
    pub types: BTreeMap<QualifiedName, TypeDefinition>,
    pub sequences: BTreeMap<QualifiedName, SequenceDefinition>,
    pub tables: BTreeMap<QualifiedName, TableDefinition>,
    pub views: BTreeMap<QualifiedName, ViewDefinition>,
    pub routines: BTreeMap<RoutineName, RoutineDefinition>,
    pub default_rights: BTreeSet<DefaultRight>,
    pub publications: BTreeMap<Ident, BTreeSet<QualifiedName>>,
    /// Kind and name of what stands behind tables and views and is written as it is given: rules, statistics.
    pub others: BTreeMap<(String, String), OtherDefinition>,
    /// Tables that are not the project's, with what the project hung on them: triggers and policies.
    pub hung: BTreeMap<QualifiedName, TableDefinition>,
    /// Objects that nobody spells here: kind and name.
    pub unwritten: BTreeSet<(String, String)>,
}

impl Definitions {
    /// No objects.
    pub fn new(owner: impl Into<Ident>) -> Self {
        Definitions {
            owner: owner.into(),
            schemas: BTreeMap::new(),
            extensions: BTreeMap::new(),
            roles: BTreeMap::new(),
            types: BTreeMap::new(),
            sequences: BTreeMap::new(),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            routines: BTreeMap::new(),
            default_rights: BTreeSet::new(),
            publications: BTreeMap::new(),
            others: BTreeMap::new(),
            hung: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        }
    }
}

/// What every object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub owner: Ident,
    /// What others than the owner may do; the owner's own rights are understood.
    pub rights: BTreeSet<Right>,
    pub comment: Option<String>,
}

impl Facts {
    /// Nobody else has rights.
    pub fn of(owner: &Ident) -> Self {
        Facts {
            owner: owner.clone(),
            rights: BTreeSet::new(),
            comment: None,
        }
    }
}

/// One grant. Ordered by whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `None`: PUBLIC.
    pub role: Option<Ident>,
    /// `None`: the whole object.
    pub column: Option<Ident>,
    pub privilege: Privilege,
    pub grantable: bool,
}

impl Right {
    /// A right on the whole object, without the grant option.
    pub fn plain(role: Option<Ident>, privilege: Privilege) -> Self {
        Right {
            role,
            column: None,
            privilege,
            grantable: false,
        }
    }

    /// PUBLIC as `None`.
    pub fn role_of(grantee: &Grantee) -> Option<Ident> {
        match grantee {
            Grantee::Public => None,
            Grantee::Role(name) => Some(name.clone()),
        }
    }
}

/// `ALTER DEFAULT PRIVILEGES … GRANT`.
///
/// For all schemas (`schema: None`) the rights replace those that PostgreSQL gives by itself, so what it gives and the
/// set lacks is revoked; in one schema they come on top (PostgreSQL manual, ALTER DEFAULT PRIVILEGES).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DefaultRight {
    pub owner: Ident,
    pub schema: Option<Ident>,
    pub object: DefaultObject,
    pub right: Right,
}

/// What new objects a default right is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefaultObject {
    Schemas,
    Tables,
    Sequences,
    Functions,
    Types,
}

impl From<DefaultPrivilegeObject> for DefaultObject {
    fn from(object: DefaultPrivilegeObject) -> Self {
        match object {
            DefaultPrivilegeObject::Tables => DefaultObject::Tables,
            DefaultPrivilegeObject::Sequences => DefaultObject::Sequences,
            DefaultPrivilegeObject::Functions => DefaultObject::Functions,
            DefaultPrivilegeObject::Types => DefaultObject::Types,
            DefaultPrivilegeObject::Schemas => DefaultObject::Schemas,
        }
    }
}

/// A role that a project made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDefinition {
    pub inherit: bool,
    pub bypass_rls: bool,
    /// It may log in; its password is never written.
    pub login: bool,
    /// Roles granted to this one.
    pub member_of: BTreeSet<Ident>,
    pub comment: Option<String>,
}

/// A type of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDefinition {
    pub facts: Facts,
    pub body: TypeBody,
}

/// What a type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeBody {
    /// Labels in order.
    Enum(Vec<String>),
    Domain {
        base: String,
        collation: Option<String>,
        not_null: bool,
        default: Option<String>,
        /// Constraint name → `CHECK (…)`.
        checks: BTreeMap<Ident, String>,
    },
    /// Attribute and type.
    Composite(Vec<(Ident, String)>),
    /// What stands between the parentheses of `AS RANGE (…)`.
    Range(String),
}

/// A sequence; its position is data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceDefinition {
    pub facts: Facts,
    pub ty: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    pub owned_by: Option<(QualifiedName, Ident)>,
    /// It belongs to an identity column, which makes it.
    pub is_identity: bool,
}

/// Where a sequence stands (`setval`'s arguments).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub value: i64,
    /// The value has been given out; else it comes next.
    pub is_called: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    pub facts: Facts,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: BTreeMap<Ident, ConstraintDefinition>,
    pub indexes: BTreeMap<Ident, IndexDefinition>,
    pub row_security: bool,
    pub row_security_forced: bool,
    pub policies: BTreeMap<Ident, PolicyDefinition>,
    pub triggers: BTreeMap<Ident, TriggerDefinition>,
    pub is_unlogged: bool,
    /// `REPLICA IDENTITY FULL`.
    pub replica_full: bool,
    /// `RANGE (a)` …, of a partitioned table.
    pub partition_by: Option<String>,
    /// The partitioned table it is a part of, and `FOR VALUES …`.
    pub partition_of: Option<(QualifiedName, String)>,
}

impl TableDefinition {
    /// A table without columns.
    pub fn new(facts: Facts) -> Self {
        TableDefinition {
            facts,
            columns: Vec::new(),
            constraints: BTreeMap::new(),
            indexes: BTreeMap::new(),
            row_security: false,
            row_security_forced: false,
            policies: BTreeMap::new(),
            triggers: BTreeMap::new(),
            is_unlogged: false,
            replica_full: false,
            partition_by: None,
            partition_of: None,
        }
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        self.columns.iter().find(|column| column.name == *name)
    }
}

/// A table's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    pub name: Ident,
    pub ty: String,
    pub collation: Option<String>,
    pub not_null: bool,
    pub default: Option<String>,
    pub identity: Option<Identity>,
    /// The expression of `GENERATED ALWAYS AS (…) STORED`, without the parentheses.
    pub generated: Option<String>,
    pub comment: Option<String>,
}

/// A table's constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintDefinition {
    pub kind: ConstraintShape,
    /// `PRIMARY KEY (id)`, `CHECK ((a > 0))`, `FOREIGN KEY (a) REFERENCES public.b(id)`.
    pub text: String,
    pub comment: Option<String>,
}

/// What a constraint is, as far as order and place matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintShape {
    PrimaryKey(Vec<Ident>),
    Unique,
    Check,
    /// The table referred to.
    ForeignKey(QualifiedName),
    Exclusion,
}

/// An index that is no constraint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// The whole `CREATE INDEX`.
    pub text: String,
    pub comment: Option<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDefinition {
    pub command: PolicyCommand,
    pub permissive: bool,
    /// `None`: PUBLIC.
    pub roles: BTreeSet<Option<Ident>>,
    pub using: Option<String>,
    pub check: Option<String>,
    pub comment: Option<String>,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerDefinition {
    /// The whole `CREATE TRIGGER`.
    pub text: String,
    pub mode: TriggerMode,
    pub comment: Option<String>,
}

/// `ALTER TABLE … ENABLE TRIGGER` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerMode {
    Enabled,
    Disabled,
    Replica,
    Always,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDefinition {
    pub facts: Facts,
    pub is_materialized: bool,
    /// Name and type, in order.
    pub columns: Vec<(Ident, String)>,
    /// The SELECT without a semicolon.
    pub query: String,
    pub security_invoker: bool,
    pub security_barrier: bool,
    pub check_option: Option<CheckOption>,
    pub column_comments: BTreeMap<Ident, String>,
    pub triggers: BTreeMap<Ident, TriggerDefinition>,
    /// Of a materialised view.
    pub indexes: BTreeMap<Ident, IndexDefinition>,
}

/// What tells a routine from its overloads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutineName {
    pub name: QualifiedName,
    /// The input arguments' types: `integer, text[]`.
    pub arguments: String,
}

/// A function or a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutineDefinition {
    pub facts: Facts,
    pub is_procedure: bool,
    /// What cannot be changed by `CREATE OR REPLACE`: arguments with their names and modes, and the result.
    pub signature: String,
    /// The whole `CREATE OR REPLACE …`, with its body.
    pub text: String,
    /// The body apart, where it is a text constant that is resolved when it runs.
    pub body: String,
    /// Where the body's names are looked up.
    pub search_path: Vec<Ident>,
}

/// An object whose statement the database gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherDefinition {
    pub schema: Ident,
    pub text: String,
}
