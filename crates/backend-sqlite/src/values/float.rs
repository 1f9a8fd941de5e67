//! `float4` and `float8`: reading, PostgreSQL's shortest text, checked arithmetic.
//!
//! A `float4` is kept as the REAL of the same value. SQLite keeps no NaN (it becomes NULL), so NaN is refused.
//!
//! Source: PostgreSQL manual, 8.1.3; exponents appear from 1e15 (`float4`: 1e6) up and below 1e-4.

use std::io::Write as _;

use super::errors::{PgError, Result};
use super::numeric::trim_space;

/// Longest text: sign, 17 digits, point, exponent.
const TEXT_BYTES_MAX: usize = 40;

fn parse_as<T>(text: &str, type_name: &str, special: impl Fn(T) -> bool, is_zero: impl Fn(T) -> bool) -> Result<T>
where
    T: std::str::FromStr + Copy,
{
    let body = trim_space(text);
    let value: T = body.parse().map_err(|_| PgError::syntax(type_name, text))?;
    let out_of_range = || PgError::new("22003", format!("\"{body}\" is out of range for type {type_name}"));
    let has_digit = body.bytes().any(|byte| byte.is_ascii_digit());
    if special(value) && has_digit {
        return Err(out_of_range());
    }
    let mantissa = body.split(['e', 'E']).next().unwrap_or_default();
    if is_zero(value) && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        return Err(out_of_range());
    }
    Ok(value)
}

/// Reads a double. Errors: 22P02, 22003 on overflow and underflow.
pub fn parse_f64(text: &str) -> Result<f64> {
    parse_as(
        text,
        "double precision",
        |value: f64| value.is_infinite(),
        |value| value == 0.0,
    )
}

/// Reads a single. Errors: 22P02, 22003.
pub fn parse_f32(text: &str) -> Result<f32> {
    parse_as(text, "real", |value: f32| value.is_infinite(), |value| value == 0.0)
}

/// Lets a double into SQLite. Errors: 22003 for NaN, which SQLite would turn into NULL.
pub fn storable(value: f64) -> Result<f64> {
    if value.is_nan() {
        return Err(PgError::new(
            "22003",
            "NaN of double precision is not available on the embedded engine",
        )
        .hint("Use numeric, which keeps NaN."));
    }
    Ok(value)
}

/// Rounds a double to a single. Errors: 22003 when it does not fit.
pub fn to_f32(value: f64) -> Result<f64> {
    let single = value as f32;
    if single.is_infinite() && value.is_finite() {
        return Err(overflow());
    }
    if single == 0.0 && value != 0.0 {
        return Err(underflow());
    }
    Ok(f64::from(single))
}

/// 22003 as arithmetic raises it.
pub fn overflow() -> PgError {
    PgError::new("22003", "value out of range: overflow")
}

/// 22003 as arithmetic raises it.
pub fn underflow() -> PgError {
    PgError::new("22003", "value out of range: underflow")
}

/// The operators of one precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Single,
    Double,
}

impl Precision {
    fn fit(self, value: f64) -> f64 {
        if self == Precision::Single {
            f64::from(value as f32)
        } else {
            value
        }
    }

    fn checked(self, result: f64, operands_infinite: bool, zero_is_fine: bool) -> Result<f64> {
        let result = self.fit(result);
        if result.is_infinite() && !operands_infinite {
            return Err(overflow());
        }
        if result == 0.0 && !zero_is_fine {
            return Err(underflow());
        }
        storable(result)
    }

    /// `a + b`.
    pub fn add(self, a: f64, b: f64) -> Result<f64> {
        self.checked(a + b, a.is_infinite() || b.is_infinite(), true)
    }

    /// `a - b`.
    pub fn sub(self, a: f64, b: f64) -> Result<f64> {
        self.checked(a - b, a.is_infinite() || b.is_infinite(), true)
    }

    /// `a * b`.
    pub fn mul(self, a: f64, b: f64) -> Result<f64> {
        self.checked(a * b, a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0)
    }

    /// `a / b`. Errors: 22012, 22003.
    pub fn div(self, a: f64, b: f64) -> Result<f64> {
        if b == 0.0 {
            return Err(PgError::division_by_zero());
        }
        self.checked(a / b, a.is_infinite(), a == 0.0 || b.is_infinite())
    }
}

/// `a ^ b`. Errors: 2201F, 22003.
pub fn power(a: f64, b: f64) -> Result<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(PgError::new("2201F", "zero raised to a negative power is undefined"));
    }
    if a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return Err(PgError::new(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = a.powf(b);
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(overflow());
    }
    if result == 0.0 && a != 0.0 && a.is_finite() && b.is_finite() {
        return Err(underflow());
    }
    storable(result)
}

/// The nearest integer, half to even, within a width. Errors: 22003.
pub fn to_integer(value: f64, width: &super::integer::Width) -> Result<i64> {
    let rounded = value.round_ties_even();
    // 2^63 itself is a double; i64::MAX is not.
    if rounded.is_nan() || rounded < width.low as f64 || rounded >= width.high as f64 + 1.0 {
        return Err(PgError::out_of_range(width.name));
    }
    width.check(Some(rounded as i64))
}

/// Digits that always name one double, or one single.
const DIGITS_MAX: [usize; 2] = [17, 9];

/// `d.ddde-x` as Rust writes it, in a buffer of its own.
struct Shortest {
    buffer: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl Shortest {
    fn new(text: std::fmt::Arguments<'_>) -> Self {
        let mut buffer = [0u8; TEXT_BYTES_MAX];
        let mut rest = &mut buffer[..];
        // Cannot fail: the buffer holds the longest form.
        let _ = rest.write_fmt(text);
        let len = TEXT_BYTES_MAX - rest.len();
        Shortest { buffer, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// How many digits the mantissa has, and the exponent.
    fn shape(&self) -> (usize, i32) {
        let (mantissa, exponent) = self.text().split_once('e').unwrap_or(("", "0"));
        (
            mantissa.bytes().filter(u8::is_ascii_digit).count(),
            exponent.parse().unwrap_or(0),
        )
    }

    /// The value as an integer, where it is one that fits.
    fn integer(&self) -> Option<u128> {
        let (mantissa, exponent) = self.text().trim_start_matches('-').split_once('e')?;
        let (digits, power) = mantissa
            .bytes()
            .filter(u8::is_ascii_digit)
            .fold((0u128, 0u32), |(sum, count), digit| {
                (sum * 10 + u128::from(digit - b'0'), count + 1)
            });
        let power = exponent.parse::<u32>().ok()?.checked_sub(power - 1)?;
        digits.checked_mul(10u128.checked_pow(power)?)
    }
}

/// PostgreSQL's shortest digits: of two equally near it takes the even one, and never a text that lies exactly
/// between two floats. Rust takes the upper one, and the text between when it reads back as the value.
fn shortest(value: f64, is_single: bool) -> Shortest {
    let exact = |digits: usize| {
        if is_single {
            Shortest::new(format_args!("{:.*e}", digits - 1, value as f32))
        } else {
            Shortest::new(format_args!("{:.*e}", digits - 1, value))
        }
    };
    let rust = if is_single {
        Shortest::new(format_args!("{:e}", value as f32))
    } else {
        Shortest::new(format_args!("{value:e}"))
    };
    if !value.is_finite() || value == 0.0 {
        return rust;
    }
    let (digits, exponent) = rust.shape();
    let mantissa_bits = if is_single { 24 } else { 53 };
    let bits = value.to_bits();
    let binary_exponent = ((bits >> 52) & 0x7ff) as i32 - 1075;
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    // Bits behind the binary point: as many digits follow the decimal point in the exact value.
    let fraction_bits = -(binary_exponent + mantissa.trailing_zeros() as i32);
    let is_large = value.abs() >= (1u64 << mantissa_bits) as f64;
    if !is_large && (fraction_bits <= 0 || fraction_bits != digits as i32 - exponent) {
        return rust;
    }
    let reads_back = |text: &str| {
        if is_single {
            text.parse() == Ok(value as f32)
        } else {
            text.parse() == Ok(value)
        }
    };
    let ulp_exponent = binary_exponent + 53 - mantissa_bits;
    let is_between = |candidate: &Shortest| {
        if !is_large || ulp_exponent < 1 {
            return false;
        }
        let half = 1u128.checked_shl(ulp_exponent as u32 - 1);
        let (Some(candidate), Some(half)) = (candidate.integer(), half) else {
            return false;
        };
        if value.abs() >= u128::MAX as f64 {
            return false;
        }
        let whole = value.abs() as u128;
        // Below a power of two the neighbour is half as far.
        let down = if mantissa == 1 << 52 { half / 2 } else { half };
        whole.checked_add(half) == Some(candidate) || (down > 0 && whole.checked_sub(down) == Some(candidate))
    };
    for count in digits..=DIGITS_MAX[usize::from(is_single)] {
        let candidate = exact(count);
        if reads_back(candidate.text()) && !is_between(&candidate) {
            return candidate;
        }
        // At a power of two the even one may lie beyond the neighbour below: then the other, not a longer text.
        if count == digits && !is_between(&rust) {
            return rust;
        }
    }
    rust
}

/// Writes PostgreSQL's text of a double.
pub fn write_f64(value: f64, out: &mut Vec<u8>) {
    place(value, shortest(value, false).bytes(), 15, out);
}

/// Writes PostgreSQL's text of a single.
pub fn write_f32(value: f32, out: &mut Vec<u8>) {
    let value = f64::from(value);
    place(value, shortest(value, true).bytes(), 6, out);
}

/// Turns `d.ddde-x` into PostgreSQL's form; exponents below -4 or from `limit` up stay.
fn place(value: f64, shortest: &[u8], limit: i32, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let text: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        out.extend_from_slice(text);
        return;
    }
    let (negative, body) = match shortest {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mark = memchr::memchr(b'e', body).unwrap_or(body.len());
    let exponent: i32 = body
        .get(mark + 1..)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mantissa = &body[..mark];
    if negative {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= limit {
        out.extend_from_slice(mantissa);
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let size = exponent.unsigned_abs();
        if size < 10 {
            out.push(b'0');
        }
        let _ = write!(out, "{size}");
        return;
    }
    let digits = mantissa.iter().copied().filter(|byte| *byte != b'.');
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend(digits);
        return;
    }
    let whole = exponent as usize + 1;
    let mut written = 0;
    for digit in digits {
        if written == whole {
            out.push(b'.');
        }
        out.push(digit);
        written += 1;
    }
    out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(written)));
}

/// PostgreSQL's text of a double.
pub fn text_f64(value: f64) -> String {
    text_of(|out| write_f64(value, out))
}

/// PostgreSQL's text of a single.
pub fn text_f32(value: f32) -> String {
    text_of(|out| write_f32(value, out))
}

fn text_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(TEXT_BYTES_MAX);
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
