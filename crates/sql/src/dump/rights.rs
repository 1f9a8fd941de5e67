//! Grants: what must be said so that an object has the rights that it should have.
//!
//! Source: PostgreSQL 15 manual, 5.7 (privileges), GRANT, REVOKE, ALTER DEFAULT PRIVILEGES.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::catalog::Privilege;
use mainstay_core::definition::{DefaultObject, DefaultRight, Definitions, Right};
use mainstay_core::name::{Ident, QualifiedName};

use super::text::SqlText;

const SEQUENCE: &[Privilege] = &[Privilege::Select, Privilege::Update, Privilege::Usage];
const SCHEMA: &[Privilege] = &[Privilege::Create, Privilege::Usage];
const FUNCTION: &[Privilege] = &[Privilege::Execute];
const TYPE: &[Privilege] = &[Privilege::Usage];

/// An object as GRANT names it.
#[derive(Clone, Debug)]
pub struct Granted {
    /// `TABLE public.t`.
    target: String,
    kind: DefaultObject,
}

impl Granted {
    /// A table or a view.
    pub fn relation(name: &QualifiedName) -> Self {
        Granted::named("TABLE ", name, DefaultObject::Tables)
    }

    pub fn sequence(name: &QualifiedName) -> Self {
        Granted::named("SEQUENCE ", name, DefaultObject::Sequences)
    }

    pub fn of_type(name: &QualifiedName) -> Self {
        Granted::named("TYPE ", name, DefaultObject::Types)
    }

    pub fn schema(name: &Ident) -> Self {
        let mut text = SqlText::new();
        text.sql("SCHEMA ").ident(name);
        Granted {
            target: text.finish(),
            kind: DefaultObject::Schemas,
        }
    }

    /// `signature`: `public.f(integer)`.
    pub fn routine(signature: &str, is_procedure: bool) -> Self {
        let mut text = SqlText::new();
        text.sql(if is_procedure { "PROCEDURE " } else { "FUNCTION " });
        text.kept(signature);
        Granted {
            target: text.finish(),
            kind: DefaultObject::Functions,
        }
    }

    fn named(word: &'static str, name: &QualifiedName, kind: DefaultObject) -> Self {
        let mut text = SqlText::new();
        text.sql(word).name(name);
        Granted {
            target: text.finish(),
            kind,
        }
    }
}

/// The rights that PostgreSQL gives on a new object by itself.
pub fn built_in(kind: DefaultObject) -> BTreeSet<Right> {
    match kind {
        DefaultObject::Functions => BTreeSet::from([Right::plain(None, Privilege::Execute)]),
        DefaultObject::Types => BTreeSet::from([Right::plain(None, Privilege::Usage)]),
        DefaultObject::Schemas | DefaultObject::Tables | DefaultObject::Sequences => BTreeSet::new(),
    }
}

/// The rights that a new object of `owner` in `schema` begins with.
pub fn of_new(
    definitions: &Definitions,
    owner: &Ident,
    schema: Option<&Ident>,
    kind: DefaultObject,
) -> BTreeSet<Right> {
    // The owner's own list stands in full; of other roles only what they add is known.
    let mut rights = if *owner == definitions.owner {
        BTreeSet::new()
    } else {
        built_in(kind)
    };
    for entry in &definitions.default_rights {
        let here = entry.schema.is_none() || entry.schema.as_ref() == schema;
        if entry.owner == *owner && entry.object == kind && here {
            rights.insert(entry.right.clone());
        }
    }
    rights.retain(|right| right.role.as_ref() != Some(owner));
    rights
}

/// The statements that lead from one set of rights to the other. What is taken away goes first.
pub fn change(object: &Granted, from: &BTreeSet<Right>, to: &BTreeSet<Right>) -> Vec<String> {
    let gone: BTreeSet<&Right> = from.difference(to).collect();
    let mut new: BTreeSet<&Right> = to.difference(from).collect();
    // Taking a right on the whole table takes it on its columns too.
    new.extend(to.iter().filter(|right| {
        right.column.is_some()
            && gone
                .iter()
                .any(|other| other.column.is_none() && other.role == right.role && other.privilege == right.privilege)
    }));
    let mut statements = Vec::new();
    for ((role, _), rights) in grouped(gone) {
        let mut text = SqlText::new();
        text.sql("REVOKE ");
        list(&mut text, object.kind, &rights);
        text.sql(" ON ").kept(&object.target).sql(" FROM ");
        grantee(&mut text, role);
        statements.push(text.finish());
    }
    for ((role, grantable), rights) in grouped(new) {
        let mut text = SqlText::new();
        text.sql("GRANT ");
        list(&mut text, object.kind, &rights);
        text.sql(" ON ").kept(&object.target).sql(" TO ");
        grantee(&mut text, role);
        if grantable {
            text.sql(" WITH GRANT OPTION");
        }
        statements.push(text.finish());
    }
    statements
}

/// The statements that lead from one set of default rights to the other. `user`: who runs them, and need not be named.
pub fn change_defaults(user: &Ident, from: &BTreeSet<DefaultRight>, to: &BTreeSet<DefaultRight>) -> Vec<String> {
    type Key<'a> = (&'a Ident, Option<&'a Ident>, DefaultObject);
    let mut statements = Vec::new();
    for (word, link, entries) in [
        ("REVOKE ", " FROM ", from.difference(to).collect::<Vec<_>>()),
        ("GRANT ", " TO ", to.difference(from).collect()),
    ] {
        let mut groups: BTreeMap<Key<'_>, BTreeSet<&Right>> = BTreeMap::new();
        for entry in entries {
            groups
                .entry((&entry.owner, entry.schema.as_ref(), entry.object))
                .or_default()
                .insert(&entry.right);
        }
        for ((owner, schema, object), rights) in groups {
            for ((role, grantable), rights) in grouped(rights) {
                let mut text = SqlText::new();
                text.sql("ALTER DEFAULT PRIVILEGES");
                if owner != user {
                    text.sql(" FOR ROLE ").ident(owner);
                }
                if let Some(schema) = schema {
                    text.sql(" IN SCHEMA ").ident(schema);
                }
                text.sql(" ").sql(word);
                list(&mut text, object, &rights);
                text.sql(" ON ").sql(plural(object)).sql(link);
                grantee(&mut text, role);
                if grantable && word == "GRANT " {
                    text.sql(" WITH GRANT OPTION");
                }
                statements.push(text.finish());
            }
        }
    }
    statements
}

/// Takes what a database may grant by itself on new objects of `schema` from `roles`.
pub fn close_defaults(schema: &Ident, roles: &[Ident]) -> Vec<String> {
    [
        DefaultObject::Tables,
        DefaultObject::Sequences,
        DefaultObject::Functions,
    ]
    .into_iter()
    .map(|object| {
        let mut text = SqlText::new();
        text.sql("ALTER DEFAULT PRIVILEGES IN SCHEMA ").ident(schema);
        text.sql(" REVOKE ALL ON ").sql(plural(object)).sql(" FROM ");
        text.each(roles, |text, role| {
            text.ident(role);
        });
        text.finish()
    })
    .collect()
}

fn plural(object: DefaultObject) -> &'static str {
    match object {
        DefaultObject::Schemas => "SCHEMAS",
        DefaultObject::Tables => "TABLES",
        DefaultObject::Sequences => "SEQUENCES",
        DefaultObject::Functions => "FUNCTIONS",
        DefaultObject::Types => "TYPES",
    }
}

type Groups<'a> = BTreeMap<(Option<&'a Ident>, bool), Vec<&'a Right>>;

fn grouped(rights: BTreeSet<&Right>) -> Groups<'_> {
    let mut groups: Groups<'_> = BTreeMap::new();
    for right in rights {
        groups
            .entry((right.role.as_ref(), right.grantable))
            .or_default()
            .push(right);
    }
    groups
}

fn grantee(text: &mut SqlText, role: Option<&Ident>) {
    match role {
        Some(role) => text.ident(role),
        None => text.sql("PUBLIC"),
    };
}

/// `ALL`, or `SELECT, UPDATE (a, b)`.
fn list(text: &mut SqlText, kind: DefaultObject, rights: &[&Right]) {
    let all = match kind {
        DefaultObject::Schemas => SCHEMA,
        DefaultObject::Tables => Privilege::OF_TABLES,
        DefaultObject::Sequences => SEQUENCE,
        DefaultObject::Functions => FUNCTION,
        DefaultObject::Types => TYPE,
    };
    let whole = |privilege: &Privilege| {
        rights
            .iter()
            .any(|right| right.privilege == *privilege && right.column.is_none())
    };
    let on_columns = |privilege: Privilege| {
        rights
            .iter()
            .filter(move |right| right.privilege == privilege)
            .filter_map(|right| right.column.as_ref())
            .collect::<Vec<_>>()
    };
    let has_columns = rights.iter().any(|right| right.column.is_some());
    if !has_columns && all.iter().all(whole) {
        text.sql("ALL");
        return;
    }
    let mut position = 0;
    for privilege in all {
        if whole(privilege) {
            text.comma(position).sql(word(*privilege));
            position += 1;
        }
        let columns = on_columns(*privilege);
        if !columns.is_empty() {
            text.comma(position).sql(word(*privilege)).sql(" ").idents(columns);
            position += 1;
        }
    }
}

fn word(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Select => "SELECT",
        Privilege::Insert => "INSERT",
        Privilege::Update => "UPDATE",
        Privilege::Delete => "DELETE",
        Privilege::Truncate => "TRUNCATE",
        Privilege::References => "REFERENCES",
        Privilege::Trigger => "TRIGGER",
        Privilege::Usage => "USAGE",
        Privilege::Create => "CREATE",
        Privilege::Execute => "EXECUTE",
    }
}
