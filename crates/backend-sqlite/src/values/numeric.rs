//! PostgreSQL's `numeric`: arbitrary precision, a display scale that arithmetic keeps, NaN and the infinities.
//!
//! Stored as canonical decimal text: no plus sign, no exponent, no leading zeros, exactly `scale` digits after the point.
//! Lives here: parsing, printing, comparison, arithmetic with PostgreSQL's result scales, casts, sums and averages.
//!
//! Source: PostgreSQL manual, 8.1.2 and 9.3; result scales of division and roots as PostgreSQL 15 answers.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::num_bigint::{BigInt, Sign};

use super::errors::{PgError, Result};

/// Decimal digits before the point that PostgreSQL can hold.
const INTEGER_DIGITS_MAX: i64 = 131_072;
/// Digits after the point that PostgreSQL can hold.
const SCALE_MAX: u32 = 16_383;
/// Digits after the point that division and roots give at most.
pub(super) const DISPLAY_SCALE_MAX: i64 = 1_000;
/// Significant digits that division and roots give at least.
pub(super) const SIGNIFICANT_DIGITS_MIN: i64 = 16;

/// A finite number: `int` × 10^-`scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub(super) int: BigInt,
    pub(super) scale: u32,
}

/// A value of type `numeric`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numeric {
    Finite(Decimal),
    NaN,
    Infinity,
    NegInfinity,
}

use Numeric::{Finite, Infinity, NaN, NegInfinity};

pub(super) fn pow10(exponent: u32) -> BigInt {
    match 10i64.checked_pow(exponent) {
        Some(small) => BigInt::from(small),
        None => BigInt::from(10).pow(exponent),
    }
}

/// `a / b` rounded half away from zero; `b` is positive.
pub(super) fn div_round(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    let rest: BigInt = a - &quotient * b;
    if rest.magnitude() * 2u32 >= *b.magnitude() {
        if a.sign() == Sign::Minus {
            quotient - 1
        } else {
            quotient + 1
        }
    } else {
        quotient
    }
}

pub(super) fn overflow() -> PgError {
    PgError::new("22003", "value overflows numeric format")
}

impl Decimal {
    /// `int` × 10^-`scale`.
    pub fn new(int: BigInt, scale: u32) -> Self {
        Decimal { int, scale }
    }

    fn is_zero(&self) -> bool {
        self.int.sign() == Sign::NoSign
    }

    fn is_negative(&self) -> bool {
        self.int.sign() == Sign::Minus
    }

    fn at_scale(&self, scale: u32) -> BigInt {
        if scale == self.scale {
            self.int.clone()
        } else {
            &self.int * pow10(scale - self.scale)
        }
    }

    fn aligned(&self, other: &Decimal) -> (BigInt, BigInt, u32) {
        let scale = self.scale.max(other.scale);
        (self.at_scale(scale), other.at_scale(scale), scale)
    }

    /// Rounds half away from zero to `places` after the point; negative places round before it.
    pub(super) fn rounded(&self, places: i64) -> Decimal {
        self.cut(places, div_round)
    }

    fn truncated(&self, places: i64) -> Decimal {
        self.cut(places, |a, b| a / b)
    }

    fn cut(&self, places: i64, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Decimal {
        let shift = i64::from(self.scale) - places;
        let target = places.max(0) as u32;
        if shift <= 0 {
            return Decimal::new(self.at_scale(target), target);
        }
        // Past every digit the result is zero; do not compute a huge power for it.
        if shift > self.int.bits() as i64 + 2 {
            return Decimal::new(BigInt::default(), target);
        }
        let int = divide(&self.int, &pow10(shift as u32));
        Decimal::new(if places < 0 { int * pow10((-places) as u32) } else { int }, target)
    }

    /// Exponent of the leading base-10000 digit, and that digit; (0, 0) for zero.
    pub(super) fn leading(&self) -> (i64, i64) {
        if self.is_zero() {
            return (0, 0);
        }
        let digits = self.int.magnitude().to_string();
        let top = digits.len() as i64 - i64::from(self.scale) - 1;
        let weight = top.div_euclid(4);
        let take = (top.rem_euclid(4) + 1) as usize;
        let mut first = 0i64;
        for index in 0..take {
            first = first * 10 + digits.as_bytes().get(index).map_or(0, |digit| i64::from(digit - b'0'));
        }
        (weight, first)
    }

    /// The decimal logarithm of the magnitude, from its first digits.
    fn logarithm(&self) -> f64 {
        let bits = self.int.bits();
        let dropped = bits.saturating_sub(64);
        let first = u64::try_from(&(self.int.magnitude() >> dropped)).unwrap_or(u64::MAX);
        (first as f64).log10() + dropped as f64 * 2f64.log10() - f64::from(self.scale)
    }

    /// The square root, rounded to `scale`. One digit more decides: a root is never a tie unless it is exact.
    fn root_at(&self, scale: u32) -> Numeric {
        let wide = 2 * (scale + 1);
        let int = if wide >= self.scale {
            &self.int * pow10(wide - self.scale)
        } else {
            &self.int / pow10(self.scale - wide)
        };
        Finite(Decimal::new(int.sqrt(), scale + 1).rounded(i64::from(scale)))
    }

    /// The power of ten of the first digit; 0 for zero.
    pub(super) fn exponent(&self) -> i64 {
        if self.is_zero() { 0 } else { self.integer_digits() - 1 }
    }

    /// The value × 10^`power`.
    pub(super) fn times_power_of_ten(&self, power: i64) -> Decimal {
        match i64::from(self.scale) - power {
            scale @ 0.. => Decimal::new(self.int.clone(), scale as u32),
            missing => Decimal::new(&self.int * pow10((-missing) as u32), 0),
        }
    }

    pub(super) fn integer_digits(&self) -> i64 {
        if self.is_zero() {
            0
        } else {
            self.int.magnitude().to_string().len() as i64 - i64::from(self.scale)
        }
    }

    fn checked(self) -> Result<Numeric> {
        if self.int.bits() > 400_000 && self.integer_digits() > INTEGER_DIGITS_MAX {
            return Err(overflow());
        }
        if self.scale > SCALE_MAX {
            return Ok(Finite(self.rounded(i64::from(SCALE_MAX))));
        }
        Ok(Finite(self))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        let digits = match u64::try_from(self.int.magnitude()) {
            Ok(small) => small.to_string(),
            Err(_) => self.int.magnitude().to_string(),
        };
        let scale = self.scale as usize;
        if scale == 0 {
            return f.write_str(&digits);
        }
        if digits.len() <= scale {
            f.write_str("0.")?;
            for _ in digits.len()..scale {
                f.write_str("0")?;
            }
            return f.write_str(&digits);
        }
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{whole}.{fraction}")
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finite(decimal) => decimal.fmt(f),
            NaN => f.write_str("NaN"),
            Infinity => f.write_str("Infinity"),
            NegInfinity => f.write_str("-Infinity"),
        }
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Finite(Decimal::new(BigInt::from(value), 0))
    }
}

/// Trims the blanks that C's `isspace` knows.
pub(crate) fn trim_space(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

impl Numeric {
    /// Reads PostgreSQL's input syntax. Errors: 22P02, 22003 past the limits of the format.
    pub fn parse(text: &str) -> Result<Numeric> {
        let bad = || PgError::syntax("numeric", text);
        let body = trim_space(text);
        let (negative, unsigned) = match body.as_bytes().first() {
            Some(b'-') => (true, &body[1..]),
            Some(b'+') => (false, &body[1..]),
            _ => (false, body),
        };
        if unsigned.eq_ignore_ascii_case("nan") && unsigned.len() == body.len() {
            return Ok(NaN);
        }
        if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf") {
            return Ok(if negative { NegInfinity } else { Infinity });
        }
        let bytes = unsigned.as_bytes();
        let mut digits = String::with_capacity(bytes.len());
        let mut fraction = 0i64;
        let mut seen_point = false;
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    digits.push(char::from(*byte));
                    fraction += i64::from(seen_point);
                }
                b'.' if !seen_point => seen_point = true,
                _ => break,
            }
            at += 1;
        }
        if digits.is_empty() {
            return Err(bad());
        }
        let mut exponent = 0i64;
        if at < bytes.len() {
            if !bytes[at].eq_ignore_ascii_case(&b'e') {
                return Err(bad());
            }
            let text = &unsigned[at + 1..];
            let figures = text.strip_prefix(['+', '-']).unwrap_or(text);
            if figures.is_empty() || !figures.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(bad());
            }
            exponent = text
                .parse::<i64>()
                .ok()
                .filter(|value| value.abs() < i64::from(i32::MAX / 2))
                .ok_or_else(overflow)?;
        }
        Self::assemble(negative, &digits, fraction, exponent)
    }

    /// `digits` with `fraction` of them after the point, times 10^`exponent`.
    pub(crate) fn assemble(negative: bool, digits: &str, fraction: i64, exponent: i64) -> Result<Numeric> {
        let scale = (fraction - exponent).max(0);
        let shift = (exponent - fraction).max(0);
        let significant = digits.trim_start_matches('0');
        if scale > i64::from(SCALE_MAX) {
            return Err(overflow());
        }
        if significant.is_empty() {
            return Ok(Finite(Decimal::new(BigInt::default(), scale as u32)));
        }
        if significant.len() as i64 + shift - scale > INTEGER_DIGITS_MAX {
            return Err(overflow());
        }
        let mut int = match significant.parse::<i64>() {
            Ok(small) => BigInt::from(small),
            Err(_) => BigInt::parse_bytes(significant.as_bytes(), 10).ok_or_else(overflow)?,
        };
        if shift > 0 {
            int *= pow10(shift as u32);
        }
        Ok(Finite(Decimal::new(if negative { -int } else { int }, scale as u32)))
    }

    fn is_zero(&self) -> bool {
        matches!(self, Finite(decimal) if decimal.is_zero())
    }

    /// -1, 0 or 1; NaN counts as 1.
    fn signum(&self) -> i32 {
        match self {
            Finite(decimal) => match decimal.int.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
            NegInfinity => -1,
            NaN | Infinity => 1,
        }
    }

    fn infinity(sign: i32) -> Numeric {
        if sign < 0 { NegInfinity } else { Infinity }
    }

    /// The number of digits after the point; `None` for NaN and the infinities.
    pub fn scale(&self) -> Option<u32> {
        match self {
            Finite(decimal) => Some(decimal.scale),
            _ => None,
        }
    }

    /// `self + other`.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        Ok(match (self, other) {
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                return Decimal::new(x + y, scale).checked();
            }
            (NaN, _) | (_, NaN) | (Infinity, NegInfinity) | (NegInfinity, Infinity) => NaN,
            (Infinity, _) | (_, Infinity) => Infinity,
            _ => NegInfinity,
        })
    }

    /// `self - other`.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.neg())
    }

    /// `self * other`.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) => Decimal::new(&a.int * &b.int, a.scale + b.scale).checked(),
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if self.is_zero() || other.is_zero() => Ok(NaN),
            _ => Ok(Self::infinity(self.signum() * other.signum())),
        }
    }

    /// `self * self`, whatever its size: for sums of squares.
    pub fn square(&self) -> Numeric {
        match self {
            Finite(a) => Finite(Decimal::new(&a.int * &a.int, a.scale * 2)),
            other => other.clone(),
        }
    }

    /// `self / other`, with enough digits for 16 significant ones.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if other.is_zero() => Err(PgError::division_by_zero()),
            (Finite(a), Finite(b)) => divide_at(a, b, division_scale(a, b)).checked(),
            (Finite(_), _) => Ok(Numeric::from(0)),
            (_, Finite(_)) => Ok(Self::infinity(self.signum() * other.signum())),
            _ => Ok(NaN),
        }
    }

    /// `div(self, other)`: the whole part of the quotient.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) if !b.is_zero() => {
                let (x, y, _) = a.aligned(b);
                Ok(Finite(Decimal::new(x / y, 0)))
            }
            _ => self.div(other),
        }
    }

    /// `self % other`; the sign is the dividend's.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if other.is_zero() => Err(PgError::division_by_zero()),
            (Finite(a), Finite(b)) => {
                let (x, y, scale) = a.aligned(b);
                Ok(Finite(Decimal::new(x % y, scale)))
            }
            (Finite(_), _) => Ok(self.clone()),
            _ => Ok(NaN),
        }
    }

    /// `-self`.
    pub fn neg(&self) -> Numeric {
        match self {
            Finite(a) => Finite(Decimal::new(-&a.int, a.scale)),
            NaN => NaN,
            Infinity => NegInfinity,
            NegInfinity => Infinity,
        }
    }

    /// The absolute value.
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// -1, 0, 1, or NaN.
    pub fn sign(&self) -> Numeric {
        if *self == NaN {
            NaN
        } else {
            Numeric::from(i64::from(self.signum()))
        }
    }

    fn map(&self, change: impl FnOnce(&Decimal) -> Decimal) -> Numeric {
        match self {
            Finite(a) => Finite(change(a)),
            other => other.clone(),
        }
    }

    /// Rounds half away from zero. Errors: 22003 when that gives a digit too many.
    pub fn round(&self, places: i64) -> Result<Numeric> {
        match self {
            Finite(a) => a
                .rounded(places.clamp(-INTEGER_DIGITS_MAX - 1, i64::from(SCALE_MAX)))
                .checked(),
            other => Ok(other.clone()),
        }
    }

    /// Cuts digits off.
    pub fn trunc(&self, places: i64) -> Numeric {
        self.map(|a| a.truncated(places.clamp(-INTEGER_DIGITS_MAX, i64::from(SCALE_MAX))))
    }

    /// The least integer not below.
    pub fn ceil(&self) -> Numeric {
        self.neg().floor().neg()
    }

    /// The greatest integer not above.
    pub fn floor(&self) -> Numeric {
        self.map(|a| {
            let base = pow10(a.scale);
            let quotient = &a.int / &base;
            let exact = &quotient * &base == a.int;
            Decimal::new(
                if a.is_negative() && !exact {
                    quotient - 1
                } else {
                    quotient
                },
                0,
            )
        })
    }

    /// The digits after the point without trailing zeros.
    pub fn min_scale(&self) -> Option<u32> {
        self.trim_scale().scale()
    }

    /// The same value with the least scale.
    pub fn trim_scale(&self) -> Numeric {
        self.map(|a| {
            if a.is_zero() {
                return Decimal::new(BigInt::default(), 0);
            }
            let digits = a.int.magnitude().to_string();
            let zeros = digits
                .bytes()
                .rev()
                .take_while(|digit| *digit == b'0')
                .count()
                .min(a.scale as usize) as u32;
            Decimal::new(&a.int / pow10(zeros), a.scale - zeros)
        })
    }

    /// The square root. Errors: 2201F below zero.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() < 0 {
            return Err(PgError::new("2201F", "cannot take square root of a negative number"));
        }
        let Finite(a) = self else { return Ok(self.clone()) };
        let scale = SIGNIFICANT_DIGITS_MIN - (a.leading().0 * 2 + 1);
        Ok(a.root_at(scale.max(i64::from(a.scale)).clamp(0, DISPLAY_SCALE_MAX) as u32))
    }

    /// PostgreSQL's total order: NaN is equal to itself and greater than everything.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        fn rank(value: &Numeric) -> i32 {
            match value {
                NegInfinity => 0,
                Finite(_) => 1,
                Infinity => 2,
                NaN => 3,
            }
        }
        match (self, other) {
            (Finite(a), Finite(b)) => {
                let (x, y, _) = a.aligned(b);
                x.cmp(&y)
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Brings the value to `numeric(precision, scale)`. Errors: 22003 `numeric field overflow`.
    pub fn apply_modifier(&self, precision: i64, scale: i64) -> Result<Numeric> {
        let refuse = |reason: String| {
            Err(PgError::new("22003", "numeric field overflow")
                .detail(format!("A field with precision {precision}, scale {scale} {reason}")))
        };
        let rounded = match self {
            Finite(a) => a.rounded(scale),
            NaN => return Ok(NaN),
            _ => return refuse("cannot hold an infinite value.".to_owned()),
        };
        let digits_max = precision - scale;
        if !rounded.is_zero() && rounded.integer_digits() > digits_max {
            let bound = if digits_max == 0 {
                "1".to_owned()
            } else {
                format!("10^{digits_max}")
            };
            return refuse(format!("must round to an absolute value less than {bound}."));
        }
        Ok(Finite(rounded))
    }

    /// The nearest integer, half away from zero. Errors: 22003, and 0A000 for NaN and the infinities.
    pub fn to_integer(&self, type_name: &str, low: i64, high: i64) -> Result<i64> {
        let Finite(a) = self else {
            let what = if *self == NaN { "NaN" } else { "infinity" };
            return Err(PgError::new("0A000", format!("cannot convert {what} to {type_name}")));
        };
        i64::try_from(&a.rounded(0).int)
            .ok()
            .filter(|value| (low..=high).contains(value))
            .ok_or_else(|| PgError::out_of_range(type_name))
    }

    /// The nearest double. Errors: 22003 when it would be infinite or vanish.
    pub fn to_f64(&self) -> Result<f64> {
        match self {
            Finite(_) => super::float::parse_f64(&self.to_string()),
            NaN => Ok(f64::NAN),
            Infinity => Ok(f64::INFINITY),
            NegInfinity => Ok(f64::NEG_INFINITY),
        }
    }

    /// The value of a double, to 15 significant digits, as PostgreSQL's cast gives it.
    pub fn from_f64(value: f64) -> Result<Numeric> {
        Self::from_exponent_form(value, format!("{value:.14e}"))
    }

    /// The value of a single, to 6 significant digits.
    pub fn from_f32(value: f32) -> Result<Numeric> {
        Self::from_exponent_form(f64::from(value), format!("{value:.5e}"))
    }

    fn from_exponent_form(value: f64, text: String) -> Result<Numeric> {
        if value.is_nan() {
            return Ok(NaN);
        }
        if value.is_infinite() {
            return Ok(Self::infinity(if value < 0.0 { -1 } else { 1 }));
        }
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let kept = digits.trim_end_matches('0');
        let kept = if kept.is_empty() { "0" } else { kept };
        Self::assemble(value < 0.0, kept, kept.len() as i64 - 1, exponent.parse().unwrap_or(0))
    }

    /// `self ^ exponent`. Errors: 2201F, 22003; 0A000 for infinite operands.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let (Finite(base), Finite(exp)) = (self, exponent) else {
            return power_of_specials(self, exponent);
        };
        if base.is_zero() && exp.is_negative() {
            return Err(PgError::new("2201F", "zero raised to a negative power is undefined"));
        }
        let whole = exp.truncated(0);
        let is_whole = whole.at_scale(exp.scale) == exp.int;
        if !is_whole && base.is_negative() {
            return Err(PgError::new(
                "2201F",
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        let power = i32::try_from(&whole.int).ok().filter(|_| is_whole);
        let Some(power) = power else {
            if base.is_zero() {
                return Ok(Finite(Decimal::new(BigInt::default(), SIGNIFICANT_DIGITS_MIN as u32)));
            }
            // A whole exponent: the sign is that of one more or less.
            let positive = Decimal::new(BigInt::from(base.int.magnitude().clone()), base.scale);
            let raised = super::exponential::power(&positive, exp)?;
            let is_odd = whole.int.magnitude().bit(0);
            return Ok(if base.is_negative() && is_odd {
                raised.neg()
            } else {
                raised
            });
        };
        let scale = SIGNIFICANT_DIGITS_MIN
            .max(i64::from(base.scale))
            .clamp(0, DISPLAY_SCALE_MAX);
        if base.is_zero() {
            let int = if power == 0 {
                pow10(scale as u32)
            } else {
                BigInt::default()
            };
            return Ok(Finite(Decimal::new(int, scale as u32)));
        }
        // Products of so many digits are not multiplied out.
        if i64::from(power).unsigned_abs().saturating_mul(base.int.bits()) > POWER_BITS_MAX {
            let positive = Decimal::new(BigInt::from(base.int.magnitude().clone()), base.scale);
            let raised = super::exponential::power_at(&positive, exp, Some(scale as u32))?;
            let is_negative = base.is_negative() && power % 2 != 0;
            return Ok(if is_negative { raised.neg() } else { raised });
        }
        let magnitude = f64::from(power) * base.logarithm();
        if magnitude > 2.0 * INTEGER_DIGITS_MAX as f64 {
            return Err(overflow());
        }
        if magnitude < -(DISPLAY_SCALE_MAX as f64) - 20.0 {
            return Ok(Finite(Decimal::new(BigInt::default(), scale as u32)));
        }
        let raised = Decimal::new(base.int.pow(power.unsigned_abs()), 0);
        let shift = i64::from(base.scale) * i64::from(power.unsigned_abs());
        let exact = if power >= 0 {
            shifted(&raised, shift).rounded(scale)
        } else {
            divide_at(&shifted(&Decimal::new(BigInt::from(1), 0), -shift), &raised, scale)
        };
        exact.checked()
    }
}

/// Bits of an exact power that are still computed.
const POWER_BITS_MAX: u64 = 1 << 20;

/// `value` × 10^-`places`.
fn shifted(value: &Decimal, places: i64) -> Decimal {
    if places >= 0 {
        Decimal::new(value.int.clone(), places as u32)
    } else {
        Decimal::new(&value.int * pow10((-places) as u32), 0)
    }
}

fn power_of_specials(base: &Numeric, exponent: &Numeric) -> Result<Numeric> {
    let one = Numeric::from(1);
    if base.compare(&one) == Ordering::Equal || exponent.is_zero() {
        return Ok(one);
    }
    if *base == NaN || *exponent == NaN {
        return Ok(NaN);
    }
    Err(PgError::new(
        "0A000",
        "power of infinite numeric is not available on the embedded engine",
    ))
}

/// The scale PostgreSQL gives a quotient: from the leading base-10000 digits, at least the operands' scales.
fn division_scale(a: &Decimal, b: &Decimal) -> i64 {
    let (weight_a, first_a) = a.leading();
    let (weight_b, first_b) = b.leading();
    let mut weight = weight_a - weight_b;
    if first_a <= first_b {
        weight -= 1;
    }
    (SIGNIFICANT_DIGITS_MIN - weight * 4)
        .max(i64::from(a.scale))
        .max(i64::from(b.scale))
        .clamp(0, DISPLAY_SCALE_MAX)
}

fn divide_at(a: &Decimal, b: &Decimal, scale: i64) -> Decimal {
    let shift = scale + i64::from(b.scale) - i64::from(a.scale);
    let (mut top, mut bottom) = (a.int.clone(), b.int.clone());
    if shift >= 0 {
        top *= pow10(shift as u32);
    } else {
        bottom *= pow10((-shift) as u32);
    }
    if bottom.sign() == Sign::Minus {
        top = -top;
        bottom = -bottom;
    }
    Decimal::new(div_round(&top, &bottom), scale as u32)
}

/// Compares two stored texts by value without reading them into numbers. Order: -Infinity, numbers, Infinity, NaN.
pub fn compare_text(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    fn split(text: &str) -> (i32, &[u8]) {
        match text.as_bytes() {
            b"NaN" => (5, &[]),
            b"Infinity" => (4, &[]),
            b"-Infinity" => (0, &[]),
            [b'-', rest @ ..] => (1, rest),
            bytes if bytes.iter().all(|byte| matches!(byte, b'0' | b'.')) => (2, bytes),
            bytes => (3, bytes),
        }
    }
    let ((rank_a, a), (rank_b, b)) = (split(a), split(b));
    if rank_a != rank_b {
        return rank_a.cmp(&rank_b);
    }
    match rank_a {
        1 => compare_digits(b, a),
        3 => compare_digits(a, b),
        _ => Ordering::Equal,
    }
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
        match memchr::memchr(b'.', bytes) {
            Some(point) => (&bytes[..point], &bytes[point + 1..]),
            None => (bytes, &[]),
        }
    }
    let ((whole_a, fraction_a), (whole_b, fraction_b)) = (halves(a), halves(b));
    whole_a
        .len()
        .cmp(&whole_b.len())
        .then_with(|| whole_a.cmp(whole_b))
        .then_with(|| {
            let common = fraction_a.len().min(fraction_b.len());
            let more = |rest: &[u8]| rest.iter().any(|digit| *digit != b'0');
            fraction_a[..common]
                .cmp(&fraction_b[..common])
                .then_with(|| more(&fraction_a[common..]).cmp(&more(&fraction_b[common..])))
        })
}

/// A running sum of numerics that can also take values out again, for windows.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    total: BigInt,
    /// The scale of `total`; never shrinks.
    total_scale: u32,
    /// How many inputs had each scale, so that the result's scale can shrink when a window moves on.
    scales: std::collections::BTreeMap<u32, i64>,
    count: i64,
    nan: i64,
    infinity: i64,
    neg_infinity: i64,
}

impl Sum {
    /// Takes a value in.
    pub fn add(&mut self, value: &Numeric) {
        self.change(value, 1);
    }

    /// Takes a value out that was taken in before.
    pub fn remove(&mut self, value: &Numeric) {
        self.change(value, -1);
    }

    fn change(&mut self, value: &Numeric, by: i64) {
        self.count += by;
        match value {
            NaN => self.nan += by,
            Infinity => self.infinity += by,
            NegInfinity => self.neg_infinity += by,
            Finite(decimal) => {
                let uses = self.scales.entry(decimal.scale).or_default();
                *uses += by;
                if *uses <= 0 {
                    self.scales.remove(&decimal.scale);
                }
                if decimal.scale > self.total_scale {
                    self.total *= pow10(decimal.scale - self.total_scale);
                    self.total_scale = decimal.scale;
                }
                let int = decimal.at_scale(self.total_scale);
                if by > 0 { self.total += int } else { self.total -= int }
            }
        }
    }

    /// How many values are in.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// The sum; `None` of nothing.
    pub fn sum(&self) -> Result<Option<Numeric>> {
        if self.count == 0 {
            return Ok(None);
        }
        Ok(Some(match (self.nan > 0, self.infinity > 0, self.neg_infinity > 0) {
            (true, _, _) | (_, true, true) => NaN,
            (_, true, _) => Infinity,
            (_, _, true) => NegInfinity,
            _ => {
                let scale = self.scales.keys().next_back().copied().unwrap_or(0);
                return Decimal::new(self.total.clone(), self.total_scale)
                    .rounded(i64::from(scale))
                    .checked()
                    .map(Some);
            }
        }))
    }

    /// The sum without a look at the limits of the format: for what is divided before it is given.
    fn exact(&self) -> Decimal {
        let scale = self.scales.keys().next_back().copied().unwrap_or(0);
        Decimal::new(self.total.clone(), self.total_scale).rounded(i64::from(scale))
    }

    /// Variance of what is in, or its square root: this sum, and the one of the squares. `None` of too few.
    ///
    /// Neither the squares nor their sum need fit the format; only the result does.
    pub fn deviation(&self, squares: &Sum, sample: bool, root: bool) -> Result<Option<Numeric>> {
        let count = self.count;
        if count == 0 || (sample && count < 2) {
            return Ok(None);
        }
        if self.nan > 0 || self.infinity > 0 || self.neg_infinity > 0 {
            return Ok(Some(NaN));
        }
        let (sum, squares) = (self.exact(), squares.exact());
        let top = squares.at_scale(2 * sum.scale) * count - &sum.int * &sum.int;
        if top.sign() != Sign::Plus {
            return Ok(Some(Numeric::from(0)));
        }
        let top = Decimal::new(top, 2 * sum.scale);
        let bottom = Decimal::new(BigInt::from(count) * (if sample { count - 1 } else { count }), 0);
        let scale = division_scale(&top, &bottom);
        let variance = divide_at(&top, &bottom, scale);
        Ok(Some(if root {
            variance.root_at(scale as u32)
        } else {
            variance.checked()?
        }))
    }

    /// The average, with the scale of a division; `None` of nothing.
    pub fn average(&self) -> Result<Option<Numeric>> {
        match self.sum()? {
            Some(sum) => sum.div(&Numeric::from(self.count)).map(Some),
            None => Ok(None),
        }
    }
}
