//! The project's keys on disk: `.mainstay/keys.json`, readable by its owner alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_core::secret::Secret;
use mainstay_http::keys::{ApiKeys, DEMO_JWT_SECRET, KeyMakingError};
use mainstay_http::signing::{Signer, SigningAlgorithm, SigningKey};
use mainstay_http::token::{CLOCK_SKEW_SECONDS, KeyError};
use serde::{Deserialize, Serialize};

use crate::config::Config;

use mainstay_core::clock::now_seconds;

/// What can go wrong with the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} is not a key file")]
    Format(PathBuf),
    #[error(
        "the published demo secret of the Supabase command line signs nothing here; set `[mainstay] allow_demo_secret = true` to use it all the same"
    )]
    DemoSecret,
    #[error("{path} is no list of private JSON Web Keys for ES256 or RS256: {reason}")]
    SigningKeys { path: PathBuf, reason: String },
    #[error("`[mainstay] signing_algorithm = \"HS256\"` signs with a secret, and `jwt_secret` is a JSON Web Key")]
    NoSecret,
    #[error("{0}")]
    NotRotated(&'static str),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Making(#[from] KeyMakingError),
}

/// The file's shape. Not a wire type: nothing but this module reads it.
#[derive(Serialize, Deserialize)]
struct File {
    jwt_secret: String,
    publishable_key: String,
    secret_key: String,
    /// Seconds since 1970; legacy keys are derived from it, so they stay the same.
    created_at: i64,
    #[serde(default)]
    signing_keys: Vec<StoredKey>,
}

/// A key pair that signs access tokens.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    algorithm: String,
    /// PKCS #8 in base64.
    pkcs8: String,
    /// Seconds since 1970.
    signs_from: i64,
}

impl StoredKey {
    fn of(key: &SigningKey) -> Self {
        StoredKey {
            id: key.id.clone(),
            algorithm: key.algorithm.name().to_owned(),
            pkcs8: key.pkcs8().expose().clone(),
            signs_from: key.signs_from,
        }
    }

    fn read(&self) -> Result<SigningKey, KeyError> {
        let algorithm = SigningAlgorithm::of_name(&self.algorithm)
            .ok_or_else(|| KeyError::BadJwk(format!("signing key {}: no such algorithm", self.id)))?;
        SigningKey::from_pkcs8(self.id.clone(), algorithm, &self.pkcs8, self.signs_from)
    }
}

/// Where the project's keys are.
pub fn path(config: &Config) -> PathBuf {
    config.data_dir().join("keys.json")
}

/// Reads the project's keys, making them at the first start. A secret given in the settings takes the place of the
/// file's for tokens and legacy keys.
pub fn load(config: &Config) -> Result<ApiKeys, KeyringError> {
    let file = file(config)?;
    let secret = config
        .rest
        .jwt_secret
        .clone()
        .unwrap_or_else(|| Secret::new(file.jwt_secret.clone()));
    if secret.expose() == DEMO_JWT_SECRET && !config.allow_demo_secret {
        return Err(KeyringError::DemoSecret);
    }
    // A key set (JWK) cannot sign: legacy keys are then signed with the file's own secret, which nothing accepts.
    let signing = if secret.expose().trim_start().starts_with('{') {
        Secret::new(file.jwt_secret)
    } else {
        secret
    };
    Ok(ApiKeys::with_secret(
        signing,
        &file.publishable_key,
        &file.secret_key,
        file.created_at,
    )?)
}

/// What signs access tokens: the keys that the settings name, else the file's, of which the first is made here.
pub fn signer(config: &Config) -> Result<Signer, KeyringError> {
    let now = now_seconds();
    let keys = signing_keys(config, now)?;
    if config.signing_algorithm != SigningAlgorithm::Hs256 {
        return Ok(Signer::of_keys(keys));
    }
    let named = config.rest.jwt_secret.as_ref();
    if named.is_some_and(|secret| secret.expose().trim_start().starts_with('{')) {
        return Err(KeyringError::NoSecret);
    }
    let secret = load(config)?.jwt_secret;
    Ok(Signer::of_secret(&secret, config.rest.jwt_secret_is_base64, keys)?)
}

/// The key pairs whose tokens may be valid, by the time from which they sign.
pub fn signing_keys(config: &Config, now: i64) -> Result<Vec<SigningKey>, KeyringError> {
    if let Some(path) = &config.signing_keys_path {
        return named_keys(path);
    }
    let mut file = file(config)?;
    let wanted = config.signing_algorithm;
    let newest = file.signing_keys.iter().max_by_key(|key| key.signs_from);
    if wanted != SigningAlgorithm::Hs256 && newest.is_none_or(|key| key.algorithm != wanted.name()) {
        // The first start, or another algorithm than before.
        let signs_from = match newest {
            None => now,
            Some(newest) => newest.signs_from.max(now) + mainstay_auth::JWKS_SECONDS,
        };
        file.signing_keys
            .push(StoredKey::of(&SigningKey::generate(wanted, signs_from)?));
        write(config, &file)?;
    }
    let mut keys = file
        .signing_keys
        .iter()
        .map(StoredKey::read)
        .collect::<Result<Vec<_>, _>>()?;
    keys.sort_by_key(|key| key.signs_from);
    Ok(living(keys, config, now))
}

/// Leaves out keys whose last tokens are over.
fn living(keys: Vec<SigningKey>, config: &Config, now: i64) -> Vec<SigningKey> {
    let expiry = config.auth.as_ref().map_or(3600, |auth| auth.jwt_expiry_seconds);
    let ends: Vec<Option<i64>> = (0..keys.len())
        .map(|index| {
            let next = keys.get(index + 1)?;
            Some(next.signs_from + expiry + 2 * CLOCK_SKEW_SECONDS)
        })
        .collect();
    keys.into_iter()
        .zip(ends)
        .filter(|(_, end)| end.is_none_or(|end| now <= end))
        .map(|(key, _)| key)
        .collect()
}

/// Makes a key that signs from now on, or as soon as everybody can have seen it, and drops keys that are over.
pub fn rotate(config: &Config, at_once: bool) -> Result<SigningKey, KeyringError> {
    if config.signing_keys_path.is_some() {
        return Err(KeyringError::NotRotated(
            "the keys are those of `[auth] signing_keys_path`: put a new one first in that file",
        ));
    }
    if config.signing_algorithm == SigningAlgorithm::Hs256 {
        return Err(KeyringError::NotRotated(
            "tokens are signed with the project's secret (`[mainstay] signing_algorithm = \"HS256\"`), which has no second one beside it",
        ));
    }
    let now = now_seconds();
    let keys = signing_keys(config, now)?;
    let lead = if at_once { 0 } else { mainstay_auth::JWKS_SECONDS };
    let made = SigningKey::generate(config.signing_algorithm, now + lead)?;
    let mut file = file(config)?;
    file.signing_keys = keys
        .iter()
        // One that has not signed yet never will.
        .filter(|key| key.signs_from <= now)
        .chain([&made])
        .map(StoredKey::of)
        .collect();
    write(config, &file)?;
    Ok(made)
}

/// The keys of `signing_keys_path`: the first signs, the others' tokens are accepted.
fn named_keys(path: &Path) -> Result<Vec<SigningKey>, KeyringError> {
    let bad = |reason: String| KeyringError::SigningKeys {
        path: path.to_owned(),
        reason,
    };
    let bytes = fs::read(path).map_err(|source| KeyringError::File {
        path: path.to_owned(),
        source,
    })?;
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&bytes).map_err(|error| bad(format!("line {}", error.line())))?;
    if list.is_empty() {
        return Err(bad("it is empty".into()));
    }
    let count = list.len() as i64;
    list.iter()
        .zip(0..)
        // Long ago, and the first last.
        .map(|(jwk, place)| SigningKey::from_jwk(jwk, count - place))
        .collect::<Result<_, _>>()
        .map_err(|error| bad(error.to_string()))
}

fn file(config: &Config) -> Result<File, KeyringError> {
    let path = path(config);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| KeyringError::Format(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(config),
        Err(source) => Err(KeyringError::File { path, source }),
    }
}

fn create(config: &Config) -> Result<File, KeyringError> {
    let created_at = now_seconds();
    let keys = ApiKeys::generate(created_at)?;
    let file = File {
        jwt_secret: keys.jwt_secret.expose().clone(),
        publishable_key: keys.publishable.expose().clone(),
        secret_key: keys.secret.expose().clone(),
        created_at,
        signing_keys: Vec::new(),
    };
    write(config, &file)?;
    Ok(file)
}

fn write(config: &Config, file: &File) -> Result<(), KeyringError> {
    let path = path(config);
    let failed = |source| KeyringError::File {
        path: path.clone(),
        source,
    };
    create_private_dir(&config.data_dir()).map_err(failed)?;
    let text = serde_json::to_vec_pretty(&file).map_err(|_| KeyringError::Format(path.clone()))?;
    // Written aside and renamed, so that a crash leaves either no keys or whole ones.
    let aside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(&aside).map_err(failed)?;
    handle
        .write_all(&text)
        .and_then(|()| handle.sync_all())
        .map_err(failed)?;
    fs::rename(&aside, &path).map_err(failed)
}

/// Makes the data folder with a `.gitignore`, so that data and keys never reach a repository.
pub fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        // Rows are nobody else's business; a folder that is there already keeps its rights.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
    }
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path()).unwrap();
        (dir, config)
    }

    fn ids(keys: &[SigningKey]) -> Vec<&str> {
        keys.iter().map(|key| key.id.as_str()).collect()
    }

    #[test]
    fn a_signing_key_is_made_once_and_rotated_with_overlap() {
        let (_dir, config) = project();
        let now = now_seconds();
        let first = signing_keys(&config, now).unwrap();
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].algorithm, SigningAlgorithm::Es256);
        assert_eq!(ids(&signing_keys(&config, now).unwrap()), ids(&first));
        let secret = load(&config).unwrap().jwt_secret;

        let second = rotate(&config, false).unwrap();
        assert!(second.signs_from >= now + 600);
        let both = signing_keys(&config, now).unwrap();
        assert_eq!(ids(&both), [first[0].id.as_str(), second.id.as_str()]);
        // The first key's last token is valid for an hour after the second took over.
        let took_over = second.signs_from;
        assert_eq!(signing_keys(&config, took_over + 3600).unwrap().len(), 2);
        assert_eq!(
            ids(&signing_keys(&config, took_over + 3700).unwrap()),
            [second.id.as_str()]
        );

        // One that never signed gives way.
        let third = rotate(&config, true).unwrap();
        assert_eq!(
            ids(&signing_keys(&config, now).unwrap()),
            [first[0].id.as_str(), third.id.as_str()]
        );
        assert_eq!(load(&config).unwrap().jwt_secret.expose(), secret.expose());
    }

    #[test]
    fn another_algorithm_takes_over_with_overlap() {
        let (_dir, mut config) = project();
        let now = now_seconds();
        let first = signing_keys(&config, now).unwrap();
        config.signing_algorithm = SigningAlgorithm::Rs256;
        let both = signing_keys(&config, now).unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(
            (both[0].id.as_str(), both[1].algorithm),
            (first[0].id.as_str(), SigningAlgorithm::Rs256)
        );
        assert!(both[1].signs_from >= now + 600);
        assert_eq!(signing_keys(&config, now).unwrap().len(), 2);
        config.signing_algorithm = SigningAlgorithm::Hs256;
        assert_eq!(signing_keys(&config, now).unwrap().len(), 2);
        assert!(rotate(&config, true).is_err());
    }

    #[test]
    fn keys_that_the_settings_name_sign_first_to_last() {
        let (dir, mut config) = project();
        let jwk = |kid: &str| {
            serde_json::json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256",
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"})
        };
        let path = dir.path().join("signing_keys.json");
        fs::write(&path, serde_json::json!([jwk("new"), jwk("old")]).to_string()).unwrap();
        config.signing_keys_path = Some(path.clone());
        let signer = signer(&config).unwrap();
        let token = signer.sign(&serde_json::json!({}), now_seconds()).unwrap();
        let header = token.expose().split('.').next().unwrap();
        use base64::Engine;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
        assert!(String::from_utf8(header).unwrap().contains("\"kid\":\"new\""));
        assert_eq!(signer.jwks()["keys"].as_array().unwrap().len(), 2);
        assert!(rotate(&config, false).is_err());
        fs::write(&path, "[]").unwrap();
        assert!(signing_keys(&config, 0).is_err());
        fs::write(&path, "[{\"kty\":\"oct\",\"kid\":\"x\",\"k\":\"c2VjcmV0\"}]").unwrap();
        let error = signing_keys(&config, 0).unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}
