//! Passwords that are known to others: the commonest ones, and those of breaches.
//!
//! The commonest are looked up here. Breaches are asked of a service by k-anonymity: it is told the first five digits of the
//! password's SHA-1 and answers with the rest of every one it knows that begins so; which of them was meant it does not
//! learn, nor, as the answer is padded, how many there are.
//!
//! The list is the thousand commonest passwords of six letters and more among those that zxcvbn ranks by frequency
//! (Mark Burnett's ten million, in the public domain), without obscene words.
//!
//! Source: Have I Been Pwned, "Pwned Passwords API v3"; NIST SP 800-63B §5.1.1.2.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::HeaderName;
use mainstay_http::Outgoing;
use mainstay_http::outgoing::Call;

use crate::config::LeakedPasswords;
use crate::error::Error;

const COMMON: &str = include_str!("common_passwords.txt");
/// How long the service may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);
/// Bytes of its answer: some thousand lines.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Digits of the hash that the service is told.
const PREFIX_DIGITS: usize = 5;
const ADD_PADDING: HeaderName = HeaderName::from_static("add-padding");

/// True if the password is known to others.
///
/// Errors: `LeaksUnknown` if the service does not answer and the settings want to know.
pub async fn is_leaked(password: &str, rules: &LeakedPasswords, outgoing: &Outgoing) -> Result<bool, Error> {
    if rules.refuses_common && is_common(password) {
        return Ok(true);
    }
    let Some(service) = &rules.service else {
        return Ok(false);
    };
    match ask(password, service, outgoing).await {
        Ok(found) => Ok(found),
        Err(reason) if rules.fails_closed => {
            tracing::error!(reason, "auth: leaked passwords could not be asked for");
            Err(Error::LeaksUnknown)
        }
        Err(reason) => {
            tracing::warn!(
                reason,
                "auth: leaked passwords could not be asked for; the password is taken"
            );
            Ok(false)
        }
    }
}

/// True if it is one of the commonest, in whatever case.
fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    COMMON.lines().any(|common| common == folded)
}

async fn ask(password: &str, service: &str, outgoing: &Outgoing) -> Result<bool, String> {
    let hash = sha1_hex(password);
    let (prefix, rest) = hash.split_at(PREFIX_DIGITS);
    let call = Call::get(&format!("{}/{prefix}", service.trim_end_matches('/')))
        .header(ADD_PADDING, "true")
        .within(ANSWER_TIME_MAX)
        .at_most(ANSWER_BYTES_MAX);
    let reply = outgoing.send(call).await.map_err(|error| error.to_string())?;
    if !reply.status.is_success() {
        return Err(format!("the service answers {}", reply.status));
    }
    let text = std::str::from_utf8(&reply.body).map_err(|_| "the answer is no text".to_owned())?;
    Ok(has(text, rest))
}

/// Looks for the rest of a hash; a count of zero is padding.
fn has(answer: &str, rest: &str) -> bool {
    answer.lines().any(|line| {
        let (found, count) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        found.eq_ignore_ascii_case(rest) && count.trim().parse::<u64>().is_ok_and(|count| count > 0)
    })
}

fn sha1_hex(password: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_are_known_in_any_case() {
        for password in ["password", "PassWord", "qwerty123", "123456789", "letmein"] {
            assert!(is_common(password), "{password}");
        }
        for password in ["correct horse 7 battery", "passworc", "", "\n"] {
            assert!(!is_common(password), "{password}");
        }
        let mut sorted: Vec<&str> = COMMON.lines().collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), COMMON.lines().count());
        assert!(
            COMMON
                .lines()
                .all(|line| line.len() >= 6 && line == line.to_lowercase())
        );
    }

    #[test]
    fn a_hash_is_found_among_those_that_begin_alike_and_padding_is_not() {
        // The example of the service's own description.
        let hash = sha1_hex("P@ssw0rd");
        assert_eq!(hash, "21BD12DC183F740EE76F27B78EB39C8AD972A757");
        let (prefix, rest) = hash.split_at(PREFIX_DIGITS);
        assert_eq!(prefix, "21BD1");
        assert!(has(
            &format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{rest}:52579\r\n"),
            rest
        ));
        assert!(has(&format!("{}:1", rest.to_lowercase()), rest));
        for answer in [
            "",
            "0018A45C4D1DEF81644B54AB7F969B88D65:1",
            &format!("{rest}:0"),
            rest,
            "::",
        ] {
            assert!(!has(answer, rest), "{answer}");
        }
    }
}
