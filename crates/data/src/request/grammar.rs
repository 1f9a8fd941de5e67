//! The grammar of the query string's parameters, rule by rule as PostgREST has it, so that what is accepted, what is
//! refused and at which column are the same.
//!
//! Source: PostgREST documentation, "Tables and Views", "Resource Embedding"; its behaviour at the edges.

use mainstay_core::plan::{FullTextQuery, IsValue, Operator, Quantifier};

use super::reader::{Read, Reader, Stop};
use super::syntax::{
    EmbedItem, EmbedPath, FieldRef, Filter, JoinKind, LogicOperator, LogicTree, Operand, Operation, OrderTerm,
    PathOperand, PathStep, RawValue, SelectItem,
};

/// `select=`.
pub fn select_items(reader: &mut Reader<'_>) -> Read<Vec<SelectItem>> {
    reader.separated_or_none(select_item, |reader| reader.lexeme(|reader| reader.char(',')))
}

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

/// `eq.5`, `not.in.(1,2)`: the right side of a filter parameter.
pub fn operation(reader: &mut Reader<'_>) -> Read<(bool, Operation)> {
    operation_with(reader, &mut |reader| Ok(reader.rest().to_owned()))
}

/// `and(a.eq.1,or(b.gt.2,c.is.null))`.
pub fn logic_tree(reader: &mut Reader<'_>) -> Read<LogicTree> {
    let start_is_filter = reader.or(
        |reader| {
            reader
                .attempt(|reader| logic_filter(reader).map(LogicTree::Filter))
                .map(Some)
        },
        |_| Ok(None),
    )?;
    if let Some(tree) = start_is_filter {
        return Ok(tree);
    }
    let is_negated = reader.labelled("negation operator (not)", negation)?;
    let operator = reader.labelled("logic operator (and, or)", |reader| {
        reader.or(
            |reader| {
                reader
                    .attempt(|reader| reader.string("and"))
                    .map(|()| LogicOperator::And)
            },
            |reader| reader.string("or").map(|()| LogicOperator::Or),
        )
    })?;
    reader.lexeme(|reader| reader.char('('))?;
    let members =
        reader.nested(|reader| reader.separated(logic_tree, |reader| reader.lexeme(|reader| reader.char(','))))?;
    reader.lexeme(|reader| reader.char(')'))?;
    Ok(LogicTree::Group {
        is_negated,
        operator,
        members,
    })
}

/// `order=`.
pub fn order_terms(reader: &mut Reader<'_>) -> Read<Vec<OrderTerm>> {
    reader.separated(
        |reader| reader.lexeme(|reader| reader.or(|reader| reader.attempt(order_relation_term), order_term)),
        |reader| reader.char(','),
    )
}

/// `(1,"a,b",)`: the list of an `in`.
pub fn list_value(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    reader.lexeme(|reader| reader.char('('))?;
    let elements = reader.separated(list_element, |reader| reader.char(','))?;
    reader.lexeme(|reader| reader.char(')'))?;
    Ok(elements)
}

fn select_item(reader: &mut Reader<'_>) -> Read<SelectItem> {
    if reader.is_too_deep() {
        return Err(Stop);
    }
    reader.or(
        |reader| {
            let head = reader.attempt(spread_head)?;
            embed_body(reader, head)
        },
        |reader| {
            reader.or(
                |reader| {
                    let head = reader.attempt(embed_head)?;
                    embed_body(reader, head)
                },
                select_field,
            )
        },
    )
}

fn embed_body(reader: &mut Reader<'_>, mut head: EmbedItem) -> Read<SelectItem> {
    reader.char('(')?;
    head.items = reader.nested(select_items)?;
    reader.char(')')?;
    Ok(SelectItem::Embed(head))
}

fn spread_head(reader: &mut Reader<'_>) -> Read<EmbedItem> {
    reader.lexeme(|reader| {
        reader.string("...")?;
        let relation = field_name(reader)?;
        let (hint, join) = embed_parameters(reader)?;
        reader.attempt(|reader| reader.look_ahead(|reader| reader.string("(")))?;
        Ok(EmbedItem {
            relation,
            alias: None,
            hint,
            join,
            is_spread: true,
            items: Vec::new(),
        })
    })
}

fn embed_head(reader: &mut Reader<'_>) -> Read<EmbedItem> {
    reader.lexeme(|reader| {
        let alias = alias(reader)?;
        let relation = field_name(reader)?;
        if relation == "count" {
            return Err(Stop);
        }
        let (hint, join) = embed_parameters(reader)?;
        reader.attempt(|reader| reader.look_ahead(|reader| reader.string("(")))?;
        Ok(EmbedItem {
            relation,
            alias,
            hint,
            join,
            is_spread: false,
            items: Vec::new(),
        })
    })
}

enum EmbedParameter {
    Hint(String),
    Join(JoinKind),
}

fn embed_parameters(reader: &mut Reader<'_>) -> Read<(Option<String>, Option<JoinKind>)> {
    let (mut hint, mut join) = (None, None);
    for _ in 0..2 {
        match reader.optional(embed_parameter)? {
            Some(EmbedParameter::Hint(name)) => {
                hint.get_or_insert(name);
            }
            Some(EmbedParameter::Join(kind)) => {
                join.get_or_insert(kind);
            }
            None => {}
        }
    }
    Ok((hint, join))
}

fn embed_parameter(reader: &mut Reader<'_>) -> Read<EmbedParameter> {
    reader.char('!')?;
    reader.or(
        |reader| {
            reader
                .attempt(|reader| reader.string("left"))
                .map(|()| EmbedParameter::Join(JoinKind::Left))
        },
        |reader| {
            reader.or(
                |reader| {
                    reader
                        .attempt(|reader| reader.string("inner"))
                        .map(|()| EmbedParameter::Join(JoinKind::Inner))
                },
                |reader| reader.attempt(field_name).map(EmbedParameter::Hint),
            )
        },
    )
}

fn select_field(reader: &mut Reader<'_>) -> Read<SelectItem> {
    reader.lexeme(|reader| {
        reader.or(
            |reader| {
                reader.attempt(|reader| {
                    reader.string("*")?;
                    item_end(reader)?;
                    Ok(SelectItem::All)
                })
            },
            |reader| {
                reader.or(
                    |reader| {
                        reader.attempt(|reader| {
                            let alias = alias(reader)?;
                            reader.string("count()")?;
                            type_name(reader)?;
                            item_end(reader)?;
                            Ok(SelectItem::Aggregate { alias })
                        })
                    },
                    plain_field,
                )
            },
        )
    })
}

fn plain_field(reader: &mut Reader<'_>) -> Read<SelectItem> {
    let alias = alias(reader)?;
    let field = field(reader)?;
    let cast = type_name(reader)?;
    let aggregate = reader.optional(|reader| {
        reader.attempt(|reader| {
            reader.char('.')?;
            aggregate_name(reader)?;
            reader.string("()")
        })
    })?;
    type_name(reader)?;
    item_end(reader)?;
    Ok(match aggregate {
        Some(()) => SelectItem::Aggregate { alias },
        None => SelectItem::Field { field, cast, alias },
    })
}

fn aggregate_name(reader: &mut Reader<'_>) -> Read<()> {
    reader.or(
        |reader| reader.string("sum"),
        |reader| {
            reader.or(
                |reader| reader.string("avg"),
                |reader| {
                    reader.or(
                        |reader| reader.string("count"),
                        |reader| {
                            reader.or(
                                |reader| reader.attempt(|reader| reader.string("max")),
                                |reader| reader.attempt(|reader| reader.string("min")),
                            )
                        },
                    )
                },
            )
        },
    )
}

/// `::type`, if it is there.
fn type_name(reader: &mut Reader<'_>) -> Read<Option<String>> {
    reader.optional(|reader| {
        reader.string("::")?;
        identifier(reader)
    })
}

/// An item must be followed by `)`, `,` or nothing.
fn item_end(reader: &mut Reader<'_>) -> Read<()> {
    reader.or(
        |reader| reader.attempt(|reader| reader.look_ahead(|reader| reader.string(")"))),
        |reader| {
            reader.or(
                |reader| reader.attempt(|reader| reader.look_ahead(|reader| reader.string(","))),
                |reader| reader.attempt(Reader::end),
            )
        },
    )
}

/// `name:`, but not `name::`.
fn alias(reader: &mut Reader<'_>) -> Read<Option<String>> {
    reader.optional(|reader| {
        reader.attempt(|reader| {
            let name = field_name(reader)?;
            reader.char(':')?;
            reader.attempt(|reader| reader.not_followed_by(|c| c == ':'))?;
            Ok(name)
        })
    })
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

fn negation(reader: &mut Reader<'_>) -> Read<bool> {
    reader.or(
        |reader| {
            reader.attempt(|reader| {
                reader.string("not")?;
                delimiter(reader)?;
                Ok(true)
            })
        },
        |_| Ok(false),
    )
}

type ValueRule<'r> = dyn FnMut(&mut Reader<'_>) -> Read<String> + 'r;

fn operation_with(reader: &mut Reader<'_>, value: &mut ValueRule<'_>) -> Read<(bool, Operation)> {
    let is_negated = negation(reader)?;
    let operation = reader.labelled("operator (eq, gt, ...)", |reader| {
        if let Some(operation) = begun(reader, in_operation)? {
            return Ok(operation);
        }
        if let Some(operation) = begun(reader, is_operation)? {
            return Ok(operation);
        }
        if let Some(operation) = begun(reader, |reader| {
            reader.attempt(|reader| {
                reader.string("isdistinct")?;
                delimiter(reader)
            })?;
            Ok(Operation::IsDistinct(text(value(reader)?)))
        })? {
            return Ok(operation);
        }
        if let Some(operation) = begun(reader, |reader| reader.attempt(|reader| full_text(reader, value)))? {
            return Ok(operation);
        }
        if let Some(operation) = begun(reader, |reader| reader.attempt(|reader| simple(reader, value)))? {
            return Ok(operation);
        }
        reader.attempt(|reader| quantified(reader, value))
    })?;
    Ok((is_negated, operation))
}

/// The rule's result, or `None` if it could not begin.
fn begun<T>(reader: &mut Reader<'_>, rule: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> Read<Option<T>> {
    reader.or(|reader| rule(reader).map(Some), |_| Ok(None))
}

/// A text value whose slot is given later.
fn text(value: String) -> Operand {
    Operand {
        slot: 0,
        value: RawValue::Text(value),
    }
}

fn in_operation(reader: &mut Reader<'_>) -> Read<Operation> {
    reader.attempt(|reader| {
        reader.string("in")?;
        delimiter(reader)
    })?;
    Ok(Operation::In(Operand {
        slot: 0,
        value: RawValue::List(list_value(reader)?),
    }))
}

fn is_operation(reader: &mut Reader<'_>) -> Read<Operation> {
    reader.attempt(|reader| {
        reader.string("is")?;
        delimiter(reader)
    })?;
    const VALUES: [(&str, IsValue); 5] = [
        ("null", IsValue::Null),
        ("not_null", IsValue::NotNull),
        ("true", IsValue::True),
        ("false", IsValue::False),
        ("unknown", IsValue::Unknown),
    ];
    reader.labelled("isVal: (null, not_null, true, false, unknown)", |reader| {
        for (name, value) in VALUES {
            if let Some(()) = begun(reader, |reader| reader.attempt(|reader| any_case(reader, name)))? {
                return Ok(Operation::Is(value));
            }
        }
        Err(Stop)
    })
}

fn any_case(reader: &mut Reader<'_>, name: &str) -> Read<()> {
    for wanted in name.chars() {
        reader.or(
            |reader| reader.char(wanted),
            |reader| reader.char(wanted.to_ascii_uppercase()),
        )?;
    }
    Ok(())
}

fn full_text(reader: &mut Reader<'_>, value: &mut ValueRule<'_>) -> Read<Operation> {
    const QUERIES: [(&str, FullTextQuery); 4] = [
        ("fts", FullTextQuery::Plain),
        ("plfts", FullTextQuery::PlainTo),
        ("phfts", FullTextQuery::PhraseTo),
        ("wfts", FullTextQuery::WebSearch),
    ];
    let query = one_of(reader, &QUERIES)?;
    let language = reader.optional(|reader| {
        reader.attempt(|reader| {
            reader.char('(')?;
            let language = identifier(reader)?;
            reader.char(')')?;
            Ok(language)
        })
    })?;
    delimiter(reader)?;
    Ok(Operation::FullText {
        query,
        language,
        value: text(value(reader)?),
    })
}

const SIMPLE: [(&str, Operator); 9] = [
    ("neq", Operator::Neq),
    ("cs", Operator::Contains),
    ("cd", Operator::Contained),
    ("ov", Operator::Overlap),
    ("sl", Operator::StrictlyLeft),
    ("sr", Operator::StrictlyRight),
    ("nxr", Operator::NotExtendsRight),
    ("nxl", Operator::NotExtendsLeft),
    ("adj", Operator::Adjacent),
];

const QUANTIFIABLE: [(&str, Operator); 9] = [
    ("eq", Operator::Eq),
    ("gte", Operator::Gte),
    ("gt", Operator::Gt),
    ("lte", Operator::Lte),
    ("lt", Operator::Lt),
    ("like", Operator::Like),
    ("ilike", Operator::Ilike),
    ("match", Operator::Match),
    ("imatch", Operator::Imatch),
];

/// The operator that `name` stands for among those that take one text value.
pub fn operator_named(name: &str) -> Option<Operator> {
    SIMPLE
        .iter()
        .chain(&QUANTIFIABLE)
        .find(|(known, _)| *known == name)
        .map(|(_, operator)| *operator)
}

fn simple(reader: &mut Reader<'_>, value: &mut ValueRule<'_>) -> Read<Operation> {
    let operator = reader.labelled("unknown single value operator", |reader| one_of(reader, &SIMPLE))?;
    delimiter(reader)?;
    Ok(Operation::Compare {
        operator,
        quantifier: None,
        value: text(value(reader)?),
    })
}

fn quantified(reader: &mut Reader<'_>, value: &mut ValueRule<'_>) -> Read<Operation> {
    let operator = reader.labelled("unknown single value operator", |reader| one_of(reader, &QUANTIFIABLE))?;
    let quantifier = reader.optional(|reader| {
        reader.attempt(|reader| {
            reader.char('(')?;
            let quantifier = reader.or(
                |reader| reader.attempt(|reader| reader.string("any")).map(|()| Quantifier::Any),
                |reader| reader.string("all").map(|()| Quantifier::All),
            )?;
            reader.char(')')?;
            Ok(quantifier)
        })
    })?;
    delimiter(reader)?;
    Ok(Operation::Compare {
        operator,
        quantifier,
        value: text(value(reader)?),
    })
}

fn one_of<T: Copy>(reader: &mut Reader<'_>, names: &[(&'static str, T)]) -> Read<T> {
    for (name, meaning) in names {
        if let Some(()) = begun(reader, |reader| reader.attempt(|reader| reader.string(name)))? {
            return Ok(*meaning);
        }
    }
    Err(Stop)
}

fn list_element(reader: &mut Reader<'_>) -> Read<String> {
    reader.or(quoted_element, |reader| Ok(reader.run(in_element).to_owned()))
}

fn in_element(c: char) -> bool {
    c != ',' && c != ')'
}

/// A quoted value with nothing between it and the next `,` or `)`.
fn quoted_element(reader: &mut Reader<'_>) -> Read<String> {
    reader.attempt(|reader| {
        let text = quoted(reader)?;
        reader.attempt(|reader| reader.not_followed_by(in_element))?;
        Ok(text)
    })
}

fn logic_filter(reader: &mut Reader<'_>) -> Read<Filter> {
    let field = field(reader)?;
    delimiter(reader)?;
    let (is_negated, operation) = operation_with(reader, &mut logic_value)?;
    Ok(Filter {
        field,
        is_negated,
        operation,
    })
}

/// A value inside a group ends at `,` or `)`, unless it is quoted or an array in braces.
fn logic_value(reader: &mut Reader<'_>) -> Read<String> {
    reader.or(quoted_element, |reader| {
        reader.or(
            |reader| {
                reader.attempt(|reader| {
                    reader.string("{")?;
                    let inside = reader.run(|c| c != '{' && c != '}');
                    reader.string("}")?;
                    Ok(format!("{{{inside}}}"))
                })
            },
            |reader| Ok(reader.run(in_element).to_owned()),
        )
    })
}

fn order_term(reader: &mut Reader<'_>) -> Read<OrderTerm> {
    let field = field(reader)?;
    order_tail(reader, None, field)
}

fn order_relation_term(reader: &mut Reader<'_>) -> Read<OrderTerm> {
    let relation = field_name(reader)?;
    reader.char('(')?;
    let field = field(reader)?;
    reader.char(')')?;
    order_tail(reader, Some(relation), field)
}

fn order_tail(reader: &mut Reader<'_>, relation: Option<String>, field: FieldRef) -> Read<OrderTerm> {
    let direction = reader.optional(|reader| {
        reader.or(
            |reader| dotted(reader, "asc").map(|()| false),
            |reader| dotted(reader, "desc").map(|()| true),
        )
    })?;
    let nulls_first = reader.or(
        |reader| {
            let nulls = reader.optional(|reader| {
                reader.or(
                    |reader| dotted(reader, "nullsfirst").map(|()| true),
                    |reader| dotted(reader, "nullslast").map(|()| false),
                )
            })?;
            order_end(reader)?;
            Ok(nulls)
        },
        |reader| order_end(reader).map(|()| None),
    )?;
    Ok(OrderTerm {
        relation,
        field,
        is_descending: direction == Some(true),
        nulls_first,
    })
}

fn dotted(reader: &mut Reader<'_>, word: &'static str) -> Read<()> {
    reader.attempt(|reader| {
        delimiter(reader)?;
        reader.string(word)
    })
}

fn order_end(reader: &mut Reader<'_>) -> Read<()> {
    reader.or(
        |reader| reader.attempt(|reader| reader.look_ahead(|reader| reader.char(',').map(drop))),
        |reader| reader.attempt(Reader::end),
    )
}

#[cfg(test)]
mod tests {
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
