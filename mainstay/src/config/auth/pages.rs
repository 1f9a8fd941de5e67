//! `[mainstay.pages]`: the ready pages and how they look.

use std::path::Path;

use mainstay_auth::config::{Accent, Pages, Widget, WidgetKind};

use super::super::{ConfigError, Reader};
use super::filled;

/// Bytes of the project's own stylesheet, at most.
const STYLESHEET_BYTES_MAX: usize = 256 * 1024;

/// Reads the settings. `None`: the pages are switched off. `root` is the project's folder.
///
/// Where a captcha is asked for, the pages need the key of its widget: without one they are there only if they were asked
/// for, which is an error.
pub fn read(reader: &Reader<'_>, root: &Path) -> Result<Option<Pages>, ConfigError> {
    let enabled = reader.boolean("mainstay.pages.enabled")?;
    if enabled == Some(false) {
        return Ok(None);
    }
    let widget = widget(reader)?;
    if widget.is_none() && reader.boolean("auth.captcha.enabled")?.unwrap_or(false) {
        return match enabled {
            Some(_) => Err(ConfigError::setting(
                "mainstay.pages.captcha_site_key",
                "is needed where `[auth.captcha]` is on",
            )),
            None => Ok(None),
        };
    }
    Ok(Some(Pages {
        is_wanted: enabled == Some(true),
        name: filled(reader, "mainstay.pages.name")?.unwrap_or_default(),
        logo_url: logo_url(reader)?,
        accent: accent(reader)?,
        stylesheet: stylesheet(reader, root)?,
        widget,
    }))
}

fn widget(reader: &Reader<'_>) -> Result<Option<Widget>, ConfigError> {
    let provider = reader.text("auth.captcha.provider")?.unwrap_or_default();
    let kind = WidgetKind::of_provider(&provider);
    let site_key = filled(reader, "mainstay.pages.captcha_site_key")?;
    Ok(kind.zip(site_key).map(|(kind, site_key)| Widget { kind, site_key }))
}

fn accent(reader: &Reader<'_>) -> Result<Accent, ConfigError> {
    const KEY: &str = "mainstay.pages.accent";
    match filled(reader, KEY)? {
        None => Ok(Accent::default()),
        Some(text) => Accent::read(&text)
            .ok_or_else(|| ConfigError::setting(KEY, format!("`{text}` is no colour such as #14532d"))),
    }
}

/// Errors: an address that the pages' policy would not let browsers fetch.
fn logo_url(reader: &Reader<'_>) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "mainstay.pages.logo_url";
    let is_path = |logo: &str| logo.starts_with('/') && !logo.starts_with("//");
    match filled(reader, KEY)? {
        Some(logo) if !logo.starts_with("https://") && !is_path(&logo) => {
            let problem = format!("`{logo}` is neither an https address nor a path of this server");
            Err(ConfigError::setting(KEY, problem))
        }
        logo => Ok(logo),
    }
}

fn stylesheet(reader: &Reader<'_>, root: &Path) -> Result<String, ConfigError> {
    const KEY: &str = "mainstay.pages.stylesheet";
    let Some(path) = filled(reader, KEY)? else {
        return Ok(String::new());
    };
    let path = root.join("supabase").join(path);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| ConfigError::setting(KEY, format!("cannot read {}: {error}", path.display())))?;
    match text.len() <= STYLESHEET_BYTES_MAX {
        true => Ok(text),
        false => Err(ConfigError::setting(
            KEY,
            format!("is larger than {STYLESHEET_BYTES_MAX} bytes"),
        )),
    }
}
