//! The way to the room of sign-in: in this process, or through the server that has the data file.
//!
//! On PostgreSQL the command is a process beside the others: what it ends they find within a second. On the embedded engine one process
//! has the file; a server writes beside it where it can be asked, and the command asks it with the project's secret key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use mainstay_auth::{AuthRoom, From};
use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::secret::Secret;
use mainstay_http::limits::Network;
use mainstay_http::outgoing::{Call, Guard};
use mainstay_http::{Authenticated, Credential, Outgoing, Request};
use serde_json::Value;

use super::super::CommandError;
use super::super::serve::{self, Mode, Takers};
use crate::cli::Target;
use crate::config::Config;
use crate::engine::{self, Database, OpenError};
use crate::keyring;

/// How long a server may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The room, wherever it is.
pub enum Way {
    Here {
        room: Box<AuthRoom>,
        backend: Arc<dyn Backend>,
    },
    There {
        url: String,
        key: Secret<String>,
        outgoing: Box<Outgoing>,
    },
}

impl Way {
    /// Opens the project's database, or finds the server that has it.
    pub async fn open(target: &Target) -> Result<Self, CommandError> {
        let config = super::super::load(&target.dir)?;
        let Some(auth) = config.auth.clone() else {
            return Err(CommandError::Other(
                "sign-in is switched off: `[auth] enabled = false`".into(),
            ));
        };
        let database = Database::parse(target.database_url.as_deref(), &config)?;
        match engine::open(&database, &config).await {
            Ok(backend) => {
                // What is sent from here must hold at the server, too.
                let (keys, mode) = (keyring::load(&config)?, Mode::Production);
                let takers = Takers::of(&config, mode, None)?;
                let room = serve::room(&config, auth, backend.clone(), &keys, mode, takers)?;
                Ok(Way::Here {
                    room: Box::new(room),
                    backend,
                })
            }
            Err(OpenError::Sqlite(error @ mainstay_backend_sqlite::OpenError::InUse { .. })) => {
                Way::to_server(&database, &config).ok_or_else(|| OpenError::from(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// `None`: nobody has written down where it is.
    fn to_server(database: &Database, config: &Config) -> Option<Self> {
        let written = std::fs::read_to_string(address_file(database)?).ok()?;
        let address: SocketAddr = written.trim().parse().ok()?;
        let keys = keyring::load(config).ok()?;
        Some(Way::There {
            url: format!("http://{address}"),
            key: keys.secret.clone(),
            outgoing: Box::new(Outgoing::new(Guard::new(vec![Network::from(address.ip())]))),
        })
    }

    /// Asks the admin API. Errors: what it refuses, in its words.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, CommandError> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let (status, answer) = match self {
            Way::Here { room, .. } => {
                let (path, query) = path
                    .split_once('?')
                    .map_or((path, None), |(path, query)| (path, Some(query)));
                let request = Request {
                    method,
                    path: path.to_owned(),
                    query: query.map(str::to_owned),
                    headers: HeaderMap::new(),
                    body,
                    authentication: Duration::ZERO,
                };
                let operator = Ok(Authenticated {
                    caller: Caller::of_role("service_role"),
                    credential: Credential::ApiKey,
                    verified: None,
                });
                let from = From {
                    address: IpAddr::from(Ipv4Addr::LOCALHOST),
                    is_counted: false,
                };
                let response = room.handle(&operator, &request, from).await;
                (response.status, response.body)
            }
            Way::There { url, key, outgoing } => {
                let call = Call::new(method, &format!("{url}/auth/v1{path}"))
                    .header(http::HeaderName::from_static("apikey"), key.expose())
                    .header(http::header::CONTENT_TYPE, "application/json")
                    .within(ANSWER_TIME_MAX)
                    .at_most(ANSWER_BYTES_MAX)
                    .body(body);
                let reply = outgoing.send(call).await.map_err(|error| {
                    CommandError::Other(format!("the server at {url}, which has the data file: {error}"))
                })?;
                (reply.status, reply.body)
            }
        };
        let answer = serde_json::from_slice(&answer).unwrap_or(Value::Null);
        match status.is_success() {
            true => Ok(answer),
            false => Err(refusal(status, &answer)),
        }
    }

    /// The user whom `who` names by id, address or number.
    pub async fn user(&self, who: &str) -> Result<Value, CommandError> {
        let is_id = who.len() == 36 && who.bytes().filter(|byte| *byte == b'-').count() == 4;
        if is_id {
            return self.ask(Method::GET, &format!("/admin/users/{who}"), Value::Null).await;
        }
        let number = who.trim_start_matches('+');
        let name = if who.contains('@') {
            who.to_lowercase()
        } else {
            number.to_owned()
        };
        let path = format!("/admin/users?per_page=1000&filter={}", super::encoded(&name));
        let found = self.ask(Method::GET, &path, Value::Null).await?;
        let users = found["users"].as_array().cloned().unwrap_or_default();
        users
            .into_iter()
            .find(|user| user["email"] == *name || user["phone"] == *name)
            .ok_or_else(|| CommandError::Other(format!("nobody is known as {who}")))
    }

    /// Hands over what was put into the queue of messages. What cannot be handed over now waits for a server.
    pub async fn deliver(&self) {
        if let Way::Here { room, .. } = self
            && let Err(error) = room.postman().deliver().await
        {
            tracing::warn!(%error, "messages wait: the queue cannot be read");
        }
    }

    /// Lets go of the database.
    pub async fn close(&self) {
        if let Way::Here { backend, .. } = self {
            backend.close().await;
        }
    }
}

fn refusal(status: StatusCode, answer: &Value) -> CommandError {
    let message = ["msg", "message"].iter().find_map(|name| answer[*name].as_str());
    let code = ["error_code", "code"].iter().find_map(|name| answer[*name].as_str());
    match (message, code) {
        (Some(message), Some(code)) => CommandError::Other(format!("{message} [{code}]")),
        _ => CommandError::Other(format!("the server answers {status}")),
    }
}

/// Where the process that has a data file writes where it can be asked: beside the file.
fn address_file(database: &Database) -> Option<PathBuf> {
    match database {
        Database::Sqlite(path) => {
            let mut name = path.file_name()?.to_owned();
            name.push("-address");
            Some(path.with_file_name(name))
        }
        Database::Postgres(_) => None,
    }
}

/// Writes down where the server with this data file can be asked. It is no secret: whoever asks needs the key.
pub fn announce(database: &Database, mut address: SocketAddr) {
    // Whoever listens everywhere listens here, too.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    if let Some(path) = address_file(database)
        && let Err(error) = std::fs::write(&path, format!("{address}\n"))
    {
        tracing::warn!(%error, file = %path.display(), "commands beside this server will not find it");
    }
}
