//! Reads the rows of a request's body into stored values: one object, or an array of objects.
//!
//! Lives here: which members count, what an absent one is, each value by its column's type.
//! Not here: defaults (`defaults`), media types other than JSON (`data`).
//!
//! Source: PostgREST documentation, "Insertions" (`columns`, `missing=default`); PostgreSQL manual, 9.16
//! (`json_to_recordset`: null is NULL, unknown members are ignored, the last of equal members counts).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mainstay_core::catalog::ColumnIndex;
use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use rusqlite::types::Value as Scalar;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::emit::context::Context;
use crate::emit::input::{EXPECTED_ARRAY, InputType};

/// One column that the rows may set.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name in the objects.
    pub name: Ident,
    /// Where its value goes in the row.
    pub column: ColumnIndex,
    pub input: Arc<InputType>,
}

/// One row: a value for each of the table's columns, and which of them the body gave.
#[derive(Clone, Debug)]
pub struct Given {
    pub values: Vec<Scalar>,
    /// Parallel to the members.
    pub present: Vec<bool>,
}

/// Reads every object of `body`. `width`: columns of a row.
///
/// Errors: `BadPayload` for text that is no JSON or holds something else than objects; what the types refuse.
pub fn read(body: &[u8], members: &[Member], width: usize, context: &Context<'_>) -> Result<Vec<Given>, BackendError> {
    let mut reader = Reader {
        members,
        width,
        context,
        refusal: None,
        rows: Vec::new(),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Objects(&mut reader).deserialize(&mut json).and_then(|()| json.end());
    if let Some(refusal) = reader.refusal {
        return Err(refusal.into());
    }
    match read {
        Ok(()) => Ok(reader.rows),
        Err(error) => Err(BackendError::BadPayload(error.to_string())),
    }
}

struct Reader<'r> {
    members: &'r [Member],
    width: usize,
    context: &'r Context<'r>,
    /// What a type refused; serde can carry only text.
    refusal: Option<DatabaseError>,
    rows: Vec<Given>,
}

/// The body: an object or an array of objects.
struct Objects<'a, 'r>(&'a mut Reader<'r>);

impl<'de> DeserializeSeed<'de> for Objects<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(Object(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object(self.0).visit_map(map)
    }
}

/// One row.
struct Object<'a, 'r>(&'a mut Reader<'r>);

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let mut values = vec![Scalar::Null; reader.width];
        let mut present = vec![false; reader.members.len()];
        // Bodies usually name the members in one order: look after the last one first.
        let mut expected = 0;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let value: &'de RawValue = map.next_value()?;
            let count = reader.members.len();
            let found = (0..count)
                .map(|step| (expected + step) % count.max(1))
                .find(|index| *reader.members[*index].name == *key.0);
            let Some(index) = found else { continue };
            expected = index + 1;
            let member = &reader.members[index];
            match member.input.read_json(value.get(), reader.context) {
                Ok(scalar) => {
                    values[member.column] = scalar;
                    present[index] = true;
                }
                Err(mut refusal) => {
                    if refusal.message == EXPECTED_ARRAY {
                        refusal.hint = Some(format!("See the value of key \"{}\".", member.name));
                    }
                    reader.refusal = Some(refusal);
                    return Err(A::Error::custom("a value was refused"));
                }
            }
        }
        reader.rows.push(Given { values, present });
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mainstay_core::catalog::{Catalog, Enforcement};
    use mainstay_core::types::{Type, TypeModifier};

    use super::*;

    fn members() -> Vec<Member> {
        let catalog = Catalog::empty(Enforcement::Catalog);
        [
            ("id", Type::Int4),
            ("task", Type::Text),
            ("price", Type::Numeric),
            ("data", Type::Jsonb),
        ]
        .into_iter()
        .enumerate()
        .map(|(column, (name, ty))| Member {
            name: Ident::new(name),
            column,
            input: Arc::new(InputType::new(&catalog, &ty, TypeModifier::None).unwrap()),
        })
        .collect()
    }

    fn rows(body: &str) -> Result<Vec<Given>, BackendError> {
        read(
            body.as_bytes(),
            &members(),
            4,
            &Context::of_owner(Timestamp::UNIX_EPOCH),
        )
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn members_are_read_by_their_columns_types() {
        let read = rows(r#"[{"id":"7","price":1.50,"task":"a\"b","other":[1]},{"data":{"b":1,"a":[1.0]}}]"#).unwrap();
        assert_eq!(
            read[0].values,
            [Scalar::Integer(7), text("a\"b"), text("1.50"), Scalar::Null]
        );
        assert_eq!(read[0].present, [true, true, true, false]);
        assert_eq!(read[1].values[3], text(r#"{"a": [1.0], "b": 1}"#));
    }

    #[test]
    fn the_last_of_equal_members_counts_and_null_is_null() {
        let read = rows(r#"{"id":1,"id":2,"task":null}"#).unwrap();
        assert_eq!(
            read[0].values,
            [Scalar::Integer(2), Scalar::Null, Scalar::Null, Scalar::Null]
        );
        assert_eq!(read[0].present, [true, true, false, false]);
        assert_eq!(rows("[]").unwrap().len(), 0);
    }

    #[test]
    fn what_a_type_refuses_is_refused_as_postgresql_does() {
        for (body, code) in [
            (r#"{"id":"x"}"#, "22P02"),
            (r#"{"id":3000000000}"#, "22003"),
            (r#"{"id":1.5}"#, "22P02"),
            (r#"{"task":"\u0000"}"#, "22P05"),
        ] {
            match rows(body) {
                Err(BackendError::Refused(error)) => assert_eq!(error.sqlstate, code, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_bodies_are_bad_payloads() {
        for body in ["", "1", "[1]", "{", "[{}] x", "null"] {
            assert!(matches!(rows(body), Err(BackendError::BadPayload(_))), "{body}");
        }
    }
}
