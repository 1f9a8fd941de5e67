//! `[auth.email]`: how mails are made and who takes them, as the Supabase command line writes it.

use std::path::Path;

use jiff::SignedDuration;
use mainstay_auth::config::MailRules;
use mainstay_auth::duration;
use mainstay_auth::hooks::Point;
use mainstay_auth::messages::mail::{Kind, Texts};
use mainstay_auth::messages::smtp::{Encryption, Settings};

use super::auth::has_hook;
use super::{ConfigError, Reader, secret};

/// Digits of a code.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 6..=10;
/// Seconds that a code may hold, at most: a day.
const EXPIRY_SECONDS_MAX: i64 = 86_400;
/// Mails in an hour, in all, unless the settings say otherwise.
const PER_HOUR: u32 = 30;
const SMTP_PORT: u16 = 587;

/// Reads how mails are made. `root` is the project's folder.
pub fn rules(reader: &Reader<'_>, root: &Path) -> Result<MailRules, ConfigError> {
    let usual = MailRules::default();
    let code_digits = reader.integer("auth.email.otp_length")?.unwrap_or(usual.code_digits);
    if !CODE_DIGITS.contains(&code_digits) {
        return Err(ConfigError::setting(
            "auth.email.otp_length",
            "must be between 6 and 10",
        ));
    }
    let expiry_seconds: i64 = reader.integer("auth.email.otp_expiry")?.unwrap_or(3600);
    if !(1..=EXPIRY_SECONDS_MAX).contains(&expiry_seconds) {
        let problem = format!("must be between 1 and {EXPIRY_SECONDS_MAX} seconds");
        return Err(ConfigError::setting("auth.email.otp_expiry", problem));
    }
    let pause = match reader.text("auth.email.max_frequency")?.filter(|text| !text.is_empty()) {
        None => usual.pause,
        Some(text) => duration::parse(&text)
            .filter(|pause| !pause.is_negative())
            .ok_or_else(|| {
                ConfigError::setting(
                    "auth.email.max_frequency",
                    format!("`{text}` is no duration such as 60s"),
                )
            })?,
    };
    let sends = smtp(reader)?.is_some() || has_hook(reader, Point::SendEmail)?;
    Ok(MailRules {
        texts: texts(reader, root)?,
        pause,
        code_digits,
        expiry: SignedDuration::from_secs(expiry_seconds),
        confirms_both: reader.boolean("auth.email.double_confirm_changes")?.unwrap_or(true),
        // As on the Supabase command line, it says something where mails really leave.
        per_hour_max: match sends {
            true => Some(reader.integer("auth.rate_limit.email_sent")?.unwrap_or(PER_HOUR)),
            false => None,
        },
    })
}

/// The server that takes mails. `None`: there is none.
pub fn smtp(reader: &Reader<'_>) -> Result<Option<Settings>, ConfigError> {
    let key = |name: &str| format!("auth.email.smtp.{name}");
    let filled = |name: &str| Ok::<_, ConfigError>(reader.text(&key(name))?.filter(|text| !text.is_empty()));
    let Some(host) = filled("host")? else {
        return match reader.boolean(&key("enabled"))? {
            Some(true) => Err(ConfigError::setting(&key("host"), "is missing")),
            _ => Ok(None),
        };
    };
    // A section that names a server without the switch is meant, as on the Supabase command line.
    if !reader.boolean(&key("enabled"))?.unwrap_or(true) {
        return Ok(None);
    }
    let sender = filled("admin_email")?.ok_or_else(|| ConfigError::setting(&key("admin_email"), "is missing"))?;
    let encryption = match reader.text("mainstay.smtp_encryption")?.as_deref() {
        None | Some("required") => Encryption::Required,
        Some("optional") => Encryption::Optional,
        Some(other) => {
            let problem = format!("`{other}` is neither required nor optional");
            return Err(ConfigError::setting("mainstay.smtp_encryption", problem));
        }
    };
    Ok(Some(Settings {
        host,
        port: reader.integer(&key("port"))?.unwrap_or(SMTP_PORT),
        user: filled("user")?,
        password: secret(reader.text(&key("pass"))?),
        sender,
        sender_name: filled("sender_name")?,
        encryption,
    }))
}

/// True unless the catcher of `mainstay dev` is switched off, by its newer or its older name.
pub fn catches(reader: &Reader<'_>) -> Result<bool, ConfigError> {
    for key in ["local_smtp.enabled", "inbucket.enabled"] {
        if let Some(is_enabled) = reader.boolean(key)? {
            return Ok(is_enabled);
        }
    }
    Ok(true)
}

fn texts(reader: &Reader<'_>, root: &Path) -> Result<Texts, ConfigError> {
    struct Problem(ConfigError);
    impl From<String> for Problem {
        fn from(problem: String) -> Self {
            Problem(ConfigError::setting("auth.email.template", problem))
        }
    }
    Texts::read(|kind: Kind| {
        let key = |name: &str| format!("auth.email.template.{}.{name}", kind.name());
        let subject = reader.text(&key("subject")).map_err(Problem)?;
        let inline = reader.text(&key("content")).map_err(Problem)?;
        let path = reader.text(&key("content_path")).map_err(Problem)?;
        let page = match path.filter(|path| !path.is_empty()) {
            None => inline.filter(|text| !text.is_empty()),
            Some(path) => {
                // From the project's folder, as the Supabase command line has it, or from beside the settings.
                let found = [root.join(&path), root.join("supabase").join(&path)];
                let read = found.iter().find_map(|path| std::fs::read_to_string(path).ok());
                let problem = || {
                    Problem(ConfigError::setting(
                        &key("content_path"),
                        format!("`{path}` cannot be read"),
                    ))
                };
                Some(read.ok_or_else(problem)?)
            }
        };
        Ok((subject.filter(|text| !text.is_empty()), page))
    })
    .map_err(|problem: Problem| problem.0)
}
