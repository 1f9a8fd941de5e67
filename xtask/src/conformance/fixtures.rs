//! PostgREST's own fixtures on the embedded engine: what migrates of them, and the name of what does not.
//!
//! A table or view that is refused is made as the suite's portable fixtures have it, where they do.

use super::statements::{Statement, split};
use crate::json::Json;
use crate::process::say;
use crate::server::Project;
use crate::{Context, Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Checks of what is left, at most; each takes out what the one before it refused.
const CHECKS_MAX: usize = 30;
const MIGRATION: &str = "supabase/migrations/20260101000000_fixtures.sql";

/// A statement of the fixtures that the engine refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// In the fixtures put together.
    pub line: usize,
    /// What it would have made.
    pub object: Option<String>,
    /// The engine's words.
    pub why: String,
    /// The suite's portable fixtures have it in another form, which is used.
    pub replaced: bool,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.object.as_deref().unwrap_or("a statement");
        write!(f, "{}: {object}: {}", self.line, self.why)
    }
}

/// The files in the order of the suite's loader.
const FILES: [&str; 7] = [
    "database.sql",
    "roles.sql",
    "schema.sql",
    "jwt.sql",
    "jsonschema.sql",
    "privileges.sql",
    "data.sql",
];

/// One statement of the migration, and the statement of the fixtures that it stands for.
struct Piece {
    line: usize,
    object: Option<String>,
    text: String,
    /// It is the portable fixtures' form of a statement that was refused.
    is_replacement: bool,
}

/// Puts into `project` the migration that holds every statement of the fixtures that the engine takes.
///
/// Errors: the fixtures are not there, or no selection of them can be applied.
pub fn migrate(project: &Project, binary: &Path, suite: &Path, source: &Path) -> Result<Vec<Lost>> {
    let folder = source.join("test/spec/fixtures");
    let mut text = String::new();
    for file in FILES {
        text.push_str(&without_client_commands(&read(&folder.join(file))?));
        text.push('\n');
    }
    let portable = Portable::read(&read(&suite.join("fixtures/portable.sql"))?);
    let mut pieces: Vec<Piece> = split(&text)
        .into_iter()
        .filter(|statement| !is_of_the_session(&statement.text))
        .flat_map(one_by_one)
        .collect();
    let all = pieces.len();
    let mut lost: Vec<Lost> = Vec::new();
    for _ in 0..CHECKS_MAX {
        let (migration, lines) = assemble(&pieces);
        project.write(MIGRATION, &migration)?;
        let problems = check(project, binary)?;
        if problems.is_empty() {
            lost.sort_by_key(|lost| lost.line);
            let taken = pieces.iter().filter(|piece| !piece.is_replacement).count();
            say(format_args!("{taken} of the fixtures' {all} statements migrate"));
            return Ok(lost);
        }
        let mut refused: BTreeMap<usize, String> = BTreeMap::new();
        for (line, why) in problems {
            let position = lines.partition_point(|first| *first <= line).saturating_sub(1);
            refused.entry(position).or_insert(why);
        }
        let mut kept = Vec::new();
        for (position, piece) in pieces.into_iter().enumerate() {
            let Some(why) = refused.remove(&position) else {
                kept.push(piece);
                continue;
            };
            let replacement = (!piece.is_replacement)
                .then(|| portable.instead_of(&piece, &kept))
                .flatten();
            if !piece.is_replacement {
                lost.push(Lost {
                    line: piece.line,
                    object: piece.object.clone(),
                    why,
                    replaced: replacement.is_some(),
                });
            }
            kept.extend(replacement.into_iter().flatten());
        }
        pieces = kept;
    }
    Err(Error::new(format!(
        "after {CHECKS_MAX} checks the fixtures still do not migrate"
    )))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).context(path.display())
}

/// The suite's portable fixtures, by what they make.
struct Portable(BTreeMap<String, Vec<String>>);

impl Portable {
    fn read(text: &str) -> Self {
        let mut by_object: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for statement in split(text) {
            let about = statement.object().or_else(|| subject(&statement.text));
            if let Some(object) = about {
                by_object.entry(object).or_default().push(statement.text);
            }
        }
        Portable(by_object)
    }

    /// The same object in its portable form, with its rows, under the search path that is in force after `before`.
    fn instead_of(&self, piece: &Piece, before: &[Piece]) -> Option<Vec<Piece>> {
        let statements = self.0.get(piece.object.as_ref()?)?;
        let is_search_path = |text: &str| text.to_ascii_lowercase().contains("set search_path");
        let path = before.iter().rev().find(|piece| is_search_path(&piece.text));
        let back = path.map_or("SET search_path = public;", |piece| piece.text.as_str());
        let texts = ["SET search_path = test, public;"]
            .into_iter()
            .chain(statements.iter().map(String::as_str))
            .chain([back]);
        Some(
            texts
                .map(|text| Piece {
                    line: piece.line,
                    object: piece.object.clone(),
                    text: text.to_owned(),
                    is_replacement: true,
                })
                .collect(),
        )
    }
}

/// What an `INSERT` or an `ALTER TABLE` is about.
fn subject(text: &str) -> Option<String> {
    let rest = ["INSERT INTO ", "ALTER TABLE ONLY ", "ALTER TABLE "]
        .iter()
        .find_map(|start| text.strip_prefix(start))?;
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([' ', '(', '\n']).next()?,
    };
    Some(name.to_owned())
}

/// A grant on a list of sequences or schemas becomes one for each, so that one that is not there costs no other.
fn one_by_one(statement: Statement) -> Vec<Piece> {
    let piece = |text: String| Piece {
        line: statement.line,
        object: statement.object(),
        text,
        is_replacement: false,
    };
    let bare: Vec<&str> = statement.text.lines().filter(|line| !line.starts_with("--")).collect();
    let bare = bare.join(" ");
    let parts = ["ON SEQUENCE ", "ON SCHEMA ", "ON TABLE "].iter().find_map(|word| {
        let (head, rest) = bare.split_once(word)?;
        let (list, tail) = rest
            .rsplit_once(" TO ")
            .map(|(list, tail)| (list, format!(" TO {tail}")))
            .or_else(|| {
                rest.rsplit_once(" FROM ")
                    .map(|(list, tail)| (list, format!(" FROM {tail}")))
            })?;
        Some((format!("{head}{word}"), list, tail))
    });
    match parts {
        Some((head, list, tail))
            if ["GRANT", "REVOKE"]
                .iter()
                .any(|verb| bare.trim_start().starts_with(verb)) =>
        {
            list.split(',')
                .map(|one| piece(format!("{head}{}{tail}", one.trim())))
                .collect()
        }
        _ => vec![piece(statement.text.clone())],
    }
}

/// The migration's text, and the line on which each of its statements begins.
fn assemble(pieces: &[Piece]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut lines = Vec::new();
    let mut line = 1;
    for piece in pieces {
        lines.push(line);
        text.push_str(&piece.text);
        text.push('\n');
        line += 1 + piece.text.matches('\n').count();
    }
    (text, lines)
}

/// What `mainstay migrate check` says is in the way: lines and reasons.
fn check(project: &Project, binary: &Path) -> Result<Vec<(usize, String)>> {
    let mut process = Command::new(binary);
    process.args(["migrate", "check"]).arg(project.path()).arg("--json");
    let output = process
        .current_dir(project.path())
        .output()
        .context("mainstay migrate check")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut problems = Vec::new();
    for line in text.lines() {
        let problem = Json::parse(line).context("mainstay migrate check")?;
        if problem.get("kind").str() == Some("error") {
            let line = problem.get("line").number().unwrap_or(1.0) as usize;
            problems.push((line, without_place(problem.get("message").str().unwrap_or(""))));
        }
    }
    if problems.is_empty() && !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(problems)
}

/// The message without the object and the line of the migration that it names: `… types (a.b, line 12); use …`.
fn without_place(message: &str) -> String {
    let parenthesis = message.match_indices(" (").find_map(|(at, _)| {
        let end = at + message[at..].find(')')?;
        let inside = &message[at + 2..end];
        (inside.starts_with("line ") || inside.contains(", line ")).then_some((at, end + 1))
    });
    match parenthesis {
        Some((at, end)) => format!("{}{}", &message[..at], &message[end..]),
        None => message.to_owned(),
    }
}

/// Statements about the loading session or the database as a whole, which a migration has no use for.
fn is_of_the_session(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join(" ");
    let code = code.trim();
    [
        "begin;",
        "commit;",
        "drop schema",
        "drop role",
        "drop type",
        "alter database",
        "truncate",
    ]
    .iter()
    .any(|word| code.starts_with(word))
        || code.starts_with("set ") && !code.starts_with("set search_path")
        || code.is_empty()
}

/// Without psql's own commands; `COPY … FROM STDIN` becomes `INSERT`.
fn without_client_commands(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((target, _)) = line
            .strip_prefix("COPY ")
            .and_then(|rest| rest.split_once(" FROM STDIN CSV DELIMITER '|'"))
        {
            for row in lines.by_ref().take_while(|row| *row != "\\.") {
                let cells: Vec<String> = row.split('|').map(cell).collect();
                out.push_str(&format!("INSERT INTO {target} VALUES ({});\n", cells.join(", ")));
            }
            continue;
        }
        if !line.contains(":\"PGUSER\"") && !line.starts_with('\\') {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// A cell of a COPY's row as a literal.
fn cell(text: &str) -> String {
    if text.is_empty() {
        return "NULL".into();
    }
    format!("'{}'", text.trim_matches('"').replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_copy_become_inserts() {
        let text = "\\set x\nCOPY \"T\" (a, b) FROM STDIN CSV DELIMITER '|';\n1|\n2|\"it's\"\n\\.\nselect 1;\n";
        assert_eq!(
            without_client_commands(text),
            "\nINSERT INTO \"T\" (a, b) VALUES ('1', NULL);\nINSERT INTO \"T\" (a, b) VALUES ('2', 'it''s');\nselect 1;\n"
        );
    }

    #[test]
    fn a_list_of_grants_is_taken_apart() {
        let grant = "-- all\nGRANT USAGE ON SEQUENCE\n  a\n, b\nTO x;".to_owned();
        let pieces = one_by_one(Statement { line: 1, text: grant });
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(
            texts,
            ["GRANT USAGE ON SEQUENCE a TO x;", "GRANT USAGE ON SEQUENCE b TO x;"]
        );
        let (text, lines) = assemble(&pieces);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn what_is_refused_is_made_in_its_portable_form() {
        let portable =
            Portable::read("CREATE TABLE t (\n a int\n);\nINSERT INTO t VALUES (1);\nCREATE TABLE u (a int);");
        let piece = |text: &str, object: &str| Piece {
            line: 1,
            object: Some(object.into()),
            text: text.into(),
            is_replacement: false,
        };
        let before = [piece("SET search_path = private;", "")];
        let found = portable
            .instead_of(&piece("create table t (a money);", "t"), &before)
            .unwrap();
        let texts: Vec<&str> = found.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts.len(), 4);
        assert_eq!(texts[2], "INSERT INTO t VALUES (1);");
        assert_eq!(texts[3], "SET search_path = private;");
        assert_eq!(without_place("types (a.b, line 12); use x"), "types; use x");
        assert_eq!(without_place("sleep (line 3); use x"), "sleep; use x");
        assert!(is_of_the_session("-- x\nSET client_min_messages = error;"));
        assert!(!is_of_the_session("SET search_path = test;"));
    }
}
