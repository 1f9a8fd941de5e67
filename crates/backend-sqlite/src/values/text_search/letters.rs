//! The classes of characters that the parser asks for.
//!
//! The tables list what C.UTF-8 of the GNU C library calls a letter, and what PostgreSQL takes for a mark that does
//! not end a word: characters of no width and spacing vowel signs.

use std::sync::LazyLock;

/// Ranges of code points in order.
struct Table(Vec<(u32, u32)>);

impl Table {
    /// From hexadecimal numbers and ranges.
    fn read(text: &str) -> Self {
        let number = |digits: &str| u32::from_str_radix(digits, 16).unwrap_or_default();
        let range = |word: &str| match word.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None => (number(word), number(word)),
        };
        Table(text.split_whitespace().map(range).collect())
    }

    fn has(&self, c: char) -> bool {
        let code = u32::from(c);
        let after = self.0.partition_point(|(first, _)| *first <= code);
        after > 0 && self.0[after - 1].1 >= code
    }
}

static LETTERS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("letters.txt")));
static MARKS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("marks.txt")));

/// A letter of any script, or a digit that is none of 0 to 9.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphabetic()
    } else {
        LETTERS.has(c)
    }
}

/// A letter or a digit.
pub fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_digit() || is_letter(c)
}

/// A mark that a word may hold but not begin with.
pub fn is_mark(c: char) -> bool {
    !c.is_ascii() && MARKS.has(c)
}

/// White space; spaces that do not break count as none.
pub fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t'..='\r' | ' ' | '\u{1680}' | '\u{2000}'..='\u{2006}' | '\u{2008}'..='\u{200a}' | '\u{2028}' | '\u{2029}'
            | '\u{205f}' | '\u{3000}'
    )
}

/// What a URL's path may hold (RFC 3986, as PostgreSQL reads it).
pub fn is_url_character(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
}
