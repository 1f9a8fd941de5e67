//! What objects have beside their definition: owners, grants, comments, switches, publications, roles.

use std::collections::BTreeSet;

use mainstay_core::definition::{ConstraintShape, Facts};
use mainstay_core::name::{Ident, QualifiedName};

use super::Run;
use crate::dump::create::{self, Target};
use crate::dump::platform::{is_platform_publication, is_platform_role};
use crate::dump::rights::{self, Granted};

/// Roles come first: everything else may name them. None is dropped: it may own things elsewhere.
pub fn roles(run: &mut Run<'_>) {
    let (from, to) = (run.from, run.to);
    for (name, role) in &to.roles {
        if !from.roles.contains_key(name) && !is_platform_role(name) {
            run.say(create::role(name, role));
            if let Some(comment) = &role.comment {
                run.say(create::comment(Target::Role(name), Some(comment)));
            }
        }
    }
    let members: BTreeSet<&Ident> = from.roles.keys().chain(to.roles.keys()).collect();
    for member in members {
        let empty = BTreeSet::new();
        let before = from.roles.get(member).map_or(&empty, |role| &role.member_of);
        let after = to.roles.get(member).map_or(&empty, |role| &role.member_of);
        for role in before.difference(after).filter(|_| to.roles.contains_key(member)) {
            run.say(create::membership(role, member, false));
        }
        for role in after.difference(before) {
            run.say(create::membership(role, member, true));
        }
    }
}

/// Everything else, once all objects are there.
pub fn all(run: &mut Run<'_>) {
    owned_sequences(run);
    switches(run);
    let to = run.to;
    for (name, wanted) in &to.schemas {
        let present = run.state.schemas.get(name).cloned();
        change(run, Target::Schema(name), &Granted::schema(name), present, wanted);
    }
    for (name, wanted) in &to.types {
        let present = run.state.types.get(name).map(|entry| entry.facts.clone());
        let target = Target::Type(name, &wanted.body);
        change(run, target, &Granted::of_type(name), present, &wanted.facts);
    }
    for (name, wanted) in &to.sequences {
        let present = run.state.sequences.get(name).map(|entry| entry.facts.clone());
        change(
            run,
            Target::Sequence(name),
            &Granted::sequence(name),
            present,
            &wanted.facts,
        );
    }
    for (name, wanted) in &to.tables {
        let present = run.state.tables.get(name).map(|entry| entry.facts.clone());
        change(
            run,
            Target::Table(name),
            &Granted::relation(name),
            present,
            &wanted.facts,
        );
        table_comments(run, name);
    }
    for (name, wanted) in &to.views {
        let present = run.state.views.get(name).cloned();
        let facts = present.as_ref().map(|entry| entry.facts.clone());
        change(
            run,
            Target::View(name, wanted),
            &Granted::relation(name),
            facts,
            &wanted.facts,
        );
        for (trigger, entry) in &wanted.triggers {
            let before = present
                .as_ref()
                .and_then(|view| view.triggers.get(trigger)?.comment.as_ref());
            comment(run, Target::Trigger(name, trigger), before, entry.comment.as_ref());
        }
        let before = present.map(|entry| entry.column_comments).unwrap_or_default();
        let columns: BTreeSet<&Ident> = before.keys().chain(wanted.column_comments.keys()).collect();
        for column in columns {
            let is_there = wanted.columns.iter().any(|(name, _)| name == column);
            let (old, new) = (before.get(column), wanted.column_comments.get(column));
            if is_there {
                comment(run, Target::Column(name, column), old, new);
            }
        }
    }
    for (name, wanted) in &to.routines {
        let present = run.state.routines.get(name).map(|entry| entry.facts.clone());
        let object = Granted::routine(&create::routine_signature(name), wanted.is_procedure);
        change(run, Target::Routine(name, wanted), &object, present, &wanted.facts);
    }
    for statement in rights::change_defaults(&to.owner, &run.from.default_rights, &to.default_rights) {
        run.say(statement);
    }
    publications(run);
}

fn change(run: &mut Run<'_>, target: Target<'_>, object: &Granted, present: Option<Facts>, wanted: &Facts) {
    let Some(present) = present else { return };
    if present.owner != wanted.owner {
        run.say(create::owner(target, &wanted.owner));
    }
    for statement in rights::change(object, &present.rights, &wanted.rights) {
        run.say(statement);
    }
    comment(run, target, present.comment.as_ref(), wanted.comment.as_ref());
}

fn comment(run: &mut Run<'_>, target: Target<'_>, before: Option<&String>, after: Option<&String>) {
    if before != after {
        run.say(create::comment(target, after.map(String::as_str)));
    }
}

fn table_comments(run: &mut Run<'_>, name: &QualifiedName) {
    let (Some(present), Some(wanted)) = (run.state.tables.get(name).cloned(), run.to.tables.get(name)) else {
        return;
    };
    for column in &wanted.columns {
        let before = present.column(&column.name).and_then(|entry| entry.comment.as_ref());
        comment(run, Target::Column(name, &column.name), before, column.comment.as_ref());
    }
    for (constraint, entry) in &wanted.constraints {
        let before = present
            .constraints
            .get(constraint)
            .and_then(|entry| entry.comment.as_ref());
        comment(
            run,
            Target::Constraint(name, constraint),
            before,
            entry.comment.as_ref(),
        );
    }
    for (index, entry) in &wanted.indexes {
        let before = present.indexes.get(index).and_then(|entry| entry.comment.as_ref());
        comment(run, Target::Index(name, index), before, entry.comment.as_ref());
    }
    for (policy, entry) in &wanted.policies {
        let before = present.policies.get(policy).and_then(|entry| entry.comment.as_ref());
        comment(run, Target::Policy(name, policy), before, entry.comment.as_ref());
    }
    for (trigger, entry) in &wanted.triggers {
        let before = present.triggers.get(trigger).and_then(|entry| entry.comment.as_ref());
        comment(run, Target::Trigger(name, trigger), before, entry.comment.as_ref());
    }
    debug_assert!(
        wanted
            .constraints
            .iter()
            .all(|(constraint, entry)| present.constraints.contains_key(constraint)
                || matches!(entry.kind, ConstraintShape::ForeignKey(_))),
        "constraints of {name} are there"
    );
}

/// Sequences belong to their columns again.
fn owned_sequences(run: &mut Run<'_>) {
    let to = run.to;
    for (name, wanted) in to.sequences.iter().filter(|(_, sequence)| !sequence.is_identity) {
        let present = run.state.sequences.get(name).and_then(|entry| entry.owned_by.clone());
        if present != wanted.owned_by {
            run.say(create::owned_by(name, wanted.owned_by.as_ref()));
        }
    }
}

/// Row security and replica identity.
fn switches(run: &mut Run<'_>) {
    let to = run.to;
    for (name, wanted) in &to.tables {
        let Some(present) = run.state.tables.get(name).cloned() else {
            continue;
        };
        if present.row_security != wanted.row_security {
            let statement = create::row_security(name, wanted.row_security);
            if wanted.row_security {
                run.say(statement);
            } else {
                run.warn(statement, "opens every row to who may read the table");
            }
        }
        if present.row_security_forced != wanted.row_security_forced {
            run.say(create::row_security_forced(name, wanted.row_security_forced));
        }
        if present.replica_full != wanted.replica_full {
            run.say(create::replica_identity(name, wanted.replica_full));
        }
    }
}

fn publications(run: &mut Run<'_>) {
    let to = run.to;
    for (name, wanted) in &to.publications {
        let present = run.state.publications.get(name).cloned();
        if present.is_none() && !is_platform_publication(name) {
            run.say(create::publication(name));
        }
        let present = present.unwrap_or_default();
        let gone: Vec<&QualifiedName> = present.difference(wanted).collect();
        let new: Vec<&QualifiedName> = wanted.difference(&present).collect();
        if !gone.is_empty() {
            run.say(create::publish(name, gone, false));
        }
        if !new.is_empty() {
            run.say(create::publish(name, new, true));
        }
    }
}
