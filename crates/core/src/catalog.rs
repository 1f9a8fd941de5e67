//! The catalog: a snapshot of relations, columns, keys, routines, roles and what each role may do.
//!
//! Both engines fill the same types: the embedded engine from its own tables, PostgreSQL by introspection.
//! A snapshot never changes; a migration or a reload publishes a new one with a higher version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{Ident, QualifiedName};
use crate::types::{Type, TypeModifier};

/// The position of a column in its relation, from 0.
pub type ColumnIndex = usize;

/// Who decides what a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// The database's own grants and row security decide (PostgreSQL).
    Database,
    /// We decide, from this catalog (the embedded engine).
    Catalog,
}

/// Everything known about the database at one version.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Grows with every change; plans and statements made for an older version are not used.
    pub version: u64,
    pub enforcement: Enforcement,
    pub schemas: BTreeMap<Ident, Schema>,
    pub relations: HashMap<QualifiedName, Arc<Relation>>,
    pub enums: HashMap<QualifiedName, Arc<EnumType>>,
    pub domains: HashMap<QualifiedName, Arc<DomainType>>,
    /// Row types of their own (`CREATE TYPE … AS`) with their attributes. Empty on the embedded engine, which has none.
    pub composites: BTreeMap<QualifiedName, Vec<(Ident, Type)>>,
    pub sequences: HashMap<QualifiedName, Arc<Sequence>>,
    /// Overloads of one name stand together.
    pub routines: HashMap<QualifiedName, Vec<Arc<Routine>>>,
    pub roles: HashMap<Ident, Role>,
    pub default_privileges: Vec<DefaultPrivilege>,
    pub extensions: BTreeMap<Ident, Ident>,
    /// For each relation, the relationships that lead away from it; see [`Catalog::derive_relationships`].
    pub relationships: HashMap<QualifiedName, Vec<Arc<Relationship>>>,
    /// Aggregates that write rows as a media type.
    pub media_handlers: Vec<MediaHandler>,
    /// Functions between a domain and JSON or text.
    pub representations: Arc<Vec<Representation>>,
    /// The database's time zones, where the engine lists them (`Prefer: timezone`).
    pub time_zones: Arc<std::collections::HashSet<String>>,
    /// For example `150018`; the embedded engine claims PostgreSQL 15.
    pub server_version: u32,
}

impl Catalog {
    /// A catalog with no objects.
    pub fn empty(enforcement: Enforcement) -> Self {
        Catalog {
            version: 0,
            enforcement,
            schemas: BTreeMap::new(),
            relations: HashMap::new(),
            enums: HashMap::new(),
            domains: HashMap::new(),
            composites: BTreeMap::new(),
            sequences: HashMap::new(),
            routines: HashMap::new(),
            roles: HashMap::new(),
            default_privileges: Vec::new(),
            extensions: BTreeMap::new(),
            relationships: HashMap::new(),
            media_handlers: Vec::new(),
            representations: Arc::default(),
            time_zones: Arc::default(),
            server_version: 150_000,
        }
    }

    /// The relation of that name.
    pub fn relation(&self, name: &QualifiedName) -> Option<&Arc<Relation>> {
        self.relations.get(name)
    }

    /// The first relation called `name` in the schemas of `path`.
    pub fn find_relation(&self, path: &[Ident], name: &str) -> Option<&Arc<Relation>> {
        path.iter()
            .find_map(|schema| self.relations.get(&QualifiedName::new(schema.clone(), name)))
    }

    /// The relationships that lead away from `name`.
    pub fn relationships_of(&self, name: &QualifiedName) -> &[Arc<Relationship>] {
        self.relationships.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The computed column `name` of `relation`: the first in the schemas of `path` of the routines of one row.
    pub fn computed_column(&self, path: &[&Ident], relation: &QualifiedName, name: &str) -> Option<&Arc<Routine>> {
        path.iter().find_map(|schema| {
            let overloads = self.routines.get(&QualifiedName::new((*schema).clone(), name))?;
            overloads
                .iter()
                .find(|routine| routine.row_argument() == Some(relation) && !routine.returns.set)
        })
    }

    /// Every role whose rights `role` has by itself: it and, where it inherits, the roles granted to it, and so on.
    pub fn effective_roles(&self, role: &Ident) -> Vec<Ident> {
        self.reachable_roles(role, |entry| entry.inherit)
    }

    /// Every role that `role` is or may switch to: it and the roles granted to it, and so on, inherited or not.
    pub fn memberships(&self, role: &Ident) -> Vec<Ident> {
        self.reachable_roles(role, |_| true)
    }

    fn reachable_roles(&self, role: &Ident, passes_on: impl Fn(&Role) -> bool) -> Vec<Ident> {
        let mut found = vec![role.clone()];
        let mut next = 0;
        while next < found.len() {
            if let Some(entry) = self.roles.get(&found[next]).filter(|entry| passes_on(entry)) {
                for parent in &entry.member_of {
                    if !found.contains(parent) {
                        found.push(parent.clone());
                    }
                }
            }
            next += 1;
        }
        found
    }
}

/// A schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schema {
    pub owner: Ident,
    pub comment: Option<String>,
    pub acl: Vec<AclEntry>,
}

/// What kind of relation this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

impl RelationKind {
    /// True for views and materialised views.
    pub fn is_view(self) -> bool {
        matches!(self, RelationKind::View | RelationKind::MaterializedView)
    }
}

/// A table or a view.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relation {
    pub name: QualifiedName,
    pub kind: RelationKind,
    pub owner: Ident,
    pub columns: Vec<Column>,
    /// Names as PostgreSQL gives them; the primary key is among them.
    pub constraints: Vec<Constraint>,
    pub indexes: Vec<Index>,
    pub row_security: RowSecurity,
    pub policies: Vec<Policy>,
    /// In the order of their names, which is the order in which they fire. Empty on PostgreSQL, which fires its own.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    pub acl: Vec<AclEntry>,
    /// For views: the defining query and where its columns come from.
    pub view: Option<View>,
    pub insertable: bool,
    pub updatable: bool,
    pub deletable: bool,
    pub comment: Option<String>,
    /// An identity that survives renames but not drop-and-create (`pg_class.oid` on PostgreSQL).
    pub id: u64,
}

impl Relation {
    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<(ColumnIndex, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == *name)
    }

    /// The primary key's columns in key order; empty if there is none. For a view: the base table's key, when all of
    /// its columns are selected.
    pub fn primary_key(&self) -> &[ColumnIndex] {
        if let Some(view) = &self.view {
            return &view.key;
        }
        self.constraints
            .iter()
            .find_map(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns } => Some(columns.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The columns that tell each row from every other; empty if there are none that are known to. The key of a view that
    /// joins tables may be there more than once.
    pub fn unique_key(&self) -> &[ColumnIndex] {
        match &self.view {
            Some(view) if !view.is_row_wise => &[],
            _ => self.primary_key(),
        }
    }
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Column {
    pub name: Ident,
    pub ty: Type,
    pub modifier: TypeModifier,
    pub not_null: bool,
    /// The default as PostgreSQL text, for example `now()` or `'pending'::order_status`.
    pub default: Option<String>,
    pub identity: Option<Identity>,
    /// `GENERATED ALWAYS AS (…) STORED`: the expression's text.
    pub generated: Option<String>,
    /// The sequence that a serial or identity column takes its values from.
    pub sequence: Option<QualifiedName>,
    pub comment: Option<String>,
}

impl Column {
    /// True if a row may be inserted without a value for this column and gets one that is not null.
    pub fn has_default(&self) -> bool {
        self.default.is_some() || self.identity.is_some() || self.generated.is_some()
    }
}

/// `GENERATED … AS IDENTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    Always,
    ByDefault,
}

/// A constraint with PostgreSQL's name for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Constraint {
    pub name: Ident,
    pub kind: ConstraintKind,
    pub comment: Option<String>,
    /// It was added `NOT VALID` and not validated since. On the embedded engine its rows pass nevertheless.
    #[serde(default)]
    pub not_valid: bool,
}

/// What a constraint demands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ConstraintKind {
    PrimaryKey {
        columns: Vec<ColumnIndex>,
    },
    Unique {
        columns: Vec<ColumnIndex>,
    },
    /// The expression's text in PostgreSQL's dialect.
    Check {
        expression: String,
    },
    ForeignKey(ForeignKey),
}

/// A foreign key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignKey {
    pub columns: Vec<ColumnIndex>,
    pub target: QualifiedName,
    /// Column names rather than positions, so that the target may be altered apart.
    pub target_columns: Vec<Ident>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    pub deferrable: bool,
    pub initially_deferred: bool,
}

/// What happens to the referencing row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// An index; those behind constraints are not listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    pub name: Ident,
    pub unique: bool,
    /// `btree`, `gin` …; other than `btree` the embedded engine keeps the entry and answers by scan, but for indexes of
    /// full text search.
    pub method: Ident,
    pub keys: Vec<IndexKey>,
    /// `WHERE` of a partial index, as PostgreSQL text.
    pub predicate: Option<String>,
    /// `INCLUDE`: columns that are kept beside the keys.
    #[serde(default)]
    pub including: Vec<ColumnIndex>,
}

/// One key of an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexKey {
    pub part: IndexPart,
    pub descending: bool,
    pub nulls_first: bool,
    /// Where it is not the type's own.
    #[serde(default)]
    pub operator_class: Option<Ident>,
}

/// What an index key is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum IndexPart {
    Column(ColumnIndex),
    /// PostgreSQL text.
    Expression(String),
}

/// Row security's two switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSecurity {
    pub enabled: bool,
    pub forced: bool,
}

/// A row-level policy (PostgreSQL manual, 5.8 and CREATE POLICY).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    pub name: Ident,
    pub command: PolicyCommand,
    pub permissive: bool,
    pub roles: Vec<Grantee>,
    /// PostgreSQL text.
    pub using: Option<String>,
    /// PostgreSQL text.
    pub check: Option<String>,
}

/// A trigger (PostgreSQL manual, chapter 39 and CREATE TRIGGER).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub name: Ident,
    pub timing: TriggerTiming,
    pub on_insert: bool,
    pub on_update: bool,
    pub on_delete: bool,
    /// `UPDATE OF`: fires if one of these is set; empty: whatever is set.
    pub columns: Vec<ColumnIndex>,
    /// Once per row instead of once per statement.
    pub for_each_row: bool,
    /// `WHEN`: PostgreSQL text over NEW and OLD.
    pub condition: Option<String>,
    pub function: TriggerFunction,
    pub arguments: Vec<String>,
    pub enabled: bool,
    pub comment: Option<String>,
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerTiming {
    Before,
    After,
    InsteadOf,
}

/// What a trigger runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerFunction {
    /// A routine by its id, which renames leave alone.
    Routine(u64),
    /// `moddatetime(column)` of the extension.
    Moddatetime,
    /// `suppress_redundant_updates_trigger()`
    SuppressRedundantUpdates,
}

/// The commands a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyCommand {
    All,
    Select,
    Insert,
    Update,
    Delete,
}

/// To whom something is granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grantee {
    Public,
    Role(Ident),
}

/// One privilege on a relation, column, schema, sequence or routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    References,
    Trigger,
    Usage,
    Create,
    Execute,
}

impl Privilege {
    /// Everything that can be granted on a table or view.
    pub const OF_TABLES: &[Privilege] = &[
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Truncate,
        Privilege::References,
        Privilege::Trigger,
    ];
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    pub grantee: Grantee,
    pub privilege: Privilege,
    /// `None`: the whole object.
    pub column: Option<ColumnIndex>,
    pub grantable: bool,
}

/// `ALTER DEFAULT PRIVILEGES`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefaultPrivilege {
    /// Objects created by this role.
    pub owner: Ident,
    /// `None`: in every schema.
    pub schema: Option<Ident>,
    pub object: DefaultPrivilegeObject,
    pub grant: AclEntry,
}

/// What kind of new object a default privilege is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultPrivilegeObject {
    Tables,
    Sequences,
    Functions,
    Types,
    Schemas,
}

/// A view's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// PostgreSQL text of the SELECT.
    pub definition: String,
    /// The search path in force when the view was created; names in `definition` are resolved by it.
    pub search_path: Vec<Ident>,
    /// Run with the caller's rights instead of the owner's.
    pub security_invoker: bool,
    pub check_option: Option<CheckOption>,
    /// For each output column, the base table's column it is, if it is one as it stands. A base column may be
    /// selected more than once.
    pub sources: Vec<Option<ColumnSource>>,
    /// Positions in the view of a base table's primary key, when all of its columns are there.
    pub key: Vec<ColumnIndex>,
    /// Each row is a row of one base table: no joins, groups or sets, all the way down.
    #[serde(default)]
    pub is_row_wise: bool,
}

/// `WITH CHECK OPTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckOption {
    Local,
    Cascaded,
}

/// A base table's column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSource {
    pub relation: QualifiedName,
    pub column: Ident,
}

/// An enum type; labels in declared order, which is their sort order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnumType {
    pub name: QualifiedName,
    pub labels: Vec<String>,
    pub owner: Ident,
    pub comment: Option<String>,
    /// Labels that the running transaction has added: not to be used before it commits.
    #[serde(skip)]
    pub uncommitted: Vec<String>,
}

/// A domain type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainType {
    pub name: QualifiedName,
    pub base: Type,
    pub modifier: TypeModifier,
    pub not_null: bool,
    pub default: Option<String>,
    /// Constraint name and expression text over `VALUE`.
    pub checks: Vec<(Ident, String)>,
    pub owner: Ident,
    #[serde(default)]
    pub comment: Option<String>,
}

impl DomainType {
    /// True if not every value of the base type is one of the domain.
    pub fn is_constrained(&self) -> bool {
        self.not_null || !self.checks.is_empty()
    }

    /// The value being checked as a row of one column, `value`: what the checks are analysed over.
    pub fn value_row(&self) -> Arc<Relation> {
        let value = Column {
            name: Ident::new("value"),
            ty: self.base.clone(),
            modifier: self.modifier,
            not_null: false,
            default: None,
            identity: None,
            generated: None,
            sequence: None,
            comment: None,
        };
        Arc::new(Relation {
            name: self.name.clone(),
            kind: RelationKind::Table,
            owner: self.owner.clone(),
            columns: vec![value],
            constraints: Vec::new(),
            indexes: Vec::new(),
            row_security: RowSecurity::default(),
            policies: Vec::new(),
            triggers: Vec::new(),
            acl: Vec::new(),
            view: None,
            insertable: false,
            updatable: false,
            deletable: false,
            comment: None,
            id: 0,
        })
    }
}

/// A sequence. Its current value is data, not catalog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sequence {
    pub name: QualifiedName,
    pub owner: Ident,
    pub ty: Type,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
    /// The serial or identity column that owns it.
    pub owned_by: Option<(QualifiedName, Ident)>,
    pub acl: Vec<AclEntry>,
}

/// A database function the API may call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Routine {
    pub name: QualifiedName,
    pub owner: Ident,
    pub arguments: Vec<Argument>,
    pub returns: Returns,
    pub volatility: Volatility,
    pub strict: bool,
    pub security_definer: bool,
    pub language: Ident,
    /// The body's text; for `LANGUAGE sql` one statement.
    pub body: String,
    /// The search path that its names are resolved by.
    pub search_path: Vec<Ident>,
    pub acl: Vec<AclEntry>,
    pub comment: Option<String>,
    pub is_procedure: bool,
    /// An identity that survives renames but not drop-and-create.
    pub id: u64,
}

impl Routine {
    /// The relation whose row is the only argument.
    pub fn row_argument(&self) -> Option<&QualifiedName> {
        match self.arguments.as_slice() {
            [
                Argument {
                    ty: Type::Composite(relation),
                    ..
                },
            ] if !self.is_procedure => Some(relation),
            _ => None,
        }
    }

    /// The media type that its value is a document of.
    pub fn media_type(&self) -> Option<String> {
        match &self.returns.ty {
            Type::Domain(name, _) if !self.returns.set => media_type_of(&name.name),
            _ => None,
        }
    }
}

/// An aggregate that makes one document of rows. Source: PostgREST documentation, "Media Type Handlers".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaHandler {
    pub aggregate: QualifiedName,
    /// The relation whose rows it takes; `None`: any rows.
    pub relation: Option<QualifiedName>,
    /// The name of the domain that it returns, lower case.
    pub media_type: String,
    /// The domain is over `bytea`.
    pub is_binary: bool,
}

/// A function that a cast of a domain is. Source: PostgREST documentation, "Domain Representations".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    pub domain: QualifiedName,
    pub kind: RepresentationKind,
    pub function: QualifiedName,
}

/// Between what the function of a representation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepresentationKind {
    /// How values are shown.
    ToJson,
    /// How values in bodies are read.
    FromJson,
    /// How values in the query are read.
    FromText,
}

/// The media type that a domain's name is, lower case; `*/*` stands for any.
pub fn media_type_of(domain: &Ident) -> Option<String> {
    let (major, minor) = domain.split_once('/')?;
    let is_of = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c) || more.contains(c))
    };
    let is_named = is_of(major, "") && is_of(minor, "+") || **domain == *"*/*";
    is_named.then(|| domain.to_lowercase())
}

/// One input argument of a routine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Argument {
    /// Empty if unnamed.
    pub name: Ident,
    pub ty: Type,
    /// PostgreSQL text of the default; on PostgreSQL only its presence matters.
    pub default: Option<String>,
    pub variadic: bool,
}

/// What a routine returns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Returns {
    pub ty: Type,
    pub set: bool,
    /// Columns of `RETURNS TABLE` or of OUT arguments; empty otherwise.
    pub columns: Vec<(Ident, Type)>,
    /// The relation whose row type this is, if it is one.
    pub relation: Option<QualifiedName>,
    /// A set that is declared to have one row at most (`ROWS 1`).
    #[serde(default)]
    pub at_most_one: bool,
}

/// PostgreSQL's promise about a function's side effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub name: Ident,
    pub superuser: bool,
    pub bypass_rls: bool,
    pub login: bool,
    /// It has the rights of the roles granted to it without switching to them.
    pub inherit: bool,
    /// Roles granted to this one.
    pub member_of: Vec<Ident>,
    /// Milliseconds, from `ALTER ROLE … SET statement_timeout`.
    pub statement_timeout_ms: Option<u64>,
    pub comment: Option<String>,
}

/// How two relations are joined when one embeds the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relationship {
    pub from: QualifiedName,
    pub to: QualifiedName,
    pub kind: RelationshipKind,
    pub is_self: bool,
}

/// The join's shape, seen from `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationshipKind {
    /// `from` holds the foreign key: one row or none. Pairs are (from column, to column).
    ManyToOne {
        constraint: Ident,
        columns: Vec<(Ident, Ident)>,
    },
    /// `to` holds the foreign key: many rows.
    OneToMany {
        constraint: Ident,
        columns: Vec<(Ident, Ident)>,
    },
    /// A foreign key that is also unique: one row or none. `is_parent`: the key is held by `to`.
    OneToOne {
        constraint: Ident,
        columns: Vec<(Ident, Ident)>,
        is_parent: bool,
    },
    /// Through a junction whose primary key holds both foreign keys.
    ManyToMany {
        junction: QualifiedName,
        from_constraint: Ident,
        to_constraint: Ident,
        /// (from column, junction column)
        from_columns: Vec<(Ident, Ident)>,
        /// (to column, junction column)
        to_columns: Vec<(Ident, Ident)>,
    },
    /// A routine whose only argument is a row of `from`, and which returns rows of `to`.
    Computed { routine: QualifiedName, to_one: bool },
}

impl Relationship {
    /// True if at most one row of `to` belongs to a row of `from`.
    pub fn is_to_one(&self) -> bool {
        match self.kind {
            RelationshipKind::ManyToOne { .. } | RelationshipKind::OneToOne { .. } => true,
            RelationshipKind::Computed { to_one, .. } => to_one,
            RelationshipKind::OneToMany { .. } | RelationshipKind::ManyToMany { .. } => false,
        }
    }
}
