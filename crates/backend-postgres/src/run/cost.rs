//! Refuses statements that the planner finds too costly, before they run.
//!
//! The same statement with the same values is explained first, as the caller and in a round trip of its own: what one
//! value costs says nothing about the next, so nothing is remembered. Only callers with a limit pay for it.

use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Input, Options};

use super::{Attempt, Burst, Context, Ending};
use crate::decode;
use crate::render::Rendered;
use crate::wire::{Connection, StepReply};

/// Errors: `TooCostly`; within a transaction also what is wrong with the statement.
pub async fn check(
    ctx: &Context<'_>,
    caller: &Caller,
    rendered: &Rendered,
    input: &Input,
    connection: &Connection,
    ending: Ending,
) -> Result<(), Attempt> {
    let Some(cost_max) = ctx.options.cost_limits.of(&caller.role) else {
        return Ok(());
    };
    if rendered.plan.explain.is_some() {
        return Ok(());
    }
    let explained = rendered.costed()?;
    let input = Input {
        values: input.values.clone(),
        payload: input.payload.clone(),
        options: Options {
            // A function of the user's is not called for an estimate.
            pre_request: None,
            ..input.options.clone()
        },
    };
    let burst = Burst::new(ctx, caller, &explained, &input, connection, ending)?;
    let parsed = burst.send(connection).await?;
    let answer = match burst.read(parsed, connection) {
        Ok(answer) => answer,
        // The statement itself says it better.
        Err(Attempt::Failed(_)) if ending != Ending::Within => return Ok(()),
        Err(error) => return Err(error),
    };
    let cost = [Some(&answer.main), answer.count.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(total_cost)
        .sum::<f64>();
    match cost > cost_max as f64 {
        true => Err(BackendError::TooCostly { cost_max }.into()),
        false => Ok(()),
    }
}

/// The planner's estimate from `EXPLAIN (FORMAT JSON)`.
fn total_cost(step: &StepReply) -> Option<f64> {
    let text = decode::text_field(step.rows.first()?, 0).ok()??;
    let plan: serde_json::Value = serde_json::from_str(text).ok()?;
    plan.get(0)?.get("Plan")?.get("Total Cost")?.as_f64()
}
