//! Pages by cursor: `Prefer: paging=cursor`, and `cursor=` for the page after.
//!
//! Lives here: what a request says about pages, and what its answer says of the next. Not here: cursors as texts
//! ([`cursor`](crate::cursor)), the order and its condition (`planner`, `core::keyset`).
//!
//! Source: RFC 8288 (`Link`, relation `next`).

use http::{HeaderName, HeaderValue, header};
use mainstay_core::plan::Outcome;
use mainstay_http::Response;

use crate::cursor::Cursors;
use crate::error::Error;
use crate::request::query::{self, Parameter, ParameterKind};
use crate::request::range::Windows;
use crate::request::shape::{self, Shape};
use crate::request::syntax::{RawValue, Slot};
use crate::request::{Action, Head, Resource};
use crate::{DataRoom, Exchange};

/// The parameter that a cursor comes in.
pub const PARAMETER: &str = "cursor";

/// The next page's cursor.
pub const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

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
        let Some(keys) = &outcome.last_keys else {
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
