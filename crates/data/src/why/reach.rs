//! How far a caller reaches into a relation: what it may do by its grants, and with how many of the rows.

use std::sync::Arc;

use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, ColumnIndex, PolicyCommand, Privilege, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::{Action, Count, Field, Format, Input, Options, Outcome, Output, Plan, Read, Source, Value};
use mainstay_core::policy::{self, Access, Needs};

use super::gates::{self, Question};
use super::report::Side;
use super::sample::{self, Row};
use crate::DataRoom;
use crate::error::Error;

/// Rows of a relation that policies are tried on.
const ROWS_MAX: usize = 2_000;
/// Rows that are tried at once.
const BATCH: usize = 100;

/// What a caller may do with a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Rows that there are; none where they could not be counted.
    pub total: Option<u64>,
    pub select: Reached,
    pub insert: Reached,
    pub update: Reached,
    pub delete: Reached,
}

/// How far one command reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// There is no grant, or the relation does not take the command.
    Denied,
    /// Rows that the command finds, and the columns it may name: none means all.
    Rows { rows: u64, columns: Vec<String> },
    /// New rows, of these columns: `is_checked` by policies.
    New { is_checked: bool, columns: Vec<String> },
    /// There is a grant, and no policy lets any row pass.
    NoPolicy,
    /// There is a grant; how many rows it reaches was not found out.
    Granted { columns: Vec<String> },
    /// The command fails for the caller: a code.
    Fails(String),
}

impl DataRoom {
    /// How far `caller` reaches into the relation. Errors: it is not there; the database does not answer.
    pub async fn reach(&self, caller: &Caller, name: &QualifiedName) -> Result<Reach, Error> {
        let catalog = self.backend.catalog();
        let relation = catalog.relation(name).ok_or(BackendError::StaleCatalog)?.clone();
        let seen = self.all_rows(caller, &catalog, &relation).await?;
        let looking = Looking {
            room: self,
            caller,
            catalog: &catalog,
            relation: &relation,
            seen: seen.as_ref(),
        };
        Ok(Reach {
            total: seen.as_ref().map(|(total, _)| *total),
            select: looking.select().await?,
            insert: looking.insert(),
            update: looking.found(Privilege::Update, relation.updatable).await?,
            delete: looking.found(Privilege::Delete, relation.deletable).await?,
        })
    }

    /// The number of rows past all policies, and some of them.
    async fn all_rows(
        &self,
        caller: &Caller,
        catalog: &Catalog,
        relation: &Arc<Relation>,
    ) -> Result<Option<(u64, Vec<Row>)>, Error> {
        let Some(role) = self.backend.overseer() else {
            return Ok(None);
        };
        let overseer = Caller { role, ..caller.clone() };
        let source = Source {
            relation: relation.clone(),
            access: Access::system(),
        };
        let output = sample::all_columns(relation);
        match self.counted(&overseer, catalog, source, output, ROWS_MAX).await {
            Ok(outcome) => {
                let rows = sample::written(relation, &outcome.body).rows;
                Ok(Some((outcome.total.unwrap_or(outcome.rows), rows)))
            }
            Err(Error::Backend(BackendError::Refused(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn counted(
        &self,
        caller: &Caller,
        catalog: &Catalog,
        source: Source,
        output: Vec<Output>,
        rows: usize,
    ) -> Result<Outcome, Error> {
        let plan = Plan {
            catalog_version: catalog.version,
            role: caller.role.clone(),
            format: Format::Json,
            handler: None,
            explain: None,
            action: Action::Read(Read {
                source,
                output,
                embeds: Vec::new(),
                filter: None,
                order: Vec::new(),
                limit: Some(0),
                offset: None,
                count: Count::Exact,
                grouping: None,
                paging: None,
            }),
        };
        let statement = self.backend.render(&plan)?;
        let input = Input {
            values: vec![Value::Integer(rows as i64)],
            payload: None,
            options: Options {
                read_only: true,
                pre_request: self.config.pre_request.clone(),
                ..Options::default()
            },
        };
        Ok(self.backend.run(caller, &statement, input).await?)
    }
}

struct Looking<'a> {
    room: &'a DataRoom,
    caller: &'a Caller,
    catalog: &'a Catalog,
    relation: &'a Arc<Relation>,
    seen: Option<&'a (u64, Vec<Row>)>,
}

impl Looking<'_> {
    async fn select(&self) -> Result<Reached, Error> {
        let Some(columns) = self.granted(Privilege::Select) else {
            return Ok(Reached::Denied);
        };
        let Some(first) = columns.first().copied() else {
            return Ok(Reached::Denied);
        };
        let needs = Needs {
            select: vec![first],
            ..Needs::default()
        };
        let access = policy::authorize(self.catalog, &self.caller.role, self.relation, &needs)?;
        let source = Source {
            relation: self.relation.clone(),
            access,
        };
        let output = Output::Column {
            name: self.relation.columns[first].name.clone(),
            field: Field::column(first),
            cast: None,
        };
        match self
            .room
            .counted(self.caller, self.catalog, source, vec![output], 0)
            .await
        {
            Ok(outcome) => Ok(Reached::Rows {
                rows: outcome.total.unwrap_or(outcome.rows),
                columns: self.names(&columns),
            }),
            Err(Error::Backend(BackendError::Refused(error))) => Ok(Reached::Fails(error.sqlstate)),
            Err(error) => Err(error),
        }
    }

    fn insert(&self) -> Reached {
        let columns = self.granted(Privilege::Insert).filter(|_| self.relation.insertable);
        let Some(columns) = columns else {
            return Reached::Denied;
        };
        let is_checked = policy::row_security_applies(self.catalog, &self.caller.role, self.relation);
        let of_command = PolicyCommand::Insert;
        let applicable = policy::applicable(self.catalog, &self.caller.role, self.relation, of_command);
        match is_checked && applicable.permissive.is_empty() {
            true => Reached::NoPolicy,
            false => Reached::New {
                is_checked,
                columns: self.names(&columns),
            },
        }
    }

    /// Rows that an update or a delete with a filter finds: such a one reads, too.
    async fn found(&self, privilege: Privilege, is_taken: bool) -> Result<Reached, Error> {
        let Some(columns) = self.granted(privilege).filter(|_| is_taken) else {
            return Ok(Reached::Denied);
        };
        let is_update = privilege == Privilege::Update;
        let named = if is_update { self.names(&columns) } else { Vec::new() };
        let (Some((total, rows)), false) = (self.seen, self.relation.kind.is_view()) else {
            return Ok(Reached::Granted { columns: named });
        };
        if !policy::row_security_applies(self.catalog, &self.caller.role, self.relation) {
            return Ok(Reached::Rows {
                rows: *total,
                columns: named,
            });
        }
        let command = if is_update {
            PolicyCommand::Update
        } else {
            PolicyCommand::Delete
        };
        let applicable = policy::applicable(self.catalog, &self.caller.role, self.relation, command);
        if applicable.permissive.is_empty() {
            return Ok(Reached::NoPolicy);
        }
        if *total > rows.len() as u64 {
            return Ok(Reached::Granted { columns: named });
        }
        let needs = Needs {
            select_any: true,
            update: is_update.then(|| columns.clone()),
            delete: !is_update,
            ..Needs::default()
        };
        let asks = gates::asks(&needs);
        let mut passing = 0;
        for rows in rows.chunks(BATCH) {
            let question = Question {
                caller: self.caller,
                relation: self.relation,
                asks: &asks,
                of: Side::Existing,
                rows,
            };
            let tried = gates::tried(&*self.room.backend, self.catalog, question).await?;
            passing += tried.iter().filter(|row| row.passes == Some(true)).count() as u64;
        }
        Ok(Reached::Rows {
            rows: passing,
            columns: named,
        })
    }

    /// The columns that the privilege is held for; `None`: neither for one of them nor in the schema.
    fn granted(&self, privilege: Privilege) -> Option<Vec<ColumnIndex>> {
        let (catalog, role, relation) = (self.catalog, &self.caller.role, self.relation);
        if !super::grants::of_schema(catalog, role, &relation.name.schema).held {
            return None;
        }
        if privilege == Privilege::Delete {
            let held = policy::acl_allows(catalog, role, &relation.owner, &relation.acl, privilege);
            return held.then(Vec::new);
        }
        let columns: Vec<ColumnIndex> = (0..relation.columns.len())
            .filter(|column| policy::column_allows(catalog, role, relation, *column, privilege))
            .collect();
        (!columns.is_empty()).then_some(columns)
    }

    /// Their names; none if they are all that there are.
    fn names(&self, columns: &[ColumnIndex]) -> Vec<String> {
        if columns.len() == self.relation.columns.len() {
            return Vec::new();
        }
        let name = |column: &ColumnIndex| self.relation.columns[*column].name.to_string();
        columns.iter().map(name).collect()
    }
}
