//! `LIKE`, `ILIKE`, `SIMILAR TO` and regular expressions with PostgreSQL's meaning.
//!
//! Regular expressions are translated and run by a linear-time engine; those with back references or lookaround run by
//! one that backtracks, with a limit. Alternatives match leftmost-first where PostgreSQL takes the longest: this is
//! seen only where a match is extracted or replaced, never in `~`.
//!
//! Source: PostgreSQL manual, 9.7.

use super::errors::{PgError, Result};
use super::text;

/// Steps of the backtracking engine per match.
const BACKTRACK_STEPS_MAX: usize = 200_000;
/// Bytes of a compiled expression.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Highest count in `{m,n}`.
const REPEAT_MAX: u32 = 255;

/// `text LIKE pattern`. `escape` is `None` when there is none. Errors: 22025.
pub fn like(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    let (t, p) = (text.as_bytes(), pattern.as_bytes());
    let mut mark = [0u8; 4];
    let mark: &[u8] = escape.map_or(&[], |c| c.encode_utf8(&mut mark).as_bytes());
    let is_escape = |at: usize| !mark.is_empty() && p[at..].starts_with(mark);
    let (mut at, mut pat) = (0, 0);
    // Where to go on after a mismatch: the pattern behind the last `%`, and the text it was last tried at.
    let mut retry: Option<(usize, usize)> = None;
    // Only wildcards since the last `%`: PostgreSQL looks at what follows them even at the text's end.
    let mut in_wildcards = false;
    while at < t.len() {
        let mut matched = false;
        if pat < p.len() {
            if is_escape(pat) {
                let literal = pat + mark.len();
                if literal >= p.len() {
                    return Err(unfinished());
                }
                let width = char_width(p[literal]);
                if t[at..].starts_with(&p[literal..(literal + width).min(p.len())]) {
                    at += width;
                    pat = literal + width;
                    matched = true;
                    in_wildcards = false;
                }
            } else if p[pat] == b'%' {
                pat += 1;
                retry = Some((pat, at));
                matched = true;
                in_wildcards = true;
            } else if p[pat] == b'_' {
                at += char_width(t[at]);
                pat += 1;
                matched = true;
            } else if p[pat] == t[at] {
                at += 1;
                pat += 1;
                matched = true;
                in_wildcards = false;
            }
        }
        if matched {
            if pat == p.len() && retry.is_some_and(|(behind, _)| behind == pat) {
                return Ok(true);
            }
            continue;
        }
        match retry {
            None => return Ok(false),
            Some((behind, from)) => {
                let mut next = from + char_width(t[from]);
                // Jump to the next place where the pattern's first byte stands.
                if behind < p.len() && !matches!(p[behind], b'%' | b'_') && !is_escape(behind) {
                    match memchr::memchr(p[behind], t.get(next..).unwrap_or_default()) {
                        Some(skip) => next += skip,
                        None => return Ok(false),
                    }
                }
                retry = Some((behind, next));
                (at, pat) = (next, behind);
                in_wildcards = false;
            }
        }
    }
    let mut rest = pat;
    while p.get(rest) == Some(&b'%') && !is_escape(rest) {
        rest += 1;
    }
    if in_wildcards && is_escape(rest) && rest + mark.len() >= p.len() {
        return Err(unfinished());
    }
    Ok(rest == p.len())
}

fn unfinished() -> PgError {
    PgError::new("22025", "LIKE pattern must not end with escape character")
}

fn char_width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// `text ILIKE pattern`: both are made lower case first. Errors: 22025.
pub fn ilike(text: &str, pattern: &str, escape: Option<char>) -> Result<bool> {
    if text.is_ascii() && pattern.is_ascii() {
        return like(&text.to_ascii_lowercase(), &pattern.to_ascii_lowercase(), escape);
    }
    like(&text::lower(text), &text::lower(pattern), escape)
}

/// The character of an `ESCAPE` clause; the empty text means none. Errors: 22025.
pub fn escape_character(text: &str) -> Result<Option<char>> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(PgError::new("22025", "invalid escape string").hint("Escape string must be empty or one character.")),
    }
}

/// Where a match and its groups begin and end, in bytes; the whole match comes first.
pub type Groups = Vec<Option<(usize, usize)>>;

/// A compiled regular expression.
#[derive(Debug)]
pub enum Pattern {
    Linear(regex::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

/// What the flags of `regexp_replace` and friends say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub ignore_case: bool,
    pub global: bool,
    pub newline: bool,
    pub expanded: bool,
    pub literal: bool,
}

impl Flags {
    /// Reads flag letters. Errors: 22023.
    pub fn parse(letters: &str) -> Result<Flags> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'g' => flags.global = true,
                'i' => flags.ignore_case = true,
                'c' => flags.ignore_case = false,
                'n' | 'm' => flags.newline = true,
                's' => flags.newline = false,
                'x' => flags.expanded = true,
                't' => flags.expanded = false,
                'q' => flags.literal = true,
                'e' => {}
                _ => {
                    return Err(PgError::new(
                        "22023",
                        format!("invalid regular expression option: \"{letter}\""),
                    ));
                }
            }
        }
        Ok(flags)
    }
}

fn invalid(reason: &str) -> PgError {
    PgError::new("2201B", format!("invalid regular expression: {reason}"))
}

impl Pattern {
    /// Compiles PostgreSQL's syntax. Errors: 2201B.
    pub fn new(source: &str, mut flags: Flags) -> Result<Pattern> {
        let mut body = source;
        if let Some(rest) = body.strip_prefix("***=") {
            flags.literal = true;
            body = rest;
        } else if let Some(rest) = body.strip_prefix("***:") {
            body = rest;
        }
        if !flags.literal
            && let Some(rest) = body.strip_prefix("(?")
            && let Some((letters, rest)) = rest.split_once(')')
            && !letters.is_empty()
            && letters.bytes().all(|byte| byte.is_ascii_lowercase())
        {
            let own = Flags::parse(letters).map_err(|_| invalid("invalid embedded option"))?;
            flags.ignore_case = own.ignore_case || (flags.ignore_case && !letters.contains('c'));
            flags.newline |= own.newline;
            flags.expanded |= own.expanded;
            flags.literal |= own.literal;
            body = rest;
        }
        let translated = if flags.literal {
            Translated::plain(regex::escape(body))
        } else {
            Translator::new(body, flags).run()?
        };
        let mut options = String::from(if flags.newline { "(?m" } else { "(?s" });
        if flags.ignore_case {
            options.push('i');
        }
        options.push(')');
        let full = options + &translated.text;
        if translated.needs_backtracking {
            return fancy_regex::RegexBuilder::new(&full)
                .backtrack_limit(BACKTRACK_STEPS_MAX)
                .build()
                .map(|compiled| Pattern::Backtracking(Box::new(compiled)))
                .map_err(|_| invalid("not available on the embedded engine"));
        }
        regex::RegexBuilder::new(&full)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map(Pattern::Linear)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
                _ => invalid("not available on the embedded engine"),
            })
    }

    /// True if the expression matches anywhere. Errors: 2201B past the limit.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Pattern::Linear(compiled) => Ok(compiled.is_match(text)),
            Pattern::Backtracking(compiled) => compiled
                .is_match(text)
                .map_err(|_| invalid("regular expression is too complex")),
        }
    }

    /// The first match at or after byte `from`: the whole and each group.
    pub fn captures_at(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        Ok(match self {
            Pattern::Linear(compiled) => compiled.captures_at(text, from).map(|found| {
                found
                    .iter()
                    .map(|group| group.map(|group| (group.start(), group.end())))
                    .collect()
            }),
            Pattern::Backtracking(compiled) => compiled
                .captures_from_pos(text, from)
                .map_err(|_| invalid("regular expression is too complex"))?
                .map(|found| {
                    found
                        .iter()
                        .map(|group| group.map(|group| (group.start(), group.end())))
                        .collect()
                }),
        })
    }

    /// Every match, left to right; an empty match moves on by one character.
    pub fn all(&self, text: &str) -> Result<Vec<Groups>> {
        self.all_from(text, 0)
    }

    /// The same from byte `from` on.
    pub fn all_from(&self, text: &str, mut from: usize) -> Result<Vec<Groups>> {
        let mut found = Vec::new();
        while from <= text.len() {
            let Some(groups) = self.captures_at(text, from)? else {
                break;
            };
            let Some(Some((start, end))) = groups.first().copied() else {
                break;
            };
            found.push(groups);
            from = if end > start {
                end
            } else {
                end + text[end..].chars().next().map_or(1, char::len_utf8)
            };
        }
        Ok(found)
    }

    /// `regexp_replace`: `\1`…`\9`, `\&` and `\\` in the replacement.
    pub fn replace(&self, text: &str, replacement: &str, global: bool) -> Result<String> {
        let matches = if global {
            self.all(text)?
        } else {
            self.captures_at(text, 0)?.into_iter().collect()
        };
        Ok(replaced(text, replacement, matches))
    }
}

/// `text` with the replacement in place of these matches.
pub fn replaced(text: &str, replacement: &str, matches: Vec<Groups>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for groups in matches {
        let Some(Some((start, end))) = groups.first().copied() else {
            continue;
        };
        out.push_str(&text[from..start]);
        let mut rest = replacement;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let mut after = rest[at + 1..].chars();
            let group = |index: usize| {
                groups
                    .get(index)
                    .copied()
                    .flatten()
                    .map_or("", |(start, end)| &text[start..end])
            };
            match after.next() {
                Some('&') => out.push_str(group(0)),
                Some(digit @ '1'..='9') => out.push_str(group(digit as usize - '0' as usize)),
                Some('\\') | None => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
            }
            rest = after.as_str();
        }
        out.push_str(rest);
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Rust syntax, and whether it needs back references or lookaround.
struct Translated {
    text: String,
    needs_backtracking: bool,
}

impl Translated {
    fn plain(text: String) -> Self {
        Translated {
            text,
            needs_backtracking: false,
        }
    }
}

struct Translator<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    depth: usize,
    flags: Flags,
    needs_backtracking: bool,
    /// Something stands before that a quantifier may follow.
    has_atom: bool,
    /// Capturing groups opened so far.
    groups: u32,
    /// The depths at which a lookaround is open; no quantifier may follow one.
    lookarounds: Vec<usize>,
}

impl<'a> Translator<'a> {
    fn new(source: &'a str, flags: Flags) -> Self {
        Translator {
            chars: source.chars().peekable(),
            out: String::with_capacity(source.len() + 8),
            depth: 0,
            flags,
            needs_backtracking: false,
            has_atom: false,
            groups: 0,
            lookarounds: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Translated> {
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' => self.open()?,
                ')' => {
                    if self.depth == 0 {
                        return Err(invalid("parentheses () not balanced"));
                    }
                    self.has_atom = self.lookarounds.last() != Some(&self.depth);
                    if !self.has_atom {
                        self.lookarounds.pop();
                    }
                    self.depth -= 1;
                    self.out.push(')');
                }
                '|' => {
                    self.out.push('|');
                    self.has_atom = false;
                }
                '*' | '+' | '?' => self.quantifier(c)?,
                '{' if self.chars.peek().is_some_and(char::is_ascii_digit) => self.bound()?,
                '{' | '}' | ']' => self.literal(c),
                '^' => {
                    self.out.push('^');
                    self.has_atom = false;
                }
                '$' => {
                    self.out.push('$');
                    self.has_atom = false;
                }
                '.' => {
                    self.out.push_str(if self.flags.newline { "[^\\n]" } else { "." });
                    self.has_atom = true;
                }
                c if self.flags.expanded && c.is_ascii_whitespace() => {}
                '#' if self.flags.expanded => while self.chars.next_if(|c| *c != '\n').is_some() {},
                c => self.literal(c),
            }
        }
        if self.depth > 0 {
            return Err(invalid("parentheses () not balanced"));
        }
        Ok(Translated {
            text: self.out,
            needs_backtracking: self.needs_backtracking,
        })
    }

    fn literal(&mut self, c: char) {
        if regex_syntax_special(c) {
            self.out.push('\\');
        }
        self.out.push(c);
        self.has_atom = true;
    }

    fn open(&mut self) -> Result<()> {
        self.depth += 1;
        self.out.push('(');
        self.has_atom = false;
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
            match self.chars.next() {
                Some(':') => self.out.push(':'),
                Some(c @ ('=' | '!')) => {
                    self.out.push(c);
                    self.needs_backtracking = true;
                    self.lookarounds.push(self.depth);
                }
                Some('<') if matches!(self.chars.peek(), Some('=' | '!')) => {
                    self.out.push('<');
                    self.out.extend(self.chars.next());
                    self.needs_backtracking = true;
                    self.lookarounds.push(self.depth);
                }
                _ => return Err(invalid("quantifier operand invalid")),
            }
        } else {
            self.groups += 1;
        }
        Ok(())
    }

    fn quantifier(&mut self, c: char) -> Result<()> {
        if !self.has_atom {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push(c);
        self.after_quantifier();
        Ok(())
    }

    fn after_quantifier(&mut self) {
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.has_atom = false;
    }

    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok()
    }

    fn bound(&mut self) -> Result<()> {
        if !self.has_atom {
            return Err(invalid("quantifier operand invalid"));
        }
        let bad = || invalid("invalid repetition count(s)");
        let low = self.number().filter(|count| *count <= REPEAT_MAX).ok_or_else(bad)?;
        self.out.push_str(&format!("{{{low}"));
        if self.chars.next_if_eq(&',').is_some() {
            self.out.push(',');
            if let Some(high) = self.number() {
                if high > REPEAT_MAX || high < low {
                    return Err(bad());
                }
                self.out.push_str(&high.to_string());
            }
        }
        if self.chars.next() != Some('}') {
            return Err(bad());
        }
        self.out.push('}');
        self.after_quantifier();
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<char> {
        let mut value = 0u32;
        for _ in 0..digits {
            let digit = self.chars.next().and_then(|c| c.to_digit(16));
            value = value * 16 + digit.ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        }
        char::from_u32(value)
            .filter(|c| *c != '\0')
            .ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    /// A character named by an escape, where `c` followed the backslash.
    fn character_escape(&mut self, c: char) -> Result<Option<char>> {
        Ok(Some(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            'x' => {
                let mut value = 0u32;
                let mut any = false;
                while let Some(digit) = self.chars.next_if(char::is_ascii_hexdigit) {
                    value = value.saturating_mul(16).saturating_add(digit.to_digit(16).unwrap_or(0));
                    any = true;
                }
                char::from_u32(value)
                    .filter(|_| any)
                    .ok_or_else(|| invalid("invalid escape \\ sequence"))?
            }
            'c' => {
                let control = self.chars.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                char::from_u32(u32::from(control) & 31).unwrap_or(control)
            }
            c if !c.is_ascii_alphanumeric() => c,
            _ => return Ok(None),
        }))
    }

    fn escape(&mut self) -> Result<()> {
        let c = self.chars.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        let (class, is_atom) = match c {
            'd' => ("[0-9]", true),
            'D' => ("[^0-9]", true),
            'w' => ("[\\p{Alphabetic}\\p{Nd}_]", true),
            'W' => ("[^\\p{Alphabetic}\\p{Nd}_]", true),
            's' => ("\\s", true),
            'S' => ("\\S", true),
            'm' => ("\\b{start}", false),
            'M' => ("\\b{end}", false),
            'y' => ("\\b", false),
            'Y' => ("\\B", false),
            'A' => ("\\A", false),
            'Z' => ("\\z", false),
            '1'..='9'
                if self.chars.peek().is_some_and(|next| ('0'..='7').contains(next))
                    && c <= '7'
                    && c.to_digit(10).is_some_and(|number| number * 10 > self.groups) =>
            {
                // Two octal digits, or three, name a character.
                let mut value = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    if let Some(digit) = self.chars.next_if(|next| ('0'..='7').contains(next)) {
                        value = value * 8 + digit.to_digit(8).unwrap_or(0);
                    }
                }
                self.literal(char::from_u32(value).unwrap_or('\u{fffd}'));
                return Ok(());
            }
            '1'..='9' => {
                if c.to_digit(10).is_none_or(|number| number > self.groups) {
                    return Err(invalid("invalid backreference number"));
                }
                self.needs_backtracking = true;
                self.out.push_str(&format!("(?:\\{c})"));
                self.has_atom = true;
                return Ok(());
            }
            c => {
                let Some(character) = self.character_escape(c)? else {
                    return Err(invalid("invalid escape \\ sequence"));
                };
                self.literal(character);
                return Ok(());
            }
        };
        self.out.push_str(class);
        self.has_atom = is_atom;
        Ok(())
    }

    fn bracket(&mut self) -> Result<()> {
        let unbalanced = || invalid("brackets [] not balanced");
        let mut body = String::new();
        let negated = self.chars.next_if_eq(&'^').is_some();
        let mut first = true;
        // The last single character, while it may still begin a range.
        let mut last: Option<char> = None;
        loop {
            let c = self.chars.next().ok_or_else(unbalanced)?;
            let single = match c {
                ']' if !first => break,
                '[' if self.chars.peek() == Some(&':') => {
                    self.chars.next();
                    let mut name = String::new();
                    loop {
                        match self.chars.next().ok_or_else(unbalanced)? {
                            ':' => break,
                            c => name.push(c),
                        }
                    }
                    if self.chars.next() != Some(']') {
                        return Err(unbalanced());
                    }
                    if body.is_empty() && !negated && matches!(name.as_str(), "<" | ">") {
                        if self.chars.next() != Some(']') {
                            return Err(invalid("invalid character class"));
                        }
                        self.out.push_str(if name == "<" { "\\b{start}" } else { "\\b{end}" });
                        self.has_atom = false;
                        return Ok(());
                    }
                    body.push_str(match name.as_str() {
                        "alpha" => "\\p{Alphabetic}",
                        "alnum" => "\\p{Alphabetic}\\p{Nd}",
                        "upper" => "\\p{Uppercase}",
                        "lower" => "\\p{Lowercase}",
                        "digit" => "0-9",
                        "xdigit" => "0-9A-Fa-f",
                        "space" => "\\s",
                        "blank" => " \\t",
                        "punct" => "!-/:-@\\[-`{-~\\p{P}\\p{S}",
                        "cntrl" => "\\p{Cc}",
                        "graph" => "\\S&&[^\\p{Cc}]",
                        "print" => "\\P{Cc}",
                        "word" => "\\p{Alphabetic}\\p{Nd}_",
                        "ascii" => "\\x00-\\x7F",
                        _ => return Err(invalid("invalid character class")),
                    });
                    last = None;
                    first = false;
                    continue;
                }
                '[' if matches!(self.chars.peek(), Some('.' | '=')) => {
                    return Err(invalid("invalid collating element"));
                }
                '\\' => {
                    let escaped = self.chars.next().ok_or_else(unbalanced)?;
                    let class = match escaped {
                        'd' => Some("0-9"),
                        'w' => Some("\\p{Alphabetic}\\p{Nd}_"),
                        's' => Some("\\s"),
                        _ => None,
                    };
                    if let Some(class) = class {
                        body.push_str(class);
                        last = None;
                        first = false;
                        continue;
                    }
                    self.character_escape(escaped)?
                        .ok_or_else(|| invalid("invalid escape \\ sequence"))?
                }
                '-' if last.is_some() && self.chars.peek().is_some_and(|next| *next != ']') => {
                    let mut high = self.chars.next().ok_or_else(unbalanced)?;
                    if high == '\\' {
                        let escaped = self.chars.next().ok_or_else(unbalanced)?;
                        high = self
                            .character_escape(escaped)?
                            .ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                    }
                    if last.is_some_and(|low| low > high) {
                        return Err(invalid("invalid character range"));
                    }
                    body.push('-');
                    push_class_char(&mut body, high);
                    last = None;
                    continue;
                }
                c => c,
            };
            push_class_char(&mut body, single);
            last = Some(single);
            first = false;
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(&body);
        if negated && self.flags.newline {
            self.out.push_str("\\n");
        }
        self.out.push(']');
        self.has_atom = true;
        Ok(())
    }
}

fn push_class_char(body: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        body.push('\\');
    }
    body.push(c);
}

fn regex_syntax_special(c: char) -> bool {
    c.is_ascii_punctuation() && c != '_' && c != '<' && c != '>'
}

/// The regular expression of a `SIMILAR TO` pattern. Errors: 2201B, 22025.
pub fn similar(pattern: &str, escape: Option<char>) -> Result<Pattern> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars().peekable();
    let mut in_bracket = false;
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let literal = chars
                .next()
                .ok_or_else(|| PgError::new("22025", "invalid escape string"))?;
            out.push('\\');
            out.push(literal);
            continue;
        }
        if in_bracket {
            if c == ']' {
                in_bracket = false;
            }
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            continue;
        }
        match c {
            '[' => {
                in_bracket = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push(']');
                }
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Pattern::new(&out, Flags::default())
}
