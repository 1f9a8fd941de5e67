//! Answers into [`Outcome`].

use bytes::Bytes;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Action, Count, Format, Input, Insert, Outcome};

use crate::decode::{self, Misfit, Shape};
use crate::render::{Rendered, ResultKind, Variant};
use crate::wire::StepReply;

/// The answers of a burst, by meaning.
pub struct Answer {
    pub main: StepReply,
    pub count: Option<StepReply>,
    pub explain: Option<StepReply>,
    pub response: Option<StepReply>,
}

/// True if the columns have the types that the shape was made for.
pub fn fits(variant: &Variant, found: &[u32]) -> bool {
    if variant.expected_oids.is_empty() {
        return true;
    }
    variant.expected_oids.len() == found.len()
        && variant
            .expected_oids
            .iter()
            .zip(found)
            .all(|(expected, oid)| expected.is_empty() || expected.contains(oid))
}

/// Writes the body and the numbers.
pub fn outcome(variant: &Variant, rendered: &Rendered, input: &Input, answer: Answer) -> Result<Outcome, Misfit> {
    let mut outcome = Outcome::default();
    let main = &answer.main;
    let wants_body = wants_body(rendered);
    match &variant.result {
        ResultKind::Tag => {
            // The statement that stands for "nothing to update" is a SELECT of no rows.
            outcome.affected = main.command.rows();
        }
        ResultKind::Void => {}
        ResultKind::Bare(cell) => {
            let format = rendered.plan.format;
            for (index, row) in main.rows.iter().enumerate() {
                if format == Format::Csv {
                    if index > 0 {
                        outcome.body.push(b'\n');
                    }
                    mainstay_core::render::csv_cell(&mut outcome.body, decode::text_field(row, 0)?);
                } else {
                    if index > 0 {
                        outcome.body.push(b',');
                    }
                    decode::json_bare(&mut outcome.body, cell, row)?;
                }
            }
            outcome.rows = main.rows.len() as u64;
        }
        ResultKind::Rows(shape) => {
            if wants_body {
                let rows = page(&main.rows, variant, input);
                write_rows(
                    &mut outcome.body,
                    shape,
                    rendered.plan.format,
                    rows.iter().map(|row| &row[..]),
                )?;
                outcome.rows = rows.len() as u64;
                outcome.has_more = rows.len() < main.rows.len();
                if let (Some(last), Some(max)) = (rows.last(), input.options.page_rows)
                    && variant.keys_shown > 0
                    && outcome.rows == max
                {
                    outcome.last_keys = Some(last_keys(last, variant)?);
                }
            }
            if rendered.writes() {
                outcome.affected = main.rows.len() as u64;
            }
        }
        ResultKind::Explained => {
            for (index, row) in main.rows.iter().enumerate() {
                if index > 0 {
                    outcome.body.push(b'\n');
                }
                outcome
                    .body
                    .extend_from_slice(decode::bytes_field(row, 0)?.unwrap_or_default());
            }
            return Ok(outcome);
        }
        ResultKind::Document => {
            let row = main.rows.first().ok_or(Misfit)?;
            if let Some(bytes) = decode::bytes_field(row, 0)? {
                outcome.body.extend_from_slice(bytes);
            }
            outcome.rows = decode::integer_field(row, 1)?;
            if rendered.writes() {
                outcome.affected = outcome.rows;
            }
        }
        ResultKind::RowsAndTotal(shape) => {
            let row = main.rows.first().ok_or(Misfit)?;
            let records = decode::record_rows(row, 0)?;
            outcome.rows = records.len() as u64;
            write_records(&mut outcome.body, shape, rendered.plan.format, &records)?;
            outcome.total = Some(decode::integer_field(row, 1)?);
        }
    }
    if !variant.location.is_empty() && outcome.affected == 1 {
        let first = variant.main_fields();
        for (index, name) in variant.location.iter().enumerate() {
            if let Some(text) = main
                .rows
                .first()
                .map(|row| decode::text_field(row, first + index))
                .transpose()?
                .flatten()
            {
                outcome.location.push((name.clone(), text.to_owned()));
            }
        }
    }
    add_totals(&mut outcome, rendered, input, &answer)?;
    if let Some(row) = answer.response.as_ref().and_then(|step| step.rows.first()) {
        outcome.response_headers = decode::text_field(row, 0)?.map(str::to_owned);
        outcome.response_status = decode::text_field(row, 1)?.map(str::to_owned);
        if let Some(count) = decode::text_field(row, 2)? {
            outcome.inserted = count.parse::<i64>().map_or(0, |count| count.max(0) as u64);
        }
    }
    if let Action::Insert(insert) = &rendered.plan.action
        && !counts_new(insert)
    {
        outcome.inserted = outcome.affected;
    }
    Ok(outcome)
}

/// The rows of the page, without the one that says that there is another.
fn page<'a>(rows: &'a [Bytes], variant: &Variant, input: &Input) -> &'a [Bytes] {
    match input.options.page_rows.map(usize::try_from) {
        Some(Ok(max)) if variant.keys_shown > 0 && rows.len() > max => &rows[..max],
        _ => rows,
    }
}

fn last_keys(row: &[u8], variant: &Variant) -> Result<Vec<Option<String>>, Misfit> {
    let first = variant.main_fields();
    (first..first + variant.keys_shown)
        .map(|field| Ok(decode::text_field(row, field)?.map(str::to_owned)))
        .collect()
}

/// Upserts that merge count their new rows as they go; elsewhere every affected row is new.
fn counts_new(insert: &Insert) -> bool {
    insert
        .conflict
        .as_ref()
        .is_some_and(|conflict| conflict.action == mainstay_core::plan::ConflictAction::Merge)
}

fn wants_body(rendered: &Rendered) -> bool {
    match &rendered.plan.action {
        Action::Read(_) | Action::Call(_) => true,
        Action::Insert(insert) => insert.returning.read.is_some(),
        Action::Update(update) => update.returning.read.is_some(),
        Action::Delete(delete) => delete.returning.read.is_some(),
    }
}

fn write_rows<'a>(
    out: &mut Vec<u8>,
    shape: &Shape,
    format: Format,
    rows: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Misfit> {
    if format == Format::Csv {
        decode::csv_header(out, shape);
        for row in rows {
            out.push(b'\n');
            decode::csv_row(out, shape, row)?;
        }
        return Ok(());
    }
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        decode::json_row(out, shape, row)?;
    }
    Ok(())
}

fn write_records(out: &mut Vec<u8>, shape: &Shape, format: Format, records: &[&[u8]]) -> Result<(), Misfit> {
    if format == Format::Csv {
        decode::csv_header(out, shape);
        for record in records {
            out.push(b'\n');
            decode::csv_record(out, shape, record)?;
        }
        return Ok(());
    }
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        decode::json_record(out, shape, record)?;
    }
    Ok(())
}

fn add_totals(outcome: &mut Outcome, rendered: &Rendered, input: &Input, answer: &Answer) -> Result<(), Misfit> {
    let count = match &rendered.plan.action {
        Action::Read(read) => read.count,
        Action::Call(call) => match &call.result {
            mainstay_core::plan::CallResult::Rows { read, .. } => read.count,
            _ => Count::None,
        },
        _ => Count::None,
    };
    if count == Count::None || outcome.total.is_some() {
        return Ok(());
    }
    let counted = match answer.count.as_ref().and_then(|step| step.rows.first()) {
        Some(row) => decode::text_field(row, 0)?.and_then(|text| text.parse().ok()),
        None => None,
    };
    let estimated = answer.explain.as_ref().and_then(plan_rows);
    outcome.total = Some(match (count, counted, estimated) {
        (Count::Planned, _, Some(rows)) => rows,
        (Count::Estimated, Some(counted), Some(rows)) => match counted > input.options.estimated_rows_exact() {
            true => rows.max(counted),
            false => counted,
        },
        (_, Some(counted), _) => counted,
        // Nothing cut the rows off, so they are all there.
        _ => outcome.rows,
    });
    Ok(())
}

/// The planner's estimate from `EXPLAIN (FORMAT JSON)`.
fn plan_rows(step: &StepReply) -> Option<u64> {
    let text = decode::text_field(step.rows.first()?, 0).ok()??;
    let plan: serde_json::Value = serde_json::from_str(text).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_u64()
}

/// Says whether the request may have this outcome.
pub fn judge(outcome: &Outcome, rendered: &Rendered, input: &Input) -> Result<(), BackendError> {
    if rendered.plan.explain.is_some() {
        return Ok(());
    }
    if let Action::Insert(insert) = &rendered.plan.action
        && !insert.must_match.is_empty()
        && outcome.affected != 1
    {
        return Err(BackendError::PutMismatch);
    }
    if let Some(max) = input.options.affected_max {
        let affected = if rendered.writes() {
            outcome.affected
        } else {
            outcome.rows
        };
        if affected > max {
            return Err(BackendError::TooManyAffected { affected });
        }
    }
    // A write without a representation has no rows to count: what it affected is meant.
    let rows = if rendered.writes() && !wants_body(rendered) {
        outcome.affected
    } else {
        outcome.rows
    };
    if input.options.singular && rows != 1 {
        return Err(BackendError::NotSingular { rows });
    }
    Ok(())
}
