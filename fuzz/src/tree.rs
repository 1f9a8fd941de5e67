//! The text of a statement with its structure, so that a failing one can be made smaller.
//!
//! Not here: what the parts mean (`generate`), which smaller statement still fails (`shrink`).

use std::fmt;

use mainstay_core::types::Type;

/// A part of a statement.
#[derive(Clone, Debug)]
pub enum Node {
    Text(String),
    Group(Vec<Node>),
    /// An expression of a type: any other of that type may stand here.
    Value(Type, Box<Node>),
    /// May be left out.
    Optional(Box<Node>),
    /// Items between separators, of which `least` must stay.
    List {
        separator: &'static str,
        least: usize,
        items: Vec<Node>,
    },
}

impl Node {
    pub fn text(text: impl Into<String>) -> Self {
        Node::Text(text.into())
    }

    pub fn optional(self) -> Self {
        Node::Optional(Box::new(self))
    }

    pub fn of(self, ty: &Type) -> Self {
        Node::Value(ty.clone(), Box::new(self))
    }

    pub fn list(separator: &'static str, least: usize, items: Vec<Node>) -> Self {
        Node::List {
            separator,
            least,
            items,
        }
    }

    /// Every tree that is one step smaller, the largest steps first.
    pub fn smaller(&self) -> Vec<Node> {
        let mut found = Vec::new();
        self.steps(&mut |smaller| found.push(smaller));
        found.sort_by_cached_key(|node| node.to_string().len());
        found
    }

    fn steps(&self, found: &mut dyn FnMut(Node)) {
        match self {
            Node::Text(_) => {}
            Node::Group(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    part.steps(&mut |smaller| {
                        let mut parts = parts.clone();
                        parts[at] = smaller;
                        found(Node::Group(parts));
                    });
                }
            }
            Node::Value(ty, inner) => {
                self.values_within(ty, &mut |value| found(value.clone()));
                if !matches!(&**inner, Node::Text(_)) {
                    found(Node::text(format!("null::{ty}")).of(ty));
                }
                inner.steps(&mut |smaller| found(Node::Value(ty.clone(), Box::new(smaller))));
            }
            Node::Optional(inner) => {
                if !matches!(&**inner, Node::Text(text) if text.is_empty()) {
                    found(Node::text("").optional());
                }
                inner.steps(&mut |smaller| found(smaller.optional()));
            }
            Node::List {
                separator,
                least,
                items,
            } => {
                let with = |items| Node::list(separator, *least, items);
                if items.len() >= 4 && items.len() / 2 >= *least {
                    let (first, last) = items.split_at(items.len() / 2);
                    found(with(first.to_vec()));
                    found(with(last.to_vec()));
                }
                for at in 0..items.len() {
                    if items.len() > *least {
                        let mut fewer = items.clone();
                        fewer.remove(at);
                        found(with(fewer));
                    }
                    items[at].steps(&mut |smaller| {
                        let mut items = items.clone();
                        items[at] = smaller;
                        found(with(items));
                    });
                }
            }
        }
    }

    /// The values of type `wanted` below this node.
    fn values_within(&self, wanted: &Type, found: &mut dyn FnMut(&Node)) {
        let mut visit = |node: &Node| {
            if matches!(node, Node::Value(ty, _) if ty == wanted) {
                found(node);
            }
            node.values_within(wanted, found);
        };
        match self {
            Node::Text(_) => {}
            Node::Value(_, inner) | Node::Optional(inner) => visit(inner),
            Node::Group(parts) => parts.iter().for_each(visit),
            Node::List { items, .. } => items.iter().for_each(visit),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Text(text) => f.write_str(text),
            Node::Group(parts) => parts.iter().try_for_each(|part| write!(f, "{part}")),
            Node::Value(_, inner) | Node::Optional(inner) => write!(f, "{inner}"),
            Node::List { separator, items, .. } => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(separator)?;
                    }
                    write!(f, "{item}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_what_must_stay() {
        let value =
            Node::Group(vec![Node::text("-("), Node::text("x").of(&Type::Int4), Node::text(")")]).of(&Type::Int4);
        let statement = Node::Group(vec![
            Node::text("select "),
            Node::list(", ", 1, vec![value, Node::text("y")]),
            Node::text(" limit 1").optional(),
        ]);
        assert_eq!(statement.to_string(), "select -(x), y limit 1");
        let smaller: Vec<String> = statement.smaller().iter().map(Node::to_string).collect();
        for expected in [
            "select y limit 1",
            "select -(x) limit 1",
            "select x, y limit 1",
            "select -(x), y",
            "select null::integer, y limit 1",
        ] {
            assert!(smaller.iter().any(|text| text == expected), "{expected}: {smaller:?}");
        }
        assert!(
            smaller
                .iter()
                .all(|text| text.len() < 60 && text.starts_with("select "))
        );
    }
}
