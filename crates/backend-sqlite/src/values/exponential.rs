//! `exp`, `ln`, `log` and general powers of `numeric`, with PostgreSQL's result scales.
//!
//! Numbers are integers scaled by a power of ten, with guard digits, so that the last digit given is right.
//!
//! Source: PostgreSQL manual, 9.3; result scales as PostgreSQL 15 answers.

use std::f64::consts::LOG10_E;

use bigdecimal::num_bigint::{BigInt, Sign};

use super::errors::{PgError, Result};
use super::numeric::{DISPLAY_SCALE_MAX, Decimal, Numeric, SIGNIFICANT_DIGITS_MIN, div_round, overflow, pow10};

/// Digits beyond those asked for.
const GUARD_DIGITS: u32 = 24;
/// Results beyond 10^±6000 overflow or vanish, as in PostgreSQL.
const MAGNITUDE_MAX: f64 = 6_000.0;
/// How often an argument is halved (or its root taken) before the series.
const REDUCTIONS: u32 = 8;

/// A fixed-point context: numbers are integers × 10^-`digits`.
struct Fixed {
    digits: u32,
    one: BigInt,
}

impl Fixed {
    fn new(digits: u32) -> Self {
        Fixed {
            digits,
            one: pow10(digits),
        }
    }

    fn read(&self, value: &Decimal) -> BigInt {
        if value.scale <= self.digits {
            &value.int * pow10(self.digits - value.scale)
        } else {
            div_round(&value.int, &pow10(value.scale - self.digits))
        }
    }

    fn mul(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * b / &self.one
    }

    /// ln of a number from 1 to 10: roots bring it near 1, where the series of the area tangent is short.
    fn ln_small(&self, value: BigInt) -> BigInt {
        let mut root = value;
        for _ in 0..REDUCTIONS {
            root = (root * &self.one).sqrt();
        }
        let ratio = (&root - &self.one) * &self.one / (&root + &self.one);
        let square = self.mul(&ratio, &ratio);
        let mut power = ratio.clone();
        let mut sum = ratio;
        let mut divisor = 3u32;
        while power.sign() != Sign::NoSign {
            power = self.mul(&power, &square);
            sum += &power / divisor;
            divisor += 2;
        }
        sum * 2u32 * 2u32.pow(REDUCTIONS)
    }

    fn ln10(&self) -> BigInt {
        self.ln_small(&self.one * 10u32)
    }

    /// ln of a positive number: its power of ten apart.
    fn ln(&self, value: &Decimal) -> BigInt {
        let length = value.int.magnitude().to_string().len() as i64;
        let exponent = length - 1 - i64::from(value.scale);
        let shift = i64::from(self.digits) - (length - 1);
        let mantissa = if shift >= 0 {
            &value.int * pow10(shift as u32)
        } else {
            div_round(&value.int, &pow10((-shift) as u32))
        };
        self.ln_small(mantissa) + self.ln10() * exponent
    }

    /// e^value as a mantissa in fixed point and a power of ten.
    fn exp(&self, value: &BigInt) -> (BigInt, i64) {
        let ln10 = self.ln10();
        let exponent = div_round(value, &ln10);
        let mut rest = value - &exponent * &ln10;
        rest /= 2u32.pow(REDUCTIONS);
        let mut term = self.one.clone();
        let mut sum = self.one.clone();
        let mut step = 1u32;
        while term.sign() != Sign::NoSign {
            term = self.mul(&term, &rest) / step;
            sum += &term;
            step += 1;
        }
        for _ in 0..REDUCTIONS {
            sum = self.mul(&sum, &sum);
        }
        (sum, i64::try_from(&exponent).unwrap_or(0))
    }
}

/// The decimal exponent of ln(value), estimated as PostgreSQL does.
fn ln_weight(value: &Decimal) -> i64 {
    let one = Decimal::new(BigInt::from(1), 0);
    let near =
        |tenths: i64| Numeric::Finite(value.clone()).compare(&Numeric::Finite(Decimal::new(BigInt::from(tenths), 1)));
    if near(9).is_ge() && near(11).is_le() {
        let distance = match Numeric::Finite(value.clone()).sub(&Numeric::Finite(one)) {
            Ok(Numeric::Finite(distance)) => distance,
            _ => return 0,
        };
        let (weight, first) = distance.leading();
        return if first == 0 {
            0
        } else {
            weight * 4 + (first as f64).log10() as i64
        };
    }
    // The leading eight digits, in groups of four.
    let (weight, first) = value.leading();
    let digits = value.int.magnitude().to_string();
    let used = first.to_string().len();
    let mut second = String::new();
    for index in used..used + 4 {
        second.push(digits.as_bytes().get(index).map_or('0', |digit| char::from(*digit)));
    }
    let leading = first as f64 * 10_000.0 + second.parse::<f64>().unwrap_or(0.0);
    let ln = leading.ln() + (weight * 4 - 4) as f64 * std::f64::consts::LN_10;
    ln.abs().log10() as i64
}

fn clamp_scale(scale: i64, least: &[u32]) -> u32 {
    least
        .iter()
        .fold(scale, |scale, least| scale.max(i64::from(*least)))
        .clamp(0, DISPLAY_SCALE_MAX) as u32
}

fn check_logarithm(value: &Numeric) -> Result<()> {
    match value.compare(&Numeric::from(0)) {
        std::cmp::Ordering::Less => Err(PgError::new("2201E", "cannot take logarithm of a negative number")),
        std::cmp::Ordering::Equal => Err(PgError::new("2201E", "cannot take logarithm of zero")),
        std::cmp::Ordering::Greater => Ok(()),
    }
}

/// `ln(value)`. Errors: 2201E.
pub fn ln(value: &Numeric) -> Result<Numeric> {
    check_logarithm(value)?;
    let Numeric::Finite(decimal) = value else {
        return Ok(value.clone());
    };
    let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - ln_weight(decimal), &[decimal.scale]);
    let fixed = Fixed::new(scale + GUARD_DIGITS);
    Ok(Numeric::Finite(
        Decimal::new(fixed.ln(decimal), fixed.digits).rounded(i64::from(scale)),
    ))
}

/// `log(base, value)`. Errors: 2201E, 22012 for base 1.
pub fn log(base: &Numeric, value: &Numeric) -> Result<Numeric> {
    if *base == Numeric::NaN || *value == Numeric::NaN {
        return Ok(Numeric::NaN);
    }
    check_logarithm(base)?;
    check_logarithm(value)?;
    let (Numeric::Finite(b), Numeric::Finite(x)) = (base, value) else {
        return Ok(match (base, value) {
            (Numeric::Finite(_), _) => Numeric::Infinity,
            (_, Numeric::Finite(_)) => Numeric::from(0),
            _ => Numeric::NaN,
        });
    };
    let weight = ln_weight(x) - ln_weight(b);
    let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - weight, &[b.scale, x.scale]);
    let fixed = Fixed::new(scale + GUARD_DIGITS + 16);
    let (top, bottom) = (fixed.ln(x), fixed.ln(b));
    if bottom.sign() == Sign::NoSign {
        return Err(PgError::division_by_zero());
    }
    let (top, bottom) = if bottom.sign() == Sign::Minus {
        (-top, -bottom)
    } else {
        (top, bottom)
    };
    Ok(Numeric::Finite(
        Decimal::new(div_round(&(top * &fixed.one), &bottom), fixed.digits).rounded(i64::from(scale)),
    ))
}

/// e^(`exponent` in fixed point), rounded to `scale`.
fn finish(fixed: &Fixed, exponent: &BigInt, scale: u32) -> Result<Numeric> {
    let (mantissa, power) = fixed.exp(exponent);
    let places = i64::from(fixed.digits) - power;
    let value = if places >= 0 {
        Decimal::new(mantissa, places as u32)
    } else {
        Decimal::new(mantissa * pow10((-places) as u32), 0)
    };
    Ok(Numeric::Finite(value.rounded(i64::from(scale))))
}

/// `exp(value)`. Errors: 22003.
pub fn exp(value: &Numeric) -> Result<Numeric> {
    let decimal = match value {
        Numeric::Finite(decimal) => decimal,
        Numeric::NegInfinity => return Ok(Numeric::from(0)),
        other => return Ok(other.clone()),
    };
    let approximate = decimal.to_string().parse::<f64>().unwrap_or(0.0);
    let digits = (approximate * LOG10_E).clamp(-2_000.0, 2_000.0);
    let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - digits as i64, &[decimal.scale]);
    if approximate.abs() >= MAGNITUDE_MAX {
        if approximate > 0.0 {
            return Err(overflow());
        }
        return Ok(Numeric::Finite(Decimal::new(BigInt::default(), scale)));
    }
    let fixed = Fixed::new(scale + GUARD_DIGITS + (approximate * LOG10_E).max(0.0) as u32 + 8);
    let argument = fixed.read(decimal);
    finish(&fixed, &argument, scale)
}

/// `base ^ exponent` for a positive base and any exponent. Errors: 22003.
pub fn power(base: &Decimal, exponent: &Decimal) -> Result<Numeric> {
    power_at(base, exponent, None)
}

/// The same at a scale that is known.
pub fn power_at(base: &Decimal, exponent: &Decimal, scale: Option<u32>) -> Result<Numeric> {
    // Enough digits for a logarithm near zero.
    let rough = Fixed::new(40 + (-ln_weight(base)).max(0) as u32);
    let ln_base = Decimal::new(rough.ln(base), rough.digits);
    let product = match Numeric::Finite(ln_base).mul(&Numeric::Finite(exponent.clone()))? {
        Numeric::Finite(product) => product.rounded(40).to_string().parse::<f64>().unwrap_or(0.0),
        _ => 0.0,
    };
    if product.abs() > 6_020.0 {
        if product > 0.0 {
            return Err(overflow());
        }
        return Ok(Numeric::Finite(Decimal::new(
            BigInt::default(),
            scale.unwrap_or(DISPLAY_SCALE_MAX as u32),
        )));
    }
    let digits = product * LOG10_E;
    let scale =
        scale.unwrap_or_else(|| clamp_scale(SIGNIFICANT_DIGITS_MIN - digits as i64, &[base.scale, exponent.scale]));
    let fixed = Fixed::new(
        scale + GUARD_DIGITS + digits.max(0.0) as u32 + exponent.scale + exponent.integer_digits().max(0) as u32 + 24,
    );
    let argument = fixed.mul(&fixed.ln(base), &fixed.read(exponent));
    finish(&fixed, &argument, scale)
}
