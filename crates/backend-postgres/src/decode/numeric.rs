//! `numeric` from its binary form.
//!
//! Source: `numeric_send` and `get_str_from_var` of PostgreSQL 15: digits in base 10,000, a weight, a sign, and the
//! number of decimal digits to show after the point.

use std::io::Write;

use super::Misfit;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

fn half(bytes: &[u8], index: usize) -> Result<u16, Misfit> {
    let pair = bytes.get(index * 2..index * 2 + 2).ok_or(Misfit)?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

/// False for `NaN` and the infinities.
pub fn is_finite(bytes: &[u8]) -> Result<bool, Misfit> {
    Ok(matches!(half(bytes, 2)?, 0 | NEGATIVE))
}

/// Writes the number as PostgreSQL prints it.
pub fn write(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Misfit> {
    let count = usize::from(half(bytes, 0)?);
    let weight = i32::from(half(bytes, 1)? as i16);
    let special: &[u8] = match half(bytes, 2)? {
        0 => b"",
        NEGATIVE => {
            out.push(b'-');
            b""
        }
        NAN => b"NaN",
        INFINITY => b"Infinity",
        NEGATIVE_INFINITY => b"-Infinity",
        _ => return Err(Misfit),
    };
    if !special.is_empty() {
        out.extend_from_slice(special);
        return Ok(());
    }
    let scale = usize::from(half(bytes, 3)?);
    if bytes.len() != 8 + count * 2 {
        return Err(Misfit);
    }
    // Positions before the first and after the last digit are zero.
    let digit = |position: i32| -> Result<u16, Misfit> {
        if position < 0 || position as usize >= count {
            Ok(0)
        } else {
            half(bytes, 4 + position as usize)
        }
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        for position in 0..=weight {
            // Writing to a Vec cannot fail.
            let _ = match position {
                0 => write!(out, "{}", digit(0)?),
                _ => write!(out, "{:04}", digit(position)?),
            };
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut position = weight + 1;
        while out.len() < end {
            let _ = write!(out, "{:04}", digit(position)?);
            position += 1;
        }
        out.truncate(end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> String {
        let mut bytes = (digits.len() as u16).to_be_bytes().to_vec();
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        digits.iter().for_each(|digit| bytes.extend(digit.to_be_bytes()));
        let mut out = Vec::new();
        write(&mut out, &bytes).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_print_with_their_scale() {
        assert_eq!(text(0, 0, 2, &[12, 3400]), "12.34");
        assert_eq!(text(0, 0, 0, &[]), "0");
        assert_eq!(text(0, 0, 3, &[]), "0.000");
        assert_eq!(text(1, NEGATIVE, 0, &[1, 5]), "-10005");
        assert_eq!(text(2, 0, 0, &[1]), "100000000");
        assert_eq!(text(-1, 0, 4, &[5]), "0.0005");
        assert_eq!(text(-2, 0, 6, &[500]), "0.000005");
        assert_eq!(text(0, NAN, 0, &[]), "NaN");
    }
}
