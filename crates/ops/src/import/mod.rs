//! Bringing files into a table: CSV, JSON and NDJSON.
//!
//! | module | what |
//! |---|---|
//! | [`encoding`] | UTF-8, UTF-16, Windows-1252 |
//! | [`csv`] [`json`] | records with their lines |
//! | [`guess`] | a column's type from all its values |
//! | [`survey`] | the first reading of a file: columns, types, keys; nothing is written |
//! | [`table`] | `CREATE TABLE` for what was found; whether a file fits a table that is there |
//! | [`tables`] | `CREATE TABLE` for a whole database |
//! | [`dump`] | plain-text dumps of PostgreSQL's |
//! | [`load`] | the second reading: rows into the table, in bounded transactions |
//!
//! Rows go the way of requests' rows (a plan, as the table's owner), so types, defaults, checks, foreign keys and
//! triggers act as they do for everybody. Every row has a key, so a file may be imported again: what is there is
//! overwritten with the same values.

pub mod csv;
pub mod dump;
pub mod encoding;
pub mod guess;
pub mod json;
pub mod load;
pub mod survey;
pub mod table;
pub mod tables;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use csv::CsvReader;
use encoding::{Decoded, Encoding};
use json::JsonReader;

pub use guess::Guess;
pub use load::load;
pub use survey::{Survey, survey};
pub use table::Destination;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that the separator is guessed from.
const HEAD_BYTES: usize = 64 * 1024;

/// A record's line (or number) and its cells.
pub type Record = (u64, Vec<Cell>);

/// One value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    /// A text, or a JSON string without its quotes.
    Text(String),
    /// Any other JSON value as written.
    Json(String),
}

/// What is wrong with a file, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: u64,
    pub what: String,
}

impl Fault {
    /// A fault on `line`, from 1.
    pub fn at(line: u64, what: impl Into<String>) -> Self {
        Fault {
            line,
            what: what.into(),
        }
    }

    fn of(self, path: &Path) -> Error {
        Error::File {
            path: path.to_owned(),
            line: self.line,
            what: self.what,
        }
    }
}

/// How a file's records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv { separator: u8 },
    Json,
}

/// A file that can be read again from its beginning.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub format: Format,
    pub encoding: Encoding,
}

impl Source {
    /// Looks at the file's name and content. `None`: its name ends like none of the formats here.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_json = match ending.as_deref() {
            Some("csv" | "tsv" | "tab" | "txt") => false,
            Some("json" | "ndjson" | "jsonl") => true,
            _ => return Ok(None),
        };
        let unreadable = |error: std::io::Error| Fault::at(0, error.to_string()).of(path);
        let encoding = encoding::detect(&mut File::open(path).map_err(unreadable)?).map_err(unreadable)?;
        let mut source = Source {
            path: path.to_owned(),
            format: Format::Json,
            encoding,
        };
        if !is_json {
            let mut head = Vec::new();
            source
                .text()?
                .take(HEAD_BYTES as u64)
                .read_to_end(&mut head)
                .map_err(unreadable)?;
            source.format = Format::Csv {
                separator: csv::sniff(&head),
            };
        }
        Ok(Some(source))
    }

    /// The file's bytes, for a progress bar.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |data| data.len())
    }

    fn text(&self) -> Result<impl BufRead + Send + use<>, Error> {
        let file = File::open(&self.path).map_err(|error| Fault::at(0, error.to_string()).of(&self.path))?;
        Ok(BufReader::with_capacity(
            BUFFER_BYTES,
            Decoded::new(file, self.encoding),
        ))
    }

    /// Reads the records from the first. `known`: the columns as an earlier reading found them.
    fn records(&self, known: &[String]) -> Result<Records, Error> {
        let text: Box<dyn BufRead + Send> = Box::new(self.text()?);
        let mut records = Records {
            path: self.path.clone(),
            columns: known.to_vec(),
            reader: match self.format {
                Format::Csv { separator } => Reader::Csv(CsvReader::new(text, separator)),
                Format::Json => Reader::Json(JsonReader::new(text)),
            },
        };
        if let Reader::Csv(reader) = &mut records.reader {
            let header = reader.record().map_err(|fault| fault.of(&self.path))?;
            let Some((line, cells)) = header else {
                return Err(Fault::at(1, "the file is empty; its first line should name the columns").of(&self.path));
            };
            records.columns = cells
                .into_iter()
                .enumerate()
                .map(|(position, cell)| match cell {
                    Cell::Text(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
                    _ => Err(Fault::at(line, format!("column {} has no name", position + 1)).of(&self.path)),
                })
                .collect::<Result<_, _>>()?;
        }
        Ok(records)
    }
}

enum Reader {
    Csv(CsvReader<Box<dyn BufRead + Send>>),
    Json(JsonReader<Box<dyn BufRead + Send>>),
}

/// The records of a file one by one. In JSON, columns are found as they come.
struct Records {
    path: PathBuf,
    columns: Vec<String>,
    reader: Reader,
}

impl Records {
    /// The next record's line and cells, one per column known by then.
    fn next(&mut self) -> Result<Option<(u64, Vec<Cell>)>, Error> {
        match &mut self.reader {
            Reader::Csv(reader) => {
                let Some((line, cells)) = reader.record().map_err(|fault| fault.of(&self.path))? else {
                    return Ok(None);
                };
                if cells.len() != self.columns.len() {
                    let what = format!(
                        "{} fields, where the first line names {}",
                        cells.len(),
                        self.columns.len()
                    );
                    return Err(Fault::at(line, what).of(&self.path));
                }
                Ok(Some((line, cells)))
            }
            Reader::Json(reader) => {
                let Some((line, members)) = reader.record().map_err(|fault| fault.of(&self.path))? else {
                    return Ok(None);
                };
                let mut cells = vec![Cell::Null; self.columns.len()];
                for (name, cell) in members {
                    match self.columns.iter().position(|known| *known == name) {
                        // As in JavaScript, the last of two members with one name counts.
                        Some(position) => cells[position] = cell,
                        None => {
                            self.columns.push(name);
                            cells.push(cell);
                        }
                    }
                }
                Ok(Some((line, cells)))
            }
        }
    }
}
