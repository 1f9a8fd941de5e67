//! Splits SQL text into statements, so that those an engine refuses can be left out one by one.

/// One statement with its semicolon, and the line, from 1, on which it begins.
#[derive(Debug, PartialEq)]
pub struct Statement {
    pub line: usize,
    pub text: String,
}

impl Statement {
    /// The bare name of what a `CREATE` makes; other statements make nothing that a path could name.
    pub fn object(&self) -> Option<String> {
        let words: Vec<&str> = self
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(str::split_whitespace)
            .take(12)
            .collect();
        let (first, mut rest) = words.split_first()?;
        if !first.eq_ignore_ascii_case("create") {
            return None;
        }
        let noise = [
            "or",
            "replace",
            "materialized",
            "recursive",
            "foreign",
            "unlogged",
            "unique",
            "if",
            "not",
            "exists",
        ];
        let kinds = [
            "table",
            "view",
            "function",
            "aggregate",
            "domain",
            "type",
            "sequence",
            "schema",
        ];
        let mut seen_kind = false;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            if noise.iter().any(|noise| word.eq_ignore_ascii_case(noise)) {
                continue;
            }
            if !seen_kind {
                seen_kind = kinds.iter().any(|kind| word.eq_ignore_ascii_case(kind));
                if !seen_kind {
                    return None;
                }
                continue;
            }
            let name = word.split('(').next().unwrap_or(word).trim_end_matches(';');
            let name = if name.ends_with('"') {
                name
            } else {
                name.rsplit('.').next().unwrap_or(name)
            };
            return Some(name.trim_matches('"').to_owned());
        }
        None
    }
}

/// The statements of `text`. Comments before a statement go with it; quotes, dollar quotes and comments hide semicolons.
pub fn split(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let rest = &text[at..];
        at += match bytes[at] {
            b';' => {
                push(&mut found, text, start, at + 1);
                start = at + 1;
                1
            }
            b'\'' | b'"' => quoted(rest),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'$' if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') => dollar_quoted(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    push(&mut found, text, start, text.len());
    found
}

fn push(found: &mut Vec<Statement>, text: &str, start: usize, end: usize) {
    let piece = &text[start..end];
    let trimmed = piece.trim();
    if trimmed.is_empty() {
        return;
    }
    let start = start + (piece.len() - piece.trim_start().len());
    found.push(Statement {
        line: 1 + text[..start].matches('\n').count(),
        text: trimmed.to_owned(),
    });
}

/// The length of a quoted piece; doubled quotes are two pieces, which comes to the same.
fn quoted(rest: &str) -> usize {
    let quote = rest.chars().next().unwrap_or('\'');
    rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
}

/// The length of `$tag$…$tag$`, or 1 where the dollar begins none.
fn dollar_quoted(rest: &str) -> usize {
    let Some(end) = rest[1..].find('$') else { return 1 };
    let tag = &rest[..end + 2];
    let is_tag = tag[1..=end].chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag[1..].starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return 1;
    }
    rest[tag.len()..]
        .find(tag)
        .map_or(rest.len(), |close| close + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_inside_quotes_end_nothing() {
        let text = "select ';''';\n-- a; b\ncreate function test.f(a int) returns int as $_$ select 1; $_$\nlanguage sql;\n\
                    create view a$b$c as select $1;";
        let found = split(text);
        let lines: Vec<usize> = found.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [1, 2, 5]);
        assert_eq!(found[1].object().as_deref(), Some("f"));
        assert_eq!(found[0].object(), None);
    }

    #[test]
    fn a_statement_tells_what_it_makes() {
        let object = |text: &str| split(text)[0].object();
        assert_eq!(
            object("create or replace view test.items as select 1").as_deref(),
            Some("items")
        );
        assert_eq!(object("CREATE TABLE IF NOT EXISTS x(\n a int);").as_deref(), Some("x"));
        assert_eq!(object("create index on x (a)"), None);
        assert_eq!(
            object("create domain \"text/html\" as text").as_deref(),
            Some("text/html")
        );
    }
}
