//! Tells documents that cannot match from those that may, without reading them.
//!
//! A stored document holds every word in quotes, so a query that needs one of a few words passes over a document in
//! which none of them stands. Most rows of a table are told apart so; the others are read and matched.

use memchr::memmem::Finder;

use super::query::{Item, TsQuery};
use super::vector::write_word;

/// Words that are looked for one after the other, at most.
const WORDS_MAX: usize = 16;

/// The words of which a matching document has at least one.
pub struct Sieve {
    /// `None`: any document may match.
    finders: Option<Vec<Finder<'static>>>,
}

impl Sieve {
    pub fn of(query: &TsQuery) -> Self {
        let finders = needed(query).filter(|words| words.len() <= WORDS_MAX).map(|words| {
            let finder = |word: &String| Finder::new(word.as_bytes()).into_owned();
            words.iter().map(finder).collect()
        });
        Sieve { finders }
    }

    /// False if the document, in its stored form, cannot match.
    pub fn passes(&self, document: &str) -> bool {
        match &self.finders {
            Some(finders) => finders.iter().any(|finder| finder.find(document.as_bytes()).is_some()),
            None => true,
        }
    }
}

/// Words as they are stored, one of which a match needs. `None`: none is needed.
fn needed(query: &TsQuery) -> Option<Vec<String>> {
    let mut done: Vec<Option<Vec<String>>> = Vec::new();
    for item in query.items() {
        let words = match item {
            Item::Word(operand) => {
                let mut word = String::new();
                write_word(&operand.word, &mut word);
                if operand.prefix {
                    word.pop();
                }
                Some(vec![word])
            }
            Item::Stop => None,
            Item::Not => {
                done.pop();
                None
            }
            Item::And | Item::Phrase(_) => {
                let (right, left) = (done.pop().flatten(), done.pop().flatten());
                match (left, right) {
                    (Some(left), Some(right)) => Some(rarer(left, right)),
                    (one, other) => one.or(other),
                }
            }
            Item::Or => {
                let (right, left) = (done.pop().flatten(), done.pop().flatten());
                match (left, right) {
                    (Some(mut left), Some(right)) if left.len() + right.len() <= WORDS_MAX => {
                        left.extend(right);
                        Some(left)
                    }
                    _ => None,
                }
            }
        };
        done.push(words);
    }
    done.pop().flatten()
}

/// The list that likely stands in fewer documents: the shorter one, or the one of longer words.
fn rarer(left: Vec<String>, right: Vec<String>) -> Vec<String> {
    let shortest = |words: &[String]| words.iter().map(String::len).min().unwrap_or(0);
    let left_is_rarer = left.len() < right.len() || left.len() == right.len() && shortest(&left) >= shortest(&right);
    if left_is_rarer { left } else { right }
}
