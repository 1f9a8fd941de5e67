//! Pages by cursor: `Prefer: paging=cursor`, and `cursor=` for the page after.
//!
//! Lives here: what a request says about pages, and what its answer says of the next. Not here: cursors as texts
//! ([`cursor`](crate::cursor)), the order and its condition (`planner`, `core::keyset`).
//!
//! Source: RFC 8288 (`Link`, relation `next`).

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use mainstay_core::catalog::Catalog;
use mainstay_core::plan::{Format, Outcome};
use mainstay_http::Response;

use crate::cursor::Cursors;
use crate::error::Error;
use crate::planner::Planner;
use crate::request::payload::Payload;
use crate::request::query::{self, Parameter, ParameterKind};
use crate::request::range::Windows;
use crate::request::shape::{self, Shape};
use crate::request::syntax::{RawValue, Slot};
use crate::request::{Action, Head, Query, Resource};
use crate::{DataRoom, Exchange, Prepared};

/// The parameter that a cursor comes in.
pub const PARAMETER: &str = "cursor";

/// The next page's cursor.
pub const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// Marks the plan of a page's rest.
const REST: u8 = 3;

/// Ends a list in a binding or in a key of the cache; it is in no text.
const END: u8 = 0xff;

/// Takes the cursor out of the parameters of a read. A filter of a column of that name has a dot after its operator,
/// which no cursor has.
pub fn take_cursor(head: &Head, parameters: &mut Vec<Parameter<'_>>) -> Result<Option<String>, Error> {
    if !matches!(
        (&head.resource, &head.action),
        (Resource::Relation(_), Action::Read { .. })
    ) {
        return Ok(None);
    }
    let mut found = None;
    let mut is_twice = false;
    parameters.retain(|parameter| match (&*parameter.name, &parameter.value) {
        (PARAMETER, Some(value)) if !value.contains('.') => {
            is_twice |= found.replace(value.to_string()).is_some();
            false
        }
        _ => true,
    });
    match is_twice {
        true => Err(Error::Cursor),
        false => Ok(found),
    }
}

/// The page that a read asks for.
#[derive(Clone, Debug)]
pub struct Page {
    /// `None`: the first.
    pub after: Option<Place>,
    /// What a cursor of this request is good for.
    binding: Vec<u8>,
    pub part: Part,
}

/// Which of the rows after a place are read by one statement ([`keyset::parts`]).
///
/// [`keyset::parts`]: mainstay_core::keyset::parts
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    First,
    Rest,
}

/// A cursor that was read: where the values of the order's keys are among the request's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// For each key: it is null there, and has no value.
    pub nulls: Vec<bool>,
    pub first_slot: Slot,
}

impl Exchange<'_> {
    /// What is asked about pages. The cursor's values are added to those of the query.
    ///
    /// Errors: `MS-DATA-013`.
    pub(crate) fn page(&self, room: &DataRoom, relation: &str, shape: &mut Shape) -> Result<Option<Page>, Error> {
        let is_read = matches!(self.head.action, Action::Read { .. });
        if !is_read || (self.cursor.is_none() && !self.head.preferences.is_paged) {
            return Ok(None);
        }
        let mut page = Page {
            after: None,
            binding: self.binding(relation),
            part: Part::First,
        };
        if let Some(cursor) = &self.cursor {
            let keys = room.cursors.open(&page.binding, cursor)?;
            page.after = Some(Place {
                nulls: keys.iter().map(Option::is_none).collect(),
                first_slot: shape.values.len(),
            });
            shape.values.extend(keys.into_iter().flatten().map(RawValue::Text));
        }
        Ok(Some(page))
    }

    /// The relation, the role, the filters (their values aside) and the order.
    fn binding(&self, relation: &str) -> Vec<u8> {
        let mut binding = Vec::with_capacity(128);
        for part in [self.head.schema.as_str(), relation, &self.caller.role] {
            shape::text(&mut binding, part);
        }
        binding.push(END);
        let deciding = self.parameters.iter().filter(|parameter| {
            matches!(
                parameter.kind(),
                ParameterKind::Order | ParameterKind::Filter | ParameterKind::Logic
            )
        });
        let mut deciding: Vec<Parameter<'_>> = deciding.cloned().collect();
        // In which order conditions are given does not matter; that of one name's parameters stays.
        deciding.sort_by(|a, b| a.name.cmp(&b.name));
        shape::shape_of(&deciding, &mut binding);
        binding
    }
}

/// What is needed to read the rest of a page.
pub(crate) struct Rest<'a> {
    pub exchange: &'a Exchange<'a>,
    pub catalog: &'a Catalog,
    pub relation: &'a str,
    pub page: &'a Page,
    pub windows: &'a Windows,
    pub shape: &'a Shape,
    /// Of the first part's plan.
    pub key: &'a [u8],
    pub format: Format,
}

impl DataRoom {
    /// Reads the rows of the page that its first part left room for, and whether there are more.
    pub(crate) async fn rest(&self, rest: Rest<'_>, first: Outcome) -> Result<Outcome, Error> {
        let Rest { exchange, shape, .. } = rest;
        let mut windows = rest.windows.clone();
        let limit = windows.root.capped(self.config.max_rows).limit;
        windows.root.limit = limit.map(|limit| limit.saturating_sub(first.rows));
        let key = [rest.key, &[END, REST]].concat();
        let prepared = match self.cache.get(&key) {
            Some(prepared) => prepared,
            None => {
                let query = Query::read(exchange.parameters, &shape.slots, false)?;
                let page = Page {
                    part: Part::Rest,
                    ..rest.page.clone()
                };
                let planner = Planner {
                    page: Some(&page),
                    ..self.planner(exchange, rest.catalog, &query, &windows)
                };
                let planned = planner.read(rest.relation, false)?;
                let statement = self.backend.render(&planned.plan)?;
                tracing::debug!(sql = %statement.sql, "a new shape");
                let prepared = Arc::new(Prepared { planned, statement });
                if shape.is_complete {
                    self.cache.insert(&key, prepared.clone());
                }
                prepared
            }
        };
        let ready = self.ready(exchange, rest.catalog, &prepared, shape, &windows, &Payload::default())?;
        let last = self.run(&prepared.statement, ready).await?;
        Ok(joined(first, last, rest.format))
    }
}

/// One page of both parts' rows.
fn joined(mut first: Outcome, last: Outcome, format: Format) -> Outcome {
    first.has_more = last.has_more;
    if last.rows == 0 {
        return first;
    }
    match format {
        Format::Csv if first.rows == 0 => first.body = last.body,
        Format::Csv => first.body.extend_from_slice(without_header(&last.body)),
        _ => {
            if !first.body.is_empty() {
                first.body.push(b',');
            }
            first.body.extend_from_slice(&last.body);
        }
    }
    first.rows += last.rows;
    first.last_keys = last.last_keys;
    first
}

/// From the end of the first line on. A name in quotes may hold the end of a line.
fn without_header(csv: &[u8]) -> &[u8] {
    let mut is_quoted = false;
    for (position, byte) in csv.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return &csv[position..],
            _ => {}
        }
    }
    &[]
}

impl Page {
    /// Writes to the key of the cache what the plan depends on.
    pub fn shape(page: Option<&Page>, key: &mut Vec<u8>) {
        match page {
            None => key.push(0),
            Some(Page { after: None, .. }) => key.push(1),
            Some(Page { after: Some(place), .. }) => {
                key.push(2);
                key.extend(place.nulls.iter().map(|is_null| u8::from(*is_null)));
            }
        }
        key.push(END);
    }

    /// Errors: `MS-DATA-014` for an offset, which would be counted from nowhere.
    pub fn check(&self, windows: &Windows) -> Result<(), Error> {
        match windows.root.offset {
            0 => Ok(()),
            _ => Err(Error::NotPaged(
                "a read with an offset, or a Range that does not begin with 0",
            )),
        }
    }

    /// Tells where the next page is, if there is one. `Link` leads from the request's own address to the next page's.
    pub fn tell(
        &self,
        cursors: &Cursors,
        parameters: &[Parameter<'_>],
        outcome: &Outcome,
        response: &mut Response,
    ) -> Result<(), Error> {
        let (Some(keys), true) = (&outcome.last_keys, outcome.has_more) else {
            return Ok(());
        };
        let cursor = cursors.seal(&self.binding, keys)?;
        let mut link = String::from("<?");
        for parameter in parameters.iter().filter(|parameter| parameter.name != "offset") {
            query::encode(&mut link, &parameter.name);
            if let Some(value) = &parameter.value {
                link.push('=');
                query::encode(&mut link, value);
            }
            link.push('&');
        }
        link.push_str(PARAMETER);
        link.push('=');
        link.push_str(&cursor);
        link.push_str(">; rel=\"next\"");
        for (name, value) in [(NEXT_CURSOR, cursor), (header::LINK, link)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers.insert(name, value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str, rows: u64) -> Outcome {
        Outcome {
            body: body.into(),
            rows,
            ..Outcome::default()
        }
    }

    #[test]
    fn two_parts_are_one_page() {
        let text = |outcome: Outcome| (String::from_utf8(outcome.body).unwrap(), outcome.rows);
        let join = |a: (&str, u64), b: (&str, u64), format| text(joined(outcome(a.0, a.1), outcome(b.0, b.1), format));
        let json = Format::Json;
        assert_eq!(join(("{}", 1), ("{},{}", 2), json), ("{},{},{}".into(), 3));
        assert_eq!(join(("", 0), ("{}", 1), json), ("{}".into(), 1));
        assert_eq!(join(("{}", 1), ("", 0), json), ("{}".into(), 1));
        let header = "a,\"b\n\"\"\"";
        let csv = |rows: &str| format!("{header}{rows}");
        let both = join((&csv("\n1,2"), 1), (&csv("\n3,\"\n\""), 1), Format::Csv);
        assert_eq!(both, (csv("\n1,2\n3,\"\n\""), 2));
        assert_eq!(join((&csv(""), 0), (&csv("\n3,4"), 1), Format::Csv), (csv("\n3,4"), 1));
        assert_eq!(join((&csv("\n3,4"), 1), (&csv(""), 0), Format::Csv), (csv("\n3,4"), 1));
    }
}
