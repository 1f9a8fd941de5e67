//! Text → tokens, as PostgreSQL's default parser tells them apart.
//!
//! Tokens may overlap: a hyphenated word comes before its parts, a URL before its host and path.
//!
//! Source: PostgreSQL 15 manual, 12.5.

use super::letters::{is_alphanumeric, is_letter, is_mark, is_space, is_url_character};
use super::states::{Aside, Class, Effect, Rule, State, TokenKind};
use super::table::rules;

/// A place in the text with the state it is read in.
#[derive(Clone, Copy)]
struct Place {
    state: State,
    /// Bytes from the start of the text.
    at: usize,
    /// Bytes and characters of the token so far.
    token_bytes: usize,
    token_chars: usize,
    /// The rule that set this place aside.
    pushed_by: Option<usize>,
}

/// Reads tokens from a text.
pub struct Parser<'a> {
    text: &'a str,
    /// The present place is the last; before it those set aside.
    places: Vec<Place>,
    ignoring: bool,
    host_wanted: bool,
    token_at: usize,
}

/// One token and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser {
            text,
            places: vec![Place {
                state: State::Base,
                at: 0,
                token_bytes: 0,
                token_chars: 0,
                pushed_by: None,
            }],
            ignoring: false,
            host_wanted: false,
            token_at: 0,
        }
    }

    fn place(&mut self) -> &mut Place {
        let last = self.places.len() - 1;
        &mut self.places[last]
    }

    fn here(&self) -> Place {
        self.places[self.places.len() - 1]
    }

    fn character(&self) -> Option<char> {
        self.text[self.here().at..].chars().next()
    }

    fn fits(&mut self, class: Class, character: Option<char>) -> bool {
        let is = |test: fn(char) -> bool| character.is_some_and(test);
        match class {
            Class::End => character.is_none(),
            Class::Is(wanted) => character == Some(wanted),
            Class::AsciiLetter => is(|c| c.is_ascii_alphabetic()),
            Class::Letter => is(is_letter),
            Class::Digit => is(|c| c.is_ascii_digit()),
            Class::Alphanumeric => is(is_alphanumeric),
            Class::NotAlphanumeric => !is(is_alphanumeric),
            Class::HexDigit => is(|c| c.is_ascii_hexdigit()),
            Class::WhiteSpace => is(is_space),
            Class::Mark => is(is_mark),
            Class::UrlCharacter => is(is_url_character),
            Class::Ignoring => self.ignoring,
            Class::HostWanted => std::mem::take(&mut self.host_wanted),
            Class::HostFollows => {
                let mut ahead = Parser::new(&self.text[self.here().at..]);
                ahead.host_wanted = true;
                self.takes(ahead, TokenKind::Host)
            }
            Class::UrlPathFollows => {
                let mut ahead = Parser::new(&self.text[self.here().at..]);
                let base = ahead.here();
                ahead.places.push(Place {
                    state: State::UrlPathFirst,
                    ..base
                });
                self.takes(ahead, TokenKind::UrlPath)
            }
            Class::Any => true,
        }
    }

    /// Goes past the next token if it is of that kind.
    fn takes(&mut self, mut ahead: Parser<'_>, wanted: TokenKind) -> bool {
        let Some(token) = ahead.next().filter(|token| token.kind == wanted) else {
            return false;
        };
        let (bytes, chars) = (token.text.len(), token.text.chars().count());
        let place = self.place();
        place.at += bytes;
        place.token_bytes += bytes;
        place.token_chars += chars;
        true
    }

    fn effect(&mut self, effect: Effect) {
        let Place {
            at,
            token_bytes,
            token_chars,
            ..
        } = self.here();
        match effect {
            Effect::None => {}
            Effect::NoteTag => {
                let begins = |tag: &str| {
                    token_chars == tag.len()
                        && self
                            .text
                            .get(self.token_at..self.token_at + tag.len())
                            .is_some_and(|found| found.eq_ignore_ascii_case(tag))
                };
                if begins("</script") || begins("</style") {
                    self.ignoring = false;
                } else if begins("<script") || begins("<style") {
                    self.ignoring = true;
                }
            }
            Effect::Rewind => self.place().at = at - token_bytes,
            Effect::RewindForHost => {
                self.host_wanted = true;
                self.place().at = at - token_bytes;
            }
            Effect::StartOver => {
                let place = self.place();
                place.at = at - token_bytes;
                place.token_bytes = 0;
                place.token_chars = 0;
            }
        }
    }

    fn set_aside(&mut self, rule: usize, aside: Aside) {
        let last = self.places.len() - 1;
        match aside {
            Aside::Keep => {}
            Aside::Push => {
                self.places[last].pushed_by = Some(rule);
                let copy = Place {
                    pushed_by: None,
                    ..self.places[last]
                };
                self.places.push(copy);
            }
            Aside::Pop => {
                self.places.pop();
            }
            Aside::Drop => {
                self.places.remove(last - 1);
            }
            Aside::DropAll => {
                self.places.drain(..last);
            }
            Aside::Merge => {
                if let Some(top) = self.places.pop() {
                    let place = self.place();
                    place.at = top.at;
                    place.token_bytes = top.token_bytes;
                    place.token_chars = top.token_chars;
                }
            }
        }
    }

    /// The rule that fits at the present place, and its number.
    fn rule(&mut self, character: Option<char>) -> (usize, &'static Rule) {
        let list = rules(self.here().state);
        let from = self.place().pushed_by.take().map_or(0, |pushed| pushed + 1);
        for (number, rule) in list.iter().enumerate().skip(from) {
            if self.fits(rule.on, character) {
                return (number, rule);
            }
        }
        (list.len() - 1, &list[list.len() - 1])
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.here().at >= self.text.len() {
            return None;
        }
        self.token_at = self.here().at;
        self.place().pushed_by = None;
        loop {
            let character = self.character();
            let (number, rule) = self.rule(character);
            self.effect(rule.effect);
            let length = self.here().token_bytes;
            if rule.token.is_some() {
                let place = self.place();
                place.token_bytes = 0;
                place.token_chars = 0;
            }
            self.set_aside(number, rule.aside);
            if let Some(state) = rule.to {
                self.place().state = state;
            }
            if let Some(kind) = rule.token {
                let text = &self.text[self.token_at..self.token_at + length];
                return Some(Token { kind, text });
            }
            if self.here().at >= self.text.len() && !rule.again {
                return None;
            }
            if rule.again || rule.aside == Aside::Pop {
                continue;
            }
            let place = self.place();
            if let Some(character) = character {
                place.at += character.len_utf8();
                place.token_bytes += character.len_utf8();
                place.token_chars += 1;
            }
        }
    }
}
