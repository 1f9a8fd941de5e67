//! The tree of a read as the request draws it: each embed with the filters, orders and windows that were sent for it.
//! Nothing is resolved yet, but a filter on something that is not embedded is refused here.

use super::template::WindowRef;
use crate::error::Error;
use crate::request::range::Windows;
use crate::request::reader::Reader;
use crate::request::syntax::{EmbedItem, EmbedPath, Filter, JoinKind, LogicTree, OrderTerm, SelectItem};
use crate::request::{Query, grammar};

/// Embeds in one request, at most.
const EMBEDS_MAX: usize = 100;
/// Sort keys of one level of a response.
const ORDER_TERMS_MAX: usize = 100;
/// Members of one level of a response; PostgreSQL takes 1,664 columns, SQLite 2,000.
const MEMBERS_MAX: usize = 1_600;

/// One level of a read.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The relation's name as requested.
    pub name: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    pub is_inner: bool,
    pub is_spread: bool,
    /// Fields without the embeds, which are in `children`.
    pub fields: Vec<SelectItem>,
    pub conditions: Vec<Condition>,
    pub order: Vec<OrderTerm>,
    pub window: Option<WindowRef>,
    pub children: Vec<Branch>,
    /// 0 at the root.
    pub depth: u32,
    /// It has an alias and was named by its relation all the same.
    pub is_named_by_target: bool,
}

/// A filter or a tree of them.
#[derive(Clone, Debug)]
pub enum Condition {
    Filter(Filter),
    Logic(LogicTree),
}

/// Which parts of a query the tree takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A read: everything.
    Everything,
    /// What a write gives back: filters of embeds only, no windows.
    Returned,
}

impl Branch {
    /// Draws the tree for a relation.
    ///
    /// Errors: `PGRST108` for a filter, order or window of something that is not embedded, `PGRST100` for a window's
    /// path that cannot be read, `MS-DATA-001` for too many embeds.
    pub fn draw(
        relation: &str,
        query: &Query,
        windows: &Windows,
        scope: Scope,
        legacy_target_names: bool,
    ) -> Result<Branch, Error> {
        if query.select.len() > MEMBERS_MAX {
            return Err(Error::TooMany {
                what: "members of select",
                max: MEMBERS_MAX,
            });
        }
        let mut root = Branch::new(relation.to_owned(), &query.select, 0);
        if root.embeds() > EMBEDS_MAX {
            return Err(Error::TooMany {
                what: "embeds",
                max: EMBEDS_MAX,
            });
        }
        let taken = |path: &EmbedPath| scope == Scope::Everything || !path.is_empty();
        for (path, filter) in query.filters.iter().filter(|(path, _)| taken(path)) {
            root.find(path, legacy_target_names)?
                .conditions
                .push(Condition::Filter(filter.clone()));
        }
        for (path, terms) in &query.order {
            if terms.len() > ORDER_TERMS_MAX {
                return Err(Error::TooMany {
                    what: "sort keys",
                    max: ORDER_TERMS_MAX,
                });
            }
            root.find(path, legacy_target_names)?.order.clone_from(terms);
        }
        if scope == Scope::Everything {
            root.window = Some(WindowRef::Root);
            for (position, (path, _)) in windows.embeds.iter().enumerate() {
                let path = embed_path(path)?;
                root.find(&path, legacy_target_names)?.window = Some(WindowRef::Embed(position));
            }
        }
        for (path, tree) in query.logic.iter().filter(|(path, _)| taken(path)) {
            root.find(path, legacy_target_names)?
                .conditions
                .push(Condition::Logic(tree.clone()));
        }
        Ok(root)
    }

    fn new(name: String, items: &[SelectItem], depth: u32) -> Branch {
        let mut branch = Branch {
            name,
            alias: None,
            hint: None,
            is_inner: false,
            is_spread: false,
            fields: Vec::new(),
            conditions: Vec::new(),
            order: Vec::new(),
            window: None,
            children: Vec::new(),
            depth,
            is_named_by_target: false,
        };
        for item in items {
            match item {
                SelectItem::Embed(EmbedItem {
                    relation,
                    alias,
                    hint,
                    join,
                    is_spread,
                    items,
                }) => {
                    let mut child = Branch::new(relation.clone(), items, depth + 1);
                    child.alias.clone_from(alias);
                    child.hint.clone_from(hint);
                    child.is_inner = *join == Some(JoinKind::Inner);
                    child.is_spread = *is_spread;
                    branch.children.push(child);
                }
                other => branch.fields.push(other.clone()),
            }
        }
        branch
    }

    /// The key under which filters and the response know it.
    pub fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }

    /// True if every column is shown and nothing else: no `select`, or `select=*`.
    pub fn shows_rows_as_they_are(&self) -> bool {
        self.children.is_empty() && matches!(self.fields.as_slice(), [] | [SelectItem::All])
    }

    /// True if it shows nothing: `clients()`, also with only such things inside.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.children.iter().all(Branch::is_empty)
    }

    /// The embeds that have an alias and were named by their relation: relation and alias.
    pub fn named_by_target(&self, found: &mut Vec<(String, String)>) {
        if let (true, Some(alias)) = (self.is_named_by_target, &self.alias) {
            found.push((self.name.clone(), alias.clone()));
        }
        self.children.iter().for_each(|child| child.named_by_target(found));
    }

    fn embeds(&self) -> usize {
        self.children.iter().map(|child| 1 + child.embeds()).sum()
    }

    fn find(&mut self, path: &[String], legacy: bool) -> Result<&mut Branch, Error> {
        let Some((wanted, rest)) = path.split_first() else {
            return Ok(self);
        };
        let by_target = |child: &Branch| child.name == *wanted || child.alias.as_deref() == Some(wanted);
        let position = self.children.iter().position(|child| {
            if legacy {
                by_target(child)
            } else {
                child.key() == wanted
            }
        });
        let Some(position) = position else {
            let renamed = self
                .children
                .iter()
                .find(|child| !legacy && by_target(child))
                .and_then(|child| Some((child.name.clone(), child.alias.clone()?)));
            return Err(Error::NotEmbedded {
                target: wanted.clone(),
                renamed,
            });
        };
        let child = &mut self.children[position];
        if child.name == *wanted && child.alias.as_ref().is_some_and(|alias| alias != wanted) {
            child.is_named_by_target = true;
        }
        child.find(rest, legacy)
    }
}

/// `clients.projects` as names.
fn embed_path(path: &str) -> Result<EmbedPath, Error> {
    let whole = format!("{path}.limit");
    Reader::read(&whole, grammar::tree_path)
        .map(|(path, _)| path)
        .map_err(|report| Error::QueryParameter {
            message: format!(
                "\"failed to parse tree path ({whole})\" (line {}, column {})",
                report.line, report.column
            ),
            details: report.text,
        })
}
