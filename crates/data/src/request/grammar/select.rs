//! `select=`: fields with aliases, casts and JSON paths, embeds with hints, spreads.

use mainstay_core::plan::AggregateFunction;

use super::{field, field_name, identifier};
use crate::request::reader::{Read, Reader, Stop};
use crate::request::syntax::{EmbedItem, JoinKind, SelectItem};

/// `select=`.
pub fn select_items(reader: &mut Reader<'_>) -> Read<Vec<SelectItem>> {
    reader.separated_or_none(select_item, |reader| reader.lexeme(|reader| reader.char(',')))
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

pub(super) fn spread_head(reader: &mut Reader<'_>) -> Read<EmbedItem> {
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

pub(super) fn embed_head(reader: &mut Reader<'_>) -> Read<EmbedItem> {
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

pub(super) fn select_field(reader: &mut Reader<'_>) -> Read<SelectItem> {
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
                            let cast = type_name(reader)?;
                            item_end(reader)?;
                            Ok(SelectItem::Aggregate {
                                function: AggregateFunction::Count,
                                over: None,
                                cast,
                                alias,
                            })
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
            let function = aggregate_name(reader)?;
            reader.string("()")?;
            Ok(function)
        })
    })?;
    let result_cast = type_name(reader)?;
    item_end(reader)?;
    Ok(match aggregate {
        Some(function) => SelectItem::Aggregate {
            function,
            over: Some((field, cast)),
            cast: result_cast,
            alias,
        },
        None => SelectItem::Field { field, cast, alias },
    })
}

fn aggregate_name(reader: &mut Reader<'_>) -> Read<AggregateFunction> {
    reader.or(
        |reader| reader.string("sum").map(|()| AggregateFunction::Sum),
        |reader| {
            reader.or(
                |reader| reader.string("avg").map(|()| AggregateFunction::Avg),
                |reader| {
                    reader.or(
                        |reader| reader.string("count").map(|()| AggregateFunction::Count),
                        |reader| {
                            reader.or(
                                |reader| {
                                    reader
                                        .attempt(|reader| reader.string("max"))
                                        .map(|()| AggregateFunction::Max)
                                },
                                |reader| {
                                    reader
                                        .attempt(|reader| reader.string("min"))
                                        .map(|()| AggregateFunction::Min)
                                },
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
