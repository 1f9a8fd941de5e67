//! `POST /batch`: several requests in one transaction, all or nothing, each as the caller it came from.
//!
//! Each request goes the way of a request of its own: the same reading, the same planner and policies, the same answer.
//! Later requests may refer to what earlier ones answered. One that fails undoes all.
//! Lives here: the transaction of a batch and its answer. Not here: what a batch looks like ([`item`]).

mod item;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{StatusCode, header};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::Outcome;
use mainstay_core::render;
use mainstay_core::transaction::{Isolation, Next, Script, Step};
use mainstay_http::{Request, Response};

use crate::error::{self, Error};
use crate::paging;
use crate::pending::Pending;
use crate::planner::call::Arguments;
use crate::request::query;
use crate::request::range;
use crate::request::shape;
use crate::request::{Action, CallMethod, Head, Query, Resource};
use crate::{DataRoom, Exchange, PLANS_MAX, Prepared, Ready, settle};
use item::{Answers, Item};

/// A relation of this name is written to as any other; the media type says that a batch is meant all the same.
const PATH: &str = "batch";
const MEDIA_TYPE: &str = "application/vnd.mainstay.batch+json";

impl DataRoom {
    /// True if the request is a batch.
    pub(crate) fn is_batch(&self, head: &Head, request: &Request) -> bool {
        if head.action != Action::Create || head.resource != Resource::Relation(PATH.to_owned()) {
            return false;
        }
        let says_so = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim() == MEDIA_TYPE);
        let name = mainstay_core::name::QualifiedName::new(head.schema.clone(), PATH);
        request.header("content-type").is_some_and(says_so) || self.backend.catalog().relation(&name).is_none()
    }

    /// Answers a batch. Errors: `MS-DATA-005`, `MS-DATA-007`; what a request of it answers is part of the answer.
    pub(crate) async fn batch(&self, exchange: &Exchange<'_>) -> Result<Response, Error> {
        if exchange.request.headers.contains_key(header::IF_MATCH) {
            return Err(Error::NoCondition("a batch".to_owned()));
        }
        let run = Arc::new(Mutex::new(Run {
            room: self.clone(),
            caller: exchange.caller.clone(),
            request: exchange.request.clone(),
            items: item::items(&exchange.request.body)?,
            rollback: self.rolls_back(exchange.head.preferences.transaction),
            state: State::default(),
        }));
        let mut attempt = 1;
        let role = &exchange.caller.role;
        let result = loop {
            let ended = match &exchange.identity {
                Some(identity) => {
                    let answer = Box::new(|run: &mut Run| Ok(run.answer()));
                    self.once(identity, role, Isolation::ReadCommitted, &run, answer).await
                }
                None => {
                    let script: Arc<Mutex<dyn Script>> = run.clone();
                    let ended = self.backend.transact(role, Isolation::ReadCommitted, script).await;
                    ended.map(|_| None).map_err(Error::from)
                }
            };
            match ended {
                Err(Error::Backend(BackendError::StaleCatalog)) if attempt < PLANS_MAX => {
                    attempt += 1;
                    settle(attempt).await;
                }
                ended => break ended,
            }
        };
        let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match result {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => run.state.failure.take(),
            Err(error @ Error::Backend(_)) => Some(error),
            Err(error) => return Err(error),
        };
        let mut response = match failure {
            Some(failure) => run.failed(&failure, self.error_context(exchange.caller)),
            None => run.answer(),
        };
        response.requests = u32::try_from(run.items.len()).unwrap_or(u32::MAX);
        Ok(response)
    }
}

/// A batch under way.
struct Run {
    room: DataRoom,
    caller: Caller,
    request: Request,
    items: Vec<Item>,
    rollback: bool,
    state: State,
}

/// What one try of the transaction has come to.
#[derive(Default)]
struct State {
    answers: Answers,
    responses: Vec<Response>,
    pending: Option<Pending>,
    failure: Option<Error>,
}

impl Script for Run {
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        let done = match last {
            None => {
                self.state = State::default();
                Ok(())
            }
            Some(outcome) => self.finish(outcome),
        };
        let next = done.and_then(|()| self.begin());
        match next {
            Ok(Some(step)) => Ok(Next::Run(Box::new(step))),
            Ok(None) if self.rollback => Ok(Next::Rollback),
            Ok(None) => Ok(Next::Commit),
            Err(Error::Backend(BackendError::StaleCatalog)) => Err(BackendError::StaleCatalog),
            Err(failure) => {
                self.state.failure = Some(failure);
                Ok(Next::Rollback)
            }
        }
    }
}

impl Run {
    /// Prepares the next request that needs the database. `None`: there is none left.
    fn begin(&mut self) -> Result<Option<Step>, Error> {
        loop {
            let Some(item) = self.items.get(self.state.responses.len()) else {
                return Ok(None);
            };
            let request = item.request(&self.request.headers, &self.state.answers)?;
            let (pending, ready) = plan(&self.room, &self.caller, request)?;
            let statement = pending.prepared.statement.clone();
            self.state.pending = Some(pending);
            match ready {
                Ready::Run { caller, input } => {
                    return Ok(Some(Step {
                        caller: caller.into_owned(),
                        statement,
                        input,
                    }));
                }
                Ready::Known(outcome) => self.finish(outcome)?,
            }
        }
    }

    /// Makes the answer of the request that was run.
    fn finish(&mut self, outcome: Outcome) -> Result<(), Error> {
        let Some(pending) = self.state.pending.take() else {
            return Err(BackendError::Internal("an outcome of no request".into()).into());
        };
        let response = pending.respond(&self.room, &self.caller, outcome)?;
        if let Some(item) = self.items.get(self.state.responses.len())
            && is_json(&response)
        {
            self.state.answers.add(&item.id, response.body.clone());
        }
        self.state.responses.push(response);
        Ok(())
    }

    /// `{"responses":[{"id":…,"status":…,"headers":{…},"body":…}, …]}`
    fn answer(&self) -> Response {
        let mut body = Vec::from(&b"{\"responses\":["[..]);
        let mut rows = 0;
        for (position, (item, response)) in self.items.iter().zip(&self.state.responses).enumerate() {
            if position > 0 {
                body.push(b',');
            }
            rows += response.rows.unwrap_or_default();
            write_response(&mut body, &item.id, response);
        }
        body.extend_from_slice(b"]}");
        let mut response = Response::body(StatusCode::OK, "application/json; charset=utf-8", Bytes::from(body));
        response.rows = Some(rows);
        response
    }

    /// The error, with the id of the request that it is of; nothing was written.
    fn failed(&self, failure: &Error, context: error::ErrorContext) -> Response {
        let mut response = error::error_response(failure, context);
        let id = self.items.get(self.state.responses.len()).map(|item| item.id.as_str());
        let body = response.body.strip_suffix(b"}").map(<[u8]>::to_vec);
        if let Some(mut body) = body {
            body.extend_from_slice(b",\"request\":");
            match id {
                Some(id) => render::json_string(&mut body, id),
                None => body.extend_from_slice(b"null"),
            }
            body.push(b'}');
            response.body = body.into();
        }
        response
    }
}

fn write_response(body: &mut Vec<u8>, id: &str, response: &Response) {
    body.extend_from_slice(b"{\"id\":");
    render::json_string(body, id);
    body.extend_from_slice(format!(",\"status\":{},\"headers\":{{", response.status.as_u16()).as_bytes());
    for (position, (name, value)) in response.headers.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        render::json_string(body, name.as_str());
        body.push(b':');
        render::json_string(body, &String::from_utf8_lossy(value.as_bytes()));
    }
    body.extend_from_slice(b"},\"body\":");
    if response.body.is_empty() {
        body.extend_from_slice(b"null");
    } else if is_json(response) {
        body.extend_from_slice(&response.body);
    } else {
        render::json_string(body, &String::from_utf8_lossy(&response.body));
    }
    body.push(b'}');
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().windows(4).any(|part| part == b"json")) && !response.body.is_empty()
}

/// Plans one request of a batch.
fn plan(room: &DataRoom, caller: &Caller, request: Request) -> Result<(Pending, Ready<'static>), Error> {
    let catalog = room.backend.catalog();
    let head = Head::read(&room.config, &request)?;
    if room.is_batch(&head, &request) {
        return Err(Error::Batch("a batch in a batch".into()));
    }
    let (name, call) = match (&head.resource, &head.action) {
        (Resource::Relation(name), action) if *action != Action::Info => (name, None),
        (Resource::Routine(name), Action::Call { method }) if *method == CallMethod::Post => (name, Some(*method)),
        _ => {
            return Err(Error::Batch(
                "a batch takes reads and writes of tables and views, and calls by POST".into(),
            ));
        }
    };
    let mut parameters = query::parameters(request.query.as_deref().unwrap_or_default())?;
    let is_paged = head.preferences.is_paged && matches!(head.action, Action::Read { .. });
    if is_paged || paging::take_cursor(&head, &mut parameters)?.is_some() {
        return Err(Error::NotPaged("a read in a batch"));
    }
    let exchange = Exchange {
        caller,
        request: &request,
        head: &head,
        parameters: &parameters,
        cursor: None,
        identity: None,
    };
    let shape = shape::shape_of(&parameters, &mut Vec::new());
    let query = Query::read(&parameters, &shape.slots, false)?;
    let windows = range::windows(&request.method, &parameters, &request.headers)?;
    let planner = room.planner(&exchange, &catalog, &query, &windows);
    let payload = exchange.payload()?;
    let (planned, routine) = match (call, &head.action) {
        (Some(method), _) => {
            let (arguments, keys): (Arguments, BTreeSet<String>) = exchange.arguments(&query)?;
            let routine = planner.routine(name, &keys, method)?;
            let given = exchange.fitted(&routine, &arguments)?;
            (planner.call(routine.clone(), &given)?, Some(routine))
        }
        (None, Action::Read { head_only }) => (planner.read(name, *head_only)?, None),
        (None, _) => (planner.write(name, query.columns_of(&payload, &head))?, None),
    };
    let statement = room.backend.render(&planned.plan)?;
    let prepared = Arc::new(Prepared { planned, statement });
    let ready = room
        .ready(&exchange, &catalog, &prepared, &shape, &windows, &payload)?
        .into_owned();
    let pending = Pending {
        catalog,
        request,
        head,
        prepared,
        windows,
        routine,
    };
    Ok((pending, ready))
}
