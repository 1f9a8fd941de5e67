//! Names and texts as TypeScript writes them, and the order they are listed in.

use std::cmp::Ordering;

/// Everything of ASCII that is no letter, in the order of the Unicode Collation Algorithm's default table.
const BEFORE_LETTERS: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789";

/// The order of a person's list: punctuation, digits, letters; capitals count only between equals.
///
/// Source: Unicode Collation Algorithm, default table, for ASCII; other characters come after it, by code point.
pub fn in_order(a: &str, b: &str) -> Ordering {
    let weights = |text: &str| text.chars().map(weight).collect::<Vec<_>>();
    let capitals = |text: &str| text.chars().map(|c| c.is_ascii_uppercase()).collect::<Vec<_>>();
    weights(a)
        .cmp(&weights(b))
        .then_with(|| capitals(a).cmp(&capitals(b)))
        .then_with(|| a.cmp(b))
}

fn weight(c: char) -> u32 {
    match BEFORE_LETTERS.find(c) {
        Some(position) => position as u32,
        None => 128 + c.to_ascii_lowercase() as u32,
    }
}

/// A text in quotes: the kind of them that it holds fewer of.
pub fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let doubles = text.matches('"').count();
    if doubles <= text.matches('\'').count() {
        return json;
    }
    let inner = json[1..json.len() - 1].replace("\\\"", "\"").replace('\'', "\\'");
    format!("'{inner}'")
}

/// The name of a member: without quotes where it is an identifier.
pub fn key(name: &str) -> String {
    let mut characters = name.chars();
    let begins = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '$'));
    if begins && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$')) {
        return name.to_owned();
    }
    literal(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_ordered_as_people_order_them() {
        let mut names = ["b", "a_b", "B", "ab", "a-b", "A", "a", "1", "é", "$x", "a b", "z"];
        names.sort_by(|a, b| in_order(a, b));
        assert_eq!(
            names,
            ["$x", "1", "a", "A", "a b", "a_b", "a-b", "ab", "b", "B", "z", "é"]
        );
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        assert_eq!(key("user_id"), "user_id");
        assert_eq!(key("user-id"), "\"user-id\"");
        assert_eq!(key(""), "\"\"");
        assert_eq!(key("1st"), "\"1st\"");
        assert_eq!(literal("it's"), "\"it's\"");
        assert_eq!(literal("say \"x\""), "'say \"x\"'");
        assert_eq!(literal("\"'"), "\"\\\"'\"");
        assert_eq!(literal("a\\b\n"), "\"a\\\\b\\n\"");
    }
}
