//! The types of columns, arguments and sequences: from what was written to what the catalog keeps.
//!
//! Source: study of portability, §3 (what the embedded engine stores) and §12 (what must be refused).

use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};

use super::{Result, Run};
use crate::analyse::server;
use crate::analyse::types::VECTOR_DIMENSIONS_MAX;
use crate::ast::{ObjectName, TypeName};

/// The longest enum label, in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// The longest declared `varchar`, in characters.
const VARCHAR_LENGTH_MAX: i64 = 10_485_760;
/// Digits of a `numeric`, and the bounds of its scale.
const NUMERIC_PRECISION_MAX: i64 = 1000;
/// Digits of a second's fraction.
const FRACTION_DIGITS_MAX: i64 = 6;

/// What a column definition's type means.
pub(super) enum ColumnType {
    Plain(Type, TypeModifier),
    /// `serial` and kin: the integer type, NOT NULL, and a sequence.
    Serial(Type),
}

impl Run<'_> {
    /// A column's type. Errors: 42704, 3F000, 22023, and 0A000 for types the embedded engine does not store.
    pub(super) fn column_type(&mut self, written: &TypeName, object: &str, line: u32) -> Result<ColumnType> {
        if written.schema.is_none() && written.array_dimensions == 0 {
            let serial = match written.name.as_str() {
                "smallserial" | "serial2" => Some(Type::Int2),
                "serial" | "serial4" => Some(Type::Int4),
                "bigserial" | "serial8" => Some(Type::Int8),
                _ => None,
            };
            if let Some(ty) = serial {
                return Ok(ColumnType::Serial(ty));
            }
        }
        let (ty, modifier) = self.resolve_type(written, object, line)?;
        Ok(ColumnType::Plain(ty, modifier))
    }

    /// A type in a column, an argument or a result. Errors: as [`Run::column_type`].
    pub(super) fn resolve_type(&mut self, written: &TypeName, object: &str, line: u32) -> Result<(Type, TypeModifier)> {
        if written.set_of {
            return Err(DatabaseError::new(
                "42P16",
                format!("column \"{object}\" cannot be declared SETOF"),
            ));
        }
        let builtin = written.schema.as_ref().is_none_or(|schema| *schema == *"pg_catalog");
        let ty = match Type::from_builtin_name(&written.name).filter(|_| builtin) {
            Some(ty) => ty,
            None => self.named_type(written, object, line)?,
        };
        if let Some((feature, way)) = refused_type(&ty) {
            return Err(DatabaseError::unavailable(feature, object, line, way));
        }
        let modifier = self.modifier(&ty, written, object, line)?;
        // PostgreSQL takes any number of brackets for the same type; only values of one dimension are kept here, so
        // that more are refused where they are declared.
        match written.array_dimensions {
            0 => Ok((ty, modifier)),
            1 if matches!(ty.base(), Type::Array(_)) => Err(self.refuse("arrays of arrays", object, Some("jsonb"))),
            1 if ty == Type::Vector => Err(self.refuse("arrays of vectors", object, Some("a table"))),
            1 if matches!(ty, Type::Void) => Err(DatabaseError::new("42704", "type \"void[]\" does not exist")),
            1 => Ok((Type::Array(Box::new(ty)), modifier)),
            _ => Err(self.refuse("arrays of more than one dimension", object, Some("jsonb"))),
        }
    }

    fn named_type(&self, written: &TypeName, object: &str, line: u32) -> Result<Type> {
        if let Some(schema) = written.schema.as_ref().filter(|schema| **schema != *"pg_catalog") {
            self.existing_schema(schema)?;
        }
        let name = ObjectName {
            schema: written.schema.clone(),
            name: written.name.clone(),
            position: 0,
        };
        if let Some(found) = self.find_enum(&name) {
            return Ok(Type::Enum(found));
        }
        if let Some(schema) = self
            .catalog
            .extensions
            .get("vector")
            .filter(|_| written.name == *"vector")
            && written.schema.as_ref().is_none_or(|given| given == schema)
        {
            return Ok(Type::Vector);
        }
        if let Some(found) = self.find_domain(&name)
            && let Some(domain) = self.catalog.domains.get(&found)
        {
            if written.array_dimensions > 0 {
                return Err(self.refuse("arrays of domains", object, Some("an array of the base type")));
            }
            return Ok(Type::Domain(found, Box::new(domain.base.clone())));
        }
        if let Some(schema) = self.catalog.extensions.get(&mainstay_core::name::Ident::new("citext"))
            && written.name == *"citext"
            && written.schema.as_ref().is_none_or(|given| given == schema)
        {
            if written.array_dimensions > 0 {
                return Err(self.refuse("arrays of citext", object, Some("text[]")));
            }
            return Ok(Type::Citext);
        }
        if let Some((feature, way)) = refused_name(&written.name) {
            return Err(DatabaseError::unavailable(feature, object, line, Some(way)));
        }
        if self.find_relation(&name).is_some() {
            return Err(DatabaseError::unavailable(
                "composite types",
                object,
                line,
                Some("jsonb or a foreign key"),
            ));
        }
        if server::has_type(&written.name) {
            let feature = format!("type {}", written.name);
            return Err(DatabaseError::unavailable(&feature, object, line, None));
        }
        Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")).at(written.position))
    }

    fn modifier(&mut self, ty: &Type, written: &TypeName, object: &str, line: u32) -> Result<TypeModifier> {
        let invalid = |message: String| Err(DatabaseError::new("22023", message).at(written.position));
        if written.has_other_modifiers {
            return Err(DatabaseError::unavailable(
                "interval with fields",
                object,
                line,
                Some("interval"),
            ));
        }
        match (ty, written.modifiers.as_slice()) {
            (_, []) => Ok(TypeModifier::None),
            (Type::Varchar, [length]) => match *length {
                ..1 => invalid("length for type varchar must be at least 1".into()),
                length if length > VARCHAR_LENGTH_MAX => {
                    invalid(format!("length for type varchar cannot exceed {VARCHAR_LENGTH_MAX}"))
                }
                // Bounded above by VARCHAR_LENGTH_MAX.
                length => Ok(TypeModifier::Length(length as u32)),
            },
            (Type::Vector, [dimensions]) => match *dimensions {
                ..1 => invalid("dimensions for type vector must be at least 1".into()),
                dimensions if dimensions > VECTOR_DIMENSIONS_MAX => invalid(format!(
                    "dimensions for type vector cannot exceed {VECTOR_DIMENSIONS_MAX}"
                )),
                // Bounded above by VECTOR_DIMENSIONS_MAX.
                dimensions => Ok(TypeModifier::Length(dimensions as u32)),
            },
            (Type::Vector, _) => invalid("invalid type modifier".into()),
            (Type::Numeric, [precision, scale @ ..]) if scale.len() <= 1 => {
                let scale = scale.first().copied().unwrap_or(0);
                if !(1..=NUMERIC_PRECISION_MAX).contains(precision) {
                    return invalid(format!(
                        "NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}"
                    ));
                }
                if !(-NUMERIC_PRECISION_MAX..=NUMERIC_PRECISION_MAX).contains(&scale) {
                    return invalid(format!(
                        "NUMERIC scale {scale} must be between -{NUMERIC_PRECISION_MAX} and {NUMERIC_PRECISION_MAX}"
                    ));
                }
                // Both are within ±1000.
                Ok(TypeModifier::Numeric {
                    precision: *precision as u16,
                    scale: scale as i16,
                })
            }
            (Type::Numeric, _) => invalid("invalid NUMERIC type modifier".into()),
            (Type::Timestamptz | Type::Timestamp | Type::Time | Type::Interval, [digits]) => {
                if *digits < 0 {
                    return invalid(format!(
                        "{} precision must not be negative",
                        ty.display(TypeModifier::None)
                    ));
                }
                if *digits > FRACTION_DIGITS_MAX {
                    let spelled = match ty {
                        Type::Timestamptz => format!("TIMESTAMP({digits}) WITH TIME ZONE"),
                        Type::Timestamp => format!("TIMESTAMP({digits})"),
                        Type::Time => format!("TIME({digits})"),
                        _ => format!("INTERVAL({digits})"),
                    };
                    self.notice(
                        "22023",
                        format!("{spelled} precision reduced to maximum allowed, {FRACTION_DIGITS_MAX}"),
                    );
                }
                // Bounded by FRACTION_DIGITS_MAX.
                Ok(TypeModifier::Fraction((*digits).min(FRACTION_DIGITS_MAX) as u8))
            }
            _ => Err(DatabaseError::new(
                "42601",
                format!("type modifier is not allowed for type \"{}\"", ty.internal_name()),
            )
            .at(written.position)),
        }
    }
}

/// Types that the catalog knows and the embedded engine does not store.
fn refused_type(ty: &Type) -> Option<(&'static str, Option<&'static str>)> {
    Some(match ty {
        Type::Bpchar => ("char(n)", Some("text or varchar")),
        Type::Timetz => ("time with time zone", Some("time or timestamptz")),
        Type::Name => ("type name", Some("text")),
        Type::Char => ("type \"char\"", Some("text")),
        Type::Oid => ("type oid", Some("bigint")),
        Type::Record | Type::Unknown => ("pseudo-types", None),
        _ => return None,
    })
}

/// Types that only PostgreSQL has, by name, and what to use instead.
fn refused_name(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "money" => ("money", "numeric(12,2)"),
        "xml" => ("xml", "text"),
        "hstore" => ("hstore", "jsonb"),
        "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" | "int4multirange"
        | "int8multirange" | "nummultirange" | "tsmultirange" | "tstzmultirange" | "datemultirange" => {
            ("range types", "two columns")
        }
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" => ("geometric types", "numeric columns"),
        "geometry" | "geography" => ("PostGIS types", "numeric columns"),
        "inet" | "cidr" | "macaddr" | "macaddr8" => ("network address types", "text"),
        "bit" | "varbit" => ("bit strings", "bytea or integers"),
        "halfvec" | "sparsevec" => ("halfvec and sparsevec", "vector"),
        "ltree" => ("ltree", "text"),
        "regclass" | "regtype" | "regproc" | "regprocedure" | "regrole" | "regnamespace" | "regoper" | "xid"
        | "cid" | "tid" | "pg_lsn" | "txid_snapshot" | "jsonpath" | "pg_snapshot" | "xid8" | "bpchar" | "oidvector"
        | "int2vector" | "aclitem" | "refcursor" => ("PostgreSQL's system types", "text or bigint"),
        _ => return None,
    })
}

/// Errors: 42602 for a label that is too long, 23505 for one given twice, both as PostgreSQL words them.
pub(super) fn check_labels(labels: &[String]) -> Result<()> {
    for (position, label) in labels.iter().enumerate() {
        if label.len() > LABEL_BYTES_MAX {
            return Err(DatabaseError::new("42602", format!("invalid enum label \"{label}\""))
                .detail(format!("Labels must be {LABEL_BYTES_MAX} bytes or less.")));
        }
        if labels[..position].contains(label) {
            return Err(DatabaseError::new(
                "23505",
                "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"",
            )
            .detail(format!("Label \"{label}\" is given twice.")));
        }
    }
    Ok(())
}

/// A type's name in `nextval('…'::regclass)` and other texts that must not depend on the search path.
pub(super) fn qualified_literal(name: &QualifiedName) -> String {
    super::literal(&format!(
        "{}.{}",
        super::identifier(&name.schema),
        super::identifier(&name.name)
    ))
}

/// True for what `=` of PostgreSQL compares in a foreign key between these two types, on the embedded engine too.
pub(super) fn keys_compare(referencing: &Type, referenced: &Type) -> bool {
    let (a, b) = (referencing.base(), referenced.base());
    a == b || (a.is_integer() && b.is_integer()) || (a.is_textual() && b.is_textual())
}

/// True if PostgreSQL would compare these two in a foreign key although the embedded engine stores them apart.
pub(super) fn keys_compare_elsewhere(referencing: &Type, referenced: &Type) -> bool {
    let numeric = |ty: &Type| ty.is_integer() || matches!(ty, Type::Numeric | Type::Float4 | Type::Float8);
    let time = |ty: &Type| matches!(ty, Type::Date | Type::Timestamp | Type::Timestamptz);
    let (a, b) = (referencing.base(), referenced.base());
    (numeric(a) && numeric(b)) || (time(a) && time(b))
}

/// The name of a column's type in messages.
pub(super) fn shown(ty: &Type, modifier: TypeModifier) -> String {
    ty.display(modifier)
}

/// True if an index can sort this type by itself.
pub(super) fn has_order(ty: &Type) -> bool {
    !matches!(ty.base(), Type::Json)
}
