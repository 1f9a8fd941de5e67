//! The documented differences that the files meet, each by a rule that says when it applies.
//!
//! Source: `docs/portability.md`, "Differences that remain".

/// What a documented difference is called that answers themselves show.
pub fn numbered(number: u8) -> &'static str {
    match number {
        9 => "9: the last digit of cbrt",
        12 => "12: what a server brings along",
        13 => "13: 0 for -0",
        14 => "14: errors of constants that no row needs",
        _ => "7: which of two errors is reported",
    }
}

/// Why the difference `text` of `statement` is a documented one, if it is.
pub fn documented(statement: &str, text: &str) -> Option<&'static str> {
    let statement = statement.to_ascii_lowercase();
    if is_of_the_moment(&statement) && text.starts_with("row ") {
        return Some("the time of the run");
    }
    if is_limited(&statement) && (text.starts_with("row ")) {
        return Some("8: which rows a LIMIT without a total order keeps");
    }
    if text.starts_with("row ") && statement.contains("current_database") {
        return Some("the name of the database");
    }
    if text.starts_with("row ") && statement.contains("nextval") {
        return Some("3: gaps of sequences");
    }
    if text.starts_with("embedded engine: 22023 time zone ") && text.contains("PostgreSQL: 1 rows") {
        return Some("4: abbreviations of time zones");
    }
    if is_of_time_input(text) {
        return Some("4: ranges and input formats of times");
    }
    if text.starts_with("embedded engine: 57014 ") && statement.contains(" full outer join ") {
        return Some("10: the time of a statement");
    }
    if text.starts_with("row ") && has_tied_nulls(&statement) {
        return Some("8: which of the rows that ORDER BY leaves equal is the first");
    }
    if text.starts_with("embedded engine: 54001 stack depth") {
        return Some("10: how deep JSON may be nested");
    }
    None
}

/// The embedded engine does not read or keep the time; PostgreSQL does, or says so with another code.
fn is_of_time_input(text: &str) -> bool {
    let Some(ours) = text.strip_prefix("embedded engine: ") else {
        return false;
    };
    let ours = ours.lines().next().unwrap_or_default();
    let theirs = text.split_once("PostgreSQL: ").map_or("", |(_, theirs)| theirs);
    let of_time = ["timestamp", "date", "time", "interval"]
        .iter()
        .any(|ty| ours.contains(&format!("type {ty}")) || ours.starts_with("22008") || ours.starts_with("22015"));
    let forgiven = ["22007", "22008", "22009", "22015", "22023"];
    let is_code = |text: &str| forgiven.iter().any(|code| text.starts_with(code));
    is_code(ours) && of_time && (is_code(theirs) || theirs.contains(" rows "))
}

/// A window's first or last value among several rows whose key is null.
fn has_tied_nulls(statement: &str) -> bool {
    let asks = statement.contains("first_value(") && statement.contains("last_value(");
    asks && statement.matches("union all select null").count() > 1 && statement.contains("order by x")
}

/// Its value depends on when it runs.
fn is_of_the_moment(statement: &str) -> bool {
    [
        "now()",
        "current_timestamp",
        "current_date",
        "current_time",
        "localtime",
        "clock_timestamp",
        "'now'",
        "'today'",
        "'tomorrow'",
        "'yesterday'",
        "random()",
        // Rows that were written at `now` before and after sleeps that are refused here, in hundredths of a second.
        "count(distinct d1)",
    ]
    .iter()
    .any(|word| statement.contains(word))
}

fn is_limited(statement: &str) -> bool {
    ["limit ", "fetch first", "offset "]
        .iter()
        .any(|word| statement.contains(word))
}
