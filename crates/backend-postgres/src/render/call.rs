//! Calls of routines.

use mainstay_core::catalog::Routine;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Call, CallArgument, CallResult, Count, Format, Read};

use super::read::{KEPT_ROW, Scope};
use super::sql::{Alias, Param, Sql};
use super::write::calls_routines;
use super::{Renderer, ResultKind, Variant, part, wire_formats};
use crate::decode::Cell;

type Result<T> = std::result::Result<T, BackendError>;

/// The call itself, and what must stand before it in `FROM`.
struct Invocation {
    before: Sql,
    call: Sql,
}

impl Renderer {
    pub(super) fn call_statement(&mut self, call: &Call) -> Result<Variant> {
        let routine = &call.routine;
        let invocation = self.invocation(routine, &call.arguments)?;
        match &call.result {
            CallResult::Void => {
                let mut sql = Sql::default();
                sql.push("SELECT ").append(invocation.call);
                if !invocation.before.is_empty() {
                    sql.push(" FROM ").append(invocation.before);
                }
                Ok(plain(part(sql)?, ResultKind::Void))
            }
            CallResult::Scalar | CallResult::ScalarSet => self.scalar(routine, invocation),
            CallResult::Rows { read, .. } => self.rows(read, invocation),
        }
    }

    fn scalar(&mut self, routine: &Routine, invocation: Invocation) -> Result<Variant> {
        let alias = self.alias('v');
        let mut value = Sql::default();
        value.alias(&alias).push(".v");
        let mut sql = Sql::default();
        if self.format == Format::Raw {
            let mut from = Sql::default();
            if !invocation.before.is_empty() {
                from.append(invocation.before).push(", LATERAL ");
            }
            from.push("(SELECT ")
                .append(invocation.call)
                .push(" AS v) AS ")
                .alias(&alias);
            return self.document_of_value(from, value, &routine.returns.ty);
        }
        sql.push("SELECT ");
        let is_csv = self.format == Format::Csv;
        let cell = if is_csv {
            sql.append(value);
            Cell::Text
        } else {
            self.json_value(&mut sql, value, Some(&routine.returns.ty))
        };
        sql.push(" FROM ");
        if !invocation.before.is_empty() {
            sql.append(invocation.before).push(", LATERAL ");
        }
        // In the select list of a subquery, so that a composite result stays one value.
        sql.push("(SELECT ")
            .append(invocation.call)
            .push(" AS v) AS ")
            .alias(&alias);
        let oids = if is_csv { &[][..] } else { cell.oids() };
        let mut variant = plain(part(sql)?, ResultKind::Bare(cell));
        variant.formats = vec![i16::from(!is_csv)];
        variant.expected_oids = vec![oids];
        Ok(variant)
    }

    fn rows(&mut self, read: &Read, invocation: Invocation) -> Result<Variant> {
        let alias = self.alias('t');
        let scope = Scope { alias: &alias, read };
        let mut from = Sql::default();
        if !invocation.before.is_empty() {
            from.append(invocation.before).push(", LATERAL ");
        }
        if let Some(handler) = self.handler.clone() {
            from.append(invocation.call).push(" AS ").alias(&alias);
            return self.document_of_rows(Sql::default(), scope, from, &handler);
        }
        let total_apart = read.count != Count::None && (read.limit.is_some() || read.offset.is_some());
        if !total_apart {
            from.append(invocation.call).push(" AS ").alias(&alias);
            let mut sql = Sql::default();
            let shape = self.select(&mut sql, scope, from, Sql::default())?;
            let (formats, expected_oids) = wire_formats(&shape, self.format, 0);
            let mut variant = plain(part(sql)?, ResultKind::Rows(shape));
            (variant.formats, variant.expected_oids) = (formats, expected_oids);
            return Ok(variant);
        }
        self.rows_and_total(scope, from, invocation.call)
    }

    /// The routine runs once: its rows are kept, counted, and the page of them goes into one array.
    fn rows_and_total(&mut self, scope: Scope<'_>, mut from: Sql, call: Sql) -> Result<Variant> {
        let called = self.alias('c');
        from.append(call).push(" AS ").alias(&called);
        let mut sql = Sql::default();
        sql.push("WITH called AS MATERIALIZED (SELECT ")
            .alias(&called)
            .push(".*");
        if calls_routines(scope.read) {
            sql.push(", ").alias(&called).push(" AS ").push(KEPT_ROW);
            self.kept_row = Some(scope.alias.clone());
        }
        sql.push(" FROM ").append(from).push(") ");
        let mut source = Sql::default();
        source.push("called AS ").alias(scope.alias);

        // CSV cells need their text form, which records do not carry; so the page is written from JSON forms there too.
        let format = std::mem::replace(&mut self.format, Format::Json);
        let strip = format == Format::JsonStripNulls;
        if strip {
            self.format = Format::JsonStripNulls;
        }
        let rows = self.alias('r');
        sql.push("SELECT (SELECT pg_catalog.array_agg(")
            .alias(&rows)
            .push(") FROM (");
        let shape = self.select(&mut sql, scope, source.clone(), Sql::default())?;
        sql.push(") AS ")
            .alias(&rows)
            .push("), (SELECT pg_catalog.count(*) FROM ")
            .append(source);
        self.filters(&mut sql, scope, Sql::default())?;
        sql.push(")");
        self.format = format;
        let mut variant = plain(part(sql)?, ResultKind::RowsAndTotal(shape));
        variant.formats = vec![1];
        variant.expected_oids = vec![&[2287], &[20]];
        Ok(variant)
    }

    fn invocation(&mut self, routine: &Routine, arguments: &[CallArgument]) -> Result<Invocation> {
        let positional = arguments
            .iter()
            .any(|given| routine.arguments.get(given.argument).is_some_and(|a| a.name.is_empty()));
        let from_json = self.situation.json_arguments && !positional && !arguments.is_empty();
        let record = self.alias('a');
        let mut before = Sql::default();
        let mut call = Sql::default();
        call.name(&routine.name).push("(");
        let mut members = Vec::new();
        let mut columns = Sql::default();
        for (index, given) in arguments.iter().enumerate() {
            let argument = routine
                .arguments
                .get(given.argument)
                .ok_or_else(|| BackendError::Internal(format!("no argument {} in {}", given.argument, routine.name)))?;
            call.push(if index > 0 { ", " } else { "" });
            call.push(if argument.variadic { "VARIADIC " } else { "" });
            if !argument.name.is_empty() {
                call.ident(&argument.name).push(" := ");
            }
            if from_json {
                let member = Alias::numbered('a', index);
                columns
                    .push(if index > 0 { ", " } else { "" })
                    .alias(&member)
                    .push(" ")
                    .type_name(&argument.ty);
                members.push((format!("a{index}"), given.value));
                call.alias(&record).push(".").alias(&member);
            } else {
                call.bind(if argument.variadic {
                    Param::List(given.value)
                } else {
                    Param::Value(given.value)
                });
                call.push("::").type_name(&argument.ty);
            }
        }
        call.push(")");
        if from_json {
            before
                .push("pg_catalog.json_to_record(")
                .bind(Param::Arguments(members))
                .push("::pg_catalog.json) AS ");
            before.alias(&record).push("(").append(columns).push(")");
        }
        Ok(Invocation { before, call })
    }
}

fn plain(main: super::Part, result: ResultKind) -> Variant {
    Variant {
        main,
        count: None,
        explain: None,
        result,
        formats: Vec::new(),
        location: Vec::new(),
        keys_shown: 0,
        expected_oids: Vec::new(),
    }
}
