//! Rewrites stored texts: names get their schema, stars become columns, renamed things their new name.
//!
//! Lives here: edits of a text at the places its parse gives. Not here: printing a tree anew, which would lose what the
//! author wrote.
//! Invariant: the text means the same afterwards, whatever the search path and whatever columns are added later.

use std::collections::{HashMap, HashSet};

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::{Result, identifier, walk};
use crate::ast::{ExprKind, ObjectName, Query, Statement};
use crate::parse;

/// Replaces `removed` characters at `position` (1-based) by `text`.
struct Edit {
    position: u32,
    removed: usize,
    text: String,
}

/// Applies edits that do not overlap.
fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.position);
    edits.dedup_by(|a, b| a.position == b.position && a.text == b.text && a.removed == b.removed);
    let mut out = String::with_capacity(text.len() + edits.len() * 8);
    let mut characters = text.chars();
    let mut at = 1_u32;
    for edit in edits {
        while at < edit.position {
            let Some(character) = characters.next() else { break };
            out.push(character);
            at += 1;
        }
        out.push_str(&edit.text);
        for _ in 0..edit.removed {
            characters.next();
            at += 1;
        }
    }
    out.extend(characters);
    out
}

/// Reads the text of a query that was one before.
pub(super) fn parse_query(text: &str) -> Result<Query> {
    match parse::parse(text)?
        .into_iter()
        .map(|statement| statement.ast)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [Statement::Query(query)] => Ok((**query).clone()),
        [Statement::Unsupported(refused)] => Err(DatabaseError::unavailable(
            &refused.feature,
            &refused.object,
            refused.line,
            refused.alternative.as_deref(),
        )),
        _ => Err(DatabaseError::new("42601", "one query was expected")),
    }
}

/// An expression's text with every name of a user's object given its schema.
pub(super) fn qualified_expression(catalog: &Catalog, path: &[Ident], text: &str) -> Result<String> {
    let expr = parse::expression(text)?;
    let mut names = Names::new(catalog, path);
    walk::expression(&expr, &mut |written| names.take(written));
    Ok(edited(text, names.edits()))
}

/// The same for a query.
pub(super) fn qualified_query(catalog: &Catalog, path: &[Ident], text: &str) -> Result<String> {
    let query = parse_query(text)?;
    let mut names = Names::new(catalog, path);
    walk::query(&query, &mut |written| names.take(written));
    Ok(edited(text, names.edits()))
}

struct Names<'c> {
    catalog: &'c Catalog,
    path: &'c [Ident],
    ctes: HashSet<Ident>,
    relations: Vec<ObjectName>,
    edits: Vec<Edit>,
}

impl<'c> Names<'c> {
    fn new(catalog: &'c Catalog, path: &'c [Ident]) -> Self {
        Names {
            catalog,
            path,
            ctes: HashSet::new(),
            relations: Vec::new(),
            edits: Vec::new(),
        }
    }

    fn take(&mut self, written: walk::Written<'_>) {
        match written {
            walk::Written::Cte(name) => {
                self.ctes.insert(name.clone());
            }
            walk::Written::Relation { name, .. } if name.schema.is_none() => self.relations.push(name.clone()),
            walk::Written::Function(call) if call.name.schema.is_none() => {
                self.qualify(&call.name.name, call.name.position, |catalog, name| {
                    catalog.routines.contains_key(name)
                });
                if matches!(call.name.name.as_str(), "nextval" | "currval" | "setval") {
                    self.sequence_argument(call);
                }
            }
            walk::Written::Type(ty) if ty.schema.is_none() && Type::from_builtin_name(&ty.name).is_none() => {
                self.qualify(&ty.name, ty.position, |catalog, name| {
                    catalog.enums.contains_key(name)
                        || catalog.domains.contains_key(name)
                        // An extension's, of the same name.
                        || matches!(name.name.as_str(), "citext" | "vector")
                            && catalog.extensions.get(&name.name) == Some(&name.schema)
                });
            }
            _ => {}
        }
    }

    fn qualify(&mut self, name: &Ident, position: u32, known: impl Fn(&Catalog, &QualifiedName) -> bool) {
        let schema = self
            .path
            .iter()
            .find(|schema| known(self.catalog, &QualifiedName::new((*schema).clone(), name.clone())));
        if let (Some(schema), 1..) = (schema, position) {
            self.edits.push(Edit {
                position,
                removed: 0,
                text: format!("{}.", identifier(schema)),
            });
        }
    }

    /// `nextval('seq')` names its sequence in a text.
    fn sequence_argument(&mut self, call: &crate::ast::FunctionCall) {
        let Some(argument) = call.arguments.first() else { return };
        let constant = match &argument.value.kind {
            ExprKind::Cast { expr, .. } => expr,
            _ => &argument.value,
        };
        let ExprKind::String(text) = &constant.kind else { return };
        if text.contains('.') || text.contains('"') {
            return;
        }
        self.qualify(&Ident::new(text), constant.position + 1, |catalog, name| {
            catalog.sequences.contains_key(name)
        });
    }

    fn edits(mut self) -> Vec<Edit> {
        for name in std::mem::take(&mut self.relations) {
            if !self.ctes.contains(&name.name) {
                self.qualify(&name.name, name.position, |catalog, name| {
                    catalog.relations.contains_key(name)
                });
            }
        }
        self.edits
    }
}

/// A view's query with `*` written out, so that columns added later do not appear in it.
///
/// `columns`: what the analysis of exactly this text says of its stars.
pub(super) fn without_stars(text: &str, columns: &HashMap<u32, Vec<Vec<Ident>>>) -> Result<String> {
    let query = parse_query(text)?;
    let mut edits = Vec::new();
    walk::query(&query, &mut |written| {
        if let walk::Written::Item(item) = written
            && matches!(item.expr.kind, ExprKind::Star(_))
            && let Some(columns) = columns.get(&item.expr.position)
        {
            let column = |names: &Vec<Ident>| names.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(".");
            let spelled = columns.iter().map(column);
            edits.push(Edit {
                position: item.expr.position,
                removed: star_length(text, item.expr.position),
                text: spelled.collect::<Vec<_>>().join(", "),
            });
        }
    });
    Ok(edited(text, edits))
}

/// True if a query has a NATURAL JOIN anywhere.
pub(super) fn joins_naturally(text: &str) -> Result<bool> {
    let query = parse_query(text)?;
    let mut natural = false;
    walk::query(&query, &mut |written| {
        natural |= matches!(written, walk::Written::NaturalJoin)
    });
    Ok(natural)
}

/// The text with the constant `from` replaced by `to` at each position; `None` if another thing stands at one.
pub(super) fn replaced_constants(text: &str, positions: &[u32], from: &str, to: &str) -> Option<String> {
    let mut edits = Vec::new();
    for position in positions {
        let before = (*position).checked_sub(1)? as usize;
        let here = text.char_indices().nth(before).map(|(at, _)| &text[at..])?;
        if !here.starts_with(from) {
            return None;
        }
        edits.push(Edit {
            position: *position,
            removed: from.chars().count(),
            text: to.to_owned(),
        });
    }
    Some(edited(text, edits))
}

/// Characters of `a.b.*` that begins at `position`.
fn star_length(text: &str, position: u32) -> usize {
    let mut quoted = false;
    let mut length = 0;
    for character in text.chars().skip(position as usize - 1) {
        length += 1;
        match character {
            '"' => quoted = !quoted,
            '*' if !quoted => break,
            _ => {}
        }
    }
    length
}

/// An expression's text in which a user's object has another name.
pub(super) fn renamed_in_expression(text: &str, rename: &Renamed<'_>) -> Result<String> {
    let expr = parse::expression(text)?;
    let mut edits = Vec::new();
    walk::expression(&expr, &mut |written| rename.edit(text, written, &mut edits));
    Ok(edited(text, edits))
}

/// A query's text in which a user's object has another name.
pub(super) fn renamed_in_query(text: &str, rename: &Renamed<'_>) -> Result<String> {
    let query = parse_query(text)?;
    let mut edits = Vec::new();
    walk::query(&query, &mut |written| rename.edit(text, written, &mut edits));
    Ok(edited(text, edits))
}

/// What is called otherwise now. Stored texts name objects with their schema, so a name is never ambiguous.
pub(super) enum Renamed<'a> {
    /// `own`: where an expression over the relation itself names its columns.
    Relation {
        from: &'a QualifiedName,
        to: &'a QualifiedName,
        own: Option<&'a HashSet<u32>>,
    },
    Type {
        from: &'a QualifiedName,
        to: &'a QualifiedName,
    },
    /// The only function of its name.
    Routine {
        from: &'a QualifiedName,
        to: &'a QualifiedName,
    },
    /// The column references at these positions.
    Column {
        positions: &'a HashSet<u32>,
        from: &'a Ident,
        to: &'a Ident,
    },
}

impl Renamed<'_> {
    fn edit(&self, text: &str, written: walk::Written<'_>, edits: &mut Vec<Edit>) {
        match (self, written) {
            (Renamed::Relation { from, to, .. }, walk::Written::Relation { name, aliased }) if is(name, from) => {
                let mut edit = name_edit(text, name.position, 2, &spelled(to));
                if !aliased {
                    // Other parts of the text know it by its old name.
                    edit.text.push_str(&format!(" AS {}", identifier(&from.name)));
                }
                edits.push(edit);
            }
            (Renamed::Relation { from, to, own }, walk::Written::Column(names, position)) => match names {
                [schema, table, _] if *schema == from.schema && *table == from.name => {
                    let here = own.is_some_and(|own| own.contains(&position));
                    let with = if here { spelled(to) } else { identifier(&from.name) };
                    edits.push(name_edit(text, position, 2, &with));
                }
                [table, _] if *table == from.name && own.is_some_and(|own| own.contains(&position)) => {
                    edits.push(name_edit(text, position, 1, &identifier(&to.name)));
                }
                _ => {}
            },
            (Renamed::Type { from, to }, walk::Written::Type(ty))
                if ty.schema.as_ref() == Some(&from.schema) && ty.name == from.name =>
            {
                edits.push(name_edit(text, ty.position, 2, &spelled(to)));
            }
            (Renamed::Routine { from, to }, walk::Written::Function(call)) if is(&call.name, from) => {
                edits.push(name_edit(text, call.name.position, 2, &spelled(to)));
            }
            (Renamed::Column { positions, from, to }, walk::Written::Column(names, position))
                if positions.contains(&position) && names.last() == Some(*from) =>
            {
                edits.push(last_name_edit(text, position, names.len(), &identifier(to)));
            }
            (Renamed::Column { positions, from, .. }, walk::Written::Item(item)) => {
                // A column of a select list keeps the name that others know it by.
                if let (ExprKind::Column(names), None) = (&item.expr.kind, &item.alias)
                    && positions.contains(&item.expr.position)
                    && names.last() == Some(*from)
                {
                    let end = end_of_names(text, item.expr.position, names.len());
                    edits.push(Edit {
                        position: end,
                        removed: 0,
                        text: format!(" AS {}", identifier(from)),
                    });
                }
            }
            _ => {}
        }
    }
}

fn is(written: &ObjectName, name: &QualifiedName) -> bool {
    written.schema.as_ref() == Some(&name.schema) && written.name == name.name
}

fn spelled(name: &QualifiedName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// Replaces the `parts` names that begin at `position`.
fn name_edit(text: &str, position: u32, parts: usize, with: &str) -> Edit {
    let end = end_of_names(text, position, parts);
    Edit {
        position,
        removed: (end - position) as usize,
        text: with.to_owned(),
    }
}

/// Replaces the last of `parts` names that begin at `position`.
fn last_name_edit(text: &str, position: u32, parts: usize, with: &str) -> Edit {
    let end = end_of_names(text, position, parts);
    let start = match parts {
        0 | 1 => position,
        // Behind the dot.
        _ => end_of_names(text, position, parts - 1) + 1,
    };
    Edit {
        position: start,
        removed: (end - start) as usize,
        text: with.to_owned(),
    }
}

/// The position behind `parts` dotted names. The parser's printer writes them without blanks.
fn end_of_names(text: &str, position: u32, parts: usize) -> u32 {
    let mut left = parts;
    let mut quoted = false;
    let mut at = position;
    for character in text.chars().skip(position as usize - 1) {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '.' => {
                left -= 1;
                if left == 0 {
                    return at;
                }
            }
            other if other.is_alphanumeric() || matches!(other, '_' | '$') => {}
            _ => return at,
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_they_end() {
        assert_eq!(end_of_names("a.b.c = 1", 1, 3), 6);
        assert_eq!(end_of_names("a.b.c = 1", 1, 2), 4);
        assert_eq!(end_of_names("\"a.b\".c", 1, 1), 6);
        assert_eq!(end_of_names("ab", 1, 1), 3);
    }

    #[test]
    fn edits_apply_from_the_left() {
        let edits = vec![
            Edit {
                position: 5,
                removed: 1,
                text: "x".into(),
            },
            Edit {
                position: 1,
                removed: 0,
                text: "s.".into(),
            },
        ];
        assert_eq!(edited("t = é", edits), "s.t = x");
    }
}
