//! Logs: for people on a terminal, JSON lines otherwise; written in batches off the request's way.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for company.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Lines beyond this many waiting bytes make the writer write at once.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The log's buffer. Clones share it.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
    pub is_json: bool,
}

struct Shared {
    buffer: Mutex<Vec<u8>>,
    filled: Condvar,
}

impl Log {
    /// Starts the log on standard error and makes it `tracing`'s subscriber. `RUST_LOG` chooses levels.
    pub fn start() -> Self {
        let is_json = !std::io::stderr().is_terminal();
        let log = Log {
            shared: Arc::new(Shared {
                buffer: Mutex::new(Vec::new()),
                filled: Condvar::new(),
            }),
            is_json,
        };
        let background = log.clone();
        // Without the thread lines wait for `flush`, which every exit calls.
        let _ = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || background.run());
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(log.clone())
            .with_target(true);
        if is_json {
            builder.json().flatten_event(true).init();
        } else {
            builder.compact().init();
        }
        log
    }

    /// True if `RUST_LOG` lets lines of level INFO through, which those of requests are.
    pub fn has_info(&self) -> bool {
        LevelFilter::current() >= LevelFilter::INFO
    }

    /// Adds whole lines.
    pub fn write(&self, lines: &[u8]) {
        let mut buffer = self
            .shared
            .buffer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        buffer.extend_from_slice(lines);
        if buffer.len() > BATCH_BYTES_MAX {
            self.shared.filled.notify_one();
        }
    }

    /// Writes everything that waits.
    pub fn flush(&self) {
        let lines = std::mem::take(
            &mut *self
                .shared
                .buffer
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        // A log that cannot be written must not stop the server.
        let _ = std::io::stderr().lock().write_all(&lines);
    }

    fn run(&self) {
        loop {
            let buffer = self
                .shared
                .buffer
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let (buffer, _) = self
                .shared
                .filled
                .wait_timeout(buffer, FLUSH_EVERY)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let is_empty = buffer.is_empty();
            drop(buffer);
            if !is_empty {
                self.flush();
            }
        }
    }
}

/// A writer that `tracing` formats one event into.
pub struct Line {
    log: Log,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.log.write(&self.bytes);
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line {
            log: self.clone(),
            bytes: Vec::new(),
        }
    }
}
