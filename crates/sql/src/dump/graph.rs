//! Objects and what they need before them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mainstay_core::definition::{ConstraintShape, Definitions, RoutineName, TableDefinition, TypeBody};
use mainstay_core::name::{Ident, QualifiedName};

use super::references::references;

/// One object. Their order is the order of writing where nothing else decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    Schema(Ident),
    Extension(Ident),
    Type(QualifiedName),
    Sequence(QualifiedName),
    /// With its columns, defaults, keys and checks.
    Table(QualifiedName),
    Index(QualifiedName, Ident),
    Routine(RoutineName),
    View(QualifiedName),
    ForeignKey(QualifiedName, Ident),
    Trigger(QualifiedName, Ident),
    Policy(QualifiedName, Ident),
}

/// What one object needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Cannot be made without.
    pub hard: BTreeSet<Node>,
    /// Named by a routine's body: better there, but PostgreSQL does not ask.
    pub soft: BTreeSet<Node>,
}

/// Every object with its needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub needs: BTreeMap<Node, Needs>,
}

impl Graph {
    /// Reads the texts of all definitions.
    pub fn of(definitions: &Definitions) -> Self {
        let names = Names::of(definitions);
        let mut graph = Graph::default();
        for schema in definitions.schemas.keys() {
            graph.add(Node::Schema(schema.clone()), &names, None, &[]);
        }
        for (extension, schema) in &definitions.extensions {
            graph.add(Node::Extension(extension.clone()), &names, Some(schema), &[]);
        }
        for (name, definition) in &definitions.types {
            let texts: Vec<&str> = match &definition.body {
                TypeBody::Enum(_) => Vec::new(),
                TypeBody::Range(text) => vec![text],
                TypeBody::Composite(attributes) => attributes.iter().map(|(_, ty)| ty.as_str()).collect(),
                TypeBody::Domain {
                    base, default, checks, ..
                } => std::iter::once(base)
                    .chain(default)
                    .chain(checks.values())
                    .map(String::as_str)
                    .collect(),
            };
            graph.add(Node::Type(name.clone()), &names, Some(&name.schema), &texts);
        }
        for (name, definition) in &definitions.sequences {
            let node = Node::Sequence(name.clone());
            graph.add(node.clone(), &names, Some(&name.schema), &[]);
            if let (true, Some((table, _)), Some(needs)) =
                (definition.is_identity, &definition.owned_by, graph.needs.get_mut(&node))
            {
                // The identity column makes it.
                needs.hard.insert(Node::Table(table.clone()));
            }
        }
        for (name, definition) in &definitions.tables {
            graph.add_table(name, definition, &names);
        }
        for (name, definition) in &definitions.views {
            graph.add(
                Node::View(name.clone()),
                &names,
                Some(&name.schema),
                &[&definition.query],
            );
            for (index, entry) in &definition.indexes {
                graph.add_part(Node::Index(name.clone(), index.clone()), name, &names, &[&entry.text]);
            }
            for (trigger, entry) in &definition.triggers {
                graph.add_part(
                    Node::Trigger(name.clone(), trigger.clone()),
                    name,
                    &names,
                    &[&entry.text],
                );
            }
        }
        for (name, definition) in &definitions.routines {
            let node = Node::Routine(name.clone());
            let header = match definition.body.is_empty() {
                // The body is no text constant but parsed when it is made.
                true => definition.text.as_str(),
                false => definition.signature.as_str(),
            };
            graph.add(node.clone(), &names, Some(&name.name.schema), &[header]);
            let mut soft = names.named_in(&definition.text, &definition.search_path);
            if let Some(needs) = graph.needs.get_mut(&node) {
                soft.retain(|other| *other != node && !needs.hard.contains(other));
                needs.soft = soft;
            }
        }
        graph
    }

    fn add_table(&mut self, name: &QualifiedName, definition: &TableDefinition, names: &Names) {
        let mut texts: Vec<&str> = Vec::new();
        for column in &definition.columns {
            texts.push(&column.ty);
            texts.extend(column.default.as_deref());
            texts.extend(column.generated.as_deref());
        }
        for constraint in definition.constraints.values() {
            if !matches!(constraint.kind, ConstraintShape::ForeignKey(_)) {
                texts.push(&constraint.text);
            }
        }
        texts.extend(definition.partition_by.as_deref());
        let node = Node::Table(name.clone());
        self.add(node.clone(), names, Some(&name.schema), &texts);
        let parents = definition.partition_of.iter().map(|(parent, _)| parent);
        if let Some(needs) = self.needs.get_mut(&node) {
            needs.hard.extend(parents.map(|parent| Node::Table(parent.clone())));
        }
        for (constraint, entry) in &definition.constraints {
            if let ConstraintShape::ForeignKey(target) = &entry.kind {
                let key = Node::ForeignKey(name.clone(), constraint.clone());
                self.add_part(key.clone(), name, names, &[]);
                if let Some(needs) = self.needs.get_mut(&key) {
                    needs.hard.insert(Node::Table(target.clone()));
                }
            }
        }
        for (index, entry) in &definition.indexes {
            self.add_part(Node::Index(name.clone(), index.clone()), name, names, &[&entry.text]);
        }
        for (trigger, entry) in &definition.triggers {
            self.add_part(
                Node::Trigger(name.clone(), trigger.clone()),
                name,
                names,
                &[&entry.text],
            );
        }
        for (policy, entry) in &definition.policies {
            let texts: Vec<&str> = entry.using.iter().chain(&entry.check).map(String::as_str).collect();
            self.add_part(Node::Policy(name.clone(), policy.clone()), name, names, &texts);
        }
    }

    fn add(&mut self, node: Node, names: &Names, schema: Option<&Ident>, texts: &[&str]) {
        let mut hard: BTreeSet<Node> = texts.iter().flat_map(|text| names.named_in(text, &[])).collect();
        hard.extend(schema.map(|schema| Node::Schema(schema.clone())));
        hard.remove(&node);
        self.needs.insert(
            node,
            Needs {
                hard,
                soft: BTreeSet::new(),
            },
        );
    }

    fn add_part(&mut self, node: Node, of: &QualifiedName, names: &Names, texts: &[&str]) {
        self.add(node.clone(), names, Some(&of.schema), texts);
        if let Some(needs) = self.needs.get_mut(&node) {
            needs.hard.extend(names.relation(of).cloned());
        }
    }

    /// Everything after what it needs; by kind and name where nothing decides. A circle is broken where only a routine's
    /// body closes it, else at its first object.
    pub fn order(&self) -> Vec<Node> {
        let mut left: BTreeMap<&Node, (usize, usize)> = BTreeMap::new();
        let mut users: HashMap<&Node, Vec<(&Node, bool)>> = HashMap::new();
        for (node, needs) in &self.needs {
            let present = |other: &&Node| self.needs.contains_key(*other);
            let (hard, soft) = (
                needs.hard.iter().filter(present).count(),
                needs.soft.iter().filter(present).count(),
            );
            left.insert(node, (hard, soft));
            for (others, is_hard) in [(&needs.hard, true), (&needs.soft, false)] {
                for other in others {
                    users.entry(other).or_default().push((node, is_hard));
                }
            }
        }
        let mut ready: BTreeSet<&Node> = left
            .iter()
            .filter(|(_, counts)| **counts == (0, 0))
            .map(|(node, _)| *node)
            .collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let next = ready.pop_first().or_else(|| {
                let only_soft = left.iter().find(|(_, (hard, _))| *hard == 0);
                only_soft.or_else(|| left.iter().next()).map(|(node, _)| *node)
            });
            let Some(node) = next else { break };
            if left.remove(node).is_none() {
                continue;
            }
            order.push(node.clone());
            for (user, is_hard) in users.get(node).map(Vec::as_slice).unwrap_or_default() {
                if let Some((hard, soft)) = left.get_mut(user) {
                    if *is_hard {
                        *hard -= 1;
                    } else {
                        *soft -= 1;
                    }
                    if (*hard, *soft) == (0, 0) {
                        ready.insert(user);
                    }
                }
            }
        }
        order
    }

    /// Those that cannot stay when `gone` go, through any number of steps; `gone` are among them.
    pub fn dependents(&self, gone: &BTreeSet<Node>) -> BTreeSet<Node> {
        let mut found = gone.clone();
        loop {
            let more: Vec<Node> = self
                .needs
                .iter()
                .filter(|(node, needs)| !found.contains(*node) && needs.hard.iter().any(|other| found.contains(other)))
                .map(|(node, _)| node.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }
}

/// Objects by name.
struct Names {
    known: HashMap<QualifiedName, Vec<Node>>,
    relations: HashMap<QualifiedName, Node>,
}

impl Names {
    fn of(definitions: &Definitions) -> Self {
        let mut known: HashMap<QualifiedName, Vec<Node>> = HashMap::new();
        let mut relations = HashMap::new();
        let mut add = |name: &QualifiedName, node: Node| known.entry(name.clone()).or_default().push(node);
        for name in definitions.types.keys() {
            add(name, Node::Type(name.clone()));
        }
        for (name, definition) in &definitions.sequences {
            // An identity's sequence comes with its table.
            if !definition.is_identity {
                add(name, Node::Sequence(name.clone()));
            }
        }
        for name in definitions.tables.keys() {
            add(name, Node::Table(name.clone()));
            relations.insert(name.clone(), Node::Table(name.clone()));
        }
        for name in definitions.views.keys() {
            add(name, Node::View(name.clone()));
            relations.insert(name.clone(), Node::View(name.clone()));
        }
        for name in definitions.routines.keys() {
            add(&name.name, Node::Routine(name.clone()));
        }
        Names { known, relations }
    }

    fn relation(&self, name: &QualifiedName) -> Option<&Node> {
        self.relations.get(name)
    }

    /// The objects whose names stand in `text`; names without a schema are looked up in `path`.
    fn named_in(&self, text: &str, path: &[Ident]) -> BTreeSet<Node> {
        let mut found = BTreeSet::new();
        for reference in references(text) {
            let schemas = match &reference.qualifier {
                Some(qualifier) => std::slice::from_ref(qualifier),
                None => path,
            };
            for schema in schemas {
                let name = QualifiedName::new(schema.clone(), reference.name.clone());
                found.extend(self.known.get(&name).into_iter().flatten().cloned());
            }
        }
        found
    }
}
