//! Where a view's columns come from, read from its rewrite rule.
//!
//! PostgreSQL keeps a view's query as a printed node tree (`pg_rewrite.ev_action`); each entry of the outermost target
//! list names the table and column it stands for (`resorigtbl`, `resorigcol`). Only those few fields are read.
//!
//! Source: `outfuncs.c` of PostgreSQL 15 for the tree's text, `parse_target.c` (`markTargetListOrigins`) for its meaning.

use std::collections::HashMap;

/// Views on views, at most.
const DEPTH_MAX: usize = 100;

/// A column of a relation: relation OID and column number.
pub type Origin = (u32, i16);

/// For each view (by OID) and column number, the column it shows; only columns that are shown as they stand.
#[derive(Debug, Default)]
pub struct Origins {
    direct: HashMap<u32, HashMap<i16, Origin>>,
}

impl Origins {
    /// Adds a view's rule.
    pub fn add(&mut self, view: u32, tree: &str) {
        self.direct.insert(view, target_origins(tree));
    }

    /// The table column that `column` of `view` shows, through any views between.
    pub fn base(&self, view: u32, column: i16) -> Option<Origin> {
        let mut found = *self.direct.get(&view)?.get(&column)?;
        for _ in 0..DEPTH_MAX {
            let Some(further) = self.direct.get(&found.0) else {
                return Some(found);
            };
            found = *further.get(&found.1)?;
        }
        None
    }
}

/// Reads the outermost query's target list: column number → origin.
fn target_origins(tree: &str) -> HashMap<i16, Origin> {
    let mut found = HashMap::new();
    let mut tokens = Tokens {
        bytes: tree.as_bytes(),
        at: 0,
    };
    // The nodes we are inside of; entries of the outermost target list are at depth TARGET_DEPTH.
    let mut depth = 0_usize;
    let mut list_depth: Option<usize> = None;
    let mut entry = Entry::default();
    while let Some(token) = tokens.next() {
        match token {
            b"{" | b"(" => {
                depth += 1;
                if list_depth.is_some_and(|list| depth == list + 2) {
                    entry = Entry::default();
                }
            }
            b"}" | b")" => {
                if let Some(list) = list_depth {
                    if depth == list + 2 {
                        entry.add_to(&mut found);
                    }
                    if depth == list + 1 {
                        // The outermost target list is over.
                        return found;
                    }
                }
                depth = depth.saturating_sub(1);
            }
            // The rule is a list `(` of one `{QUERY`, so the outermost query's own fields are at depth 2.
            b":targetList" if depth == 2 && list_depth.is_none() => {
                if tokens.peek() != Some(b"(".as_slice()) {
                    return found;
                }
                list_depth = Some(depth);
            }
            field if list_depth.is_some_and(|list| depth == list + 2) => match field {
                b":resno" => entry.number = tokens.number(),
                b":resorigtbl" => entry.relation = tokens.number(),
                b":resorigcol" => entry.column = tokens.number(),
                b":resjunk" => entry.junk = tokens.next() == Some(b"true".as_slice()),
                _ => {}
            },
            _ => {}
        }
    }
    found
}

#[derive(Default)]
struct Entry {
    number: Option<i64>,
    relation: Option<i64>,
    column: Option<i64>,
    junk: bool,
}

impl Entry {
    fn add_to(&self, found: &mut HashMap<i16, Origin>) {
        let (Some(number), Some(relation), Some(column)) = (self.number, self.relation, self.column) else {
            return;
        };
        if self.junk || relation == 0 || column <= 0 {
            return;
        }
        if let (Ok(number), Ok(relation), Ok(column)) =
            (i16::try_from(number), u32::try_from(relation), i16::try_from(column))
        {
            found.insert(number, (relation, column));
        }
    }
}

/// Splits the tree's text: braces and parentheses stand alone, a backslash takes the meaning off the next character.
struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let first = *self.bytes.get(start)?;
        self.at += 1;
        if matches!(first, b'{' | b'}' | b'(' | b')') {
            return Some(&self.bytes[start..self.at]);
        }
        if first == b'\\' {
            self.at += 1;
        }
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'{' | b'}' | b'(' | b')' => break,
                byte if byte.is_ascii_whitespace() => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        Some(&self.bytes[start..self.at])
    }

    fn peek(&self) -> Option<&'a [u8]> {
        Tokens {
            bytes: self.bytes,
            at: self.at,
        }
        .next()
    }

    fn number(&mut self) -> Option<i64> {
        std::str::from_utf8(self.next()?).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = r"({QUERY :rtable ({RANGETBLENTRY :subquery {QUERY :targetList ({TARGETENTRY :resno 9 :resorigtbl 1 :resorigcol 1 :resjunk false})} :eref {ALIAS :aliasname a\ b\{ :colnames ({x} \))}}) :targetList ({TARGETENTRY :expr {VAR :varno 3} :resno 1 :resname id :ressortgroupref 0 :resorigtbl 16386 :resorigcol 2 :resjunk false} {TARGETENTRY :expr {FUNCEXPR :args ({TARGETENTRY :resno 7 :resorigtbl 5 :resorigcol 5})} :resno 2 :resname n :resorigtbl 0 :resorigcol 0 :resjunk false} {TARGETENTRY :expr {VAR} :resno 3 :resorigtbl 16386 :resorigcol 4 :resjunk true}) :returningList ({TARGETENTRY :resno 4 :resorigtbl 8 :resorigcol 8 :resjunk false})})";

    #[test]
    fn only_the_outermost_target_list_counts() {
        let found = target_origins(TREE);
        assert_eq!(found, HashMap::from([(1, (16386, 2))]));
        assert!(target_origins("({QUERY :targetList <> :x 1})").is_empty());
        assert!(target_origins("({QUERY :targetList ({TARGET").is_empty());
    }

    #[test]
    fn views_on_views_lead_to_the_table_and_circles_to_nothing() {
        let mut origins = Origins::default();
        origins.direct.insert(10, HashMap::from([(1, (20, 2))]));
        origins.direct.insert(20, HashMap::from([(2, (30, 3))]));
        assert_eq!(origins.base(10, 1), Some((30, 3)));
        assert_eq!(origins.base(10, 2), None);
        origins.direct.insert(30, HashMap::from([(3, (10, 1))]));
        assert_eq!(origins.base(10, 1), None);
    }
}
