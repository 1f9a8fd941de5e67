//! Reads `supabase/tests/*.policy.toml`.
//!
//! Whatever cannot be read, and every key that nobody knows, is an error with its line: a test that is skipped without
//! a word is a hole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use toml::{Spanned, Value};

/// Where tests are, below the project.
pub const FOLDER: &str = "supabase/tests";
/// How their files end.
const SUFFIX: &str = ".policy.toml";

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// As it is shown.
    pub path: String,
    /// Name, who it is as `mainstay why --as` takes it, and the line.
    pub users: Vec<(String, String, usize)>,
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug)]
pub struct Test {
    /// 1-based.
    pub line: usize,
    pub name: String,
    /// A user of the file, or whom `mainstay why --as` takes.
    pub who: String,
    pub request: String,
    pub body: Option<String>,
    pub headers: Vec<(String, String)>,
    pub expected: Expected,
}

/// What must be answered; what is not said is not looked at.
#[derive(Clone, Debug)]
pub struct Expected {
    pub status: Option<u16>,
    pub code: Option<String>,
    pub rows: Option<Rows>,
}

/// Rows that must be answered.
#[derive(Clone, Debug)]
pub enum Rows {
    Count(u64),
    /// Exactly these, in this order.
    These(Vec<Json>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    users: BTreeMap<String, Spanned<Value>>,
    #[serde(default, rename = "test")]
    tests: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(rename = "as")]
    who: String,
    request: String,
    body: Option<Value>,
    prefer: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    status: Option<u16>,
    code: Option<String>,
    rows: Option<Value>,
}

/// Reads every file of a project, in the order of their names. Errors: the file, the line and what is wrong.
pub fn read_all(root: &Path) -> Result<Vec<TestFile>, String> {
    let folder = root.join(FOLDER);
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(cannot)?.path();
                if path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX))
                {
                    paths.push(path);
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    if paths.is_empty() {
        return Err(format!("there is no test: no file {}/*{SUFFIX}", folder.display()));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            parse(&format!("{FOLDER}/{name}"), &text)
        })
        .collect()
}

/// Reads one file's text.
pub fn parse(path: &str, text: &str) -> Result<TestFile, String> {
    let document: Document = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => format!("{path}:{}: {}", line_of(text, span.start), error.message()),
        None => format!("{path}: {}", error.message()),
    })?;
    let mut users = Vec::new();
    for (name, user) in document.users {
        let line = line_of(text, user.span().start);
        let who = match user.into_inner() {
            Value::String(who) => who,
            Value::Table(claims) => json_of(&Value::Table(claims)).to_string(),
            _ => {
                return Err(format!(
                    "{path}:{line}: user `{name}` is neither an id, a role nor claims"
                ));
            }
        };
        users.push((name, who, line));
    }
    if document.tests.is_empty() {
        return Err(format!("{path}: there is no [[test]] in it"));
    }
    let tests = document.tests.into_iter().map(|test| {
        let line = line_of(text, test.span().start);
        read(test.into_inner(), line).map_err(|problem| format!("{path}:{line}: {problem}"))
    });
    Ok(TestFile {
        path: path.to_owned(),
        users,
        tests: tests.collect::<Result<_, _>>()?,
    })
}

fn read(written: Written, line: usize) -> Result<Test, String> {
    let rows = match written.rows {
        None => None,
        Some(Value::Integer(count)) => Some(Rows::Count(
            u64::try_from(count).map_err(|_| "`rows` is below zero".to_owned())?,
        )),
        Some(Value::Array(rows)) => Some(Rows::These(rows.iter().map(json_of).collect())),
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(Json::Array(rows)) => Some(Rows::These(rows)),
            _ => return Err("the text of `rows` is not a JSON array".to_owned()),
        },
        Some(_) => return Err("`rows` is neither a number, a list of rows, nor a JSON array as text".to_owned()),
    };
    let expected = Expected {
        status: written.status,
        code: written.code,
        rows,
    };
    if expected.status.is_none() && expected.code.is_none() && expected.rows.is_none() {
        return Err("the test expects nothing: say `rows`, `code` or `status`".to_owned());
    }
    if expected.code.is_some() && expected.rows.is_some() {
        return Err("an answer has `rows` or the `code` of an error, not both".to_owned());
    }
    let body = match written.body {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(body @ (Value::Table(_) | Value::Array(_))) => Some(json_of(&body).to_string()),
        Some(_) => return Err("`body` is neither a table, a list of tables nor JSON as text".to_owned()),
    };
    let prefer = written.prefer.map(|value| ("prefer".to_owned(), value));
    Ok(Test {
        line,
        name: written.name,
        who: written.who,
        request: written.request,
        body,
        headers: prefer.into_iter().chain(written.headers).collect(),
        expected,
    })
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Boolean(flag) => Json::from(*flag),
        Value::Datetime(moment) => Json::from(moment.to_string()),
        Value::Array(items) => items.iter().map(json_of).collect(),
        Value::Table(table) => table
            .iter()
            .map(|(name, value)| (name.clone(), json_of(value)))
            .collect(),
    }
}

/// The 1-based line of a place.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "[[test]]\nname = \"n\"\nas = \"anon\"\nrequest = \"GET /t\"\n";

    fn refused(text: &str) -> String {
        parse("x.policy.toml", text).unwrap_err()
    }

    #[test]
    fn what_nobody_knows_is_named_with_its_line() {
        let unknown = refused(&format!("{TEST}rows = 1\n\n{TEST}row = 1\n"));
        assert!(
            unknown.starts_with("x.policy.toml:11: unknown field `row`"),
            "{unknown}"
        );
        let section = refused(&format!("{TEST}rows = 1\n[user]\na = \"x\"\n"));
        assert!(
            section.starts_with("x.policy.toml:6: unknown field `user`"),
            "{section}"
        );
        assert!(refused("[[test]\n").starts_with("x.policy.toml:1: "));
        let lacking = refused("\n[[test]]\nname = \"n\"\nas = \"anon\"\nrows = 1\n");
        assert!(
            lacking.starts_with("x.policy.toml:2: missing field `request`"),
            "{lacking}"
        );
    }

    #[test]
    fn a_test_that_cannot_fail_is_refused() {
        assert!(refused(TEST).starts_with("x.policy.toml:1: the test expects nothing"));
        assert!(refused("").contains("no [[test]]"));
        let both = refused(&format!("{TEST}rows = 1\ncode = \"42501\"\n"));
        assert!(both.contains("not both"), "{both}");
        for bad in ["rows = -1", "rows = 1.5", "rows = \"{}\"", "body = 1\nrows = 1"] {
            let text = refused(&format!("{TEST}{bad}\n"));
            assert!(text.starts_with("x.policy.toml:1: "), "{text}");
        }
    }

    #[test]
    fn users_are_ids_roles_or_claims() {
        let text = format!(
            "{TEST}rows = [{{ id = 1, at = 2024-01-01 }}]\n[users]\na = \"anon\"\nb = {{ sub = \"x\", org = 7 }}\n"
        );
        let file = parse("x", &text).unwrap();
        assert_eq!(file.users[0], ("a".into(), "anon".into(), 7));
        assert_eq!(file.users[1].1, r#"{"org":7,"sub":"x"}"#);
        let Some(Rows::These(rows)) = &file.tests[0].expected.rows else {
            panic!("{file:?}");
        };
        assert_eq!(rows[0], serde_json::json!({"id": 1, "at": "2024-01-01"}));
        let bad = refused(&format!("{TEST}rows = 1\n[users]\na = 1\n"));
        assert!(bad.starts_with("x.policy.toml:7: user `a`"), "{bad}");
    }

    #[test]
    fn the_guides_example_can_be_read() {
        let guide = include_str!("../../../../docs/guides/testing-policies.md");
        let example = guide
            .split("```")
            .find_map(|block| block.strip_prefix("toml\n"))
            .unwrap();
        let file = parse("guide", example).unwrap();
        assert_eq!((file.users.len(), file.tests.len()), (2, 3));
    }
}
