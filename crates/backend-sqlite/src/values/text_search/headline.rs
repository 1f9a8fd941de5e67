//! `ts_headline`: the part of a text that shows why it matches, with the words marked.
//!
//! Source: PostgreSQL 15 manual, 12.3.4.

use super::super::errors::{PgError, Result};
use super::super::integer::INT4;
use super::WORD_BYTES_MAX;
use super::config::{Config, Outcome};
use super::matching::{Words, execute};
use super::parser::Parser;
use super::query::{Item, Operand, TsQuery};
use super::states::TokenKind;

/// What a headline may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    words_max: i32,
    words_min: i32,
    short_word: i32,
    fragments_max: i32,
    highlights_all: bool,
    start: String,
    stop: String,
    delimiter: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            words_max: 35,
            words_min: 15,
            short_word: 3,
            fragments_max: 0,
            highlights_all: false,
            start: "<b>".to_owned(),
            stop: "</b>".to_owned(),
            delimiter: " ... ".to_owned(),
        }
    }
}

fn invalid(message: &str) -> PgError {
    PgError::new("22023", message)
}

impl Options {
    /// Reads `MaxWords=20, StartSel="<b>"`. Errors: 42601, 22P02, 22023.
    pub fn parse(text: &str) -> Result<Self> {
        let mut options = Options::default();
        for (name, value) in pairs(text)? {
            let number = || INT4.parse(&value).map(|number| number as i32);
            match name.to_ascii_lowercase().as_str() {
                "maxwords" => options.words_max = number()?,
                "minwords" => options.words_min = number()?,
                "shortword" => options.short_word = number()?,
                "maxfragments" => options.fragments_max = number()?,
                "startsel" => options.start = value,
                "stopsel" => options.stop = value,
                "fragmentdelimiter" => options.delimiter = value,
                "highlightall" => {
                    let value = value.to_ascii_lowercase();
                    options.highlights_all = matches!(value.as_str(), "1" | "on" | "true" | "t" | "y" | "yes");
                }
                _ => return Err(invalid(&format!("unrecognized headline parameter: \"{name}\""))),
            }
        }
        if !options.highlights_all {
            if options.words_min >= options.words_max {
                return Err(invalid("MinWords should be less than MaxWords"));
            }
            if options.words_min <= 0 {
                return Err(invalid("MinWords should be positive"));
            }
            if options.short_word < 0 {
                return Err(invalid("ShortWord should be >= 0"));
            }
            if options.fragments_max < 0 {
                return Err(invalid("MaxFragments should be >= 0"));
            }
        }
        for (name, value) in [
            ("StartSel", &options.start),
            ("StopSel", &options.stop),
            ("FragmentDelimiter", &options.delimiter),
        ] {
            if value.len() > MARK_BYTES_MAX {
                return Err(invalid(&format!("value for \"{name}\" is too long")));
            }
        }
        Ok(options)
    }
}

/// Bytes of a mark or delimiter, at most.
const MARK_BYTES_MAX: usize = i16::MAX as usize;

/// Splits `name = value, …` as PostgreSQL reads the options of dictionaries. Errors: 42601.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let wrong = || PgError::new("42601", format!("invalid parameter list format: \"{text}\""));
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if rest.is_empty() {
            return Ok(found);
        }
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inner, behind) = until_quote(quoted, '"').ok_or_else(wrong)?;
            name = inner;
            rest = behind;
        } else {
            if !rest.starts_with(char::is_alphabetic) && !rest.starts_with('_') {
                return Err(wrong());
            }
            let end = rest
                .find(|c: char| c == '=' || c.is_ascii_whitespace())
                .unwrap_or(rest.len());
            name = rest[..end].to_ascii_lowercase();
            rest = &rest[end..];
        }
        rest = rest.trim_start().strip_prefix('=').ok_or_else(wrong)?.trim_start();
        if let Some(quoted) = rest.strip_prefix(['"', '\'']) {
            let mark = if rest.starts_with('"') { '"' } else { '\'' };
            let (inner, behind) = until_quote(quoted, mark).ok_or_else(wrong)?;
            found.push((name, inner));
            rest = behind;
        } else {
            let end = rest
                .find(|c: char| c == ',' || c.is_ascii_whitespace())
                .unwrap_or(rest.len());
            if end == 0 {
                return Err(wrong());
            }
            found.push((name, rest[..end].to_owned()));
            rest = &rest[end..];
        }
        if !rest.is_empty() && !rest.starts_with(|c: char| c == ',' || c.is_ascii_whitespace()) {
            return Err(wrong());
        }
    }
}

/// A text up to its closing mark, doubled marks made one, and what is behind.
fn until_quote(text: &str, mark: char) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(mark)?;
        inner.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(mark) {
            Some(more) => {
                inner.push(mark);
                rest = more;
            }
            None => return Some((inner, rest)),
        }
    }
}

/// A token of the text. One that several operands mean comes once for each, all but the first repeated.
#[derive(Clone)]
struct Word<'a> {
    text: &'a str,
    kind: TokenKind,
    position: u16,
    /// The place of the operand that means it.
    operand: Option<usize>,
    repeated: bool,
    shown: bool,
    selected: bool,
    replaced: bool,
    skipped: bool,
}

impl Word<'_> {
    fn is_interesting(&self) -> bool {
        self.operand.is_some() && !self.repeated
    }

    /// Counts as no word.
    fn is_between(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::Blank
                | TokenKind::Tag
                | TokenKind::Url
                | TokenKind::NumHyphenWord
                | TokenKind::AsciiHyphenWord
                | TokenKind::HyphenWord
        )
    }

    /// Nothing a headline should end with.
    fn ends_badly(&self, options: &Options) -> bool {
        let is_odd = self.is_between()
            || matches!(
                self.kind,
                TokenKind::Scientific
                    | TokenKind::Version
                    | TokenKind::Float
                    | TokenKind::SignedInt
                    | TokenKind::UnsignedInt
                    | TokenKind::Protocol
                    | TokenKind::Entity
            );
        (is_odd || self.text.len() as i64 <= i64::from(options.short_word)) && !self.is_interesting()
    }
}

/// A stretch of the text's words.
struct Stretch<'w, 'a>(&'w [Word<'a>]);

impl Words for Stretch<'_, '_> {
    fn has(&self, index: usize, _: &Operand) -> bool {
        self.0.iter().any(|word| word.operand == Some(index))
    }

    fn positions(&self, index: usize, _: &Operand) -> Option<Vec<u16>> {
        let mut positions: Vec<u16> = Vec::new();
        for word in self.0.iter().filter(|word| word.operand == Some(index)) {
            if positions.last().is_none_or(|last| *last < word.position) {
                positions.push(word.position);
            }
        }
        Some(positions)
    }
}

/// `ts_headline(config, text, query, options)`.
pub fn headline(config: Config, text: &str, query: &TsQuery, options: &Options) -> String {
    let mut words = words(config, text, query);
    let cover_max = options.words_max.saturating_mul(10).max(100);
    if options.fragments_max == 0 && options.highlights_all {
        let end = words.len();
        mark(&mut words, true, 0, end);
    } else if options.fragments_max == 0 {
        one_stretch(&mut words, query, options, cover_max);
    } else {
        fragments(
            &mut words,
            query,
            options,
            cover_max.saturating_mul(options.fragments_max),
        );
    }
    written(&words, options)
}

fn words<'a>(config: Config, text: &'a str, query: &TsQuery) -> Vec<Word<'a>> {
    // PostgreSQL goes through the operands in prefix order.
    let operands: Vec<(usize, &Operand)> = query
        .items()
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(index, item)| match item {
            Item::Word(operand) => Some((index, operand)),
            _ => None,
        })
        .collect();
    let mut words: Vec<Word<'a>> = Vec::new();
    let mut position: u32 = 0;
    for token in Parser::new(text) {
        if token.text.len() > WORD_BYTES_MAX {
            continue;
        }
        let outcome = config.lexeme(token.kind, token.text);
        if outcome != Outcome::Unmapped {
            position += 1;
        }
        let mut word = Word {
            text: token.text,
            kind: token.kind,
            position: 0,
            operand: None,
            repeated: false,
            shown: false,
            selected: false,
            replaced: false,
            skipped: false,
        };
        let Outcome::Lexeme(lexeme) = outcome else {
            words.push(word);
            continue;
        };
        word.position = position.min(u32::from(super::POSITION_MAX)) as u16;
        let is_meant = |operand: &Operand| {
            if operand.prefix {
                lexeme.starts_with(&operand.word)
            } else {
                lexeme == operand.word
            }
        };
        let mut meant = operands
            .iter()
            .filter(|(_, operand)| is_meant(operand))
            .map(|(index, _)| *index);
        word.operand = meant.next();
        words.push(word.clone());
        for index in meant {
            words.push(Word {
                operand: Some(index),
                repeated: true,
                ..word.clone()
            });
        }
    }
    words
}

/// The next word from `at` that the query asks for.
fn next_asked(words: &[Word<'_>], at: usize) -> Option<usize> {
    (at..words.len()).find(|index| words[*index].operand.is_some())
}

/// The next shortest stretch that satisfies the query: its first and last word.
fn cover(words: &[Word<'_>], query: &TsQuery, cover_max: i32, from: usize) -> Option<(usize, usize)> {
    let mut first = next_asked(words, from);
    while let Some(start) = first {
        let mut end = Some(start);
        while let Some(last) = end.filter(|last| ((last - start) as i64) < i64::from(cover_max)) {
            if execute(&Stretch(&words[start..=last]), query) {
                return Some((start, last));
            }
            end = next_asked(words, last + 1);
        }
        first = next_asked(words, start + 1);
    }
    None
}

/// Marks the words from `start` to before `end`.
fn mark(words: &mut [Word<'_>], highlights_all: bool, start: usize, end: usize) {
    for word in &mut words[start..end] {
        word.selected |= word.operand.is_some();
        let is_whole = matches!(
            word.kind,
            TokenKind::Url | TokenKind::NumHyphenWord | TokenKind::AsciiHyphenWord | TokenKind::HyphenWord
        );
        if !highlights_all && word.kind == TokenKind::Tag {
            word.replaced = true;
        } else if is_whole {
            word.skipped = true;
        }
        word.shown = !word.repeated;
    }
}

/// The first words of the text, where nothing matches.
fn beginning(words: &[Word<'_>], options: &Options) -> usize {
    let (mut count, mut end) = (0, 0);
    for word in words {
        if count >= options.words_min {
            break;
        }
        count += i32::from(!word.is_between());
        end += 1;
    }
    end
}

/// A stretch that may be shown, by its first and last word.
struct Best {
    start: usize,
    last: usize,
    interesting: i32,
    has_cover: bool,
}

fn one_stretch(words: &mut [Word<'_>], query: &TsQuery, options: &Options, cover_max: i32) {
    let mut best: Option<Best> = None;
    let mut from = 0;
    while let Some((first, last)) = cover(words, query, cover_max, from) {
        let found = stretched(words, options, first, last);
        let bad = |at: usize| words[at].ends_badly(options);
        let is_better = best.as_ref().is_none_or(|best| {
            (found.has_cover && !best.has_cover)
                || found.has_cover == best.has_cover
                    && (found.interesting > best.interesting
                        || found.interesting == best.interesting && !bad(found.last) && bad(best.last))
        });
        if is_better {
            best = Some(found);
        }
        from = first + 1;
    }
    match best {
        Some(best) => mark(words, false, best.start, best.last + 1),
        None => {
            let end = beginning(words, options);
            mark(words, false, 0, end);
        }
    }
}

/// A cover made longer, or shorter, until its end is a good one.
fn stretched(words: &[Word<'_>], options: &Options, first: usize, last: usize) -> Best {
    let counts = |at: usize| i32::from(!words[at].is_between());
    let asks = |at: usize| i32::from(words[at].is_interesting());
    let bad = |at: usize| words[at].ends_badly(options);
    let (mut count, mut interesting) = (0, 0);
    let (mut start, mut end) = (first, first);
    let mut at = first;
    while at <= last && count < options.words_max {
        count += counts(at);
        interesting += asks(at);
        end = at;
        at += 1;
    }
    if count < options.words_max {
        at = at.saturating_sub(1);
        while at < words.len() && count < options.words_max {
            if at > last {
                count += counts(at);
                interesting += asks(at);
            }
            end = at;
            if !bad(at) && count >= options.words_min {
                break;
            }
            at += 1;
        }
        if count < options.words_min {
            let mut reached = 0;
            for at in (0..first).rev() {
                count += counts(at);
                interesting += asks(at);
                if count >= options.words_max || !bad(at) && count >= options.words_min {
                    reached = at;
                    break;
                }
            }
            start = reached;
        }
    } else {
        at = at.min(last);
        while count > options.words_min && bad(at) {
            count -= counts(at);
            interesting -= asks(at);
            end = at - 1;
            at -= 1;
        }
    }
    Best {
        start,
        last: end,
        interesting,
        has_cover: start <= first && end >= last,
    }
}

/// A part of a cover that may be shown.
struct Fragment {
    start: usize,
    last: usize,
    words: i32,
    interesting: i32,
    chosen: bool,
    excluded: bool,
}

fn fragments(words: &mut [Word<'_>], query: &TsQuery, options: &Options, cover_max: i32) {
    let mut found: Vec<Fragment> = Vec::new();
    let mut from = 0;
    while let Some((first, last)) = cover(words, query, cover_max, from) {
        let mut start = first;
        while start <= last {
            let fragment = next_fragment(words, options, start, last);
            start = fragment.last + 1;
            found.push(fragment);
        }
        from = first + 1;
    }
    let mut shown = 0;
    for _ in 0..options.fragments_max {
        let mut best: Option<usize> = None;
        let (mut most, mut fewest) = (0, i32::MAX);
        for (index, fragment) in found.iter().enumerate() {
            let is_better = most < fragment.interesting || most == fragment.interesting && fewest > fragment.words;
            if !fragment.chosen && !fragment.excluded && is_better {
                (most, fewest) = (fragment.interesting, fragment.words);
                best = Some(index);
            }
        }
        let Some(best) = best else { break };
        widen(words, options, &mut found[best]);
        let (start, last) = (found[best].start, found[best].last);
        mark(words, options.highlights_all, start, last + 1);
        shown += 1;
        for (index, other) in found.iter_mut().enumerate() {
            let overlaps = (start..=last).contains(&other.start)
                || (start..=last).contains(&other.last)
                || other.start < start && other.last > last;
            other.excluded |= index != best && overlaps;
        }
    }
    if shown == 0 {
        let end = beginning(words, options);
        mark(words, options.highlights_all, 0, end);
    }
}

/// As much of a cover as may be shown, with words of the query at both ends.
fn next_fragment(words: &[Word<'_>], options: &Options, start: usize, last: usize) -> Fragment {
    let first = (start..=last).find(|at| words[*at].is_interesting()).unwrap_or(last);
    let (mut count, mut interesting) = (0, 0);
    let mut at = first;
    while at <= last && count < options.words_max {
        count += i32::from(!words[at].is_between());
        interesting += i32::from(words[at].is_interesting());
        at += 1;
    }
    let mut end = last;
    if last > at {
        for back in (first..=at).rev() {
            end = back;
            if words[back].is_interesting() {
                break;
            }
            count -= i32::from(!words[back].is_between());
        }
    }
    Fragment {
        start: first,
        last: end,
        words: count,
        interesting,
        chosen: false,
        excluded: false,
    }
}

/// Makes a fragment as long as allowed, half of it to the left.
fn widen(words: &[Word<'_>], options: &Options, fragment: &mut Fragment) {
    fragment.chosen = true;
    let (mut start, mut end, mut count) = (fragment.start, fragment.last, fragment.words);
    if count < options.words_max {
        let room = (options.words_max - count) / 2;
        let (mut taken, mut reached) = (0, start);
        for at in (0..start).rev() {
            if taken >= room || words[at].shown {
                break;
            }
            if !words[at].is_between() {
                count += 1;
                taken += 1;
            }
            reached = at;
        }
        let mut at = reached;
        while at < start && words[at].ends_badly(options) {
            count -= i32::from(!words[at].is_between());
            at += 1;
        }
        start = at;
        let mut reached = end;
        for (at, word) in words.iter().enumerate().skip(end + 1) {
            if count >= options.words_max || word.shown {
                break;
            }
            count += i32::from(!word.is_between());
            reached = at;
        }
        let mut at = reached;
        while at > end && words[at].ends_badly(options) {
            count -= i32::from(!words[at].is_between());
            at -= 1;
        }
        end = at;
    }
    (fragment.start, fragment.last, fragment.words) = (start, end, count);
}

fn written(words: &[Word<'_>], options: &Options) -> String {
    let mut out = String::new();
    let (mut fragments, mut inside) = (0, false);
    for word in words.iter().filter(|word| !word.repeated) {
        if !word.shown {
            inside = false;
            continue;
        }
        if !inside {
            inside = true;
            fragments += 1;
            if fragments > 1 {
                out.push_str(&options.delimiter);
            }
        }
        if word.replaced {
            out.push(' ');
        } else if !word.skipped {
            if word.selected {
                out.push_str(&options.start);
            }
            out.push_str(word.text);
            if word.selected {
                out.push_str(&options.stop);
            }
        }
    }
    out
}
