//! An authenticator app, computed by nothing of Mainstay's: RFC 6238 with its defaults.

use aws_lc_rs::hmac;
use serde_json::Value;

/// One entry of an app.
#[derive(Clone, Debug)]
pub struct App {
    /// The factor's id.
    pub id: String,
    /// Base 32.
    pub secret: String,
}

impl App {
    /// Takes what an enrolment was answered with.
    pub fn of(enrolled: &Value) -> Self {
        App {
            id: enrolled["id"].as_str().unwrap().into(),
            secret: enrolled["totp"]["secret"].as_str().unwrap().into(),
        }
    }

    /// The code of `offset` half minutes from now. Those of 0 and 1 are accepted for half a minute at least.
    pub fn code(&self, offset: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(&self.secret));
        let step = mainstay_testing::token::now() / 30 + offset;
        let sum = hmac::sign(&key, &step.to_be_bytes());
        let sum = sum.as_ref();
        let at = usize::from(sum[19] & 15);
        let number = u32::from_be_bytes(sum[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => panic!("not base 32: {text}"),
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
