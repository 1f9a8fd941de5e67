//! SQLSTATEs of what PostgreSQL's parser refuses: its messages arrive here without their codes.
//!
//! Source: PostgreSQL 15, `gram.y` and `scan.l`; whatever is not listed there with a code of its own is a syntax error.

/// Messages, by how they begin, whose code is not 42601.
const BY_BEGINNING: &[(&str, &str)] = &[
    ("UNENCRYPTED PASSWORD is no longer supported", "0A000"),
    ("CREATE SCHEMA IF NOT EXISTS cannot include schema elements", "0A000"),
    ("current database cannot be changed", "0A000"),
    ("MATCH PARTIAL not yet implemented", "0A000"),
    ("a column list with ", "0A000"),
    ("CREATE EXTENSION ... FROM is no longer supported", "0A000"),
    ("CREATE OR REPLACE CONSTRAINT TRIGGER is not supported", "0A000"),
    ("CREATE ASSERTION is not yet implemented", "0A000"),
    ("RECHECK is no longer required", "0A000"),
    ("aggregates cannot have output arguments", "0A000"),
    ("WITH CHECK OPTION not supported on recursive views", "0A000"),
    ("UNIQUE predicate is not yet implemented", "0A000"),
    ("an ordered-set aggregate with a VARIADIC direct argument", "0A000"),
    ("column number must be in range", "22023"),
    ("precision for type float must be ", "22023"),
    ("unrecognized partitioning strategy", "22023"),
    ("modulus for hash partition provided more than once", "42710"),
    ("remainder for hash partition provided more than once", "42710"),
    ("frame start ", "42P20"),
    ("frame starting ", "42P20"),
    ("frame end ", "42P20"),
    ("role name \"", "42939"),
    ("unsafe use of \\' in a string literal", "22P06"),
];

/// The same, by how they end.
const BY_END: &[(&str, &str)] = &[
    (" constraints cannot be marked DEFERRABLE", "0A000"),
    (" constraints cannot be marked NOT VALID", "0A000"),
    (" constraints cannot be marked NO INHERIT", "0A000"),
    (" cannot be used as a role name here", "42939"),
];

/// A bad `\u` in `E'…'`; in `U&'…'` the same message is a syntax error.
const BAD_ESCAPE: &str = "invalid Unicode escape at or near";

/// A message of the newer grammar's, as PostgreSQL 15 words it.
pub(super) fn reworded(message: String) -> String {
    match message.as_str() {
        "constraints cannot be altered to be NOT VALID" => "FOREIGN KEY constraints cannot be marked NOT VALID".into(),
        _ => message,
    }
}

/// The SQLSTATE of a message that the parser has for `text`.
pub(super) fn of(text: &str, message: &str) -> &'static str {
    if message.starts_with(BAD_ESCAPE) || message == "invalid Unicode escape" {
        let text = text.to_ascii_lowercase();
        return match text.contains("u&'") || text.contains("u&\"") {
            true => "42601",
            false => "22025",
        };
    }
    let begun = BY_BEGINNING.iter().find(|(begin, _)| message.starts_with(begin));
    let ended = || BY_END.iter().find(|(end, _)| message.ends_with(end));
    begun.or_else(ended).map_or("42601", |(_, code)| code)
}
