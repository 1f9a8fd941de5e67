//! pgvector's operators and functions: `pg_vector_…` and its part of the function library.

use rusqlite::types::Value;

use super::super::array;
use super::super::errors::Result;
use super::super::float;
use super::super::vector::Vector;
use super::{Args, Output, Registry};

impl Output for Vector {
    fn value(self) -> Value {
        Value::Blob(self.bytes())
    }
}

impl Args<'_, '_> {
    fn vector(&self, index: usize) -> Result<Vector> {
        Vector::from_bytes(self.bytes(index)?)
    }
}

/// A number made of two vectors.
type Measure = fn(&Vector, &Vector) -> Result<f64>;
/// A vector made of two.
type Arithmetic = fn(&Vector, &Vector) -> Result<Vector>;

pub(super) fn add(to: &mut Registry) {
    const MEASURES: [(&str, Measure); 6] = [
        ("l2_distance", Vector::distance),
        ("l2_squared_distance", Vector::squared_distance),
        ("inner_product", Vector::inner_product),
        ("negative_inner_product", |a, b| {
            a.inner_product(b).map(|product| -product)
        }),
        ("cosine_distance", Vector::cosine_distance),
        ("l1_distance", Vector::taxicab_distance),
    ];
    for (name, measure) in MEASURES {
        to.add(format!("pg_vector_{name}"), "vector, vector", "float8", move |a| {
            measure(&a.vector(0)?, &a.vector(1)?).and_then(float::storable)
        });
    }
    const ARITHMETIC: [(&str, Arithmetic); 3] = [("add", Vector::plus), ("sub", Vector::minus), ("mul", Vector::times)];
    for (name, arithmetic) in ARITHMETIC {
        to.add(format!("pg_vector_{name}"), "vector, vector", "vector", move |a| {
            arithmetic(&a.vector(0)?, &a.vector(1)?)
        });
    }
    to.add("pg_vector_concat", "vector, vector", "vector", |a| {
        a.vector(0)?.concat(a.vector(1)?)
    });
    for (name, test) in super::operators::COMPARISONS {
        to.add(format!("pg_vector_{name}"), "vector, vector", "bool", move |a| {
            Ok(test(a.vector(0)?.compare(&a.vector(1)?)))
        });
    }
    to.add("pg_fn_vector_dims", "vector", "int4", |a| {
        Ok(a.vector(0)?.dimensions() as i64)
    });
    to.add("pg_fn_vector_norm", "vector", "float8", |a| {
        float::storable(a.vector(0)?.norm())
    });
    to.add("pg_fn_l2_normalize", "vector", "vector", |a| a.vector(0)?.normalized());
    to.add("pg_fn_subvector", "vector, int4, int4", "vector", |a| {
        a.vector(0)?.part(a.int(1)?, a.int(2)?)
    });
    to.add("pg_typmod_vector", "vector, int4", "vector", |a| {
        a.vector(0)?.expect(a.int(1)?)
    });
    to.add("pg_fn_array_to_vector", "T[]", "vector", |a| {
        Vector::from_array(a.text(0)?)
    });
    to.add("pg_fn_vector_to_float4", "vector", "float4[]", |a| {
        let vector = a.vector(0)?;
        let texts: Vec<String> = vector
            .elements()
            .iter()
            .map(|element| float::text_f32(*element))
            .collect();
        Ok(array::build(texts.iter().map(String::as_str)))
    });
}
