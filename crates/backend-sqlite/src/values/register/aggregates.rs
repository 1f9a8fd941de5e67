//! Aggregates, all of which work as window functions.

use std::collections::VecDeque;

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value, ValueRef};

use super::super::array;
use super::super::datetime::interval::Interval;
use super::super::errors::{PgError, Result};
use super::super::float;
use super::super::integer::{INT8, Width};
use super::super::json;
use super::super::jsonb::Json;
use super::super::numeric::{Numeric, Sum, compare_text};
use super::super::order::compare_intervals;
use super::super::vector::Vector;
use super::numeric_of;

/// Name, arguments and result of every aggregate. Other `min` and `max` are SQLite's.
pub const NAMES: [(&str, &str, &str); 52] = [
    ("pg_agg_min_numeric", "numeric", "numeric"),
    ("pg_agg_max_numeric", "numeric", "numeric"),
    ("pg_agg_min_interval", "interval", "interval"),
    ("pg_agg_max_interval", "interval", "interval"),
    ("pg_agg_sum_int4", "int2 or int4", "int8"),
    ("pg_agg_sum_int8", "int8", "numeric"),
    ("pg_agg_sum_numeric", "numeric", "numeric"),
    ("pg_agg_sum_float4", "float4", "float4"),
    ("pg_agg_sum_float8", "float8", "float8"),
    ("pg_agg_sum_interval", "interval", "interval"),
    ("pg_agg_avg_int8", "int2, int4 or int8", "numeric"),
    ("pg_agg_avg_numeric", "numeric", "numeric"),
    ("pg_agg_avg_float8", "float4 or float8", "float8"),
    ("pg_agg_avg_interval", "interval", "interval"),
    ("pg_agg_stddev_samp_numeric", "int or numeric", "numeric"),
    ("pg_agg_stddev_pop_numeric", "int or numeric", "numeric"),
    ("pg_agg_var_samp_numeric", "int or numeric", "numeric"),
    ("pg_agg_var_pop_numeric", "int or numeric", "numeric"),
    ("pg_agg_stddev_samp_float8", "float8", "float8"),
    ("pg_agg_stddev_pop_float8", "float8", "float8"),
    ("pg_agg_var_samp_float8", "float8", "float8"),
    ("pg_agg_var_pop_float8", "float8", "float8"),
    ("pg_agg_json_agg", "json (NULL kept)", "json"),
    ("pg_agg_json_agg_rows", "json of rows (NULL kept)", "json"),
    ("pg_agg_jsonb_agg", "json (NULL kept)", "jsonb"),
    ("pg_agg_json_object_agg", "text, json (NULL kept)", "json"),
    ("pg_agg_jsonb_object_agg", "text, json (NULL kept)", "jsonb"),
    ("pg_agg_array_agg", "json (NULL kept)", "T[]"),
    ("pg_agg_string_agg", "text, text", "text"),
    ("pg_agg_sum_vector", "vector", "vector"),
    ("pg_agg_avg_vector", "vector", "vector"),
    ("pg_agg_bool_and", "bool", "bool"),
    ("pg_agg_bool_or", "bool", "bool"),
    ("pg_agg_bit_and", "int", "int"),
    ("pg_agg_bit_or", "int", "int"),
    ("pg_agg_bit_xor", "int", "int"),
    ("pg_agg_corr", "float8, float8", "float8"),
    ("pg_agg_covar_pop", "float8, float8", "float8"),
    ("pg_agg_covar_samp", "float8, float8", "float8"),
    ("pg_agg_regr_count", "float8, float8", "int8"),
    ("pg_agg_regr_sxx", "float8, float8", "float8"),
    ("pg_agg_regr_syy", "float8, float8", "float8"),
    ("pg_agg_regr_sxy", "float8, float8", "float8"),
    ("pg_agg_regr_avgx", "float8, float8", "float8"),
    ("pg_agg_regr_avgy", "float8, float8", "float8"),
    ("pg_agg_regr_r2", "float8, float8", "float8"),
    ("pg_agg_regr_slope", "float8, float8", "float8"),
    ("pg_agg_regr_intercept", "float8, float8", "float8"),
    ("pg_agg_percentile_cont", "float8, float8 in order", "float8"),
    (
        "pg_agg_percentile_cont_interval",
        "float8, interval in order",
        "interval",
    ),
    ("pg_agg_percentile_disc", "float8, T in order", "T"),
    ("pg_agg_mode", "T in order", "T"),
];

/// What an aggregate collects. NULL arguments arrive only where `keeps_null`.
pub(super) trait State: Default + Send + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()>;
    /// Takes the oldest row out again; `args` are that row's.
    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()>;
}

/// Ties a state to how it is finished.
struct Plan<S> {
    keeps_null: bool,
    finish: fn(&S) -> Result<Value>,
    marker: std::marker::PhantomData<fn() -> S>,
}

impl<S: State> Plan<S> {
    fn row(&self, context: &Context<'_>, act: impl FnOnce(&[ValueRef<'_>]) -> Result<()>) -> rusqlite::Result<()> {
        let args: smallvec::SmallVec<[ValueRef<'_>; 2]> =
            (0..context.len()).map(|index| context.get_raw(index)).collect();
        if !self.keeps_null && args[0] == ValueRef::Null {
            return Ok(());
        }
        act(&args).map_err(Into::into)
    }
}

impl<S: State> Aggregate<S, Value> for Plan<S> {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<S> {
        Ok(S::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut S) -> rusqlite::Result<()> {
        self.row(context, |args| state.add(args))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<S>) -> rusqlite::Result<Value> {
        (self.finish)(&state.unwrap_or_default()).map_err(Into::into)
    }
}

impl<S: State> WindowAggregate<S, Value> for Plan<S> {
    fn value(&self, state: Option<&mut S>) -> rusqlite::Result<Value> {
        match state {
            Some(state) => (self.finish)(state).map_err(Into::into),
            None => (self.finish)(&S::default()).map_err(Into::into),
        }
    }

    fn inverse(&self, context: &mut Context<'_>, state: &mut S) -> rusqlite::Result<()> {
        self.row(context, |args| state.remove(args))
    }
}

fn numeric_text(value: Option<Numeric>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_string()))
}

fn wrong() -> PgError {
    PgError::internal("aggregate called with a value of another type")
}

#[derive(Default)]
struct NumericSum(Sum);

impl State for NumericSum {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.0.add(&numeric_of(args[0]).ok_or_else(wrong)??);
        Ok(())
    }

    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.0.remove(&numeric_of(args[0]).ok_or_else(wrong)??);
        Ok(())
    }
}

/// Integers: exact in 128 bits.
#[derive(Default)]
struct IntegerSum {
    total: i128,
    count: i64,
}

impl State for IntegerSum {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.total += i128::from(args[0].as_i64().map_err(|_| wrong())?);
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.total -= i128::from(args[0].as_i64().map_err(|_| wrong())?);
        self.count -= 1;
        Ok(())
    }
}

impl IntegerSum {
    fn whole(&self) -> Result<Option<Numeric>> {
        if self.count == 0 {
            Ok(None)
        } else {
            Numeric::parse(&self.total.to_string()).map(Some)
        }
    }
}

/// Floats: in the order of the rows. A window that moves on adds up again, so that nothing is lost by subtracting.
#[derive(Default)]
struct FloatRows {
    rows: VecDeque<f64>,
}

impl State for FloatRows {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let value = match args[0] {
            ValueRef::Real(value) => value,
            ValueRef::Integer(value) => value as f64,
            _ => return Err(wrong()),
        };
        self.rows.push_back(value);
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        self.rows.pop_front();
        Ok(())
    }
}

/// Vectors in the order of the rows.
#[derive(Default)]
struct VectorRows {
    rows: VecDeque<Vector>,
}

impl State for VectorRows {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let ValueRef::Blob(bytes) = args[0] else {
            return Err(wrong());
        };
        let row = Vector::from_bytes(bytes)?;
        if let Some(first) = self.rows.front().filter(|first| first.dimensions() != row.dimensions()) {
            let (known, found) = (first.dimensions(), row.dimensions());
            return Err(PgError::new(
                "22000",
                format!("expected {known} dimensions, not {found}"),
            ));
        }
        self.rows.push_back(row);
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        self.rows.pop_front();
        Ok(())
    }
}

impl FloatRows {
    fn sum(&self) -> Result<f64> {
        let total: f64 = self.rows.iter().sum();
        if total.is_infinite() && self.rows.iter().all(|value| value.is_finite()) {
            return Err(float::overflow());
        }
        float::storable(total)
    }

    /// The sum, and the sum of squared distances from the mean (Youngs and Cramer).
    fn moments(&self) -> (f64, f64) {
        let (mut count, mut sum, mut squares) = (0.0f64, 0.0f64, 0.0f64);
        for value in &self.rows {
            count += 1.0;
            sum += value;
            if count > 1.0 {
                let distance = value * count - sum;
                squares += distance * distance / (count * (count - 1.0));
            }
        }
        // No number has a distance from an infinite mean.
        if self.rows.iter().any(|value| value.is_infinite()) {
            squares = f64::NAN;
        }
        (sum, squares)
    }

    fn variance(&self, sample: bool, root: bool) -> Result<Value> {
        let count = self.rows.len() as f64;
        if count == 0.0 || (sample && count < 2.0) {
            return Ok(Value::Null);
        }
        let squares = self.moments().1;
        if squares.is_infinite() {
            return Err(float::overflow());
        }
        let variance = squares / if sample { count - 1.0 } else { count };
        Ok(Value::Real(float::storable(if root {
            variance.sqrt()
        } else {
            variance
        })?))
    }
}

/// Sums of values and of squares.
#[derive(Default)]
struct Squares {
    sum: Sum,
    squares: Sum,
}

impl State for Squares {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let value = numeric_of(args[0]).ok_or_else(wrong)??;
        self.squares.add(&value.square());
        self.sum.add(&value);
        Ok(())
    }

    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let value = numeric_of(args[0]).ok_or_else(wrong)??;
        self.squares.remove(&value.square());
        self.sum.remove(&value);
        Ok(())
    }
}

impl Squares {
    fn variance(&self, sample: bool, root: bool) -> Result<Value> {
        let deviation = self.sum.deviation(&self.squares, sample, root)?;
        Ok(deviation.map_or(Value::Null, |value| Value::Text(value.to_string())))
    }
}

/// Intervals, summed field by field.
#[derive(Default)]
struct IntervalSum {
    total: Interval,
    count: i64,
}

fn interval_of(value: ValueRef<'_>) -> Result<Interval> {
    Interval::parse(value.as_str().map_err(|_| wrong())?)
}

impl State for IntervalSum {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.total = self.total.add(&interval_of(args[0])?)?;
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        self.total = self.total.add(&interval_of(args[0])?.neg()?)?;
        self.count -= 1;
        Ok(())
    }
}

/// Rows kept as they are.
#[derive(Default)]
struct Rows {
    rows: VecDeque<(Option<String>, Option<String>)>,
}

impl State for Rows {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let text = |index: usize| match args.get(index) {
            None | Some(ValueRef::Null) => Ok(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())).map_err(|_| wrong()),
        };
        self.rows.push_back((text(0)?, text(1)?));
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        self.rows.pop_front();
        Ok(())
    }
}

impl Rows {
    fn items(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(item, _)| item.as_deref().unwrap_or("null"))
    }

    fn json_array(&self, separator: &str) -> Value {
        if self.rows.is_empty() {
            return Value::Null;
        }
        Value::Text(format!("[{}]", self.items().collect::<Vec<_>>().join(separator)))
    }

    fn pairs(&self) -> Result<Vec<(&str, &str)>> {
        self.rows
            .iter()
            .map(|(key, value)| match key {
                Some(key) => Ok((key.as_str(), value.as_deref().unwrap_or("null"))),
                None => Err(PgError::new("22023", "field name must not be null")),
            })
            .collect()
    }
}

/// Which value a `min` or `max` prefers.
trait Better: Send + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static {
    /// `a` makes an earlier `b` needless.
    fn beats(a: &str, b: &str) -> bool;
}

/// The values a window may still need, best first, each with the number of its row.
struct Extreme<B> {
    candidates: VecDeque<(u64, String)>,
    added: u64,
    removed: u64,
    marker: std::marker::PhantomData<B>,
}

impl<B> Default for Extreme<B> {
    fn default() -> Self {
        Extreme {
            candidates: VecDeque::new(),
            added: 0,
            removed: 0,
            marker: std::marker::PhantomData,
        }
    }
}

impl<B: Better> State for Extreme<B> {
    fn add(&mut self, args: &[ValueRef<'_>]) -> Result<()> {
        let number;
        let value = match args[0] {
            ValueRef::Integer(value) => {
                number = value.to_string();
                number.as_str()
            }
            value => value.as_str().map_err(|_| wrong())?,
        };
        while self.candidates.back().is_some_and(|(_, last)| B::beats(value, last)) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.added, value.to_owned()));
        self.added += 1;
        Ok(())
    }

    fn remove(&mut self, _: &[ValueRef<'_>]) -> Result<()> {
        if self.candidates.front().is_some_and(|(row, _)| *row == self.removed) {
            self.candidates.pop_front();
        }
        self.removed += 1;
        Ok(())
    }
}

fn best<B>(state: &Extreme<B>) -> Result<Value> {
    Ok(state
        .candidates
        .front()
        .map_or(Value::Null, |(_, value)| Value::Text(value.clone())))
}

struct LeastNumeric;
struct GreatestNumeric;
struct LeastInterval;
struct GreatestInterval;

impl Better for LeastNumeric {
    fn beats(a: &str, b: &str) -> bool {
        compare_text(a, b).is_lt()
    }
}

impl Better for GreatestNumeric {
    fn beats(a: &str, b: &str) -> bool {
        compare_text(a, b).is_gt()
    }
}

impl Better for LeastInterval {
    fn beats(a: &str, b: &str) -> bool {
        compare_intervals(a, b).is_lt()
    }
}

impl Better for GreatestInterval {
    fn beats(a: &str, b: &str) -> bool {
        compare_intervals(a, b).is_gt()
    }
}

fn int8(total: Option<i64>) -> Result<i64> {
    const WIDTH: Width = INT8;
    WIDTH.check(total)
}

pub(super) struct Registrar<'a> {
    conn: &'a Connection,
}

impl Registrar<'_> {
    pub(super) fn add<S: State>(&self, name: &str, finish: fn(&S) -> Result<Value>) -> rusqlite::Result<()> {
        self.add_plan(name, 1, false, finish)
    }

    pub(super) fn add_plan<S: State>(
        &self,
        name: &str,
        arity: i32,
        keeps_null: bool,
        finish: fn(&S) -> Result<Value>,
    ) -> rusqlite::Result<()> {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
        let plan = Plan {
            keeps_null,
            finish,
            marker: std::marker::PhantomData,
        };
        self.conn.create_window_function(name, arity, flags, plan)
    }
}

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let to = Registrar { conn };
    sums(&to)?;
    spreads(&to)?;
    vectors(&to)?;
    truths(&to)?;
    collections(&to)?;
    super::statistics::register(&to)
}

fn sums(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add("pg_agg_sum_int4", |state: &IntegerSum| {
        if state.count == 0 {
            return Ok(Value::Null);
        }
        int8(i64::try_from(state.total).ok()).map(Value::Integer)
    })?;
    to.add("pg_agg_sum_int8", |state: &IntegerSum| Ok(numeric_text(state.whole()?)))?;
    to.add("pg_agg_sum_numeric", |state: &NumericSum| {
        Ok(numeric_text(state.0.sum()?))
    })?;
    to.add("pg_agg_sum_float8", |state: &FloatRows| {
        if state.rows.is_empty() {
            Ok(Value::Null)
        } else {
            state.sum().map(Value::Real)
        }
    })?;
    to.add("pg_agg_sum_float4", |state: &FloatRows| {
        if state.rows.is_empty() {
            return Ok(Value::Null);
        }
        let total = state.rows.iter().fold(0f32, |sum, value| sum + *value as f32);
        if total.is_infinite() && state.rows.iter().all(|value| value.is_finite()) {
            return Err(float::overflow());
        }
        float::storable(f64::from(total)).map(Value::Real)
    })?;
    to.add("pg_agg_sum_interval", |state: &IntervalSum| {
        Ok(if state.count == 0 {
            Value::Null
        } else {
            Value::Text(state.total.text())
        })
    })?;
    to.add("pg_agg_avg_int8", |state: &IntegerSum| match state.whole()? {
        Some(sum) => Ok(numeric_text(Some(sum.div(&Numeric::from(state.count))?))),
        None => Ok(Value::Null),
    })?;
    to.add("pg_agg_avg_numeric", |state: &NumericSum| {
        Ok(numeric_text(state.0.average()?))
    })?;
    to.add("pg_agg_avg_float8", |state: &FloatRows| {
        if state.rows.is_empty() {
            return Ok(Value::Null);
        }
        // PostgreSQL keeps the squares for every aggregate of this family, and says so when they overflow.
        if state.moments().1.is_infinite() {
            return Err(float::overflow());
        }
        Ok(Value::Real(float::storable(state.sum()? / state.rows.len() as f64)?))
    })?;
    to.add("pg_agg_avg_interval", |state: &IntervalSum| {
        if state.count == 0 {
            return Ok(Value::Null);
        }
        Ok(Value::Text(state.total.div(state.count as f64)?.text()))
    })
}

fn vectors(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add("pg_agg_sum_vector", |state: &VectorRows| {
        let mut rows = state.rows.iter();
        let Some(first) = rows.next() else {
            return Ok(Value::Null);
        };
        let total = rows.try_fold(first.clone(), |sum, row| sum.plus(row))?;
        Ok(Value::Blob(total.bytes()))
    })?;
    to.add("pg_agg_avg_vector", |state: &VectorRows| {
        let Some(first) = state.rows.front() else {
            return Ok(Value::Null);
        };
        let mut totals = vec![0f64; first.dimensions()];
        for row in &state.rows {
            for (total, element) in totals.iter_mut().zip(row.elements()) {
                *total += f64::from(*element);
            }
        }
        let count = state.rows.len() as f64;
        let mean = totals.into_iter().map(|total| (total / count) as f32).collect();
        Ok(Value::Blob(Vector::of(mean)?.bytes()))
    })
}

fn spreads(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add("pg_agg_stddev_samp_numeric", |state: &Squares| {
        state.variance(true, true)
    })?;
    to.add("pg_agg_stddev_pop_numeric", |state: &Squares| {
        state.variance(false, true)
    })?;
    to.add("pg_agg_var_samp_numeric", |state: &Squares| state.variance(true, false))?;
    to.add("pg_agg_var_pop_numeric", |state: &Squares| state.variance(false, false))?;
    to.add("pg_agg_stddev_samp_float8", |state: &FloatRows| {
        state.variance(true, true)
    })?;
    to.add("pg_agg_stddev_pop_float8", |state: &FloatRows| {
        state.variance(false, true)
    })?;
    to.add("pg_agg_var_samp_float8", |state: &FloatRows| {
        state.variance(true, false)
    })?;
    to.add("pg_agg_var_pop_float8", |state: &FloatRows| {
        state.variance(false, false)
    })
}

fn truths(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add("pg_agg_min_numeric", best::<LeastNumeric>)?;
    to.add("pg_agg_max_numeric", best::<GreatestNumeric>)?;
    to.add("pg_agg_min_interval", best::<LeastInterval>)?;
    to.add("pg_agg_max_interval", best::<GreatestInterval>)?;
    to.add("pg_agg_bool_and", |state: &IntegerSum| {
        Ok(if state.count == 0 {
            Value::Null
        } else {
            Value::Integer(i64::from(state.total == i128::from(state.count)))
        })
    })?;
    to.add("pg_agg_bool_or", |state: &IntegerSum| {
        Ok(if state.count == 0 {
            Value::Null
        } else {
            Value::Integer(i64::from(state.total > 0))
        })
    })
}

fn collections(to: &Registrar<'_>) -> rusqlite::Result<()> {
    to.add_plan("pg_agg_json_agg", 1, true, |state: &Rows| Ok(state.json_array(", ")))?;
    to.add_plan("pg_agg_json_agg_rows", 1, true, |state: &Rows| {
        Ok(state.json_array(", \n "))
    })?;
    to.add_plan("pg_agg_jsonb_agg", 1, true, |state: &Rows| {
        if state.rows.is_empty() {
            return Ok(Value::Null);
        }
        let items: Result<Vec<Json>> = state.items().map(json::parse).collect();
        Ok(Value::Text(Json::Array(items?).text()))
    })?;
    to.add_plan("pg_agg_json_object_agg", 2, true, |state: &Rows| {
        if state.rows.is_empty() {
            return Ok(Value::Null);
        }
        let parts: Vec<String> = state
            .pairs()?
            .iter()
            .map(|(key, value)| format!("{} : {value}", json::quote(key)))
            .collect();
        Ok(Value::Text(format!("{{ {} }}", parts.join(", "))))
    })?;
    to.add_plan("pg_agg_jsonb_object_agg", 2, true, |state: &Rows| {
        if state.rows.is_empty() {
            return Ok(Value::Null);
        }
        let pairs: Result<Vec<(String, Json)>> = state
            .pairs()?
            .into_iter()
            .map(|(key, value)| Ok((key.to_owned(), json::parse(value)?)))
            .collect();
        Ok(Value::Text(Json::object(pairs?).text()))
    })?;
    to.add_plan("pg_agg_array_agg", 1, true, |state: &Rows| {
        Ok(if state.rows.is_empty() {
            Value::Null
        } else {
            Value::Text(array::build(state.items()))
        })
    })?;
    to.add_plan("pg_agg_string_agg", 2, false, |state: &Rows| {
        let mut out: Option<String> = None;
        for (item, delimiter) in &state.rows {
            let Some(item) = item else { continue };
            match &mut out {
                None => out = Some(item.clone()),
                Some(out) => {
                    out.push_str(delimiter.as_deref().unwrap_or_default());
                    out.push_str(item);
                }
            }
        }
        Ok(out.map_or(Value::Null, Value::Text))
    })
}
