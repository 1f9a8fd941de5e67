//! `mainstay why`: which grant or policy decides about a request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use mainstay_core::clock;
use mainstay_data::DataRoom;
use mainstay_http::Request;

use super::serve::{authenticator, data_config};
use super::{CommandError, load};
use crate::cli::Why;
use crate::engine::{self, Database};
use crate::keyring;

/// The prefix of the data API, which may be left out.
const PREFIX: &str = "/rest/v1";

/// Prints the explanation. The database may be served meanwhile; nothing is kept of a write.
pub async fn run(why: &Why) -> Result<(), CommandError> {
    let line = Line {
        text: &why.request,
        body: why.body.as_deref(),
        headers: why.prefer.iter().map(|value| ("prefer", value.as_str())).collect(),
    };
    let request = line.request().map_err(CommandError::Other)?;
    let config = load(&why.target.dir)?;
    let keys = keyring::load(&config)?;
    let caller = authenticator(&config, &keys)?.stand_in(&why.stand_in, clock::now_seconds())?;
    let database = Database::parse(why.target.database_url.as_deref(), &config)?;
    let backend = engine::open_source(&database, &config).await?;
    let room = DataRoom::new(backend.clone(), data_config(&config));
    let report = room.why(&caller, &request).await;
    backend.close().await;
    if why.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| CommandError::Other(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{report}");
    }
    Ok(())
}

/// A request as people write it.
pub(super) struct Line<'a> {
    /// `GET /rest/v1/orders?id=eq.7`
    pub text: &'a str,
    /// JSON.
    pub body: Option<&'a str>,
    pub headers: Vec<(&'a str, &'a str)>,
}

impl Line<'_> {
    /// Reads it. Errors: what cannot be read.
    pub fn request(&self) -> Result<Request, String> {
        let bad = |what: &str| format!("`{}` is not a request: {what}", self.text);
        let (method, uri) = self
            .text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| bad("say method and path, such as 'GET /rest/v1/orders?id=eq.7'"))?;
        let method: Method = method
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| bad("the method cannot be read"))?;
        let uri: Uri = uri.trim().parse().map_err(|_| bad("the path cannot be read"))?;
        let mut headers = HeaderMap::new();
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| bad("a header's name cannot be read"))?;
            let value = HeaderValue::from_str(value).map_err(|_| bad("a header cannot be read"))?;
            headers.append(name, value);
        }
        let path = uri.path().strip_prefix(PREFIX).unwrap_or(uri.path());
        Ok(Request {
            method,
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            },
            query: uri.query().map(str::to_owned),
            headers,
            body: self.body.map(str::to_owned).map(Bytes::from).unwrap_or_default(),
            authentication: Duration::ZERO,
        })
    }
}
