//! One connection, shared: bursts go out back to back, answers come back in the same order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mainstay_core::backend::ANSWER_BYTES_MAX;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};

use super::reply::{head, message};
use super::startup::{ConnectError, Opened, ReadHalf, Target, WriteHalf};
use super::statement::{Preparation, StatementCache, StatementText};
use super::{Closed, ReplyReader};
use crate::errors::ANSWER_TOO_LARGE;

/// Bytes asked from the socket at a time, at least.
const READ_BYTES: usize = 16 * 1024;

/// A `NOTIFY` that arrived.
#[derive(Clone, Debug)]
pub struct Notification {
    pub channel: String,
    pub payload: String,
}

/// One statement of a burst.
pub struct Step<'a> {
    pub statement: &'a StatementText,
    /// Values in text format; `None` is null.
    pub parameters: &'a [Option<&'a [u8]>],
    /// Result formats, 0 text and 1 binary: none (all text), one for all, or one per column.
    pub formats: &'a [i16],
}

/// A connection that any number of tasks may send bursts on.
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Notify,
    in_flight: AtomicUsize,
    /// Milliseconds since `born` when an answer last came, or when the queue was last empty.
    progress_ms: AtomicU64,
    born: Instant,
    closing: AtomicBool,
    closed: AtomicBool,
    /// Dropped with the connection, so that whoever listens learns of its end.
    notifications: Mutex<Option<mpsc::UnboundedSender<Notification>>>,
    parameters: Mutex<std::collections::HashMap<String, String>>,
    /// The time zone the session began with; later reports are those of single transactions.
    time_zone: String,
}

struct State {
    outgoing: BytesMut,
    pending: VecDeque<Pending>,
    statements: StatementCache,
}

struct Pending {
    reply: oneshot::Sender<Bytes>,
    /// Statements this burst parses under a name, in order.
    parses: Vec<Parse>,
}

#[derive(Clone, Copy)]
struct Parse {
    id: u64,
    named: bool,
}

/// The answer to a burst, when it comes.
pub struct Reply {
    receiver: oneshot::Receiver<Bytes>,
}

impl Reply {
    /// Waits for the answer. Errors: the connection ended first.
    pub async fn wait(self) -> Result<super::reply::Parsed, Closed> {
        self.receiver
            .await
            .map(|bytes| ReplyReader::new(bytes).parse())
            .map_err(|_| Closed)
    }
}

impl Connection {
    /// Connects and signs in. `unnamed_only`: never keep prepared statements (transaction-mode poolers).
    pub async fn open(
        target: &Target,
        unnamed_only: bool,
        notifications: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<Arc<Connection>, ConnectError> {
        let Opened {
            reader,
            writer,
            parameters,
            rest,
        } = target.open().await?;
        let time_zone = parameters.get("TimeZone").cloned().unwrap_or_default();
        let shared = Arc::new(Shared {
            time_zone,
            state: Mutex::new(State {
                outgoing: BytesMut::new(),
                pending: VecDeque::new(),
                statements: StatementCache::new(unnamed_only),
            }),
            wake: Notify::new(),
            in_flight: AtomicUsize::new(0),
            progress_ms: AtomicU64::new(0),
            born: Instant::now(),
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            notifications: Mutex::new(notifications),
            parameters: Mutex::new(parameters),
        });
        tokio::spawn(write_loop(shared.clone(), writer));
        tokio::spawn(read_loop(shared.clone(), reader, rest));
        Ok(Arc::new(Connection { shared }))
    }

    /// Queues a burst: every step's messages back to back, then one Sync. Without an explicit `BEGIN` among the steps
    /// the burst is one transaction, committed by the Sync; after an error the server skips the rest and rolls back.
    pub fn send(&self, steps: &[Step<'_>]) -> Result<Reply, Closed> {
        self.enqueue(|state, parses| encode_burst(state, steps, parses))
    }

    /// Queues a burst that begins with `BEGIN`, and what ends its transaction as a burst of its own right behind it:
    /// after an error the server skips to the Sync, and would skip the end too if it stood before.
    pub fn send_ended(&self, steps: &[Step<'_>], end: Step<'_>) -> Result<(Reply, Reply), Closed> {
        let mut state = self.shared.state();
        let first = self.enqueue_in(&mut state, |state, parses| encode_burst(state, steps, parses))?;
        let second = self.enqueue_in(&mut state, |state, parses| encode_burst(state, &[end], parses))?;
        drop(state);
        self.shared.wake.notify_one();
        Ok((first, second))
    }

    /// Queues a simple query: any number of statements, results as text.
    pub fn send_simple(&self, sql: &str) -> Result<Reply, Closed> {
        self.enqueue(|state, _| {
            // Fails only on a NUL byte, which the server would refuse as well: then an empty query goes out.
            if frontend::query(sql, &mut state.outgoing).is_err() {
                let _ = frontend::query("", &mut state.outgoing);
            }
        })
    }

    fn enqueue(&self, write: impl FnOnce(&mut State, &mut Vec<Parse>)) -> Result<Reply, Closed> {
        let reply = self.enqueue_in(&mut self.shared.state(), write)?;
        self.shared.wake.notify_one();
        Ok(reply)
    }

    fn enqueue_in(&self, state: &mut State, write: impl FnOnce(&mut State, &mut Vec<Parse>)) -> Result<Reply, Closed> {
        let (reply, receiver) = oneshot::channel();
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Closed);
        }
        let mut parses = Vec::new();
        write(state, &mut parses);
        state.pending.push_back(Pending { reply, parses });
        if self.shared.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.shared.touch();
        }
        Ok(Reply { receiver })
    }

    /// Prepares `id` anew the next time.
    pub fn forget(&self, id: u64) {
        self.shared.state().statements.forget(id);
    }

    /// Bursts sent and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// How long the oldest burst has waited without any answer, in milliseconds; 0 when idle.
    pub fn stalled_ms(&self) -> u64 {
        if self.in_flight() == 0 {
            return 0;
        }
        let now = self.shared.born.elapsed().as_millis() as u64;
        now.saturating_sub(self.shared.progress_ms.load(Ordering::Relaxed))
    }

    /// True once the server or the network has ended it.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// A parameter the server reports, such as `TimeZone` or `server_version`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.shared
            .parameters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The time zone the session began with.
    pub fn time_zone(&self) -> &str {
        &self.shared.time_zone
    }

    /// Says goodbye once everything queued has been sent.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while encoding would leave a torn burst behind, but encoding does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.progress_ms
            .store(self.born.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Drops every waiting reply, so that those who wait learn of it.
    fn fail(&self) {
        let mut state = self.state();
        self.closed.store(true, Ordering::Release);
        state.pending.clear();
        self.in_flight.store(0, Ordering::Relaxed);
        drop(state);
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.wake.notify_one();
    }
}

fn encode_burst(state: &mut State, steps: &[Step<'_>], parses: &mut Vec<Parse>) {
    for step in steps {
        encode(state, step, parses);
    }
    frontend::sync(&mut state.outgoing);
}

fn encode(state: &mut State, step: &Step<'_>, parses: &mut Vec<Parse>) {
    let out = &mut state.outgoing;
    let name = match state.statements.prepare(step.statement.id) {
        Preparation::Ready(name) => name,
        Preparation::Parse { name, close } => {
            if let Some(old) = close {
                // Names of ours hold no NUL byte, so none of these can fail.
                let _ = frontend::close(b'S', &old, out);
            }
            let sql: &str = &step.statement.sql;
            if frontend::parse(&name, sql, std::iter::empty(), out).is_err() {
                let _ = frontend::parse(&name, "", std::iter::empty(), out);
            }
            let _ = frontend::describe(b'S', &name, out);
            parses.push(Parse {
                id: step.statement.id,
                named: !name.is_empty(),
            });
            name
        }
    };
    let _ = frontend::bind(
        "",
        &name,
        std::iter::empty(),
        step.parameters.iter(),
        |value, buffer| match value {
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        },
        step.formats.iter().copied(),
        out,
    );
    let _ = frontend::execute("", 0, out);
}

async fn write_loop(shared: Arc<Shared>, mut writer: WriteHalf) {
    loop {
        let chunk = shared.state().outgoing.split();
        if !chunk.is_empty() {
            if writer.write_all(&chunk).await.is_err() || writer.flush().await.is_err() {
                break;
            }
            continue;
        }
        if shared.closed.load(Ordering::Acquire) {
            break;
        }
        if shared.closing.load(Ordering::Acquire) {
            let mut goodbye = BytesMut::new();
            frontend::terminate(&mut goodbye);
            let _ = writer.write_all(&goodbye).await;
            let _ = writer.shutdown().await;
            return;
        }
        shared.wake.notified().await;
    }
    let _ = writer.shutdown().await;
    shared.fail();
}

async fn read_loop(shared: Arc<Shared>, mut reader: ReadHalf, mut buffer: BytesMut) {
    let mut scanned = 0;
    let mut parses_done = 0;
    // Bytes of a row that are thrown away, and whether some of this answer were.
    let mut unwanted = 0;
    let mut is_cut = false;
    loop {
        let thrown = buffer.len().min(unwanted);
        buffer.advance(thrown);
        unwanted -= thrown;
        while unwanted == 0
            && let Some((tag, length)) = head(&buffer, scanned)
        {
            if tag == b'D' && (is_cut || scanned + length > ANSWER_BYTES_MAX) {
                is_cut = true;
                buffer.advance(scanned);
                scanned = 0;
                let thrown = buffer.len().min(length);
                buffer.advance(thrown);
                unwanted = length - thrown;
                continue;
            }
            let Some((tag, body, next)) = message(&buffer, scanned) else {
                break;
            };
            match tag {
                b'Z' => {
                    let mut answer = buffer.split_to(next).freeze();
                    if std::mem::take(&mut is_cut) {
                        answer = cut_short(&answer[scanned..]);
                    }
                    scanned = 0;
                    complete(&shared, answer, std::mem::take(&mut parses_done));
                    continue;
                }
                b'1' => parses_done += 1,
                b'A' => notify(&shared, &buffer[body..next]),
                b'S' => {
                    let mut parts = buffer[body..next].split(|byte| *byte == 0).map(String::from_utf8_lossy);
                    if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                        let mut known = shared.parameters.lock().unwrap_or_else(PoisonError::into_inner);
                        known.insert(name.into_owned(), value.into_owned());
                    }
                }
                // COPY FROM STDIN cannot be served; refusing it keeps the connection in step.
                b'G' => {
                    let mut state = shared.state();
                    let _ = frontend::copy_fail("COPY FROM STDIN is not supported here", &mut state.outgoing);
                    drop(state);
                    shared.wake.notify_one();
                }
                _ => {}
            }
            scanned = next;
        }
        buffer.reserve(READ_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    shared.fail();
}

/// The answer that says that its rows were too many; `ready` is its last message.
fn cut_short(ready: &[u8]) -> Bytes {
    let fields = format!("SERROR\0C{ANSWER_TOO_LARGE}\0Mthe answer is too large\0\0");
    let mut answer = BytesMut::with_capacity(fields.len() + ready.len() + 5);
    answer.put_u8(b'E');
    answer.put_u32(fields.len() as u32 + 4);
    answer.put_slice(fields.as_bytes());
    answer.put_slice(ready);
    answer.freeze()
}

fn complete(shared: &Shared, answer: Bytes, parses_done: usize) {
    let pending = {
        let mut state = shared.state();
        let pending = state.pending.pop_front();
        if let Some(pending) = &pending {
            for (index, parse) in pending.parses.iter().enumerate().filter(|(_, parse)| parse.named) {
                state.statements.parsed(parse.id, index < parses_done);
            }
            shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        shared.touch();
        pending
    };
    if let Some(pending) = pending {
        // Nobody waits any more when the request was dropped.
        let _ = pending.reply.send(answer);
    }
}

fn notify(shared: &Shared, body: &[u8]) {
    let sender = shared.notifications.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(sender) = &*sender else { return };
    let mut parts = body
        .get(4..)
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy);
    if let (Some(channel), Some(payload)) = (parts.next(), parts.next()) {
        let _ = sender.send(Notification {
            channel: channel.into_owned(),
            payload: payload.into_owned(),
        });
    }
}
