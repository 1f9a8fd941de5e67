//! The names that PostgreSQL gives where none was written.
//!
//! Source: PostgreSQL 15's naming of constraints, indexes and sequences, as observed: `table_column_key` and kin, cut to
//! 63 bytes with the longer part shortened first, numbered when taken.

use mainstay_core::catalog::{Catalog, ConstraintKind};
use mainstay_core::name::{Ident, QualifiedName};

/// The longest name, in bytes; longer ones are cut.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// Cuts a name as PostgreSQL does, at a character's end.
pub(super) fn cut(name: &str, bytes_max: usize) -> &str {
    if name.len() <= bytes_max {
        return name;
    }
    let mut end = bytes_max;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// `first_second_label`, the longer of the first two cut until all fits.
pub(super) fn compose(first: &str, second: Option<&str>, label: &str) -> String {
    let mut overhead = label.len() + 1;
    let (mut first_bytes, mut second_bytes) = (first.len(), 0);
    if let Some(second) = second {
        overhead += 1;
        second_bytes = second.len();
    }
    let available = NAME_BYTES_MAX - overhead;
    while first_bytes + second_bytes > available {
        if first_bytes > second_bytes {
            first_bytes -= 1;
        } else {
            second_bytes -= 1;
        }
    }
    let first = cut(first, first_bytes);
    match second {
        Some(second) => format!("{first}_{}_{label}", cut(second, second_bytes)),
        None => format!("{first}_{label}"),
    }
}

/// Column names joined for an index's or foreign key's name; what goes past the limit is left out.
pub(super) fn joined<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for column in columns {
        if !text.is_empty() {
            text.push('_');
        }
        text.push_str(column);
        if text.len() > NAME_BYTES_MAX {
            break;
        }
    }
    text
}

/// True if a table, view, index or sequence of the schema has this name.
pub(super) fn relation_exists(catalog: &Catalog, schema: &Ident, name: &str) -> bool {
    let qualified = QualifiedName::new(schema.clone(), name);
    catalog.relations.contains_key(&qualified)
        || catalog.sequences.contains_key(&qualified)
        || index_table(catalog, schema, name).is_some()
}

/// The table whose index, or whose key's index, has this name.
pub(super) fn index_table(catalog: &Catalog, schema: &Ident, name: &str) -> Option<QualifiedName> {
    catalog
        .relations
        .values()
        .filter(|relation| relation.name.schema == *schema)
        .find(|relation| {
            relation.indexes.iter().any(|index| index.name == *name)
                || relation.constraints.iter().any(|constraint| {
                    constraint.name == *name
                        && matches!(
                            constraint.kind,
                            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
                        )
                })
        })
        .map(|relation| relation.name.clone())
}

/// True if a constraint of any table of the schema has this name.
pub(super) fn constraint_exists(catalog: &Catalog, schema: &Ident, name: &str) -> bool {
    catalog
        .relations
        .values()
        .filter(|relation| relation.name.schema == *schema)
        .any(|relation| relation.constraints.iter().any(|constraint| constraint.name == *name))
}

/// A free name for a sequence or an index; `constraint`: one that is a constraint's too.
pub(super) fn choose_relation(
    catalog: &Catalog,
    schema: &Ident,
    first: &str,
    second: Option<&str>,
    label: &str,
    constraint: bool,
) -> Ident {
    choose(first, second, label, |name| {
        relation_exists(catalog, schema, name) || (constraint && constraint_exists(catalog, schema, name))
    })
}

/// A free name for a constraint that has no index.
pub(super) fn choose_constraint(
    catalog: &Catalog,
    schema: &Ident,
    first: &str,
    second: Option<&str>,
    label: &str,
) -> Ident {
    choose(first, second, label, |name| constraint_exists(catalog, schema, name))
}

fn choose(first: &str, second: Option<&str>, label: &str, taken: impl Fn(&str) -> bool) -> Ident {
    let mut name = compose(first, second, label);
    let mut pass = 0;
    while taken(&name) {
        pass += 1;
        name = compose(first, second, &format!("{label}{pass}"));
    }
    Ident::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_part_is_cut_first() {
        let long = "a".repeat(60);
        assert_eq!(compose(&long, Some("b"), "key"), format!("{}_b_key", "a".repeat(57)));
        assert_eq!(compose(&long, Some(&long), "fkey").len(), NAME_BYTES_MAX);
        assert_eq!(compose("t", None, "pkey"), "t_pkey");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("äöü", 3), "ä");
    }
}
