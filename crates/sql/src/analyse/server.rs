//! What PostgreSQL 15 has of its own beyond the subset: relations of its catalogs, types.
//!
//! A name of these that is not found is refused instead of being said not to exist.
//!
//! Source: PostgreSQL 15's `pg_class` and `pg_type`, in the schemas `pg_catalog` and `information_schema`.

use std::collections::HashSet;
use std::sync::LazyLock;

/// True for a table or view of the system catalogs; without a schema, those of `pg_catalog`.
pub fn has_relation(schema: Option<&str>, name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| include_str!("server_relations.txt").lines().collect());
    let schema = schema.unwrap_or("pg_catalog");
    NAMES.contains(format!("{schema}.{name}").as_str())
}

/// True for a type of `pg_catalog`, arrays by their element's name or with the underscore.
pub fn has_type(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| include_str!("server_types.txt").lines().collect());
    NAMES.contains(name.trim_start_matches('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_server() {
        assert!(has_relation(None, "pg_class") && has_relation(Some("information_schema"), "tables"));
        assert!(!has_relation(None, "tables") && !has_relation(Some("public"), "pg_class"));
        assert!(has_type("internal") && has_type("_internal") && !has_type("nosuch"));
    }
}
