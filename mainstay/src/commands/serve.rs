//! `mainstay serve` and `mainstay dev`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_auth::AuthRoom;
use mainstay_auth::messages::catcher::Catcher;
use mainstay_auth::messages::delivery::Delivery;
use mainstay_auth::messages::smtp::Smtp;
use mainstay_auth::messages::twilio::Twilio;
use mainstay_core::backend::Backend;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_data::DataRoom;
use mainstay_http::cors::Cors;
use mainstay_http::foreign::Foreign;
use mainstay_http::keys::ApiKeys;
use mainstay_http::limits::Network;
use mainstay_http::outgoing::Guard;
use mainstay_http::token::Verifier;
use mainstay_http::{Authenticator, Limits, Outgoing, Verifying, keys};
use mainstay_schema::Migrator;
use notify::{RecursiveMode, Watcher};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::migrate::up;
use super::types::TypesFile;
use super::{CommandError, Opened, doctor, open};
use crate::app::{App, RequestIds};
use crate::cli::Serve;
use crate::config::{Config, rest};
use crate::dev::Dev;
use crate::dev::mail::CaughtMail;
use crate::keyring;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::server;
use crate::site::Site;

/// Files change in bursts; this long after the last change they are looked at.
const SETTLE: Duration = Duration::from_millis(200);

/// How often the sessions in use are looked at.
const SESSIONS_LOOKED_AT: Duration = Duration::from_secs(1);

/// How often ended sessions are swept, and how long after the start the first time.
const SWEPT_EVERY: Duration = Duration::from_secs(3_600);
const SWEPT_FIRST: Duration = Duration::from_secs(1);

/// How often the file of signing keys is looked at.
const KEYS_LOOKED_AT: Duration = Duration::from_secs(2);

/// SQLSTATE `insufficient_privilege`.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// For whom the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Dev,
    Production,
}

/// Serves until it is asked to stop.
pub async fn run(serve: &Serve, mode: Mode) -> Result<(), CommandError> {
    move_clock(mode)?;
    let log = Log::start();
    let result = serve_logged(serve, mode, log.clone()).await;
    log.flush();
    result
}

/// A test may move the clock of `dev`. Errors: the variable is set for a server that others rely on.
fn move_clock(mode: Mode) -> Result<(), CommandError> {
    match (std::env::var_os(clock::VARIABLE), mode) {
        (None, _) => Ok(()),
        (Some(file), Mode::Dev) => {
            clock::follow(file.into());
            Ok(())
        }
        (Some(_), Mode::Production) => Err(CommandError::Other(format!(
            "{} moves the clock, for tests of `mainstay dev`: unset it",
            clock::VARIABLE
        ))),
    }
}

async fn serve_logged(serve: &Serve, mode: Mode, log: Log) -> Result<(), CommandError> {
    let opened = open(&serve.target).await?;
    let keys = keyring::load(&opened.config)?;
    prepare(&opened, mode, serve.migrate).await?;
    for warning in doctor::warnings(&opened.config, &opened.backend.catalog()) {
        tracing::warn!("{warning}");
    }
    let address = serve
        .listen
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, opened.config.port)));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| CommandError::Other(format!("cannot listen on {address}: {error}")))?;
    let address = listener
        .local_addr()
        .map_err(|error| CommandError::Other(error.to_string()))?;
    let Opened {
        config,
        database,
        backend,
        migrator,
    } = opened;
    let config = reached_at(config, address);
    let app = Arc::new(app(&config, backend.clone(), &keys, mode, log)?);
    let _postman = postman(&app);
    follow_keys(&app, &config, &keys);
    follow_sessions(&app);
    app.authenticator.foreign.follow(outgoing(&config, mode));
    if let Some(auth) = &app.auth
        && let Err(reason) = auth.check().await
    {
        tracing::warn!("nobody can sign in: {reason}");
    }
    for problem in app.auth.iter().flat_map(mainstay_auth::AuthRoom::hook_problems) {
        tracing::warn!("a hook cannot be called: {problem}");
    }
    let _watch = if mode == Mode::Dev {
        let types = TypesFile::of(&config);
        if let Some(types) = &types {
            types.keep(&backend.catalog());
        }
        watch(migrator, backend.clone(), types, &config.root)?
    } else {
        None
    };
    super::users::announce(&database, address);
    announce(mode, address, &database.describe(), &keys, &places(&app));
    server::serve(app, listener, server::stop_signal()).await;
    backend.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Brings the database to the project's state, or refuses to serve an older one.
async fn prepare(opened: &Opened, mode: Mode, migrate: bool) -> Result<(), CommandError> {
    if let Some(arrival) = opened.backend.transfer().arrival().await?
        && !arrival.is_open
    {
        return Err(mainstay_ops::Error::Unfinished(arrival.source).into());
    }
    if mode == Mode::Dev || migrate {
        let count = up(&opened.migrator, false).await?;
        if count > 0 {
            tracing::info!(count, "migrations applied");
        }
    } else {
        let pending = match opened.migrator.pending(true).await {
            Ok(pending) => pending.len(),
            // A role that only answers requests need not see what was recorded.
            Err(mainstay_schema::Error::Backend(BackendError::Refused(error)))
                if error.sqlstate == INSUFFICIENT_PRIVILEGE =>
            {
                tracing::warn!(
                    "whether migrations are still to apply cannot be told: {}",
                    error.message
                );
                0
            }
            Err(error) => return Err(error.into()),
        };
        if pending > 0 {
            return Err(mainstay_schema::Error::Pending(pending).into());
        }
    }
    if mode == Mode::Dev {
        let seeds = opened.migrator.seed_if_empty(&opened.config.seed_paths).await?;
        if seeds > 0 {
            tracing::info!(files = seeds, "the empty database was seeded");
        }
    }
    Ok(())
}

/// What sends the server's own requests. In development this machine may be asked, too: what a project is tried with
/// runs beside it.
fn outgoing(config: &Config, mode: Mode) -> Outgoing {
    let mut allowed = config.outgoing_allowed.clone();
    if mode == Mode::Dev {
        allowed.extend([IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].map(Network::from));
    }
    Outgoing::new(Guard::new(allowed))
}

/// The room of sign-in, unless it is switched off. Errors: settings that it cannot keep.
fn auth_room(
    config: &Config,
    backend: Arc<dyn Backend>,
    keys: &ApiKeys,
    mode: Mode,
    takers: Takers,
) -> Result<Option<AuthRoom>, CommandError> {
    let Some(auth) = config.auth.clone() else {
        return Ok(None);
    };
    if mode == Mode::Production && !config.auth_unmet_in_production.is_empty() {
        return Err(CommandError::Other(format!(
            "{}; switch it off, or sign-in altogether with `[auth] enabled = false`",
            config.auth_unmet_in_production.join("; ")
        )));
    }
    room(config, auth, backend, keys, mode, takers).map(Some)
}

/// Who takes mails and text messages, as far as the settings name somebody.
pub(super) struct Takers {
    mail: Option<Arc<dyn Delivery>>,
    texts: Option<Arc<dyn Delivery>>,
}

impl Takers {
    /// `catcher` takes what nobody else is named for. Errors: an SMTP server that cannot be used as it is set.
    pub(super) fn of(config: &Config, mode: Mode, catcher: Option<&Arc<Catcher>>) -> Result<Self, CommandError> {
        Ok(Takers {
            mail: mail(config, catcher)?,
            texts: texts(config, mode, catcher),
        })
    }
}

/// The room of sign-in with who takes its messages.
pub(super) fn room(
    config: &Config,
    mut auth: mainstay_auth::Config,
    backend: Arc<dyn Backend>,
    keys: &ApiKeys,
    mode: Mode,
    takers: Takers,
) -> Result<AuthRoom, CommandError> {
    auth.secret = keys.jwt_secret.clone();
    if mode == Mode::Production {
        auth.pages = auth.pages.filter(|pages| pages.is_wanted);
    }
    let room = AuthRoom::new(backend, auth, keyring::signer(config)?);
    let room = room.reaching(outgoing(config, mode));
    let room = match takers.mail {
        Some(mail) => room.with_mail(mail),
        None => room,
    };
    Ok(match takers.texts {
        Some(texts) => room.with_texts(texts),
        None => room,
    })
}

/// Who takes mails: a server, or in development the catcher. Errors: settings of the server that cannot be used.
fn mail(config: &Config, catcher: Option<&Arc<Catcher>>) -> Result<Option<Arc<dyn Delivery>>, CommandError> {
    match (&config.smtp, catcher) {
        (Some(settings), _) => {
            let smtp = Smtp::new(settings)
                .map_err(|problem| CommandError::Other(format!("`[auth.email.smtp]`: {problem}")))?;
            Ok(Some(Arc::new(smtp)))
        }
        (None, Some(catcher)) => Ok(Some(catcher.clone())),
        (None, None) => Ok(None),
    }
}

/// Who takes text messages: an account, or in development the catcher.
fn texts(config: &Config, mode: Mode, catcher: Option<&Arc<Catcher>>) -> Option<Arc<dyn Delivery>> {
    match (&config.texts, catcher) {
        (Some(settings), _) => Some(Arc::new(Twilio::new(settings.clone(), outgoing(config, mode)))),
        (None, Some(catcher)) => Some(catcher.clone()),
        (None, None) => None,
    }
}

/// Hands messages over until what is returned is dropped.
fn postman(app: &App) -> Option<Running> {
    let postman = app.auth.as_ref()?.postman();
    Some(Running(tokio::spawn(postman.run())))
}

/// A task that ends with this value.
struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where links in messages lead: where the settings say, or to this very server, as it listens.
fn reached_at(mut config: Config, address: SocketAddr) -> Config {
    if let Some(auth) = &mut config.auth
        && !config.has_external_url
        && !address.ip().is_unspecified()
    {
        auth.url = format!("http://{address}/auth/v1");
    }
    config
}

/// Accepts the tokens of the project's secret, and those that the room of sign-in issues.
fn verifier(config: &Config, keys: &ApiKeys) -> Result<Verifier, CommandError> {
    let secret = config
        .rest
        .jwt_secret
        .clone()
        .unwrap_or_else(|| keys.jwt_secret.clone());
    let mut verifier = Verifier::from_secret(&secret, config.rest.jwt_secret_is_base64)?;
    if config.auth.is_some() {
        verifier = verifier.and(keyring::signer(config)?.verifier()?);
    }
    Ok(verifier.audience(config.rest.jwt_audience.clone()))
}

/// Takes up signing keys as their file changes, so that `mainstay keys rotate` needs no restart. Ends with the app.
fn follow_keys(app: &Arc<App>, config: &Config, keys: &ApiKeys) {
    if config.auth.is_none() {
        return;
    }
    let (app, config, keys) = (Arc::downgrade(app), config.clone(), keys.clone());
    let path = config
        .signing_keys_path
        .clone()
        .unwrap_or_else(|| keyring::path(&config));
    let stamp = move || {
        let found = std::fs::metadata(&path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    let mut last = stamp();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(KEYS_LOOKED_AT);
        loop {
            ticks.tick().await;
            let Some(app) = app.upgrade() else { return };
            let now = stamp();
            if now == last {
                continue;
            }
            last = now;
            match (keyring::signer(&config), verifier(&config, &keys)) {
                (Ok(signer), Ok(verifier)) => {
                    app.authenticator.verifier.replace(verifier);
                    if let Some(auth) = &app.auth {
                        auth.sign_with(signer);
                    }
                    tracing::info!("signing keys read anew");
                }
                (Err(error), _) => tracing::error!(%error, "the signing keys stay as they were"),
                (_, Err(error)) => tracing::error!(%error, "the signing keys stay as they were"),
            }
        }
    });
}

/// Finds sessions that other processes have ended, and sweeps those that have ended by themselves. Ends with the app.
fn follow_sessions(app: &Arc<App>) {
    if app.auth.is_none() {
        return;
    }
    let (looking, sweeping) = (Arc::downgrade(app), Arc::downgrade(app));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SESSIONS_LOOKED_AT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(app) = looking.upgrade() else { return };
            if let Some(auth) = &app.auth {
                auth.look_again().await;
            }
        }
    });
    tokio::spawn(async move {
        tokio::time::sleep(SWEPT_FIRST).await;
        loop {
            {
                let Some(app) = sweeping.upgrade() else { return };
                if let Some(auth) = &app.auth {
                    auth.sweep().await;
                }
            }
            tokio::time::sleep(SWEPT_EVERY).await;
        }
    });
}

fn app(config: &Config, backend: Arc<dyn Backend>, keys: &ApiKeys, mode: Mode, log: Log) -> Result<App, CommandError> {
    let is_catching = mode == Mode::Dev && config.catches_mail && config.auth.is_some();
    let is_needed = config.smtp.is_none() || config.texts.is_none();
    let catcher = (is_catching && is_needed).then(Arc::<Catcher>::default);
    let takers = Takers::of(config, mode, catcher.as_ref())?;
    let auth = auth_room(config, backend.clone(), keys, mode, takers)?;
    Ok(App {
        data: DataRoom::new(
            backend.clone(),
            mainstay_data::Config {
                cursor_secret: Some(keys.jwt_secret.clone()),
                ..data_config(config)
            },
        ),
        dev: (mode == Mode::Dev).then(|| Dev {
            jwt_secret: keys.jwt_secret.clone(),
            anon_key: keys.anon.clone(),
            mail: catcher.clone().zip(auth.as_ref()).map(|(catcher, auth)| CaughtMail {
                catcher,
                postman: auth.postman(),
            }),
        }),
        auth,
        backend,
        authenticator: authenticator(config, keys)?,
        cors: Cors {
            origins: config.rest.cors_origins.clone(),
        },
        limits: Limits::new(config.rates.clone()),
        site: Site::open(&config.root.join("public")),
        metrics: Metrics::new(),
        log,
        log_requests: config.log_requests,
        body_bytes_max: config.body_bytes_max,
        trace_header: config.rest.trace_header.as_ref().and_then(|name| name.parse().ok()),
        ids: RequestIds::default(),
        outbox: Outbox::default(),
        started: Instant::now(),
    })
}

/// Who is calling, by the project's keys and settings.
pub(super) fn authenticator(config: &Config, keys: &ApiKeys) -> Result<Authenticator, CommandError> {
    Ok(Authenticator {
        verifier: Verifying::new(verifier(config, keys)?),
        foreign: Arc::new(Foreign::new(config.third_party.clone())),
        keys: Some(keys.clone()),
        anon_role: config.rest.anon_role.as_ref().map(Ident::new),
        role_claim: config.rest.jwt_role_claim.clone(),
        require_key: config.require_key,
    })
}

pub(super) fn data_config(config: &Config) -> mainstay_data::Config {
    let rest = &config.rest;
    mainstay_data::Config {
        schemas: rest.schemas.iter().map(Ident::new).collect(),
        extra_search_path: rest.extra_search_path.iter().map(Ident::new).collect(),
        max_rows: rest.max_rows,
        tx_end: match rest.tx_end {
            rest::TxEnd::Commit => mainstay_data::TxEnd::Commit,
            rest::TxEnd::CommitAllowOverride => mainstay_data::TxEnd::CommitAllowOverride,
            rest::TxEnd::Rollback => mainstay_data::TxEnd::Rollback,
            rest::TxEnd::RollbackAllowOverride => mainstay_data::TxEnd::RollbackAllowOverride,
        },
        anon_role: rest.anon_role.as_ref().map(Ident::new),
        pre_request: rest.pre_request.as_deref().map(|name| match name.split_once('.') {
            Some((schema, name)) => QualifiedName::new(schema, name),
            None => QualifiedName::new(rest.schemas[0].as_str(), name),
        }),
        aggregates_enabled: rest.aggregates_enabled,
        plan_enabled: rest.plan_enabled,
        root_spec: rest.root_spec.as_ref().map(Ident::new),
        openapi: match rest.openapi_mode {
            rest::OpenApiMode::FollowPrivileges => mainstay_data::OpenApi::FollowPrivileges,
            rest::OpenApiMode::IgnorePrivileges => mainstay_data::OpenApi::IgnorePrivileges,
            rest::OpenApiMode::Disabled => mainstay_data::OpenApi::Disabled,
        },
        openapi_security: rest.openapi_security,
        openapi_proxy: rest.openapi_proxy.clone(),
        server_timing: rest.server_timing,
        error_verbosity: if rest.minimal_errors {
            mainstay_data::ErrorVerbosity::Minimal
        } else {
            mainstay_data::ErrorVerbosity::Verbose
        },
        url_use_legacy_target_names: rest.legacy_target_names,
        version: mainstay_data::PostgrestVersion::from_number(rest.postgrest_version).unwrap_or_default(),
        slow_query: config.slow_query_ms.map(Duration::from_millis),
        cursor_secret: None,
        idempotency: Duration::from_secs(config.idempotency_seconds),
    }
}

/// Applies migrations as files change. The watcher stops when what is returned is dropped.
fn watch(
    migrator: Migrator,
    backend: Arc<dyn Backend>,
    types: Option<TypesFile>,
    root: &Path,
) -> Result<Option<notify::RecommendedWatcher>, CommandError> {
    let dir = root.join("supabase");
    let (sender, mut changes) = mpsc::channel::<()>(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let touches_sql = event.is_ok_and(|event| {
            !event.kind.is_access()
                && event
                    .paths
                    .iter()
                    .any(|path| path.extension().is_some_and(|e| e == "sql"))
        });
        if touches_sql {
            // A full channel already has a look to come.
            let _ = sender.try_send(());
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "migrations are not watched; start again after changes");
            return Ok(None);
        }
    };
    if let Err(error) = watcher.watch(&dir, RecursiveMode::Recursive) {
        tracing::warn!(%error, "migrations are not watched; start again after changes");
        return Ok(None);
    }
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            match migrator
                .up(true, |_, _, migration| {
                    tracing::info!(version = %migration.version, name = %migration.name, "applying");
                })
                .await
            {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(count, "migrations applied");
                    if let Some(types) = &types {
                        types.keep(&backend.catalog());
                    }
                }
                Err(error) => {
                    use mainstay_core::error::PublicError;
                    let (details, hint) = (error.details().unwrap_or_default(), error.hint().unwrap_or_default());
                    tracing::error!(code = %error.code(), details, hint, "{error}");
                }
            }
        }
    });
    Ok(Some(watcher))
}

/// Where sign-in and what belongs to it are, as far as there is any.
fn places(app: &App) -> Vec<(&'static str, &'static str)> {
    let Some(auth) = &app.auth else { return Vec::new() };
    let mut places = vec![("sign-in", "/auth/v1")];
    if auth.has_pages() {
        places.push(("ready pages", "/auth/v1/pages/sign-in"));
    }
    if app.dev.as_ref().is_some_and(|dev| dev.mail.is_some()) {
        places.push(("caught mail", "/dev/v1/mail"));
    }
    places
}

fn announce(mode: Mode, address: SocketAddr, database: &str, keys: &keys::ApiKeys, places: &[(&str, &str)]) {
    println!("Mainstay is ready at http://{address}");
    if mode == Mode::Dev {
        println!("  REST             http://{address}/rest/v1");
        for (what, path) in places {
            println!("  {what:<15}  http://{address}{path}");
        }
        println!("  database         {database}");
        println!("  publishable key  {}", keys.publishable.expose());
        println!("  anon key         {}", keys.anon.expose());
        println!("  secret key       {}  (servers only)", keys.secret.expose());
    }
    use std::io::Write;
    // Whoever waits for the line reads it from a pipe.
    let _ = std::io::stdout().flush();
}
