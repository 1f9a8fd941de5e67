//! Type names as written → types.

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::coerce::place;
use super::server;
use crate::ast::TypeName;

/// Types that PostgreSQL has and the subset leaves out, with what to use instead.
const REFUSED: &[(&str, &str)] = &[
    ("bpchar", "text or varchar"),
    ("char", "text or varchar"),
    ("timetz", "time"),
    ("money", "numeric"),
    ("xml", "text"),
    ("bit", "integer or bytea"),
    ("varbit", "integer or bytea"),
    ("inet", "text"),
    ("cidr", "text"),
    ("macaddr", "text"),
    ("macaddr8", "text"),
    ("point", "two columns"),
    ("line", "jsonb"),
    ("lseg", "jsonb"),
    ("box", "jsonb"),
    ("path", "jsonb"),
    ("polygon", "jsonb"),
    ("circle", "jsonb"),
    ("int4range", "two columns"),
    ("int8range", "two columns"),
    ("numrange", "two columns"),
    ("tsrange", "two columns"),
    ("tstzrange", "two columns"),
    ("daterange", "two columns"),
    ("int4multirange", "a table"),
    ("int8multirange", "a table"),
    ("nummultirange", "a table"),
    ("tsmultirange", "a table"),
    ("tstzmultirange", "a table"),
    ("datemultirange", "a table"),
    ("jsonpath", "-> and ->>"),
    ("regclass", "text"),
    ("regtype", "text"),
    ("regproc", "text"),
    ("regprocedure", "text"),
    ("regrole", "text"),
    ("regnamespace", "text"),
    ("pg_lsn", "bigint"),
    ("refcursor", "a query"),
    ("regdictionary", "text"),
    ("regcollation", "text"),
    ("regoper", "text"),
    ("regoperator", "text"),
    ("xid", "bigint"),
    ("xid8", "bigint"),
    ("cid", "bigint"),
    ("tid", "a key"),
    ("pg_snapshot", "text"),
    ("txid_snapshot", "text"),
    ("hstore", "jsonb"),
    ("geometry", "jsonb"),
    ("geography", "jsonb"),
];

/// The digits of a second's fraction that PostgreSQL keeps.
const FRACTION_DIGITS_MAX: i64 = 6;
/// The most characters that `varchar(n)` allows (PostgreSQL: `MaxAttrSize`).
const VARCHAR_LENGTH_MAX: i64 = 10_485_760;
const NUMERIC_PRECISION_MAX: i64 = 1000;
/// The most dimensions of pgvector's `vector`.
pub(crate) const VECTOR_DIMENSIONS_MAX: i64 = 16_000;

/// The type that `name` stands for: built-in names first, then enums and domains by `search_path`.
///
/// Errors: 42704 `type "x" does not exist`; 0A000 for what only PostgreSQL has (with `line`).
pub fn resolve(catalog: &Catalog, search_path: &[Ident], name: &TypeName, line: u32) -> Result<(Type, TypeModifier)> {
    let at = |error: DatabaseError| place(error, name.position);
    let (mut ty, modifier) = element(catalog, search_path, name, line).map_err(at)?;
    if name.array_dimensions > 1 {
        let refusal = DatabaseError::unavailable("arrays of more than one dimension", "", line, Some("jsonb"));
        return Err(at(refusal));
    }
    if name.array_dimensions == 1 {
        if ty == Type::Vector {
            let refusal = DatabaseError::unavailable("arrays of vectors", "", line, Some("a table"));
            return Err(at(refusal));
        }
        ty = Type::Array(Box::new(ty));
    }
    Ok((ty, modifier))
}

fn element(catalog: &Catalog, search_path: &[Ident], name: &TypeName, line: u32) -> Result<(Type, TypeModifier)> {
    let plain: &str = &name.name;
    let in_system = name.schema.as_ref().is_none_or(|schema| *schema == *"pg_catalog");
    if in_system {
        // `x[]` reaches the catalog as `_x` in some dumps.
        if let Some(ty) = plain.strip_prefix('_').and_then(Type::from_builtin_name) {
            return Ok((Type::Array(Box::new(ty)), TypeModifier::None));
        }
        let builtin = Type::from_builtin_name(plain).filter(|_| !matches!(plain, "char" | "bpchar" | "timetz"));
        if let Some(ty) = builtin {
            if matches!(ty, Type::Interval) && name.has_other_modifiers {
                let refusal = DatabaseError::unavailable("interval fields", "", line, Some("plain interval"));
                return Err(refusal);
            }
            let modifier = modifier(&ty, &name.modifiers)?;
            return Ok((ty, modifier));
        }
    }
    if let Some(schema) = catalog.extensions.get("vector").filter(|_| plain == "vector")
        && name.schema.as_ref().is_none_or(|given| given == schema)
    {
        let modifier = modifier(&Type::Vector, &name.modifiers)?;
        return Ok((Type::Vector, modifier));
    }
    let schemas: Vec<&Ident> = match &name.schema {
        Some(schema) => vec![schema],
        None => search_path.iter().collect(),
    };
    for schema in schemas {
        let full = QualifiedName::new(schema.clone(), name.name.clone());
        if catalog.enums.contains_key(&full) {
            return Ok((Type::Enum(full), TypeModifier::None));
        }
        if let Some(domain) = catalog.domains.get(&full) {
            if name.array_dimensions > 0 {
                let way = Some("an array of the base type");
                return Err(DatabaseError::unavailable("arrays of domains", &full.name, line, way));
            }
            return Ok((Type::Domain(full, Box::new(domain.base.clone())), TypeModifier::None));
        }
    }
    if let Some(schema) = catalog.extensions.get(&Ident::new("citext"))
        && plain == "citext"
        && name.schema.as_ref().is_none_or(|written| written == schema)
    {
        if name.array_dimensions > 0 {
            return Err(DatabaseError::unavailable("arrays of citext", "", line, Some("text[]")));
        }
        return Ok((Type::Citext, TypeModifier::None));
    }
    if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == plain) {
        let shown = if matches!(plain, "bpchar" | "char") {
            "char(n)"
        } else {
            plain
        };
        return Err(DatabaseError::unavailable(
            &format!("type {shown}"),
            "",
            line,
            Some(&format!("use {instead}")),
        ));
    }
    if let Some(schema) = name
        .schema
        .as_ref()
        .filter(|schema| !catalog.schemas.contains_key(*schema) && !in_system)
    {
        return Err(DatabaseError::new(
            "3F000",
            format!("schema \"{schema}\" does not exist"),
        ));
    }
    let is_row_type = match &name.schema {
        Some(schema) => catalog
            .relation(&QualifiedName::new(schema.clone(), name.name.clone()))
            .is_some(),
        None => catalog.find_relation(search_path, &name.name).is_some(),
    };
    if is_row_type {
        let feature = format!("the row type of {plain}");
        return Err(DatabaseError::unavailable(&feature, "", line, Some("its columns")));
    }
    if in_system && server::has_type(plain) {
        return Err(DatabaseError::unavailable(&format!("type {plain}"), "", line, None));
    }
    let shown = match &name.schema {
        Some(schema) => format!("{schema}.{plain}"),
        None => plain.to_owned(),
    };
    Err(DatabaseError::new("42704", format!("type \"{shown}\" does not exist")))
}

/// The modifier that the numbers in parentheses stand for. Errors: 22023, 42601 as PostgreSQL words them.
fn modifier(ty: &Type, numbers: &[i64]) -> Result<TypeModifier> {
    let invalid = |message: String| DatabaseError::new("22023", message);
    match (ty, numbers) {
        (_, []) => Ok(TypeModifier::None),
        (Type::Varchar, [length]) => match *length {
            length if length < 1 => Err(invalid("length for type varchar must be at least 1".to_owned())),
            length if length > VARCHAR_LENGTH_MAX => Err(invalid(format!(
                "length for type varchar cannot exceed {VARCHAR_LENGTH_MAX}"
            ))),
            length => Ok(TypeModifier::Length(length as u32)),
        },
        (Type::Vector, [dimensions]) => match *dimensions {
            ..1 => Err(invalid("dimensions for type vector must be at least 1".to_owned())),
            dimensions if dimensions > VECTOR_DIMENSIONS_MAX => Err(invalid(format!(
                "dimensions for type vector cannot exceed {VECTOR_DIMENSIONS_MAX}"
            ))),
            dimensions => Ok(TypeModifier::Length(dimensions as u32)),
        },
        (Type::Vector, _) => Err(invalid("invalid type modifier".to_owned())),
        (Type::Numeric, [precision, rest @ ..]) if rest.len() < 2 => {
            let scale = rest.first().copied().unwrap_or(0);
            if !(1..=NUMERIC_PRECISION_MAX).contains(precision) {
                let message = format!("NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}");
                return Err(invalid(message));
            }
            if !(-NUMERIC_PRECISION_MAX..=NUMERIC_PRECISION_MAX).contains(&scale) {
                let limit = NUMERIC_PRECISION_MAX;
                return Err(invalid(format!(
                    "NUMERIC scale {scale} must be between -{limit} and {limit}"
                )));
            }
            Ok(TypeModifier::Numeric {
                precision: *precision as u16,
                scale: scale as i16,
            })
        }
        (Type::Timestamptz | Type::Timestamp | Type::Time | Type::Interval, [digits]) => {
            Ok(TypeModifier::Fraction((*digits).clamp(0, FRACTION_DIGITS_MAX) as u8))
        }
        _ => Err(DatabaseError::new(
            "42601",
            format!("type modifier is not allowed for type \"{}\"", ty.internal_name()),
        )),
    }
}
