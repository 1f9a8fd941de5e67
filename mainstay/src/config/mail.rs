//! `[auth.email]`: how mails are made and who takes them, as the Supabase command line writes it.

use std::path::Path;

use jiff::SignedDuration;
use mainstay_auth::config::MailRules;
use mainstay_auth::hooks::Point;
use mainstay_auth::messages::mail::{Kind, Texts};
use mainstay_auth::messages::notices::{self, Notices};
use mainstay_auth::messages::smtp::{Encryption, Settings};

use super::auth::has_hook;
use super::{ConfigError, Reader, codes, secret};

/// Mails in an hour, in all, unless the settings say otherwise.
const PER_HOUR: u32 = 30;
const SMTP_PORT: u16 = 587;

/// Reads how mails are made. `root` is the project's folder.
pub fn rules(reader: &Reader<'_>, root: &Path) -> Result<MailRules, ConfigError> {
    let usual = MailRules::default();
    Ok(MailRules {
        texts: texts(reader, root)?,
        pause: codes::pause(reader, "auth.email.max_frequency", usual.pause)?,
        code_digits: codes::digits(reader, "auth.email.otp_length", usual.code_digits)?,
        expiry: codes::expiry(reader, "auth.email.otp_expiry", SignedDuration::from_hours(1))?,
        confirms_both: reader.boolean("auth.email.double_confirm_changes")?.unwrap_or(true),
        // As on the Supabase command line, it says something where mails really leave.
        per_hour_max: match sends(reader)? {
            true => Some(reader.integer("auth.rate_limit.email_sent")?.unwrap_or(PER_HOUR)),
            false => None,
        },
    })
}

/// True if mails leave: there is a server or a hook that takes them.
pub fn sends(reader: &Reader<'_>) -> Result<bool, ConfigError> {
    Ok(smtp(reader)?.is_some() || has_hook(reader, Point::SendEmail)?)
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

/// A text that cannot be read.
struct Problem(ConfigError);

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Problem(ConfigError::setting("auth.email", problem))
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Problem(error)
    }
}

fn texts(reader: &Reader<'_>, root: &Path) -> Result<Texts, ConfigError> {
    Texts::read(|kind: Kind| own_text(reader, root, &format!("auth.email.template.{}", kind.name())))
        .map_err(|problem: Problem| problem.0)
}

/// True if the notice is switched on.
fn has_notice(reader: &Reader<'_>, kind: notices::Kind) -> Result<bool, ConfigError> {
    let is_on = reader.boolean(&format!("auth.email.notification.{}.enabled", kind.name()))?;
    Ok(is_on.unwrap_or(false))
}

/// True if any notice is switched on.
pub fn has_notices(reader: &Reader<'_>) -> Result<bool, ConfigError> {
    for kind in notices::Kind::ALL {
        if has_notice(reader, kind)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The notices that are switched on. `url`: where the room is reached.
pub fn notices(reader: &Reader<'_>, root: &Path, site_url: &str, url: &str) -> Result<Notices, ConfigError> {
    let own = |kind: notices::Kind| match has_notice(reader, kind)? {
        false => Ok(None),
        true => own_text(reader, root, &format!("auth.email.notification.{}", kind.name())).map(Some),
    };
    Notices::read(site_url, url, own).map_err(|problem: Problem| problem.0)
}

/// Subject and page, as far as the settings have them, below `section`.
fn own_text(reader: &Reader<'_>, root: &Path, section: &str) -> Result<(Option<String>, Option<String>), Problem> {
    let filled = |name: &str| {
        let text = reader.text(&format!("{section}.{name}"))?;
        Ok::<_, ConfigError>(text.filter(|text| !text.is_empty()))
    };
    let page = match filled("content_path")? {
        None => filled("content")?,
        Some(path) => {
            // From the project's folder, as the Supabase command line has it, or from beside the settings.
            let found = [root.join(&path), root.join("supabase").join(&path)];
            let read = found.iter().find_map(|path| std::fs::read_to_string(path).ok());
            let problem = || {
                let key = format!("{section}.content_path");
                ConfigError::setting(&key, format!("`{path}` cannot be read"))
            };
            Some(read.ok_or_else(problem)?)
        }
    };
    Ok((filled("subject")?, page))
}
