//! The answers' rows.

use serde::Deserialize;

/// Role (`None`: PUBLIC), privilege, grant option.
pub type AclRow = (Option<String>, String, bool);

#[derive(Debug, Deserialize)]
pub struct SchemaRow {
    pub name: String,
    pub owner: String,
    pub comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct ExtensionRow {
    pub name: String,
    pub schema: String,
}

#[derive(Debug, Deserialize)]
pub struct RoleRow {
    pub name: String,
    pub inherit: bool,
    pub bypass_rls: bool,
    pub login: bool,
    pub comment: Option<String>,
    pub member_of: Option<Vec<String>>,
    pub is_named: bool,
}

#[derive(Debug, Deserialize)]
pub struct TypeRow {
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub owner: String,
    pub comment: Option<String>,
    pub relation_comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
    pub labels: Option<Vec<String>>,
    pub base: Option<String>,
    pub collation: Option<String>,
    pub not_null: bool,
    pub default_text: Option<String>,
    pub checks: Option<Vec<(String, String)>>,
    pub attributes: Option<Vec<(String, String)>>,
    pub subtype: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct SequenceRow {
    pub schema: String,
    pub name: String,
    pub owner: String,
    pub comment: Option<String>,
    pub ty: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    pub acl: Option<Vec<AclRow>>,
    /// Schema, table, column, and whether it is an identity's.
    pub owned_by: Option<(String, String, String, bool)>,
}

#[derive(Debug, Deserialize)]
pub struct RelationRow {
    pub oid: i64,
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub owner: String,
    pub comment: Option<String>,
    pub row_security: bool,
    pub forced: bool,
    pub unlogged: bool,
    pub replica_full: bool,
    pub options: Option<Vec<String>>,
    pub acl: Option<Vec<AclRow>>,
    pub query: Option<String>,
    pub partition_by: Option<String>,
    pub bounds: Option<String>,
    pub parents: Option<Vec<(String, String)>>,
}

#[derive(Debug, Deserialize)]
pub struct ColumnRow {
    pub relation: i64,
    pub name: String,
    pub ty: String,
    pub not_null: bool,
    pub identity: String,
    pub generated: String,
    pub default_text: Option<String>,
    pub comment: Option<String>,
    pub collation: Option<String>,
    pub acl: Option<Vec<AclRow>>,
    pub is_own: bool,
}

#[derive(Debug, Deserialize)]
pub struct ConstraintRow {
    pub relation: i64,
    pub name: String,
    pub kind: String,
    pub text: String,
    pub comment: Option<String>,
    pub columns: Option<Vec<String>>,
    pub target: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct IndexRow {
    pub relation: i64,
    pub name: String,
    pub text: String,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct PolicyRow {
    pub relation: i64,
    pub name: String,
    pub command: String,
    pub permissive: bool,
    pub roles: Option<Vec<Option<String>>>,
    pub using_text: Option<String>,
    pub check_text: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct TriggerRow {
    pub relation: i64,
    pub name: String,
    pub text: String,
    pub mode: String,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct RoutineRow {
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub owner: String,
    pub comment: Option<String>,
    pub acl: Option<Vec<AclRow>>,
    pub arguments: String,
    pub signature: String,
    pub text: String,
    pub body: String,
    pub search_path: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct DefaultRightRow {
    pub owner: String,
    pub schema: Option<String>,
    pub object: String,
    pub acl: Option<Vec<AclRow>>,
}

#[derive(Debug, Deserialize)]
pub struct PublicationRow {
    pub name: String,
    pub all_tables: bool,
    pub tables: Option<Vec<(String, String)>>,
}

#[derive(Debug, Deserialize)]
pub struct OtherRow {
    pub kind: String,
    pub schema: String,
    pub of: String,
    pub name: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct UnwrittenRow {
    pub kind: String,
    pub name: String,
    pub schema: Option<String>,
}
