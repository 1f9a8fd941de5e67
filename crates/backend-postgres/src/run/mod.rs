//! Runs a rendered plan: one burst, one transaction, as the caller.
//!
//! Lives here: the order of a burst's steps, judging its outcome, retries.
//! Not here: SQL text of plans (`render`), rows to bytes (`decode`, [`outcome`]), values to bytes ([`bind`]).
//!
//! A burst is `settings · [pre-request] · statement · [count] · [explain] · [response settings]`; the Sync at its end
//! commits. `BEGIN` is sent only where the transaction must see one snapshot twice, be rolled back, or be judged before
//! it commits; the last needs a connection of its own.

mod bind;
mod cost;
mod kept;
mod outcome;
mod own;
mod script;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use mainstay_core::caller::Caller;
use mainstay_core::catalog::Volatility;
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::{Action, Input, Outcome, Value};

use crate::errors::{closed, refused};
use crate::introspect::Surroundings;
use crate::options::Options;
use crate::pool::{Lane, Pool};
use crate::render::sql::quoted;
use crate::render::{Part, Rendered, Situation, Variant};
use crate::settings::{self, Settings, SettingsTexts};
use crate::wire::{Connection, Parsed, ServerError, StatementText, Step};
use bind::Bound;
use outcome::Answer;
pub use own::{Own, run as run_own};
pub use script::transact;

static BEGIN: LazyLock<StatementText> = LazyLock::new(|| StatementText::new("BEGIN"));
/// So that a count and its rows are of one moment.
static BEGIN_SNAPSHOT: LazyLock<StatementText> =
    LazyLock::new(|| StatementText::new("BEGIN ISOLATION LEVEL REPEATABLE READ"));
static COMMIT: LazyLock<StatementText> = LazyLock::new(|| StatementText::new("COMMIT"));
static ROLLBACK: LazyLock<StatementText> = LazyLock::new(|| StatementText::new("ROLLBACK"));
/// A rolled-back write still says what its commit would have said.
static CHECK_DEFERRED: LazyLock<StatementText> = LazyLock::new(|| StatementText::new("SET CONSTRAINTS ALL IMMEDIATE"));
static RESPONSE: LazyLock<StatementText> = LazyLock::new(|| {
    StatementText::new(
        "SELECT nullif(pg_catalog.current_setting('response.headers', true), ''), \
         nullif(pg_catalog.current_setting('response.status', true), ''), \
         nullif(pg_catalog.current_setting('mainstay.inserted', true), '')",
    )
});

/// Statement texts that belong to no plan.
#[derive(Debug, Default)]
pub struct Texts {
    pub settings: SettingsTexts,
    pre_requests: Mutex<HashMap<QualifiedName, StatementText>>,
}

impl Texts {
    fn pre_request(&self, routine: &QualifiedName) -> StatementText {
        let mut known = self.pre_requests.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(routine.clone())
            .or_insert_with(|| {
                StatementText::new(format!(
                    "SELECT {}.{}()",
                    quoted(&routine.schema),
                    quoted(&routine.name)
                ))
            })
            .clone()
    }
}

/// What a run needs besides the plan.
pub struct Context<'a> {
    pub pool: &'a std::sync::Arc<Pool>,
    pub options: &'a Options,
    pub surroundings: &'a Surroundings,
    pub texts: &'a Texts,
}

/// What the caller of [`run`] must know beside the outcome.
#[derive(Debug)]
pub enum Failure {
    Backend(BackendError),
    /// The database's relations are not what the catalog says: read it anew.
    CatalogChanged,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Failure::Backend(error)
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// By the burst's Sync, or a COMMIT in the burst.
    Commit,
    Rollback,
    /// Judged by its outcome first.
    Judged,
    /// Neither begun nor ended here: one of several statements.
    Within,
}

/// Runs `rendered` once; reads are tried again on other connections when theirs is lost.
pub async fn run(ctx: &Context<'_>, caller: &Caller, rendered: &Rendered, input: &Input) -> Result<Outcome, Failure> {
    let is_read = matches!(rendered.plan.action, Action::Read(_));
    // When a server restarts, every connection of the lane may be dead before we have noticed any of it.
    let mut attempts_left = ctx.options.read_connections_max + 1;
    let result = loop {
        let result = attempt(ctx, caller, rendered, input).await;
        attempts_left -= 1;
        let again = match &result {
            Err(Attempt::Lost) => is_read,
            Err(Attempt::StatementGone) => true,
            _ => false,
        };
        if !again || attempts_left == 0 {
            break result;
        }
    };
    result.map_err(Failure::from)
}

enum Attempt {
    /// The connection ended before the answer came.
    Lost,
    /// The prepared statement does not hold any more (a pooler took it away, a table was altered, a cast means another
    /// type under another search path); nothing was run.
    StatementGone,
    CatalogChanged,
    /// The database was left as it is and has a table of Mainstay's own not yet.
    OwnTableMissing,
    Failed(BackendError),
}

impl From<Attempt> for Failure {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Lost => Failure::Backend(closed(crate::wire::Closed)),
            Attempt::StatementGone | Attempt::CatalogChanged => Failure::CatalogChanged,
            Attempt::OwnTableMissing => {
                Failure::Backend(BackendError::Internal("a table of Mainstay's own is missing".into()))
            }
            Attempt::Failed(error) => Failure::Backend(error),
        }
    }
}

impl From<BackendError> for Attempt {
    fn from(error: BackendError) -> Self {
        Attempt::Failed(error)
    }
}

async fn attempt(ctx: &Context<'_>, caller: &Caller, rendered: &Rendered, input: &Input) -> Result<Outcome, Attempt> {
    let ending = ending(rendered, input);
    if ending == Ending::Judged {
        return judged(ctx, caller, rendered, input).await;
    }
    let lane = if writes(rendered, input) {
        Lane::Write
    } else {
        Lane::Read
    };
    let connection = ctx.pool.shared(lane).await?;
    cost::check(ctx, caller, rendered, input, &connection, Ending::Commit).await?;
    let burst = Burst::new(ctx, caller, rendered, input, &connection, ending)?;
    let parsed = burst.send(&connection).await?;
    let answer = burst.read(parsed, &connection)?;
    let outcome = outcome::outcome(&burst.variant, rendered, input, answer).map_err(|_| Attempt::CatalogChanged)?;
    outcome::judge(&outcome, rendered, input)?;
    Ok(outcome)
}

/// The transaction stays open until its outcome is known to be wanted.
async fn judged(ctx: &Context<'_>, caller: &Caller, rendered: &Rendered, input: &Input) -> Result<Outcome, Attempt> {
    let exclusive = ctx.pool.exclusive().await?;
    let connection = exclusive.connection();
    cost::check(ctx, caller, rendered, input, connection, Ending::Commit).await?;
    let burst = Burst::new(ctx, caller, rendered, input, connection, Ending::Judged)?;
    let result = async {
        let parsed = burst.send(connection).await?;
        let answer = burst.read(parsed, connection)?;
        let outcome = outcome::outcome(&burst.variant, rendered, input, answer).map_err(|_| Attempt::CatalogChanged)?;
        outcome::judge(&outcome, rendered, input)?;
        Ok(outcome)
    }
    .await;
    if matches!(result, Err(Attempt::Lost)) {
        return result;
    }
    let end: &StatementText = if result.is_ok() { &COMMIT } else { &ROLLBACK };
    let step = Step {
        statement: end,
        parameters: &[],
        formats: &[],
    };
    let reply = connection.send(&[step]).map_err(|_| Attempt::Lost)?;
    let ended = reply.wait().await.map_err(|_| Attempt::Lost)?;
    exclusive.release();
    match (result, ended.error) {
        (Ok(_), Some(error)) => Err(refused(error).into()),
        (result, _) => result,
    }
}

fn ending(rendered: &Rendered, input: &Input) -> Ending {
    if input.options.rollback {
        return Ending::Rollback;
    }
    let must_match = matches!(&rendered.plan.action, Action::Insert(insert) if !insert.must_match.is_empty());
    let conditional = input.options.singular || input.options.affected_max.is_some() || must_match;
    if conditional && writes(rendered, input) {
        Ending::Judged
    } else {
        Ending::Commit
    }
}

/// True if the transaction may change rows.
fn writes(rendered: &Rendered, input: &Input) -> bool {
    match &rendered.plan.action {
        Action::Read(_) => false,
        Action::Insert(_) | Action::Update(_) | Action::Delete(_) => true,
        Action::Call(call) => !input.options.read_only && call.routine.volatility == Volatility::Volatile,
    }
}

/// One burst, ready to be sent.
struct Burst<'a> {
    variant: std::sync::Arc<Variant>,
    settings: Settings<'a>,
    settings_text: StatementText,
    pre_request: Option<StatementText>,
    main: Bound<'a>,
    count: Option<Bound<'a>>,
    explain: Option<Bound<'a>>,
    response: bool,
    begin: Option<&'static StatementText>,
    ends: Vec<&'static StatementText>,
}

impl<'a> Burst<'a> {
    fn new(
        ctx: &Context<'a>,
        caller: &'a Caller,
        rendered: &Rendered,
        input: &'a Input,
        connection: &Connection,
        ending: Ending,
    ) -> Result<Self, BackendError> {
        let utc = settings::is_utc(caller, ctx.surroundings, settings::names_utc(connection.time_zone()));
        let is_call = matches!(rendered.plan.action, Action::Call(_));
        let situation = Situation {
            local_time: !utc,
            json_arguments: is_call && input.values.iter().any(|value| matches!(value, Value::Json(_))),
        };
        let variant = rendered.variant(situation)?;
        let read_only = match rendered.plan.action {
            // A transaction that was read-only for one statement stays so.
            _ if ending == Ending::Within => false,
            Action::Read(_) => true,
            _ => input.options.read_only,
        };
        let settings = settings::of_caller(caller, ctx.surroundings, ctx.options, read_only);
        let bound = |part: &Part| Bound::new(part, input);
        let counts_new = matches!(&rendered.plan.action, Action::Insert(insert) if insert.conflict.is_some());
        let begin: Option<&StatementText> = if ending == Ending::Within {
            None
        } else if variant.count.is_some() || variant.explain.is_some() {
            Some(&BEGIN_SNAPSHOT)
        } else if ending != Ending::Commit {
            Some(&BEGIN)
        } else {
            None
        };
        let mut ends: Vec<&'static StatementText> = Vec::new();
        match ending {
            Ending::Rollback if writes(rendered, input) => ends.extend([&*CHECK_DEFERRED, &*ROLLBACK]),
            Ending::Rollback => ends.push(&ROLLBACK),
            Ending::Commit if begin.is_some() => ends.push(&COMMIT),
            Ending::Commit | Ending::Judged | Ending::Within => {}
        }
        Ok(Burst {
            settings_text: ctx.texts.settings.get(settings.len()),
            settings,
            pre_request: input
                .options
                .pre_request
                .as_ref()
                .map(|routine| ctx.texts.pre_request(routine)),
            main: bound(&variant.main)?,
            count: variant.count.as_ref().map(bound).transpose()?,
            explain: variant.explain.as_ref().map(bound).transpose()?,
            response: counts_new || is_call || input.options.pre_request.is_some() || ctx.surroundings.sets_response,
            begin,
            ends,
            variant,
        })
    }

    async fn send(&self, connection: &Connection) -> Result<Parsed, Attempt> {
        let settings: Vec<Option<&[u8]>> = self
            .settings
            .iter()
            .flat_map(|(name, value)| [Some(name.as_bytes()), Some(value.as_bytes())])
            .collect();
        let main = self.main.parameters();
        let count = self.count.as_ref().map(Bound::parameters).unwrap_or_default();
        let explain = self.explain.as_ref().map(Bound::parameters).unwrap_or_default();

        let bare = |statement| Step {
            statement,
            parameters: &[],
            formats: &[],
        };
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(8);
        steps.extend(self.begin.map(bare));
        steps.push(Step {
            statement: &self.settings_text,
            parameters: &settings,
            formats: &[],
        });
        steps.extend(self.pre_request.as_ref().map(bare));
        steps.push(Step {
            statement: &self.variant.main.statement,
            parameters: &main,
            formats: &self.variant.formats,
        });
        if let Some(part) = &self.variant.count {
            steps.push(Step {
                statement: &part.statement,
                parameters: &count,
                formats: &[],
            });
        }
        if let Some(part) = &self.variant.explain {
            steps.push(Step {
                statement: &part.statement,
                parameters: &explain,
                formats: &[],
            });
        }
        if self.response {
            steps.push(bare(&RESPONSE));
        }
        let (Some(end), true) = (self.ends.last(), self.begin.is_some()) else {
            steps.extend(self.ends.iter().map(|statement| bare(statement)));
            let reply = connection.send(&steps).map_err(|_| Attempt::Lost)?;
            return reply.wait().await.map_err(|_| Attempt::Lost);
        };
        let before = &self.ends[..self.ends.len() - 1];
        steps.extend(before.iter().map(|statement| bare(statement)));
        let (reply, ended) = connection.send_ended(&steps, bare(end)).map_err(|_| Attempt::Lost)?;
        let mut parsed = reply.wait().await.map_err(|_| Attempt::Lost)?;
        let ended = ended.wait().await.map_err(|_| Attempt::Lost)?;
        parsed.error = parsed.error.or(ended.error);
        Ok(parsed)
    }

    /// Sorts the steps' answers, or says what went wrong.
    fn read(&self, parsed: Parsed, connection: &Connection) -> Result<Answer, Attempt> {
        if let Some(error) = parsed.error {
            return Err(self.failed(error, connection));
        }
        let mut steps = parsed.steps.into_iter();
        if self.begin.is_some() {
            steps.next();
        }
        steps.next();
        if self.pre_request.is_some() {
            steps.next();
        }
        let main = steps.next().ok_or(Attempt::Lost)?;
        if let Some(found) = &main.description
            && !outcome::fits(&self.variant, found)
        {
            return Err(Attempt::CatalogChanged);
        }
        Ok(Answer {
            main,
            count: self.variant.count.as_ref().and_then(|_| steps.next()),
            explain: self.variant.explain.as_ref().and_then(|_| steps.next()),
            response: self.response.then(|| steps.next()).flatten(),
        })
    }

    fn failed(&self, error: ServerError, connection: &Connection) -> Attempt {
        let state = error.error.sqlstate.as_str();
        // "cached plan must not change result type" has no code of its own, and its text may be in any language.
        let stale = state == "0A000" && error.routine == "RevalidateCachedQuery";
        if stale || state == "26000" {
            let parts = [
                Some(&self.variant.main),
                self.variant.count.as_ref(),
                self.variant.explain.as_ref(),
            ];
            for part in parts.into_iter().flatten() {
                connection.forget(part.statement.id);
            }
            connection.forget(self.settings_text.id);
            connection.forget(RESPONSE.id);
            for statement in self.begin.iter().chain(&self.ends).copied().chain(&self.pre_request) {
                connection.forget(statement.id);
            }
            // Prepared anew, its columns are described anew and compared with what the plan expects.
            return Attempt::StatementGone;
        }
        match refused(error) {
            // The server is going down: another connection may lead to one that is up.
            BackendError::Unavailable { .. } => Attempt::Lost,
            error => Attempt::Failed(error),
        }
    }
}
