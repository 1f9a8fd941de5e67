//! A request that is planned and waits for its outcome, with all that its answer is made from.

use std::sync::Arc;

use mainstay_core::caller::Caller;
use mainstay_core::catalog::{Catalog, Routine};
use mainstay_core::plan::Outcome;
use mainstay_http::{Request, Response};

use crate::error::Error;
use crate::request::range::Windows;
use crate::request::{Action, CallMethod, Head, query};
use crate::{DataRoom, Exchange, Prepared};

/// A request that is being run.
pub(crate) struct Pending {
    pub catalog: Arc<Catalog>,
    pub request: Request,
    pub head: Head,
    pub prepared: Arc<Prepared>,
    pub windows: Windows,
    /// Of a call.
    pub routine: Option<Arc<Routine>>,
}

impl Pending {
    /// The answer to the request.
    pub fn respond(&self, room: &DataRoom, caller: &Caller, outcome: Outcome) -> Result<Response, Error> {
        let parameters = query::parameters(self.request.query.as_deref().unwrap_or_default())?;
        let exchange = Exchange {
            caller,
            request: &self.request,
            head: &self.head,
            parameters: &parameters,
            cursor: None,
            identity: None,
        };
        let planned = &self.prepared.planned;
        let answer = room.answer_with(&exchange, &self.catalog, planned, &self.windows, outcome);
        match (&self.routine, &self.head.action) {
            (Some(routine), _) => answer.call(routine, CallMethod::Post),
            (None, Action::Read { head_only }) => answer.read(*head_only),
            (None, _) => answer.write(),
        }
    }
}
