//! The log of slow statements: what was asked, by whom, how the engine goes about it, and which index it lacks.
//!
//! Lives here: which statements are told and how often. Not here: what an index would lead by ([`advice`]).
//! Invariant: what is logged holds no value of a request. Statements have placeholders; of PostgreSQL's plans, which
//! show the values of conditions, only the kinds of nodes and the names of relations and indexes are taken.

mod advice;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Action, Explain, Input, Plan};
use serde_json::Value;

use crate::error::Error;
use crate::{DataRoom, Prepared, Ready};

/// A shape is told once in this time, with the number of times that it was slow meanwhile.
const TOLD_EVERY: Duration = Duration::from_secs(600);
/// Shapes that are remembered; with more, those told longest ago are forgotten.
const SHAPES_MAX: usize = 512;
/// Bytes of a statement that are logged.
const STATEMENT_BYTES_MAX: usize = 4_000;
/// Steps of a plan that are logged.
const STEPS_MAX: usize = 40;

/// Which shapes were told, and when.
#[derive(Debug, Default)]
pub struct Told {
    hasher: RandomState,
    shapes: Mutex<HashMap<u64, Shape>>,
}

#[derive(Debug)]
struct Shape {
    told: Instant,
    /// Times that it was slow since.
    untold: u64,
}

impl Told {
    /// If the shape is to be told at `now`: how many times it was slow since it was told last, this one included.
    fn due(&self, role: &str, sql: &str, now: Instant) -> Option<u64> {
        let key = self.hasher.hash_one((role, sql));
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() >= SHAPES_MAX && !shapes.contains_key(&key) {
            shapes.retain(|_, shape| now.duration_since(shape.told) < TOLD_EVERY);
            if shapes.len() >= SHAPES_MAX {
                let oldest = shapes.iter().min_by_key(|(_, shape)| shape.told).map(|(key, _)| *key);
                oldest.map(|key| shapes.remove(&key));
            }
        }
        match shapes.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Shape { told: now, untold: 0 });
                Some(1)
            }
            Entry::Occupied(mut place) => {
                let shape = place.get_mut();
                shape.untold += 1;
                (now.duration_since(shape.told) >= TOLD_EVERY).then(|| {
                    shape.told = now;
                    std::mem::take(&mut shape.untold)
                })
            }
        }
    }
}

/// A statement that has been run.
pub struct Ran<'a> {
    pub prepared: &'a Prepared,
    /// Rows returned or changed.
    pub result: Result<u64, &'a Error>,
    pub took: Duration,
}

impl DataRoom {
    /// When a statement begins, if slow ones are logged.
    pub(crate) fn clock(&self) -> Option<Instant> {
        self.config.slow_query.map(|_| Instant::now())
    }

    /// How long a statement took that began at `began`, if that is too long.
    pub(crate) fn overdue(&self, began: Option<Instant>) -> Option<Duration> {
        let (threshold, began) = (self.config.slow_query?, began?);
        Some(began.elapsed()).filter(|took| *took >= threshold)
    }

    /// Logs a slow statement, once per shape and [`TOLD_EVERY`]. `ready`: what it would be run with again.
    pub(crate) async fn tell(&self, ran: Ran<'_>, ready: Ready<'_>) {
        let Ran { prepared, result, took } = ran;
        let plan = &prepared.planned.plan;
        if plan.explain.is_some() {
            return;
        }
        let Some(times) = self.told.due(&plan.role, &prepared.statement.sql, Instant::now()) else {
            return;
        };
        let steps = match ready {
            Ready::Run { caller, input } => self.steps(&caller, plan, input).await,
            Ready::Known(_) => Ok(Vec::new()),
        };
        let steps = match steps {
            Ok(steps) => steps.join("; "),
            Err(error) => format!("not to be had: {error}"),
        };
        let (rows, code) = match result {
            Ok(rows) => (rows, None),
            Err(error) => (0, Some(mainstay_core::error::PublicError::code(error))),
        };
        tracing::warn!(
            action = verb(&plan.action),
            relation = %subject(&plan.action),
            role = %plan.role,
            ms = took.as_millis() as u64,
            rows,
            code = code.as_ref().map(tracing::field::display),
            times,
            statement = cut(&prepared.statement.sql),
            plan = steps,
            advice = advice::advice(&*self.backend, plan).join(" "),
            "a slow statement"
        );
    }

    /// The engine's plan, nothing being run.
    async fn steps(&self, caller: &Caller, plan: &Plan, input: Input) -> Result<Vec<String>, BackendError> {
        let plan = Plan {
            explain: Some(Explain {
                json: true,
                ..Explain::default()
            }),
            ..plan.clone()
        };
        let statement = self.backend.render(&plan)?;
        let told = self.backend.run(caller, &statement, input).await?;
        let document: Value = serde_json::from_slice(&told.body).unwrap_or_default();
        let mut steps = Vec::new();
        for tree in document.as_array().into_iter().flatten() {
            gather(&tree["Plan"], &mut steps);
        }
        Ok(steps)
    }
}

/// A node and those below it, each in a few words.
fn gather(node: &Value, steps: &mut Vec<String>) {
    if steps.len() >= STEPS_MAX {
        return;
    }
    if let Some(lines) = node["Steps"].as_array() {
        steps.extend(lines.iter().filter_map(Value::as_str).map(str::to_owned));
    } else if let (Some(kind), true) = (node["Node Type"].as_str(), node["Plans"][0]["Steps"].is_null()) {
        let mut step = kind.to_owned();
        if let Some(index) = node["Index Name"].as_str() {
            step.push_str(" using ");
            step.push_str(index);
        }
        if let Some(relation) = node["Relation Name"].as_str() {
            step.push_str(" on ");
            step.push_str(relation);
        }
        steps.push(step);
    }
    for below in node["Plans"].as_array().into_iter().flatten() {
        gather(below, steps);
    }
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Read(_) => "read",
        Action::Insert(_) => "insert",
        Action::Update(_) => "update",
        Action::Delete(_) => "delete",
        Action::Call(_) => "call",
    }
}

fn subject(action: &Action) -> &mainstay_core::name::QualifiedName {
    match action {
        Action::Read(read) => &read.source.relation.name,
        Action::Insert(insert) => &insert.source.relation.name,
        Action::Update(update) => &update.source.relation.name,
        Action::Delete(delete) => &delete.source.relation.name,
        Action::Call(call) => &call.routine.name,
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(STATEMENT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shape_is_told_once_in_a_while_and_then_with_what_was_left_out() {
        let told = Told::default();
        let start = Instant::now();
        assert_eq!(told.due("anon", "SELECT 1", start), Some(1));
        assert_eq!(told.due("anon", "SELECT 1", start), None);
        assert_eq!(told.due("clerk", "SELECT 1", start), Some(1));
        assert_eq!(told.due("anon", "SELECT 1", start + TOLD_EVERY), Some(2));
        for shape in 0..2 * SHAPES_MAX {
            told.due("anon", &shape.to_string(), start);
        }
        assert!(told.shapes.lock().unwrap().len() <= SHAPES_MAX);
    }

    #[test]
    fn of_a_plan_no_condition_is_taken() {
        let mut steps = Vec::new();
        let node = json!({
            "Node Type": "Nested Loop",
            "Plans": [
                { "Node Type": "Seq Scan", "Relation Name": "orders", "Filter": "(note = 'a secret'::text)" },
                { "Node Type": "Index Scan", "Index Name": "items_pkey", "Relation Name": "items" },
            ],
        });
        gather(&node, &mut steps);
        assert_eq!(
            steps,
            [
                "Nested Loop",
                "Seq Scan on orders",
                "Index Scan using items_pkey on items"
            ]
        );
        let mut steps = Vec::new();
        let node = json!({ "Node Type": "Embedded engine (SQLite)", "Plans": [
            { "Node Type": "Statement", "Statement": "SELECT 1", "Steps": ["SCAN orders"] },
        ]});
        gather(&node, &mut steps);
        assert_eq!(steps, ["SCAN orders"]);
    }
}
