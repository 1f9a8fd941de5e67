//! The project's keys on disk: `.mainstay/keys.json`, readable by its owner alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_core::secret::Secret;
use mainstay_http::keys::{ApiKeys, DEMO_JWT_SECRET, KeyMakingError};
use serde::{Deserialize, Serialize};

use crate::config::Config;

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
}

/// Reads the project's keys, making them at the first start. A secret given in the settings takes the place of the
/// file's for tokens and legacy keys.
pub fn load(config: &Config) -> Result<ApiKeys, KeyringError> {
    let dir = config.data_dir();
    let path = dir.join("keys.json");
    let file = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| KeyringError::Format(path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&dir, &path)?,
        Err(source) => return Err(KeyringError::File { path, source }),
    };
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

fn create(dir: &Path, path: &Path) -> Result<File, KeyringError> {
    let created_at = now_seconds();
    let keys = ApiKeys::generate(created_at)?;
    let file = File {
        jwt_secret: keys.jwt_secret.expose().clone(),
        publishable_key: keys.publishable.expose().clone(),
        secret_key: keys.secret.expose().clone(),
        created_at,
    };
    let failed = |source| KeyringError::File {
        path: path.to_owned(),
        source,
    };
    create_private_dir(dir).map_err(failed)?;
    let text = serde_json::to_vec_pretty(&file).map_err(|_| KeyringError::Format(path.to_owned()))?;
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
    fs::rename(&aside, path).map_err(failed)?;
    Ok(file)
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

/// Seconds since 1970.
pub fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|elapsed| elapsed.as_secs() as i64)
        .unwrap_or(0)
}
