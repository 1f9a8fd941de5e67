//! The project's settings: `supabase/config.toml`, `.env`, and the environment over both.
//!
//! Order of precedence: `PGRST_*` environment variables, then `[rest]`, then `[api]`, then the default.
//!
//! Source: the Supabase command line's config format; PostgREST's configuration page for `[rest]` and `PGRST_*`.

pub mod auth;
mod codes;
pub mod dotenv;
mod external;
pub mod known;
mod limits;
pub mod mail;
mod phone;
pub mod rest;
mod third_party;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mainstay_core::backend::CostLimits;
use mainstay_core::secret::Secret;
use mainstay_http::foreign::Trusted;
use mainstay_http::limits::{Network, Rates};
use mainstay_http::signing::SigningAlgorithm;
use toml::Value;

pub use rest::Rest;

/// The file that holds the settings, below the project's folder.
pub const CONFIG_PATH: &str = "supabase/config.toml";

/// Default port of the API, as the Supabase command line has it.
pub const DEFAULT_PORT: u16 = 54321;

/// Bytes of a request's body, unless `[mainstay] body_bytes_max` says otherwise.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Milliseconds from which a statement is slow, unless `[mainstay] slow_query_ms` says otherwise.
pub const SLOW_QUERY_MS: u64 = 1_000;

/// A day.
const IDEMPOTENCY_SECONDS: u64 = 24 * 3600;

/// What can be wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not valid TOML: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("setting `{key}`: {problem}")]
    Setting { key: String, problem: String },
}

impl ConfigError {
    fn setting(key: &str, problem: impl Into<String>) -> Self {
        ConfigError::Setting {
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Which grants a new relation gets by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// None: nothing is readable until a migration says so.
    Closed,
    /// Supabase's: everything to `anon`, `authenticated` and `service_role`, row security decides.
    Classic,
}

/// How the embedded engine waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    Full,
    Normal,
}

/// All settings of a project.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that holds `supabase/`.
    pub root: PathBuf,
    pub port: u16,
    pub rest: Rest,
    /// `None`: sign-in is switched off.
    pub auth: Option<mainstay_auth::Config>,
    /// Settings of sign-in that are switched on and that only `mainstay dev` can keep.
    pub auth_unmet_in_production: Vec<String>,
    /// The settings say where the server is reached from outside.
    pub has_external_url: bool,
    /// The server that takes mails.
    pub smtp: Option<mainstay_auth::messages::smtp::Settings>,
    /// The account that sends text messages.
    pub texts: Option<mainstay_auth::messages::twilio::Settings>,
    /// `mainstay dev` keeps mails instead of sending them, where there is no server that takes them.
    pub catches_mail: bool,
    /// How access tokens are signed.
    pub signing_algorithm: SigningAlgorithm,
    /// Private JWKs that sign access tokens, in place of the project's own.
    pub signing_keys_path: Option<PathBuf>,
    pub seed_paths: Vec<String>,
    pub grants: Grants,
    pub require_key: bool,
    /// Accept the Supabase command line's published demo secret.
    pub allow_demo_secret: bool,
    pub synchronous: Synchronous,
    pub body_bytes_max: usize,
    /// Milliseconds a statement may take.
    pub statement_timeout_ms: u64,
    pub log_requests: bool,
    /// Milliseconds from which a statement is logged as slow; `None`: none is.
    pub slow_query_ms: Option<u64>,
    /// Seconds that the answer to a request with an `Idempotency-Key` is kept.
    pub idempotency_seconds: u64,
    /// The file that `mainstay dev` keeps the database's types in, from the project's folder.
    pub types_file: Option<PathBuf>,
    /// How many requests one caller may send.
    pub rates: Rates,
    /// What a statement may cost.
    pub costs: CostLimits,
    /// Networks, beside the internet, that the server itself may send requests to.
    pub outgoing_allowed: Vec<Network>,
    /// Issuers elsewhere whose access tokens count.
    pub third_party: Vec<Trusted>,
    /// Keys of the file that nothing in Mainstay knows.
    pub unknown_keys: Vec<String>,
}

impl Config {
    /// Reads the settings of the project in `root`. A project without the file gets the defaults.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let mut environment = dotenv::read(&root.join(".env"))?;
        environment.extend(dotenv::read(&root.join("supabase").join(".env"))?);
        environment.extend(std::env::vars());
        let path = root.join(CONFIG_PATH);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        Config::parse(root, &path, &text, &environment)
    }

    fn parse(root: &Path, path: &Path, text: &str, environment: &HashMap<String, String>) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let unknown_keys = known::unknown(&table);
        let mut file = Value::Table(table);
        resolve_env(&mut file, environment);
        let reader = Reader { file: &file };
        let grants = match reader.text("mainstay.grants")?.as_deref() {
            None | Some("classic") => Grants::Classic,
            Some("closed") => Grants::Closed,
            Some(other) => {
                return Err(ConfigError::setting(
                    "mainstay.grants",
                    format!("`{other}` is neither closed nor classic"),
                ));
            }
        };
        let synchronous = match reader.text("mainstay.synchronous")?.as_deref() {
            None | Some("full") => Synchronous::Full,
            Some("normal") => Synchronous::Normal,
            Some(other) => {
                return Err(ConfigError::setting(
                    "mainstay.synchronous",
                    format!("`{other}` is neither full nor normal"),
                ));
            }
        };
        let idempotency_seconds = reader
            .integer("mainstay.idempotency_seconds")?
            .unwrap_or(IDEMPOTENCY_SECONDS);
        if idempotency_seconds == 0 {
            return Err(ConfigError::setting(
                "mainstay.idempotency_seconds",
                "must be at least 1: a key that is forgotten at once makes retries write twice",
            ));
        }
        Ok(Config {
            root: root.to_owned(),
            port: reader.integer("api.port")?.unwrap_or(DEFAULT_PORT),
            rest: Rest::read(&reader, environment)?,
            auth: auth::read(&reader, root)?,
            auth_unmet_in_production: auth::unmet_in_production(&reader)?,
            has_external_url: auth::has_external_url(&reader)?,
            smtp: mail::smtp(&reader)?,
            texts: phone::provider(&reader)?,
            catches_mail: mail::catches(&reader)?,
            signing_algorithm: match reader.text("mainstay.signing_algorithm")? {
                None => SigningAlgorithm::Es256,
                Some(name) => SigningAlgorithm::of_name(&name).ok_or_else(|| {
                    let problem = format!("`{name}` is none of ES256, RS256 and HS256");
                    ConfigError::setting("mainstay.signing_algorithm", problem)
                })?,
            },
            // Beside the file that names it, as the Supabase command line has it.
            signing_keys_path: reader
                .text("auth.signing_keys_path")?
                .filter(|path| !path.is_empty())
                .map(|path| root.join("supabase").join(path)),
            seed_paths: if reader.boolean("db.seed.enabled")?.unwrap_or(true) {
                reader
                    .list("db.seed.sql_paths")?
                    .unwrap_or_else(|| vec!["./seed.sql".into()])
            } else {
                Vec::new()
            },
            grants,
            require_key: reader.boolean("mainstay.require_key")?.unwrap_or(false),
            allow_demo_secret: reader.boolean("mainstay.allow_demo_secret")?.unwrap_or(false),
            synchronous,
            body_bytes_max: reader.integer("mainstay.body_bytes_max")?.unwrap_or(BODY_BYTES_MAX),
            statement_timeout_ms: reader.integer("mainstay.statement_timeout_ms")?.unwrap_or(8_000),
            log_requests: reader.boolean("mainstay.log_requests")?.unwrap_or(true),
            slow_query_ms: match reader.text("mainstay.slow_query_ms")?.as_deref() {
                Some("off") => None,
                _ => reader.integer("mainstay.slow_query_ms")?.or(Some(SLOW_QUERY_MS)),
            },
            idempotency_seconds,
            types_file: types_file(&reader)?,
            rates: limits::rates(&reader)?,
            costs: limits::costs(&reader)?,
            outgoing_allowed: limits::outgoing(&reader)?,
            third_party: third_party::read(&reader)?,
            unknown_keys,
        })
    }

    /// Where the project's data lives.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join(".mainstay")
    }
}

/// Reads typed settings by dotted name.
pub struct Reader<'a> {
    file: &'a Value,
}

impl Reader<'_> {
    fn find(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(self.file, |value, part| value.get(part))
    }

    /// The names in a section.
    pub fn keys(&self, section: &str) -> Result<Vec<String>, ConfigError> {
        match self.find(section) {
            None => Ok(Vec::new()),
            Some(Value::Table(table)) => Ok(table.keys().cloned().collect()),
            Some(_) => Err(ConfigError::setting(section, "must be a section")),
        }
    }

    /// A text setting.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Integer(number)) => Ok(Some(number.to_string())),
            Some(Value::Boolean(flag)) => Ok(Some(flag.to_string())),
            Some(_) => Err(ConfigError::setting(key, "must be text")),
        }
    }

    /// A whole number.
    pub fn integer<T: TryFrom<i64> + std::str::FromStr>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let bad = || ConfigError::setting(key, "must be a whole number in range");
        match self.find(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => T::try_from(*number).map(Some).map_err(|_| bad()),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad()),
            Some(_) => Err(bad()),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
            Some(_) => Err(ConfigError::setting(key, "must be true or false")),
        }
    }

    /// A list of texts, or one text with commas.
    pub fn list(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(split_list(text))),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .map(Some)
                .ok_or_else(|| ConfigError::setting(key, "must be a list of texts")),
            Some(_) => Err(ConfigError::setting(key, "must be a list of texts")),
        }
    }
}

fn types_file(reader: &Reader<'_>) -> Result<Option<PathBuf>, ConfigError> {
    let path = reader.text("mainstay.types_file")?.filter(|path| !path.is_empty());
    match path {
        Some(path) if !path.ends_with(".ts") => Err(ConfigError::setting(
            "mainstay.types_file",
            format!("`{path}` does not end in .ts"),
        )),
        path => Ok(path.map(PathBuf::from)),
    }
}

/// Splits `a, b` as PostgREST splits its list settings.
pub fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Replaces `env(NAME)` by the variable's value; an unset variable gives an empty text, as the Supabase command line
/// has it, and a secret that is empty is refused where it is used.
fn resolve_env(value: &mut Value, environment: &HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("env(").and_then(|rest| rest.strip_suffix(')')) {
                *text = environment.get(name).cloned().unwrap_or_default();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve_env(item, environment)),
        Value::Table(table) => table.iter_mut().for_each(|(_, item)| resolve_env(item, environment)),
        _ => {}
    }
}

/// A secret setting: absent and empty are the same.
pub fn secret(text: Option<String>) -> Option<Secret<String>> {
    text.filter(|text| !text.is_empty()).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Config::parse(Path::new("/p"), Path::new("config.toml"), text, &environment)
    }

    #[test]
    fn the_environment_wins_over_rest_over_api() {
        let text = "[api]\nmax_rows = 1000\nschemas = [\"public\", \"shop\"]\n[rest]\ndb_max_rows = 50\n";
        assert_eq!(parse(text, &[]).unwrap().rest.max_rows, Some(50));
        assert_eq!(
            parse(text, &[("PGRST_DB_MAX_ROWS", "7")]).unwrap().rest.max_rows,
            Some(7)
        );
        assert_eq!(parse(text, &[]).unwrap().rest.schemas, ["public", "shop"]);
        assert_eq!(
            parse(text, &[("PGRST_DB_SCHEMAS", "a, b")]).unwrap().rest.schemas,
            ["a", "b"]
        );
    }

    #[test]
    fn env_references_are_resolved_and_unknown_keys_reported() {
        let text = "project_id = \"x\"\n[rest]\njwt_secret = \"env(SECRET)\"\n[auth]\nsite_url = \"http://a\"\n[api]\nprot = 1\n[nope]\nx = 1\n";
        let config = parse(text, &[("SECRET", "s3cret")]).unwrap();
        assert_eq!(
            config.rest.jwt_secret.as_ref().map(|secret| secret.expose().as_str()),
            Some("s3cret")
        );
        assert_eq!(config.unknown_keys, ["api.prot", "nope"]);
        assert!(parse(text, &[]).unwrap().rest.jwt_secret.is_none());
    }

    #[test]
    fn sign_in_is_set_as_the_supabase_command_line_sets_it() {
        let auth = |text: &str| parse(text, &[]).unwrap().auth;
        let usual = auth("").unwrap();
        assert_eq!(usual.issuer, "http://127.0.0.1:54321/auth/v1");
        assert_eq!((usual.jwt_expiry_seconds, usual.passwords.length_min), (3600, 6));
        assert!(usual.signup_enabled && usual.rotation_enabled && !usual.confirmations && !usual.anonymous_enabled);
        let text = "[api]\nexternal_url = \"https://a.example/\"\n[auth]\nminimum_password_length = 3\n\
                    [auth.sessions]\ntimebox = \"24h\"\ninactivity_timeout = \"0s\"\n";
        let own = auth(text).unwrap();
        assert_eq!(own.issuer, "https://a.example/auth/v1");
        assert_eq!(own.passwords.length_min, 6);
        assert_eq!(own.sessions.timebox.map(|time| time.as_secs()), Some(86_400));
        assert_eq!(own.sessions.inactivity_timeout, None);
        assert!(auth("[auth]\nenabled = false\n").is_none());
        let unmet = |text: &str| parse(text, &[]).unwrap().auth_unmet_in_production.len();
        assert_eq!(unmet("[auth.email]\nenable_confirmations = false\n"), 0);
        let protected = "[auth.email]\nenable_confirmations = true\n\
                         [auth.hook.before_user_created]\nenabled = true\nuri = \"pg-functions://postgres/public/f\"\n\
                         [auth.hook.after_user_created]\nenabled = true\nuri = \"pg-functions://postgres/public/g\"\n";
        assert_eq!(unmet(protected), 1);
        let sending = "[auth.hook.send_email]\nenabled = true\nuri = \"pg-functions://postgres/public/send\"\n";
        assert_eq!(unmet(&format!("{protected}{sending}")), 0);
        let hooks = auth(protected).unwrap().hooks;
        assert!(hooks.has(mainstay_auth::hooks::Point::BeforeUserCreated));
        assert!(!hooks.has(mainstay_auth::hooks::Point::CustomAccessToken));
        let captcha =
            |more: &str| parse(&format!("[auth.captcha]\nenabled = true\n{more}\n"), &[]).map(|read| read.auth);
        for (more, named) in [
            ("", "captcha.provider"),
            ("provider = \"other\"\nsecret = \"s\"", "captcha.provider"),
            ("provider = \"hcaptcha\"", "captcha.secret"),
            ("provider = \"hcaptcha\"\nsecret = \" \"", "captcha.secret"),
        ] {
            assert!(captcha(more).unwrap_err().to_string().contains(named), "{more}");
        }
        let read = captcha("provider = \"turnstile\"\nsecret = \"s\"")
            .unwrap()
            .unwrap()
            .captcha
            .unwrap();
        assert_eq!(read.url, "https://challenges.cloudflare.com/turnstile/v0/siteverify");
        for uri in ["", "pg-functions://postgres/public", "file:///etc/passwd"] {
            let bad = format!("[auth.hook.custom_access_token]\nenabled = true\nuri = \"{uri}\"\n");
            assert!(
                parse(&bad, &[])
                    .unwrap_err()
                    .to_string()
                    .contains("custom_access_token.uri"),
                "{uri}"
            );
        }
        assert_eq!(unmet(&format!("[auth]\nenabled = false\n{protected}")), 0);
    }

    #[test]
    fn trusted_issuers_are_those_of_the_services() {
        let issuers = |text: &str| -> Vec<String> {
            let trusted = parse(text, &[]).unwrap().third_party;
            trusted.into_iter().map(|trusted| trusted.issuer).collect()
        };
        let text = "[auth.third_party.firebase]\nenabled = true\nproject_id = \"p-1\"\n\
                    [auth.third_party.auth0]\nenabled = true\ntenant = \"t\"\ntenant_region = \"eu\"\n\
                    [auth.third_party.aws_cognito]\nenabled = true\nuser_pool_id = \"eu_1\"\nuser_pool_region = \"eu-west-1\"\n\
                    [auth.third_party.clerk]\nenabled = true\ndomain = \"a.clerk.accounts.dev\"\n\
                    [auth.third_party.workos]\nenabled = false\n\
                    [mainstay.third_party.own]\nissuer = \"https://sso.example/\"\n";
        assert_eq!(
            issuers(text),
            [
                "https://securetoken.google.com/p-1",
                "https://t.eu.auth0.com",
                "https://cognito-idp.eu-west-1.amazonaws.com/eu_1",
                "https://a.clerk.accounts.dev",
                "https://sso.example",
            ]
        );
        assert_eq!(
            parse(text, &[]).unwrap().third_party[0].audience.as_deref(),
            Some("p-1")
        );
        for bad in ["", "tenant = \"a/b\"\n", "tenant = \"evil.example#\"\n"] {
            let text = format!("[auth.third_party.auth0]\nenabled = true\n{bad}");
            assert!(
                parse(&text, &[]).unwrap_err().to_string().contains("auth0.tenant"),
                "{bad}"
            );
        }
    }

    #[test]
    fn bad_values_are_named() {
        let message = |text: &str| parse(text, &[]).unwrap_err().to_string();
        assert!(message("[api]\nport = 70000\n").contains("api.port"));
        assert!(message("[mainstay]\ngrants = \"open\"\n").contains("mainstay.grants"));
        assert!(message("[rest]\ndb_tx_end = \"never\"\n").contains("db_tx_end"));
        assert!(message("[auth]\njwt_expiry = 0\n").contains("auth.jwt_expiry"));
        assert!(message("[auth]\npassword_requirements = \"strong\"\n").contains("password_requirements"));
        assert!(message("[auth.sessions]\ntimebox = \"a day\"\n").contains("timebox"));
        assert!(message("not toml at all [").contains("TOML"));
        for (key, value) in [
            ("per_address", "\"many\""),
            ("per_user", "100"),
            ("per_key", "\"0/second\""),
            ("trusted_proxies", "[\"everybody\"]"),
            ("exempt", "[\"10.0.0.0/40\"]"),
            ("query_cost_max", "0"),
            ("query_cost_by_role", "7"),
            ("query_cost_by_role.anon", "\"much\""),
        ] {
            let found = message(&format!("[mainstay.limits]\n{key} = {value}\n"));
            assert!(found.contains(&format!("mainstay.limits.{key}")), "{found}");
        }
        assert!(message("[mainstay.outgoing]\nallow = [\"localhost\"]\n").contains("mainstay.outgoing.allow"));
    }
}
