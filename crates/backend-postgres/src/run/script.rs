//! Several statements in one transaction, each chosen by a [`Script`] that has seen the outcomes before it.
//!
//! A connection of its own holds the transaction open. A connection that was lost is not tried again: whether a COMMIT
//! arrived is not known.

use std::sync::{Mutex, PoisonError};

use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::plan::Outcome;
use mainstay_core::transaction::{Ended, Isolation, Next, Script, Step as ScriptStep};

use super::{
    Attempt, BEGIN, BEGIN_SNAPSHOT, Burst, COMMIT, Context, Ending, Failure, Own, ROLLBACK, cost, kept, outcome, own,
};
use crate::bootstrap;
use crate::errors::refused;
use crate::render::Rendered;
use crate::wire::{Connection, StatementText, Step};

/// Runs the script to its end.
pub async fn transact(
    ctx: &Context<'_>,
    catalog_version: u64,
    isolation: Isolation,
    script: &Mutex<dyn Script>,
) -> Result<Ended, Failure> {
    let mut result = attempt(ctx, catalog_version, isolation, script).await;
    if matches!(result, Err(Attempt::OwnTableMissing)) {
        let exclusive = ctx.pool.exclusive().await?;
        bootstrap::make_own_tables(exclusive.connection()).await?;
        exclusive.release();
        result = attempt(ctx, catalog_version, isolation, script).await;
    }
    Ok(result?)
}

async fn attempt(
    ctx: &Context<'_>,
    catalog_version: u64,
    isolation: Isolation,
    script: &Mutex<dyn Script>,
) -> Result<Ended, Attempt> {
    // Dropped without a release, the connection is closed and the transaction with it.
    let exclusive = ctx.pool.exclusive().await?;
    let connection = exclusive.connection();
    let begin: &StatementText = match isolation {
        Isolation::ReadCommitted => &BEGIN,
        Isolation::RepeatableRead => &BEGIN_SNAPSHOT,
    };
    control(connection, begin).await?;
    let result = steps(ctx, catalog_version, connection, script).await;
    if matches!(result, Err(Attempt::Lost)) {
        return result;
    }
    let end: &StatementText = match result {
        Ok(Ended::Committed) => &COMMIT,
        Ok(Ended::RolledBack) | Err(_) => &ROLLBACK,
    };
    match control(connection, end).await {
        Err(Attempt::Lost) => return Err(Attempt::Lost),
        // A COMMIT that is refused has ended the transaction too.
        Err(error) if result.is_ok() => {
            exclusive.release();
            return Err(error);
        }
        _ => {}
    }
    exclusive.release();
    result
}

async fn steps(
    ctx: &Context<'_>,
    catalog_version: u64,
    connection: &Connection,
    script: &Mutex<dyn Script>,
) -> Result<Ended, Attempt> {
    let mut last: Option<Outcome> = None;
    let mut role: Option<Ident> = None;
    loop {
        let next = script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(last.take())?;
        match next {
            Next::Run(step) => {
                last = Some(run(ctx, catalog_version, connection, &step).await?);
                role = Some(step.caller.role);
            }
            Next::Recall(recall) => last = Some(kept::recall(connection, &recall).await?),
            Next::Keep(keep) => last = Some(kept::keep(connection, &keep, role.as_ref()).await?),
            Next::Commit => return Ok(Ended::Committed),
            Next::Rollback => return Ok(Ended::RolledBack),
        }
    }
}

async fn run(
    ctx: &Context<'_>,
    catalog_version: u64,
    connection: &Connection,
    step: &ScriptStep,
) -> Result<Outcome, Attempt> {
    if let Some(own) = step.statement.engine.downcast_ref::<Own>() {
        return own::within(ctx, connection, own, &step.input).await;
    }
    let rendered = step
        .statement
        .engine
        .downcast_ref::<Rendered>()
        .ok_or_else(|| BackendError::Internal("a statement of another engine".into()))?;
    if rendered.plan.catalog_version != catalog_version {
        return Err(BackendError::StaleCatalog.into());
    }
    cost::check(ctx, &step.caller, rendered, &step.input, connection, Ending::Within).await?;
    let burst = Burst::new(ctx, &step.caller, rendered, &step.input, connection, Ending::Within)?;
    let parsed = burst.send(connection).await?;
    let answer = burst.read(parsed, connection)?;
    let outcome =
        outcome::outcome(&burst.variant, rendered, &step.input, answer).map_err(|_| Attempt::CatalogChanged)?;
    outcome::judge(&outcome, rendered, &step.input)?;
    Ok(outcome)
}

async fn control(connection: &Connection, statement: &StatementText) -> Result<(), Attempt> {
    let step = Step {
        statement,
        parameters: &[],
        formats: &[],
    };
    let reply = connection.send(&[step]).map_err(|_| Attempt::Lost)?;
    let ended = reply.wait().await.map_err(|_| Attempt::Lost)?;
    match ended.error {
        Some(error) => Err(refused(error).into()),
        None => Ok(()),
    }
}
