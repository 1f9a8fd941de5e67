//! The names in a text: which objects it may depend on.
//!
//! A lexer's view, on purpose: it reads whatever PostgreSQL can print, also what our parser refuses. It may find too
//! much (a column called as a table is), never too little; an order that respects too much is still right.
//!
//! Source: PostgreSQL 15 manual, 4.1 (lexical structure).

use mainstay_core::name::Ident;

/// One name as it stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What stands before the dot.
    pub qualifier: Option<Ident>,
    pub name: Ident,
}

/// Every name of `text`, those inside text constants too: `nextval('public.s'::regclass)` names a sequence.
pub fn references(text: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(text, &mut found, 0);
    found
}

/// Texts in texts, at most.
const DEPTH_MAX: usize = 4;

fn collect(text: &str, found: &mut Vec<Reference>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let mut rest = text;
    let mut qualifier: Option<Ident> = None;
    let mut after_dot = false;
    while let Some(first) = rest.chars().next() {
        let (token, tail) = match first {
            '\'' => quoted(rest, '\''),
            '"' => quoted(rest, '"'),
            '$' => dollar_quoted(rest),
            '-' if rest.starts_with("--") => rest.split_at(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => rest.split_at(rest.find("*/").map_or(rest.len(), |end| end + 2)),
            first if is_name_start(first) => rest.split_at(rest.find(|c| !is_name_part(c)).unwrap_or(rest.len())),
            other => rest.split_at(other.len_utf8()),
        };
        rest = tail;
        let name = match first {
            '"' => Some(Ident::from(inner(token).replace("\"\"", "\""))),
            first if is_name_start(first) => Some(Ident::from(token.to_lowercase())),
            _ => None,
        };
        match (name, first) {
            (Some(name), _) => {
                found.push(Reference {
                    qualifier: qualifier.take().filter(|_| after_dot),
                    name: name.clone(),
                });
                qualifier = Some(name);
                after_dot = false;
            }
            (None, '.') => after_dot = true,
            (None, '\'' | '$') => {
                collect(inner(token), found, depth + 1);
                qualifier = None;
                after_dot = false;
            }
            _ => {
                qualifier = None;
                after_dot = false;
            }
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A quoted token; a doubled mark stands for itself. An open end takes the rest.
fn quoted(text: &str, mark: char) -> (&str, &str) {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == mark {
            if characters.peek().is_some_and(|(_, next)| *next == mark) {
                characters.next();
            } else {
                return text.split_at(at + mark.len_utf8());
            }
        }
    }
    (text, "")
}

/// `$tag$ … $tag$`, or a dollar sign by itself.
fn dollar_quoted(text: &str) -> (&str, &str) {
    let tag = text[1..]
        .find('$')
        .map(|end| &text[..end + 2])
        .filter(|tag| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_'));
    match tag {
        Some(tag) => match text[tag.len()..].find(tag) {
            Some(end) => text.split_at(tag.len() + end + tag.len()),
            None => (text, ""),
        },
        None => text.split_at(1),
    }
}

/// A token without its quotes.
fn inner(token: &str) -> &str {
    if let Some(rest) = token.strip_prefix('$') {
        let tag = rest.find('$').map_or(1, |end| end + 2);
        return token.get(tag..token.len().saturating_sub(tag)).unwrap_or_default();
    }
    let mark = token.chars().next().unwrap_or_default();
    let rest = token.get(mark.len_utf8()..).unwrap_or_default();
    // An open end has no mark to take off.
    rest.strip_suffix(mark).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<String> {
        references(text)
            .iter()
            .map(|reference| match &reference.qualifier {
                Some(qualifier) => format!("{qualifier}.{}", reference.name),
                None => reference.name.to_string(),
            })
            .collect()
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        assert_eq!(
            spelled("nextval('public.\"S s\"'::regclass) + Public.f(a.b)"),
            [
                "nextval",
                "public",
                "public.S s",
                "regclass",
                "public",
                "public.f",
                "a",
                "a.b"
            ]
        );
        assert_eq!(spelled("-- x\n/* y */ 'it''s' $t$z$t$ $1"), ["it", "s", "z"]);
        assert_eq!(spelled("'open $open"), ["open", "open"]);
    }
}
