//! Where a node stands: byte offsets of the parser turned into lines and character positions.

use std::cell::Cell;

use mainstay_core::error::DatabaseError;

use crate::ast::Unsupported;

/// Levels of nested expressions in a statement. With [`QUERY_LEVELS`] it keeps analysis, emission and drop of a tree
/// within a thread's usual 2 MB even in an unoptimised build.
pub(crate) const DEPTH_MAX: u32 = 200;

/// What a nested query counts for.
pub(crate) const QUERY_LEVELS: u32 = 8;

/// Bytes between two entries of [`Context::counts`].
const BLOCK_BYTES: usize = 256;

/// One statement's place in the text that was parsed.
#[derive(Clone, Debug)]
pub(crate) struct Context<'a> {
    source: &'a str,
    /// Byte offset of the statement's first character in `source`.
    start: usize,
    /// Byte offset behind the statement's last character.
    end: usize,
    /// The statement's first line, from 1.
    line: u32,
    /// Characters of the statement before each block of its bytes; empty for ASCII, where bytes are characters.
    counts: Vec<u32>,
    /// How deep the conversion stands in nested expressions and queries.
    depth: Cell<u32>,
    /// False: every [position](Self::position) is 0.
    is_placed: bool,
}

impl<'a> Context<'a> {
    /// The statement at `start..end` of `source`, which begins on `line`.
    pub(crate) fn new(source: &'a str, start: usize, end: usize, line: u32) -> Self {
        let text = source.get(start..end).unwrap_or_default();
        let mut counts = Vec::new();
        if !text.is_ascii() {
            let mut total = 0;
            for block in text.as_bytes().chunks(BLOCK_BYTES) {
                counts.push(total);
                total += count(block);
            }
        }
        Context {
            source,
            start,
            end,
            line,
            counts,
            depth: Cell::new(0),
            is_placed: true,
        }
    }

    /// For a text that becomes a part of another one, whose places it must not be taken for.
    pub(crate) fn without_positions(mut self) -> Self {
        self.is_placed = false;
        self
    }

    /// Runs `convert` so many levels further in. Trees are walked by recursion, also on threads with small stacks, so
    /// their depth is limited where they are made.
    ///
    /// Errors: 54001 above [`DEPTH_MAX`].
    pub(crate) fn nested<T>(
        &self,
        levels: u32,
        location: i32,
        convert: impl FnOnce() -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let before = self.depth.get();
        if before + levels > DEPTH_MAX {
            let error = DatabaseError::new("54001", "stack depth limit exceeded").detail(format!(
                "Expressions may be nested {DEPTH_MAX} deep, queries {}.",
                DEPTH_MAX / QUERY_LEVELS
            ));
            return Err(match self.position(location) {
                0 => error,
                position => error.at(position),
            });
        }
        self.depth.set(before + levels);
        let result = convert();
        self.depth.set(before);
        result
    }

    /// The statement's own text.
    pub(crate) fn text(&self) -> &'a str {
        self.source.get(self.start..self.end).unwrap_or_default()
    }

    /// The statement's text from a parser's byte offset on.
    pub(crate) fn text_from(&self, location: i32) -> &'a str {
        usize::try_from(location)
            .ok()
            .and_then(|at| self.source.get(at..self.end))
            .unwrap_or_default()
    }

    /// The 1-based character position in the statement of a parser's byte offset in the whole text; 0 if unknown.
    pub(crate) fn position(&self, location: i32) -> u32 {
        if !self.is_placed {
            return 0;
        }
        let Some(offset) = usize::try_from(location).ok().and_then(|at| at.checked_sub(self.start)) else {
            return 0;
        };
        if self.counts.is_empty() {
            return offset as u32 + 1;
        }
        let block = (offset / BLOCK_BYTES).min(self.counts.len() - 1);
        let bytes = self.text().as_bytes();
        let from = block * BLOCK_BYTES;
        self.counts[block] + count(&bytes[from..offset.min(bytes.len())]) + 1
    }

    /// The 1-based line in the whole text on which the statement starts.
    pub(crate) fn statement_line(&self) -> u32 {
        self.line
    }

    /// The 1-based line in the whole text of a parser's byte offset; the statement's own line if unknown.
    pub(crate) fn line(&self, location: i32) -> u32 {
        let at = usize::try_from(location)
            .unwrap_or(self.start)
            .clamp(self.start, self.source.len());
        self.line + newlines(&self.source.as_bytes()[self.start..at])
    }

    /// A part that only PostgreSQL has, as an error.
    pub(crate) fn refuse(&self, feature: &str, location: i32, alternative: Option<&str>) -> DatabaseError {
        let error = DatabaseError::unavailable(feature, "", self.line(location), alternative);
        match self.position(location) {
            0 => error,
            position => error.at(position),
        }
    }

    /// A statement that only PostgreSQL has.
    pub(crate) fn unsupported(&self, feature: &str, object: &str, alternative: Option<&str>) -> Unsupported {
        Unsupported {
            feature: feature.to_owned(),
            object: object.to_owned(),
            line: self.line,
            alternative: alternative.map(str::to_owned),
        }
    }
}

/// Characters that begin in these bytes.
fn count(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() as u32
}

/// Line feeds in these bytes.
pub(crate) fn newlines(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_lines_count_in_the_whole_text() {
        let source = "\n\nselect 'ä', b";
        let ctx = Context::new(source, 2, source.len(), 3);
        assert_eq!(ctx.position(2), 1);
        assert_eq!(ctx.position(source.find('b').unwrap() as i32), 13);
        assert_eq!(ctx.line(5), 3);
        assert_eq!(ctx.position(-1), 0);
    }

    #[test]
    fn positions_in_long_texts_count_by_blocks() {
        let source = format!("select '{}', b", "ü".repeat(1000));
        let ctx = Context::new(&source, 0, source.len(), 1);
        let at = source.len() - 1;
        assert_eq!(ctx.position(at as i32) as usize, source[..at].chars().count() + 1);
    }
}
