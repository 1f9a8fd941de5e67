//! "Perhaps you meant": the closest known name to one that is not known.
//!
//! Source: the behaviour of Haskell's `fuzzyset` (candidates share a run of letters, scored by edit distance), which
//! PostgREST's hints come from; PostgreSQL's `errorMissingColumn` for columns.

use std::collections::HashMap;

/// Similarity from which a relation or a routine is suggested: a weak likeness would reveal names.
pub const NAME_SCORE_MIN: f64 = 0.75;
/// Similarity from which something is suggested that the caller has named half already.
pub const PART_SCORE_MIN: f64 = 0.33;
/// Candidates whose edit distance is computed, at most.
const CANDIDATES_MAX: usize = 50;
/// PostgreSQL's limit on the distance of a column it suggests.
const COLUMN_DISTANCE_MAX: usize = 3;

/// The best of `names` for `wanted` with its score, if any reaches `score_min`. An equal name scores 1.
pub fn closest<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    wanted: &str,
    score_min: f64,
) -> Option<(f64, &'a str)> {
    ranked(names, wanted, score_min).into_iter().next()
}

/// All of `names` that reach `score_min`, best first.
pub fn ranked<'a>(names: impl Iterator<Item = &'a str> + Clone, wanted: &str, score_min: f64) -> Vec<(f64, &'a str)> {
    let wanted = wanted.to_lowercase();
    if let Some(same) = names.clone().find(|name| name.to_lowercase() == wanted) {
        return vec![(1.0, same)];
    }
    for size in [3, 2] {
        let mut found = alike(names.clone(), &wanted, size);
        for (score, name) in &mut found {
            let name = name.to_lowercase();
            let longest = name.chars().count().max(wanted.chars().count()).max(1);
            *score = 1.0 - distance(&name, &wanted) as f64 / longest as f64;
        }
        found.retain(|(score, _)| *score >= score_min);
        if !found.is_empty() {
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
            return found;
        }
    }
    Vec::new()
}

/// The names that share a run of `size` letters with `wanted`, the likest first.
fn alike<'a>(names: impl Iterator<Item = &'a str>, wanted: &str, size: usize) -> Vec<(f64, &'a str)> {
    let own = grams(wanted, size);
    let own_length = length(&own);
    let mut found: Vec<(f64, &str)> = names
        .filter_map(|name| {
            let other = grams(&name.to_lowercase(), size);
            let shared: usize = own
                .iter()
                .filter_map(|(gram, count)| Some(count * other.get(gram)?))
                .sum();
            (shared > 0).then(|| (shared as f64 / (own_length * length(&other)), name))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.truncate(CANDIDATES_MAX);
    found
}

fn grams(text: &str, size: usize) -> HashMap<Vec<char>, usize> {
    let mut letters = vec!['-'];
    letters.extend(
        text.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' ')),
    );
    letters.push('-');
    let mut counts = HashMap::new();
    for gram in letters.windows(size) {
        *counts.entry(gram.to_vec()).or_insert(0) += 1;
    }
    counts
}

fn length(grams: &HashMap<Vec<char>, usize>) -> f64 {
    grams.values().map(|count| (count * count) as f64).sum::<f64>().sqrt()
}

/// Levenshtein's edit distance.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = if from == *to { diagonal } else { diagonal + 1 };
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The columns PostgreSQL would suggest for a misspelt one: the closest, or the two closest, if they are close enough.
pub fn columns<'a>(known: impl Iterator<Item = &'a str>, wanted: &str) -> Vec<&'a str> {
    let mut best = COLUMN_DISTANCE_MAX + 1;
    let mut found: Vec<&str> = Vec::new();
    for name in known {
        let far = distance(name, wanted);
        if far > COLUMN_DISTANCE_MAX || far > wanted.chars().count() / 2 {
            continue;
        }
        match far.cmp(&best) {
            std::cmp::Ordering::Less => {
                best = far;
                found = vec![name];
            }
            std::cmp::Ordering::Equal => found.push(name),
            std::cmp::Ordering::Greater => {}
        }
    }
    // With more than two as good as each other PostgreSQL says nothing.
    if found.len() > 2 { Vec::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_decides() {
        let tables = ["projects", "clients", "tasks", "films"];
        let best = |wanted, score_min| closest(tables.into_iter(), wanted, score_min).map(|(_, name)| name);
        assert_eq!(best("projecxx", NAME_SCORE_MIN), Some("projects"));
        assert_eq!(best("film", NAME_SCORE_MIN), Some("films"));
        assert_eq!(best("noclosealternative", PART_SCORE_MIN), None);
        assert_eq!(best("fakefake", NAME_SCORE_MIN), None);
        let parameters = ["(name)", "()"];
        assert_eq!(
            closest(parameters.into_iter(), "(nam)", PART_SCORE_MIN).unwrap().1,
            "(name)"
        );
    }

    #[test]
    fn columns_are_suggested_as_postgresql_does() {
        assert_eq!(columns(["id", "name", "client_id"].into_iter(), "nam"), ["name"]);
        assert_eq!(columns(["id", "name"].into_iter(), "whatever"), Vec::<&str>::new());
    }
}
