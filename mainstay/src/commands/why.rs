//! `mainstay why`: which grant or policy decides about a request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use mainstay_data::DataRoom;
use mainstay_http::Request;

use super::serve::{authenticator, data_config};
use super::{CommandError, load};
use crate::cli::Why;
use crate::engine::{self, Database};
use crate::keyring::{self, now_seconds};

/// The prefix of the data API, which may be left out.
const PREFIX: &str = "/rest/v1";

/// Prints the explanation. The database may be served meanwhile; nothing is kept of a write.
pub async fn run(why: &Why) -> Result<(), CommandError> {
    let request = request(why)?;
    let config = load(&why.target.dir)?;
    let keys = keyring::load(&config)?;
    let caller = authenticator(&config, &keys)?.stand_in(&why.stand_in, now_seconds())?;
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

/// Reads `GET /rest/v1/orders?id=eq.7`.
fn request(why: &Why) -> Result<Request, CommandError> {
    let bad = |what: &str| CommandError::Other(format!("`{}` is not a request: {what}", why.request));
    let (method, uri) = why
        .request
        .trim()
        .split_once(char::is_whitespace)
        .ok_or_else(|| bad("say method and path, such as 'GET /rest/v1/orders?id=eq.7'"))?;
    let method: Method = method
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| bad("the method cannot be read"))?;
    let uri: Uri = uri.trim().parse().map_err(|_| bad("the path cannot be read"))?;
    let mut headers = HeaderMap::new();
    for preference in &why.prefer {
        let value = HeaderValue::from_str(preference).map_err(|_| bad("a preference cannot be read"))?;
        headers.append("prefer", value);
    }
    let body = why.body.clone().map(Bytes::from).unwrap_or_default();
    if why.body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
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
        body,
        authentication: Duration::ZERO,
    })
}
