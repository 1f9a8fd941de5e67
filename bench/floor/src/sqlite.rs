//! The operations on SQLite: reads on the async worker over a connection bound to its thread, with the snapshot held
//! until a commit; writes on one thread that commits in groups.

use crate::json::{Order, item, now_micros, open_order, timestamp};
use crate::{Operation, PAGE_ROWS, Result};
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags, Row, named_params, params};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Inserts that share one commit at most.
const GROUP_MAX: usize = 256;
const SCHEMA: &str = "
    create table customers (id text primary key, name text not null, email text not null unique, city text not null, created_at text not null) strict;
    create table products (id integer primary key, name text not null unique, description text not null, price text not null, stock integer not null) strict;
    create table orders (
      id integer primary key, customer_id text not null references customers (id),
      status text not null check (status in ('pending', 'paid', 'shipped', 'delivered', 'cancelled')),
      placed_at text not null, note text check (length(note) <= 500)) strict;
    create table order_items (
      order_id integer not null references orders (id), product_id integer not null references products (id),
      quantity integer not null check (quantity > 0), unit_price text not null, primary key (order_id, product_id)) strict;
    create index orders_customer_id_placed_at_idx on orders (customer_id, placed_at desc);
    create index order_items_product_id_idx on order_items (product_id);
";

/// Commits of this process; a reader whose snapshot is older begins anew.
static COMMITS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

struct Reader {
    connection: Connection,
    /// The commits that the open snapshot holds.
    commits: u64,
}

pub struct Store {
    path: String,
    writer: mpsc::Sender<Job>,
}

/// Orders to insert together.
struct Job {
    customer: String,
    notes: Vec<Option<String>>,
    done: oneshot::Sender<Result<Vec<(i64, String)>, rusqlite::Error>>,
}

/// Makes the database from the statements of `cargo xtask shop-data`.
pub fn load(sql: &str, database: &str) -> Result<()> {
    let text = std::fs::read_to_string(sql)?;
    // The sequences belong to PostgreSQL; here the next id is the largest plus one.
    let text: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("alter sequence"))
        .collect();
    let connection = Connection::open(database)?;
    connection.execute_batch("pragma journal_mode = wal; pragma synchronous = off;")?;
    connection.execute_batch(SCHEMA)?;
    // Strict text columns take a number's shortest form, so prices pass through a number to get their two digits back.
    connection.execute_batch(&format!(
        "begin;{text}
         update products set price = printf('%.2f', cast(price as real));
         update order_items set unit_price = printf('%.2f', cast(unit_price as real));
         commit; analyze; pragma wal_checkpoint(truncate);"
    ))?;
    Ok(())
}

impl Store {
    pub fn open(path: &str) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;")?;
        let (writer, jobs) = mpsc::channel();
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_groups(&connection, &jobs))?;
        Ok(Store {
            path: path.to_owned(),
            writer,
        })
    }

    pub async fn run(&self, customer: &str, operation: Operation) -> Result<Vec<u8>> {
        match operation {
            Operation::ReadOne { order } => self.read(|connection| read_one(connection, customer, order)),
            Operation::List => self.read(|connection| list(connection, customer)),
            Operation::History => self.read(|connection| history(connection, customer)),
            Operation::InsertOne { note } => {
                let inserted = self.insert(customer, vec![note.clone()]).await?;
                let mut out = vec![b'['];
                for (id, placed_at) in &inserted {
                    open_order(
                        &mut out,
                        &Order {
                            id: *id,
                            status: "pending",
                            placed_at,
                            note: note.as_deref(),
                        },
                    );
                    out.extend_from_slice(b"}");
                }
                out.push(b']');
                Ok(out)
            }
            Operation::InsertMany { notes } => {
                self.insert(customer, notes).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn insert(&self, customer: &str, notes: Vec<Option<String>>) -> Result<Vec<(i64, String)>> {
        let (done, finished) = oneshot::channel();
        self.writer
            .send(Job {
                customer: customer.to_owned(),
                notes,
                done,
            })
            .map_err(|_| "the writer has ended")?;
        Ok(finished.await??)
    }

    /// Reads on this thread, in a snapshot that holds every commit acknowledged so far.
    fn read(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<Vec<u8>>) -> Result<Vec<u8>> {
        READER.with_borrow_mut(|reader| {
            let commits = COMMITS.load(Ordering::Acquire);
            let reader = match reader {
                Some(reader) => {
                    if reader.commits != commits {
                        reader.connection.execute_batch("commit; begin")?;
                        reader.commits = commits;
                    }
                    reader
                }
                None => {
                    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                    let connection = Connection::open_with_flags(&self.path, flags)?;
                    // Without the stability guarantee SQLite compiles a statement anew whenever a bound value changes,
                    // once statistics were collected: 5 times the CPU on the history.
                    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
                    connection.execute_batch("pragma cache_size = -16000; begin")?;
                    reader.insert(Reader { connection, commits })
                }
            };
            Ok(work(&reader.connection)?)
        })
    }
}

fn order_of<'a>(row: &'a Row<'_>) -> rusqlite::Result<Order<'a>> {
    Ok(Order {
        id: row.get(0)?,
        status: row.get_ref(1)?.as_str()?,
        placed_at: row.get_ref(2)?.as_str()?,
        note: row.get_ref(3)?.as_str_or_null()?,
    })
}

fn read_one(connection: &Connection, customer: &str, order: i64) -> rusqlite::Result<Vec<u8>> {
    let sql = "select id, status, placed_at, note from orders where id = ?1 and customer_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![order, customer])?;
    let mut out = vec![b'['];
    if let Some(row) = rows.next()? {
        open_order(&mut out, &order_of(row)?);
        out.push(b'}');
    }
    out.push(b']');
    Ok(out)
}

fn page(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(
        "select id, status, placed_at, note from orders where customer_id = :customer order by placed_at desc limit :rows",
    )
}

fn list(connection: &Connection, customer: &str) -> rusqlite::Result<Vec<u8>> {
    let mut statement = page(connection)?;
    let mut rows = statement.query(named_params! { ":customer": customer, ":rows": PAGE_ROWS })?;
    let mut out = vec![b'['];
    while let Some(row) = rows.next()? {
        if out.len() > 1 {
            out.push(b',');
        }
        open_order(&mut out, &order_of(row)?);
        out.push(b'}');
    }
    out.push(b']');
    Ok(out)
}

fn history(connection: &Connection, customer: &str) -> rusqlite::Result<Vec<u8>> {
    let mut orders = page(connection)?;
    // `cross join` keeps the lines outside: the planner would scan a small products table for each order.
    // The policy of the lines asks for their order's owner; here the outer query has proved it.
    let mut items = connection.prepare_cached(
        "select i.quantity, i.unit_price, p.id, p.name from order_items i cross join products p where p.id = i.product_id and i.order_id = ?1",
    )?;
    let mut rows = orders.query(named_params! { ":customer": customer, ":rows": PAGE_ROWS })?;
    let mut out = vec![b'['];
    while let Some(row) = rows.next()? {
        if out.len() > 1 {
            out.push(b',');
        }
        let order = order_of(row)?;
        open_order(&mut out, &order);
        out.extend_from_slice(br#","order_items":["#);
        let mut lines = items.query([order.id])?;
        let start = out.len();
        while let Some(line) = lines.next()? {
            if out.len() > start {
                out.push(b',');
            }
            item(
                &mut out,
                line.get(0)?,
                line.get_ref(1)?.as_str()?,
                line.get(2)?,
                line.get_ref(3)?.as_str()?,
            );
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b']');
    Ok(out)
}

/// Commits what waits together, each job in a savepoint of its own.
fn write_groups(connection: &Connection, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        let begun = connection.execute_batch("begin immediate");
        let mut results: Vec<_> = group.iter().map(|job| insert(connection, job)).collect();
        let committed = begun.and_then(|()| connection.execute_batch("commit"));
        if let Err(error) = committed {
            eprintln!("commit: {error}");
            let _ = connection.execute_batch("rollback");
            results
                .iter_mut()
                .for_each(|result| *result = Err(rusqlite::Error::InvalidQuery));
        }
        COMMITS.fetch_add(1, Ordering::Release);
        for (job, result) in group.into_iter().zip(results) {
            // The client may have gone.
            let _ = job.done.send(result);
        }
    }
}

fn insert(connection: &Connection, job: &Job) -> rusqlite::Result<Vec<(i64, String)>> {
    connection.prepare_cached("savepoint job")?.execute([])?;
    let mut statement = connection
        .prepare_cached("insert into orders (customer_id, status, placed_at, note) values (?1, 'pending', ?2, ?3)")?;
    let placed_at = timestamp(now_micros());
    let mut inserted = Vec::with_capacity(job.notes.len());
    for note in &job.notes {
        if let Err(error) = statement.execute(params![job.customer, placed_at, note]) {
            connection.execute_batch("rollback to job; release job")?;
            return Err(error);
        }
        inserted.push((connection.last_insert_rowid(), placed_at.clone()));
    }
    connection.prepare_cached("release job")?.execute([])?;
    Ok(inserted)
}
