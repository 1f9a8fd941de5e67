//! Pages of an administrator's lists: `?page=&per_page=`, and the headers that say how many there are.

use http::{HeaderName, HeaderValue, header};
use mainstay_http::{Request, Response};

use crate::error::Error;
use crate::request;

/// Rows of a page, unless the request says otherwise.
const ROWS: u64 = 50;
/// Rows of a page, at most.
const ROWS_MAX: u64 = 1_000;

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    number: u64,
    /// Rows.
    pub size: u64,
}

impl Page {
    /// Errors: `Validation` for what is no number above 0.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let number = |name: &str, usual: u64| match request::parameter(request, name).filter(|text| !text.is_empty()) {
            None => Ok(usual),
            Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                Error::Validation(format!("Bad Pagination Parameters: {name} must be a number above 0"))
            }),
        };
        Ok(Page {
            number: number("page", 1)?,
            size: number("per_page", ROWS)?.min(ROWS_MAX),
        })
    }

    /// Rows before the page.
    pub fn offset(self) -> u64 {
        (self.number - 1).saturating_mul(self.size).min(i64::MAX as u64)
    }

    /// Says how many rows there are, and where the next and the last page of `path` are.
    pub fn describe(self, response: &mut Response, path: &str, total: u64) {
        response.headers.insert(TOTAL_COUNT, HeaderValue::from(total));
        let last = total.div_ceil(self.size);
        // Clients take the first `=` of a link for that of the page.
        let link = |page: u64, name: &str| format!("<{path}?page={page}&per_page={}>; rel=\"{name}\"", self.size);
        let mut links = Vec::new();
        if self.number < last {
            links.push(link(self.number + 1, "next"));
        }
        links.push(link(last, "last"));
        if let Ok(value) = HeaderValue::from_str(&links.join(", ")) {
            response.headers.insert(header::LINK, value);
        }
    }
}
