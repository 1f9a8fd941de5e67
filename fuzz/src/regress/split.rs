//! A script for `psql` as the statements that the server would get.
//!
//! Lives here: where a statement ends (quotes, comments, parentheses, bodies), what is `psql`'s own and goes.
//! Not here: what a statement means.
//!
//! Source: psql's manual page (meta-commands, `\;`, `:name`); the regression tests' own conventions for COPY data.

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    /// 1-based, where it begins.
    pub line: usize,
    /// The rows that follow `COPY … FROM stdin`.
    pub data: Vec<String>,
    /// It names `psql` variables, which have no value here.
    pub has_variables: bool,
}

/// What the scanner is inside of.
#[derive(Default)]
struct Inside {
    parentheses: usize,
    /// `BEGIN` and `CASE` of a routine's body that have no `END` yet.
    blocks: usize,
    /// The statement's first words in lower case, as many as decide whether it may have a body.
    words: Vec<String>,
}

/// The statements of `script`, meta-commands left out.
pub fn split(script: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let bytes = script.as_bytes();
    let (mut at, mut start) = (0, 0);
    let mut inside = Inside::default();
    let mut text = String::new();
    let mut has_variables = false;
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b'\'' => {
                let escapes =
                    at > start && matches!(bytes[at - 1], b'e' | b'E') && !is_word(bytes.get(at.wrapping_sub(2)));
                at = after_quoted(bytes, at, b'\'', escapes);
            }
            b'"' => at = after_quoted(bytes, at, b'"', false),
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = line_end(bytes, at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = after_comment(bytes, at),
            b'$' if !is_word(at.checked_sub(1).and_then(|before| bytes.get(before))) => at = after_dollars(script, at),
            b'\\' => {
                let end = line_end(bytes, at);
                let command = script[at + 1..end].trim();
                if bytes.get(at + 1) == Some(&b';') {
                    // Several statements in one message: here, one behind the other.
                    finish(&mut found, &mut text, &mut inside, script, start, &mut has_variables);
                    at += 2;
                    start = at;
                    continue;
                }
                // `\g` and its kind send what is there; the others stand by themselves.
                if command.starts_with('g') || command.starts_with("crosstabview") {
                    finish(&mut found, &mut text, &mut inside, script, start, &mut has_variables);
                }
                at = end;
                if text.trim().is_empty() {
                    text.clear();
                    start = at;
                }
                continue;
            }
            b'(' | b'[' => {
                inside.parentheses += 1;
                at += 1;
            }
            b')' | b']' => {
                inside.parentheses = inside.parentheses.saturating_sub(1);
                at += 1;
            }
            b';' if inside.parentheses == 0 && inside.blocks == 0 => {
                finish(&mut found, &mut text, &mut inside, script, start, &mut has_variables);
                at += 1;
                start = at;
                if let Some(last) = found.last_mut()
                    && is_copy_from_stdin(&last.text)
                {
                    at = line_end(bytes, at) + 1;
                    while at < bytes.len() {
                        let end = line_end(bytes, at);
                        let row = &script[at..end];
                        at = (end + 1).min(bytes.len());
                        if row == "\\." {
                            break;
                        }
                        last.data.push(row.to_owned());
                    }
                    start = at;
                }
                continue;
            }
            b':' if is_variable(bytes, at) => {
                has_variables = true;
                at += 1;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                while at < bytes.len() && is_word(bytes.get(at)) {
                    at += 1;
                }
                inside.word(&script[from..at]);
            }
            _ => at += 1,
        }
        if at > bytes.len() {
            at = bytes.len();
        }
        while !script.is_char_boundary(at) {
            at += 1;
        }
        if text.is_empty() {
            if script[from..at].trim().is_empty() {
                start = at;
                continue;
            }
            start = from;
        }
        text.push_str(&script[from..at]);
    }
    finish(&mut found, &mut text, &mut inside, script, start, &mut has_variables);
    found
}

impl Inside {
    /// Follows `BEGIN ATOMIC … END` of routines, as psql does.
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        let makes_routine = self.words.first().is_some_and(|first| first == "create")
            && self.words.iter().any(|word| word == "function" || word == "procedure");
        if makes_routine && self.parentheses == 0 {
            match word.as_str() {
                "begin" => self.blocks += 1,
                "case" if self.blocks > 0 => self.blocks += 1,
                "end" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
    }
}

fn finish(
    found: &mut Vec<Statement>,
    text: &mut String,
    inside: &mut Inside,
    script: &str,
    start: usize,
    has_variables: &mut bool,
) {
    let trimmed = text.trim();
    let begins = !trimmed.is_empty() && trimmed.contains(|c: char| c.is_alphanumeric());
    if begins {
        found.push(Statement {
            text: trimmed.to_owned(),
            line: script[..start].matches('\n').count() + 1,
            data: Vec::new(),
            has_variables: *has_variables,
        });
    }
    text.clear();
    *inside = Inside::default();
    *has_variables = false;
}

fn is_copy_from_stdin(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with("copy") && text.split_whitespace().any(|word| word == "stdin")
}

/// `:name`, `:'name'`, `:"name"`, but no cast and no slice.
fn is_variable(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    if before == Some(&b':') || bytes.get(at + 1) == Some(&b':') || bytes.get(at + 1) == Some(&b'=') {
        return false;
    }
    // In a slice the colon follows a bound or the bracket.
    if before == Some(&b'[') || is_word(before) || before == Some(&b')') {
        return false;
    }
    matches!(bytes.get(at + 1), Some(b'\'' | b'"')) || bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
}

fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn after_quoted(bytes: &[u8], at: usize, quote: u8, escapes: bool) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn after_comment(bytes: &[u8], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind `$tag$ … $tag$`, or behind the `$` if there is no such text.
fn after_dollars(script: &str, at: usize) -> usize {
    let rest = &script[at + 1..];
    let Some(length) = rest.find('$') else { return at + 1 };
    let tag = &rest[..length];
    let is_tag = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return at + 1;
    }
    let mark = format!("${tag}$");
    let body = at + mark.len();
    match script[body..].find(&mark) {
        Some(length) => body + length + mark.len(),
        None => script.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script).into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn statements_end_where_psql_ends_them() {
        assert_eq!(
            texts("-- c;\nselect 1; /* ; */ select 'a;''b' , \"x;y\", e'\\';', $$;$$, $a$;$$;$a$;\n"),
            [
                "select 1",
                "/* ; */ select 'a;''b' , \"x;y\", e'\\';', $$;$$, $a$;$$;$a$"
            ]
        );
        assert_eq!(
            texts("create rule r as on insert to t do also (select 1; select 2);\nselect 3"),
            [
                "create rule r as on insert to t do also (select 1; select 2)",
                "select 3"
            ]
        );
        assert_eq!(
            texts(
                "create function f() returns int begin atomic select case when true then 1 end; select 2; end;select 4;"
            ),
            [
                "create function f() returns int begin atomic select case when true then 1 end; select 2; end",
                "select 4"
            ]
        );
        assert_eq!(texts("select 1 \\; select 2;"), ["select 1", "select 2"]);
    }

    #[test]
    fn what_is_for_psql_goes() {
        assert_eq!(
            texts("\\set x 1\n\\d t\nselect 1;\n\\echo hi; there\nselect 2 \\gset\nselect 3;"),
            ["select 1", "select 2", "select 3"]
        );
        let found = split("copy t from stdin;\n1\ta\n2\tb;\n\\.\nselect :'x', a[1:2], b::int from :t;\nselect a[:n];");
        assert_eq!(found[0].data, ["1\ta", "2\tb;"]);
        assert!(found[1].has_variables);
        assert_eq!(found[1].line, 5);
        assert!(!split("select a[1:2], b::int, c[:2]")[0].has_variables);
    }
}
