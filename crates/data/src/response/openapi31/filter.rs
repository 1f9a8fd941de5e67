//! Query parameters as patterns: the operators that fit a type, with values of it; order and select over names.
//!
//! A pattern says what fits, not all that is read: aliases, casts, JSON paths and filters on embeds are in PostgREST's
//! documentation. Patterns keep to what ECMAScript's regular expressions and others have in common.

use mainstay_core::catalog::{Catalog, Column};
use mainstay_core::types::Type;

const ANY: &str = "[^\\u0000]*";
const DATE: &str = "[0-9]{3}[1-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const COMPARED: &str = "(eq|neq|gt|gte|lt|lte|isdistinct)";
const QUANTIFIED: &str = "(eq|gt|gte|lt|lte)\\((any|all)\\)";

/// The right side of a filter on a column of this type: `^(not\.)?(…)$`.
pub fn pattern(catalog: &Catalog, ty: &Type) -> String {
    let value = value(catalog, ty);
    let mut forms = vec![format!("{COMPARED}\\.{value}")];
    let is = match ty.base() {
        Type::Bool => "is\\.(null|not_null|true|false|unknown)",
        _ => "is\\.(null|not_null)",
    };
    forms.push(is.to_owned());
    // In a list a value ends at a comma; texts are told in letters and digits, others need no quotes.
    let listed = match value.as_str() {
        ANY => "[A-Za-z0-9 _]+",
        value => value,
    };
    match ty.base() {
        Type::Array(_) => {
            forms.push(format!("(cs|cd|ov)\\.{value}"));
        }
        Type::Json | Type::Jsonb => forms.push(format!("(cs|cd)\\.{ANY}")),
        Type::Tsvector => forms.push(format!("(fts|plfts|phfts|wfts)\\.{ANY}")),
        base => {
            forms.push(format!("in\\.\\({listed}(,{listed})*\\)"));
            forms.push(format!("{QUANTIFIED}\\.\\{{{listed}(,{listed})*\\}}"));
            if matches!(base, Type::Text | Type::Varchar | Type::Bpchar | Type::Citext) {
                forms.push(format!("(like|ilike|match|imatch)\\.{ANY}"));
                forms.push(format!("(like|ilike)\\((any|all)\\)\\.\\{{{listed}(,{listed})*\\}}"));
                forms.push(format!("(plfts|phfts|wfts)(\\((english|simple)\\))?\\.{ANY}"));
            }
        }
    }
    format!("^(not\\.)?({})$", forms.join("|"))
}

/// `and=`, `or=`: filters between parentheses, on columns whose values need no quotes there.
pub fn logic(catalog: &Catalog, columns: &[&Column]) -> Option<String> {
    let needs_no_quotes = |ty: &Type| {
        let kind = ty.base();
        matches!(
            kind,
            Type::Bool | Type::Uuid | Type::Date | Type::Enum(_) | Type::Numeric
        ) || kind.is_integer()
    };
    let filters: Vec<String> = columns
        .iter()
        .filter(|column| is_plain(&column.name))
        .map(|column| {
            let compared = match value(catalog, &column.ty) {
                value if needs_no_quotes(&column.ty) && value != ANY => format!("|{COMPARED}\\.{value}"),
                _ => String::new(),
            };
            format!("{}\\.(not\\.)?(is\\.(null|not_null){compared})", column.name)
        })
        .collect();
    let one = format!("({})", filters.join("|"));
    (!filters.is_empty()).then(|| format!("^\\({one}(,{one})*\\)$"))
}

/// A value's text.
pub fn value(catalog: &Catalog, ty: &Type) -> String {
    match ty.base() {
        Type::Bool => "(true|false)".into(),
        Type::Int2 => "-?[0-9]{1,4}".into(),
        Type::Int4 | Type::Oid => "-?[0-9]{1,9}".into(),
        Type::Int8 => "-?[0-9]{1,18}".into(),
        Type::Numeric | Type::Float4 | Type::Float8 => "-?[0-9]{1,12}(\\.[0-9]{1,6})?".into(),
        Type::Uuid => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".into(),
        Type::Date => DATE.into(),
        Type::Time => TIME.into(),
        Type::Timestamp => format!("{DATE}T{TIME}"),
        Type::Timestamptz => format!("{DATE}T{TIME}Z"),
        Type::Enum(name) => {
            let labels = catalog
                .enums
                .get(name)
                .map(|entry| entry.labels.as_slice())
                .unwrap_or_default();
            let plain: Vec<&str> = labels
                .iter()
                .map(String::as_str)
                .filter(|label| is_plain(label))
                .collect();
            match plain.is_empty() {
                true => ANY.into(),
                false => format!("({})", plain.join("|")),
            }
        }
        Type::Array(element) => {
            let inner = match value(catalog, element) {
                inner if inner == ANY => "[A-Za-z0-9_]+".to_owned(),
                inner => inner,
            };
            format!("\\{{({inner}(,{inner})*)?\\}}")
        }
        _ => ANY.into(),
    }
}

/// Names that stand for themselves in parameters and in patterns.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `order=`: columns with direction and place of nulls.
pub fn order(columns: &[&str]) -> Option<String> {
    let name = one_of(columns)?;
    let term = format!("{name}(\\.(asc|desc))?(\\.(nullsfirst|nullslast))?");
    Some(format!("^{term}(,{term})*$"))
}

/// `select=`: columns, and whole rows of related relations.
pub fn select(columns: &[&str], embeds: &[&str]) -> Option<String> {
    let name = one_of(columns)?;
    let item = match one_of(embeds) {
        Some(embed) => format!("(\\*|{name}|{embed}\\(\\*\\))"),
        None => format!("(\\*|{name})"),
    };
    Some(format!("^{item}(,{item})*$"))
}

/// `columns=`, `on_conflict=`: a list of names.
pub fn names(columns: &[&str]) -> Option<String> {
    let name = one_of(columns)?;
    Some(format!("^{name}(,{name})*$"))
}

fn one_of(names: &[&str]) -> Option<String> {
    let plain: Vec<&str> = names.iter().copied().filter(|name| is_plain(name)).collect();
    (!plain.is_empty()).then(|| format!("({})", plain.join("|")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::catalog::Enforcement;

    #[test]
    fn patterns_have_values_of_the_type() {
        let catalog = Catalog::empty(Enforcement::Catalog);
        assert_eq!(
            pattern(&catalog, &Type::Bool),
            "^(not\\.)?((eq|neq|gt|gte|lt|lte|isdistinct)\\.(true|false)|is\\.(null|not_null|true|false|unknown)\
             |in\\.\\((true|false)(,(true|false))*\\)|(eq|gt|gte|lt|lte)\\((any|all)\\)\\.\\{(true|false)(,(true|false))*\\})$"
        );
        assert_eq!(
            value(&catalog, &Type::Array(Box::new(Type::Int4))),
            "\\{(-?[0-9]{1,9}(,-?[0-9]{1,9})*)?\\}"
        );
        assert_eq!(order(&["id", "a-b"]).unwrap().matches("id").count(), 2);
        assert_eq!(select(&["a b"], &[]), None);
    }
}
