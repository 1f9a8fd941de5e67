//! How much of a row an error's detail may show to the role that runs the statement.
//!
//! Source: PostgreSQL 15: details name values only where the role may SELECT them and row security is not in force.

use mainstay_core::catalog::{Catalog, ColumnIndex, Privilege, Relation};
use mainstay_core::name::Ident;
use mainstay_core::policy;

/// What of one relation's rows may be shown.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// The whole row: `Failing row contains (…)`.
    row: bool,
    /// Each column by itself, as part of a key: `Key (…)=(…) already exists`.
    columns: Vec<bool>,
}

impl Disclosure {
    /// What `user` may see of `relation` in an error.
    pub fn of(catalog: &Catalog, user: &Ident, relation: &Relation) -> Self {
        let guarded = policy::row_security_applies(catalog, user, relation);
        let whole = policy::acl_allows(catalog, user, &relation.owner, &relation.acl, Privilege::Select);
        let columns = (0..relation.columns.len())
            .map(|column| {
                !guarded && (whole || policy::column_allows(catalog, user, relation, column, Privilege::Select))
            })
            .collect();
        Disclosure {
            row: !guarded && whole,
            columns,
        }
    }

    /// True if the whole row may be shown.
    pub fn allows_row(&self) -> bool {
        self.row
    }

    /// True if a key's values may be shown.
    pub fn allows_key(&self, columns: &[ColumnIndex]) -> bool {
        columns
            .iter()
            .all(|column| self.columns.get(*column).copied().unwrap_or(false))
    }
}
