//! The documented differences that the files meet, each by a rule that says when it applies.
//!
//! Source: `docs/portability.md`, "Differences that remain".

/// Why the difference `text` of `statement` is a documented one, if it is.
pub fn documented(statement: &str, text: &str) -> Option<&'static str> {
    let statement = statement.to_ascii_lowercase();
    if is_of_the_moment(&statement) && text.starts_with("row ") {
        return Some("the time of the run");
    }
    if is_limited(&statement) && (text.starts_with("row ")) {
        return Some("8: which rows a LIMIT without a total order keeps");
    }
    None
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
    ]
    .iter()
    .any(|word| statement.contains(word))
}

fn is_limited(statement: &str) -> bool {
    ["limit ", "fetch first", "offset "]
        .iter()
        .any(|word| statement.contains(word))
}
