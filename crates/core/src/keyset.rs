//! Which rows come after a position in an order, as a condition that indexes serve.
//!
//! Neighbouring keys of one direction are compared as one row, `(a, b) > ($1, $2)`: both engines begin such a range in
//! an index where it begins. Nulls are told apart by where they stand.
//! Not here: what the keys are (`plan::Order`), how an engine spells the condition (`backend-*`).
//!
//! Source: PostgreSQL manual, 9.24.5 (row comparison); SQLite documentation, "Row Values", 3.

use std::ops::Range;

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub descending: bool,
    pub nulls_first: bool,
    pub may_be_null: bool,
}

impl Key {
    /// True if rows may follow whose value is null.
    fn ends_with_nulls(self) -> bool {
        self.may_be_null && !self.nulls_first
    }
}

/// A condition on a row's keys. Values are the position's; a key whose value is null there is in no range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// The keys, as one row, are beyond the values: greater, or less where they descend; with `or_equal` also equal.
    Beyond {
        keys: Range<usize>,
        descending: bool,
        or_equal: bool,
    },
    /// Each key is equal to its value.
    Equal {
        keys: Range<usize>,
    },
    IsNull(usize),
    IsNotNull(usize),
    All(Vec<After>),
    Any(Vec<After>),
    /// There is no such row.
    Never,
}

impl After {
    /// True if the first key of no such row is null, so that where nulls stand in its order does not matter.
    pub fn is_past_nulls(&self) -> bool {
        match self {
            After::Beyond { keys, .. } | After::Equal { keys } => keys.start == 0,
            After::IsNotNull(key) => *key == 0,
            After::All(parts) => parts.iter().any(After::is_past_nulls),
            After::Any(parts) => parts.iter().all(After::is_past_nulls),
            After::IsNull(_) => false,
            After::Never => true,
        }
    }
}

/// The condition for rows after a position; `nulls` says for each key whether its value is null there.
pub fn after(keys: &[Key], nulls: &[bool]) -> After {
    after_from(0, keys, nulls)
}

/// The same in two parts, whose rows come one after the other, where nulls of the first key stand on the other side of the
/// position than its values: no index begins a range that has both.
pub fn parts(keys: &[Key], nulls: &[bool]) -> (After, Option<After>) {
    match (keys.first(), nulls.first()) {
        (Some(key), Some(false)) if key.ends_with_nulls() => (beyond(0, keys, nulls), Some(After::IsNull(0))),
        (Some(key), Some(true)) if key.nulls_first => (
            all(vec![After::IsNull(0), after_from(1, keys, nulls)]),
            Some(After::IsNotNull(0)),
        ),
        _ => (after(keys, nulls), None),
    }
}

fn after_from(first: usize, keys: &[Key], nulls: &[bool]) -> After {
    let (Some(key), Some(is_null)) = (keys.get(first), nulls.get(first)) else {
        return After::Never;
    };
    match (is_null, key.nulls_first) {
        (true, true) => any(vec![
            After::IsNotNull(first),
            all(vec![After::IsNull(first), after_from(first + 1, keys, nulls)]),
        ]),
        (true, false) => all(vec![After::IsNull(first), after_from(first + 1, keys, nulls)]),
        (false, _) if key.ends_with_nulls() => any(vec![After::IsNull(first), beyond(first, keys, nulls)]),
        (false, _) => beyond(first, keys, nulls),
    }
}

/// The rows whose first key is no null.
fn beyond(first: usize, keys: &[Key], nulls: &[bool]) -> After {
    let descending = keys[first].descending;
    let mut end = first + 1;
    while end < keys.len() && !nulls[end] && keys[end].descending == descending && !keys[end].ends_with_nulls() {
        end += 1;
    }
    let range = |or_equal| After::Beyond {
        keys: first..end,
        descending,
        or_equal,
    };
    match after_from(end, keys, nulls) {
        After::Never => range(false),
        // The first condition says nothing more, but it is the one that an index can serve.
        rest => all(vec![
            range(true),
            any(vec![range(false), all(vec![After::Equal { keys: first..end }, rest])]),
        ]),
    }
}

fn all(parts: Vec<After>) -> After {
    match parts.contains(&After::Never) {
        true => After::Never,
        false => After::All(parts),
    }
}

fn any(mut parts: Vec<After>) -> After {
    parts.retain(|part| *part != After::Never);
    match parts.len() {
        0 => After::Never,
        1 => parts.remove(0),
        _ => After::Any(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    type Row = Vec<Option<i32>>;

    fn order(keys: &[Key], a: &Row, b: &Row) -> Ordering {
        for (key, (a, b)) in keys.iter().zip(a.iter().zip(b)) {
            let ordering = match (a, b) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) if key.nulls_first => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) if key.nulls_first => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) if key.descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// As SQL has it: `None` is unknown.
    fn holds(condition: &After, row: &Row, position: &Row) -> Option<bool> {
        match condition {
            After::Beyond {
                keys,
                descending,
                or_equal,
            } => {
                for key in keys.clone() {
                    let value = position[key].expect("a null in a comparison");
                    match row[key]?.cmp(&value) {
                        Ordering::Equal => {}
                        found => return Some((found == Ordering::Less) == *descending),
                    }
                }
                Some(*or_equal)
            }
            After::Equal { keys } => {
                let equal = keys.clone().map(|key| {
                    let value = position[key].expect("a null in a comparison");
                    row[key].map(|own| own == value)
                });
                every(equal)
            }
            After::IsNull(key) => Some(row[*key].is_none()),
            After::IsNotNull(key) => Some(row[*key].is_some()),
            After::All(parts) => every(parts.iter().map(|part| holds(part, row, position))),
            After::Any(parts) => {
                let negated = parts.iter().map(|part| holds(part, row, position).map(|holds| !holds));
                every(negated).map(|holds| !holds)
            }
            After::Never => Some(false),
        }
    }

    fn every(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let mut all = Some(true);
        for part in parts {
            match part {
                Some(false) => return Some(false),
                None => all = None,
                Some(true) => {}
            }
        }
        all
    }

    fn rows(keys: &[Key]) -> Vec<Row> {
        keys.iter().fold(vec![Vec::new()], |rows, key| {
            let values: &[Option<i32>] = if key.may_be_null {
                &[None, Some(1), Some(2), Some(3)]
            } else {
                &[Some(1), Some(2), Some(3)]
            };
            rows.iter()
                .flat_map(|row| values.iter().map(move |value| [&row[..], &[*value]].concat()))
                .collect()
        })
    }

    #[test]
    fn exactly_the_rows_after_a_position_pass() {
        let mut each = Vec::new();
        for bits in 0..8 {
            each.push(Key {
                descending: bits & 1 != 0,
                nulls_first: bits & 2 != 0,
                may_be_null: bits & 4 != 0,
            });
        }
        for a in &each {
            for b in &each {
                for c in &each {
                    for keys in [vec![*a], vec![*a, *b], vec![*a, *b, *c]] {
                        let rows = rows(&keys);
                        for position in &rows {
                            let nulls: Vec<bool> = position.iter().map(Option::is_none).collect();
                            let condition = after(&keys, &nulls);
                            for row in &rows {
                                let is_after = order(&keys, row, position) == Ordering::Greater;
                                assert_eq!(
                                    holds(&condition, row, position) == Some(true),
                                    is_after,
                                    "{keys:?} {position:?} {row:?} {condition:?}"
                                );
                                let (first, rest) = parts(&keys, &nulls);
                                let of_part = |part: &After| holds(part, row, position) == Some(true);
                                let (in_first, in_rest) = (of_part(&first), rest.as_ref().is_some_and(of_part));
                                assert_eq!(in_first || in_rest, is_after, "{keys:?} {position:?} {row:?}");
                                assert!(!(in_first && in_rest));
                                let is_past = [(in_first, Some(&first)), (in_rest, rest.as_ref())];
                                for (_, part) in is_past.iter().filter(|(is_in, _)| *is_in) {
                                    assert!(row[0].is_some() || !part.is_some_and(After::is_past_nulls));
                                }
                                // Every row of the first part comes before every one of the rest.
                                if let (true, Some(rest)) = (in_first, &rest) {
                                    let later = rows.iter().filter(|other| holds(rest, other, position) == Some(true));
                                    later.for_each(|other| assert_eq!(order(&keys, row, other), Ordering::Less));
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn keys_of_one_direction_are_one_comparison() {
        let key = |descending| Key {
            descending,
            nulls_first: descending,
            may_be_null: false,
        };
        let beyond = |keys, descending, or_equal| After::Beyond {
            keys,
            descending,
            or_equal,
        };
        assert_eq!(after(&[key(true); 3], &[false; 3]), beyond(0..3, true, false));
        assert_eq!(
            after(&[key(true), key(false)], &[false; 2]),
            After::All(vec![
                beyond(0..1, true, true),
                After::Any(vec![
                    beyond(0..1, true, false),
                    After::All(vec![After::Equal { keys: 0..1 }, beyond(1..2, false, false)])
                ])
            ])
        );
    }
}
