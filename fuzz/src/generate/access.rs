//! Grants and row security: who may see and change what.
//!
//! Not here: the statements that are run under them (`query`, `write`).

use mainstay_core::types::Type;

use super::expression::Expressions;
use super::routines::LOG;
use super::schema::{Kind, Relation, Schema};
use super::surface::Surface;
use crate::engines::Person;
use crate::random::Random;
use crate::tree::Node;

/// Two users whose ids are among the values of `uuid` columns.
const USERS: [&str; 2] = [
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

const ROLES: [&str; 3] = ["anon", "authenticated", "service_role"];

/// Somebody other than the owner.
pub fn person(random: &mut Random) -> Person {
    let role = *random.pick(&ROLES);
    let user = (role == "authenticated").then(|| *random.pick(&USERS));
    Person { role, user }
}

/// Adds grants and policies to a schema.
pub fn access(random: &mut Random, surface: &Surface, schema: &mut Schema) {
    let relations = schema.relations.clone();
    let mut add = |text: String| schema.statements.push(Node::text(text));
    add("grant usage on schema public to anon, authenticated, service_role".into());
    add("grant usage, select on all sequences in schema public to anon, authenticated, service_role".into());
    for relation in &relations {
        for role in ROLES {
            for text in grants(random, relation, role) {
                add(text);
            }
        }
    }
    for role in ROLES {
        if schema.has_log && random.chance(85) {
            schema
                .statements
                .push(Node::text(format!("grant select, insert on {LOG} to {role}")));
        }
    }
    for relation in relations.iter().filter(|relation| relation.kind == Kind::Table) {
        if !random.chance(70) {
            continue;
        }
        let name = &relation.name;
        schema
            .statements
            .push(Node::text(format!("alter table {name} enable row level security")));
        for number in 0..random.below(4) {
            let made = policy(random, surface, relation, &relations, number);
            schema.statements.push(made);
        }
    }
}

fn grants(random: &mut Random, relation: &Relation, role: &str) -> Vec<String> {
    let name = &relation.name;
    match random.below(10) {
        0 => Vec::new(),
        1 => vec![format!("grant select on {name} to {role}")],
        2 => {
            // Some columns only.
            let some: Vec<&str> = relation
                .columns
                .iter()
                .filter(|_| random.chance(70))
                .map(|column| column.name.as_str())
                .collect();
            if some.is_empty() {
                return Vec::new();
            }
            let list = some.join(", ");
            let verbs = *random.pick(&["select", "insert", "update"]);
            vec![
                format!("grant {verbs} ({list}) on {name} to {role}"),
                format!("grant select (id) on {name} to {role}"),
            ]
        }
        3 => vec![format!("grant insert, update on {name} to {role}")],
        _ => vec![format!("grant all on {name} to {role}")],
    }
}

fn policy(random: &mut Random, surface: &Surface, relation: &Relation, all: &[Relation], number: usize) -> Node {
    let name = &relation.name;
    let kind = *random.pick(&["", "", "", " as restrictive"]);
    let command = *random.pick(&[
        "",
        "",
        " for all",
        " for select",
        " for insert",
        " for update",
        " for delete",
    ]);
    let to = *random.pick(&["", " to authenticated", " to anon, authenticated", " to public"]);
    let mut parts = vec![Node::text(format!(
        "create policy p{number} on {name}{kind}{command}{to}"
    ))];
    if command != " for insert" {
        let rule = rule(random, surface, relation, all);
        parts.extend([Node::text(" using ("), rule, Node::text(")")]);
    }
    let checks = matches!(command, "" | " for all" | " for update") && random.chance(50);
    if command == " for insert" || checks {
        let rule = rule(random, surface, relation, all);
        parts.extend([Node::text(" with check ("), rule, Node::text(")")]);
    }
    Node::Group(parts)
}

fn rule(random: &mut Random, surface: &Surface, relation: &Relation, all: &[Relation]) -> Node {
    let owner = relation.columns.iter().find(|column| column.ty == Type::Uuid);
    match (random.below(6), owner) {
        (0 | 1, Some(owner)) => {
            let user = *random.pick(&["auth.uid()", "(select auth.uid())"]);
            Node::text(format!("{user} = {}", owner.name))
        }
        (2, _) => Node::text("auth.role() = 'authenticated'"),
        (3, _) => Node::text("true"),
        (4, _) => {
            // Looks at another relation, with that one's own policies.
            let others: Vec<&Relation> = all.iter().filter(|other| other.name != relation.name).collect();
            if others.is_empty() {
                return Node::text("true");
            }
            let other = *random.pick(&others);
            Node::text(format!(
                "exists (select 1 from {} q where q.id::text = {}.id::text)",
                other.name, relation.name
            ))
        }
        _ => {
            let mut made = Expressions::new(random, surface, relation.named(""));
            made.condition(2)
        }
    }
}
