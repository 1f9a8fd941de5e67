//! Why a request is answered as it is: which grant or policy decides, and with which values.
//!
//! The request is run as its caller and rolled back; then its rows are read past all policies, and every policy that
//! applies is tried on them as the caller. This tells what a caller may not see: it is for whoever holds the secret key
//! or sits at the machine, which the binary settles before it asks. Rows, relations and time are bounded.
//!
//! Not here: who may ask (`mainstay`), how a condition is tried (`Backend::judge`).

mod gates;
mod grants;
mod reach;
mod report;
mod sample;
mod text;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, PolicyCommand, Relation, Routine};
use mainstay_core::error::{BackendError, DatabaseError, PublicError};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Action as PlanAction, Format, Input, Options, Outcome, Plan, Predicate, Read};
use mainstay_core::policy::{self, Needs};
use mainstay_http::{Request, Response};
use serde_json::Value;

use crate::config::{Config, TxEnd};
use crate::error::{self, Error};
use crate::paging;
use crate::planner::leave::{Asked, Notes};
use crate::planner::{Planned, Planner};
use crate::request::media::MediaType;
use crate::request::payload::{self, Payload};
use crate::request::prefer::{Preferences, Representation};
use crate::request::range::{self, Windows};
use crate::request::shape::{self, Shape};
use crate::request::{Action, Head, Query, Resource};
use crate::timing::Timing;
use crate::{DataRoom, Exchange, context};
use gates::{Ask, Question};
pub use reach::{Reach, Reached};
use report::{Asker, Called, Given, Rows, Side, Through};
pub use report::{Because, Examined, Report};
use sample::{Row, Sample, Samples};

/// The preference that asks for an explanation.
const PREFERENCE: &str = "explain=policy";
const PREFERENCE_APPLIED: &str = "preference-applied";
/// Relations that are told of.
const RELATIONS_MAX: usize = 30;
/// Rows of one relation that are shown.
const SHOWN_MAX: usize = 5;
/// Rows of one write that are looked at.
const WRITTEN_MAX: usize = 50;
/// Views that read views.
const VIEWS_DEEP_MAX: usize = 8;
/// How long an explanation may take; each of its statements has the time of its role at most.
pub const EXPLAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// True if an explanation is asked for instead of the answer.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    preferences(headers).any(|preference| preference == PREFERENCE)
}

fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

/// The same request without the preference.
fn unasked(request: &Request) -> Request {
    let mut request = request.clone();
    let rest: Vec<&str> = preferences(&request.headers)
        .filter(|preference| *preference != PREFERENCE)
        .collect();
    let rest = HeaderValue::from_str(&rest.join(", "));
    request.headers.remove("prefer");
    if let Ok(rest) = rest
        && !rest.is_empty()
    {
        request.headers.insert("prefer", rest);
    }
    request
}

impl DataRoom {
    /// The explanation as a response. `caller` is for whom, not who asks.
    pub async fn explain(&self, caller: &Caller, request: &Request) -> Response {
        let report = self.why(caller, request).await;
        let body = serde_json::to_vec(&report).unwrap_or_default();
        let mut response = Response::body(StatusCode::OK, "application/json; charset=utf-8", body);
        let headers = &mut response.headers;
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(PREFERENCE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// What is answered when an explanation takes longer than [`EXPLAIN_TIME_MAX`].
    pub fn out_of_time(&self, caller: &Caller) -> Response {
        let error = DatabaseError::new("57014", "the explanation took too long").hint("Explain a narrower request.");
        error::error_response(&error.into(), self.error_context(caller))
    }

    /// Why `caller` is answered as it is. Never fails: what could not be found out is a note.
    pub async fn why(&self, caller: &Caller, request: &Request) -> Report {
        let room = self.without_commit();
        let request = unasked(request);
        if let Err(error) = policy::authorize_stand_in(&self.backend.catalog(), &caller.role) {
            let answered = error::error_response(&error.into(), room.error_context(caller));
            let mut report = Report::new(caller, &request, &answered);
            report.decide();
            return report;
        }
        let mut timing = Timing::start(false, Duration::ZERO);
        let answered = match room.answer(caller, &request, &mut timing).await {
            Ok(response) => response,
            Err(error) => error::error_response(&error, room.error_context(caller)),
        };
        let mut report = Report::new(caller, &request, &answered);
        match room.examined(caller, &request).await {
            Ok(found) => {
                (report.relations, report.routines) = (found.relations, found.routines);
                report.note = found.note;
            }
            // What the caller is answered says the same.
            Err(error) if report.answer.code.as_deref() == Some(error.code().as_str()) => {}
            Err(error) => report.note = Some(format!("not examined: {}", error.message())),
        }
        report.decide();
        report
    }

    /// The same room, in which nothing is kept.
    fn without_commit(&self) -> DataRoom {
        let config = Config {
            tx_end: TxEnd::Rollback,
            slow_query: None,
            ..(*self.config).clone()
        };
        DataRoom::new(self.backend.clone(), config)
    }

    async fn examined(&self, caller: &Caller, request: &Request) -> Result<Found, Error> {
        let head = Head::read(&self.config, request)?;
        let mut parameters = crate::query::parameters(request.query.as_deref().unwrap_or_default())?;
        let cursor = paging::take_cursor(&head, &mut parameters)?;
        let exchange = Exchange {
            caller,
            request,
            head: &head,
            parameters: &parameters,
            cursor,
            identity: None,
        };
        let name = match (&head.resource, &head.action) {
            (_, Action::Create) if self.is_batch(&head, request) => {
                let note = "the requests of a batch are explained one by one";
                return Ok(Found::note(note));
            }
            (
                Resource::Relation(name),
                Action::Read { .. } | Action::Create | Action::Update | Action::Put | Action::Delete,
            ) => name,
            (Resource::Routine(name), _) => {
                let catalog = self.backend.catalog();
                let name = QualifiedName::new(head.schema.clone(), name.as_str());
                let overloads = catalog.routines.get(&name).map(Vec::as_slice).unwrap_or_default();
                return Ok(Found {
                    routines: overloads.iter().map(|it| called(&catalog, &caller.role, it)).collect(),
                    ..Found::note("what a function does inside is not examined: explain its statements by themselves")
                });
            }
            _ => return Ok(Found::default()),
        };
        let shape = shape::shape_of(&parameters, &mut Vec::new());
        let windows = range::windows(&request.method, &parameters, &request.headers)?;
        let query = Query::read(&parameters, &shape.slots, false)?;
        let payload = exchange.payload()?;
        let catalog = self.backend.catalog();
        let notes = Notes::default();
        let planner = Planner {
            notes: Some(&notes),
            ..self.planner(&exchange, &catalog, &query, &windows)
        };
        match &head.action {
            Action::Read { head_only } => planner.read(name, *head_only)?,
            _ => planner.write(name, query.columns_of(&payload, &head))?,
        };
        let asked = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
        let looking = Looking {
            room: self,
            caller: self.caller_of(&exchange),
            catalog: &catalog,
            planner,
            name,
            shape: &shape,
            windows: &windows,
            payload: &payload,
        };
        Ok(Found {
            relations: looking.relations(&asked).await,
            ..Found::default()
        })
    }

    /// The caller with its request's context, as policies see it.
    fn caller_of(&self, exchange: &Exchange<'_>) -> Caller {
        let head = exchange.head;
        let extra = &self.config.extra_search_path;
        context::with_request(exchange.caller, exchange.request, &head.schema, extra, None)
    }
}

/// What was found out about a request.
#[derive(Default)]
struct Found {
    relations: Vec<Examined>,
    routines: Vec<Called>,
    note: Option<String>,
}

impl Found {
    fn note(text: &str) -> Self {
        Found {
            note: Some(text.to_owned()),
            ..Found::default()
        }
    }
}

fn called(catalog: &Catalog, role: &Ident, routine: &Routine) -> Called {
    let runs_as = if routine.security_definer { &routine.owner } else { role };
    Called {
        routine: routine.name.to_string(),
        grants: grants::of_routine(catalog, role, routine),
        runs_as: runs_as.to_string(),
    }
}

/// One request that is looked into.
struct Looking<'a> {
    room: &'a DataRoom,
    caller: Caller,
    catalog: &'a Catalog,
    planner: Planner<'a>,
    name: &'a str,
    shape: &'a Shape,
    windows: &'a Windows,
    payload: &'a Payload,
}

/// Rows before and after.
struct Seen {
    existing: Result<Samples, String>,
    new: Result<Option<Sample>, String>,
}

impl Looking<'_> {
    async fn relations(&self, asked: &[Asked]) -> Vec<Examined> {
        let seen = self.seen(asked).await;
        let mut found = Vec::new();
        let mut told: HashSet<(Vec<Ident>, bool, String)> = HashSet::new();
        for asked in asked {
            let key = (asked.path.clone(), asked.is_junction, asked.relation.name.to_string());
            if found.len() >= RELATIONS_MAX || !told.insert(key) {
                continue;
            }
            found.push(self.relation(asked, &seen).await);
            self.read_by(&asked.relation, &asked.path, &self.caller.role, 0, &mut found);
        }
        found
    }

    async fn relation(&self, asked: &Asked, seen: &Seen) -> Examined {
        let asks = gates::asks(&asked.needs);
        let (catalog, role, relation) = (self.catalog, &self.caller.role, &asked.relation);
        let mut told = Examined {
            relation: relation.name.to_string(),
            path: asked.path.iter().map(ToString::to_string).collect(),
            command: command_of(&asked.needs),
            through: None,
            grants: grants::grants(catalog, role, relation, &asked.needs),
            row_security: gates::row_security(catalog, role, relation),
            gates: asks
                .iter()
                .map(|ask| gates::gate(catalog, role, relation, *ask))
                .collect(),
            rows: None,
            note: None,
        };
        if asked.is_junction {
            told.note = Some("it joins the rows of two relations; its own rows are not examined".to_owned());
            return told;
        }
        let is_update = asked.needs.update.is_some() && asked.needs.insert.is_none();
        if is_update && relation.primary_key().is_empty() {
            let note = "the relation has no key, so the rows that the update would make are not tried";
            told.note = Some(note.to_owned());
        }
        match self.rows(asked, &asks, seen).await {
            Ok(rows) => told.rows = rows,
            Err(reason) => told.note = Some(format!("rows could not be examined: {reason}")),
        }
        told
    }

    async fn rows(&self, asked: &Asked, asks: &[Ask], seen: &Seen) -> Result<Option<Rows>, String> {
        let mut rows = Rows::default();
        let mut tried = Vec::new();
        let is_root = asked.path.is_empty();
        let new = match is_root {
            true => seen.new.as_ref().map_err(Clone::clone)?.as_ref(),
            false => None,
        };
        let samples = seen.existing.as_ref().map_err(Clone::clone)?;
        let existing = samples.get(&asked.path);
        let (mut inserting, mut updating) = (asks.to_vec(), asks.to_vec());
        let counted = match (asked.needs.insert.is_some(), asked.needs.update.is_some()) {
            (true, is_upsert) => {
                if is_upsert {
                    inserting = gates::asks(&gates::inserting(&asked.needs));
                    updating = gates::asks(&gates::updating(&asked.needs));
                }
                new
            }
            (false, _) => existing,
        };
        let Some(counted) = counted else { return Ok(None) };
        (rows.found, rows.more) = (counted.rows.len(), counted.more);
        let key = |row: &Row| gates::key_of(&asked.relation, row);
        let mut there = Vec::new();
        if let Some(sample) = existing {
            there = sample.rows.iter().map(key).collect();
            tried.extend(self.tried(asked, &updating, Side::Existing, &sample.rows).await?);
        }
        if let Some(sample) = new {
            // What is skipped is not written.
            let skipped: Vec<_> = tried
                .iter()
                .filter(|row: &&report::RowOf| row.passes == Some(false))
                .map(|row| row.key.clone())
                .collect();
            let written = sample.rows.iter().filter(|row| !skipped.contains(&key(row)));
            let (merged, inserted): (Vec<Row>, Vec<Row>) = written
                .cloned()
                .partition(|row| asked.needs.insert.is_none() || there.contains(&key(row)));
            tried.extend(self.tried(asked, &updating, Side::New, &merged).await?);
            tried.extend(self.tried(asked, &inserting, Side::New, &inserted).await?);
        }
        if asked.relation.kind.is_view() {
            // A view's rows are hidden by what it reads.
            tried.iter_mut().for_each(|row| row.passes = None);
        } else {
            let refused: Vec<&serde_json::Map<String, Value>> = tried
                .iter()
                .filter(|row| row.passes == Some(false))
                .map(|row| &row.key)
                .collect();
            let passing = counted.rows.iter().filter(|row| !refused.contains(&&key(row)));
            rows.passing = Some(passing.count());
        }
        tried.sort_by_key(|row| row.passes == Some(true));
        tried.truncate(SHOWN_MAX);
        rows.sample = tried;
        Ok(Some(rows))
    }

    async fn tried(&self, asked: &Asked, asks: &[Ask], of: Side, rows: &[Row]) -> Result<Vec<report::RowOf>, String> {
        let question = Question {
            caller: &self.caller,
            relation: &asked.relation,
            asks,
            of,
            rows,
        };
        gates::tried(&*self.room.backend, self.catalog, question)
            .await
            .map_err(|error| reason(&error))
    }

    /// The relations that a view reads, with whose rights, and what they ask.
    fn read_by(&self, view: &Relation, path: &[Ident], role: &Ident, depth: usize, found: &mut Vec<Examined>) {
        let Some(definition) = view.view.as_ref().filter(|_| depth < VIEWS_DEEP_MAX) else {
            return;
        };
        let role = if definition.security_invoker { role } else { &view.owner };
        let mut told: Vec<&QualifiedName> = Vec::new();
        for source in definition.sources.iter().flatten() {
            if told.contains(&&source.relation) || found.len() >= RELATIONS_MAX {
                continue;
            }
            told.push(&source.relation);
            let Some(relation) = self.catalog.relation(&source.relation) else {
                continue;
            };
            let columns = definition.sources.iter().flatten();
            let mut select: Vec<usize> = columns
                .filter(|other| other.relation == source.relation)
                .filter_map(|other| relation.column(&other.column).map(|(index, _)| index))
                .collect();
            select.sort_unstable();
            select.dedup();
            let needs = Needs {
                select,
                ..Needs::default()
            };
            found.push(Examined {
                relation: relation.name.to_string(),
                path: path.iter().map(ToString::to_string).collect(),
                command: command_of(&needs),
                through: Some(Through {
                    view: view.name.to_string(),
                    role: role.to_string(),
                }),
                grants: grants::grants(self.catalog, role, relation, &needs),
                row_security: gates::row_security(self.catalog, role, relation),
                gates: gates::asks(&needs)
                    .into_iter()
                    .map(|ask| gates::gate(self.catalog, role, relation, ask))
                    .collect(),
                rows: None,
                note: None,
            });
            self.read_by(relation, path, role, depth + 1, found);
        }
    }

    /// Reads what is there and what would be, past all policies.
    async fn seen(&self, asked: &[Asked]) -> Seen {
        let Some(overseer) = self.room.backend.overseer() else {
            let reason = "the connection's role does not pass row security, and neither does service_role";
            return Seen {
                existing: Err(reason.to_owned()),
                new: Err(reason.to_owned()),
            };
        };
        let overseer = Caller {
            role: overseer,
            ..self.caller.clone()
        };
        let root = asked.iter().find(|asked| asked.path.is_empty() && !asked.is_junction);
        let is_insert = root.is_some_and(|root| root.needs.insert.is_some());
        let existing = match is_insert {
            true => Ok(Samples::new()),
            false => self.existing(&overseer).await.map_err(|error| told(&error)),
        };
        let new = match (root, &existing) {
            (Some(root), _) if is_insert => self.new_rows(&overseer, &root.relation, None).await,
            (Some(root), Ok(samples)) if root.needs.update.as_ref().is_some_and(|columns| !columns.is_empty()) => {
                match samples.get(&Vec::new()) {
                    Some(sample) if !sample.rows.is_empty() => {
                        self.new_rows(&overseer, &root.relation, Some(&sample.rows)).await
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        };
        let existing = match (root, &new) {
            (Some(root), Ok(Some(sample))) if is_insert && root.needs.update.is_some() => {
                let there = self.with_keys(&overseer, &root.relation, &sample.rows).await;
                there.map_err(|error| told(&error))
            }
            _ => existing,
        };
        Seen {
            existing,
            new: new.map_err(|error| told(&error)),
        }
    }

    /// The rows that are there already under the keys of `rows`.
    async fn with_keys(&self, overseer: &Caller, relation: &Arc<Relation>, rows: &[Row]) -> Result<Samples, Error> {
        let notes = Notes::default();
        let head = self.reading();
        let mut planned = self.overseeing(&head, &notes).read(self.name, false)?;
        let only = sample::only(relation, rows, &mut planned.template);
        let (PlanAction::Read(read), Some(only)) = (planned.plan.action.clone(), only) else {
            return Ok(Samples::new());
        };
        let read = Read {
            filter: Some(only),
            embeds: Vec::new(),
            order: Vec::new(),
            ..read
        };
        self.read(overseer, planned, read).await
    }

    /// The rows that the filters find, with what is embedded in them.
    async fn existing(&self, overseer: &Caller) -> Result<Samples, Error> {
        let notes = Notes::default();
        let head = self.reading();
        let planned = self.overseeing(&head, &notes).read(self.name, false)?;
        match planned.plan.action.clone() {
            PlanAction::Read(read) => self.read(overseer, planned, read).await,
            _ => Ok(Samples::new()),
        }
    }

    /// Runs `read` in place of what was planned.
    async fn read(&self, overseer: &Caller, mut planned: Planned, read: Read) -> Result<Samples, Error> {
        let read = sample::widened(read, &mut planned.template);
        planned.plan.action = PlanAction::Read(read.clone());
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let outcome = self.run(overseer, planned, None, options).await?;
        Ok(sample::samples(&read, &outcome.body))
    }

    /// The request as a read.
    fn reading(&self) -> Head {
        Head {
            action: Action::Read { head_only: false },
            preferences: Preferences::default(),
            accept: vec![MediaType::Json],
            ..self.planner.head.clone()
        }
    }

    /// A planner that asks no leave.
    fn overseeing<'h>(&'h self, head: &'h Head, notes: &'h Notes) -> Planner<'h> {
        Planner {
            head,
            notes: Some(notes),
            ..self.planner
        }
    }

    /// The rows that a write would make, of an update those that it makes of `existing`; nothing is kept of it.
    async fn new_rows(
        &self,
        overseer: &Caller,
        relation: &Arc<Relation>,
        existing: Option<&[Row]>,
    ) -> Result<Option<Sample>, Error> {
        let head = Head {
            preferences: Preferences {
                representation: Some(Representation::Full),
                ..self.planner.head.preferences.clone()
            },
            accept: vec![MediaType::Json],
            ..self.planner.head.clone()
        };
        let notes = Notes::default();
        let planner = self.overseeing(&head, &notes);
        let columns = self.planner.query.columns_of(self.payload, &head);
        let mut planned = planner.write(self.name, columns)?;
        if let (PlanAction::Update(update), Some(rows)) = (&mut planned.plan.action, existing) {
            let Some(only) = sample::only(relation, rows, &mut planned.template) else {
                return Ok(None);
            };
            let all = update.filter.take().into_iter().chain([only]);
            update.filter = Some(Predicate::And(all.collect()));
        }
        sample::telling(&mut planned.plan.action);
        let payload = match head.action {
            Action::Update => payload::first_row(&self.payload.json)?,
            _ => self.payload.json.clone(),
        };
        let options = Options {
            rollback: true,
            ..Options::default()
        };
        let outcome = self.run(overseer, planned, Some(payload), options).await?;
        let mut sample = sample::written(relation, &outcome.body);
        sample.more = sample.rows.len() > WRITTEN_MAX;
        sample.rows.truncate(WRITTEN_MAX);
        Ok(Some(sample))
    }

    async fn run(
        &self,
        overseer: &Caller,
        planned: Planned,
        payload: Option<bytes::Bytes>,
        options: Options,
    ) -> Result<Outcome, Error> {
        let plan = Plan {
            role: overseer.role.clone(),
            format: Format::Json,
            handler: None,
            explain: None,
            ..planned.plan
        };
        let values = planned.template.fill(&self.shape.values, self.windows, None)?;
        let statement = self.room.backend.render(&plan)?;
        let input = Input {
            values,
            payload,
            options,
        };
        Ok(self.room.backend.run(overseer, &statement, input).await?)
    }
}

fn told(error: &Error) -> String {
    match error {
        Error::Backend(error) => reason(error),
        other => format!("{} [{}]", other.message(), other.code()),
    }
}

fn reason(error: &BackendError) -> String {
    match error {
        BackendError::Refused(error) => format!("{} [{}]", error.message, error.sqlstate),
        other => other.to_string(),
    }
}

fn command_of(needs: &Needs) -> &'static str {
    let command = if needs.insert.is_some() {
        PolicyCommand::Insert
    } else if needs.update.is_some() {
        PolicyCommand::Update
    } else if needs.delete {
        PolicyCommand::Delete
    } else {
        PolicyCommand::Select
    };
    gates::command_name(command)
}

impl Report {
    fn new(caller: &Caller, request: &Request, answered: &Response) -> Self {
        let body: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        let of_error = |name: &str| {
            let is_error = answered.status.is_client_error() || answered.status.is_server_error();
            let text = body.get(name).and_then(Value::as_str);
            text.filter(|_| is_error).map(str::to_owned)
        };
        let query = request
            .query
            .as_deref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        Report {
            caller: Asker {
                role: caller.role.to_string(),
                claims: serde_json::from_str(&caller.claims).unwrap_or_default(),
            },
            request: format!("{} {}{query}", request.method, request.path),
            answer: Given {
                status: answered.status.as_u16(),
                rows: answered.rows,
                code: of_error("code"),
                message: of_error("message"),
            },
            because: Because::Allowed,
            summary: String::new(),
            relations: Vec::new(),
            routines: Vec::new(),
            note: None,
        }
    }

    /// Finds what decided, from what was examined.
    fn decide(&mut self) {
        let misses = |told: &Examined| told.grants.iter().any(|grant| !grant.held);
        let is_denied = self.answer.code.as_deref() == Some("42501");
        let is_error = self.answer.code.is_some();
        let root = self.relations.first();
        let rows = root.and_then(|root| root.rows.as_ref());
        // A view's rows are known with its policies and without; which of them hides a row is not.
        let shows_fewer = rows.is_some_and(|rows| self.answer.rows < Some(rows.found as u64));
        let hides = |told: &Examined| match (&told.rows, &told.through) {
            _ if !told.row_security.applies => false,
            (Some(rows), _) => rows.passing.is_some_and(|passing| passing < rows.found),
            (None, Some(_)) => shows_fewer,
            (None, None) => false,
        };
        self.because = if is_denied && self.relations.iter().any(misses) {
            Because::Grant
        } else if is_denied {
            match self.relations.iter().any(|told| told.row_security.applies) {
                true => Because::Policy,
                false => Because::Grant,
            }
        } else if is_error && self.relations.iter().any(Examined::fails) {
            Because::Policy
        } else if is_error && !matches!(self.answer.code.as_deref(), Some("PGRST116" | "MS-DATA-003")) {
            Because::Error
        } else if rows.is_some_and(|rows| rows.found == 0) {
            Because::NoRows
        } else if self.relations.iter().any(hides) {
            Because::Policy
        } else if is_error {
            Because::Error
        } else if root.is_some_and(|root| root.row_security.applies && root.rows.is_none()) {
            Because::Unknown
        } else {
            Because::Allowed
        };
        self.summary = text::summary(self);
    }
}
