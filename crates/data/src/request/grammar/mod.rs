//! The grammar of the query string's parameters, rule by rule as PostgREST has it, so that what is accepted, what is
//! refused and at which column are the same.
//!
//! Here: names, paths and JSON paths, which all parameters share. [`select`], [`filter`] and [`order`] have the rest.
//!
//! Source: PostgREST documentation, "Tables and Views", "Resource Embedding"; its behaviour at the edges.

mod filter;
mod order;
mod select;

pub use filter::{logic_tree, operation, operator_named};
pub use order::order_terms;
pub use select::select_items;

use super::reader::{Read, Reader, Stop};
use super::syntax::{EmbedPath, FieldRef, PathOperand, PathStep};

/// `columns=` and `on_conflict=`.
pub fn column_names(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    reader.separated(field_name, |reader| reader.lexeme(|reader| reader.char(',')))
}

/// `a.b.column->json`: the embeds, then the field.
pub fn tree_path(reader: &mut Reader<'_>) -> Read<(EmbedPath, FieldRef)> {
    let mut names = reader.separated(field_name, delimiter)?;
    let path = json_path(reader)?;
    let name = names.pop().ok_or(Stop)?;
    Ok((names, FieldRef { name, path }))
}

/// `a.b.or`, `a.not.and`: the embeds, then the operator with its `not.`.
pub fn logic_path(reader: &mut Reader<'_>) -> Read<(EmbedPath, String)> {
    let mut names = reader.separated(field_name, delimiter)?;
    let operator = names.pop().ok_or(Stop)?;
    let is_negated = names.iter().any(|name| name == "not");
    names.retain(|name| name != "not");
    Ok((
        names,
        if is_negated {
            format!("not.{operator}")
        } else {
            operator
        },
    ))
}

fn field(reader: &mut Reader<'_>) -> Read<FieldRef> {
    reader.lexeme(|reader| {
        let name = field_name(reader)?;
        let path = json_path(reader)?;
        Ok(FieldRef { name, path })
    })
}

fn json_path(reader: &mut Reader<'_>) -> Read<Vec<PathStep>> {
    reader.many(|reader| {
        let as_text = reader.or(
            |reader| reader.attempt(|reader| reader.string("->>")).map(|()| true),
            |reader| reader.attempt(|reader| reader.string("->")).map(|()| false),
        )?;
        let operand = reader.or(
            |reader| reader.attempt(json_index),
            |reader| reader.attempt(json_key).map(PathOperand::Key),
        )?;
        Ok(PathStep { as_text, operand })
    })
}

fn json_index(reader: &mut Reader<'_>) -> Read<PathOperand> {
    let sign = reader.optional(|reader| reader.char('-'))?.unwrap_or('+');
    let digit = |reader: &mut Reader<'_>| reader.labelled("digit", |reader| reader.satisfy(|c| c.is_ascii_digit()));
    let mut digits = String::from(sign);
    digits.push(digit(reader)?);
    digits.extend(reader.many(digit)?);
    reader.or(
        |reader| ahead(reader, "->"),
        |reader| {
            reader.or(
                |reader| ahead(reader, "::"),
                |reader| {
                    reader.or(
                        |reader| ahead(reader, "."),
                        |reader| reader.or(|reader| ahead(reader, ","), |reader| reader.attempt(Reader::end)),
                    )
                },
            )
        },
    )?;
    Ok(PathOperand::Index(digits))
}

fn ahead(reader: &mut Reader<'_>, text: &'static str) -> Read<()> {
    reader.attempt(|reader| reader.look_ahead(|reader| reader.string(text)))
}

fn json_key(reader: &mut Reader<'_>) -> Read<String> {
    reader.labelled("any non reserved character different from: .,>()", |reader| {
        reader.or(quoted, |reader| {
            dashed(reader, |reader| {
                let free = |c: char| !matches!(c, '(' | '-' | ':' | '.' | ',' | '>' | ')');
                let first = reader.satisfy(free)?;
                let mut key = String::from(first);
                key.push_str(reader.run(free));
                Ok(key.trim().to_owned())
            })
        })
    })
}

fn field_name(reader: &mut Reader<'_>) -> Read<String> {
    reader.labelled("field name (* or [a..z0..9_$])", |reader| {
        reader.or(quoted, |reader| dashed(reader, identifier))
    })
}

/// Parts with `-` between them; `->` is not one.
fn dashed(reader: &mut Reader<'_>, part: impl Fn(&mut Reader<'_>) -> Read<String>) -> Read<String> {
    let parts = reader.separated(&part, |reader| {
        reader.attempt(|reader| {
            reader.char('-')?;
            reader.attempt(|reader| reader.not_followed_by(|c| c == '>'))
        })
    })?;
    Ok(parts.join("-"))
}

fn identifier(reader: &mut Reader<'_>) -> Read<String> {
    let mut text = String::new();
    text.push(identifier_character(reader)?);
    text.extend(reader.many(identifier_character)?);
    Ok(text.trim().to_owned())
}

fn identifier_character(reader: &mut Reader<'_>) -> Read<char> {
    reader.or(
        |reader| reader.labelled("letter", |reader| reader.satisfy(char::is_alphabetic)),
        |reader| {
            reader.or(
                |reader| reader.labelled("digit", |reader| reader.satisfy(|c| c.is_ascii_digit())),
                |reader| reader.satisfy(|c| matches!(c, '_' | ' ' | '$')),
            )
        },
    )
}

/// `"…"` with `\` before any character to be taken as it is.
fn quoted(reader: &mut Reader<'_>) -> Read<String> {
    reader.char('"')?;
    let mut text = String::new();
    loop {
        text.push_str(reader.run(|c| c != '\\' && c != '"'));
        if reader.peek() != Some('\\') {
            break;
        }
        reader.char('\\')?;
        text.push(reader.satisfy(|_| true)?);
    }
    reader.char('"')?;
    Ok(text)
}

fn delimiter(reader: &mut Reader<'_>) -> Read<()> {
    reader.labelled("delimiter (.)", |reader| reader.char('.').map(drop))
}

#[cfg(test)]
mod tests {
    use super::filter::list_value;
    use super::select::{embed_head, select_field, spread_head};
    use super::*;

    fn refusal<T: std::fmt::Debug>(text: &str, rule: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> String {
        let report = Reader::read(text, rule).unwrap_err();
        format!("{}:{} {}", report.line, report.column, report.text)
    }

    #[test]
    fn select_refusals_name_the_place_and_what_was_expected() {
        let tail = "expecting letter, digit, \"-\", \"->>\", \"->\", \"::\", \".\", \")\", \",\" or end of input";
        assert_eq!(
            refusal("id,clients(name[])", select_items),
            format!("1:16 unexpected '[' {tail}")
        );
        assert_eq!(
            refusal("data->>-78xy", select_items),
            "1:11 unexpected 'x' expecting digit, \"->\", \"::\", \".\", \",\" or end of input"
        );
        assert_eq!(
            refusal("data->>--34", select_items),
            "1:9 unexpected \"-\" expecting digit"
        );
        assert_eq!(
            refusal("*!hint", select_field),
            "1:2 unexpected '!' expecting \")\", \",\" or end of input"
        );
        assert_eq!(refusal("name!hint", select_field), format!("1:5 unexpected '!' {tail}"));
        assert_eq!(
            refusal("name::", select_field),
            "1:7 unexpected end of input expecting letter or digit"
        );
        assert_eq!(refusal("rel->jsonpath(*)", embed_head), "1:6 unexpected '>'");
        assert_eq!(refusal("rel(*)", spread_head), "1:1 unexpected \"r\" expecting \"...\"");
    }

    #[test]
    fn filter_refusals_name_the_operators() {
        let operator = "expecting \"not\" or operator (eq, gt, ...)";
        assert_eq!(refusal("noop.0", operation), format!("1:1 unexpected \"o\" {operator}"));
        assert_eq!(refusal("val", operation), format!("1:1 unexpected \"v\" {operator}"));
        assert_eq!(
            refusal("fts().value", operation),
            "1:5 unexpected \")\" expecting operator (eq, gt, ...)"
        );
        assert_eq!(
            refusal("eq().value", operation),
            "1:4 unexpected \")\" expecting operator (eq, gt, ...)"
        );
        assert_eq!(
            refusal("is().value", operation),
            "1:3 unexpected \"(\" expecting operator (eq, gt, ...)"
        );
    }

    #[test]
    fn order_refusals_name_the_words() {
        let words = "expecting \"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"";
        assert_eq!(refusal("id.ac", order_terms), format!("1:4 unexpected \"c\" {words}"));
        assert_eq!(
            refusal("id.descc", order_terms),
            "1:8 unexpected 'c' expecting delimiter (.), \",\" or end of input"
        );
        assert_eq!(
            refusal("id.asc.nlsfst", order_terms),
            "1:8 unexpected \"l\" expecting \"nullsfirst\" or \"nullslast\""
        );
        assert_eq!(
            refusal("id.nullslasttt", order_terms),
            "1:13 unexpected 't' expecting \",\" or end of input"
        );
        assert_eq!(
            refusal("clients(name,id)", order_terms),
            "1:8 unexpected '(' expecting letter, digit, \"-\", \"->>\", \"->\", delimiter (.), \",\" or end of input"
        );
    }

    #[test]
    fn logic_refusals_name_the_operators() {
        assert_eq!(
            refusal("or()", logic_tree),
            "1:4 unexpected \")\" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator \
             (and, or)"
        );
        assert_eq!(
            refusal("or(id.in.1,2,id.eq.3)", logic_tree),
            "1:10 unexpected \"1\" expecting \"(\""
        );
        assert_eq!(refusal("or)(", logic_tree), "1:3 unexpected \")\" expecting \"(\"");
        assert_eq!(
            refusal("and(ord(id.eq.1,id.eq.1),id.eq.2)", logic_tree),
            "1:7 unexpected \"d\" expecting \"(\""
        );
        assert_eq!(
            refusal("or(id.eq.1,not.xor(id.eq.2,id.eq.3))", logic_tree),
            "1:16 unexpected \"x\" expecting logic operator (and, or)"
        );
    }

    #[test]
    fn names_may_hold_blanks_dashes_and_quoted_signs() {
        let name = |text| Reader::read(text, field_name).unwrap();
        assert_eq!(name(" no outer blanks "), "no outer blanks");
        assert_eq!(name("\" outer blanks \""), " outer blanks ");
        assert_eq!(name("with-dashes"), "with-dashes");
        assert_eq!(name("\"a\\\"b\""), "a\"b");
        assert_eq!(
            refusal(":", field_name),
            "1:1 unexpected \":\" expecting field name (* or [a..z0..9_$])"
        );
    }

    #[test]
    fn lists_keep_quoted_commas_and_empty_elements() {
        let list = |text| Reader::read(text, list_value).unwrap();
        assert_eq!(list("(1,\"a,b\",\"c\"d,)"), ["1", "a,b", "\"c\"d", ""]);
        assert_eq!(list("()"), [""]);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{}id.eq.1{}", "and(".repeat(1000), ")".repeat(1000));
        assert!(Reader::read(&text, logic_tree).unwrap_err().is_too_deep);
        let text = format!("{}id{}", "a(".repeat(1000), ")".repeat(1000));
        assert!(Reader::read(&text, select_items).unwrap_err().is_too_deep);
    }
}
