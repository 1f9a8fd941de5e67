//! Two databases' definitions → the statements that make the first like the second.
//!
//! Lives here: what must go first, what is made or altered in which order, what to warn of.
//! Not here: what single statements look like (`dump::create`), where definitions come from, files.
//! Invariant: after the statements have run on a database like the first, its definitions equal the second's, but for
//! the order of columns.
//! A rename cannot be told from a drop and an addition, so it comes out as these, with a warning.
//!
//! Source: PostgreSQL 15 manual, part VI (ALTER …); what an ALTER may do while others depend is as observed.

mod facts;
mod table;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeSet;

use mainstay_core::definition::{
    ConstraintShape, Definitions, Facts, RoutineDefinition, SequenceDefinition, TableDefinition, TypeBody,
    ViewDefinition,
};
use mainstay_core::name::{Ident, QualifiedName};

use crate::dump::create::{self, Target};
use crate::dump::graph::{Graph, Node};
use crate::dump::references::references;
use crate::dump::{PUBLIC, rights};

/// One statement of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Without its semicolon.
    pub sql: String,
    /// What it may cost: rows that are lost, or that may stand in its way.
    pub warning: Option<String>,
}

/// The statements that lead from one database to the other; none if they are alike.
pub fn between(from: &Definitions, to: &Definitions) -> Vec<Step> {
    let mut run = Run {
        from,
        to,
        state: from.clone(),
        steps: Vec::new(),
    };
    run.all();
    run.steps
}

struct Run<'a> {
    from: &'a Definitions,
    to: &'a Definitions,
    /// What there is after the statements so far.
    state: Definitions,
    steps: Vec<Step>,
}

impl Run<'_> {
    fn say(&mut self, sql: String) {
        self.steps.push(Step { sql, warning: None });
    }

    fn warn(&mut self, sql: String, warning: impl Into<String>) {
        self.steps.push(Step {
            sql,
            warning: Some(warning.into()),
        });
    }

    fn all(&mut self) {
        facts::roles(self);
        let before = Graph::of(self.from);
        let gone = self.gone(&before);
        let order = before.order();
        self.disown();
        self.release(&gone);
        let is_late = |node: &Node| {
            matches!(
                node,
                Node::Schema(_) | Node::Extension(_) | Node::Type(_) | Node::Sequence(_)
            )
        };
        for node in order.iter().rev().filter(|node| gone.contains(*node) && !is_late(node)) {
            self.drop(node);
        }
        self.change_sequences();
        self.drop_constraints();
        for node in Graph::of(self.to).order() {
            self.make(&node);
        }
        for node in order.iter().rev().filter(|node| gone.contains(*node) && is_late(node)) {
            // What has the name again by now was made anew.
            if !exists(self.to, node) || matches!(node, Node::Sequence(_)) {
                self.drop(node);
            }
        }
        self.hung();
        facts::all(self);
    }

    /// What cannot stay as it is: absent on the other side, or changed in a way that no ALTER can do, and what depends
    /// on these. Tables stay whenever they can; what they have of these is released.
    fn gone(&self, before: &Graph) -> BTreeSet<Node> {
        let mut gone: BTreeSet<Node> = before
            .needs
            .keys()
            .filter(|node| **node != Node::Schema(Ident::new(PUBLIC)))
            .filter(|node| !exists(self.to, node) || self.must_be_made_anew(node))
            .cloned()
            .collect();
        for (node, needs) in &before.needs {
            let touched = match node {
                Node::View(_) | Node::Policy(..) | Node::Trigger(..) => self.names_touched_column(node, &needs.hard),
                Node::ForeignKey(name, constraint) => {
                    self.loses_its_key(name, constraint) || self.names_remade_column(node, name)
                }
                Node::Index(name, _) => self.names_remade_column(node, name),
                Node::Routine(name) => self.from.routines.get(name).is_some_and(|routine| {
                    types::replaced(self.from, self.to)
                        .iter()
                        .any(|ty| names(&routine.signature, ty))
                }),
                _ => false,
            };
            if touched {
                gone.insert(node.clone());
            }
        }
        loop {
            let more: Vec<Node> = before
                .needs
                .iter()
                .filter(|(node, _)| !gone.contains(*node))
                .filter(|(node, _)| !matches!(node, Node::Table(_) | Node::Type(_) | Node::Sequence(_)))
                .filter(|(_, needs)| {
                    needs
                        .hard
                        .iter()
                        .any(|other| gone.contains(other) && self.takes_along(other))
                })
                .map(|(node, _)| node.clone())
                .collect();
            if more.is_empty() {
                return gone;
            }
            gone.extend(more);
        }
    }

    /// True if others cannot stay when it goes. Types and schemas go last, when nobody uses them.
    fn takes_along(&self, node: &Node) -> bool {
        !matches!(node, Node::Type(_) | Node::Schema(_) | Node::Extension(_))
    }

    fn must_be_made_anew(&self, node: &Node) -> bool {
        let (from, to) = (self.from, self.to);
        match node {
            Node::View(name) => {
                let (Some(a), Some(b)) = (from.views.get(name), to.views.get(name)) else {
                    return false;
                };
                !same_view(a, b) && !is_replaceable(a, b)
            }
            Node::Routine(name) => {
                let (Some(a), Some(b)) = (from.routines.get(name), to.routines.get(name)) else {
                    return false;
                };
                a.signature != b.signature || a.is_procedure != b.is_procedure
            }
            Node::Table(name) => {
                let (Some(a), Some(b)) = (from.tables.get(name), to.tables.get(name)) else {
                    return false;
                };
                a.partition_by != b.partition_by || a.partition_of != b.partition_of
            }
            Node::Sequence(name) => {
                let (Some(a), Some(b)) = (from.sequences.get(name), to.sequences.get(name)) else {
                    return false;
                };
                a.is_identity != b.is_identity
            }
            Node::Type(name) => {
                let (Some(a), Some(b)) = (from.types.get(name), to.types.get(name)) else {
                    return false;
                };
                matches!((&a.body, &b.body), (TypeBody::Range(a), TypeBody::Range(b)) if a != b)
            }
            Node::Extension(name) => from.extensions.get(name) != to.extensions.get(name),
            Node::Index(..) | Node::ForeignKey(..) | Node::Policy(..) | Node::Trigger(..) => !same_part(from, to, node),
            Node::Schema(_) => false,
        }
    }

    /// True if the object's text names a column whose type changes, or which goes.
    fn names_touched_column(&self, node: &Node, needs: &BTreeSet<Node>) -> bool {
        let texts = texts_of(self.from, node);
        self.from.tables.iter().any(|(name, table)| {
            let Some(other) = self.to.tables.get(name) else {
                return false;
            };
            if !needs.contains(&Node::Table(name.clone())) {
                return false;
            }
            table::touched(self, name, table, other)
                .iter()
                .any(|column| texts.iter().any(|text| names_column(text, column)))
        })
    }

    /// True if the key or index of the table names a column that is dropped and added again.
    fn names_remade_column(&self, node: &Node, table: &QualifiedName) -> bool {
        let texts = texts_of(self.from, node);
        table::remade(self, table)
            .iter()
            .any(|column| texts.iter().any(|text| names_column(text, column)))
    }

    /// True if the key that the foreign key points to goes or changes.
    fn loses_its_key(&self, table: &QualifiedName, constraint: &Ident) -> bool {
        let entry = self
            .from
            .tables
            .get(table)
            .and_then(|table| table.constraints.get(constraint));
        let Some(ConstraintShape::ForeignKey(target)) = entry.map(|entry| &entry.kind) else {
            return false;
        };
        let (Some(before), Some(after)) = (self.from.tables.get(target), self.to.tables.get(target)) else {
            return false;
        };
        let remade = table::remade(self, target);
        before.constraints.iter().any(|(name, entry)| {
            matches!(entry.kind, ConstraintShape::PrimaryKey(_) | ConstraintShape::Unique)
                && (after.constraints.get(name).is_none_or(|other| other.text != entry.text)
                    || remade.iter().any(|column| names_column(&entry.text, column)))
        })
    }

    /// Sequences let go of their columns before these go, or change hands.
    fn disown(&mut self) {
        let changed: Vec<QualifiedName> = self
            .from
            .sequences
            .iter()
            .filter(|(_, sequence)| !sequence.is_identity && sequence.owned_by.is_some())
            .filter(|(name, sequence)| {
                self.to
                    .sequences
                    .get(*name)
                    .is_some_and(|other| !other.is_identity && other.owned_by != sequence.owned_by)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in changed {
            self.say(create::owned_by(&name, None));
            if let Some(sequence) = self.state.sequences.get_mut(&name) {
                sequence.owned_by = None;
            }
        }
    }

    /// Defaults and checks of tables that stay let go of the routines and sequences that do not.
    fn release(&mut self, gone: &BTreeSet<Node>) {
        let leaving: Vec<QualifiedName> = gone
            .iter()
            .filter_map(|node| match node {
                Node::Routine(name) => Some(name.name.clone()),
                Node::Sequence(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        let uses = |text: &str| leaving.iter().any(|name| names(text, name));
        for (name, table) in &self.from.tables {
            if gone.contains(&Node::Table(name.clone())) {
                continue;
            }
            for column in &table.columns {
                if column.default.as_deref().is_some_and(uses) {
                    self.say(table::drop_default(name, &column.name));
                    if let Some(column) = table::column_mut(&mut self.state, name, &column.name) {
                        column.default = None;
                    }
                }
            }
            for (constraint, entry) in &table.constraints {
                if entry.kind == ConstraintShape::Check && uses(&entry.text) {
                    self.say(create::drop_constraint(name, constraint));
                    if let Some(table) = self.state.tables.get_mut(name) {
                        table.constraints.remove(constraint);
                    }
                }
            }
        }
    }

    /// Sequences that were an identity's and stand by themselves, or the other way: the name must be free for both.
    fn change_sequences(&mut self) {
        let changed: Vec<(QualifiedName, SequenceDefinition)> = self
            .from
            .sequences
            .iter()
            .filter(|(name, sequence)| {
                let other = self.to.sequences.get(*name);
                other.is_some_and(|other| other.is_identity != sequence.is_identity)
            })
            .map(|(name, sequence)| (name.clone(), sequence.clone()))
            .collect();
        for (name, sequence) in changed {
            if self.state.sequences.remove(&name).is_none() {
                // It went with its table.
                continue;
            }
            match sequence.owned_by.filter(|_| sequence.is_identity) {
                Some((table, column)) => {
                    self.say(table::drop_identity(&table, &column));
                    if let Some(column) = table::column_mut(&mut self.state, &table, &column) {
                        column.identity = None;
                    }
                }
                None => self.say(create::drop(Target::Sequence(&name))),
            }
        }
    }

    /// Keys and checks that go or change, of tables that stay.
    fn drop_constraints(&mut self) {
        let (state, to) = (self.state.clone(), self.to);
        for (name, table) in &state.tables {
            let Some(other) = to.tables.get(name) else { continue };
            let remade = table::remade(self, name);
            for (constraint, entry) in &table.constraints {
                if matches!(entry.kind, ConstraintShape::ForeignKey(_)) {
                    continue;
                }
                let stays = other
                    .constraints
                    .get(constraint)
                    .is_some_and(|other| other.text == entry.text);
                if !stays || remade.iter().any(|column| names_column(&entry.text, column)) {
                    self.say(create::drop_constraint(name, constraint));
                    if let Some(table) = self.state.tables.get_mut(name) {
                        table.constraints.remove(constraint);
                    }
                }
            }
        }
    }

    /// Drops an object that is still there.
    fn drop(&mut self, node: &Node) {
        let state = self.state.clone();
        let lost = "drops what is in it; a rename is not recognised";
        match node {
            Node::Schema(name) => {
                if self.state.schemas.remove(name).is_some() {
                    self.say(create::drop(Target::Schema(name)));
                }
            }
            Node::Extension(name) => {
                if self.state.extensions.remove(name).is_some() {
                    self.say(create::drop(Target::Extension(name)));
                }
            }
            Node::Type(name) => {
                if let Some(entry) = self.state.types.remove(name) {
                    self.say(create::drop(Target::Type(name, &entry.body)));
                }
            }
            Node::Sequence(name) => {
                let wanted = self.to.sequences.get(name);
                if wanted.is_none()
                    && let Some(entry) = self.state.sequences.remove(name)
                    && !entry.is_identity
                {
                    self.say(create::drop(Target::Sequence(name)));
                }
            }
            Node::Table(name) => {
                if self.state.tables.remove(name).is_some() {
                    self.forget_sequences(name, None);
                    self.warn(create::drop(Target::Table(name)), lost);
                }
            }
            Node::View(name) => {
                if let Some(entry) = self.state.views.remove(name) {
                    self.say(create::drop(Target::View(name, &entry)));
                }
            }
            Node::Routine(name) => {
                if let Some(entry) = self.state.routines.remove(name) {
                    self.say(create::drop(Target::Routine(name, &entry)));
                }
            }
            Node::Index(of, name) => {
                let on_table = self.state.tables.get_mut(of).map(|table| &mut table.indexes);
                let on_view = self.state.views.get_mut(of).map(|view| &mut view.indexes);
                if on_table.or(on_view).and_then(|indexes| indexes.remove(name)).is_some() {
                    self.say(create::drop(Target::Index(of, name)));
                }
            }
            Node::ForeignKey(of, name) => {
                let table = self.state.tables.get_mut(of);
                if table.and_then(|table| table.constraints.remove(name)).is_some() {
                    self.say(create::drop_constraint(of, name));
                }
            }
            Node::Trigger(of, name) => {
                let on_table = self.state.tables.get_mut(of).map(|table| &mut table.triggers);
                let on_view = self.state.views.get_mut(of).map(|view| &mut view.triggers);
                if on_table
                    .or(on_view)
                    .and_then(|triggers| triggers.remove(name))
                    .is_some()
                {
                    self.say(create::drop(Target::Trigger(of, name)));
                }
            }
            Node::Policy(of, name) => {
                let table = self.state.tables.get_mut(of);
                if table.and_then(|table| table.policies.remove(name)).is_some() {
                    self.say(create::drop(Target::Policy(of, name)));
                }
            }
        }
        // A table that goes takes its parts out of publications.
        if let Node::Table(name) = node
            && state.tables.contains_key(name)
        {
            for tables in self.state.publications.values_mut() {
                tables.remove(name);
            }
        }
    }

    /// Sequences that went with their table or column.
    fn forget_sequences(&mut self, table: &QualifiedName, column: Option<&Ident>) {
        self.state.sequences.retain(|_, sequence| {
            !sequence
                .owned_by
                .as_ref()
                .is_some_and(|(owner, owned)| owner == table && column.is_none_or(|column| column == owned))
        });
    }

    fn new_facts(&self, kind: mainstay_core::definition::DefaultObject, schema: Option<&Ident>) -> Facts {
        Facts {
            rights: rights::of_new(self.from, &self.from.owner, schema, kind),
            ..Facts::of(&self.from.owner)
        }
    }

    /// Makes an object, or makes the one that is there like it.
    fn make(&mut self, node: &Node) {
        use mainstay_core::definition::DefaultObject as Kind;
        let to = self.to;
        if !exists(&self.state, node) {
            for statement in create::node(to, node) {
                match warning_of(to, node) {
                    Some(warning) => self.warn(statement, warning),
                    None => self.say(statement),
                }
            }
        }
        match node {
            Node::Schema(name) => {
                let facts = self.new_facts(Kind::Schemas, None);
                self.state.schemas.entry(name.clone()).or_insert(facts);
            }
            Node::Extension(name) => {
                if let Some(schema) = to.extensions.get(name) {
                    self.state.extensions.insert(name.clone(), schema.clone());
                }
            }
            Node::Type(name) => {
                let facts = self.new_facts(Kind::Types, Some(&name.schema));
                types::make(self, name, facts);
            }
            Node::Sequence(name) => {
                let facts = self.new_facts(Kind::Sequences, Some(&name.schema));
                self.make_sequence(name, facts);
            }
            Node::Table(name) => {
                let facts = self.new_facts(Kind::Tables, Some(&name.schema));
                table::make(self, name, facts);
            }
            Node::View(name) => {
                let facts = self.new_facts(Kind::Tables, Some(&name.schema));
                self.make_view(name, facts);
            }
            Node::Routine(name) => {
                let facts = self.new_facts(Kind::Functions, Some(&name.name.schema));
                let Some(wanted) = to.routines.get(name) else { return };
                match self.state.routines.get(name) {
                    Some(present) if present.text == wanted.text => {}
                    Some(present) => {
                        let facts = present.facts.clone();
                        self.say(wanted.text.clone());
                        self.state.routines.insert(name.clone(), with_facts(wanted, facts));
                    }
                    None => {
                        self.state.routines.insert(name.clone(), with_facts(wanted, facts));
                    }
                }
            }
            Node::Index(of, name) => {
                let wanted = part(to, of, |table| &table.indexes, |view| &view.indexes, name);
                let mut wanted = wanted.cloned();
                if let Some(wanted) = &mut wanted {
                    wanted.comment = None;
                }
                let on_table = self.state.tables.get_mut(of).map(|table| &mut table.indexes);
                let on_view = self.state.views.get_mut(of).map(|view| &mut view.indexes);
                if let (Some(indexes), Some(wanted)) = (on_table.or(on_view), wanted) {
                    indexes.entry(name.clone()).or_insert(wanted);
                }
            }
            Node::ForeignKey(of, name) => {
                let wanted = to.tables.get(of).and_then(|table| table.constraints.get(name));
                if let (Some(table), Some(wanted)) = (self.state.tables.get_mut(of), wanted) {
                    let mut wanted = wanted.clone();
                    wanted.comment = None;
                    table.constraints.entry(name.clone()).or_insert(wanted);
                }
            }
            Node::Trigger(of, name) => {
                let Some(wanted) = part(to, of, |table| &table.triggers, |view| &view.triggers, name).cloned() else {
                    return;
                };
                let on_table = self.state.tables.get_mut(of).map(|table| &mut table.triggers);
                let on_view = self.state.views.get_mut(of).map(|view| &mut view.triggers);
                let Some(triggers) = on_table.or(on_view) else { return };
                match triggers.get_mut(name) {
                    Some(present) if present.mode != wanted.mode => {
                        present.mode = wanted.mode;
                        self.say(create::trigger_mode(of, name, wanted.mode));
                    }
                    Some(_) => {}
                    None => {
                        let mut made = wanted;
                        made.comment = None;
                        triggers.insert(name.clone(), made);
                    }
                }
            }
            Node::Policy(of, name) => {
                let wanted = to.tables.get(of).and_then(|table| table.policies.get(name));
                if let (Some(table), Some(wanted)) = (self.state.tables.get_mut(of), wanted) {
                    let mut wanted = wanted.clone();
                    wanted.comment = None;
                    table.policies.entry(name.clone()).or_insert(wanted);
                }
            }
        }
    }

    fn make_sequence(&mut self, name: &QualifiedName, facts: Facts) {
        let Some(wanted) = self.to.sequences.get(name) else {
            return;
        };
        match self.state.sequences.get(name).cloned() {
            Some(present) => {
                if let Some(statement) = create::alter_sequence(name, &present, wanted) {
                    self.say(statement);
                }
                let made = SequenceDefinition {
                    facts: present.facts,
                    owned_by: present.owned_by,
                    ..wanted.clone()
                };
                self.state.sequences.insert(name.clone(), made);
            }
            None => {
                let made = SequenceDefinition {
                    facts,
                    owned_by: wanted.owned_by.clone().filter(|_| wanted.is_identity),
                    ..wanted.clone()
                };
                self.state.sequences.insert(name.clone(), made);
            }
        }
    }

    fn make_view(&mut self, name: &QualifiedName, facts: Facts) {
        let Some(wanted) = self.to.views.get(name) else { return };
        let made = |facts: Facts| ViewDefinition {
            facts,
            column_comments: Default::default(),
            triggers: Default::default(),
            indexes: Default::default(),
            ..wanted.clone()
        };
        match self.state.views.get(name).cloned() {
            Some(present) if same_view(&present, wanted) => {}
            Some(present) => {
                self.say(create::view(name, wanted, true));
                let replaced = ViewDefinition {
                    column_comments: present.column_comments,
                    triggers: present.triggers,
                    indexes: present.indexes,
                    ..made(present.facts)
                };
                self.state.views.insert(name.clone(), replaced);
            }
            None => {
                self.state.views.insert(name.clone(), made(facts));
            }
        }
    }

    /// Triggers and policies on tables of the platform.
    fn hung(&mut self) {
        let nothing = |facts: &Facts| TableDefinition::new(facts.clone());
        let names: BTreeSet<&QualifiedName> = self.from.hung.keys().chain(self.to.hung.keys()).collect();
        for name in names {
            let (before, after) = (self.from.hung.get(name), self.to.hung.get(name));
            let Some(some) = before.or(after) else { continue };
            let empty = nothing(&some.facts);
            let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
            for (trigger, entry) in &before.triggers {
                if after.triggers.get(trigger) != Some(entry) {
                    self.say(create::drop(Target::Trigger(name, trigger)));
                }
            }
            for (policy, entry) in &before.policies {
                if after.policies.get(policy) != Some(entry) {
                    self.say(create::drop(Target::Policy(name, policy)));
                }
            }
            for (trigger, entry) in &after.triggers {
                if before.triggers.get(trigger) != Some(entry) {
                    create::trigger(name, trigger, entry)
                        .into_iter()
                        .for_each(|statement| self.say(statement));
                }
            }
            for (policy, entry) in &after.policies {
                if before.policies.get(policy) != Some(entry) {
                    self.say(create::policy(name, policy, entry));
                }
            }
        }
        let (before, after) = (&self.from.others, &self.to.others);
        let mut left = Vec::new();
        for (key, other) in after {
            if before.get(key) != Some(other) {
                left.push(Step {
                    sql: other.text.clone(),
                    warning: before.contains_key(key).then(|| "drop the old one first".to_owned()),
                });
            }
        }
        self.steps.extend(left);
    }
}

fn with_facts(routine: &RoutineDefinition, facts: Facts) -> RoutineDefinition {
    RoutineDefinition {
        facts,
        ..routine.clone()
    }
}

type Parts<'d, T> = &'d std::collections::BTreeMap<Ident, T>;

/// A part of a table or a view.
fn part<'d, T>(
    definitions: &'d Definitions,
    of: &QualifiedName,
    in_table: impl Fn(&'d TableDefinition) -> Parts<'d, T>,
    in_view: impl Fn(&'d ViewDefinition) -> Parts<'d, T>,
    name: &Ident,
) -> Option<&'d T> {
    let table = definitions.tables.get(of).and_then(|table| in_table(table).get(name));
    table.or_else(|| definitions.views.get(of).and_then(|view| in_view(view).get(name)))
}

/// True if there is such an object.
fn exists(definitions: &Definitions, node: &Node) -> bool {
    match node {
        Node::Schema(name) => definitions.schemas.contains_key(name),
        Node::Extension(name) => definitions.extensions.contains_key(name),
        Node::Type(name) => definitions.types.contains_key(name),
        Node::Sequence(name) => definitions.sequences.contains_key(name),
        Node::Table(name) => definitions.tables.contains_key(name),
        Node::View(name) => definitions.views.contains_key(name),
        Node::Routine(name) => definitions.routines.contains_key(name),
        Node::Index(of, name) => part(definitions, of, |table| &table.indexes, |view| &view.indexes, name).is_some(),
        Node::Trigger(of, name) => {
            part(definitions, of, |table| &table.triggers, |view| &view.triggers, name).is_some()
        }
        Node::ForeignKey(of, name) => {
            let table = definitions.tables.get(of);
            let entry = table.and_then(|table| table.constraints.get(name));
            entry.is_some_and(|entry| matches!(entry.kind, ConstraintShape::ForeignKey(_)))
        }
        Node::Policy(of, name) => {
            let table = definitions.tables.get(of);
            table.is_some_and(|table| table.policies.contains_key(name))
        }
    }
}

/// True if an index, key, policy or trigger is the same on both sides, comments apart.
fn same_part(from: &Definitions, to: &Definitions, node: &Node) -> bool {
    match node {
        Node::Index(of, name) => {
            let text = |side| {
                part(
                    side,
                    of,
                    |table: &TableDefinition| &table.indexes,
                    |view| &view.indexes,
                    name,
                )
                .map(|entry| &entry.text)
            };
            text(from) == text(to)
        }
        Node::Trigger(of, name) => {
            let text = |side| {
                part(
                    side,
                    of,
                    |table: &TableDefinition| &table.triggers,
                    |view| &view.triggers,
                    name,
                )
                .map(|entry| &entry.text)
            };
            text(from) == text(to)
        }
        Node::ForeignKey(of, name) => {
            let text = |side: &Definitions| {
                let entry = side.tables.get(of).and_then(|table| table.constraints.get(name));
                entry.map(|entry| entry.text.clone())
            };
            text(from) == text(to)
        }
        Node::Policy(of, name) => {
            let entry = |side: &Definitions| {
                let mut entry = side.tables.get(of)?.policies.get(name)?.clone();
                entry.comment = None;
                Some(entry)
            };
            entry(from) == entry(to)
        }
        _ => true,
    }
}

fn same_view(a: &ViewDefinition, b: &ViewDefinition) -> bool {
    a.is_materialized == b.is_materialized
        && a.columns == b.columns
        && a.query == b.query
        && a.security_invoker == b.security_invoker
        && a.security_barrier == b.security_barrier
        && a.check_option == b.check_option
}

/// True if CREATE OR REPLACE VIEW can do it: columns may only come at the end.
fn is_replaceable(a: &ViewDefinition, b: &ViewDefinition) -> bool {
    !a.is_materialized && !b.is_materialized && b.columns.starts_with(&a.columns)
}

fn warning_of(definitions: &Definitions, node: &Node) -> Option<&'static str> {
    let Node::Index(of, name) = node else { return None };
    let entry = definitions.tables.get(of).and_then(|table| table.indexes.get(name))?;
    let is_unique = entry.text.starts_with("CREATE UNIQUE");
    is_unique.then_some("fails where rows have the same values")
}

/// True if the text names the object with its schema.
fn names(text: &str, name: &QualifiedName) -> bool {
    references(text)
        .iter()
        .any(|reference| reference.qualifier.as_ref() == Some(&name.schema) && reference.name == name.name)
}

/// True if some name of the text is the column's.
fn names_column(text: &str, column: &Ident) -> bool {
    references(text).iter().any(|reference| reference.name == *column)
}

/// Everything of an object that names others.
fn texts_of(definitions: &Definitions, node: &Node) -> Vec<String> {
    match node {
        Node::View(name) => definitions
            .views
            .get(name)
            .map(|view| view.query.clone())
            .into_iter()
            .collect(),
        _ => create::node(definitions, node),
    }
}
