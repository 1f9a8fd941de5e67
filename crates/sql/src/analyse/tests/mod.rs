//! The analyser against PostgreSQL's recorded answers, and its trees.

mod oracle;
mod trees;

use mainstay_core::catalog::{Catalog, Enforcement, Role, Schema};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::Analyser;
use crate::ddl;
use crate::parse;
use crate::session::Session;
use crate::typed::Statement;

/// The tables that every test here speaks of.
const FIXTURE: &str = include_str!("fixture.sql");

/// A catalog with the fixture applied.
pub(super) fn catalog() -> (Catalog, Session) {
    let mut catalog = Catalog::empty(Enforcement::Catalog);
    let owner = Ident::new("postgres");
    catalog.schemas.insert(
        "public".into(),
        Schema {
            owner: owner.clone(),
            comment: None,
            acl: Vec::new(),
        },
    );
    catalog.roles.insert(
        owner.clone(),
        Role {
            name: owner,
            superuser: true,
            bypass_rls: true,
            login: true,
            inherit: true,
            member_of: Vec::new(),
            statement_timeout_ms: None,
            comment: None,
        },
    );
    let mut session = Session::default();
    for statement in parse::parse(FIXTURE).unwrap() {
        if let Err(error) = ddl::apply(&mut catalog, &mut session, &statement) {
            panic!("{}: {error}", statement.text);
        }
    }
    (catalog, session)
}

/// Parses and analyses one statement.
pub(super) fn analyse(catalog: &Catalog, session: &Session, text: &str) -> Result<Statement, DatabaseError> {
    let statements = parse::parse(text)?;
    Analyser::new(catalog, session).statement(&statements[0].ast)
}
