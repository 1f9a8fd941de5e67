//! Enums, domains and composite types that change.

use std::collections::BTreeSet;

use mainstay_core::definition::{Definitions, Facts, TypeBody, TypeDefinition};
use mainstay_core::name::{Ident, QualifiedName};

use super::{Run, names, table};
use crate::dump::SqlText;
use crate::dump::create::{self, Target};

/// What an enum's name gets while its columns move to the new one.
const ASIDE: &str = "_replaced";

/// Types that no ALTER can make like the other side's: they are made anew, and columns move over.
pub fn replaced(from: &Definitions, to: &Definitions) -> BTreeSet<QualifiedName> {
    from.types
        .iter()
        .filter(|(name, definition)| {
            to.types
                .get(*name)
                .is_some_and(|other| match (&definition.body, &other.body) {
                    (TypeBody::Enum(before), TypeBody::Enum(after)) => {
                        before != after && (!is_subsequence(before, after) || uses_new_label(to, before, after))
                    }
                    (
                        TypeBody::Domain { base, collation, .. },
                        TypeBody::Domain {
                            base: b, collation: c, ..
                        },
                    ) => base != b || collation != c,
                    (a, b) => std::mem::discriminant(a) != std::mem::discriminant(b),
                })
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn is_subsequence(labels: &[String], of: &[String]) -> bool {
    let mut rest = of.iter();
    labels.iter().all(|label| rest.any(|other| other == label))
}

/// PostgreSQL refuses to use a label in the transaction that adds it (55P04).
fn uses_new_label(to: &Definitions, before: &[String], after: &[String]) -> bool {
    let new: Vec<String> = after
        .iter()
        .filter(|label| !before.contains(label))
        .map(|label| crate::ddl::literal(label))
        .collect();
    let uses = |text: &str| new.iter().any(|label| text.contains(label.as_str()));
    to.views.values().any(|view| uses(&view.query))
        || to.tables.values().any(|table| {
            table.columns.iter().any(|column| {
                column.default.as_deref().is_some_and(uses) || column.generated.as_deref().is_some_and(uses)
            }) || table.constraints.values().any(|entry| uses(&entry.text))
                || table.indexes.values().any(|entry| uses(&entry.text))
                || table.triggers.values().any(|entry| uses(&entry.text))
                || table
                    .policies
                    .values()
                    .any(|entry| entry.using.as_deref().is_some_and(uses) || entry.check.as_deref().is_some_and(uses))
        })
}

/// Makes the type, or makes the one that is there like it.
pub fn make(run: &mut Run<'_>, name: &QualifiedName, facts: Facts) {
    let Some(wanted) = run.to.types.get(name) else { return };
    let Some(present) = run.state.types.get(name).cloned() else {
        let made = TypeDefinition {
            facts,
            body: wanted.body.clone(),
        };
        run.state.types.insert(name.clone(), made);
        return;
    };
    if present.body == wanted.body {
        return;
    }
    let mut facts = present.facts.clone();
    if replaced(run.from, run.to).contains(name) {
        replace(run, name, &present, wanted);
        facts = run.new_facts(mainstay_core::definition::DefaultObject::Types, Some(&name.schema));
    } else {
        match (&present.body, &wanted.body) {
            (TypeBody::Enum(before), TypeBody::Enum(after)) => add_labels(run, name, before, after),
            (TypeBody::Domain { .. }, TypeBody::Domain { .. }) => {
                alter_domain(run, name, &present.body, &wanted.body);
            }
            (TypeBody::Composite(before), TypeBody::Composite(after)) => {
                alter_attributes(run, name, before, after);
            }
            _ => {}
        }
    }
    let made = TypeDefinition {
        facts,
        body: wanted.body.clone(),
    };
    run.state.types.insert(name.clone(), made);
}

fn add_labels(run: &mut Run<'_>, name: &QualifiedName, before: &[String], after: &[String]) {
    let mut present = before.to_vec();
    for (position, label) in after.iter().enumerate() {
        if present.contains(label) {
            continue;
        }
        let mut text = SqlText::new();
        text.sql("ALTER TYPE ").name(name).sql(" ADD VALUE ").literal(label);
        if present.last() != position.checked_sub(1).and_then(|at| after.get(at)) {
            match position.checked_sub(1).and_then(|at| after.get(at)) {
                Some(earlier) => text.sql(" AFTER ").literal(earlier),
                None => text.sql(" BEFORE ").literal(present.first().map_or("", String::as_str)),
            };
        }
        run.say(text.finish());
        present.insert(position, label.clone());
    }
}

fn alter_domain(run: &mut Run<'_>, name: &QualifiedName, before: &TypeBody, after: &TypeBody) {
    let (
        TypeBody::Domain {
            default: old_default,
            not_null: was_not_null,
            checks: old_checks,
            ..
        },
        TypeBody::Domain {
            default,
            not_null,
            checks,
            ..
        },
    ) = (before, after)
    else {
        return;
    };
    let head = || {
        let mut text = SqlText::new();
        text.sql("ALTER DOMAIN ").name(name);
        text
    };
    for (check, text) in old_checks {
        if checks.get(check) != Some(text) {
            let mut statement = head();
            statement.sql(" DROP CONSTRAINT ").ident(check);
            run.say(statement.finish());
        }
    }
    if old_default != default {
        let mut statement = head();
        match default {
            Some(text) => statement.sql(" SET DEFAULT ").kept(text),
            None => statement.sql(" DROP DEFAULT"),
        };
        run.say(statement.finish());
    }
    if was_not_null != not_null {
        let mut statement = head();
        statement.sql(if *not_null { " SET NOT NULL" } else { " DROP NOT NULL" });
        run.say(statement.finish());
    }
    for (check, text) in checks {
        if old_checks.get(check) != Some(text) {
            let mut statement = head();
            statement.sql(" ADD CONSTRAINT ").ident(check).sql(" ").kept(text);
            run.warn(statement.finish(), "fails where rows do not keep to it");
        }
    }
}

fn alter_attributes(run: &mut Run<'_>, name: &QualifiedName, before: &[(Ident, String)], after: &[(Ident, String)]) {
    let type_in = |list: &[(Ident, String)], attribute: &Ident| {
        let found = list.iter().find(|(other, _)| other == attribute);
        found.map(|(_, ty)| ty.clone())
    };
    let head = |words: &'static str, attribute: &Ident| {
        let mut text = SqlText::new();
        text.sql("ALTER TYPE ").name(name).sql(words).ident(attribute);
        text
    };
    for (attribute, _) in before {
        if type_in(after, attribute).is_none() {
            run.warn(
                head(" DROP ATTRIBUTE ", attribute).finish(),
                "loses the attribute's values; a rename is not recognised",
            );
        }
    }
    for (attribute, ty) in after {
        match type_in(before, attribute) {
            None => {
                let mut text = head(" ADD ATTRIBUTE ", attribute);
                text.sql(" ").kept(ty);
                run.say(text.finish());
            }
            Some(old) if old != *ty => {
                let mut text = head(" ALTER ATTRIBUTE ", attribute);
                text.sql(" TYPE ").kept(ty);
                run.say(text.finish());
            }
            Some(_) => {}
        }
    }
}

/// Puts the type aside, makes the new one, moves the columns over, drops the old one. What depends on the columns has
/// gone already and comes again.
fn replace(run: &mut Run<'_>, name: &QualifiedName, present: &TypeDefinition, wanted: &TypeDefinition) {
    let word = |body: &TypeBody| match body {
        TypeBody::Domain { .. } => "ALTER DOMAIN ",
        _ => "ALTER TYPE ",
    };
    let aside = QualifiedName::new(name.schema.clone(), Ident::from([&*name.name, ASIDE].concat()));
    let mut rename = SqlText::new();
    rename
        .sql(word(&present.body))
        .name(name)
        .sql(" RENAME TO ")
        .ident(&aside.name);
    run.say(rename.finish());
    run.say(create::type_of(name, &wanted.body));
    let through = match &present.body {
        TypeBody::Domain { base, .. } => base.clone(),
        _ => "text".to_owned(),
    };
    let state = run.state.clone();
    for (of, entry) in &state.tables {
        for column in entry.columns.iter().filter(|column| names(&column.ty, name)) {
            if column.default.is_some() {
                run.say(table::drop_default(of, &column.name));
                if let Some(column) = table::column_mut(&mut run.state, of, &column.name) {
                    column.default = None;
                }
            }
            let is_array = column.ty.ends_with("[]");
            let through = if is_array {
                [through.as_str(), "[]"].concat()
            } else {
                through.clone()
            };
            run.warn(
                table::set_type(of, column, Some(&through)),
                "rewrites the column; fails where a row has a value that the new type lacks",
            );
        }
    }
    run.say(create::drop(Target::Type(&aside, &present.body)));
}
