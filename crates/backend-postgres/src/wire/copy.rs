//! A connection for one task that copies: `COPY` in both directions, rows passed on as they come.
//!
//! The shared [`Connection`](super::Connection) keeps an answer whole until it ends; a copy may be larger than memory.
//!
//! Source: PostgreSQL 15 manual, 55.2.5 (COPY operations), 55.7 (message formats).

use bytes::{Bytes, BytesMut};
use mainstay_core::error::BackendError;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::reply::{ReplyReader, message, server_error};
use super::startup::{ConnectError, Opened, ReadHalf, Target, WriteHalf};
use super::{Closed, ServerError, StepReply};
use crate::errors::{closed, refused};

/// Bytes asked from the socket at a time, at least.
const READ_BYTES: usize = 64 * 1024;

/// Bytes in one `CopyData` message.
const COPY_DATA_BYTES: usize = 256 * 1024;

/// A connection that belongs to one task.
pub struct CopyConnection {
    reader: ReadHalf,
    writer: WriteHalf,
    input: BytesMut,
}

impl CopyConnection {
    /// Connects and signs in.
    pub async fn open(target: &Target) -> Result<Self, ConnectError> {
        let Opened {
            reader, writer, rest, ..
        } = target.open().await?;
        Ok(CopyConnection {
            reader,
            writer,
            input: rest,
        })
    }

    /// Runs statements, results as text.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<StepReply>, BackendError> {
        self.send(|out| frontend::query(sql, out)).await?;
        // Rows are kept: what is asked here is small.
        let mut answer = BytesMut::new();
        loop {
            let (tag, bytes) = self.next().await?;
            answer.extend_from_slice(&bytes);
            if tag == b'Z' {
                break;
            }
        }
        let parsed = ReplyReader::new(answer.freeze()).parse();
        match parsed.error {
            Some(error) => Err(refused(error)),
            None => Ok(parsed.steps),
        }
    }

    /// Runs one `COPY … TO STDOUT` and hands every line to `take`. After an error of `take` the rest is let pass.
    pub async fn copy_out(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), BackendError> + Send,
    ) -> Result<(), BackendError> {
        self.send(|out| frontend::query(sql, out)).await?;
        let mut result = Ok(());
        loop {
            let (tag, bytes) = self.next().await?;
            match tag {
                b'd' if result.is_ok() => result = take(bytes.get(5..).unwrap_or_default()),
                b'E' if result.is_ok() => result = Err(refused(error_of(&bytes))),
                b'Z' => return result,
                _ => {}
            }
        }
    }

    /// Runs one `COPY … FROM STDIN` with `data`.
    pub async fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<(), BackendError> {
        self.send(|out| frontend::query(sql, out)).await?;
        let mut result = Ok(());
        loop {
            let (tag, bytes) = self.next().await?;
            match tag {
                b'G' => {
                    for part in data.chunks(COPY_DATA_BYTES) {
                        let message = frontend::CopyData::new(part).map_err(|_| closed(Closed))?;
                        self.send(|out| {
                            message.write(out);
                            Ok(())
                        })
                        .await?;
                    }
                    self.send(|out| {
                        frontend::copy_done(out);
                        Ok(())
                    })
                    .await?;
                }
                b'E' => result = Err(refused(error_of(&bytes))),
                b'Z' => return result,
                _ => {}
            }
        }
    }

    async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<(), std::io::Error>,
    ) -> Result<(), BackendError> {
        let mut out = BytesMut::new();
        write(&mut out).map_err(|error| BackendError::Internal(error.to_string()))?;
        let written = self.writer.write_all(&out).await;
        written.map_err(|_| closed(Closed))
    }

    /// The next message: its tag, and all of it.
    async fn next(&mut self) -> Result<(u8, Bytes), BackendError> {
        loop {
            if let Some((tag, _, end)) = message(&self.input, 0) {
                return Ok((tag, self.input.split_to(end).freeze()));
            }
            self.input.reserve(READ_BYTES);
            match self.reader.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(closed(Closed)),
                Ok(_) => {}
            }
        }
    }
}

fn error_of(message: &[u8]) -> ServerError {
    server_error(message.get(5..).unwrap_or_default())
}
