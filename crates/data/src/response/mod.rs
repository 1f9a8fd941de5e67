//! Rows to HTTP: statuses, headers and brackets.
//!
//! Source: PostgREST documentation, "Pagination and Count", "Prefer Header", "Response Headers".

mod database;
pub mod info;
pub mod openapi;
pub mod openapi31;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use mainstay_core::catalog::Routine;
use mainstay_core::name::Ident;
use mainstay_core::plan::{Count, Format, Outcome};
use mainstay_core::types::Type;
use mainstay_http::Response;

use crate::conditional;
use crate::config::{Config, ErrorVerbosity};
use crate::cursor::Cursors;
use crate::error::{Error, RangeError, error_body};
use crate::paging::{self, Page};
use crate::planner::Planned;
use crate::request::media::{MediaType, Negotiated};
use crate::request::prefer::{Preferences, Representation, Resolution};
use crate::request::query::{self, Parameter};
use crate::request::range::{Window, content_range};
use crate::request::{Action, CallMethod, Head, Resource};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a response is made from.
pub struct Answer<'a> {
    pub config: &'a Config,
    pub head: &'a Head,
    /// The preferences that were in force.
    pub preferences: Preferences,
    pub parameters: &'a [Parameter<'a>],
    pub window: Window,
    pub planned: &'a Planned,
    pub outcome: Outcome,
    /// The relation has a primary key or the request names a conflict target, so that a resolution means something.
    pub has_conflict_target: bool,
    /// The page that was asked for, and what makes the cursor of the next.
    pub page: Option<(&'a Page, &'a Cursors)>,
    /// The cursor that came with the request.
    pub cursor: Option<&'a str>,
}

impl Answer<'_> {
    /// The response to a read of a relation.
    pub fn read(mut self, head_only: bool) -> Result<Response, Error> {
        let (total, rows) = self.counts();
        let lower = integer(self.window.offset);
        let upper = last(lower, rows);
        let status = range_status(lower, upper, total);
        let mut response = Response::empty(status);
        let range = match self.cursor {
            None => content_range(lower, upper, total),
            // Where in all rows the page is, nobody has counted.
            Some(_) => content_range(1, 0, total),
        };
        set(&mut response, header::CONTENT_RANGE, &range);
        set(&mut response, header::CONTENT_LOCATION, &self.location());
        self.typed(&mut response);
        self.preferred(&mut response);
        response.rows = Some(rows);
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            response.body = self.out_of_bounds(total);
            return database::apply(response, &self.outcome);
        }
        if let Some((page, cursors)) = self.page {
            page.tell(cursors, self.parameters, &self.outcome, &mut response)?;
        }
        if !self.planned.rows_are_total {
            conditional::tagged(&mut response, &self.outcome.body);
        }
        if !head_only {
            response.body = body(&self.planned.negotiated, std::mem::take(&mut self.outcome.body));
        }
        database::apply(response, &self.outcome)
    }

    /// The response to a write.
    pub fn write(mut self) -> Result<Response, Error> {
        let preferences = &self.preferences;
        let is_explained = self.planned.negotiated.explain.is_some();
        let is_full = preferences.representation == Some(Representation::Full) || is_explained;
        let affected = if is_full {
            self.outcome.rows
        } else {
            self.outcome.affected
        };
        let counted = matches!(preferences.count, Some(Count::Exact | Count::Estimated)).then_some(affected);
        let status = match self.head.action {
            _ if is_explained => StatusCode::OK,
            Action::Create => {
                let merged_only =
                    preferences.resolution == Some(Resolution::MergeDuplicates) && self.outcome.inserted == 0;
                if merged_only {
                    StatusCode::OK
                } else {
                    StatusCode::CREATED
                }
            }
            _ if !is_full => StatusCode::NO_CONTENT,
            Action::Put if self.outcome.inserted > 0 => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let mut response = Response::empty(status);
        match self.head.action {
            Action::Create | Action::Delete => set(&mut response, header::CONTENT_RANGE, &content_range(1, 0, counted)),
            Action::Update => {
                set(
                    &mut response,
                    header::CONTENT_RANGE,
                    &content_range(0, integer(affected) - 1, counted),
                );
            }
            _ => {}
        }
        if !self.outcome.location.is_empty() {
            set(&mut response, header::LOCATION, &self.created());
        }
        if is_full {
            self.typed(&mut response);
            if matches!(self.head.action, Action::Update | Action::Put) {
                // What the rows are now, so that the same client can go on from there.
                conditional::tagged(&mut response, &self.outcome.body);
            }
            response.body = body(&self.planned.negotiated, std::mem::take(&mut self.outcome.body));
        }
        self.preferred(&mut response);
        response.rows = Some(affected);
        database::apply(response, &self.outcome)
    }

    /// The response to a call.
    pub fn call(mut self, routine: &Routine, method: CallMethod) -> Result<Response, Error> {
        let is_counted = matches!(self.preferences.count, Some(Count::Exact | Count::Estimated));
        let (total, rows) = match routine.returns.set {
            true => self.counts(),
            false => (is_counted.then_some(1), 1),
        };
        let lower = integer(self.window.offset);
        let upper = last(lower, rows);
        let is_explained = self.planned.negotiated.explain.is_some();
        let is_void = routine.returns.ty == Type::Void && !routine.returns.set && !is_explained;
        let status = range_status(lower, upper, total);
        let mut response = Response::empty(if is_void { StatusCode::NO_CONTENT } else { status });
        set(
            &mut response,
            header::CONTENT_RANGE,
            &content_range(lower, upper, total),
        );
        self.preferred(&mut response);
        response.rows = Some(rows);
        if !is_void {
            self.typed(&mut response);
            if method.is_safe() && status != StatusCode::RANGE_NOT_SATISFIABLE {
                conditional::tagged(&mut response, &self.outcome.body);
            }
            if status == StatusCode::RANGE_NOT_SATISFIABLE {
                response.body = self.out_of_bounds(total);
            } else if method != CallMethod::Head {
                response.body = if routine.returns.set {
                    body(&self.planned.negotiated, std::mem::take(&mut self.outcome.body))
                } else {
                    single(&self.planned.negotiated, self.outcome.body.as_slice())
                };
            }
        }
        database::apply(response, &self.outcome)
    }

    /// Total if it is known, and rows.
    fn counts(&self) -> (Option<u64>, u64) {
        if self.planned.rows_are_total {
            let total = self.outcome.total;
            return (total, total.unwrap_or_default());
        }
        let total = if self.planned.total_is_rows {
            Some(self.outcome.rows)
        } else {
            self.outcome.total
        };
        (total, self.outcome.rows)
    }

    fn out_of_bounds(&self, total: Option<u64>) -> Bytes {
        let error = Error::Range(RangeError::OutOfBounds {
            offset: self.window.offset,
            total: total.unwrap_or_default(),
        });
        error_body(&error, self.config.error_verbosity == ErrorVerbosity::Minimal).into()
    }

    /// `/relation?` with the query in its canonical form.
    fn location(&self) -> String {
        let mut text = String::from("/");
        if let Resource::Relation(name) = &self.head.resource {
            query::encode(&mut text, name);
        }
        let canonical = match self.cursor {
            None => query::canonical(self.parameters),
            Some(cursor) => {
                let mut parameters = self.parameters.to_vec();
                parameters.push(Parameter {
                    name: paging::PARAMETER.into(),
                    value: Some(cursor.into()),
                });
                query::canonical(&parameters)
            }
        };
        if !canonical.is_empty() {
            text.push('?');
            text.push_str(&canonical);
        }
        text
    }

    /// Where the inserted row is: `/relation?key=eq.value`.
    fn created(&self) -> String {
        let mut text = String::from("/");
        if let Resource::Relation(name) = &self.head.resource {
            query::encode(&mut text, name);
        }
        for (position, (column, value)) in self.outcome.location.iter().enumerate() {
            text.push(if position == 0 { '?' } else { '&' });
            query::encode(&mut text, column);
            text.push_str("=eq.");
            query::encode(&mut text, value);
        }
        text
    }

    fn typed(&self, response: &mut Response) {
        typed(response, &self.planned.negotiated.media);
        profile(response, self.head);
    }

    fn preferred(&self, response: &mut Response) {
        let mut preferences = self.preferences.clone();
        let action = &self.head.action;
        let is_create = *action == Action::Create;
        let is_write = matches!(action, Action::Create | Action::Put | Action::Update | Action::Delete);
        if !is_create || !self.has_conflict_target {
            preferences.resolution = None;
        }
        if !is_write {
            preferences.representation = None;
        }
        preferences.is_paged &= self.page.is_some();
        if !is_create && *action != Action::Update {
            preferences.missing = None;
        }
        if !matches!(action, Action::Update | Action::Delete | Action::Call { .. }) {
            preferences.max_affected = None;
        }
        if let Some(applied) = preferences.applied() {
            set(response, PREFERENCE_APPLIED, &applied);
        }
        let renamed = &self.planned.named_by_target;
        if !renamed.is_empty() {
            let changes: Vec<String> = renamed
                .iter()
                .map(|(name, alias)| format!("`{name}` to `{alias}`"))
                .collect();
            let text = format!(
                "299 PostgRESTv{} \"Embedded resource was referenced by relation name even though it has an alias. This \
                 is deprecated and will stop working in a future release. Update {} in query string filters, orders or \
                 limits.\"",
                self.config.version.number(),
                changes.join(", ")
            );
            set(response, header::WARNING, &text);
        }
    }
}

/// Names the media type of a body, with its character set where it is text.
pub fn typed(response: &mut Response, media: &MediaType) {
    if *media == MediaType::Json {
        response.headers.insert(header::CONTENT_TYPE, JSON);
        return;
    }
    let charset = if matches!(media, MediaType::OctetStream | MediaType::Other(_)) {
        ""
    } else {
        "; charset=utf-8"
    };
    set(response, header::CONTENT_TYPE, &format!("{}{charset}", media.mime()));
}

/// Names the schema, where there was a choice.
pub fn profile(response: &mut Response, head: &Head) {
    if head.is_negotiated {
        let schema: &Ident = &head.schema;
        if let Ok(value) = HeaderValue::from_bytes(schema.as_bytes()) {
            response.headers.insert(CONTENT_PROFILE, value);
        }
    }
}

/// Sets a header whose value may hold anything but control characters; one that does is left out.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        response.headers.insert(name, value);
    }
}

fn integer(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX / 2)
}

/// The number of the last of so many rows from `lower` on; one less than `lower` if there are none. An offset may be
/// as large as a number can be.
fn last(lower: i64, rows: u64) -> i64 {
    lower
        .saturating_add(integer(rows))
        .saturating_sub(1)
        .max(lower.saturating_sub(1))
}

fn range_status(lower: i64, upper: i64, total: Option<u64>) -> StatusCode {
    let Some(total) = total.map(integer) else {
        return StatusCode::OK;
    };
    if lower > total {
        StatusCode::RANGE_NOT_SATISFIABLE
    } else if (upper - lower).saturating_add(1) < total {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    }
}

/// A page: an array, unless one object was asked for or the rows are CSV.
fn body(negotiated: &Negotiated, mut rows: Vec<u8>) -> Bytes {
    let is_json = matches!(negotiated.format, Format::Json | Format::JsonStripNulls);
    if is_json && negotiated.explain.is_none() && !negotiated.singular {
        // Moved by a byte within what is allocated already, mostly.
        rows.insert(0, b'[');
        rows.push(b']');
    }
    rows.into()
}

/// One value as it is; none is null.
fn single(negotiated: &Negotiated, value: &[u8]) -> Bytes {
    match negotiated.format {
        Format::Json | Format::JsonStripNulls if value.is_empty() => Bytes::from_static(b"null"),
        _ => Bytes::copy_from_slice(value),
    }
}
