//! What a statement's meaning depends on besides the catalog: who runs it and where names are looked up.

use mainstay_core::name::{Ident, QualifiedName};

/// The settings of one run of SQL text. `SET search_path` changes it for what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Schemas in the order of look-up; `pg_catalog` is searched first without being named.
    pub search_path: Vec<Ident>,
    /// The role that owns what is created.
    pub user: Ident,
    /// Foreign keys that `SET CONSTRAINTS` has changed: table, name, and whether they were deferred before.
    pub constraint_modes: Vec<(QualifiedName, Ident, bool)>,
    /// `check_function_bodies`: routines' bodies are checked when they are made.
    pub check_function_bodies: bool,
    /// `session_replication_role` is `replica`: no trigger is fired, and foreign keys wait for the end.
    pub is_replica: bool,
    /// What `SET` gave the application's own settings (`app.region`), names in lower case.
    pub settings: Vec<(String, String)>,
}

impl Session {
    /// A session of `user` with a search path.
    pub fn new(user: impl Into<Ident>, search_path: Vec<Ident>) -> Self {
        Session {
            search_path,
            user: user.into(),
            constraint_modes: Vec::new(),
            check_function_bodies: true,
            is_replica: false,
            settings: Vec::new(),
        }
    }
}

impl Default for Session {
    /// `postgres`, looking in `public`.
    fn default() -> Self {
        Session::new("postgres", vec![Ident::new("public")])
    }
}
