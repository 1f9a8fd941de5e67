//! `GET /admin/audit`: the log of what has happened.

use http::StatusCode;
use mainstay_http::{Request, Response};
use serde_json::Value as Json;

use super::paging::Page;
use crate::audit::{self, Filter};
use crate::error::Error;
use crate::room::AuthRoom;
use crate::{request, response};

/// `GET /admin/audit?query=author:…&page=&per_page=`; also `action:…` and `type:…`.
pub async fn list(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    let page = Page::of(request)?;
    let query = request::parameter(request, "query").unwrap_or_default();
    let (filter, word) = read(&query).ok_or_else(|| Error::Validation(format!("Invalid query scope: {query}")))?;
    let (entries, total) = audit::page(&room.store, filter, word, page.size, page.offset())
        .await
        .map_err(|error| Error::of_database("Error searching for audit logs", error))?;
    let rows = entries.len() as u64;
    let mut response = response::json(StatusCode::OK, &Json::Array(entries));
    response.rows = Some(rows);
    page.describe(&mut response, "/admin/audit", total);
    Ok(response)
}

fn read(query: &str) -> Option<(Filter, &str)> {
    if query.is_empty() {
        return Some((Filter::All, ""));
    }
    let (scope, word) = query.split_once(':')?;
    let filter = match scope {
        "author" => Filter::Author,
        "action" => Filter::Action,
        "type" => Filter::Type,
        _ => return None,
    };
    Some(if word.is_empty() {
        (Filter::All, "")
    } else {
        (filter, word)
    })
}
