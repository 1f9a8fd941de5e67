//! PostgreSQL 15, over the wire, in a database that goes with it.
//!
//! Questions are sent one behind the other without waiting for answers, so that round trips do not set the pace.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{Answer, Failure, Question, Rows};

/// What a session starts with: how values are spelled, and the roles that a project has.
const PREPARE: &str = "
do $$ begin
    if not exists (select from pg_roles where rolname = 'anon') then create role anon nologin; end if;
    if not exists (select from pg_roles where rolname = 'authenticated') then create role authenticated nologin; end if;
    if not exists (select from pg_roles where rolname = 'service_role') then create role service_role nologin bypassrls; end if;
exception when duplicate_object or unique_violation then null; end $$;
create schema auth;
grant usage on schema auth to public;
create function auth.uid() returns uuid language sql stable
    as $$ select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$;
create function auth.role() returns text language sql stable
    as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;
create function auth.jwt() returns jsonb language sql stable
    as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
";

/// What every connection sets.
const SETTINGS: &str = "
set timezone = 'UTC'; set synchronous_commit = off; set client_min_messages = error; set statement_timeout = '10s';
set jit = off; set default_transaction_isolation = 'read committed';
";

/// Identifiers from here on are those of objects that were made after the server was.
const FIRST_OWN_IDENTIFIER: u32 = 16_384;

/// A database of its own.
pub struct Server {
    client: Client,
    /// Each sequence with the call that sets it, as it was when last looked at.
    sequences: Mutex<Vec<String>>,
    administrator: String,
    database: String,
}

impl Server {
    /// Makes a database on the server at `url`, a superuser's.
    pub async fn new(url: &str) -> Result<Self, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let database = format!(
            "mainstay_fuzz_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let create =
            format!("create database {database} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'");
        administer(url, &create).await?;
        let client = connect(&in_database(url, &database)).await?;
        client.batch_execute(PREPARE).await?;
        client.batch_execute(SETTINGS).await?;
        Ok(Server {
            client,
            sequences: Mutex::default(),
            administrator: url.to_owned(),
            database,
        })
    }

    /// Empties the database.
    pub async fn clear(&self) -> Result<(), Failure> {
        self.client
            .batch_execute(
                "reset role; reset search_path; drop schema public cascade; create schema public; grant usage on schema public to public",
            )
            .await?;
        Ok(())
    }

    /// Drops the roles whose names begin with `prefix`: they belong to the cluster, not to a database.
    pub async fn drop_roles(&self, prefix: &str) -> Result<(), Failure> {
        let sql = format!("select rolname from pg_roles where rolname like '{prefix}%'");
        for message in self.client.simple_query(&sql).await? {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(name) = row.get(0)
            {
                // One that owns something in another database stays.
                let _ = self.client.batch_execute(&format!("drop role \"{name}\"")).await;
            }
        }
        Ok(())
    }

    /// Asks all of `questions`, in order; each is a transaction of its own.
    pub async fn ask(&self, questions: &[Question]) -> Vec<Answer> {
        join_all(questions.iter().map(|question| self.ask_one(question))).await
    }

    /// True after the server has ended the connection.
    pub fn is_gone(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks in a transaction that is kept only if the embedded engine, whose answer is `ours`, has done the same.
    pub async fn ask_in_transaction(&self, sql: &str, ours: &Answer) -> Answer {
        let question = Question {
            sql: sql.to_owned(),
            person: None,
            has_columns: true,
        };
        if self.client.batch_execute("begin").await.is_err() {
            return Answer::Broken("PostgreSQL: the connection is gone".into());
        }
        let typed = self.client.batch_execute("savepoint typed").await.is_ok();
        let types = if typed { self.types(sql).await } else { Vec::new() };
        // Preparing a statement that fails ends the transaction.
        let _ = self.client.batch_execute("rollback to typed").await;
        let mut answer = self
            .ask_one(&Question {
                has_columns: false,
                ..question
            })
            .await;
        if let Answer::Done(rows) = &mut answer {
            rows.types = types;
            let end = if matches!(ours, Answer::Done(_)) {
                "commit"
            } else {
                "set constraints all immediate; rollback"
            };
            if let Err(error) = self.client.batch_execute(end).await {
                answer = failed(&error);
            }
        }
        let _ = self.client.batch_execute("rollback").await;
        answer
    }

    /// Looks at the sequences; where what they were used for was not kept, they are set back: on the embedded engine
    /// they leave no gaps (documented difference 3).
    pub async fn keep_sequences(&self, was_kept: bool) {
        let states = self.sequence_states().await;
        let before = self
            .sequences
            .lock()
            .map(|mut held| std::mem::replace(&mut *held, states.clone()));
        let Ok(before) = before else { return };
        if was_kept || before == states {
            return;
        }
        for call in before.iter().filter(|call| !states.contains(call)) {
            // One that was dropped has nothing to be set.
            let _ = self.client.batch_execute(call).await;
        }
        if let Ok(mut held) = self.sequences.lock() {
            *held = before;
        }
    }

    async fn sequence_states(&self) -> Vec<String> {
        let sql = "select format('select pg_catalog.setval(%L, %s, %L)', format('%I.%I', schemaname, sequencename), \
                   coalesce(last_value, start_value), last_value is not null) from pg_catalog.pg_sequences order by 1";
        let mut found = Vec::new();
        for message in self.client.simple_query(sql).await.unwrap_or_default() {
            if let SimpleQueryMessage::Row(row) = message {
                found.extend(row.get(0).map(str::to_owned));
            }
        }
        found
    }

    /// True if PostgreSQL understands the query or write, and fails with `sqlstate` when it computes its constants,
    /// before any row.
    pub async fn planning_fails(&self, sql: &str, sqlstate: &str) -> bool {
        if !matches!(
            super::first_word(sql).as_str(),
            "select" | "with" | "values" | "insert" | "update" | "delete"
        ) {
            return false;
        }
        let understood = self.client.batch_execute(&format!("prepare understood as {sql}")).await;
        let planned = self.client.batch_execute(&format!("explain {sql}")).await;
        let _ = self.client.batch_execute("deallocate all").await;
        let code = planned
            .err()
            .and_then(|error| error.code().map(|code| code.code().to_owned()));
        understood.is_ok() && code.as_deref() == Some(sqlstate)
    }

    /// The columns' types. Types may have been renamed since they were last asked for.
    async fn types(&self, sql: &str) -> Vec<String> {
        self.client.clear_type_cache();
        match self.client.prepare(sql).await {
            Ok(statement) => statement
                .columns()
                .iter()
                .map(|column| spelled(column.type_().name(), column.type_modifier()))
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    /// True if `text` is the name or the identifier of something that a server brings along.
    pub async fn brings(&self, text: &str) -> bool {
        if let Ok(identifier) = text.parse::<u32>() {
            return identifier < FIRST_OWN_IDENTIFIER;
        }
        let name = text.replace('\'', "''");
        let sql = format!(
            "select from pg_class where oid < {FIRST_OWN_IDENTIFIER} and relname = '{name}'
             union all select from pg_proc where oid < {FIRST_OWN_IDENTIFIER} and proname = '{name}'
             union all select from pg_type where oid < {FIRST_OWN_IDENTIFIER} and typname = '{name}' limit 1"
        );
        matches!(self.client.simple_query(&sql).await, Ok(found) if found.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))))
    }

    async fn ask_one(&self, question: &Question) -> Answer {
        let sql = match &question.person {
            None => question.sql.clone(),
            // The statements of one message are one transaction.
            Some(person) => format!(
                "set local role {}; select set_config('request.jwt.claims', '{}', true); {}",
                person.role,
                person.claims(),
                question.sql
            ),
        };
        let types = async {
            if question.has_columns {
                self.types(&question.sql).await
            } else {
                Vec::new()
            }
        };
        let (types, messages) = futures_util::future::join(types, self.client.simple_query(&sql)).await;
        match messages {
            Ok(messages) => Answer::Done(rows(messages, types)),
            Err(error) => failed(&error),
        }
    }

    /// Drops the database.
    pub async fn close(self) -> Result<(), Failure> {
        drop(self.client);
        administer(
            &self.administrator,
            &format!("drop database if exists {} with (force)", self.database),
        )
        .await
    }
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        // It ends with an error only when the server has gone, which the next question sees.
        let _ = connection.await;
    });
    Ok(client)
}

async fn administer(url: &str, sql: &str) -> Result<(), Failure> {
    // Creating databases at once fails on the template's lock, so one tries again.
    let mut tries = 0;
    loop {
        let client = connect(url).await?;
        match client.batch_execute(sql).await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= 20 => return Err(error.into()),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn in_database(url: &str, database: &str) -> String {
    match url.rsplit_once('/') {
        Some((server, _)) => format!("{server}/{database}"),
        None => url.to_owned(),
    }
}

/// The rows of the last statement.
fn rows(messages: Vec<SimpleQueryMessage>, types: Vec<String>) -> Rows {
    let mut last = Rows::default();
    let mut current = Rows::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                current.names = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                let cells = 0..row.columns().len();
                current
                    .rows
                    .push(cells.map(|at| row.get(at).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                current.count = Some(count);
                last = std::mem::take(&mut current);
            }
            _ => {}
        }
    }
    last.types = types;
    last
}

fn failed(error: &tokio_postgres::Error) -> Answer {
    match error.as_db_error() {
        Some(error) => Answer::Error {
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
        },
        None => Answer::Broken(format!("PostgreSQL: {error}")),
    }
}

/// A type and its modifier as `format_type` spells them.
fn spelled(name: &str, modifier: i32) -> String {
    let element = name.strip_prefix('_');
    let base = match element.unwrap_or(name) {
        "bool" => "boolean",
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "varchar" => "character varying",
        "bpchar" => "character",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "time" => "time without time zone",
        "timetz" => "time with time zone",
        "char" => "\"char\"",
        other => other,
    };
    let suffix = if element.is_some() { "[]" } else { "" };
    // The header of a variable-length value counts in the modifiers of these types.
    let shown = match (base, modifier) {
        (_, ..0) => base.to_owned(),
        ("character varying" | "character", length) => format!("{base}({})", length - 4),
        // The scale is eleven bits with a sign.
        ("numeric", packed) => format!(
            "numeric({},{})",
            (packed - 4) >> 16,
            (((packed - 4) & 0x7FF) ^ 0x400) - 0x400
        ),
        // All fields, and a precision unless it is the full one.
        ("interval", packed) if packed >> 16 == 0x7FFF && packed & 0xFFFF != 0xFFFF => {
            format!("interval({})", packed & 0xFFFF)
        }
        ("timestamp with time zone" | "timestamp without time zone" | "time without time zone", digits) => {
            let (head, tail) = base.split_once(' ').unwrap_or((base, ""));
            format!("{head}({digits}) {tail}")
        }
        _ => base.to_owned(),
    };
    format!("{shown}{suffix}")
}
