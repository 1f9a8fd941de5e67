//! Aggregates over pairs, bits and sorted values: `corr`, `regr_*`, `bit_and`, `percentile_*`, `mode`.
//!
//! Source: PostgreSQL 15 manual, 9.21; the running sums of Youngs and Cramer, in PostgreSQL's order of operations.

use std::collections::VecDeque;

use rusqlite::types::{Value, ValueRef};

use super::super::datetime::interval::Interval;
use super::super::errors::{PgError, Result};
use super::super::float;
use super::aggregates::{Registrar, State};

pub(super) fn register(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add("pg_agg_bit_and", |bits: &Bits| Ok(bits.folded(|a, b| a & b)))?;
    to.add("pg_agg_bit_or", |bits: &Bits| Ok(bits.folded(|a, b| a | b)))?;
    to.add("pg_agg_bit_xor", |bits: &Bits| Ok(bits.folded(|a, b| a ^ b)))?;
    to.add_plan("pg_agg_regr_count", 2, true, |pairs: &Pairs| {
        Ok(Value::Integer(pairs.rows.len() as i64))
    })?;
    to.add_plan("pg_agg_regr_sxx", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.sxx))
    })?;
    to.add_plan("pg_agg_regr_syy", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.syy))
    })?;
    to.add_plan("pg_agg_regr_sxy", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.sxy))
    })?;
    to.add_plan("pg_agg_regr_avgx", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.sx / s.n))
    })?;
    to.add_plan("pg_agg_regr_avgy", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.sy / s.n))
    })?;
    to.add_plan("pg_agg_covar_pop", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| Some(s.sxy / s.n))
    })?;
    to.add_plan("pg_agg_covar_samp", 2, true, |pairs: &Pairs| {
        pairs.value(2, |s| Some(s.sxy / (s.n - 1.0)))
    })?;
    to.add_plan("pg_agg_corr", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| {
            (s.sxx != 0.0 && s.syy != 0.0).then(|| s.sxy / (s.sxx * s.syy).sqrt())
        })
    })?;
    to.add_plan("pg_agg_regr_r2", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| match (s.sxx == 0.0, s.syy == 0.0) {
            (true, _) => None,
            (_, true) => Some(1.0),
            _ => Some((s.sxy * s.sxy) / (s.sxx * s.syy)),
        })
    })?;
    to.add_plan("pg_agg_regr_slope", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| (s.sxx != 0.0).then(|| s.sxy / s.sxx))
    })?;
    to.add_plan("pg_agg_regr_intercept", 2, true, |pairs: &Pairs| {
        pairs.value(1, |s| (s.sxx != 0.0).then(|| (s.sy - s.sx * s.sxy / s.sxx) / s.n))
    })?;
    to.add_plan("pg_agg_percentile_cont", 2, true, |sorted: &Sorted| {
        sorted.between(real, |low, high, part| Ok(Value::Real(low + part * (high - low))))
    })?;
    to.add_plan("pg_agg_percentile_cont_interval", 2, true, |sorted: &Sorted| {
        let read = |value: &Value| match value {
            Value::Text(text) => Interval::parse(text),
            _ => Err(wrong()),
        };
        sorted.between(read, |low, high, part| {
            let distance = high.add(&low.neg()?)?.mul(part)?;
            Ok(Value::Text(distance.add(&low)?.text()))
        })
    })?;
    to.add_plan("pg_agg_percentile_disc", 2, true, |sorted: &Sorted| {
        let Some(part) = sorted.fraction()? else {
            return Ok(Value::Null);
        };
        let place = (part * sorted.rows.len() as f64).ceil().max(1.0) as usize;
        Ok(sorted.rows.get(place - 1).cloned().unwrap_or(Value::Null))
    })?;
    to.add("pg_agg_mode", |runs: &Runs| {
        let mut best: Option<(usize, &Value)> = None;
        let mut current = 0;
        for (at, value) in runs.rows.iter().enumerate() {
            current = if at > 0 && runs.rows[at - 1] == *value {
                current + 1
            } else {
                1
            };
            if best.is_none_or(|(count, _)| current > count) {
                best = Some((current, value));
            }
        }
        Ok(best.map_or(Value::Null, |(_, value)| value.clone()))
    })
}

fn wrong() -> PgError {
    PgError::internal("aggregate called with a value of another type")
}

fn number(value: ValueRef<'_>) -> Result<Option<f64>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Real(value) => Ok(Some(value)),
        ValueRef::Integer(value) => Ok(Some(value as f64)),
        _ => Err(wrong()),
    }
}

fn real(value: &Value) -> Result<f64> {
    number(ValueRef::from(value))?.ok_or_else(wrong)
}

#[derive(Default)]
struct Bits {
    rows: VecDeque<i64>,
}

impl State for Bits {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.rows.push_back(args[0].as_i64().map_err(|_| wrong())?);
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        self.rows.pop_front();
        Ok(())
    }
}

impl Bits {
    fn folded(&self, operation: fn(i64, i64) -> i64) -> Value {
        self.rows
            .iter()
            .copied()
            .reduce(operation)
            .map_or(Value::Null, Value::Integer)
    }
}

/// Rows of (y, x) where neither is null.
#[derive(Default)]
struct Pairs {
    rows: VecDeque<(f64, f64)>,
}

impl State for Pairs {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        if let (Some(y), Some(x)) = (number(args[0])?, number(args[1])?) {
            self.rows.push_back((y, x));
        }
        Ok(())
    }

    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        if let (Some(_), Some(_)) = (number(args[0])?, number(args[1])?) {
            self.rows.pop_front();
        }
        Ok(())
    }
}

#[derive(Default)]
struct Moments {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

impl Pairs {
    fn moments(&self) -> Moments {
        let mut s = Moments::default();
        for (y, x) in &self.rows {
            let before = s.n;
            s.n += 1.0;
            s.sx += x;
            s.sy += y;
            if before == 0.0 {
                // What does not end has no spread.
                s.sxx = if x.is_finite() { 0.0 } else { f64::NAN };
                s.syy = if y.is_finite() { 0.0 } else { f64::NAN };
                s.sxy = s.sxx + s.syy;
            } else {
                let (dx, dy) = (x * s.n - s.sx, y * s.n - s.sy);
                let scale = 1.0 / (s.n * before);
                s.sxx += dx * dx * scale;
                s.syy += dy * dy * scale;
                s.sxy += dx * dy * scale;
            }
        }
        s
    }

    fn value(&self, rows_min: usize, of: fn(&Moments) -> Option<f64>) -> Result<Value> {
        if self.rows.len() < rows_min {
            return Ok(Value::Null);
        }
        match of(&self.moments()) {
            Some(value) => float::storable(value).map(Value::Real),
            None => Ok(Value::Null),
        }
    }
}

/// Values in the order of WITHIN GROUP, nulls left out, and the fraction that is asked for.
#[derive(Default)]
struct Sorted {
    fraction: Option<f64>,
    rows: Vec<Value>,
}

impl State for Sorted {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.fraction = number(args[0])?;
        if args[1] != ValueRef::Null {
            self.rows.push(Value::try_from(args[1]).map_err(|_| wrong())?);
        }
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        Err(PgError::internal("an ordered-set aggregate over a window"))
    }
}

impl Sorted {
    /// `None`: the result is null. Errors: 22003 outside 0 to 1.
    fn fraction(&self) -> Result<Option<f64>> {
        let Some(part) = self.fraction else { return Ok(None) };
        if !(0.0..=1.0).contains(&part) {
            let message = format!("percentile value {part} is not between 0 and 1");
            return Err(PgError::new("22003", message));
        }
        Ok((!self.rows.is_empty()).then_some(part))
    }

    fn between<T>(
        &self,
        read: impl Fn(&Value) -> Result<T>,
        mix: impl Fn(T, T, f64) -> Result<Value>,
    ) -> Result<Value> {
        let Some(part) = self.fraction()? else {
            return Ok(Value::Null);
        };
        let place = part * (self.rows.len() - 1) as f64;
        let (low, high) = (place.floor(), place.ceil());
        let (first, second) = (&self.rows[low as usize], &self.rows[high as usize]);
        if low == high {
            return Ok(match first {
                Value::Integer(value) => Value::Real(*value as f64),
                other => other.clone(),
            });
        }
        mix(read(first)?, read(second)?, place - low)
    }
}

/// Values in order; equal ones stand together.
#[derive(Default)]
struct Runs {
    rows: Vec<Value>,
}

impl State for Runs {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.rows.push(Value::try_from(args[0]).map_err(|_| wrong())?);
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        Err(PgError::internal("an ordered-set aggregate over a window"))
    }
}
