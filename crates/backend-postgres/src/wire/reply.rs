//! Reads the server's answer to a burst.

use bytes::Bytes;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

/// An error as the server sent it.
#[derive(Clone, Debug)]
pub struct ServerError {
    /// `FATAL` and `PANIC` end the connection.
    pub fatal: bool,
    pub error: DatabaseError,
    /// The function of the server's source that raised it; unlike the message it is never translated.
    pub routine: String,
}

/// `INSERT 0 3` and the like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub tag: String,
}

impl Command {
    /// Rows affected or returned; 0 where the tag has no number.
    pub fn rows(&self) -> u64 {
        self.tag
            .rsplit(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0)
    }
}

/// The answer to one step of a burst.
#[derive(Debug, Default)]
pub struct StepReply {
    /// Type OIDs of the result's columns; only there when the step was prepared in this burst, or in a simple query.
    pub description: Option<Vec<u32>>,
    /// Column names, likewise.
    pub names: Vec<String>,
    /// Bodies of the rows: a 16-bit number of fields, then each field's 32-bit length (-1 is null) and bytes.
    pub rows: Vec<Bytes>,
    pub command: Command,
}

/// Splits a burst's answer into its steps.
pub struct ReplyReader {
    bytes: Bytes,
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Parsed {
    /// The steps that were completed, in order.
    pub steps: Vec<StepReply>,
    /// What stopped the rest, or failed at the commit.
    pub error: Option<ServerError>,
    /// `I` idle, `T` in a transaction, `E` in a failed one.
    pub status: u8,
}

impl ReplyReader {
    /// Reads the messages up to and with ReadyForQuery.
    pub fn new(bytes: Bytes) -> Self {
        ReplyReader { bytes }
    }

    /// Takes the answer apart; rows stay where they are and are shared.
    pub fn parse(self) -> Parsed {
        let mut parsed = Parsed {
            steps: Vec::with_capacity(4),
            error: None,
            status: b'I',
        };
        let mut current = StepReply::default();
        let mut at = 0;
        let bytes = &self.bytes;
        while let Some((tag, body, next)) = message(bytes, at) {
            match tag {
                b'D' => current.rows.push(bytes.slice(body..next)),
                b'T' => {
                    let (oids, names) = row_description(&bytes[body..next]);
                    current.description = Some(oids);
                    current.names = names;
                }
                b'C' => {
                    current.command.tag = text(&bytes[body..next]);
                    parsed.steps.push(std::mem::take(&mut current));
                }
                b'I' => parsed.steps.push(std::mem::take(&mut current)),
                // Later errors only say that the transaction had failed.
                b'E' if parsed.error.is_none() => parsed.error = Some(server_error(&bytes[body..next])),
                b'Z' => parsed.status = bytes.get(body).copied().unwrap_or(b'I'),
                _ => {}
            }
            at = next;
        }
        parsed
    }
}

/// The message at `at`: tag, where its body begins, where the next message begins.
pub(super) fn message(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let (tag, length) = head(bytes, at)?;
    let next = at + length;
    (next <= bytes.len()).then_some((tag, at + 5, next))
}

/// Tag and whole length of the message at `at`, which need not have arrived.
pub(super) fn head(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let head = bytes.get(at..at + 5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    Some((head[0], 1 + length.max(4)))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn row_description(body: &[u8]) -> (Vec<u32>, Vec<String>) {
    let (mut oids, mut names) = (Vec::new(), Vec::new());
    let mut at = 2;
    while at < body.len() {
        let Some(end) = body[at..].iter().position(|byte| *byte == 0) else {
            break;
        };
        names.push(String::from_utf8_lossy(&body[at..at + end]).into_owned());
        // After the name: table OID (4), column (2), type OID (4), length (2), modifier (4), format (2).
        let Some(field) = body.get(at + end + 1..at + end + 19) else {
            break;
        };
        oids.push(u32::from_be_bytes([field[6], field[7], field[8], field[9]]));
        at += end + 19;
    }
    (oids, names)
}

/// Reads the fields of an ErrorResponse.
pub fn server_error(body: &[u8]) -> ServerError {
    let mut error = DatabaseError::new("XX000", "");
    let mut fatal = false;
    let mut routine = String::new();
    let mut at = 0;
    while at < body.len() && body[at] != 0 {
        let code = body[at];
        let value = text(&body[at + 1..]);
        at += value.len() + 2;
        match code {
            b'V' => fatal = value == "FATAL" || value == "PANIC",
            b'R' => routine = value,
            b'C' => error.sqlstate = value,
            b'M' => error.message = value,
            b'D' => error.detail = Some(value),
            b'H' => error.hint = Some(value),
            b'P' => error.position = value.parse().ok(),
            b's' => error.schema = Some(Ident::from(value)),
            b't' => error.table = Some(Ident::from(value)),
            b'c' => error.column = Some(Ident::from(value)),
            b'n' => error.constraint = Some(Ident::from(value)),
            _ => {}
        }
    }
    ServerError { fatal, error, routine }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn an_answer_is_split_by_step_and_keeps_the_first_error() {
        let mut bytes = framed(b'2', b"");
        bytes.extend(framed(b'D', &[0, 1, 0, 0, 0, 1, b'x']));
        bytes.extend(framed(b'C', b"SELECT 1\0"));
        bytes.extend(framed(b'N', b"SNOTICE\0\0"));
        bytes.extend(framed(b'E', b"SERROR\0VERROR\0C23505\0Mduplicate\0nkey\0P12\0\0"));
        bytes.extend(framed(b'Z', b"E"));
        let parsed = ReplyReader::new(Bytes::from(bytes)).parse();
        assert_eq!(parsed.steps.len(), 1);
        assert_eq!((parsed.steps[0].command.rows(), parsed.steps[0].rows.len()), (1, 1));
        let error = parsed.error.unwrap().error;
        assert_eq!((error.sqlstate.as_str(), error.position), ("23505", Some(12)));
        assert_eq!(error.constraint, Some(Ident::new("key")));
        assert_eq!(parsed.status, b'E');
    }
}
