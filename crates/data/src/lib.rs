//! The data API: tables, views and routines over HTTP, as PostgREST serves them.
//!
//! A request becomes a type per stage: [`request`] (text → intent), [`planner`] (intent → decisions), the backend's
//! `render` (decisions → SQL), its `run` (the only I/O), [`response`] (rows → HTTP). A request whose shape was seen
//! before skips to `run` ([`cache`]). Not here: who is calling (`http`), SQL (`backend-*`).

mod batch;
mod cache;
mod conditional;
mod config;
mod context;
mod cursor;
pub mod error;
#[cfg(test)]
mod fixture;
mod guard;
mod idempotency;
mod paging;
mod pending;
mod planner;
mod request;
mod response;
mod slow;
#[cfg(test)]
mod tests;
mod timing;
pub mod typescript;
pub mod why;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use mainstay_core::backend::{Backend, Statement};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, Routine};
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Action as PlanAction, Input, Options, Outcome, Read, Value};
use mainstay_http::{Request, Response};

use cache::Cache;
use conditional::{Condition, Known};
pub use config::{Config, ErrorVerbosity, OpenApi, PostgrestVersion, TxEnd};
use cursor::Cursors;
use error::{Error, ErrorContext};
use guard::{Guarded, GuardedWrite};
use idempotency::{Identity, Turns};
use paging::{Page, Rest};
use pending::Pending;
use planner::call::{self, Arguments};
use planner::{Planned, Planner};
use request::media::MediaType;
use request::payload::{self, Payload};
use request::prefer::{Preferences, Transaction};
use request::query::{self, Parameter, ParameterKind};
use request::range::{self, Windows};
use request::shape::{self, Shape};
use request::{Action, CallMethod, Head, Query, Resource};
use response::{Answer, info, openapi, openapi31};
use slow::{Ran, Told};
use timing::Timing;

/// Plans made anew when the catalog changes under them, at most.
const PLANS_MAX: usize = 8;
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const VARY: HeaderValue = HeaderValue::from_static("Accept, Prefer, Range");

/// Waits before a plan is made anew once more: 2 ms, then twice as long each time, 126 ms in all. A schema change is
/// committed a moment before its catalog is published.
async fn settle(attempt: usize) {
    if attempt > 2 {
        tokio::time::sleep(Duration::from_millis(1 << (attempt - 2))).await;
    }
}

/// The room that answers requests for data.
///
/// Its copies share everything.
#[derive(Clone)]
pub struct DataRoom {
    backend: Arc<dyn Backend>,
    config: Arc<Config>,
    cache: Arc<Cache<Prepared>>,
    known: Arc<Known>,
    told: Arc<Told>,
    turns: Arc<Turns>,
    cursors: Arc<Cursors>,
}

/// A plan with its SQL.
#[derive(Debug)]
struct Prepared {
    planned: Planned,
    statement: Statement,
}

impl DataRoom {
    /// A room over one backend.
    pub fn new(backend: Arc<dyn Backend>, config: Config) -> Self {
        DataRoom {
            backend,
            cursors: Arc::new(Cursors::new(config.cursor_secret.as_ref())),
            config: Arc::new(config),
            cache: Arc::default(),
            known: Arc::default(),
            told: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Answers one request of `caller`. Never fails: what goes wrong is an answer too.
    pub async fn handle(&self, caller: &Caller, request: &Request) -> Response {
        let mut timing = Timing::start(self.config.server_timing, request.authentication);
        let mut response = match self.answer(caller, request, &mut timing).await {
            Ok(mut response) => {
                timing.responded();
                response.headers.entry(header::VARY).or_insert(VARY);
                if let Some(value) = timing.header() {
                    response.headers.insert(SERVER_TIMING, value);
                }
                response
            }
            Err(error) => error::error_response(&error, self.error_context(caller)),
        };
        if request.method == http::Method::HEAD {
            response.body = Bytes::new();
        }
        response
    }

    async fn answer(&self, caller: &Caller, request: &Request, timing: &mut Timing) -> Result<Response, Error> {
        let head = Head::read(&self.config, request)?;
        let mut parameters = query::parameters(request.query.as_deref().unwrap_or_default())?;
        let cursor = paging::take_cursor(&head, &mut parameters)?;
        let identity = match self.rolls_back(head.preferences.transaction) {
            // Nothing is written that could be written twice.
            true => None,
            false => Identity::of(caller, request, &head)?,
        };
        let _turn = match &identity {
            Some(identity) => Some(self.turns.take(identity.key).await?),
            None => None,
        };
        let exchange = Exchange {
            caller,
            request,
            head: &head,
            parameters: &parameters,
            cursor,
            identity,
        };
        match (&head.resource, &head.action) {
            (_, Action::Read { .. } | Action::Root { .. } | Action::Info) if self.is_openapi(&head) => {
                self.openapi(&exchange)
            }
            (Resource::Root, Action::Root { head_only }) => {
                openapi::document(&self.backend.catalog(), &caller.role, &self.config, &head, *head_only)
            }
            (_, Action::Info) => self.info(&exchange),
            // In boxes, what is long and rare: a future is as large as the largest that it may wait for.
            (_, Action::Create) if self.is_batch(&head, request) => Box::pin(self.batch(&exchange)).await,
            (Resource::Relation(name), _) => self.relation(&exchange, name, timing).await,
            (Resource::Routine(name), Action::Call { method }) => {
                Box::pin(self.call(&exchange, name, *method, timing)).await
            }
            _ => Err(Error::Path),
        }
    }

    /// The request is about the OpenAPI 3.1 document. Most are told by their name alone.
    fn is_openapi(&self, head: &Head) -> bool {
        openapi31::may_be_asked(head) && openapi31::is_asked(&self.backend.catalog(), head)
    }

    fn openapi(&self, exchange: &Exchange<'_>) -> Result<Response, Error> {
        if exchange.head.action == Action::Info {
            return Ok(info::root());
        }
        let catalog = self.backend.catalog();
        let response = openapi31::answer(&catalog, &exchange.caller.role, &self.config, exchange.head)?;
        Ok(
            match Condition::read(&exchange.request.headers, &header::IF_NONE_MATCH) {
                Ok(Some(condition)) => conditional::shortened(response, &condition),
                _ => response,
            },
        )
    }

    fn info(&self, exchange: &Exchange<'_>) -> Result<Response, Error> {
        let catalog = self.backend.catalog();
        let (query, windows) = (Query::default(), Windows::default());
        let planner = self.planner(exchange, &catalog, &query, &windows);
        match &exchange.head.resource {
            Resource::Root => Ok(info::root()),
            Resource::Relation(name) => Ok(info::relation(&*planner.relation(name)?)),
            Resource::Routine(name) => {
                let keys = exchange
                    .parameters
                    .iter()
                    .filter(|parameter| parameter.kind() == ParameterKind::Filter);
                let keys: BTreeSet<String> = keys.map(|parameter| parameter.name.to_string()).collect();
                Ok(info::routine(&*planner.routine(name, &keys, CallMethod::Get)?))
            }
        }
    }

    async fn relation(&self, exchange: &Exchange<'_>, name: &str, timing: &mut Timing) -> Result<Response, Error> {
        let head = exchange.head;
        let mut key = Vec::with_capacity(256);
        let mut shape = shape::shape_of(exchange.parameters, &mut key);
        let page = exchange.page(self, name, &mut shape)?;
        Page::shape(page.as_ref(), &mut key);
        let mut windows = Some(range::windows(
            &exchange.request.method,
            exchange.parameters,
            &exchange.request.headers,
        ));
        let mut payload = Some(exchange.payload());
        if let (Some(Ok(windows)), Some(Ok(payload))) = (&windows, &payload) {
            exchange.shape(name, windows, payload, &mut key);
        }
        let guard = exchange.guard()?;
        // A list of tags that cannot be read names none.
        let fresh = match head.action {
            Action::Read { .. } => Condition::read(&exchange.request.headers, &header::IF_NONE_MATCH).unwrap_or(None),
            _ => None,
        };
        let mut query: Option<Query> = None;
        let mut known: Option<(Windows, Payload)> = None;
        let key_length = key.len();
        for attempt in 1..=PLANS_MAX {
            settle(attempt).await;
            let catalog = self.backend.catalog();
            let asked = fresh
                .as_ref()
                .filter(|_| self.config.pre_request.is_none())
                .map(|_| Known::key(exchange.caller, exchange.request, catalog.version));
            if let (Some(key), Some(condition)) = (&asked, &fresh)
                && let Some(response) = self.known.still_good(&*self.backend, key, condition)
            {
                return Ok(response);
            }
            key.truncate(key_length);
            key.extend_from_slice(&catalog.version.to_le_bytes());
            let is_keyed =
                shape.is_complete && (known.is_some() || matches!((&windows, &payload), (Some(Ok(_)), Some(Ok(_)))));
            let kept = if is_keyed { self.cache.get(&key) } else { None };
            // What cannot be read is told in the order: query, range, body.
            if (kept.is_none() || guard.is_some()) && query.is_none() {
                query = Some(Query::read(exchange.parameters, &shape.slots, false)?);
            }
            if let (Some(read_windows), Some(read_payload)) = (windows.take(), payload.take()) {
                known = Some((read_windows?, read_payload?));
            }
            let Some((windows, payload)) = &known else {
                return Err(Error::Path);
            };
            timing.parsed();
            let prepared = match (kept, &query) {
                (Some(prepared), _) => prepared,
                (None, Some(query)) => {
                    let planner = Planner {
                        page: page.as_ref(),
                        ..self.planner(exchange, &catalog, query, windows)
                    };
                    let planned = match &head.action {
                        Action::Read { head_only } => planner.read(name, *head_only)?,
                        _ => planner.write(name, query.columns_of(payload, head))?,
                    };
                    let statement = match self.backend.render(&planned.plan) {
                        Err(BackendError::StaleCatalog) if attempt < PLANS_MAX => continue,
                        statement => statement?,
                    };
                    tracing::debug!(sql = %statement.sql, "a new shape");
                    let prepared = Arc::new(Prepared { planned, statement });
                    if is_keyed {
                        self.cache.insert(&key, prepared.clone());
                    }
                    prepared
                }
                (None, None) => return Err(Error::Path),
            };
            timing.planned();
            // Asked before the rows are read: a commit in between makes the answer newer than it is thought to be.
            let validity = asked.as_ref().and_then(|_| self.backend.validity(&prepared.statement));
            let ready = self.ready(exchange, &catalog, &prepared, &shape, windows, payload)?;
            let began = self.clock();
            let work = match (&guard, &query) {
                (Some(condition), Some(query)) => {
                    let planner = self.planner(exchange, &catalog, query, windows);
                    let write = GuardedWrite {
                        relation: name,
                        condition,
                        statement: &prepared.statement,
                        ready,
                        shape: &shape,
                    };
                    Work::Guarded(self.guarded(&planner, exchange.caller, write)?)
                }
                _ => Work::Plain(ready),
            };
            if let Some(identity) = &exchange.identity {
                let pending = exchange.pending(&catalog, &prepared, windows, None);
                let answered = Box::pin(self.run_once(identity, exchange.caller, pending, work)).await;
                if let Some(took) = self.overdue(began) {
                    let (prepared, result) = (&*prepared, rows_answered(&answered));
                    let ready = self.ready(exchange, &catalog, prepared, &shape, windows, payload)?;
                    Box::pin(self.tell(Ran { prepared, result, took }, ready)).await;
                }
                match answered {
                    Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => continue,
                    answered => {
                        timing.ran();
                        return answered;
                    }
                }
            }
            let outcome = match work {
                Work::Guarded(guarded) => Box::pin(self.run_guarded(&exchange.caller.role, &guarded)).await,
                Work::Plain(ready) => self.run(&prepared.statement, ready).await,
            };
            if let Some(took) = self.overdue(began) {
                let (prepared, result) = (&*prepared, rows_of(&outcome));
                let ready = self.ready(exchange, &catalog, prepared, &shape, windows, payload)?;
                Box::pin(self.tell(Ran { prepared, result, took }, ready)).await;
            }
            let outcome = match outcome {
                Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => continue,
                outcome => outcome?,
            };
            let outcome = match &page {
                Some(page) if prepared.planned.leaves_a_rest(&outcome) => {
                    let rest = Rest {
                        exchange,
                        catalog: &catalog,
                        relation: name,
                        page,
                        windows,
                        shape: &shape,
                        key: &key,
                        format: prepared.planned.plan.format,
                    };
                    match Box::pin(self.rest(rest, outcome)).await {
                        Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => continue,
                        outcome => outcome?,
                    }
                }
                _ => outcome,
            };
            timing.ran();
            let answer = Answer {
                page: page.as_ref().map(|page| (page, &*self.cursors)),
                cursor: exchange.cursor.as_deref(),
                ..self.answer_with(exchange, &catalog, &prepared.planned, windows, outcome)
            };
            let Action::Read { head_only } = &head.action else {
                return answer.write();
            };
            let response = answer.read(*head_only)?;
            if let (Some(key), Some(validity), true) = (asked, validity, response.status.is_success()) {
                self.known.remember(&key, prepared, validity, &response.headers);
            }
            return Ok(match &fresh {
                Some(condition) => conditional::shortened(response, condition),
                None => response,
            });
        }
        Err(BackendError::StaleCatalog.into())
    }

    async fn call(
        &self,
        exchange: &Exchange<'_>,
        name: &str,
        method: CallMethod,
        timing: &mut Timing,
    ) -> Result<Response, Error> {
        exchange.guard()?;
        if exchange.head.preferences.is_paged {
            return Err(Error::NotPaged("the rows of a function"));
        }
        let shape = shape::shape_of(exchange.parameters, &mut Vec::new());
        let query = Query::read(exchange.parameters, &shape.slots, method.is_safe())?;
        let windows = range::windows(&exchange.request.method, exchange.parameters, &exchange.request.headers)?;
        let (arguments, keys) = if method == CallMethod::Post {
            exchange.arguments(&query)?
        } else {
            let keys = query.arguments.iter().map(|(name, _)| name.clone()).collect();
            (Arguments::Texts(query.arguments.clone()), keys)
        };
        for attempt in 1..=PLANS_MAX {
            settle(attempt).await;
            let catalog = self.backend.catalog();
            timing.parsed();
            let planner = self.planner(exchange, &catalog, &query, &windows);
            let routine = planner.routine(name, &keys, method)?;
            let given = exchange.fitted(&routine, &arguments)?;
            let planned = planner.call(routine.clone(), &given)?;
            let statement = match self.backend.render(&planned.plan) {
                Err(BackendError::StaleCatalog) if attempt < PLANS_MAX => continue,
                statement => statement?,
            };
            let prepared = Arc::new(Prepared { planned, statement });
            timing.planned();
            let ready = self.ready(exchange, &catalog, &prepared, &shape, &windows, &Payload::default())?;
            let began = self.clock();
            if let Some(identity) = &exchange.identity {
                let pending = exchange.pending(&catalog, &prepared, &windows, Some(routine));
                let answered = self
                    .run_once(identity, exchange.caller, pending, Work::Plain(ready))
                    .await;
                if let Some(took) = self.overdue(began) {
                    let (prepared, result) = (&*prepared, rows_answered(&answered));
                    let ready = self.ready(exchange, &catalog, prepared, &shape, &windows, &Payload::default())?;
                    Box::pin(self.tell(Ran { prepared, result, took }, ready)).await;
                }
                match answered {
                    Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => continue,
                    answered => {
                        timing.ran();
                        return answered;
                    }
                }
            }
            let outcome = self.run(&prepared.statement, ready).await;
            if let Some(took) = self.overdue(began) {
                let (prepared, result) = (&*prepared, rows_of(&outcome));
                let ready = self.ready(exchange, &catalog, prepared, &shape, &windows, &Payload::default())?;
                Box::pin(self.tell(Ran { prepared, result, took }, ready)).await;
            }
            let outcome = match outcome {
                Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => continue,
                outcome => outcome?,
            };
            timing.ran();
            let answer = self.answer_with(exchange, &catalog, &prepared.planned, &windows, outcome);
            let response = answer.call(&routine, method)?;
            return Ok(match method.is_safe() {
                true => match Condition::read(&exchange.request.headers, &header::IF_NONE_MATCH) {
                    Ok(Some(condition)) => conditional::shortened(response, &condition),
                    _ => response,
                },
                false => response,
            });
        }
        Err(BackendError::StaleCatalog.into())
    }

    /// What the response to one request is made from.
    fn answer_with<'a>(
        &'a self,
        exchange: &Exchange<'a>,
        catalog: &Catalog,
        planned: &'a Planned,
        windows: &Windows,
        outcome: Outcome,
    ) -> Answer<'a> {
        Answer {
            config: &self.config,
            head: exchange.head,
            preferences: self.in_force(exchange.head, catalog),
            parameters: exchange.parameters,
            window: windows.root,
            has_conflict_target: has_conflict_target(exchange, planned),
            planned,
            outcome,
            page: None,
            cursor: None,
        }
    }

    /// Runs a prepared statement with one request's values.
    async fn run(&self, statement: &Statement, ready: Ready<'_>) -> Result<Outcome, Error> {
        match ready {
            Ready::Run { caller, input } => Ok(self.backend.run(&caller, statement, input).await?),
            Ready::Known(outcome) => Ok(outcome),
        }
    }

    /// Puts together what a prepared statement is run with.
    fn ready<'a>(
        &self,
        exchange: &Exchange<'a>,
        catalog: &Catalog,
        prepared: &Prepared,
        shape: &Shape,
        windows: &Windows,
        payload: &Payload,
    ) -> Result<Ready<'a>, Error> {
        let head = exchange.head;
        let preferences = &head.preferences;
        let singular = prepared.planned.negotiated.singular && head.action != Action::Put;
        let read_only = match (&head.action, &prepared.planned.plan.action) {
            (Action::Call { method }, PlanAction::Call(call)) => {
                call::is_read_only(&call.routine, *method == CallMethod::Post)
            }
            (Action::Read { .. }, _) => true,
            _ => false,
        };
        let limits_affected = matches!(head.action, Action::Update | Action::Delete | Action::Call { .. });
        let options = Options {
            rollback: self.rolls_back(preferences.transaction),
            affected_max: preferences
                .max_affected
                .filter(|_| preferences.is_strict() && limits_affected),
            singular,
            read_only,
            pre_request: self.config.pre_request.clone(),
            count_max: self.config.max_rows,
            page_rows: match &prepared.planned.plan.action {
                PlanAction::Read(Read { paging: Some(_), .. }) => windows.root.capped(self.config.max_rows).limit,
                _ => None,
            },
        };
        let values = prepared
            .planned
            .template
            .fill(&shape.values, windows, self.config.max_rows)?;
        if let PlanAction::Update(update) = &prepared.planned.plan.action
            && update.columns.is_empty()
        {
            // Nothing is set, so nothing is updated.
            return if singular {
                Err(Error::NotSingular { rows: 0 })
            } else {
                Ok(Ready::Known(Outcome::default()))
            };
        }
        let payload = match head.action {
            Action::Update => Some(payload::first_row(&payload.json)?),
            Action::Create | Action::Put => Some(payload.json.clone()),
            _ => None,
        };
        let zone = self.time_zone(head, catalog);
        let caller = if prepared.statement.reads_request || zone.is_some() || options.pre_request.is_some() {
            Cow::Owned(context::with_request(
                exchange.caller,
                exchange.request,
                &head.schema,
                &self.config.extra_search_path,
                zone,
            ))
        } else {
            Cow::Borrowed(exchange.caller)
        };
        Ok(Ready::Run {
            caller,
            input: Input {
                values,
                payload,
                options,
            },
        })
    }

    fn planner<'a>(
        &'a self,
        exchange: &'a Exchange<'_>,
        catalog: &'a Catalog,
        query: &'a Query,
        windows: &'a Windows,
    ) -> Planner<'a> {
        Planner {
            config: &self.config,
            catalog,
            role: &exchange.caller.role,
            head: exchange.head,
            query,
            windows,
            notes: None,
            page: None,
        }
    }

    fn error_context(&self, caller: &Caller) -> ErrorContext {
        ErrorContext {
            is_anonymous: self.config.anon_role.as_ref() == Some(&caller.role),
            is_minimal: self.config.error_verbosity == ErrorVerbosity::Minimal,
        }
    }

    fn rolls_back(&self, wanted: Option<Transaction>) -> bool {
        match self.config.tx_end {
            TxEnd::Commit => false,
            TxEnd::Rollback => true,
            TxEnd::CommitAllowOverride => wanted == Some(Transaction::Rollback),
            TxEnd::RollbackAllowOverride => wanted != Some(Transaction::Commit),
        }
    }

    /// The time zone to set; one that is not known is not set where that is forgiven.
    fn time_zone(&self, head: &Head, catalog: &Catalog) -> Option<Arc<str>> {
        let zone = head.preferences.time_zone.as_deref()?;
        if self.config.version.forgives_time_zones() && !catalog.time_zones.contains(zone) {
            return None;
        }
        Some(Arc::from(zone))
    }

    /// The preferences that were in force.
    fn in_force(&self, head: &Head, catalog: &Catalog) -> Preferences {
        let mut preferences = head.preferences.clone();
        if self.time_zone(head, catalog).is_none() {
            preferences.time_zone = None;
        }
        preferences
    }
}

/// How a relation's request is run.
#[expect(
    clippy::large_enum_variant,
    reason = "one per request; the plain one is nearly all of them"
)]
enum Work<'a> {
    Plain(Ready<'a>),
    Guarded(Arc<Mutex<Guarded>>),
}

/// What a statement is run with.
enum Ready<'a> {
    Run {
        caller: Cow<'a, Caller>,
        input: Input,
    },
    /// The outcome is known without running it.
    Known(Outcome),
}

impl Ready<'_> {
    /// The same without a borrow.
    fn into_owned(self) -> Ready<'static> {
        match self {
            Ready::Run { caller, input } => Ready::Run {
                caller: Cow::Owned(caller.into_owned()),
                input,
            },
            Ready::Known(outcome) => Ready::Known(outcome),
        }
    }
}

/// One request with what was read of it.
struct Exchange<'a> {
    caller: &'a Caller,
    request: &'a Request,
    head: &'a Head,
    parameters: &'a [Parameter<'a>],
    /// Of a read, the page after which is asked for.
    cursor: Option<String>,
    /// Of a write with a key.
    identity: Option<Identity>,
}

impl Exchange<'_> {
    /// The same without a borrow, planned.
    fn pending(
        &self,
        catalog: &Arc<Catalog>,
        prepared: &Arc<Prepared>,
        windows: &Windows,
        routine: Option<Arc<Routine>>,
    ) -> Pending {
        Pending {
            catalog: catalog.clone(),
            request: self.request.clone(),
            head: self.head.clone(),
            prepared: prepared.clone(),
            windows: windows.clone(),
            routine,
        }
    }

    /// The rows of a write; nothing for other requests.
    fn payload(&self) -> Result<Payload, Error> {
        let columns_given = match self.head.action {
            Action::Create | Action::Update => self.has(ParameterKind::Columns),
            Action::Put => false,
            _ => return Ok(Payload::default()),
        };
        payload::rows(&self.request.body, &self.head.content, columns_given)
    }

    fn has(&self, kind: ParameterKind) -> bool {
        self.parameters
            .iter()
            .any(|parameter| parameter.kind() == kind && parameter.value.is_some())
    }

    /// Writes what the plan depends on, beside the query and the catalog, to the key of the cache.
    fn shape(&self, name: &str, windows: &Windows, payload: &Payload, key: &mut Vec<u8>) {
        let Head {
            schema, preferences, ..
        } = self.head;
        // 0xff is in no text, so it ends a list of them.
        key.push(0xff);
        for part in [name, schema.as_str(), &self.caller.role, self.request.method.as_str()] {
            shape::text(key, part);
        }
        shape::text(key, self.request.header("accept").unwrap_or_default());
        let flag = |is_set: bool| u8::from(is_set);
        key.push(flag(windows.root.limit.is_some()));
        key.push(flag(windows.root.offset > 0));
        for (path, window) in &windows.embeds {
            shape::text(key, path);
            key.push(flag(window.limit.is_some()));
            key.push(flag(window.offset > 0));
        }
        key.push(0xff);
        key.push(preferences.count.map_or(0, |count| 1 + count as u8));
        key.push(
            preferences
                .representation
                .map_or(0, |representation| 1 + representation as u8),
        );
        key.push(preferences.resolution.map_or(0, |resolution| 1 + resolution as u8));
        key.push(preferences.missing.map_or(0, |missing| 1 + missing as u8));
        key.push(flag(preferences.is_strict()));
        if preferences.is_strict() {
            for unknown in &preferences.unknown {
                shape::text(key, unknown);
            }
            shape::text(key, preferences.time_zone.as_deref().unwrap_or_default());
            key.push(0xff);
        }
        key.push(match self.head.content {
            MediaType::Json => 0,
            _ => 1,
        });
        for column in &payload.keys {
            shape::text(key, column);
        }
        key.push(0xff);
    }

    /// The arguments of a call by POST, and their names.
    fn arguments(&self, query: &Query) -> Result<(Arguments, BTreeSet<String>), Error> {
        let body = &self.request.body;
        match &self.head.content {
            MediaType::Form => {
                let pairs = payload::form_pairs(body)?;
                let keys = pairs.iter().map(|(name, _)| name.clone()).collect();
                Ok((Arguments::Texts(pairs), keys))
            }
            MediaType::PlainText | MediaType::Xml => {
                let text = std::str::from_utf8(body).map_err(|_| Error::Body("The body is not valid UTF-8".into()))?;
                Ok((Arguments::Whole(Value::Text(text.to_owned())), BTreeSet::new()))
            }
            MediaType::OctetStream => {
                let mut hex = Vec::with_capacity(2 + 2 * body.len());
                mainstay_core::render::bytea_hex(&mut hex, body);
                let text = String::from_utf8_lossy(&hex).into_owned();
                Ok((Arguments::Whole(Value::Text(text)), BTreeSet::new()))
            }
            media => {
                let body = if body.is_empty() && *media == MediaType::Json {
                    Bytes::from_static(b"{}")
                } else {
                    body.clone()
                };
                let payload = payload::rows(&body, media, query.columns.is_some())?;
                let keys = query.columns.clone().unwrap_or(payload.keys);
                Ok((Arguments::Json(call::members(&payload.json)?), keys))
            }
        }
    }

    /// The arguments as the chosen routine takes them: one with an unnamed parameter takes the whole body.
    fn fitted(&self, routine: &Routine, given: &Arguments) -> Result<Arguments, Error> {
        let takes_whole = matches!(routine.arguments.as_slice(), [one] if one.name.is_empty());
        Ok(match given {
            Arguments::Json(_) if takes_whole => {
                let text =
                    std::str::from_utf8(&self.request.body).map_err(|_| Error::Body("Empty or invalid json".into()))?;
                let text = if text.is_empty() { "{}" } else { text };
                Arguments::Whole(Value::Json(text.to_owned()))
            }
            other => other.clone(),
        })
    }
}

impl Query {
    /// The columns that a write sets: those named in `columns` where the body is JSON, else the rows' own keys.
    fn columns_of<'a>(&'a self, payload: &'a Payload, head: &Head) -> &'a BTreeSet<String> {
        match &self.columns {
            Some(columns) if head.content == MediaType::Json && head.action != Action::Put => columns,
            _ => &payload.keys,
        }
    }
}

fn rows_of(outcome: &Result<Outcome, Error>) -> Result<u64, &Error> {
    outcome.as_ref().map(|outcome| outcome.rows.max(outcome.affected))
}

fn rows_answered(answered: &Result<Response, Error>) -> Result<u64, &Error> {
    answered.as_ref().map(|response| response.rows.unwrap_or_default())
}

fn has_conflict_target(exchange: &Exchange<'_>, planned: &Planned) -> bool {
    match &planned.plan.action {
        PlanAction::Insert(insert) => {
            exchange.has(ParameterKind::OnConflict) || !insert.source.relation.primary_key().is_empty()
        }
        _ => false,
    }
}
