//! Reads CSV: RFC 4180 with any of four separators, quotes known apart from their absence, lines and columns counted.
//!
//! An empty field without quotes is a null, with quotes an empty text, as PostgreSQL's `COPY … CSV` has it. Blank lines
//! are passed over. A quote inside an unquoted field stands for itself.
//!
//! Source: RFC 4180; PostgreSQL 15 manual, COPY ("CSV Format").

use std::io::BufRead;

use super::{Cell, Fault};

/// Separators that are looked for.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Lines that the separator is guessed from.
const SNIFF_LINES: usize = 20;

/// Bytes of one field, at most.
const FIELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The separator that splits the first lines most evenly; a comma if none does.
pub fn sniff(head: &[u8]) -> u8 {
    let mut best = (0, b',');
    for separator in SEPARATORS {
        let mut counts = Vec::new();
        let (mut count, mut is_quoted) = (0_usize, false);
        for byte in head {
            match *byte {
                b'"' => is_quoted = !is_quoted,
                b'\n' if !is_quoted => {
                    counts.push(count);
                    count = 0;
                    if counts.len() == SNIFF_LINES {
                        break;
                    }
                }
                byte if byte == separator && !is_quoted => count += 1,
                _ => {}
            }
        }
        if counts.is_empty() {
            counts.push(count);
        }
        let first = counts[0];
        let even = counts.iter().filter(|count| **count == first).count();
        // Even lines weigh more than many fields.
        let score = if first == 0 {
            0
        } else {
            even * 1_000 / counts.len() * 1_000 + first.min(999)
        };
        if score > best.0 {
            best = (score, separator);
        }
    }
    best.1
}

/// A reader of records.
pub struct CsvReader<R> {
    input: R,
    separator: u8,
    /// The line being read, from 1.
    line: u64,
}

/// How a field ended.
#[derive(PartialEq, Eq)]
enum End {
    Field,
    Record,
    File,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads from `input`, UTF-8 without a mark.
    pub fn new(input: R, separator: u8) -> Self {
        CsvReader {
            input,
            separator,
            line: 1,
        }
    }

    /// The next record and the line it begins at; `None` at the end.
    ///
    /// Errors: a quoted field that does not end; something between a closing quote and the separator; no UTF-8.
    pub fn record(&mut self) -> Result<Option<(u64, Vec<Cell>)>, Fault> {
        loop {
            let begins = self.line;
            let mut cells = Vec::new();
            loop {
                let (cell, end) = self.field(cells.len() + 1)?;
                let is_blank = cells.is_empty() && end != End::Field && cell == Cell::Null;
                cells.push(cell);
                match end {
                    End::Field => continue,
                    End::Record if is_blank => break,
                    End::File if is_blank => return Ok(None),
                    End::Record | End::File => return Ok(Some((begins, cells))),
                }
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Fault> {
        let buffer = self
            .input
            .fill_buf()
            .map_err(|error| Fault::at(self.line, error.to_string()))?;
        let Some(byte) = buffer.first().copied() else {
            return Ok(None);
        };
        self.input.consume(1);
        if byte == b'\n' {
            self.line += 1;
        }
        Ok(Some(byte))
    }

    fn field(&mut self, number: usize) -> Result<(Cell, End), Fault> {
        let begins = self.line;
        let fault = |what: &str| Fault::at(begins, format!("field {number} {what}"));
        let mut bytes = Vec::new();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| fault("is not UTF-8"));
        let first = match self.byte()? {
            Some(b'"') => loop {
                match self.byte()? {
                    None => return Err(fault("begins with a quote that nothing closes")),
                    Some(b'"') => match self.byte()? {
                        Some(b'"') => bytes.push(b'"'),
                        after => {
                            let end = self.end_of(after)?;
                            let end = end.ok_or_else(|| fault("goes on after its closing quote"))?;
                            return Ok((Cell::Text(text(bytes)?), end));
                        }
                    },
                    Some(byte) => bytes.push(byte),
                }
                if bytes.len() > FIELD_BYTES_MAX {
                    return Err(fault("is too long; a quote may be missing"));
                }
            },
            other => other,
        };
        let mut next = first;
        loop {
            if let Some(end) = self.end_of(next)? {
                let cell = if bytes.is_empty() {
                    Cell::Null
                } else {
                    Cell::Text(text(bytes)?)
                };
                return Ok((cell, end));
            }
            bytes.extend(next);
            next = self.byte()?;
        }
    }

    /// Whether a byte ends the field: a separator, a line's end, the file's end.
    fn end_of(&mut self, byte: Option<u8>) -> Result<Option<End>, Fault> {
        Ok(match byte {
            None => Some(End::File),
            Some(b'\n') => Some(End::Record),
            Some(b'\r') => {
                let buffer = self
                    .input
                    .fill_buf()
                    .map_err(|error| Fault::at(self.line, error.to_string()))?;
                match buffer.first() {
                    Some(b'\n') => {
                        self.byte()?;
                        Some(End::Record)
                    }
                    None => Some(End::File),
                    Some(_) => None,
                }
            }
            Some(byte) if byte == self.separator => Some(End::Field),
            Some(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<Cell>)>, Fault> {
        let mut reader = CsvReader::new(text.as_bytes(), sniff(text.as_bytes()));
        let mut found = Vec::new();
        while let Some(record) = reader.record()? {
            found.push(record);
        }
        Ok(found)
    }

    fn t(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn quotes_newlines_and_nulls() {
        let text = "a,b,c\r\n1,\"two\nlines \"\"quoted\"\"\",\r\n\r\n\"\",in \"the\" middle,3";
        assert_eq!(
            read(text).unwrap(),
            [
                (1, vec![t("a"), t("b"), t("c")]),
                (2, vec![t("1"), t("two\nlines \"quoted\""), Cell::Null]),
                (5, vec![t(""), t("in \"the\" middle"), t("3")]),
            ]
        );
    }

    #[test]
    fn faults_name_line_and_field() {
        let fault = read("a,b\n1,\"open\n").unwrap_err();
        assert_eq!(
            (fault.line, fault.what.as_str()),
            (2, "field 2 begins with a quote that nothing closes")
        );
        let fault = read("a,b\n\"x\"y,2\n").unwrap_err();
        assert_eq!(
            (fault.line, fault.what.as_str()),
            (2, "field 1 goes on after its closing quote")
        );
    }

    #[test]
    fn separators_are_guessed() {
        assert_eq!(sniff(b"a;b;c\n1,5;2;3\n2,5;3;4\n"), b';');
        assert_eq!(sniff(b"a\tb\n1\t\"x,y,z\"\n"), b'\t');
        assert_eq!(sniff(b"a|b\n1|2\n"), b'|');
        assert_eq!(sniff(b"alone\n1\n"), b',');
    }
}
