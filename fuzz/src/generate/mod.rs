//! From a seed to a case: a schema, its rows, and statements over them.
//!
//! | module | what |
//! |---|---|
//! | [`values`] | literals worth trying |
//! | [`surface`] | functions, operators and casts, from the analyser's own tables |
//! | [`expression`] | typed expressions |
//! | [`schema`] | types, tables, indexes, views |
//! | [`routines`] | functions and triggers |
//! | [`access`] | grants and policies |
//! | [`query`] [`write`] | statements |
//!
//! Invariant: the same seed gives the same case.

pub mod access;
pub mod expression;
pub mod query;
pub mod routines;
pub mod schema;
pub mod surface;
pub mod values;
pub mod write;

use self::routines::Routine;
use self::schema::{Kind, Schema};
use self::surface::Surface;
use crate::compare::Terms;
use crate::engines::{Person, Question};
use crate::random::Random;
use crate::tree::Node;

/// Statements over one schema.
const STATEMENTS: usize = 40;

/// Rows that a table begins with, at most.
const ROWS: usize = 9;

/// One statement of a case.
#[derive(Clone, Debug)]
pub struct Step {
    pub node: Node,
    pub terms: Terms,
    pub has_columns: bool,
    /// Nobody: the owner.
    pub person: Option<Person>,
    /// A look at a table, or a sequence set: not counted as a case.
    pub is_care: bool,
}

impl Step {
    fn plain(node: Node) -> Self {
        Step {
            node,
            terms: Terms::default(),
            has_columns: false,
            person: None,
            is_care: false,
        }
    }

    fn care(text: String) -> Self {
        Step {
            is_care: true,
            ..Step::plain(Node::text(text))
        }
    }

    pub fn question(&self) -> Question {
        Question {
            sql: self.node.to_string(),
            person: self.person.clone(),
            has_columns: self.has_columns,
        }
    }
}

/// The steps of the case that `seed` stands for.
pub fn case(seed: u64, surface: &Surface) -> Vec<Step> {
    let mut random = Random::new(seed);
    // Domains, functions and triggers in every second case: what they find is easier to read without the rest.
    let is_wide = seed % 2 == 1;
    let mut schema = schema::schema(&mut random, surface, is_wide);
    if is_wide {
        routines::routines(&mut random, surface, &mut schema);
    }
    let has_access = random.chance(40);
    if has_access {
        access::access(&mut random, surface, &mut schema);
    }
    let Schema {
        statements,
        relations,
        routines,
        has_log,
        ..
    } = schema;
    // What PostgreSQL leaves out of a query is not checked either.
    let apart: Vec<Routine> = routines.iter().filter(|routine| !routine.reads).cloned().collect();
    let mut steps: Vec<Step> = statements.into_iter().map(Step::plain).collect();
    for relation in relations.iter().filter(|relation| relation.kind == Kind::Table) {
        let rows = random.below(ROWS + 1);
        let mut writes = write::Writes {
            random: &mut random,
            surface,
            relations: &relations,
            routines: &apart,
        };
        for (number, made) in writes.fill(relation, rows).into_iter().enumerate() {
            steps.push(Step {
                terms: made.terms,
                ..Step::plain(made.node)
            });
            rest(&mut steps, relation, 100 + number);
        }
    }
    for number in 0..STATEMENTS {
        let person = (has_access && random.chance(60)).then(|| access::person(&mut random));
        if random.chance(65) {
            let made = query::Queries {
                random: &mut random,
                surface,
                relations: &relations,
                has_subqueries: person.is_none(),
                routines: if person.is_none() { &routines } else { &apart },
            }
            .query();
            steps.push(Step {
                terms: Terms {
                    may_fail_twice: made.terms.may_fail_twice || person.is_some(),
                    ..made.terms
                },
                person,
                has_columns: true,
                ..Step::plain(made.node)
            });
            continue;
        }
        let made = write::Writes {
            random: &mut random,
            surface,
            relations: &relations,
            routines: &apart,
        }
        .write();
        steps.push(Step {
            terms: made.terms,
            person,
            has_columns: made.returns,
            ..Step::plain(made.node)
        });
        for relation in relations.iter().filter(|relation| relation.kind == Kind::Table) {
            rest(&mut steps, relation, 1000 + number);
            let mut look = Step::care(format!("select * from {}", relation.name));
            look.has_columns = true;
            steps.push(look);
        }
        if has_log {
            let mut look = Step::care(format!("select * from {}", self::routines::LOG));
            look.has_columns = true;
            steps.push(look);
        }
    }
    steps
}

/// Sets a table's sequence, because PostgreSQL leaves gaps where a statement fails (documented difference 3).
fn rest(steps: &mut Vec<Step>, relation: &schema::Relation, number: usize) {
    if relation.has_sequence() {
        steps.push(Step::care(format!(
            "select setval(pg_get_serial_sequence('{}', 'id'), {number})",
            relation.name
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_case_that_parses() {
        let surface = Surface::new();
        for seed in 0..20 {
            let texts =
                |seed| -> Vec<String> { case(seed, &surface).iter().map(|step| step.node.to_string()).collect() };
            let steps = texts(seed);
            assert_eq!(steps, texts(seed));
            assert!(steps.len() > STATEMENTS);
            for step in steps {
                mainstay_sql::parse::parse(&step).unwrap_or_else(|error| panic!("{step}\n{error}"));
            }
        }
    }
}
