//! Everything the data API can refuse, each with its code, status and text.
//!
//! Codes and texts are PostgREST's where it has one; ours begin with `MS-DATA`. Not here: what the database refuses
//! ([`sqlstate`] gives its status).

mod answer;
mod sqlstate;

use std::sync::Arc;

use http::StatusCode;
use mainstay_core::catalog::Relationship;
use mainstay_core::error::{BackendError, Code, DatabaseError, PublicError};
use mainstay_core::name::Ident;
use serde_json::{Value as Json, json};

pub use answer::{ErrorContext, error_body, error_response};

/// Everything the data API can refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{message}")]
    QueryParameter { message: String, details: String },
    #[error("Cannot use the {0} method on RPC")]
    RoutineMethod(String),
    #[error("{0}")]
    Body(String),
    #[error("Requested range not satisfiable")]
    Range(RangeError),
    #[error("Filters must include all and only primary key columns with 'eq' operators")]
    PutFilters,
    #[error("Invalid schema: {schema}")]
    Schema { schema: String, exposed: Vec<Ident> },
    #[error("None of these media types are available: {}", .0.join(", "))]
    MediaType(Vec<String>),
    #[error("'{target}' is not an embedded resource in this request")]
    NotEmbedded {
        target: String,
        renamed: Option<(String, String)>,
    },
    #[error("response.headers guc must be a JSON array composed of objects with a single key and a string value")]
    ResponseHeaders,
    #[error("response.status guc must be a valid status code")]
    ResponseStatus,
    #[error("limit/offset querystring parameters are not allowed for PUT")]
    PutLimit,
    #[error("Payload values do not match URL in primary key column(s)")]
    PutMismatch,
    #[error("Cannot coerce the result to a single JSON object")]
    NotSingular { rows: u64 },
    #[error("Unsupported HTTP method: {0}")]
    Method(String),
    #[error("A related order on '{target}' is not possible")]
    RelatedOrder { origin: Ident, target: String },
    #[error("Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error")]
    Raised(RaiseProblem),
    #[error("Invalid preferences given with handling=strict")]
    Preferences(Vec<String>),
    #[error("Use of aggregate functions is not allowed")]
    Aggregates,
    #[error("Query result exceeds max-affected preference constraint")]
    MaxAffected { rows: u64 },
    #[error("Invalid path specified in request URL")]
    Path,
    #[error("Root endpoint metadata is disabled")]
    OpenApiDisabled,
    #[error("Feature not implemented")]
    NotImplemented(String),
    #[error("Function must return SETOF or TABLE when max-affected preference is used with handling=strict")]
    MaxAffectedSingle,
    #[error("Could not find a relationship between '{parent}' and '{child}' in the schema cache")]
    NoRelationship {
        parent: String,
        child: String,
        hint_used: Option<String>,
        schema: Ident,
        suggestion: Option<String>,
    },
    #[error("Could not embed because more than one relationship was found for '{parent}' and '{child}'")]
    AmbiguousRelationship {
        parent: String,
        child: String,
        candidates: Vec<Arc<Relationship>>,
    },
    #[error("Could not find the function {signature} in the schema cache")]
    NoRoutine {
        signature: String,
        searched: String,
        suggestion: Option<String>,
    },
    #[error("Could not choose the best candidate function between: {0}")]
    AmbiguousRoutine(String),
    #[error("Could not find the '{column}' column of '{relation}' in the schema cache")]
    NoColumn { relation: Ident, column: String },
    #[error("Could not find the table '{schema}.{relation}' in the schema cache")]
    NoRelation {
        schema: Ident,
        relation: String,
        suggestion: Option<Ident>,
    },
    #[error("{what} are more than {max}")]
    TooMany { what: &'static str, max: usize },
    #[error("{what} is nested too deeply")]
    TooDeep { what: &'static str },
    #[error("The rows are not those that If-Match names")]
    Changed,
    #[error("{0} cannot be read as entity tags")]
    EntityTags(&'static str),
    #[error("If-Match does not go with {0}")]
    NoCondition(String),
    #[error("The batch cannot be read: {0}")]
    Batch(String),
    #[error("Idempotency-Key cannot be read")]
    IdempotencyKey,
    #[error("The Idempotency-Key was used with another request")]
    KeyReused,
    #[error("A request with this Idempotency-Key is still running")]
    StillRunning,
    #[error("The answer has {bytes} bytes, more than the {bytes_max} that are kept for an Idempotency-Key")]
    AnswerTooLarge { bytes: usize, bytes_max: usize },
    #[error("This database keeps no answers for an Idempotency-Key")]
    NothingKept,
    #[error("The cursor is not one of this request")]
    Cursor,
    #[error("Pages by cursor are not available for {0}")]
    NotPaged(&'static str),
    #[error("The sort keys of the page's last row have more than the {bytes_max} bytes that a cursor may hold")]
    CursorTooLong { bytes_max: usize },
    /// Found by the planner, in the words and with the code the database would use.
    #[error(transparent)]
    Database(Box<DatabaseError>),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What is wrong with a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeError {
    NegativeLimit,
    LowerAboveUpper,
    OutOfBounds { offset: u64, total: u64 },
}

/// What is wrong with a `RAISE SQLSTATE 'PGRST'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaiseProblem {
    Message(String),
    Detail(String),
    NoDetail,
}

impl Error {
    /// The status that goes with the error; `is_anonymous`: the caller showed no token.
    pub fn status(&self, is_anonymous: bool) -> StatusCode {
        match self {
            Error::QueryParameter { .. }
            | Error::Body(_)
            | Error::NotEmbedded { .. }
            | Error::PutLimit
            | Error::PutMismatch
            | Error::RelatedOrder { .. }
            | Error::Preferences(_)
            | Error::Aggregates
            | Error::MaxAffected { .. }
            | Error::NotImplemented(_)
            | Error::MaxAffectedSingle
            | Error::NoRelationship { .. }
            | Error::NoColumn { .. }
            | Error::TooMany { .. }
            | Error::TooDeep { .. }
            | Error::EntityTags(_)
            | Error::NoCondition(_)
            | Error::Batch(_)
            | Error::IdempotencyKey
            | Error::Cursor
            | Error::NotPaged(_)
            | Error::CursorTooLong { .. }
            | Error::AnswerTooLarge { .. } => StatusCode::BAD_REQUEST,
            Error::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Error::StillRunning => StatusCode::CONFLICT,
            Error::NothingKept => StatusCode::NOT_IMPLEMENTED,
            Error::Changed => StatusCode::PRECONDITION_FAILED,
            Error::RoutineMethod(_) | Error::PutFilters | Error::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Error::Schema { .. } | Error::MediaType(_) | Error::NotSingular { .. } => StatusCode::NOT_ACCEPTABLE,
            Error::ResponseHeaders | Error::ResponseStatus | Error::Raised(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Path | Error::OpenApiDisabled | Error::NoRoutine { .. } | Error::NoRelation { .. } => {
                StatusCode::NOT_FOUND
            }
            Error::AmbiguousRelationship { .. } | Error::AmbiguousRoutine(_) => StatusCode::MULTIPLE_CHOICES,
            Error::Database(error) => sqlstate::status(error, is_anonymous),
            Error::Backend(error) => match error {
                BackendError::Refused(error) => sqlstate::status(error, is_anonymous),
                BackendError::TooManyAffected { .. }
                | BackendError::PutMismatch
                | BackendError::TooCostly { .. }
                | BackendError::AnswerTooLarge
                | BackendError::BadPayload(_) => StatusCode::BAD_REQUEST,
                BackendError::NotSingular { .. } => StatusCode::NOT_ACCEPTABLE,
                BackendError::Unavailable { .. } | BackendError::StaleCatalog | BackendError::WritesHeld { .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                BackendError::Busy => StatusCode::GATEWAY_TIMEOUT,
                BackendError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// `details` as the wire has it: a text, or a list for an ambiguous relationship.
    pub fn details_json(&self) -> Json {
        if let Error::AmbiguousRelationship { candidates, .. } = self {
            return Json::Array(
                candidates
                    .iter()
                    .map(|candidate| answer::relationship(candidate))
                    .collect(),
            );
        }
        self.details().map_or(Json::Null, |details| json!(details))
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        Error::Database(Box::new(error))
    }
}

impl PublicError for Error {
    fn code(&self) -> Code {
        match self {
            Error::QueryParameter { .. } => Code::fixed("PGRST100"),
            Error::RoutineMethod(_) => Code::fixed("PGRST101"),
            Error::Body(_) => Code::fixed("PGRST102"),
            Error::Range(_) => Code::fixed("PGRST103"),
            Error::PutFilters => Code::fixed("PGRST105"),
            Error::Schema { .. } => Code::fixed("PGRST106"),
            Error::MediaType(_) => Code::fixed("PGRST107"),
            Error::NotEmbedded { .. } => Code::fixed("PGRST108"),
            Error::ResponseHeaders => Code::fixed("PGRST111"),
            Error::ResponseStatus => Code::fixed("PGRST112"),
            Error::PutLimit => Code::fixed("PGRST114"),
            Error::PutMismatch => Code::fixed("PGRST115"),
            Error::NotSingular { .. } => Code::fixed("PGRST116"),
            Error::Method(_) => Code::fixed("PGRST117"),
            Error::RelatedOrder { .. } => Code::fixed("PGRST118"),
            Error::Raised(_) => Code::fixed("PGRST121"),
            Error::Preferences(_) => Code::fixed("PGRST122"),
            Error::Aggregates => Code::fixed("PGRST123"),
            Error::MaxAffected { .. } => Code::fixed("PGRST124"),
            Error::Path => Code::fixed("PGRST125"),
            Error::OpenApiDisabled => Code::fixed("PGRST126"),
            Error::NotImplemented(_) => Code::fixed("PGRST127"),
            Error::MaxAffectedSingle => Code::fixed("PGRST128"),
            Error::NoRelationship { .. } => Code::fixed("PGRST200"),
            Error::AmbiguousRelationship { .. } => Code::fixed("PGRST201"),
            Error::NoRoutine { .. } => Code::fixed("PGRST202"),
            Error::AmbiguousRoutine(_) => Code::fixed("PGRST203"),
            Error::NoColumn { .. } => Code::fixed("PGRST204"),
            Error::NoRelation { .. } => Code::fixed("PGRST205"),
            Error::TooMany { .. } => Code::fixed("MS-DATA-001"),
            Error::TooDeep { .. } => Code::fixed("MS-DATA-002"),
            Error::Changed => Code::fixed("MS-DATA-003"),
            Error::EntityTags(_) => Code::fixed("MS-DATA-004"),
            Error::NoCondition(_) => Code::fixed("MS-DATA-005"),
            Error::Batch(_) => Code::fixed("MS-DATA-007"),
            Error::IdempotencyKey => Code::fixed("MS-DATA-008"),
            Error::KeyReused => Code::fixed("MS-DATA-009"),
            Error::StillRunning => Code::fixed("MS-DATA-010"),
            Error::AnswerTooLarge { .. } => Code::fixed("MS-DATA-011"),
            Error::NothingKept => Code::fixed("MS-DATA-012"),
            Error::Cursor => Code::fixed("MS-DATA-013"),
            Error::NotPaged(_) => Code::fixed("MS-DATA-014"),
            Error::CursorTooLong { .. } => Code::fixed("MS-DATA-015"),
            Error::Database(error) => Code::dynamic(error.sqlstate.clone()),
            Error::Backend(error) => match error {
                BackendError::Refused(error) => Code::dynamic(error.sqlstate.clone()),
                BackendError::TooManyAffected { .. } => Code::fixed("PGRST124"),
                BackendError::NotSingular { .. } => Code::fixed("PGRST116"),
                BackendError::PutMismatch => Code::fixed("PGRST115"),
                BackendError::Unavailable { .. } => Code::fixed("PGRST000"),
                BackendError::Busy => Code::fixed("PGRST003"),
                BackendError::StaleCatalog => Code::fixed("PGRST002"),
                BackendError::WritesHeld { .. } => Code::fixed("MS-DATA-006"),
                BackendError::TooCostly { .. } => Code::fixed("MS-DATA-016"),
                BackendError::AnswerTooLarge => Code::fixed("MS-DATA-017"),
                BackendError::BadPayload(_) => Code::fixed("PGRST102"),
                BackendError::Internal(_) => Code::fixed("MS-DATA-500"),
            },
        }
    }

    fn message(&self) -> String {
        match self {
            Error::Backend(error) => match error {
                BackendError::TooManyAffected { affected } => Error::MaxAffected { rows: *affected }.to_string(),
                BackendError::NotSingular { rows } => Error::NotSingular { rows: *rows }.to_string(),
                BackendError::PutMismatch => Error::PutMismatch.to_string(),
                BackendError::Unavailable { .. } => "Database connection error.".into(),
                BackendError::Busy => "Timed out acquiring connection from connection pool.".into(),
                BackendError::StaleCatalog => "Could not query the database for the schema cache. Retrying.".into(),
                BackendError::WritesHeld { is_moved: false } => {
                    "The database is being moved and takes no writes for a moment.".into()
                }
                BackendError::WritesHeld { is_moved: true } => {
                    "The database has been moved and takes no more writes here.".into()
                }
                BackendError::Refused(_)
                | BackendError::TooCostly { .. }
                | BackendError::AnswerTooLarge
                | BackendError::BadPayload(_)
                | BackendError::Internal(_) => error.to_string(),
            },
            other => other.to_string(),
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Error::QueryParameter { details, .. } => Some(details.clone()),
            Error::Range(error) => Some(match error {
                RangeError::NegativeLimit => "Limit should be greater than or equal to zero.".into(),
                RangeError::LowerAboveUpper => {
                    "The lower boundary must be lower than or equal to the upper boundary in the Range header.".into()
                }
                RangeError::OutOfBounds { offset, total } => {
                    format!("An offset of {offset} was requested, but there are only {total} rows.")
                }
            }),
            Error::NotSingular { rows } | Error::Backend(BackendError::NotSingular { rows }) => {
                Some(format!("The result contains {rows} rows"))
            }
            Error::MaxAffected { rows } | Error::Backend(BackendError::TooManyAffected { affected: rows }) => {
                Some(format!("The query affects {rows} rows"))
            }
            Error::NotEmbedded { renamed: Some(_), .. } => {
                Some("Target names are not allowed in filters if they have an alias".into())
            }
            Error::RelatedOrder { origin, target } => Some(format!(
                "'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
            )),
            Error::Raised(problem) => Some(match problem {
                RaiseProblem::Message(text) => format!("Invalid JSON value for MESSAGE: '{text}'"),
                RaiseProblem::Detail(text) => format!("Invalid JSON value for DETAIL: '{text}'"),
                RaiseProblem::NoDetail => "DETAIL is missing in the RAISE statement".into(),
            }),
            Error::Preferences(names) => Some(format!("Invalid preferences: {}", names.join(", "))),
            Error::NotImplemented(details) => Some(details.clone()),
            Error::NoRelationship {
                parent,
                child,
                hint_used,
                schema,
                ..
            } => {
                let hint = hint_used
                    .as_ref()
                    .map(|hint| format!("' using the hint '{hint}"))
                    .unwrap_or_default();
                Some(format!(
                    "Searched for a foreign key relationship between '{parent}' and '{child}{hint}' in the schema \
                     '{schema}', but no matches were found."
                ))
            }
            Error::NoRoutine { searched, .. } => Some(format!(
                "Searched for the function {searched}, but no matches were found in the schema cache."
            )),
            Error::Database(error) => error.detail.clone(),
            Error::Backend(BackendError::Refused(error)) => error.detail.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NotEmbedded { target, renamed: None } => Some(format!(
                "Verify that '{target}' is included in the 'select' query parameter."
            )),
            Error::NotEmbedded {
                renamed: Some((name, alias)),
                ..
            } => Some(format!("Change '{name}' to '{alias}' in filters, orders or limits.")),
            Error::Raised(RaiseProblem::Message(_)) => Some(
                "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', \
                 'hint'."
                    .into(),
            ),
            Error::Raised(_) => Some(
                "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: \
                 'status_text'."
                    .into(),
            ),
            Error::Schema { exposed, .. } => {
                let names: Vec<&str> = exposed.iter().map(|name| name.as_str()).collect();
                Some(format!("Only the following schemas are exposed: {}", names.join(", ")))
            }
            Error::NoRelationship { suggestion, .. } => suggestion.clone(),
            Error::AmbiguousRelationship { child, candidates, .. } => {
                Some(answer::relationship_hint(child, candidates))
            }
            Error::NoRoutine { suggestion, .. } => suggestion
                .as_ref()
                .map(|suggestion| format!("Perhaps you meant to call the function {suggestion}")),
            Error::AmbiguousRoutine(_) => Some(
                "Try renaming the parameters or the function itself in the database so function overloading can be \
                 resolved"
                    .into(),
            ),
            Error::NoRelation { schema, suggestion, .. } => suggestion
                .as_ref()
                .map(|name| format!("Perhaps you meant the table '{schema}.{name}'")),
            Error::TooMany { .. } => Some("Send fewer in one request.".into()),
            Error::Backend(BackendError::WritesHeld { is_moved }) => Some(
                match is_moved {
                    false => "Nothing was written. Send it again; reads are answered meanwhile.",
                    true => {
                        "Nothing was written; reads are answered. Serve from the database it was moved to, or take the \
                         move back with `mainstay grow --abandon`."
                    }
                }
                .into(),
            ),
            Error::Backend(BackendError::AnswerTooLarge) => {
                Some("Ask for fewer rows with `limit`, also in embeds, or for fewer columns.".into())
            }
            Error::Backend(BackendError::TooCostly { .. }) => {
                Some("Filter by a column that has an index, embed less, or ask for fewer rows.".into())
            }
            Error::TooDeep { .. } => Some("Nest less deeply, or ask in several requests.".into()),
            Error::Changed => Some(
                "They have changed, or there are none: read again with the same query string, and send the new ETag."
                    .into(),
            ),
            Error::EntityTags(_) => Some("Send \"tag\" as ETag gave it, several with commas between, or *.".into()),
            Error::NoCondition(_) => Some("It goes with PATCH, PUT and DELETE of a table or view.".into()),
            Error::IdempotencyKey => Some(
                "Send one key of at most 255 visible ASCII characters, without blanks, quotes, commas and backslashes; a \
                 random UUID is best."
                    .into(),
            ),
            Error::KeyReused => Some("Use a new key for a new request, and send a retry just as the first.".into()),
            Error::StillRunning => Some("Send it again in a moment.".into()),
            Error::AnswerTooLarge { .. } => Some(
                "Nothing was written. Ask for less, as with Prefer: return=minimal or select, or leave the key out.".into(),
            ),
            Error::Cursor => Some(
                "A cursor goes with the table, filters and order of the request whose answer it came in, and with its role. \
                 Begin again without one."
                    .into(),
            ),
            Error::NotPaged(_) => Some("Use limit and offset, or read a table, or a view of one, that has a key.".into()),
            Error::CursorTooLong { .. } => Some("Order by shorter columns.".into()),
            Error::NothingKept => Some(
                "Nothing was written. Let the role that Mainstay connects as create schemas, or create _mainstay for it; \
                 docs/guides/idempotent-writes.md shows how."
                    .into(),
            ),
            Error::Database(error) => error.hint.clone(),
            Error::Backend(BackendError::Refused(error)) => error.hint.clone(),
            _ => None,
        }
    }
}
