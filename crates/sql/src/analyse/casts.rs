//! Which casts exist, in which contexts, and how they are done.
//!
//! Source: PostgreSQL 15 manual, 10.4 and CREATE CAST; `pg_cast`, `pg_type.typispreferred`.

use mainstay_core::types::{Category, Type};

use super::kinds::Arg::{self, *};
use crate::typed::CastContext::{self, Assignment, Explicit, Implicit};
use crate::typed::CastMethod::{self, Function, InputOutput, Relabel};

/// (from, to, least context, method). Pairs through text that follow from PostgreSQL's general rule are not listed.
const CASTS: &[(Arg, Arg, CastContext, CastMethod)] = &[
    (Int2, Int4, Implicit, Function),
    (Int2, Int8, Implicit, Function),
    (Int2, Float4, Implicit, Function),
    (Int2, Float8, Implicit, Function),
    (Int2, Numeric, Implicit, Function),
    (Int2, Oid, Implicit, Function),
    (Int4, Int2, Assignment, Function),
    (Int4, Int8, Implicit, Function),
    (Int4, Float4, Implicit, Function),
    (Int4, Float8, Implicit, Function),
    (Int4, Numeric, Implicit, Function),
    (Int4, Oid, Implicit, Relabel),
    (Int4, Bool, Explicit, Function),
    (Int8, Int2, Assignment, Function),
    (Int8, Int4, Assignment, Function),
    (Int8, Float4, Implicit, Function),
    (Int8, Float8, Implicit, Function),
    (Int8, Numeric, Implicit, Function),
    (Int8, Oid, Implicit, Function),
    (Float4, Int2, Assignment, Function),
    (Float4, Int4, Assignment, Function),
    (Float4, Int8, Assignment, Function),
    (Float4, Float8, Implicit, Function),
    (Float4, Numeric, Assignment, Function),
    (Float8, Int2, Assignment, Function),
    (Float8, Int4, Assignment, Function),
    (Float8, Int8, Assignment, Function),
    (Float8, Float4, Assignment, Function),
    (Float8, Numeric, Assignment, Function),
    (Numeric, Int2, Assignment, Function),
    (Numeric, Int4, Assignment, Function),
    (Numeric, Int8, Assignment, Function),
    (Numeric, Float4, Implicit, Function),
    (Numeric, Float8, Implicit, Function),
    (Oid, Int4, Assignment, Relabel),
    (Oid, Int8, Assignment, Function),
    (Bool, Int4, Explicit, Function),
    (Bool, Text, Assignment, Function),
    (Bool, Varchar, Assignment, Function),
    (Bool, Bpchar, Assignment, Function),
    (Text, Bpchar, Implicit, Relabel),
    (Text, Varchar, Implicit, Relabel),
    (Text, Name, Implicit, Function),
    (Varchar, Text, Implicit, Relabel),
    (Varchar, Bpchar, Implicit, Relabel),
    (Varchar, Name, Implicit, Function),
    (Bpchar, Text, Implicit, Function),
    (Bpchar, Varchar, Implicit, Function),
    (Bpchar, Name, Implicit, Function),
    (Citext, Text, Implicit, Relabel),
    (Citext, Varchar, Implicit, Relabel),
    (Text, Citext, Assignment, Relabel),
    (Varchar, Citext, Assignment, Relabel),
    (Name, Text, Implicit, Function),
    (QuotedChar, Text, Implicit, Relabel),
    (QuotedChar, Varchar, Assignment, Relabel),
    (QuotedChar, Bpchar, Assignment, Relabel),
    (Name, Varchar, Assignment, Function),
    (Name, Bpchar, Assignment, Function),
    (Date, Timestamp, Implicit, Function),
    (Date, Timestamptz, Implicit, Function),
    (Time, Interval, Implicit, Function),
    (Timestamp, Date, Assignment, Function),
    (Timestamp, Time, Assignment, Function),
    (Timestamp, Timestamptz, Implicit, Function),
    (Timestamptz, Date, Assignment, Function),
    (Timestamptz, Time, Assignment, Function),
    (Timestamptz, Timestamp, Assignment, Function),
    (Interval, Time, Assignment, Function),
    (Json, Jsonb, Assignment, Function),
    (Jsonb, Json, Assignment, Function),
    (Jsonb, Bool, Explicit, Function),
    (Jsonb, Int2, Explicit, Function),
    (Jsonb, Int4, Explicit, Function),
    (Jsonb, Int8, Explicit, Function),
    (Jsonb, Float4, Explicit, Function),
    (Jsonb, Float8, Explicit, Function),
    (Jsonb, Numeric, Explicit, Function),
];

/// How a value of `from` becomes one of `to` in `context`, if it may. Equal types are [`Relabel`].
pub fn pathway(from: &Type, to: &Type, context: CastContext) -> Option<CastMethod> {
    let (from, to) = (from.base(), to.base());
    if from == to {
        return Some(Relabel);
    }
    let listed = CASTS
        .iter()
        .find(|(source, target, ..)| source.is(from) && target.is(to));
    if let Some((_, _, least, method)) = listed {
        return (rank(context) >= rank(*least)).then_some(*method);
    }
    match (from, to) {
        (Type::Array(element), Type::Vector)
            if context != Implicit && matches!(**element, Type::Int4 | Type::Float4 | Type::Float8 | Type::Numeric) =>
        {
            return Some(Function);
        }
        (Type::Vector, Type::Array(element)) if **element == Type::Float4 => return Some(Function),
        _ => {}
    }
    if let (Type::Array(from), Type::Array(to)) = (from, to) {
        return pathway(from, to, context).map(|method| if method == Relabel { Relabel } else { InputOutput });
    }
    if matches!(from, Type::Record | Type::Composite(_)) && matches!(to, Type::Record) {
        return Some(Relabel);
    }
    // Anything becomes text by assignment, text becomes anything explicitly.
    if context != Implicit && to.category() == Category::String && has_text_form(from) {
        return Some(InputOutput);
    }
    if context == Explicit && from.category() == Category::String && has_text_form(to) {
        return Some(InputOutput);
    }
    None
}

fn has_text_form(ty: &Type) -> bool {
    !matches!(ty, Type::Void | Type::Unknown)
}

fn rank(context: CastContext) -> u8 {
    match context {
        Implicit => 0,
        Assignment => 1,
        Explicit => 2,
    }
}

/// True for the type that its category prefers when several would do.
pub fn is_preferred(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Bool | Type::Text | Type::Float8 | Type::Oid | Type::Timestamptz | Type::Interval
    )
}

/// True if an expression of type `from` may stand where `to` is wanted, without being asked.
pub fn is_implicit(from: &Type, to: &Type) -> bool {
    *from == Type::Unknown || pathway(from, to, Implicit).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_limit_casts() {
        assert_eq!(pathway(&Type::Int4, &Type::Numeric, Implicit), Some(Function));
        assert_eq!(pathway(&Type::Numeric, &Type::Int4, Implicit), None);
        assert_eq!(pathway(&Type::Numeric, &Type::Int4, Assignment), Some(Function));
        assert_eq!(pathway(&Type::Uuid, &Type::Text, Assignment), Some(InputOutput));
        assert_eq!(pathway(&Type::Uuid, &Type::Text, Implicit), None);
        assert_eq!(pathway(&Type::Text, &Type::Uuid, Assignment), None);
        assert_eq!(pathway(&Type::Text, &Type::Uuid, Explicit), Some(InputOutput));
        assert_eq!(pathway(&Type::Uuid, &Type::Int4, Explicit), None);
    }
}
