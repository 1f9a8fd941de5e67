//! PostgreSQL's own regression files as a refusal test: each statement is answered as PostgreSQL 15 answers it, or
//! refused by name.
//!
//! | module | what |
//! |---|---|
//! | [`split`] | a script's statements |
//! | [`rules`] | documented differences, by explicit rule |
//! | [`document`] | the table for `docs/portability.md` |
//!
//! The files are PostgreSQL's and stay outside the repository. Each runs in a fresh database after `test_setup.sql`.
//! What the embedded engine refuses is not run on PostgreSQL either, and what differs is rolled back there, so that
//! later statements meet the same tables on both sides.

mod document;
mod rules;
mod split;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::compare::{Shown, Terms, Verdict, compare, without_negative_zeros};
use crate::engines::{Answer, Embedded, Failure, Question, Rows, Server, first_word};

pub use document::body;
use split::Statement;

/// What became of one file.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub file: String,
    pub statements: usize,
    pub equal: usize,
    pub refused: usize,
    /// Documented differences: the rule's reason and how often.
    pub documented: Vec<(String, usize)>,
    pub different: Vec<Difference>,
    /// Features that were refused, and how often.
    pub features: Vec<(String, usize)>,
}

#[derive(Clone, Debug)]
pub struct Difference {
    pub line: usize,
    pub statement: String,
    pub text: String,
}

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The unpacked source of PostgreSQL 15.
    pub source: PathBuf,
    /// Only files whose name contains this.
    pub only: Option<String>,
    pub threads: usize,
    /// Prints each refusal too.
    pub verbose: bool,
}

/// Files that need more than a database: other files of the tree, locales, psql itself, crash tests.
const LEFT_OUT: &[&str] = &["infinite_recurse", "psql_pipeline"];

/// Runs the files and says what became of each.
pub fn run(orders: &Orders, url: &str) -> Result<Vec<Tally>, Failure> {
    let folder = orders.source.join("src/test/regress/sql");
    let setup = read(&folder.join("test_setup.sql"))?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .filter(|path| !LEFT_OUT.contains(&name_of(path).as_str()))
        .filter(|path| {
            orders
                .only
                .as_ref()
                .is_none_or(|only| name_of(path).contains(only.as_str()))
        })
        .collect();
    files.sort();
    let next = AtomicUsize::new(0);
    let tallies = Mutex::new(Vec::new());
    let work = || -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tally = runtime.block_on(file(url, &setup, path, orders.verbose))?;
            println!(
                "{:28} {:5} statements, {:5} equal, {:5} refused, {:4} documented, {:4} different",
                tally.file,
                tally.statements,
                tally.equal,
                tally.refused,
                tally.documented.iter().map(|(_, count)| count).sum::<usize>(),
                tally.different.len()
            );
            for difference in &tally.different {
                println!(
                    "  {}:{}: {}\n    {}",
                    tally.file,
                    difference.line,
                    difference.statement.split_whitespace().collect::<Vec<_>>().join(" "),
                    difference.text
                );
            }
            tallies
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .push(tally);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<(), Failure> {
        let threads: Vec<_> = (0..orders.threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread of the run panicked")??;
        }
        Ok(())
    })?;
    let mut tallies = tallies.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    tallies.sort_by(|left, right| left.file.cmp(&right.file));
    Ok(tallies)
}

fn name_of(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read(path: &Path) -> Result<String, Failure> {
    // A few files are in other encodings on purpose; their odd bytes are not what is compared here.
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs one file in fresh databases.
async fn file(url: &str, setup: &str, path: &Path, verbose: bool) -> Result<Tally, Failure> {
    let mut session = Session {
        embedded: Embedded::new()?,
        server: Server::new(url).await?,
        settings: Vec::new(),
    };
    session.server.drop_roles("regress").await?;
    let name = name_of(path);
    if name != "test_setup" {
        for statement in split::split(setup) {
            session.ask(&statement).await;
        }
        session.settings.clear();
    }
    let mut tally = Tally {
        file: name,
        ..Tally::default()
    };
    for statement in split::split(&read(path)?) {
        tally.statements += 1;
        match session.ask(&statement).await {
            Verdict::Same => tally.equal += 1,
            Verdict::Refused(feature) => {
                if verbose {
                    println!("  refused {}:{}: {feature}", tally.file, statement.line);
                }
                tally.refused += 1;
                count(&mut tally.features, feature);
            }
            Verdict::Documented(number) | Verdict::Apart(number) => {
                count(&mut tally.documented, rules::numbered(number).to_owned())
            }
            Verdict::Different(text) => match rules::documented(&statement.text, &text) {
                Some(reason) => count(&mut tally.documented, reason.to_owned()),
                None => tally.different.push(Difference {
                    line: statement.line,
                    statement: statement.text,
                    text,
                }),
            },
        }
        if session.server.is_gone() {
            // A statement took the connection with it: the file goes on with a new one.
            session.server = Server::new(url).await?;
        }
    }
    session.embedded.close().await;
    session.server.close().await?;
    Ok(tally)
}

fn count(list: &mut Vec<(String, usize)>, name: String) {
    match list.iter_mut().find(|(found, _)| *found == name) {
        Some((_, count)) => *count += 1,
        None => list.push((name, 1)),
    }
}

/// What a query names that asks the system catalogs.
const CATALOGS: [&str; 4] = ["pg_attribute", "pg_class", "pg_proc", "pg_type"];

/// True for a `SET` or `RESET` that holds for what follows it.
fn is_setting(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_ascii_lowercase);
    let passing = ["constraints", "local", "transaction", "characteristics"];
    matches!(words.next().as_deref(), Some("set" | "reset"))
        && !words.take(3).any(|word| passing.contains(&word.as_str()))
}

/// Both engines on the way through a file.
struct Session {
    embedded: Embedded,
    server: Server,
    /// `SET` statements in force: the embedded engine's console forgets them with each text.
    settings: Vec<String>,
}

impl Session {
    async fn ask(&mut self, statement: &Statement) -> Verdict {
        if statement.has_variables {
            return Verdict::Refused("psql variables".into());
        }
        let text = &statement.text;
        let first = first_word(text);
        // The console runs each text in a transaction of its own.
        let control = [
            "begin",
            "start",
            "commit",
            "end",
            "rollback",
            "abort",
            "savepoint",
            "release",
        ];
        if control.contains(&first.as_str()) {
            return Verdict::Refused("transactions over several texts".into());
        }
        let mut sql = String::new();
        for setting in &self.settings {
            sql.push_str(setting);
            sql.push(';');
        }
        sql.push_str(text);
        let question = Question {
            sql,
            person: None,
            has_columns: true,
        };
        let (ours, keys) = self.embedded.ask_ordered(&question).await;
        if let Answer::Refused(_) = ours {
            return compare(Terms::default(), &ours, &ours);
        }
        let theirs = if text.to_ascii_lowercase().contains("concurrently") {
            self.server
                .ask(std::slice::from_ref(&Question {
                    sql: text.clone(),
                    person: None,
                    has_columns: false,
                }))
                .await
                .remove(0)
        } else {
            self.server.ask_in_transaction(text, &ours).await
        };
        if is_setting(text) && matches!((&ours, &theirs), (Answer::Done(_), Answer::Done(_))) {
            self.settings.push(text.clone());
        }
        self.server
            .keep_sequences(matches!((&ours, &theirs), (Answer::Done(_), Answer::Done(_))))
            .await;
        if let (Answer::Done(_), Answer::Error { sqlstate, .. }) = (&ours, &theirs)
            && sqlstate.starts_with("22")
            && self.server.planning_fails(text, sqlstate).await
        {
            return Verdict::Documented(14);
        }
        let (ours, theirs) = match (ours, theirs) {
            (Answer::Done(ours), Answer::Done(theirs)) => {
                if let Some(number) = self.documented(text, &ours, &theirs).await {
                    return Verdict::Documented(number);
                }
                let in_order = keys.iter().all(|key| {
                    let column = |rows: &[Vec<Option<String>>]| -> Vec<Option<String>> {
                        rows.iter().map(|row| row.get(*key).cloned().flatten()).collect()
                    };
                    column(&ours.rows) == column(&theirs.rows)
                });
                if !in_order && ours.rows.len() == theirs.rows.len() {
                    return Verdict::Different(format!(
                        "another order: {}, PostgreSQL {}",
                        Shown(&Answer::Done(ours)),
                        Shown(&Answer::Done(theirs))
                    ));
                }
                (Answer::Done(ours), Answer::Done(theirs))
            }
            other => other,
        };
        match compare(Terms::default(), &ours, &theirs) {
            // Not one of constants, as was seen above.
            Verdict::Documented(14) => Verdict::Different(format!(
                "embedded engine: {}\n    PostgreSQL: {}",
                Shown(&ours),
                Shown(&theirs)
            )),
            verdict => verdict,
        }
    }

    /// The documented difference that is all there is between two answers, if one is.
    async fn documented(&self, text: &str, ours: &Rows, theirs: &Rows) -> Option<u8> {
        let (ours_as_stored, theirs_as_stored) = (without_negative_zeros(ours), without_negative_zeros(theirs));
        if ours.rows != theirs.rows && ours_as_stored.rows == theirs_as_stored.rows {
            return Some(13);
        }
        let text = text.to_ascii_lowercase();
        if (text.contains("cbrt(") || text.contains("||/")) && differ_in_the_last_digit(ours, theirs) {
            return Some(9);
        }
        if !CATALOGS.iter().any(|name| text.contains(name)) || ours.names != theirs.names {
            return None;
        }
        if ours.rows != theirs.rows && without_identifiers(ours) == without_identifiers(theirs) {
            return Some(12);
        }
        // What PostgreSQL has more is what a server brings along.
        if ours.rows.len() >= theirs.rows.len() {
            return None;
        }
        let mut more = theirs.rows.clone();
        for row in &ours.rows {
            more.remove(more.iter().position(|found| found == row)?);
        }
        for row in more {
            let mut is_brought = false;
            for cell in row.iter().flatten() {
                is_brought |= self.server.brings(cell).await;
            }
            if !is_brought {
                return None;
            }
        }
        Some(12)
    }
}

/// The rows in order, columns of identifiers left out.
fn without_identifiers(answer: &Rows) -> Vec<Vec<Option<String>>> {
    let mut rows = answer.rows.clone();
    for row in &mut rows {
        let mut types = answer.types.iter();
        row.retain(|_| types.next().is_none_or(|ty| ty != "oid"));
    }
    rows.sort();
    rows
}

/// How far two doubles are apart that differ in the last of their sixteen digits.
const LAST_DIGIT: f64 = 1e-15;

/// True if the rows are the same but for the last digit of floats.
fn differ_in_the_last_digit(ours: &Rows, theirs: &Rows) -> bool {
    let near = |ours: &Option<String>, theirs: &Option<String>| {
        let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok();
        match (number(ours), number(theirs)) {
            (Some(a), Some(b)) => a == b || (a - b).abs() <= LAST_DIGIT * a.abs(),
            _ => ours == theirs,
        }
    };
    ours.rows != theirs.rows
        && ours.rows.len() == theirs.rows.len()
        && ours.rows.iter().zip(&theirs.rows).all(|(ours, theirs)| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| near(ours, theirs))
        })
}
