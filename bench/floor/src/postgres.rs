//! The operations on PostgreSQL: role and claims set for each request under the same row security, everything of a
//! request sent in one burst, few connections shared by all.

use crate::json::{Order, POSTGRES_EPOCH_MICROS, item, open_order, timestamp};
use crate::{Operation, PAGE_ROWS, Result};
use futures_util::future::join4;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};

/// Reads share few connections; commits do not overlap within one, so writes want more.
const READ_CONNECTIONS: usize = 2;
const WRITE_CONNECTIONS: usize = 8;

pub struct Store {
    readers: Vec<Connection>,
    writers: Vec<Connection>,
    turn: AtomicUsize,
}

struct Connection {
    client: Client,
    /// Held while a request's messages are queued, so that two requests do not mix.
    queue: Mutex<()>,
    begin: Statement,
    settings: Statement,
    commit: Statement,
    read_one: Statement,
    list: Statement,
    history: Statement,
    insert_one: Statement,
    insert_many: Statement,
}

/// Microseconds since 1970.
struct Instant(i64);

impl<'a> FromSql<'a> for Instant {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self> {
        Ok(Instant(i64::from_be_bytes(raw.try_into()?) + POSTGRES_EPOCH_MICROS))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl Store {
    pub async fn connect(url: &str) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..READ_CONNECTIONS + WRITE_CONNECTIONS {
            connections.push(Connection::open(url).await?);
        }
        let writers = connections.split_off(READ_CONNECTIONS);
        Ok(Store {
            readers: connections,
            writers,
            turn: AtomicUsize::new(0),
        })
    }

    pub async fn run(&self, claims: &str, operation: Operation) -> Result<Vec<u8>> {
        let is_read = matches!(
            operation,
            Operation::ReadOne { .. } | Operation::List | Operation::History
        );
        let pool = if is_read { &self.readers } else { &self.writers };
        let on = &pool[self.turn.fetch_add(1, Ordering::Relaxed) % pool.len()];
        let rows = PAGE_ROWS;
        match operation {
            Operation::ReadOne { order } => Ok(orders(&on.burst(claims, &on.read_one, &[&order]).await?)),
            Operation::List => Ok(orders(&on.burst(claims, &on.list, &[&rows]).await?)),
            Operation::History => Ok(history(&on.burst(claims, &on.history, &[&rows]).await?)),
            Operation::InsertOne { note } => Ok(orders(&on.burst(claims, &on.insert_one, &[&note]).await?)),
            Operation::InsertMany { notes } => {
                on.burst(claims, &on.insert_many, &[&notes]).await?;
                Ok(Vec::new())
            }
        }
    }
}

impl Connection {
    async fn open(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("the database connection ended: {error}");
            }
        });
        let page = "select id, status::text, placed_at, note from orders order by placed_at desc limit $1";
        let history = format!(
            "select o.id, o.status, o.placed_at, o.note, i.quantity, i.unit_price::text, p.id, p.name
             from ({page}) o
             left join order_items i on i.order_id = o.id
             left join products p on p.id = i.product_id
             order by o.placed_at desc, o.id"
        );
        Ok(Connection {
            queue: Mutex::new(()),
            begin: client.prepare("begin").await?,
            settings: client
                .prepare("select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)")
                .await?,
            commit: client.prepare("commit").await?,
            read_one: client
                .prepare("select id, status::text, placed_at, note from orders where id = $1")
                .await?,
            list: client.prepare(page).await?,
            history: client.prepare(&history).await?,
            insert_one: client
                .prepare("insert into orders (note) values ($1) returning id, status::text, placed_at, note")
                .await?,
            insert_many: client
                .prepare("insert into orders (note) select * from unnest($1::text[])")
                .await?,
            client,
        })
    }

    /// Sends transaction, role, claims and statement together and waits for all.
    async fn burst(&self, claims: &str, statement: &Statement, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let settings: [&(dyn ToSql + Sync); 1] = [&claims];
        let mut all = pin!(join4(
            self.client.execute(&self.begin, &[]),
            self.client.query(&self.settings, &settings),
            self.client.query(statement, parameters),
            self.client.execute(&self.commit, &[]),
        ));
        // The first poll queues the four messages; the lock keeps them together.
        let first = poll_fn(|context| {
            let _queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Poll::Ready(all.as_mut().poll(context))
        })
        .await;
        let (begun, set, rows, committed) = match first {
            Poll::Ready(done) => done,
            Poll::Pending => all.await,
        };
        begun?;
        set?;
        let rows = rows?;
        committed?;
        Ok(rows)
    }
}

fn write_order(out: &mut Vec<u8>, row: &Row) -> i64 {
    let id = row.get(0);
    let placed_at: Instant = row.get(2);
    open_order(
        out,
        &Order {
            id,
            status: row.get(1),
            placed_at: &timestamp(placed_at.0),
            note: row.get(3),
        },
    );
    id
}

fn orders(rows: &[Row]) -> Vec<u8> {
    let mut out = vec![b'['];
    for row in rows {
        if out.len() > 1 {
            out.push(b',');
        }
        write_order(&mut out, row);
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// Folds the join's rows: one order, its lines after it.
fn history(rows: &[Row]) -> Vec<u8> {
    let mut out = vec![b'['];
    let mut open: Option<i64> = None;
    for row in rows {
        let id: i64 = row.get(0);
        let is_next_line = open == Some(id);
        if !is_next_line {
            if open.is_some() {
                out.extend_from_slice(b"]},");
            }
            open = Some(write_order(&mut out, row));
            out.extend_from_slice(br#","order_items":["#);
        }
        if let Some(quantity) = row.get::<_, Option<i32>>(4) {
            if is_next_line {
                out.push(b',');
            }
            item(&mut out, i64::from(quantity), row.get(5), row.get(6), row.get(7));
        }
    }
    if open.is_some() {
        out.extend_from_slice(b"]}");
    }
    out.push(b']');
    out
}
