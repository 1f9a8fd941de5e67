//! What PostgreSQL 15 has of its own beyond the subset: relations of its catalogs, types, operators.
//!
//! A name of these that is not found is refused instead of being said not to exist.
//!
//! Source: PostgreSQL 15's `pg_class`, `pg_type` and `pg_operator`, in the schemas `pg_catalog` and `information_schema`.

use std::collections::HashSet;
use std::sync::LazyLock;

use mainstay_core::types::Type;

use crate::ast::ObjectName;

/// True for a table or view of the system catalogs; without a schema, those of `pg_catalog`.
pub fn has_relation(schema: Option<&str>, name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| include_str!("server_relations.txt").lines().collect());
    let schema = schema.unwrap_or("pg_catalog");
    NAMES.contains(format!("{schema}.{name}").as_str())
}

/// True for a name as the indexes of the system catalogs have.
pub fn may_have_index(name: &ObjectName) -> bool {
    let in_catalog = name.schema.as_ref().is_none_or(|schema| *schema == *"pg_catalog");
    in_catalog && name.name.starts_with("pg_") && name.name.ends_with("_index")
}

/// True for a table of `pg_catalog`, which nobody may change.
///
/// Source: PostgreSQL 15 manual, chapter 53.
pub fn is_system_table(name: &str) -> bool {
    include_str!("server_tables.txt").lines().any(|line| line == name)
}

/// True for a type of `pg_catalog`, arrays by their element's name or with the underscore.
pub fn has_type(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| include_str!("server_types.txt").lines().collect());
    NAMES.contains(name.trim_start_matches('_'))
}

/// True for the name of a type's input or output function: `int4in`, `timestamptz_out`.
pub fn is_type_function(name: &str) -> bool {
    let ty = ["in", "out", "recv", "send"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    ty.is_some_and(|ty| !ty.is_empty() && has_type(ty.trim_end_matches('_')))
}

/// True if the server has the operator for these types, or for some type in an unknown one's place.
pub fn has_operator(name: &str, left: Option<&Type>, right: &Type) -> bool {
    let fits = |declared: &str, given: Option<&Type>| match given {
        None => declared == "-",
        Some(Type::Unknown) => declared != "-",
        Some(ty) => {
            let shown = ty.base().to_string().replace(' ', "_");
            declared == shown
                || declared == "anynonarray"
                || shown == "character_varying" && declared == "text"
                || matches!(ty.base(), Type::Array(_)) && matches!(declared, "anyarray" | "anycompatiblearray")
        }
    };
    // Two literals fit everything; what they mean is for our own tables to say.
    if matches!(right, Type::Unknown) && left.is_none_or(|left| *left == Type::Unknown) {
        return false;
    }
    // `anyarray` twice is the same array type twice.
    let differ = |left: &Type| matches!((left.base(), right.base()), (Type::Array(left), Type::Array(right)) if left.base() != right.base());
    include_str!("server_operators.txt").lines().any(|line| {
        let mut words = line.split(' ');
        let [Some(operator), Some(first), Some(second)] = [words.next(), words.next(), words.next()] else {
            return false;
        };
        operator == name
            && fits(first, left)
            && fits(second, Some(right))
            && !((first, second) == ("anyarray", "anyarray") && left.is_some_and(differ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_server() {
        assert!(has_relation(None, "pg_class") && has_relation(Some("information_schema"), "tables"));
        assert!(!has_relation(None, "tables") && !has_relation(Some("public"), "pg_class"));
        assert!(has_operator("~~", Some(&Type::Bytea), &Type::Bytea));
        assert!(!has_operator("+", Some(&Type::Text), &Type::Int4));
        let array = |ty| Type::Array(Box::new(ty));
        assert!(has_operator("=", Some(&array(Type::Int4)), &array(Type::Int4)));
        assert!(!has_operator("=", Some(&array(Type::Int4)), &array(Type::Int8)));
        assert!(is_type_function("tsvectorin") && is_type_function("date_out") && !is_type_function("min"));
        assert!(has_type("internal") && has_type("_internal") && !has_type("nosuch"));
    }
}
