//! Sequence functions inside queries: calls of registered functions that move the sequence on the same connection.
//!
//! Not here: defaults and values of INSERT, which take a sequence's value without a query (`write::defaults`).

use mainstay_core::catalog::{Privilege, Sequence};
use mainstay_core::error::DatabaseError;
use mainstay_sql::typed::SequenceCall;

use super::emitter::{Emitter, Result};
use crate::write::sequences;

impl Emitter<'_> {
    /// Errors: 42501 `permission denied for sequence s`.
    pub(super) fn sequence(&mut self, call: &SequenceCall) -> Result<()> {
        match call {
            SequenceCall::NextVal(sequence) => {
                self.sequence_call("pg_nextval(", sequence, &sequences::NEXT_PRIVILEGES)?;
            }
            SequenceCall::CurrVal(sequence) => {
                self.sequence_call("pg_currval(", sequence, &[Privilege::Usage, Privilege::Select])?;
            }
            SequenceCall::SetVal {
                sequence,
                value,
                is_called,
            } => {
                self.sequence_call("pg_setval(", sequence, &[Privilege::Update])?;
                self.sql(", ");
                self.expr(value)?;
                self.sql(", ");
                match is_called {
                    Some(is_called) => self.expr(is_called)?,
                    None => {
                        self.sql("1");
                    }
                }
            }
            SequenceCall::LastVal => return Err(DatabaseError::unavailable("lastval", "", 1, Some("currval"))),
        }
        self.sql(")");
        Ok(())
    }

    fn sequence_call(&mut self, function: &'static str, sequence: &Sequence, privileges: &[Privilege]) -> Result<()> {
        if self.for_schema {
            let name = sequence.name.to_string();
            return Err(DatabaseError::unavailable(
                "a sequence in a check or an index",
                &name,
                1,
                None,
            ));
        }
        sequences::authorize(self.catalog(), &self.user, sequence, privileges)?;
        self.sql(function).writer.literal(&sequence.name.schema);
        self.sql(", ").writer.literal(&sequence.name.name);
        Ok(())
    }
}
