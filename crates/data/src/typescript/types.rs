//! PostgreSQL's types as TypeScript has their JSON.

use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use super::Scope;
use super::layout::Ts;
use super::names;

impl Scope<'_> {
    /// The type of a value; what no type is known for is `unknown`.
    pub(super) fn spelled(&self, ty: &Type) -> Ts {
        Ts::word(match ty {
            Type::Bool => "boolean",
            Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric => "number",
            Type::Text
            | Type::Varchar
            | Type::Bpchar
            | Type::Citext
            | Type::Uuid
            | Type::Timestamptz
            | Type::Timestamp
            | Type::Date
            | Type::Time
            | Type::Timetz
            | Type::Interval
            | Type::Bytea
            | Type::Vector => "string",
            Type::Json | Type::Jsonb => "Json",
            Type::Void => "undefined",
            Type::Record => "Record<string, unknown>",
            Type::Array(element) => return Ts::Array(Box::new(self.spelled(element))),
            Type::Domain(_, base) => return self.spelled(base),
            Type::Enum(name) => return self.of_enum(name),
            Type::Composite(name) => return self.of_row(name),
            // Types of extensions that have a name alone.
            Type::Other(name) if matches!(name.name.as_str(), "citext" | "vector") => "string",
            Type::Name
            | Type::Char
            | Type::Tsvector
            | Type::Tsquery
            | Type::Regconfig
            | Type::Oid
            | Type::Unknown
            | Type::Other(_) => "unknown",
        })
    }

    /// By name where it is declared, else its labels.
    fn of_enum(&self, name: &QualifiedName) -> Ts {
        if self.declares(name) {
            return reference(name, "Enums", "");
        }
        match self.catalog.enums.get(name) {
            Some(entry) if !entry.labels.is_empty() => {
                Ts::Union(entry.labels.iter().map(|label| Ts::literal(label)).collect())
            }
            _ => Ts::word("unknown"),
        }
    }

    fn of_row(&self, name: &QualifiedName) -> Ts {
        if !self.declares(name) {
            return Ts::word("unknown");
        }
        match self.catalog.relation(name) {
            Some(relation) if relation.kind.is_view() => reference(name, "Views", "[\"Row\"]"),
            Some(_) => reference(name, "Tables", "[\"Row\"]"),
            None if self.catalog.composites.contains_key(name) => reference(name, "CompositeTypes", ""),
            None => Ts::word("unknown"),
        }
    }

    fn declares(&self, name: &QualifiedName) -> bool {
        self.schemas.contains(&&name.schema)
    }
}

fn reference(name: &QualifiedName, kind: &str, tail: &str) -> Ts {
    let (schema, name) = (names::literal(&name.schema), names::literal(&name.name));
    Ts::Word(format!("Database[{schema}][\"{kind}\"][{name}]{tail}"))
}
