//! `vector`: a list of single-precision numbers, kept as their bytes, the least significant first.
//!
//! Sums are built in single precision in the order of the elements. pgvector lets the compiler add in another order, so
//! the last digit of a distance between long vectors may differ.
//!
//! Source: pgvector 0.8, README and regression tests.

use std::cmp::Ordering;

use super::errors::{PgError, Result};
use super::{float, json};

/// Elements of one vector.
pub const DIMENSIONS_MAX: usize = 16_000;

/// A vector; never empty, never infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector(Vec<f32>);

fn data(message: impl Into<String>) -> PgError {
    PgError::new("22000", message)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

impl Vector {
    /// From elements. Errors: 22000 for none, NaN or infinity; 54000 for too many.
    pub fn of(elements: Vec<f32>) -> Result<Self> {
        if elements.is_empty() {
            return Err(data("vector must have at least 1 dimension"));
        }
        if elements.len() > DIMENSIONS_MAX {
            let message = format!("vector cannot have more than {DIMENSIONS_MAX} dimensions");
            return Err(PgError::new("54000", message));
        }
        if elements.iter().any(|element| element.is_nan()) {
            return Err(data("NaN not allowed in vector"));
        }
        if elements.iter().any(|element| element.is_infinite()) {
            return Err(data("infinite value not allowed in vector"));
        }
        Ok(Vector(elements))
    }

    /// Reads `[1,2,3]`. Errors: 22P02, 22003, 22000, 54000.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || PgError::syntax("vector", text);
        let rest = text.trim_start_matches(is_space);
        let Some(rest) = rest.strip_prefix('[') else {
            return Err(wrong().detail("Vector contents must start with \"[\"."));
        };
        let mut rest = rest.trim_start_matches(is_space);
        if rest.starts_with(']') {
            return Err(data("vector must have at least 1 dimension"));
        }
        let mut elements = Vec::new();
        loop {
            if elements.len() == DIMENSIONS_MAX {
                let message = format!("vector cannot have more than {DIMENSIONS_MAX} dimensions");
                return Err(PgError::new("54000", message));
            }
            rest = rest.trim_start_matches(is_space);
            let length = rest
                .find(|c: char| is_space(c) || matches!(c, ',' | ']' | '['))
                .unwrap_or(rest.len());
            let number = &rest[..length];
            let element: f32 = number.parse().map_err(|_| wrong())?;
            let spelled = number.trim_start_matches(['-', '+']);
            let is_number = spelled.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            if element.is_infinite() && is_number {
                return Err(PgError::new(
                    "22003",
                    format!("\"{number}\" is out of range for type vector"),
                ));
            }
            elements.push(element);
            rest = rest[length..].trim_start_matches(is_space);
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some(']') => break,
                _ => return Err(wrong()),
            }
            // NaN and infinity are refused as soon as they are read.
            if !element.is_finite() {
                return Vector::of(elements);
            }
        }
        if !rest[1..].trim_start_matches(is_space).is_empty() {
            return Err(wrong().detail("Junk after closing right brace."));
        }
        Vector::of(elements)
    }

    /// From the elements of a stored array. Errors: 22004, 22000, 54000.
    pub fn from_array(array: &str) -> Result<Self> {
        let mut elements = Vec::new();
        for item in json::elements(array) {
            let Some(text) = json::as_text(item)? else {
                return Err(PgError::new("22004", "array must not contain nulls"));
            };
            elements.push(text.parse::<f32>().map_err(|_| PgError::syntax("vector", &text))?);
        }
        Vector::of(elements)
    }

    /// Reads the stored form. Errors: XX000 when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (whole, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || whole.is_empty() {
            return Err(PgError::internal("stored bytes are no vector"));
        }
        Ok(Vector(whole.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }

    /// The stored form.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|element| element.to_le_bytes()).collect()
    }

    /// Appends `[1,2,3]`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, element) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            float::write_f32(*element, out);
        }
        out.push(b']');
    }

    /// `[1,2,3]`.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    pub fn elements(&self) -> &[f32] {
        &self.0
    }

    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// Refuses another number of dimensions than a declaration wants. Errors: 22000.
    pub fn expect(self, dimensions: i64) -> Result<Self> {
        if self.0.len() as i64 == dimensions {
            Ok(self)
        } else {
            Err(data(format!("expected {dimensions} dimensions, not {}", self.0.len())))
        }
    }

    fn pairs<'a>(&'a self, other: &'a Vector) -> Result<impl Iterator<Item = (f32, f32)> + 'a> {
        if self.0.len() != other.0.len() {
            let message = format!("different vector dimensions {} and {}", self.0.len(), other.0.len());
            return Err(data(message));
        }
        Ok(self.0.iter().copied().zip(other.0.iter().copied()))
    }

    /// The square of `<->`.
    pub fn squared_distance(&self, other: &Vector) -> Result<f64> {
        Ok(f64::from(
            self.pairs(other)?.fold(0f32, |sum, (a, b)| sum + (a - b) * (a - b)),
        ))
    }

    /// `<->`.
    pub fn distance(&self, other: &Vector) -> Result<f64> {
        self.squared_distance(other).map(f64::sqrt)
    }

    /// The inner product; `<#>` is its negative.
    pub fn inner_product(&self, other: &Vector) -> Result<f64> {
        Ok(f64::from(self.pairs(other)?.fold(0f32, |sum, (a, b)| sum + a * b)))
    }

    /// `<=>`. Errors: 22003 for a vector of zeros, whose distance is NaN.
    pub fn cosine_distance(&self, other: &Vector) -> Result<f64> {
        let (mut product, mut left, mut right) = (0f32, 0f32, 0f32);
        for (a, b) in self.pairs(other)? {
            product += a * b;
            left += a * a;
            right += b * b;
        }
        let similarity = f64::from(product) / (f64::from(left) * f64::from(right)).sqrt();
        float::storable(1.0 - similarity.clamp(-1.0, 1.0))
    }

    /// `<+>`.
    pub fn taxicab_distance(&self, other: &Vector) -> Result<f64> {
        Ok(f64::from(
            self.pairs(other)?.fold(0f32, |sum, (a, b)| sum + (a - b).abs()),
        ))
    }

    /// The length in space.
    pub fn norm(&self) -> f64 {
        self.0
            .iter()
            .map(|element| f64::from(*element) * f64::from(*element))
            .sum::<f64>()
            .sqrt()
    }

    /// Of length one; zeros stay.
    pub fn normalized(&self) -> Result<Vector> {
        let norm = self.norm();
        if norm == 0.0 {
            return Ok(Vector(vec![0.0; self.0.len()]));
        }
        let elements = self.0.iter().map(|element| (f64::from(*element) / norm) as f32);
        checked(elements.collect())
    }

    pub fn plus(&self, other: &Vector) -> Result<Vector> {
        checked(self.pairs(other)?.map(|(a, b)| a + b).collect())
    }

    pub fn minus(&self, other: &Vector) -> Result<Vector> {
        checked(self.pairs(other)?.map(|(a, b)| a - b).collect())
    }

    /// Element by element. Errors: 22003 also where a product is too small.
    pub fn times(&self, other: &Vector) -> Result<Vector> {
        let underflows = |(a, b): (f32, f32)| a * b == 0.0 && a != 0.0 && b != 0.0;
        let product = checked(self.pairs(other)?.map(|(a, b)| a * b).collect())?;
        if self.pairs(other)?.any(underflows) {
            return Err(PgError::new("22003", "value out of range: underflow"));
        }
        Ok(product)
    }

    /// `||`.
    pub fn concat(mut self, other: Vector) -> Result<Vector> {
        self.0.extend(other.0);
        Vector::of(self.0)
    }

    /// `subvector(v, start, count)`, counted from 1. Errors: 22000.
    pub fn part(&self, start: i64, count: i64) -> Result<Vector> {
        if count < 1 {
            return Err(data("vector must have at least 1 dimension"));
        }
        let length = self.0.len() as i64;
        let end = start.saturating_add(count).min(length + 1);
        let start = start.max(1);
        if start > length || end <= start {
            return Err(data("vector must have at least 1 dimension"));
        }
        Vector::of(self.0[start as usize - 1..end as usize - 1].to_vec())
    }

    /// By the first elements that differ, then by length.
    pub fn compare(&self, other: &Vector) -> Ordering {
        let differing = self.0.iter().zip(&other.0).find(|(a, b)| a != b);
        match differing {
            Some((a, b)) => a.total_cmp(b),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

fn checked(elements: Vec<f32>) -> Result<Vector> {
    if elements.iter().any(|element| element.is_infinite()) {
        return Err(PgError::new("22003", "value out of range: overflow"));
    }
    Ok(Vector(elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of pgvector's own regression tests (`test/expected/vector_type.out`).
    #[test]
    fn input_and_output_are_those_of_pgvector() {
        let seen = |text: &str| match Vector::parse(text) {
            Ok(vector) => vector.text(),
            Err(error) => format!("{} {}", error.code(), error.message),
        };
        assert_eq!(seen("[1,2,3]"), "[1,2,3]");
        assert_eq!(seen("[-1,-2,-3]"), "[-1,-2,-3]");
        assert_eq!(seen("[1.,2.,3.]"), "[1,2,3]");
        assert_eq!(seen(" [ 1,  2 ,    3  ] "), "[1,2,3]");
        assert_eq!(seen("[1.23456]"), "[1.23456]");
        assert_eq!(
            seen("[hello,1]"),
            "22P02 invalid input syntax for type vector: \"[hello,1]\""
        );
        assert_eq!(seen("[NaN,1]"), "22000 NaN not allowed in vector");
        assert_eq!(seen("[Infinity,1]"), "22000 infinite value not allowed in vector");
        assert_eq!(seen("[-Infinity,1]"), "22000 infinite value not allowed in vector");
        assert_eq!(seen("[1.5e38,-1.5e38]"), "[1.5e+38,-1.5e+38]");
        assert_eq!(seen("[1.5e+38,-1.5e+38]"), "[1.5e+38,-1.5e+38]");
        assert_eq!(seen("[1.5e-38,-1.5e-38]"), "[1.5e-38,-1.5e-38]");
        assert_eq!(seen("[4e38,1]"), "22003 \"4e38\" is out of range for type vector");
        assert_eq!(seen("[1e-46,1]"), "[0,1]");
        assert_eq!(seen("[1,2,3"), "22P02 invalid input syntax for type vector: \"[1,2,3\"");
        assert_eq!(
            seen("[1,2,3]9"),
            "22P02 invalid input syntax for type vector: \"[1,2,3]9\""
        );
        assert_eq!(seen("1,2,3"), "22P02 invalid input syntax for type vector: \"1,2,3\"");
        assert_eq!(seen(""), "22P02 invalid input syntax for type vector: \"\"");
        assert_eq!(seen("["), "22P02 invalid input syntax for type vector: \"[\"");
        assert_eq!(seen("[,"), "22P02 invalid input syntax for type vector: \"[,\"");
        assert_eq!(seen("[]"), "22000 vector must have at least 1 dimension");
        assert_eq!(seen("[1,]"), "22P02 invalid input syntax for type vector: \"[1,]\"");
        assert_eq!(seen("[1a]"), "22P02 invalid input syntax for type vector: \"[1a]\"");
        assert_eq!(seen("[1,,3]"), "22P02 invalid input syntax for type vector: \"[1,,3]\"");
    }

    #[test]
    fn arithmetic_is_that_of_pgvector() {
        let vector = |text: &str| Vector::parse(text).unwrap();
        let text = |answer: Result<Vector>| match answer {
            Ok(vector) => vector.text(),
            Err(error) => error.message,
        };
        let (a, b) = (vector("[1,2,3]"), vector("[4,5,6]"));
        assert_eq!(text(a.plus(&b)), "[5,7,9]");
        assert_eq!(text(a.minus(&b)), "[-3,-3,-3]");
        assert_eq!(text(a.times(&b)), "[4,10,18]");
        assert_eq!(
            text(vector("[3e38]").plus(&vector("[3e38]"))),
            "value out of range: overflow"
        );
        assert_eq!(
            text(vector("[1e-37]").times(&vector("[1e-37]"))),
            "value out of range: underflow"
        );
        assert_eq!(text(a.plus(&vector("[1,2]"))), "different vector dimensions 3 and 2");
        assert_eq!(text(a.clone().concat(b)), "[1,2,3,4,5,6]");
        assert_eq!(text(vector("[1,2,3,4,5]").part(1, 3)), "[1,2,3]");
        assert_eq!(text(vector("[1,2,3,4,5]").part(3, 2)), "[3,4]");
        assert_eq!(text(vector("[1,2,3,4,5]").part(-1, 3)), "[1]");
        assert_eq!(text(vector("[1,2,3,4,5]").part(3, 9)), "[3,4,5]");
        assert_eq!(
            text(vector("[1,2,3,4,5]").part(1, 0)),
            "vector must have at least 1 dimension"
        );
        assert_eq!(text(vector("[3,4]").normalized()), "[0.6,0.8]");
        assert_eq!(text(vector("[0,0]").normalized()), "[0,0]");
        assert_eq!(vector("[3,4]").norm(), 5.0);
        assert_eq!(vector("[0,0]").distance(&vector("[3,4]")), Ok(5.0));
        assert_eq!(vector("[1,2]").inner_product(&vector("[3,4]")), Ok(11.0));
        assert_eq!(vector("[1,2]").cosine_distance(&vector("[2,4]")), Ok(0.0));
        assert_eq!(vector("[1,1]").cosine_distance(&vector("[-1,-1]")), Ok(2.0));
        assert_eq!(
            vector("[1,2]").cosine_distance(&vector("[0,0]")).unwrap_err().code(),
            "22003"
        );
        assert_eq!(vector("[0,0]").taxicab_distance(&vector("[3,4]")), Ok(7.0));
        assert!(vector("[1,2,3]").compare(&vector("[1,2]")).is_gt());
        assert!(vector("[1,2]").compare(&vector("[2,3,4]")).is_lt());
    }
}
