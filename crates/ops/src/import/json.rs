//! Reads JSON files of objects: one array of them, or one object after the other (NDJSON, or simply side by side).
//!
//! Objects are cut out of the text one by one, so a file may be larger than memory. Numbers keep the digits they are
//! written with.
//!
//! Source: RFC 8259.

use std::fmt;
use std::io::BufRead;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, Fault};

/// Bytes of one object, at most.
const OBJECT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The members of one object in order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMembers;
        impl<'de> Visitor<'de> for AsMembers {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(AsMembers)
    }
}

/// The line an object begins at, and its members.
pub type Object = (u64, Vec<(String, Cell)>);

/// A reader of objects.
pub struct JsonReader<R> {
    input: R,
    line: u64,
    is_in_array: bool,
}

impl<R: BufRead> JsonReader<R> {
    /// Reads from `input`, UTF-8 without a mark.
    pub fn new(input: R) -> Self {
        JsonReader {
            input,
            line: 1,
            is_in_array: false,
        }
    }

    /// The next object's members and the line it begins at; `None` at the end. A null is [`Cell::Null`], a string
    /// [`Cell::Text`], anything else [`Cell::Json`] as written.
    ///
    /// Errors: anything that is no object between the objects; an object that is not whole or not JSON.
    #[allow(
        clippy::type_complexity,
        reason = "a record with its line, as every reader here gives it"
    )]
    pub fn record(&mut self) -> Result<Option<Object>, Fault> {
        loop {
            match self.peek()? {
                None if self.is_in_array => return Err(Fault::at(self.line, "the array is not closed")),
                None => return Ok(None),
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',') => self.skip(),
                Some(b'[') if !self.is_in_array => {
                    self.is_in_array = true;
                    self.skip();
                }
                Some(b']') if self.is_in_array => {
                    self.is_in_array = false;
                    self.skip();
                }
                Some(b'{') => return self.object().map(Some),
                Some(other) => {
                    let what = format!("an object should begin here, not {:?}", char::from(other));
                    return Err(Fault::at(self.line, what));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        let buffer = self
            .input
            .fill_buf()
            .map_err(|error| Fault::at(self.line, error.to_string()))?;
        Ok(buffer.first().copied())
    }

    fn skip(&mut self) {
        if let Ok(buffer) = self.input.fill_buf() {
            if buffer.first() == Some(&b'\n') {
                self.line += 1;
            }
            self.input.consume(1);
        }
    }

    fn object(&mut self) -> Result<Object, Fault> {
        let begins = self.line;
        let mut text = Vec::new();
        let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                return Err(Fault::at(begins, "an object begins here and is not closed"));
            };
            self.skip();
            text.push(byte);
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_string => is_escaped = true,
                b'"' => is_string = !is_string,
                b'{' | b'[' if !is_string => depth += 1,
                b'}' | b']' if !is_string => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
            if text.len() > OBJECT_BYTES_MAX {
                return Err(Fault::at(begins, "an object is too long; a quote may be missing"));
            }
        }
        let members: Members = serde_json::from_slice(&text).map_err(|error| {
            let line = begins + (error.line() as u64).saturating_sub(1);
            Fault::at(line, format!("no JSON: {error}"))
        })?;
        let cell = |(name, raw): (String, Box<RawValue>)| {
            let raw = raw.get();
            let cell = match raw.as_bytes().first() {
                Some(b'n') => Cell::Null,
                Some(b'"') => {
                    let text = serde_json::from_str(raw);
                    Cell::Text(text.map_err(|error| Fault::at(begins, format!("no JSON: {error}")))?)
                }
                _ => Cell::Json(raw.to_owned()),
            };
            Ok((name, cell))
        };
        let cells: Result<Vec<(String, Cell)>, Fault> = members.0.into_iter().map(cell).collect();
        Ok((begins, cells?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Object>, Fault> {
        let mut reader = JsonReader::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(record) = reader.record()? {
            found.push(record);
        }
        Ok(found)
    }

    #[test]
    fn arrays_and_lines_are_the_same_and_numbers_keep_their_digits() {
        let array = read("[\n {\"a\": 1.50, \"b\": \"x}\\\"\"},\n {\"b\": null, \"c\": {\"d\": [1]}}\n]").unwrap();
        let lines = read("\n{\"a\": 1.50, \"b\": \"x}\\\"\"}\n{\"b\": null, \"c\": {\"d\": [1]}}\n").unwrap();
        assert_eq!(array, lines);
        assert_eq!(
            array,
            [
                (
                    2,
                    vec![
                        ("a".into(), Cell::Json("1.50".into())),
                        ("b".into(), Cell::Text("x}\"".into()))
                    ]
                ),
                (
                    3,
                    vec![
                        ("b".into(), Cell::Null),
                        ("c".into(), Cell::Json("{\"d\": [1]}".into()))
                    ]
                ),
            ]
        );
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(read("[{\"a\":1},\n1]").unwrap_err().line, 2);
        assert_eq!(read("[{\"a\":1}").unwrap_err().what, "the array is not closed");
        assert_eq!(read("{\"a\":1}\n{\"a\":\n x}").unwrap_err().line, 3);
        assert_eq!(read("{\"a\":1}\n{\"a\":").unwrap_err().line, 2);
    }
}
