//! What an explanation says: the JSON of `Prefer: explain=policy`. Its words are in [`text`](super::text).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// Why a request is answered as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub caller: Asker,
    /// `GET /orders?id=eq.7`
    pub request: String,
    pub answer: Given,
    pub because: Because,
    /// The same in a sentence or two.
    pub summary: String,
    pub relations: Vec<Examined>,
    /// The functions of the name that is called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routines: Vec<Called>,
    /// What could not be looked at, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// For whom the request was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Asker {
    pub role: String,
    pub claims: Value,
}

/// What the caller is answered. Nothing of it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Given {
    pub status: u16,
    /// Rows in the answer.
    pub rows: Option<u64>,
    /// Of an error.
    pub code: Option<String>,
    pub message: Option<String>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Nothing stood in the way.
    Allowed,
    /// A privilege is missing.
    Grant,
    /// Row security hides rows or refuses them.
    Policy,
    /// No row matches the filters, whoever asks.
    NoRows,
    /// The request fails for another reason.
    Error,
    /// Row security applies, and the rows could not be looked at.
    Unknown,
}

/// One relation of the request.
#[derive(Clone, Debug, Serialize)]
pub struct Examined {
    /// `public.orders`
    pub relation: String,
    /// The embeds that lead to it; empty for the request's own.
    pub path: Vec<String>,
    pub command: &'static str,
    /// It is read by a view of the request, as this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    pub grants: Vec<Grant>,
    pub row_security: RowSecurity,
    pub gates: Vec<Gate>,
    /// Absent where rows were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Examined {
    /// True if a policy cannot be evaluated on one of the rows.
    pub fn fails(&self) -> bool {
        self.rows.iter().flat_map(|rows| &rows.sample).any(RowOf::fails)
    }
}

impl RowOf {
    /// True if a policy cannot be evaluated on it.
    pub fn fails(&self) -> bool {
        let policies = self.gates.iter().flat_map(|gate| &gate.policies);
        policies.into_iter().any(|policy| policy.error.is_some())
    }
}

/// A function that may be meant by a call.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    pub routine: String,
    pub grants: Vec<Grant>,
    /// The role that its statements run as: the owner's if it is `security definer`.
    pub runs_as: String,
}

/// The view that reads a relation.
#[derive(Clone, Debug, Serialize)]
pub struct Through {
    pub view: String,
    pub role: String,
}

/// A privilege that is needed.
#[derive(Clone, Debug, Serialize)]
pub struct Grant {
    /// `SELECT`, `USAGE`
    pub privilege: &'static str,
    /// `schema public`, `table public.orders`
    pub on: String,
    /// Those that it is needed for; empty: the whole object, or any one column.
    pub columns: Vec<String>,
    pub held: bool,
    /// Columns that it is not held for.
    pub missing: Vec<String>,
}

/// Whether the relation's policies count.
#[derive(Clone, Debug, Serialize)]
pub struct RowSecurity {
    pub enabled: bool,
    pub forced: bool,
    pub applies: bool,
    /// Why it does or does not.
    pub reason: &'static str,
}

/// What a row must pass: of the policies that apply, any permissive one and every restrictive one.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    /// Whose policies: `select`, `insert`, `update`, `delete`.
    pub command: &'static str,
    pub clause: Clause,
    /// Which rows are asked about.
    pub of: Side,
    pub policies: Vec<PolicyOf>,
}

/// Which expression of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    Using,
    WithCheck,
}

/// A row before or after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Existing,
    New,
}

/// A policy for the command.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyOf {
    pub name: String,
    pub permissive: bool,
    /// `all`, `select` …
    pub command: &'static str,
    pub roles: Vec<String>,
    /// PostgreSQL text; none: every row passes.
    pub expression: Option<String>,
    /// It is for the caller's role.
    pub applies: bool,
}

/// Rows that were looked at, past all policies.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// Rows that the filters find, or that are to be written, as far as they were looked at.
    pub found: usize,
    /// There are more, which were not looked at.
    pub more: bool,
    /// Those that pass every gate; none where that is not known.
    pub passing: Option<usize>,
    /// Some of them, those that do not pass first.
    pub sample: Vec<RowOf>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowOf {
    /// Its key, or its first columns where it has none; values as PostgreSQL's text.
    pub key: Map<String, Value>,
    /// Which row of a write.
    pub of: Side,
    pub passes: Option<bool>,
    pub gates: Vec<Tried>,
}

/// What a gate makes of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    pub command: &'static str,
    pub clause: Clause,
    pub passes: bool,
    pub policies: Vec<TriedPolicy>,
}

/// What a policy makes of a row.
#[derive(Clone, Debug, Serialize)]
pub struct TriedPolicy {
    pub name: String,
    pub permissive: bool,
    /// Null is not passed either.
    pub value: Option<bool>,
    /// What the database says instead of a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The members of its ANDs and ORs.
    pub parts: Vec<TriedPart>,
}

/// What a member of a policy's expression makes of a row.
#[derive(Clone, Debug, Serialize)]
pub struct TriedPart {
    pub expression: String,
    pub value: Option<bool>,
    /// Columns and calls such as `auth.uid()` with their values, as PostgreSQL's text.
    pub saw: BTreeMap<String, Option<String>>,
}
