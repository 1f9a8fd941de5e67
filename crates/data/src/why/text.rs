//! The explanation in words, for people at a terminal.

use std::fmt::{self, Display, Formatter};

use super::report::{Because, Clause, Examined, Grant, PolicyOf, Report, RowOf, Rows, Side, TriedPart, TriedPolicy};

/// What decided, in a sentence or two.
pub fn summary(report: &Report) -> String {
    let role = &report.caller.role;
    let root = report.relations.first();
    let rows = root.and_then(|root| root.rows.as_ref());
    match report.because {
        Because::Allowed => match rows {
            Some(rows) if rows.passing.is_some() => format!("Nothing stands in the way: {}.", counted(rows)),
            _ => "Nothing stands in the way.".to_owned(),
        },
        Because::NoRows => "No row matches the filters, whoever asks.".to_owned(),
        Because::Error => match &report.answer.message {
            Some(message) => format!("Neither a grant nor a policy decides: the request fails with \"{message}\"."),
            None => "Neither a grant nor a policy decides.".to_owned(),
        },
        Because::Grant => {
            let of_routines = report.routines.iter().flat_map(|called| &called.grants);
            let of_routine = || of_routines.clone().find(|grant| !grant.held).map(|grant| (grant, role));
            match report
                .relations
                .iter()
                .find_map(|told| missing(told, role))
                .or_else(of_routine)
            {
                Some((grant, role)) => format!("{role} lacks {}.", spelled(grant, &grant.missing)),
                None => report.answer.message.clone().unwrap_or_default(),
            }
        }
        Because::Policy => policy_summary(report),
        Because::Unknown => match root {
            Some(told) => format!(
                "Row security of {} applies, but {}.",
                told.relation,
                told.note.as_deref().unwrap_or("its rows could not be examined")
            ),
            None => "The rows could not be examined.".to_owned(),
        },
    }
}

/// A grant that is missing, and who lacks it.
fn missing<'a>(told: &'a Examined, role: &'a String) -> Option<(&'a Grant, &'a String)> {
    let role = told.through.as_ref().map_or(role, |through| &through.role);
    told.grants.iter().find(|grant| !grant.held).map(|grant| (grant, role))
}

fn policy_summary(report: &Report) -> String {
    let hides = |told: &&Examined| {
        let rows = told.rows.as_ref();
        let hidden = rows.and_then(|rows| rows.passing.map(|passing| passing < rows.found));
        told.row_security.applies && hidden == Some(true)
    };
    let Some(told) = report.relations.iter().find(hides) else {
        let through = report.relations.iter().find(|told| told.row_security.applies);
        return match through {
            Some(told) => format!("Row security of {} decides.", told.relation),
            None => "Row security decides.".to_owned(),
        };
    };
    // An error is about a policy that fails, or about a row that was to be written.
    let is_error = report.answer.code.is_some();
    let rows = told.rows.iter().flat_map(|rows| &rows.sample);
    let mut refused: Vec<&RowOf> = rows.filter(|row| row.passes == Some(false)).collect();
    refused.sort_by_key(|row| (row.fails() != is_error, (row.of == Side::New) != is_error));
    let refused = refused.first().copied();
    let failed = refused.and_then(|row| row.gates.iter().find(|gate| !gate.passes).map(|gate| (row, gate)));
    let Some((row, gate)) = failed else {
        return format!("Row security of {} decides.", told.relation);
    };
    let what = match (row.of, gate.clause) {
        _ if row.fails() => "makes a policy fail",
        (Side::New, _) => "may not be written",
        (Side::Existing, _) if gate.command == "select" => "is hidden",
        (Side::Existing, _) => "is skipped",
    };
    let key = key(row);
    if gate.policies.iter().all(|policy| !policy.permissive) {
        return format!(
            "The row {key} of {} {what}: no policy for {} is for the role {}.",
            told.relation, gate.command, report.caller.role
        );
    }
    let reasons: Vec<String> = gate
        .policies
        .iter()
        .filter(|policy| policy.value != Some(true))
        .map(reason)
        .collect();
    format!("The row {key} of {} {what}: {}.", told.relation, reasons.join("; "))
}

/// The policy, and the first of its parts that is not true.
fn reason(policy: &TriedPolicy) -> String {
    if let Some(error) = &policy.error {
        return format!("policy {} fails with \"{error}\"", policy.name);
    }
    match policy.parts.iter().find(|part| part.value != Some(true)) {
        Some(part) => format!("by policy {}, {}", policy.name, part_text(part)),
        None => format!("policy {} is not true", policy.name),
    }
}

fn part_text(part: &TriedPart) -> String {
    let value = match part.value {
        Some(true) => "true",
        Some(false) => "false",
        None => "null",
    };
    let saw = saw(part);
    match saw.is_empty() {
        true => format!("{} is {value}", part.expression),
        false => format!("{} is {value}, where {saw}", part.expression),
    }
}

fn saw(part: &TriedPart) -> String {
    let each = part.saw.iter().map(|(name, value)| match value {
        Some(value) => format!("{name} is '{value}'"),
        None => format!("{name} is null"),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn spelled(grant: &Grant, columns: &[String]) -> String {
    let columns = match columns {
        [] => String::new(),
        columns => format!(" ({})", columns.join(", ")),
    };
    format!("{}{columns} on {}", grant.privilege, grant.on)
}

fn key(row: &RowOf) -> String {
    let each = row.key.iter().map(|(name, value)| match value.as_str() {
        Some(value) => format!("{name} = {value}"),
        None => format!("{name} is null"),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn counted(rows: &Rows) -> String {
    let more = if rows.more { " at least" } else { "" };
    match rows.passing {
        Some(passing) => format!("of{more} {} row(s) {passing} pass", rows.found),
        None => format!("{more} {} row(s) without policies", rows.found)
            .trim_start()
            .to_owned(),
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows = self
            .answer
            .rows
            .map(|rows| format!(", {rows} row(s)"))
            .unwrap_or_default();
        write!(f, "{} as {}", self.request, self.caller.role)?;
        if let Some(subject) = self.caller.claims.get("sub").and_then(serde_json::Value::as_str) {
            write!(f, " {subject}")?;
        }
        write!(f, ": {}{rows}", self.answer.status)?;
        if let (Some(code), Some(message)) = (&self.answer.code, &self.answer.message) {
            write!(f, ", {code} {message}")?;
        }
        writeln!(f, "\n{}", self.summary)?;
        if let Some(note) = &self.note {
            writeln!(f, "Note: {note}.")?;
        }
        for called in &self.routines {
            writeln!(f, "\n{} (call)", called.routine)?;
            called.grants.iter().try_for_each(|grant| grant_line(f, grant))?;
            writeln!(f, "  runs as {}", called.runs_as)?;
        }
        self.relations.iter().try_for_each(|told| relation(f, told))
    }
}

fn relation(f: &mut Formatter<'_>, told: &Examined) -> fmt::Result {
    let path = match told.path.as_slice() {
        [] => String::new(),
        path => format!(", embedded as {}", path.join(".")),
    };
    writeln!(f, "\n{} ({}{path})", told.relation, told.command)?;
    if let Some(through) = &told.through {
        writeln!(f, "  read by the view {} as {}", through.view, through.role)?;
    }
    told.grants.iter().try_for_each(|grant| grant_line(f, grant))?;
    writeln!(f, "  {}", told.row_security.reason)?;
    if told.row_security.enabled {
        for gate in &told.gates {
            let clause = clause(gate.clause);
            writeln!(f, "  policies for {} ({clause}):", gate.command)?;
            if gate.policies.is_empty() {
                writeln!(f, "    none, so no row passes")?;
            }
            gate.policies.iter().try_for_each(|policy| policy_line(f, policy))?;
        }
    }
    if let Some(rows) = &told.rows {
        writeln!(f, "  rows: {}", counted(rows))?;
        rows.sample.iter().try_for_each(|row| row_lines(f, row))?;
    }
    match &told.note {
        Some(note) => writeln!(f, "  note: {note}"),
        None => Ok(()),
    }
}

fn grant_line(f: &mut Formatter<'_>, grant: &Grant) -> fmt::Result {
    match grant.held {
        true => writeln!(f, "  grant held: {}", spelled(grant, &grant.columns)),
        false => writeln!(f, "  grant MISSING: {}", spelled(grant, &grant.missing)),
    }
}

fn policy_line(f: &mut Formatter<'_>, policy: &PolicyOf) -> fmt::Result {
    let kind = if policy.permissive { "permissive" } else { "restrictive" };
    let applies = if policy.applies { "" } else { ", NOT for this role" };
    writeln!(
        f,
        "    {} ({kind}, for {} to {}{applies}): {}",
        policy.name,
        policy.command,
        policy.roles.join(", "),
        policy.expression.as_deref().unwrap_or("no expression")
    )
}

fn row_lines(f: &mut Formatter<'_>, row: &RowOf) -> fmt::Result {
    let verdict = match row.passes {
        Some(true) => "passes",
        Some(false) => "does not pass",
        None => "is there without policies",
    };
    let side = if row.of == Side::New { "new row " } else { "" };
    writeln!(f, "    {side}{} {verdict}", key(row))?;
    for gate in &row.gates {
        for policy in &gate.policies {
            let value = match (&policy.error, policy.value) {
                (Some(error), _) => error.as_str(),
                (None, Some(true)) => "true",
                (None, Some(false)) => "false",
                (None, None) => "null",
            };
            writeln!(
                f,
                "      {} {}: {} is {value}",
                gate.command,
                clause(gate.clause),
                policy.name
            )?;
            for part in &policy.parts {
                writeln!(f, "        {}", part_text(part))?;
            }
        }
    }
    Ok(())
}

fn clause(clause: Clause) -> &'static str {
    match clause {
        Clause::Using => "using",
        Clause::WithCheck => "with check",
    }
}
