//! Reads request grammars and, when they are not met, says where and what was expected, in Parsec's words.
//!
//! Clients and tests rely on PostgREST's PGRST100 texts, and those are made by Parsec's rules of merging what each
//! abandoned alternative expected. So the rules are kept here once, and the grammars beside this file are written with
//! them. Not here: any grammar.
//!
//! Source: the behaviour of Haskell's `parsec` 3.1 (`mergeError`, `<?>`, `try`, `many`, `showErrorMessages`).

use std::fmt::Write as _;

use smallvec::SmallVec;

/// The reader gave up; [`Reader::report`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// What a grammar rule gives.
pub type Read<T> = Result<T, Stop>;

/// Nested groups and embeds deeper than this are refused rather than risk the stack.
const DEPTH_MAX: u32 = 64;

/// One remark about a place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remark {
    /// What stood there, as a quoted string; `None` at the end.
    Found(Option<char>),
    /// What stood there though it must not, as a quoted character.
    Forbidden(char),
    /// A named thing was expected.
    Expected(&'static str),
    /// Literal text was expected.
    ExpectedText(&'static str),
    /// A character was expected.
    ExpectedChar(char),
}

#[derive(Clone, Debug, Default)]
struct Failure {
    at: usize,
    remarks: SmallVec<[Remark; 6]>,
}

impl Failure {
    fn none(at: usize) -> Self {
        Failure {
            at,
            remarks: SmallVec::new(),
        }
    }

    /// Keeps the failure that is further on; at one place, both.
    fn merge(self, other: Failure) -> Failure {
        if other.remarks.is_empty() && !self.remarks.is_empty() {
            return self;
        }
        if self.remarks.is_empty() && !other.remarks.is_empty() {
            return other;
        }
        match self.at.cmp(&other.at) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => {
                let mut merged = self;
                merged.remarks.extend(other.remarks);
                merged
            }
        }
    }

    fn relabel(&mut self, label: &'static str) {
        self.remarks
            .retain(|remark| matches!(remark, Remark::Found(_) | Remark::Forbidden(_)));
        self.remarks.push(Remark::Expected(label));
    }
}

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters; a tab goes to the next multiple of eight.
    pub column: u32,
    /// `unexpected … expecting …`.
    pub text: String,
    /// The nesting limit was met rather than the grammar missed.
    pub is_too_deep: bool,
}

/// A place in a text, with what was expected there.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    failure: Failure,
    depth: u32,
    is_too_deep: bool,
}

impl<'a> Reader<'a> {
    /// Begins at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Reader {
            text,
            at: 0,
            failure: Failure::none(0),
            depth: 0,
            is_too_deep: false,
        }
    }

    /// Runs one rule over the whole of a text; what follows it is not looked at.
    pub fn read<T>(text: &'a str, rule: impl FnOnce(&mut Self) -> Read<T>) -> Result<T, Report> {
        let mut reader = Reader::new(text);
        rule(&mut reader).map_err(|Stop| reader.report())
    }

    /// The character at hand.
    pub fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// The rest of the text; it is consumed.
    pub fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        self.at = self.text.len();
        self.failure = Failure::none(self.at);
        rest
    }

    /// Takes one character that `test` accepts.
    pub fn satisfy(&mut self, test: impl FnOnce(char) -> bool) -> Read<char> {
        match self.peek() {
            Some(found) if test(found) => {
                self.at += found.len_utf8();
                self.failure = Failure::none(self.at);
                Ok(found)
            }
            found => {
                self.remark(&[Remark::Found(found)]);
                Err(Stop)
            }
        }
    }

    /// Takes `wanted`.
    pub fn char(&mut self, wanted: char) -> Read<char> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += found.len_utf8();
                self.failure = Failure::none(self.at);
                Ok(found)
            }
            found => {
                self.remark(&[Remark::Found(found), Remark::ExpectedChar(wanted)]);
                Err(Stop)
            }
        }
    }

    /// Takes `wanted`. A text that agrees with its beginning only counts as begun.
    pub fn string(&mut self, wanted: &'static str) -> Read<()> {
        let start = self.at;
        let mut matched = 0;
        let mut rest = self.text[start..].chars();
        for expected in wanted.chars() {
            match rest.next() {
                Some(found) if found == expected => matched += found.len_utf8(),
                found => {
                    let failure = Failure {
                        at: start,
                        remarks: SmallVec::from_slice(&[Remark::Found(found), Remark::ExpectedText(wanted)]),
                    };
                    if matched == 0 {
                        let outer = std::mem::take(&mut self.failure);
                        self.failure = outer.merge(failure);
                    } else {
                        self.at = start + matched;
                        self.failure = failure;
                    }
                    return Err(Stop);
                }
            }
        }
        self.at = start + matched;
        self.failure = Failure::none(self.at);
        Ok(())
    }

    /// Takes the end of the text.
    pub fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => {
                self.remark(&[Remark::Found(None), Remark::Expected("end of input")]);
                Ok(())
            }
            Some(found) => {
                self.remark(&[Remark::Forbidden(found), Remark::Expected("end of input")]);
                Err(Stop)
            }
        }
    }

    /// Names what `rule` expects, should it take nothing.
    pub fn labelled<T>(&mut self, label: &'static str, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let start = self.at;
        let outer = std::mem::replace(&mut self.failure, Failure::none(start));
        let result = rule(self);
        if self.at == start {
            if result.is_err() || !self.failure.remarks.is_empty() {
                self.failure.relabel(label);
            }
            let own = std::mem::take(&mut self.failure);
            self.failure = outer.merge(own);
        }
        result
    }

    /// Runs `rule`; if it gives up, nothing was taken.
    pub fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let start = self.at;
        let outer = std::mem::replace(&mut self.failure, Failure::none(start));
        let result = rule(self);
        if result.is_err() {
            self.at = start;
        }
        if self.at == start {
            let own = std::mem::take(&mut self.failure);
            self.failure = outer.merge(own);
        }
        result
    }

    /// Runs `first`, and `second` if `first` gave up without taking anything.
    pub fn or<T>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Read<T>,
        second: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<T> {
        let start = self.at;
        match first(self) {
            Err(Stop) if self.at == start => second(self),
            result => result,
        }
    }

    /// Runs `rule` if it can begin.
    pub fn optional<T>(&mut self, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        self.or(|reader| rule(reader).map(Some), |_| Ok(None))
    }

    /// Checks that `rule` could be read here, and stays.
    pub fn look_ahead<T>(&mut self, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let start = self.at;
        let outer = std::mem::replace(&mut self.failure, Failure::none(start));
        let result = rule(self);
        if result.is_ok() {
            self.at = start;
            self.failure = outer;
        } else if self.at == start {
            let own = std::mem::take(&mut self.failure);
            self.failure = outer.merge(own);
        }
        result
    }

    /// Gives up if a character that `test` accepts is next.
    pub fn not_followed_by(&mut self, test: impl FnOnce(char) -> bool) -> Read<()> {
        match self.peek() {
            Some(found) if test(found) => {
                let failure = Failure {
                    at: self.at + found.len_utf8(),
                    remarks: SmallVec::from_slice(&[Remark::Forbidden(found)]),
                };
                let outer = std::mem::take(&mut self.failure);
                self.failure = outer.merge(failure);
                Err(Stop)
            }
            found => {
                self.remark(&[Remark::Found(found)]);
                Ok(())
            }
        }
    }

    /// Runs `rule` as often as it can begin.
    pub fn many<T>(&mut self, mut rule: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut found = Vec::new();
        loop {
            let start = self.at;
            if !found.is_empty() {
                self.failure = Failure::none(start);
            }
            match rule(self) {
                Ok(item) => {
                    if self.at == start {
                        return Ok(found);
                    }
                    found.push(item);
                }
                Err(Stop) if self.at == start => return Ok(found),
                Err(Stop) => return Err(Stop),
            }
        }
    }

    /// One or more of `rule` with `separator` between them.
    pub fn separated<T, S>(
        &mut self,
        mut rule: impl FnMut(&mut Self) -> Read<T>,
        mut separator: impl FnMut(&mut Self) -> Read<S>,
    ) -> Read<Vec<T>> {
        let first = rule(self)?;
        let mut all = vec![first];
        all.extend(self.many(|reader| {
            separator(reader)?;
            rule(reader)
        })?);
        Ok(all)
    }

    /// Any number of `rule`, also none, with `separator` between them.
    pub fn separated_or_none<T, S>(
        &mut self,
        rule: impl FnMut(&mut Self) -> Read<T>,
        separator: impl FnMut(&mut Self) -> Read<S>,
    ) -> Read<Vec<T>> {
        self.or(|reader| reader.separated(rule, separator), |_| Ok(Vec::new()))
    }

    /// The longest run, also an empty one, of characters that `test` accepts. Nothing is said to be expected after it.
    pub fn run(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find(|c| !test(c)).unwrap_or(rest.len());
        self.at = start + length;
        if length > 0 {
            self.failure = Failure::none(self.at);
        }
        let next = self.peek();
        self.remark(&[Remark::Found(next)]);
        &self.text[start..self.at]
    }

    /// Runs `rule` with blanks and tabs allowed around it.
    pub fn lexeme<T>(&mut self, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.run(|c| c == ' ' || c == '\t');
        let item = rule(self)?;
        self.run(|c| c == ' ' || c == '\t');
        Ok(item)
    }

    /// Runs `rule` one level deeper, within the nesting limit.
    pub fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH_MAX {
            self.is_too_deep = true;
            return Err(Stop);
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// True once the nesting limit was met; rules that try alternatives check it so as not to try them at every level.
    pub fn is_too_deep(&self) -> bool {
        self.is_too_deep
    }

    /// What went wrong, after a rule gave up.
    pub fn report(&self) -> Report {
        let (mut line, mut column) = (1, 1);
        for passed in self.text[..self.failure.at].chars() {
            match passed {
                '\n' => (line, column) = (line + 1, 1),
                '\t' => column += 8 - (column - 1) % 8,
                _ => column += 1,
            }
        }
        Report {
            line,
            column,
            text: describe(&self.failure.remarks),
            is_too_deep: self.is_too_deep,
        }
    }

    fn remark(&mut self, remarks: &[Remark]) {
        let outer = std::mem::take(&mut self.failure);
        self.failure = outer.merge(Failure {
            at: self.at,
            remarks: SmallVec::from_slice(remarks),
        });
    }
}

/// `unexpected "x" expecting a, b or c`.
fn describe(remarks: &[Remark]) -> String {
    let mut forbidden: Vec<String> = Vec::new();
    let mut expected: Vec<String> = Vec::new();
    let mut found = None;
    for remark in remarks {
        match remark {
            Remark::Found(what) => {
                found.get_or_insert(*what);
            }
            Remark::Forbidden(what) => push_new(&mut forbidden, format!("'{}'", escape(*what, '\''))),
            Remark::Expected(label) => push_new(&mut expected, (*label).to_owned()),
            Remark::ExpectedText(text) => push_new(&mut expected, format!("\"{text}\"")),
            Remark::ExpectedChar(char) => push_new(&mut expected, format!("\"{}\"", escape(*char, '"'))),
        }
    }
    let mut text = String::new();
    match (forbidden.is_empty(), found) {
        (false, _) => text.push_str(&format!("unexpected {}", enumerate(&forbidden))),
        (true, Some(None)) => text.push_str("unexpected end of input"),
        (true, Some(Some(what))) => text.push_str(&format!("unexpected \"{}\"", escape(what, '"'))),
        (true, None) => {}
    }
    if !expected.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "expecting {}", enumerate(&expected));
    }
    if text.is_empty() {
        "unknown parse error".to_owned()
    } else {
        text
    }
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn enumerate(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

/// A character as Haskell's `show` writes it: beyond ASCII, its decimal number.
fn escape(character: char, quote: char) -> String {
    match character {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\\' => "\\\\".into(),
        '\u{7f}' => "\\DEL".into(),
        c if c == quote => format!("\\{c}"),
        c if c.is_ascii() && !c.is_ascii_control() => c.to_string(),
        c => format!("\\{}", u32::from(c)),
    }
}
