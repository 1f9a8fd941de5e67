//! The embedded engine, in this process, on a file that goes with it.

use std::sync::Arc;

use mainstay_backend_sqlite::{Options, SqliteBackend, Synchronous};
use mainstay_core::backend::{Backend, QueryMode, QueryResult};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::types::Type;
use mainstay_sql::analyse::Analyser;
use mainstay_sql::parse;
use mainstay_sql::session::Session;
use mainstay_sql::typed::{ExprKind, OutputColumn, Statement};
use tempfile::TempDir;

use super::{Answer, Failure, Person, Question, Rows, is_read};

/// How refusals begin.
const REFUSAL: &str = "not available on the embedded engine: ";

/// What refusals of single values say, which are met when a statement runs.
const REFUSED_VALUE: &str = "not available on the embedded engine";

/// A data file in memory where the machine has such a folder.
pub struct Embedded {
    backend: SqliteBackend,
    /// The search path that a script has set.
    pub path: Vec<Ident>,
    _folder: TempDir,
}

impl Embedded {
    pub fn new() -> Result<Self, Failure> {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)?
        } else {
            tempfile::tempdir()?
        };
        let mut options = Options::at(folder.path().join("data.db"));
        options.synchronous = Synchronous::Normal;
        options.read_threads = 1;
        Ok(Embedded {
            backend: SqliteBackend::open(options)?,
            path: vec![Ident::new("public")],
            _folder: folder,
        })
    }

    pub async fn ask(&self, question: &Question) -> Answer {
        let caller = question.person.as_ref().map(|person| self.caller(person));
        let mode = if is_read(&question.sql) {
            QueryMode::ReadOnly
        } else {
            QueryMode::ReadWrite
        };
        let mut answered = self.backend.query(caller.as_ref(), &question.sql, mode).await;
        // A query that calls a function which writes.
        if matches!(&answered, Err(BackendError::Refused(error)) if error.sqlstate == "25006") {
            let mode = QueryMode::ReadWrite;
            answered = self.backend.query(caller.as_ref(), &question.sql, mode).await;
        }
        match answered {
            Ok(result) => match self.types(question, caller.as_ref()) {
                Ok(types) => Answer::Done(rows(result, types)),
                Err(error) => Answer::Broken(format!("it runs, but its analysis fails: {error}")),
            },
            Err(error) => answer(error),
        }
    }

    /// Asks, and says by which output columns a query sorts; none if by something that is not shown.
    pub async fn ask_ordered(&self, question: &Question) -> (Answer, Vec<usize>) {
        let answer = self.ask(question).await;
        let keys = match &answer {
            Answer::Done(_) => self.sort_keys(&question.sql),
            _ => Vec::new(),
        };
        (answer, keys)
    }

    fn sort_keys(&self, sql: &str) -> Vec<usize> {
        let session = Session::new("postgres", self.path.clone());
        let catalog = self.backend.catalog();
        let Some(Ok(Statement::Query(query))) = parse::parse(sql)
            .ok()
            .and_then(|statements| statements.into_iter().next_back())
            .map(|statement| Analyser::new(&catalog, &session).statement(&statement.ast))
        else {
            return Vec::new();
        };
        let keys = query.order.iter().map(|key| match key.expr.kind {
            ExprKind::Output(column) => Some(column),
            _ => None,
        });
        keys.collect::<Option<Vec<usize>>>().unwrap_or_default()
    }

    fn caller(&self, person: &Person) -> Caller {
        let mut caller = Caller::of_role(person.role);
        caller.claims = Arc::from(person.claims());
        caller.request.search_path = self.path.clone().into();
        caller
    }

    /// The columns' types as PostgreSQL spells them.
    fn types(&self, question: &Question, caller: Option<&Caller>) -> Result<Vec<String>, String> {
        if !question.has_columns {
            return Ok(Vec::new());
        }
        let session = match caller {
            Some(caller) => Session::new(caller.role.clone(), self.path.clone()),
            None => Session::new("postgres", self.path.clone()),
        };
        let catalog = self.backend.catalog();
        let mut found = Vec::new();
        for statement in parse::parse(&question.sql).map_err(|error| error.message)? {
            let Ok(typed) = Analyser::new(&catalog, &session).statement(&statement.ast) else {
                continue;
            };
            // A server tells a column's type without its domains.
            let spelled = |columns: &[OutputColumn]| -> Vec<String> {
                columns
                    .iter()
                    .map(|column| {
                        let (mut ty, mut modifier) = (&column.ty, column.modifier);
                        while let Type::Domain(name, base) = ty {
                            modifier = catalog.domains.get(name).map_or(modifier, |domain| domain.modifier);
                            ty = base;
                        }
                        ty.display(modifier)
                    })
                    .collect()
            };
            found = match &typed {
                Statement::Query(query) => spelled(&query.columns),
                Statement::Insert(insert) => insert
                    .returning
                    .as_ref()
                    .map_or(Vec::new(), |list| spelled(&list.columns)),
                Statement::Update(update) => update
                    .returning
                    .as_ref()
                    .map_or(Vec::new(), |list| spelled(&list.columns)),
                Statement::Delete(delete) => delete
                    .returning
                    .as_ref()
                    .map_or(Vec::new(), |list| spelled(&list.columns)),
            };
        }
        Ok(found)
    }

    /// Lets go of the file.
    pub async fn close(self) {
        self.backend.close().await;
    }
}

fn rows(result: QueryResult, types: Vec<String>) -> Rows {
    Rows {
        names: result.columns,
        types,
        count: result.tag.rsplit(' ').next().and_then(|last| last.parse().ok()),
        rows: result.rows,
    }
}

fn answer(error: BackendError) -> Answer {
    match error {
        BackendError::Refused(error) => match error.message.strip_prefix(REFUSAL) {
            Some(feature) => Answer::Refused(feature.to_owned()),
            None if error.message.contains(REFUSED_VALUE) => Answer::Refused(error.message),
            None if error.sqlstate.starts_with("XX") => {
                Answer::Broken(format!("{}: {}", error.sqlstate, error.message))
            }
            None => Answer::Error {
                sqlstate: error.sqlstate,
                message: error.message,
            },
        },
        BackendError::Internal(text) => Answer::Broken(text),
        other => Answer::Broken(other.to_string()),
    }
}
