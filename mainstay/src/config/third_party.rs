//! `[auth.third_party.*]`: identity services whose access tokens count here, as the Supabase command line writes them, and
//! `[mainstay.third_party.*]`: any other issuer.

use mainstay_http::foreign::Trusted;

use super::{ConfigError, Reader};

const OWN: &str = "mainstay.third_party";

/// The issuers that are switched on. Errors name the setting.
pub fn read(reader: &Reader<'_>) -> Result<Vec<Trusted>, ConfigError> {
    let mut found = Vec::new();
    let mut add = |issuer: String, audience: Option<String>| {
        found.push(Trusted {
            issuer: issuer.trim_end_matches('/').to_owned(),
            audience,
        });
    };
    if let Some(section) = section(reader, "firebase")? {
        let project = section.part("project_id")?;
        // One issuer's keys sign for every project.
        add(format!("https://securetoken.google.com/{project}"), Some(project));
    }
    if let Some(section) = section(reader, "auth0")? {
        let tenant = section.part("tenant")?;
        let region = section.maybe("tenant_region")?.map(|region| format!(".{region}"));
        add(
            format!("https://{tenant}{}.auth0.com", region.unwrap_or_default()),
            None,
        );
    }
    if let Some(section) = section(reader, "aws_cognito")? {
        let (pool, region) = (section.part("user_pool_id")?, section.part("user_pool_region")?);
        add(format!("https://cognito-idp.{region}.amazonaws.com/{pool}"), None);
    }
    if let Some(section) = section(reader, "clerk")? {
        add(format!("https://{}", section.part("domain")?), None);
    }
    if let Some(section) = section(reader, "workos")? {
        add(section.url("issuer_url")?, None);
    }
    for name in reader.keys(OWN)? {
        let section = Section {
            reader,
            name: format!("{OWN}.{name}"),
        };
        add(section.url("issuer")?, section.maybe("audience")?);
    }
    Ok(found)
}

struct Section<'a> {
    reader: &'a Reader<'a>,
    name: String,
}

/// A section of the Supabase command line's that is switched on.
fn section<'a>(reader: &'a Reader<'a>, name: &str) -> Result<Option<Section<'a>>, ConfigError> {
    let name = format!("auth.third_party.{name}");
    let is_on = reader.boolean(&format!("{name}.enabled"))?.unwrap_or(false);
    Ok(is_on.then_some(Section { reader, name }))
}

impl Section<'_> {
    fn maybe(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let text = self.reader.text(&format!("{}.{key}", self.name))?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A part of a URL: letters, digits, `.`, `-` and `_`.
    fn part(&self, key: &str) -> Result<String, ConfigError> {
        let text = self.required(key)?;
        let is_part = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        match is_part {
            true => Ok(text),
            false => Err(self.bad(key, "has characters that no name of this kind has")),
        }
    }

    fn url(&self, key: &str) -> Result<String, ConfigError> {
        let text = self.required(key)?;
        match text.starts_with("https://") || text.starts_with("http://") {
            true => Ok(text),
            false => Err(self.bad(key, "is no URL")),
        }
    }

    fn required(&self, key: &str) -> Result<String, ConfigError> {
        self.maybe(key)?.ok_or_else(|| self.bad(key, "is missing"))
    }

    fn bad(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError::setting(&format!("{}.{key}", self.name), problem)
    }
}
