//! What operations share: parameters, headers, statuses and errors; and the paths that are no relations.

use serde_json::{Map, Value as Json, json};

use super::{parameter, schema};
use crate::config::{Config, ErrorVerbosity};

/// Statuses of refusals: number, component, when.
const REFUSALS: [(u16, &str, &str); 19] = [
    (
        300,
        "Ambiguous",
        "More than one relationship or function fits: PGRST201, PGRST203",
    ),
    (
        400,
        "BadRequest",
        "The request cannot be read, or the database refuses its values",
    ),
    (
        401,
        "Unauthorized",
        "No credential, one that does not hold, or no right without a token",
    ),
    (
        403,
        "Forbidden",
        "The role has no right to do this, or row security refuses the row",
    ),
    (
        404,
        "NotFound",
        "Nothing of that name that the caller may see, or nothing that takes these arguments",
    ),
    (
        405,
        "MethodNotAllowed",
        "The method does not go with what it names, or would write where only reading is allowed",
    ),
    (
        406,
        "NotAcceptable",
        "None of the accepted media types, another schema, or not exactly one row",
    ),
    (408, "RequestTimeout", "The body did not arrive in time"),
    (
        409,
        "Conflict",
        "The row is there already, is referred to, or refers to none; or its first request still runs",
    ),
    (
        412,
        "PreconditionFailed",
        "`If-Match` names no tag of the rows as they are now; nothing was written",
    ),
    (413, "TooLarge", "The body is larger than what is taken"),
    (414, "UriTooLong", "The path with its query is too long"),
    (
        416,
        "RangeNotSatisfiable",
        "The range is empty or begins after the last row",
    ),
    (
        422,
        "KeyReused",
        "The `Idempotency-Key` was used with another request; nothing was written",
    ),
    (
        429,
        "TooMany",
        "More requests than the caller's limit; `Retry-After` says when to come back",
    ),
    (
        500,
        "DatabaseFailed",
        "The statement took too long, or a function of the database failed; else a bug",
    ),
    (501, "NoPlaceForKeys", "The database has no place for `Idempotency-Key`"),
    (
        503,
        "Unavailable",
        "The database cannot be reached, or holds writes for a moment; try again",
    ),
    (504, "WaitedTooLong", "No connection came free in time; try again"),
];

/// What every operation may be refused with.
const ALWAYS: [u16; 11] = [400, 401, 403, 404, 405, 406, 414, 429, 500, 503, 504];

/// What an operation does, as far as its refusals go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Insert,
    /// Of rows that are there: by `PATCH`, `PUT` or `DELETE`.
    Change,
    Call,
    Batch,
    Document,
}

impl Kind {
    fn more(self) -> &'static [u16] {
        match self {
            Kind::Read => &[300, 416],
            Kind::Insert => &[300, 408, 409, 413, 422, 501],
            Kind::Change => &[300, 408, 409, 412, 413, 416, 422, 501],
            Kind::Call => &[300, 408, 409, 413, 416, 422, 501],
            Kind::Batch => &[300, 408, 409, 413, 416, 422, 501],
            Kind::Document => &[],
        }
    }
}

/// An operation's responses: these, and what it may be refused with.
pub fn responses(kind: Kind, mut answers: Map<String, Json>) -> Json {
    for status in ALWAYS.iter().chain(kind.more()) {
        let component = REFUSALS
            .iter()
            .find(|(number, ..)| number == status)
            .map(|(_, name, _)| *name);
        answers
            .entry(status.to_string())
            .or_insert_with(|| refusal(component.unwrap_or("BadRequest")));
    }
    if kind != Kind::Document {
        answers.insert("default".into(), refusal("Raised"));
    }
    Json::Object(answers)
}

fn refusal(component: &str) -> Json {
    json!({ "$ref": format!("#/components/responses/{component}") })
}

/// The components that [`responses`] refers to.
pub fn refusals() -> Json {
    let with_body = |description: &str| {
        json!({
            "description": description,
            "headers": {
                "X-Request-Id": header("X-Request-Id"),
                "Proxy-Status": header("Proxy-Status"),
                "Retry-After": header("Retry-After"),
            },
            "content": { "application/json": { "schema": schema("Error") } },
        })
    };
    let mut all: Map<String, Json> = REFUSALS
        .iter()
        .map(|(_, name, description)| ((*name).to_owned(), with_body(description)))
        .collect();
    let raised = "A status that a function of the database chose: `raise sqlstate 'PT402'`, `raise sqlstate 'PGRST'`";
    all.insert("Raised".into(), with_body(raised));
    Json::Object(all)
}

/// The schemas that belong to no relation.
pub fn schemas(schemas: &mut Map<String, Json>, config: &Config) {
    let mut error = json!({
        "type": "object",
        "description": "What was refused, by which code, and what to do",
        "required": ["code", "message", "details", "hint"],
        "properties": {
            "code": { "type": "string", "description": "PGRST…: PostgREST's; MS-…: Mainstay's; five characters: a SQLSTATE" },
            "message": { "type": "string" },
            "details": {
                "description": "More about it: a text, or the candidates that could not be told apart",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "object" } }, { "type": "null" }],
            },
            "hint": { "type": ["string", "null"], "description": "What to do" },
            "request": { "type": ["string", "null"], "description": "In a batch: the request that it is of" },
        },
        "additionalProperties": false,
    });
    if config.error_verbosity == ErrorVerbosity::Minimal {
        error["required"] = json!(["code", "message"]);
    }
    let headers = [
        "Accept",
        "Accept-Profile",
        "Content-Profile",
        "Content-Type",
        "Prefer",
        "Range",
        "Range-Unit",
    ];
    let headers: Map<String, Json> = headers
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string", "pattern": "^[!-~ ]*$" })))
        .collect();
    let all = [
        ("Error", error),
        (
            "Batch",
            json!({
                "type": "object",
                "required": ["requests"],
                "properties": { "requests": {
                    "type": "array", "minItems": 1, "maxItems": 100,
                    "items": {
                        "type": "object",
                        "required": ["method", "path"],
                        "properties": {
                            "id": {
                                "type": "string", "pattern": "^[A-Za-z0-9_-]+$",
                                "description": "For references of later requests, `${id.0.column}`; else the position from 0",
                            },
                            "method": { "enum": ["GET", "POST", "PATCH", "PUT", "DELETE"] },
                            "path": { "type": "string", "pattern": "^/", "description": "With its query, below the API's address" },
                            "headers": { "type": "object", "properties": headers, "additionalProperties": false },
                            "body": { "description": "JSON; with another `Content-Type` a string" },
                        },
                        "additionalProperties": false,
                    },
                } },
                "additionalProperties": false,
            }),
        ),
        (
            "BatchAnswer",
            json!({
                "type": "object",
                "required": ["responses"],
                "properties": { "responses": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["id", "status", "headers", "body"],
                        "properties": {
                            "id": { "type": "string" },
                            "status": { "type": "integer" },
                            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                            "body": { "description": "JSON, or the text of another media type" },
                        },
                        "additionalProperties": false,
                    },
                } },
                "additionalProperties": false,
            }),
        ),
    ];
    schemas.extend(all.map(|(name, schema)| (name.to_owned(), schema)));
}

/// Parameters that operations refer to by name.
pub fn parameters(config: &Config) -> Vec<(String, Json)> {
    let sent = |place: &str, name: &str, description: &str, schema: Json| json!({ "name": name, "in": place, "required": false, "description": description, "schema": schema });
    let count = i64::MAX;
    let mut all = vec![
        (
            "limit",
            sent(
                "query",
                "limit",
                "At most so many rows",
                json!({ "type": "integer", "minimum": 0, "maximum": count }),
            ),
        ),
        (
            "offset",
            sent(
                "query",
                "offset",
                "After so many rows",
                json!({ "type": "integer", "minimum": 0, "maximum": count }),
            ),
        ),
        (
            "range",
            sent(
                "header",
                "Range",
                "The rows from one number to another, from 0: `0-24`",
                json!({ "type": "string", "pattern": "^[0-9]{1,6}-[0-9]{0,6}$" }),
            ),
        ),
        (
            "range-unit",
            sent(
                "header",
                "Range-Unit",
                "What `Range` counts",
                json!({ "const": "items" }),
            ),
        ),
        (
            "if-none-match",
            sent(
                "header",
                "If-None-Match",
                "Tags of answers that are at hand: 304 if it is one of them",
                tags(),
            ),
        ),
        (
            "if-match",
            sent(
                "header",
                "If-Match",
                "The tag of the rows that are to be changed, read with the same query: 412 if they are others by now",
                tags(),
            ),
        ),
        (
            "idempotency-key",
            sent(
                "header",
                "Idempotency-Key",
                "The same request with the same key is carried out once",
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,255}$" }),
            ),
        ),
        (
            "cursor",
            sent(
                "query",
                "cursor",
                "The page after the one whose answer had this `Next-Cursor`; the same request else, without an offset",
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
            ),
        ),
        ("prefer-read", prefer(&[COUNT, HANDLING, TIME_ZONE, PAGING])),
        (
            "prefer-insert",
            prefer(&[RETURN, RESOLUTION, MISSING, COUNT, HANDLING, TIME_ZONE]),
        ),
        (
            "prefer-update",
            prefer(&[RETURN, MISSING, COUNT, MAX_AFFECTED, HANDLING, TIME_ZONE]),
        ),
        ("prefer-put", prefer(&[RETURN, HANDLING, TIME_ZONE])),
        (
            "prefer-delete",
            prefer(&[RETURN, COUNT, MAX_AFFECTED, HANDLING, TIME_ZONE]),
        ),
        ("prefer-call", prefer(&[COUNT, MAX_AFFECTED, HANDLING, TIME_ZONE])),
    ];
    if config.schemas.len() > 1 {
        let schemas: Vec<&str> = config.schemas.iter().map(|schema| schema.as_str()).collect();
        let choice = json!({ "enum": schemas });
        all.push((
            "accept-profile",
            sent("header", "Accept-Profile", "The schema, of reads", choice.clone()),
        ));
        all.push((
            "content-profile",
            sent("header", "Content-Profile", "The schema, of writes and calls", choice),
        ));
    }
    all.into_iter()
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .collect()
}

fn tags() -> Json {
    json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[0-9a-f.]{1,64}\"(, (W/)?\"[0-9a-f.]{1,64}\")*)$" })
}

const COUNT: &str = "count=(exact|planned|estimated)";
const PAGING: &str = "paging=cursor";
const HANDLING: &str = "handling=(strict|lenient)";
const TIME_ZONE: &str = "timezone=(UTC|Europe/Madrid|America/Lima|Asia/Kolkata)";
const RETURN: &str = "return=(representation|minimal|headers-only)";
const RESOLUTION: &str = "resolution=(merge-duplicates|ignore-duplicates)";
const MISSING: &str = "missing=(default|null)";
const MAX_AFFECTED: &str = "max-affected=[0-9]{1,6}";

fn prefer(preferences: &[&str]) -> Json {
    let one = format!("({})", preferences.join("|"));
    json!({
        "name": "Prefer", "in": "header", "required": false,
        "description": "Preferences, RFC 7240; `timezone` takes any zone that the database knows",
        "schema": { "type": "string", "pattern": format!("^{one}(, {one})*$") },
    })
}

/// The profile header's parameter, where there is a choice.
pub fn profile(config: &Config, name: &str) -> Option<Json> {
    (config.schemas.len() > 1).then(|| parameter(name))
}

/// A response header by name.
pub fn header(name: &str) -> Json {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The components that [`header`] refers to.
pub fn headers() -> Json {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "Content-Range": {
            "description": "The rows' numbers and their total, `0-24/3573`; `*` for what is not known",
            "schema": { "type": "string", "pattern": "^([0-9]+-[0-9]+|\\*)/([0-9]+|\\*)$" },
        },
        "Content-Location": text("The request's address with its query in one order"),
        "ETag": { "description": "The rows as they are now", "schema": { "type": "string", "pattern": "^\"[0-9a-f.]+(-[a-z]+)?\"$" } },
        "Location": text("Where the new row is"),
        "Preference-Applied": text("The preferences that were in force"),
        "Next-Cursor": text("With `Prefer: paging=cursor`, if there is another page: its `cursor`"),
        "Link": text("The address of that page"),
        "Proxy-Status": text("The error's code once more"),
        "Retry-After": text("Seconds after which to try again: 409, 429, 503"),
        "Idempotency-Replayed": text("`true`: this answer was kept, and nothing was written"),
        "X-Request-Id": text("The name under which the log has it"),
    })
}

/// `POST /batch`
pub fn batch() -> Json {
    let mut answers = Map::new();
    answers.insert(
        "200".into(),
        json!({
            "description": "All were carried out; their answers in order",
            "headers": { "X-Request-Id": header("X-Request-Id"), "Idempotency-Replayed": header("Idempotency-Replayed") },
            "content": { "application/json": { "schema": schema("BatchAnswer") } },
        }),
    );
    json!({ "post": {
        "operationId": "batch",
        "tags": ["(batch)"],
        "summary": "Several requests in one transaction: all of them, or none",
        "parameters": [parameter("idempotency-key")],
        "requestBody": { "required": true, "content": { "application/json": { "schema": schema("Batch") } } },
        "responses": responses(Kind::Batch, answers),
    } })
}

/// `GET /`: PostgREST's document.
pub fn root() -> Json {
    document(
        "root",
        "PostgREST's description of the API, OpenAPI 2.0",
        "application/openapi+json",
        false,
    )
}

/// `GET /openapi.json`: this document.
pub fn this() -> Json {
    document("openapi", "This document", "application/json", true)
}

fn document(id: &str, summary: &str, media: &str, is_tagged: bool) -> Json {
    let mut answers = Map::new();
    let mut parameters = Vec::new();
    let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
    if is_tagged {
        parameters.push(parameter("if-none-match"));
        headers["ETag"] = header("ETag");
        answers.insert("304".into(), not_modified());
    }
    answers.insert(
        "200".into(),
        json!({
            "description": "What the caller may do",
            "headers": headers,
            "content": { media: { "schema": { "type": "object" } } },
        }),
    );
    json!({ "get": {
        "operationId": id,
        "tags": ["(documents)"],
        "summary": summary,
        "parameters": parameters,
        "responses": responses(Kind::Document, answers),
    } })
}

/// What stands for an answer that is at hand.
pub fn not_modified() -> Json {
    json!({ "description": "The answer is one of those that `If-None-Match` names", "headers": { "ETag": header("ETag") } })
}
