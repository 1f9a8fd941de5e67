//! Which rows: `limit`, `offset` and the `Range` header, and what `Content-Range` says of them.
//!
//! Source: RFC 9110 §14; PostgREST documentation, "Pagination and Count".

use http::{HeaderMap, Method};

use super::query::{Parameter, ParameterKind};
use crate::error::{Error, RangeError};

/// Rows from `offset` on, `limit` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub offset: u64,
    pub limit: Option<u64>,
}

impl Window {
    /// Is this every row?
    pub fn is_all(self) -> bool {
        self == Window::default()
    }

    /// The same with at most `rows` rows.
    pub fn capped(self, rows: Option<u64>) -> Window {
        let Some(rows) = rows else { return self };
        Window {
            offset: self.offset,
            limit: Some(self.limit.map_or(rows, |limit| limit.min(rows))),
        }
    }
}

/// The windows of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    pub root: Window,
    /// Dotted path of an embed, such as `clients.projects`, and its window; sorted by path.
    pub embeds: Vec<(String, Window)>,
}

/// Limits and offsets as the query has them, before the header.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    offset: Option<i64>,
    limit: Option<i64>,
}

/// Reads the windows of a request.
///
/// Errors: `PGRST103` for a negative or an empty range, `PGRST114` for a limit on PUT.
pub fn windows(method: &Method, parameters: &[Parameter<'_>], headers: &HeaderMap) -> Result<Windows, Error> {
    let mut given: Vec<(&str, Given)> = vec![("", Given::default())];
    for parameter in parameters {
        let kind = parameter.kind();
        if !matches!(kind, ParameterKind::Limit | ParameterKind::Offset) {
            continue;
        }
        let Some(number) = parameter
            .value
            .as_deref()
            .and_then(|value| value.trim().parse::<i64>().ok())
        else {
            continue;
        };
        let path = parameter.name.rfind('.').map_or("", |end| &parameter.name[..end]);
        let place = match given.iter().position(|(known, _)| *known == path) {
            Some(place) => place,
            None => {
                given.push((path, Given::default()));
                given.len() - 1
            }
        };
        match kind {
            ParameterKind::Limit => given[place].1.limit = Some(number),
            _ => given[place].1.offset = Some(number),
        }
    }
    let root = root_window(method, given[0].1, headers)?;
    let mut embeds: Vec<(String, Window)> = given[1..]
        .iter()
        .map(|(path, given)| ((*path).to_owned(), embed_window(*given)))
        .collect();
    embeds.sort();
    Ok(Windows { root, embeds })
}

impl PartialOrd for Window {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Window {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.offset, self.limit).cmp(&(other.offset, other.limit))
    }
}

fn embed_window(given: Given) -> Window {
    Window {
        offset: unsigned(given.offset.unwrap_or(0)),
        limit: given.limit.map(unsigned),
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn root_window(method: &Method, given: Given, headers: &HeaderMap) -> Result<Window, Error> {
    let range = if method == Method::GET {
        header_range(headers)
    } else {
        None
    };
    if given.limit.is_some_and(|limit| limit < 0) {
        return Err(Error::Range(RangeError::NegativeLimit));
    }
    if let Some((lower, Some(upper))) = range
        && lower > upper
    {
        return Err(Error::Range(RangeError::LowerAboveUpper));
    }
    if method == Method::PUT && (given.limit.is_some() || given.offset.is_some_and(|offset| offset > 0)) {
        return Err(Error::PutLimit);
    }
    if given.limit == Some(0) {
        return Ok(Window {
            offset: 0,
            limit: Some(0),
        });
    }
    // Both are ranges of row numbers; what is asked for is where they meet.
    let offset = unsigned(given.offset.unwrap_or(0));
    let end = given.limit.map(|limit| offset.saturating_add(unsigned(limit)));
    let (lower, upper) = range.unwrap_or((0, None));
    let offset = offset.max(lower);
    let end = match (end, upper.map(|upper| upper.saturating_add(1))) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    match end {
        Some(end) if end <= offset => Err(Error::Range(RangeError::NegativeLimit)),
        end => Ok(Window {
            offset,
            limit: end.map(|end| end - offset),
        }),
    }
}

/// `Range: 0-9`, `Range: 10-`; anything else is no range. Both ends are included.
fn header_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get("range")?.to_str().ok()?;
    let (lower, upper) = text.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if lower.is_empty() || !digits(lower) || !digits(upper) {
        return None;
    }
    let lower = lower.parse().ok()?;
    Some((
        lower,
        if upper.is_empty() {
            None
        } else {
            Some(upper.parse().ok()?)
        },
    ))
}

/// `Content-Range` for rows `lower` to `upper`, of `total` if it is known.
pub fn content_range(lower: i64, upper: i64, total: Option<u64>) -> String {
    let range = if total != Some(0) && lower <= upper {
        format!("{lower}-{upper}")
    } else {
        "*".to_owned()
    };
    match total {
        Some(total) => format!("{range}/{total}"),
        None => format!("{range}/*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::query::parameters;

    fn root(query: &str, range: Option<&str>) -> Result<Window, Error> {
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            headers.insert("range", range.parse().unwrap());
        }
        windows(&Method::GET, &parameters(query).unwrap(), &headers).map(|windows| windows.root)
    }

    #[test]
    fn windows_come_from_the_query_and_the_header() {
        assert_eq!(root("", None).unwrap(), Window::default());
        assert_eq!(
            root("limit=5&offset=2", None).unwrap(),
            Window {
                offset: 2,
                limit: Some(5)
            }
        );
        assert_eq!(
            root("", Some("0-1")).unwrap(),
            Window {
                offset: 0,
                limit: Some(2)
            }
        );
        assert_eq!(root("", Some("5-")).unwrap(), Window { offset: 5, limit: None });
        assert_eq!(
            root("limit=3", Some("1-")).unwrap(),
            Window {
                offset: 1,
                limit: Some(2)
            }
        );
        assert_eq!(
            root("limit=0", None).unwrap(),
            Window {
                offset: 0,
                limit: Some(0)
            }
        );
        assert_eq!(root("limit=x", Some("items")).unwrap(), Window::default());
        assert!(matches!(
            root("limit=-1", None),
            Err(Error::Range(RangeError::NegativeLimit))
        ));
        assert!(matches!(
            root("", Some("1-0")),
            Err(Error::Range(RangeError::LowerAboveUpper))
        ));
    }

    #[test]
    fn content_ranges_hide_bounds_that_do_not_hold() {
        assert_eq!(content_range(0, 14, Some(15)), "0-14/15");
        assert_eq!(content_range(0, -1, None), "*/*");
        assert_eq!(content_range(0, -1, Some(0)), "*/0");
    }
}
