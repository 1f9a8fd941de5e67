//! Asks leave for what a plan does with relations and routines: of the role that asks, or, to explain an answer, of
//! nobody, while what would have been asked is noted.

use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::catalog::{Catalog, Relation, Routine};
use mainstay_core::name::Ident;
use mainstay_core::policy::{self, Access, Needs};

use crate::error::Error;

/// What leave was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The embeds that lead to the relation from the root.
    pub path: Vec<Ident>,
    /// It only joins the relation at the path with the one above.
    pub is_junction: bool,
    pub relation: Arc<Relation>,
    pub needs: Needs,
}

/// What is asked of nobody is noted here.
pub type Notes = Mutex<Vec<Asked>>;

/// Who is asked.
#[derive(Clone, Copy)]
pub struct Leave<'a> {
    pub catalog: &'a Catalog,
    pub role: &'a Ident,
    /// Everything is allowed and noted: the plan is run as the overseer, and only to explain.
    pub notes: Option<&'a Notes>,
}

impl Leave<'_> {
    /// May requests run as the role at all? Errors: 22023, 42501.
    pub fn role(&self) -> Result<(), Error> {
        match self.notes {
            Some(_) => Ok(()),
            None => Ok(policy::authorize_role(self.catalog, self.role)?),
        }
    }

    /// Leave for a relation at `path`. Errors: 42501.
    pub fn relation(
        &self,
        path: &[Ident],
        relation: &Arc<Relation>,
        needs: Needs,
        is_junction: bool,
    ) -> Result<Access, Error> {
        let Some(notes) = self.notes else {
            return Ok(policy::authorize(self.catalog, self.role, relation, &needs)?);
        };
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
            path: path.to_vec(),
            is_junction,
            relation: relation.clone(),
            needs,
        });
        Ok(Access::system())
    }

    /// Leave for a routine of a row. Errors: 42501.
    pub fn routine(&self, routine: &Routine) -> Result<(), Error> {
        if self.notes.is_none() {
            policy::authorize_routine(self.catalog, self.role, routine)?;
        }
        Ok(())
    }
}
