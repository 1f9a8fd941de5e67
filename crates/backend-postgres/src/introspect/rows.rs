//! The rows that the queries answer with, field by field.

use serde::Deserialize;

/// Grantee OID (0 is PUBLIC), privilege, grantable.
pub type AclRow = (u32, String, bool);

/// The server and who we are on it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Server {
    pub version_number: u32,
    pub version: String,
    pub connected_as: String,
    #[serde(default)]
    pub is_superuser: Option<bool>,
    #[serde(default)]
    pub collation: Option<String>,
    pub sets_response: bool,
}

#[derive(Debug, Deserialize)]
pub struct SchemaRow {
    pub name: String,
    pub owner: u32,
    pub comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct TypeRow {
    pub oid: u32,
    pub name: String,
    pub schema: String,
    /// `b` base, `c` composite, `d` domain, `e` enum, `p` pseudo, `r` range, `m` multirange.
    pub kind: String,
    pub category: String,
    pub element: u32,
    pub base: u32,
    /// The relation whose row type this is, or 0.
    pub relation: u32,
}

#[derive(Debug, Deserialize)]
pub struct EnumRow {
    pub oid: u32,
    pub owner: u32,
    pub comment: Option<String>,
    pub labels: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub struct DomainRow {
    pub oid: u32,
    pub base: u32,
    pub modifier: i32,
    pub not_null: bool,
    pub default_text: Option<String>,
    pub owner: u32,
    pub checks: Option<Vec<(String, Option<String>)>>,
}

#[derive(Debug, Deserialize)]
pub struct RelationRow {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub owner: u32,
    pub row_security: bool,
    pub forced: bool,
    pub comment: Option<String>,
    /// `security_invoker=true` and the like.
    pub options: Option<Vec<String>>,
    /// Bits 2 update, 3 insert, 4 delete (`pg_relation_is_updatable`).
    pub updatable: i32,
    /// A view through whose query alone rows can be deleted.
    pub is_row_wise: bool,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct ColumnRow {
    pub relation: u32,
    pub number: i16,
    pub name: String,
    pub ty: u32,
    pub modifier: i32,
    pub not_null: bool,
    pub default_text: Option<String>,
    /// `a` always, `d` by default, empty none.
    pub identity: String,
    /// `s` stored, empty none.
    pub generated: String,
    pub comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
    pub sequence: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct ConstraintRow {
    pub relation: u32,
    pub name: String,
    pub kind: String,
    pub columns: Option<Vec<i16>>,
    pub target: u32,
    pub target_columns: Option<Vec<i16>>,
    pub on_delete: String,
    pub on_update: String,
    pub deferrable: bool,
    pub deferred: bool,
    pub expression: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct IndexRow {
    pub relation: u32,
    pub name: String,
    pub is_unique: bool,
    pub method: String,
    pub predicate: Option<String>,
    /// Column number (0: expression), expression, option bits (1 descending, 2 nulls first).
    pub keys: Option<Vec<(i16, Option<String>, i16)>>,
}

#[derive(Debug, Deserialize)]
pub struct PolicyRow {
    pub relation: u32,
    pub name: String,
    /// `r` select, `a` insert, `w` update, `d` delete, `*` all.
    pub command: String,
    pub permissive: bool,
    pub roles: Option<Vec<u32>>,
    pub using_text: Option<String>,
    pub check_text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct RuleRow {
    pub relation: u32,
    pub tree: String,
}

#[derive(Debug, Deserialize)]
pub struct RoutineRow {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub owner: u32,
    pub kind: String,
    pub returns_set: bool,
    pub returns: u32,
    pub rows: f64,
    pub volatility: String,
    pub strict: bool,
    pub security_definer: bool,
    pub language: String,
    pub input_types: Option<Vec<u32>>,
    pub all_types: Option<Vec<u32>>,
    pub modes: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    pub defaults: usize,
    pub comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct MediaHandlerRow {
    pub schema: String,
    pub name: String,
    pub domain: String,
    pub is_binary: bool,
    pub relation: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct RepresentationRow {
    pub schema: String,
    pub domain: String,
    pub function_schema: String,
    pub function: String,
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct RoleRow {
    pub oid: u32,
    pub name: String,
    pub superuser: bool,
    pub bypass_rls: bool,
    pub login: bool,
    pub inherit: bool,
    pub comment: Option<String>,
    pub member_of: Option<Vec<u32>>,
}

#[derive(Debug, Deserialize)]
pub struct RoleSettingRow {
    pub role: u32,
    pub name: String,
    pub value: String,
}

#[derive(Debug, Deserialize)]
pub struct DefaultPrivilegeRow {
    pub owner: u32,
    pub schema: Option<String>,
    pub object: String,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct ExtensionRow {
    pub name: String,
    pub schema: String,
}

#[derive(Debug, Deserialize)]
pub struct SequenceRow {
    pub schema: String,
    pub name: String,
    pub owner: u32,
    pub ty: u32,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
    pub acl: Option<Vec<AclRow>>,
}
