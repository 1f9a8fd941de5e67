//! Reads a plain-text dump of PostgreSQL's: its schema as one text, its rows block by block.
//!
//! What only steers the program that wrote or reads the dump (`SET`, `\connect`, owners, search paths) is left out;
//! `COPY … FROM stdin` blocks are found and passed over; sequences' positions are noted; everything else is the schema,
//! in its order.
//! Not here: whether the schema runs (the database says so), writing rows.
//!
//! Source: PostgreSQL 15 manual, pg_dump (plain format), COPY ("Text Format").

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::copy_text::unescape;
use mainstay_core::transfer::{Rows, SequencePosition};

use super::Fault;
use crate::error::Error;

/// Bytes of values in one chunk, about.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Rows in one chunk, at most.
const CHUNK_ROWS: usize = 10_000;

/// A dump taken apart.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    pub path: PathBuf,
    /// Everything but rows, as SQL.
    pub schema: String,
    pub blocks: Vec<Block>,
    pub positions: Vec<SequencePosition>,
}

/// The rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub table: QualifiedName,
    pub columns: Vec<String>,
    /// Where the first row begins: byte and line.
    pub offset: u64,
    pub line: u64,
    pub rows: u64,
}

/// Reads the whole dump once. Errors: no such file, no UTF-8, a block that does not end.
pub fn read(path: &Path) -> Result<Dump, Error> {
    let fault = |line: u64, what: String| Fault::at(line, what).of(path);
    let file = File::open(path).map_err(|error| fault(0, error.to_string()))?;
    let mut input = BufReader::new(file);
    let mut dump = Dump {
        path: path.to_owned(),
        ..Dump::default()
    };
    let (mut line, mut offset) = (0, 0);
    let mut text = Vec::new();
    let mut open: Option<Block> = None;
    loop {
        text.clear();
        let count = input
            .read_until(b'\n', &mut text)
            .map_err(|error| fault(line, error.to_string()))?;
        if count == 0 {
            break;
        }
        line += 1;
        offset += count as u64;
        if let Some(block) = &mut open {
            if text.trim_ascii_end() == b"\\." {
                dump.blocks.extend(open.take());
            } else {
                block.rows += 1;
            }
            continue;
        }
        let written = std::str::from_utf8(&text).map_err(|_| fault(line, "the dump is not UTF-8".into()))?;
        if let Some((table, columns)) = copy_header(written) {
            open = Some(Block {
                table,
                columns,
                offset,
                line: line + 1,
                rows: 0,
            });
        } else if let Some(position) = set_position(written) {
            dump.positions.push(position);
        } else if !steers(written) {
            dump.schema.push_str(written);
        }
    }
    match open {
        Some(block) => Err(fault(block.line, format!("the rows of {} do not end", block.table))),
        None => Ok(dump),
    }
}

/// Lines that are about the dump and not about the database.
fn steers(line: &str) -> bool {
    let line = line.trim_end();
    let ends = line.ends_with(';');
    line.starts_with('\\')
        || (ends && line.starts_with("SET "))
        || (ends && line.starts_with("SELECT pg_catalog.set_config("))
        || (ends && line.starts_with("ALTER ") && line.contains(" OWNER TO "))
        || line == "CREATE SCHEMA public;"
        || (ends && line.starts_with("COMMENT ON SCHEMA public "))
        || (ends && line.starts_with("COMMENT ON EXTENSION "))
}

/// `COPY schema.table (a, "b c") FROM stdin;`
fn copy_header(line: &str) -> Option<(QualifiedName, Vec<String>)> {
    let rest = line.trim_end().strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?;
    let (table, rest) = name(rest)?;
    let (table, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (second, rest) = name(rest)?;
            (QualifiedName::new(table, second), rest)
        }
        None => (QualifiedName::new("public", table), rest),
    };
    let mut list = rest.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let mut columns = Vec::new();
    while !list.is_empty() {
        let (column, rest) = name(list)?;
        columns.push(column);
        list = rest.strip_prefix(", ").unwrap_or(rest);
    }
    Some((table, columns))
}

/// A name at the beginning of `text`, quoted or not, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '$')));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            name.push(character);
        } else if characters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

/// `SELECT pg_catalog.setval('public.t_id_seq', 3, true);`
fn set_position(line: &str) -> Option<SequencePosition> {
    let rest = line
        .trim_end()
        .strip_prefix("SELECT pg_catalog.setval('")?
        .strip_suffix(");")?;
    let (sequence, rest) = rest.split_once("', ")?;
    let (value, is_called) = rest.split_once(", ")?;
    let (schema, rest) = name(sequence)?;
    let (sequence, _) = name(rest.strip_prefix('.')?)?;
    Some(SequencePosition {
        name: QualifiedName::new(schema, sequence),
        last_value: value.parse().ok()?,
        is_called: is_called == "true",
    })
}

/// The rows of one block, chunk by chunk.
pub struct BlockRows {
    input: BufReader<File>,
    width: usize,
    line: u64,
    is_end: bool,
    path: PathBuf,
}

/// Rows with the lines of the first and the last of them.
pub struct Lines {
    pub rows: Rows,
    pub first: u64,
    pub last: u64,
    /// The block ends here.
    pub is_end: bool,
}

impl BlockRows {
    /// Reads `block` from after its first `skipped` rows.
    pub fn open(dump: &Dump, block: &Block, skipped: u64) -> Result<Self, Error> {
        let fault = |error: std::io::Error| Fault::at(block.line, error.to_string()).of(&dump.path);
        let mut input = BufReader::new(File::open(&dump.path).map_err(fault)?);
        input.seek(SeekFrom::Start(block.offset)).map_err(fault)?;
        let mut text = Vec::new();
        for _ in 0..skipped {
            text.clear();
            input.read_until(b'\n', &mut text).map_err(fault)?;
        }
        Ok(BlockRows {
            input,
            width: block.columns.len(),
            line: block.line + skipped,
            is_end: false,
            path: dump.path.clone(),
        })
    }

    /// The next rows. Errors: a row with more or fewer fields than the block has columns.
    pub fn chunk(&mut self) -> Result<Lines, Error> {
        let first = self.line;
        let mut rows = Rows::new(self.width);
        let mut text = Vec::new();
        while !self.is_end && rows.len() < CHUNK_ROWS && rows.bytes() < CHUNK_BYTES {
            text.clear();
            let count = self
                .input
                .read_until(b'\n', &mut text)
                .map_err(|error| Fault::at(self.line, error.to_string()).of(&self.path))?;
            let line = text.strip_suffix(b"\n").unwrap_or(&text);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if count == 0 || line == b"\\." {
                self.is_end = true;
                break;
            }
            let fields = if self.width == 0 {
                0
            } else {
                line.split(|byte| *byte == b'\t').count()
            };
            if fields != self.width {
                let what = format!("{fields} fields, where there are {} columns", self.width);
                return Err(Fault::at(self.line, what).of(&self.path));
            }
            for field in line.split(|byte| *byte == b'\t').take(self.width) {
                match field {
                    b"\\N" => rows.push(None),
                    field => rows.push_with(|out| unescape(field, out)),
                }
            }
            rows.end_row();
            self.line += 1;
        }
        Ok(Lines {
            rows,
            first,
            last: self.line.saturating_sub(1),
            is_end: self.is_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_positions_are_read() {
        let (table, columns) = copy_header("COPY public.\"Odd \"\"t\"\"\" (id, \"a b\", c$1) FROM stdin;\n").unwrap();
        assert_eq!(table, QualifiedName::new("public", "Odd \"t\""));
        assert_eq!(columns, ["id", "a b", "c$1"]);
        assert_eq!(copy_header("COPY t (a) TO stdout;"), None);
        let position = set_position("SELECT pg_catalog.setval('public.t_id_seq', 7, true);\n").unwrap();
        assert_eq!(
            (position.name.to_string().as_str(), position.last_value),
            ("public.t_id_seq", 7)
        );
        assert!(position.is_called);
    }

    #[test]
    fn what_steers_is_left_out_and_the_rest_stays() {
        for line in [
            "SET statement_timeout = 0;\n",
            "\\restrict abc\n",
            "ALTER TABLE public.t OWNER TO me;\n",
        ] {
            assert!(steers(line), "{line}");
        }
        for line in [
            "CREATE TABLE public.t (\n",
            "    SET x = 1;\n",
            "ALTER TABLE ONLY public.t\n",
        ] {
            assert!(!steers(line), "{line}");
        }
    }
}
