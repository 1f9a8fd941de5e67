//! Dry runs: what stands in the way of migrations, statement by statement, by the catalog alone.
//!
//! Lives here: going on after a statement that fails, and telling what fails only because of it. Not here: rows, which
//! are not looked at; files and how the answer is shown.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::backend::{CheckedMigration, Migration, Problem};
use mainstay_core::catalog::{Catalog, Column};
use mainstay_core::error::DatabaseError;
use mainstay_core::types::Type;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::ast::Statement;
use mainstay_sql::ddl::{self, Change, Notice};
use mainstay_sql::parse::{self, ParsedStatement, Piece};
use mainstay_sql::plpgsql;
use mainstay_sql::session::Session;

use super::script;

/// What a statement says when something it names is not there: relation, type or role, function, column, schema.
const MISSING: &[&str] = &["42P01", "42704", "42883", "42703", "3F000"];

/// Says of each migration whether it could be applied after those before it. A statement that fails leaves the catalog
/// as it was for those that follow; what fails because of that says so.
pub fn check(catalog: &Arc<Catalog>, migrations: &[Migration]) -> Vec<CheckedMigration> {
    let mut run = DryRun {
        current: Catalog::clone(catalog),
        session: Session::default(),
        told: Vec::new(),
        not_made: HashMap::new(),
    };
    migrations.iter().map(|migration| run.migration(migration)).collect()
}

struct DryRun {
    current: Catalog,
    session: Session,
    /// Numbers of the documented differences that have been told.
    told: Vec<u8>,
    /// Names that a failed statement would have made, with the place of the problem they come from.
    not_made: HashMap<String, (String, u32)>,
}

impl DryRun {
    fn migration(&mut self, migration: &Migration) -> CheckedMigration {
        let mut checked = CheckedMigration {
            version: migration.version.clone(),
            problems: Vec::new(),
            notices: Vec::new(),
        };
        self.session = Session::default();
        match parse::parse_each(&migration.sql) {
            Err(error) => {
                let line = line_at(&migration.sql, error.position);
                checked.problems.push(Problem::new(line, error));
            }
            Ok(pieces) => {
                for piece in &pieces {
                    self.piece(piece, &mut checked);
                }
            }
        }
        ddl::restore_constraints(&mut self.current, &mut self.session);
        ddl::settle(&mut self.current);
        self.current.version += 1;
        checked
    }

    fn piece(&mut self, piece: &Piece, checked: &mut CheckedMigration) {
        let done = match &piece.parsed {
            Ok(statement) => self.statement(statement, checked),
            Err(error) => Err(error.clone()),
        };
        let Err(error) = done else {
            for name in &piece.defines {
                self.not_made.remove(name.as_str());
            }
            return;
        };
        let follows = MISSING
            .contains(&error.sqlstate.as_str())
            .then(|| self.cause_of(piece))
            .flatten();
        let place = follows.clone().unwrap_or_else(|| (checked.version.clone(), piece.line));
        for name in &piece.defines {
            self.not_made.entry(name.to_string()).or_insert_with(|| place.clone());
        }
        checked.problems.push(Problem {
            line: piece.line,
            error,
            follows,
        });
    }

    /// The first problem, in order of place, that made something this statement names not be there.
    fn cause_of(&self, piece: &Piece) -> Option<(String, u32)> {
        let mut places: Vec<&(String, u32)> = self
            .not_made
            .iter()
            .filter(|(name, _)| piece.words.contains(&name.to_lowercase()))
            .map(|(_, place)| place)
            .collect();
        places.sort();
        places.first().map(|place| (*place).clone())
    }

    fn statement(&mut self, statement: &ParsedStatement, checked: &mut CheckedMigration) -> Result<(), DatabaseError> {
        match &statement.ast {
            Statement::Ddl(_) | Statement::Set(_) | Statement::Unsupported(_) => self.change(statement, checked),
            Statement::Query(query) => match ddl::setting_of(query) {
                Some(set) => self.change(
                    &ParsedStatement {
                        ast: Statement::Set(set),
                        ..statement.clone()
                    },
                    checked,
                ),
                None => Analyser::new(&self.current, &self.session).query(query).map(drop),
            },
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                Analyser::new(&self.current, &self.session)
                    .statement(&statement.ast)
                    .map(drop)
            }
            Statement::Do(body) => check_block(&mut self.current, &self.session, body),
            Statement::Transaction(control) => script::refuse_control(control, statement.line),
        }
    }

    fn change(&mut self, statement: &ParsedStatement, checked: &mut CheckedMigration) -> Result<(), DatabaseError> {
        let mut next = self.current.clone();
        let mut settings = self.session.clone();
        let changes = ddl::apply(&mut next, &mut settings, statement)?;
        self.current = next;
        self.session = settings;
        for change in &changes {
            self.tell_differences(change, statement.line, checked);
        }
        for change in changes {
            if let Change::Notice(notice) = change
                && worth_telling(&notice)
            {
                let error = DatabaseError::new(&notice.sqlstate, notice.message);
                checked.notices.push(Problem::new(notice.line, error));
            }
        }
        Ok(())
    }
}

impl DryRun {
    /// Tells each documented difference once, where the first column comes that it concerns.
    fn tell_differences(&mut self, change: &Change, line: u32, checked: &mut CheckedMigration) {
        let (Change::CreateTable(table) | Change::AddColumn { table, .. } | Change::Retype { table, .. }) = change
        else {
            return;
        };
        let Some(relation) = self.current.relations.get(table) else {
            return;
        };
        for Difference { number, concerns, text } in DIFFERENCES {
            let Some(column) = relation.columns.iter().find(|column| concerns(column)) else {
                continue;
            };
            if !self.told.contains(number) {
                self.told.push(*number);
                let message = format!("{text} ({}.{}; difference {number})", table.name, column.name);
                checked
                    .notices
                    .push(Problem::new(line, DatabaseError::new("00000", message)));
            }
        }
    }
}

/// One of the differences of `docs/portability.md` that a column brings with it.
struct Difference {
    number: u8,
    concerns: fn(&Column) -> bool,
    text: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        number: 1,
        concerns: |column| column.ty.is_textual(),
        text: "text is ordered byte by byte here, by the database's collation on PostgreSQL",
    },
    Difference {
        number: 3,
        concerns: |column| column.sequence.is_some(),
        text: "a sequence leaves no gap here when a transaction fails",
    },
    Difference {
        number: 4,
        concerns: |column| {
            matches!(
                column.ty.base(),
                Type::Timestamptz | Type::Timestamp | Type::Date | Type::Float4 | Type::Float8
            )
        },
        text: "times are from year 1 to 9999 and never infinite here, floats never NaN",
    },
];

/// `… does not exist, skipping` is what a careful migration expects to hear.
fn worth_telling(notice: &Notice) -> bool {
    !notice.message.ends_with("skipping")
}

fn line_at(text: &str, position: Option<u32>) -> u32 {
    let characters = position.unwrap_or(1).saturating_sub(1) as usize;
    text.chars()
        .take(characters)
        .filter(|character| *character == '\n')
        .count() as u32
        + 1
}

/// What a DO block does to the catalog, as far as that can be told without running it: a change that it may leave out,
/// or whose failure it catches, is made if it can be.
fn check_block(current: &mut Catalog, session: &Session, body: &str) -> Result<(), DatabaseError> {
    let function = plpgsql::parse(current, &plpgsql::block(session, body))?;
    for (fragment, certain) in plpgsql::schema_changes(&function) {
        for statement in parse::kept(&fragment.text)?.iter() {
            let mut next = current.clone();
            match ddl::apply(&mut next, &mut session.clone(), statement) {
                Ok(_) => *current = next,
                Err(error) if certain || error.sqlstate == "0A000" => return Err(error),
                Err(_) => {}
            }
        }
    }
    Ok(())
}
