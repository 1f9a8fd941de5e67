//! Filters: operators with their values, and groups of filters.

use mainstay_core::plan::{FullTextQuery, IsValue, Operator, Quantifier};

use super::{delimiter, field, identifier, quoted};
use crate::request::reader::{Read, Reader, Stop};
use crate::request::syntax::{Filter, LogicOperator, LogicTree, Operand, Operation, RawValue};

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

/// `(1,"a,b",)`: the list of an `in`.
pub fn list_value(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    reader.lexeme(|reader| reader.char('('))?;
    let elements = reader.separated(list_element, |reader| reader.char(','))?;
    reader.lexeme(|reader| reader.char(')'))?;
    Ok(elements)
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
