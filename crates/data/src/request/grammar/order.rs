//! `order=`: fields, also of to-one embeds, with direction and place of nulls.

use super::{delimiter, field, field_name};
use crate::request::reader::{Read, Reader};
use crate::request::syntax::{FieldRef, OrderTerm};

/// `order=`.
pub fn order_terms(reader: &mut Reader<'_>) -> Read<Vec<OrderTerm>> {
    reader.separated(
        |reader| reader.lexeme(|reader| reader.or(|reader| reader.attempt(order_relation_term), order_term)),
        |reader| reader.char(','),
    )
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
