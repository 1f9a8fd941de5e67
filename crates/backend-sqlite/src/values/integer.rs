//! `int2`, `int4` and `int8`: reading, and arithmetic that refuses what does not fit.
//!
//! Source: PostgreSQL manual, 8.1.1 and 9.3.

use super::errors::{PgError, Result};
use super::numeric::trim_space;

/// One of the three widths: its name in messages and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    pub name: &'static str,
    pub low: i64,
    pub high: i64,
    pub bits: u32,
}

/// `smallint`.
pub const INT2: Width = Width {
    name: "smallint",
    low: i16::MIN as i64,
    high: i16::MAX as i64,
    bits: 16,
};
/// `integer`.
pub const INT4: Width = Width {
    name: "integer",
    low: i32::MIN as i64,
    high: i32::MAX as i64,
    bits: 32,
};
/// `bigint`.
pub const INT8: Width = Width {
    name: "bigint",
    low: i64::MIN,
    high: i64::MAX,
    bits: 64,
};

impl Width {
    /// Reads a decimal integer with optional sign and blanks around it. Errors: 22P02, 22003.
    pub fn parse(&self, text: &str) -> Result<i64> {
        let body = trim_space(text);
        let digits = body.strip_prefix(['+', '-']).unwrap_or(body);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PgError::syntax(self.name, text));
        }
        match body.parse::<i64>() {
            Ok(value) if (self.low..=self.high).contains(&value) => Ok(value),
            _ => Err(PgError::text_out_of_range(self.name, text)),
        }
    }

    /// `value` if it fits. Errors: 22003.
    pub fn check(&self, value: Option<i64>) -> Result<i64> {
        value
            .filter(|value| (self.low..=self.high).contains(value))
            .ok_or_else(|| PgError::out_of_range(self.name))
    }

    /// `a + b`.
    pub fn add(&self, a: i64, b: i64) -> Result<i64> {
        self.check(a.checked_add(b))
    }

    /// `a - b`.
    pub fn sub(&self, a: i64, b: i64) -> Result<i64> {
        self.check(a.checked_sub(b))
    }

    /// `a * b`.
    pub fn mul(&self, a: i64, b: i64) -> Result<i64> {
        self.check(a.checked_mul(b))
    }

    /// `a / b`, cut towards zero. Errors: 22012, 22003.
    pub fn div(&self, a: i64, b: i64) -> Result<i64> {
        if b == 0 {
            Err(PgError::division_by_zero())
        } else {
            self.check(a.checked_div(b))
        }
    }

    /// `a % b`; the sign is the dividend's. Errors: 22012.
    pub fn rem(&self, a: i64, b: i64) -> Result<i64> {
        if b == 0 {
            Err(PgError::division_by_zero())
        } else {
            Ok(a.wrapping_rem(b))
        }
    }

    /// `-a`.
    pub fn neg(&self, a: i64) -> Result<i64> {
        self.check(a.checked_neg())
    }

    /// `abs(a)`.
    pub fn abs(&self, a: i64) -> Result<i64> {
        self.check(a.checked_abs())
    }

    /// `a << n`; bits above the width are lost, as in C.
    pub fn shl(&self, a: i64, n: i64) -> i64 {
        match self.bits {
            16 => i64::from((a as i32).wrapping_shl(n as u32) as i16),
            32 => i64::from((a as i32).wrapping_shl(n as u32)),
            _ => a.wrapping_shl(n as u32),
        }
    }

    /// `a >> n`, with the sign.
    pub fn shr(&self, a: i64, n: i64) -> i64 {
        match self.bits {
            64 => a.wrapping_shr(n as u32),
            _ => i64::from((a as i32).wrapping_shr(n as u32)),
        }
    }

    /// The greatest common divisor. Errors: 22003.
    pub fn gcd(&self, a: i64, b: i64) -> Result<i64> {
        let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        self.check(i64::try_from(a).ok())
    }

    /// The least common multiple. Errors: 22003.
    pub fn lcm(&self, a: i64, b: i64) -> Result<i64> {
        if a == 0 || b == 0 {
            return Ok(0);
        }
        let divisor = self.gcd(a, b)?;
        self.check((a / divisor).checked_mul(b).and_then(i64::checked_abs))
    }
}
