//! Serves the project's static site from `public/`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use mainstay_http::{Error, Response};
use tower::ServiceExt;
use tower_http::services::ServeDir;

/// Larger files are refused: a site's pages and scripts are read into memory whole. Bytes.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A folder of files.
pub struct Site {
    dir: ServeDir,
    root: PathBuf,
}

impl Site {
    /// The site in `dir`, if there is such a folder.
    pub fn open(dir: &Path) -> Option<Self> {
        dir.is_dir().then(|| Site {
            dir: ServeDir::new(dir),
            root: dir.to_owned(),
        })
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Answers GET and HEAD with a file; conditional and range requests work as RFC 9110 has them.
    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Error::NotFound.response();
        }
        // Files that begin with a dot are not part of a site.
        if path
            .split('/')
            .any(|part| part.starts_with('.') || part.to_ascii_lowercase().starts_with("%2e"))
        {
            return Error::NotFound.response();
        }
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(own) = request.headers_mut() {
            own.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let Ok(request) = request.body(Empty::<Bytes>::new()) else {
            return Error::NotFound.response();
        };
        let Ok(answer) = self.dir.clone().oneshot(request).await;
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Error::NotFound.response();
        }
        let (parts, body) = answer.into_parts();
        let length = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|bytes: u64| bytes > FILE_BYTES_MAX) {
            return Error::BodyTooLarge {
                limit_bytes: FILE_BYTES_MAX as usize,
            }
            .response();
        }
        let Ok(collected) = body.collect().await else {
            return Error::Internal.response();
        };
        let mut response = Response {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            rows: None,
            requests: 1,
        };
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
            (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        response
            .headers
            .extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
            .headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache"));
        response
    }
}
