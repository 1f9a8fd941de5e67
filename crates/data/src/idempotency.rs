//! Writes that are carried out once, however often they are sent: `Idempotency-Key`.
//!
//! The first request with a key runs, and its whole answer is kept in the transaction that it writes in: whoever has
//! the write has the answer. The same request again is given that answer. What fails leaves no trace.
//! A key is its caller's own: the role and the token's issuer and subject, or all lasting claims where there is no
//! subject.
//! Lives here: keys and what requests are compared by, the transaction around a write, kept answers as bytes.
//! Not here: where they stand (`Backend::transact`).
//!
//! Source: draft-ietf-httpapi-idempotency-key-header-07.

mod kept;
mod turns;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, HeaderValue, header};
use mainstay_core::caller::Caller;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::plan::Outcome;
use mainstay_core::transaction::{Isolation, Keep, KeptKey, Next, Recall, Script, Step};
use mainstay_http::{Request, Response};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::guard::{CONFLICTS, Guarded};
use crate::pending::Pending;
use crate::request::{Action, CallMethod, Head};
use crate::{DataRoom, Ready, Work};
pub use turns::Turns;

/// Characters of a key.
const KEY_CHARS_MAX: usize = 255;
/// Bytes of an answer that is kept, its headers included.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Tries of a transaction that met another one.
const TRIES_MAX: u32 = 8;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it is the one of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Headers that say what is asked, beside method, path, query and body.
const ASKING: [HeaderName; 7] = [
    header::ACCEPT,
    HeaderName::from_static("accept-profile"),
    HeaderName::from_static("content-profile"),
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("prefer"),
    header::RANGE,
];

/// Claims that say when a token is good, not whose it is.
const OF_A_TOKEN: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// `lock_not_available`.
const LOCKED: &str = "55P03";

/// What a request with a key is known by.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Of the caller and the key.
    pub key: KeptKey,
    /// Of what is asked.
    fingerprint: [u8; 32],
}

impl Identity {
    /// Of a write that has a key. Errors: `MS-DATA-008`.
    pub fn of(caller: &Caller, request: &Request, head: &Head) -> Result<Option<Identity>, Error> {
        let is_write = match head.action {
            Action::Create | Action::Update | Action::Put | Action::Delete => true,
            Action::Call { method } => method == CallMethod::Post,
            Action::Read { .. } | Action::Root { .. } | Action::Info => false,
        };
        if !is_write {
            return Ok(None);
        }
        let mut values = request.headers.get_all(&KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let key = read_key(value).filter(|_| values.next().is_none());
        let key = key.ok_or(Error::IdempotencyKey)?;
        Ok(Some(Identity {
            key: scoped(caller, key),
            fingerprint: fingerprint(request),
        }))
    }
}

/// A key in quotes, as the draft has it, or bare, as clients send it.
fn read_key(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    let is_taken = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | ',');
    (!key.is_empty() && key.len() <= KEY_CHARS_MAX && key.chars().all(is_taken)).then_some(key)
}

fn scoped(caller: &Caller, key: &str) -> KeptKey {
    let mut digest = Parts::default();
    digest.add(caller.role.as_bytes());
    match caller.claim("sub").filter(|subject| subject != "null") {
        Some(subject) => {
            digest.add(b"subject");
            digest.add(caller.claim("iss").unwrap_or_default().as_bytes());
            digest.add(subject.as_bytes());
        }
        None => {
            digest.add(b"claims");
            let claims: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(&caller.claims).unwrap_or_default();
            for (name, value) in claims.iter().filter(|(name, _)| !OF_A_TOKEN.contains(&&***name)) {
                digest.add(name.as_bytes());
                digest.add(value.get().as_bytes());
            }
        }
    }
    digest.add(key.as_bytes());
    KeptKey(digest.finish())
}

fn fingerprint(request: &Request) -> [u8; 32] {
    let mut digest = Parts::default();
    digest.add(request.method.as_str().as_bytes());
    digest.add(request.path.as_bytes());
    digest.add(request.query.as_deref().unwrap_or_default().as_bytes());
    for name in ASKING {
        let values = request.headers.get_all(&name);
        digest.add(&values.iter().count().to_le_bytes());
        for value in values {
            digest.add(value.as_bytes());
        }
    }
    digest.add(&request.body);
    digest.finish()
}

/// A digest of parts that cannot run into each other.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Makes the answer to what a script has done, before it is committed.
pub(crate) type Answering<S> = Box<dyn FnMut(&mut S) -> Result<Response, Error> + Send>;

impl DataRoom {
    /// Runs a write that has a key, once.
    pub(crate) async fn run_once(
        &self,
        identity: &Identity,
        caller: &Caller,
        pending: Pending,
        work: Work<'_>,
    ) -> Result<Response, Error> {
        let pending = Arc::new(pending);
        let (room, asking, of) = (self.clone(), caller.clone(), pending.clone());
        match work {
            Work::Plain(Ready::Known(outcome)) => pending.respond(self, caller, outcome),
            Work::Plain(Ready::Run { caller, input }) => {
                let step = Step {
                    caller: caller.into_owned(),
                    statement: pending.prepared.statement.clone(),
                    input,
                };
                let answer = Box::new(move |single: &mut Single| {
                    of.respond(&room, &asking, single.outcome.take().unwrap_or_default())
                });
                let (role, single) = (step.caller.role.clone(), Single::new(step));
                let answered = self
                    .once(identity, &role, Isolation::ReadCommitted, &single, answer)
                    .await?;
                answered.ok_or_else(|| BackendError::Internal("a write that gave up".into()).into())
            }
            Work::Guarded(guarded) => {
                let answer = Box::new(move |guarded: &mut Guarded| of.respond(&room, &asking, guarded.outcome()?));
                let answered = self
                    .once(identity, &caller.role, Isolation::RepeatableRead, &guarded, answer)
                    .await?;
                match answered {
                    Some(response) => Ok(response),
                    None => {
                        let outcome = guarded.lock().unwrap_or_else(PoisonError::into_inner).outcome()?;
                        pending.respond(self, caller, outcome)
                    }
                }
            }
        }
    }

    /// Runs `work` and keeps what `answer` makes of it, or gives the answer that was kept before. `None`: the work gave
    /// up; it knows why.
    ///
    /// Errors: `MS-DATA-009` to `MS-DATA-012`; as of the work.
    pub(crate) async fn once<S: Script + 'static>(
        &self,
        identity: &Identity,
        role: &Ident,
        isolation: Isolation,
        work: &Arc<Mutex<S>>,
        answer: Answering<S>,
    ) -> Result<Option<Response>, Error> {
        let lifetime_s = i64::try_from(self.config.idempotency.as_secs()).unwrap_or(i64::MAX / 2);
        let once = Arc::new(Mutex::new(Once {
            work: work.clone(),
            answer,
            identity: identity.clone(),
            lifetime_s,
            stage: Stage::Recalling,
        }));
        let mut tries_left = TRIES_MAX;
        loop {
            let script: Arc<Mutex<dyn Script>> = once.clone();
            tries_left -= 1;
            let ended = self.backend.transact(role, isolation, script).await;
            let mut once = once.lock().unwrap_or_else(PoisonError::into_inner);
            let stage = std::mem::replace(&mut once.stage, Stage::Recalling);
            drop(once);
            return match (ended, stage) {
                (Err(BackendError::Refused(error)), Stage::Recalling) => Err(not_recalled(&error)),
                (Err(BackendError::Refused(error)), _)
                    if tries_left > 0
                        && isolation == Isolation::RepeatableRead
                        && CONFLICTS.contains(&error.sqlstate.as_str()) =>
                {
                    continue;
                }
                (Err(error), _) => Err(error.into()),
                (Ok(_), Stage::Overtaken) if tries_left > 0 => continue,
                (Ok(_), Stage::Overtaken) => Err(Error::StillRunning),
                (Ok(_), Stage::Done(response)) => Ok(Some(response)),
                (Ok(_), Stage::Failed(error)) => Err(error),
                (Ok(_), Stage::Reused) => Err(Error::KeyReused),
                (Ok(_), Stage::GaveUp) => Ok(None),
                (Ok(_), Stage::Recalling | Stage::Working | Stage::Keeping(_)) => {
                    Err(BackendError::Internal("a transaction with a key that did not end".into()).into())
                }
            };
        }
    }
}

fn not_recalled(error: &mainstay_core::error::DatabaseError) -> Error {
    if error.sqlstate == LOCKED {
        return Error::StillRunning;
    }
    tracing::warn!(sqlstate = %error.sqlstate, %error, "answers cannot be kept in this database");
    Error::NothingKept
}

/// How far a transaction with a key is.
enum Stage {
    Recalling,
    Working,
    /// What was written is to be committed if the answer can be kept with it.
    Keeping(Response),
    Done(Response),
    /// There is a kept answer, to another request.
    Reused,
    /// Another transaction has kept an answer since the recall.
    Overtaken,
    Failed(Error),
    /// The work wants nothing kept.
    GaveUp,
}

/// Recall, work, keep.
struct Once<S> {
    work: Arc<Mutex<S>>,
    answer: Answering<S>,
    identity: Identity,
    lifetime_s: i64,
    stage: Stage,
}

impl<S: Script> Script for Once<S> {
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        let Some(outcome) = last else {
            self.stage = Stage::Recalling;
            return Ok(Next::Recall(Recall {
                key: self.identity.key,
                now_s: clock::now_seconds(),
            }));
        };
        match std::mem::replace(&mut self.stage, Stage::Working) {
            Stage::Recalling if outcome.rows == 0 => self.work(None),
            Stage::Recalling => {
                self.stage = match kept::read(&outcome.body) {
                    Some((fingerprint, response)) if fingerprint == self.identity.fingerprint => {
                        Stage::Done(replayed(response))
                    }
                    Some(_) => Stage::Reused,
                    None => return Err(BackendError::Internal("a kept answer that cannot be read".into())),
                };
                Ok(Next::Rollback)
            }
            Stage::Working => self.work(Some(outcome)),
            Stage::Keeping(_) if outcome.affected == 0 => {
                self.stage = Stage::Overtaken;
                Ok(Next::Rollback)
            }
            Stage::Keeping(response) => {
                self.stage = Stage::Done(response);
                Ok(Next::Commit)
            }
            Stage::Done(_) | Stage::Reused | Stage::Overtaken | Stage::Failed(_) | Stage::GaveUp => {
                Err(BackendError::Internal("a transaction with a key that went on".into()))
            }
        }
    }
}

impl<S: Script> Once<S> {
    /// The work's next step; at its end, keeping its answer.
    fn work(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        match work.next(last)? {
            Next::Commit => {}
            Next::Rollback => {
                self.stage = Stage::GaveUp;
                return Ok(Next::Rollback);
            }
            next => return Ok(next),
        }
        let answered = (self.answer)(&mut work).and_then(|response| {
            let answer = kept::written(&self.identity.fingerprint, &response);
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(Error::AnswerTooLarge {
                    bytes: answer.len(),
                    bytes_max: ANSWER_BYTES_MAX,
                });
            }
            Ok((response, answer))
        });
        match answered {
            Ok((response, answer)) => {
                self.stage = Stage::Keeping(response);
                let now_s = clock::now_seconds();
                Ok(Next::Keep(Box::new(Keep {
                    key: self.identity.key,
                    answer,
                    now_s,
                    expires_s: now_s.saturating_add(self.lifetime_s),
                })))
            }
            Err(error) => {
                self.stage = Stage::Failed(error);
                Ok(Next::Rollback)
            }
        }
    }
}

fn replayed(mut response: Response) -> Response {
    response.headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// One statement and the end.
pub(crate) struct Single {
    step: Step,
    /// Of the statement.
    pub outcome: Option<Outcome>,
}

impl Single {
    /// A script of one step.
    pub fn new(step: Step) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Single { step, outcome: None }))
    }
}

impl Script for Single {
    fn next(&mut self, last: Option<Outcome>) -> Result<Next, BackendError> {
        self.outcome = last;
        Ok(match self.outcome {
            None => Next::Run(Box::new(self.step.clone())),
            Some(_) => Next::Commit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    fn request(query: &str, headers: &[(&'static str, &str)], body: &'static str) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Request {
            method: Method::POST,
            path: "/t".into(),
            query: Some(query.into()),
            headers: map,
            body: Bytes::from_static(body.as_bytes()),
            authentication: std::time::Duration::ZERO,
        }
    }

    fn caller(claims: &str) -> Caller {
        Caller {
            claims: claims.into(),
            ..Caller::of_role("authenticated")
        }
    }

    #[test]
    fn keys_are_bare_or_in_quotes_and_of_few_characters() {
        let read = |text: &str| read_key(&HeaderValue::from_str(text).unwrap()).map(str::to_owned);
        assert_eq!(read(" \"a-1\" ").as_deref(), Some("a-1"));
        assert_eq!(
            read("8e03978e-40d5-43dd-bc93").as_deref(),
            Some("8e03978e-40d5-43dd-bc93")
        );
        for bad in ["", "\"\"", "\"a", "a b", "a,b", "a\\b", "a\"b", "\""] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(
            read(&"x".repeat(KEY_CHARS_MAX)).map(|key| key.len()),
            Some(KEY_CHARS_MAX)
        );
        assert_eq!(read(&"x".repeat(KEY_CHARS_MAX + 1)), None);
        assert_eq!(read_key(&HeaderValue::from_bytes("ä".as_bytes()).unwrap()), None);
    }

    #[test]
    fn a_key_is_its_callers_own_and_outlives_a_token() {
        let of = |claims: &str| scoped(&caller(claims), "k");
        let ann = of(r#"{"sub":"ann","role":"authenticated","exp":1}"#);
        assert_eq!(ann, of(r#"{"role":"authenticated","exp":2,"sub":"ann"}"#));
        for other in [
            r#"{"sub":"bob","role":"authenticated","exp":1}"#,
            r#"{"sub":"ann","role":"authenticated","iss":"elsewhere"}"#,
            r#"{"role":"authenticated","exp":1}"#,
            r#"{"sub":null,"role":"authenticated","exp":1}"#,
        ] {
            assert_ne!(ann, of(other), "{other}");
        }
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert_eq!(of(r#"{"a":1,"exp":1}"#), of(r#"{"exp":2,"jti":"x","a":1}"#));
        let mut admin = caller(r#"{"sub":"ann"}"#);
        admin.role = Ident::new("admin");
        assert_ne!(scoped(&admin, "k"), of(r#"{"sub":"ann"}"#));
        assert_ne!(scoped(&caller("{}"), "k"), scoped(&caller("{}"), "l"));
    }

    #[test]
    fn whatever_is_asked_is_in_the_fingerprint() {
        let first = fingerprint(&request("a=1", &[("prefer", "x")], "{}"));
        assert_eq!(
            first,
            fingerprint(&request("a=1", &[("prefer", "x"), ("x-other", "y")], "{}"))
        );
        assert_ne!(first, fingerprint(&request("a=2", &[("prefer", "x")], "{}")));
        assert_ne!(first, fingerprint(&request("a=1", &[("prefer", "x")], "{ }")));
        for name in ASKING {
            let headers: &[(&'static str, &str)] = &[("prefer", "x"), ("accept", "a")];
            let mut other = request("a=1", headers, "{}");
            let plain = fingerprint(&other);
            other.headers.append(name.clone(), HeaderValue::from_static("z"));
            assert_ne!(plain, fingerprint(&other), "{name}");
        }
    }
}
