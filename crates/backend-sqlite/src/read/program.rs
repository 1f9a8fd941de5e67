//! A read as the engine runs it: one statement per relation, nested as the embeds are.
//!
//! Lives here: the program's types and whether it may run on the thread that asks.
//! Not here: how it is made (`compile`), how it runs (`run`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mainstay_core::name::Ident;
use mainstay_core::plan::{Cardinality, Format, ValueRef};

use crate::emit::binds::Bind;
use crate::emit::context::ContextValue;
use crate::values::cast::Kind;

/// Runs on reader threads before a program that was found to be long may try the short way again.
const LONG_RUNS: u32 = 1_000;

/// Registered functions whose results differ from call to call, or that look outside the snapshot.
const VOLATILE: [&str; 7] = [
    "ms_random",
    "ms_clock",
    "pg_nextval",
    "pg_currval",
    "pg_setval",
    "pg_call",
    "random(",
];

/// The highest id given to a program.
static PROGRAMS: AtomicU64 = AtomicU64::new(0);

/// A compiled read.
#[derive(Debug)]
pub struct ReadProgram {
    /// Its identity: connections keep what they prepared for it under this number.
    pub id: u64,
    /// The catalog that it was compiled for.
    pub catalog_version: u64,
    pub format: Format,
    pub root: Node,
    pub count: CountPlan,
    /// The root's limit and offset.
    pub page: (Option<ValueRef>, Option<ValueRef>),
    /// The first line of a CSV body.
    pub header: Vec<u8>,
    /// It calls routines that are run.
    pub runs_routine: bool,
    pub pace: Pace,
}

impl ReadProgram {
    /// A number no other program of this process has.
    pub fn next_id() -> u64 {
        PROGRAMS.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// True if a placeholder stands for something of the request's context.
    pub fn reads_request(&self) -> bool {
        any_query(&self.root, &self.count, &Query::reads_request)
    }

    /// True if the answer depends on nothing but the tables, the caller's role and claims, and the values: not on the
    /// time, on chance, on the request's headers, or on what a routine may do.
    pub fn is_repeatable(&self) -> bool {
        !self.runs_routine && !any_query(&self.root, &self.count, &Query::varies)
    }

    /// All statements, one per line: the root's, its embeds' depth first, the count's.
    pub fn sql(&self) -> String {
        let mut text = String::new();
        self.root.append_sql(&mut text);
        if let CountPlan::Query(count) | CountPlan::Bounded { count, .. } = &self.count {
            text.push('\n');
            text.push_str(&count.sql);
        }
        text
    }
}

/// True if `holds` is true of a query of a node, of those below it or of the count.
pub fn any_query(root: &Node, count: &CountPlan, holds: &dyn Fn(&Query) -> bool) -> bool {
    let of_count = match count {
        CountPlan::None | CountPlan::Rows => false,
        CountPlan::Query(query) => holds(query),
        CountPlan::Bounded { count, otherwise, .. } => holds(count) || holds(otherwise),
    };
    of_count || root.any(holds)
}

/// A statement and its placeholders.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub sql: String,
    pub binds: Vec<Bind>,
}

impl Query {
    fn reads_request(&self) -> bool {
        let reads = |bind: &Bind| {
            matches!(
                bind,
                Bind::Context(ContextValue::Setting { .. } | ContextValue::CurrentSchema)
            )
        };
        self.binds.iter().any(reads)
    }

    fn varies(&self) -> bool {
        let varies = |bind: &Bind| match bind {
            Bind::Context(value) => match value {
                ContextValue::Uid
                | ContextValue::Role
                | ContextValue::Email
                | ContextValue::Jwt
                | ContextValue::CurrentUser
                | ContextValue::SessionUser
                | ContextValue::CurrentDatabase => false,
                ContextValue::Now
                | ContextValue::CurrentDate
                | ContextValue::LocalTime
                | ContextValue::LocalTimestamp
                | ContextValue::CurrentSchema
                | ContextValue::Setting { .. } => true,
            },
            _ => false,
        };
        self.binds.iter().any(varies) || VOLATILE.iter().any(|name| self.sql.contains(name))
    }

    /// True if it calls a routine that is run.
    pub fn runs_routine(&self) -> bool {
        self.binds.iter().any(|bind| matches!(bind, Bind::Routine(_)))
    }
}

/// The statement of one relation and how its rows are written.
#[derive(Debug)]
pub struct Node {
    pub query: Query,
    pub members: Vec<Member>,
    pub children: Vec<Child>,
    /// With pages: the columns of the statement that are the order's keys.
    pub keys: Vec<(usize, Kind)>,
}

impl Node {
    fn any(&self, holds: &dyn Fn(&Query) -> bool) -> bool {
        holds(&self.query) || self.children.iter().any(|child| child.node.any(holds))
    }

    fn append_sql(&self, text: &mut String) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.query.sql);
        for child in &self.children {
            child.node.append_sql(text);
        }
    }

    /// The names of the row's members with those of spread embeds in their place.
    pub fn names(&self) -> Vec<&Ident> {
        let mut names = Vec::new();
        for member in &self.members {
            match member {
                Member::Column { name, .. } | Member::Embed { name, .. } | Member::Joined { name, .. } => {
                    names.push(name)
                }
                Member::Spread { child } => names.extend(self.children[*child].node.names()),
            }
        }
        names
    }
}

/// The embeds of one row: a node that is run once per row of its parent.
#[derive(Debug)]
pub struct Child {
    pub node: Node,
    pub cardinality: Cardinality,
    /// (placeholder from 1, column of the parent's statement from 0): what is bound anew for each row.
    pub joins: Vec<(usize, usize)>,
}

/// One member of a row's object.
#[derive(Debug)]
pub enum Member {
    Column {
        name: Ident,
        /// `"name":`
        key: Box<[u8]>,
        /// Of the statement, from 0.
        column: usize,
        kind: Kind,
    },
    Embed {
        name: Ident,
        key: Box<[u8]>,
        child: usize,
    },
    /// A to-one embed that the statement itself reads.
    Joined {
        name: Ident,
        key: Box<[u8]>,
        /// Column that is null where there is no row.
        presence: usize,
        members: Vec<Member>,
    },
    Spread {
        child: usize,
    },
}

/// How the rows that match are counted.
#[derive(Debug)]
pub enum CountPlan {
    /// Not at all.
    None,
    /// The read has neither limit nor offset: its own rows are all there are.
    Rows,
    /// By a statement of its own, in the same snapshot.
    Query(Query),
    /// By a statement that stops at a bound; where more match, by another.
    Bounded {
        count: Query,
        otherwise: Query,
        cap: CountCap,
    },
}

/// Up to where a count is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountCap {
    /// [`Options::estimated_rows_exact`](mainstay_core::plan::Options::estimated_rows_exact).
    Response,
    /// Rows.
    Fixed(u64),
}

/// Whether a program may run on the thread that asks.
#[derive(Debug, Default)]
pub struct Pace {
    state: AtomicU32,
}

const UNKNOWN: u32 = 0;
const SHORT: u32 = 1;
const ALWAYS_LONG: u32 = 2;
/// From here on: runs left on the reader threads, plus this.
const LONG_FROM: u32 = 3;

/// Where a program is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its plan has not been looked at.
    Unknown,
    Here,
    ReaderThread,
}

impl Pace {
    /// Where the next run belongs.
    pub fn place(&self) -> Place {
        match self.state.load(Ordering::Relaxed) {
            UNKNOWN => Place::Unknown,
            SHORT => Place::Here,
            ALWAYS_LONG => Place::ReaderThread,
            runs => {
                // Two runs at once may count as one, which is of no account.
                self.state
                    .store(if runs == LONG_FROM { SHORT } else { runs - 1 }, Ordering::Relaxed);
                Place::ReaderThread
            }
        }
    }

    /// The plan says that it is short.
    pub fn is_short(&self) {
        self.state.store(SHORT, Ordering::Relaxed);
    }

    /// The plan says that it reads whole tables.
    pub fn is_long(&self) {
        self.state.store(ALWAYS_LONG, Ordering::Relaxed);
    }

    /// It used up its steps.
    pub fn ran_long(&self) {
        self.state.store(LONG_FROM + LONG_RUNS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ran_long_gets_another_chance() {
        let pace = Pace::default();
        assert_eq!(pace.place(), Place::Unknown);
        pace.is_short();
        assert_eq!(pace.place(), Place::Here);
        pace.ran_long();
        for _ in 0..=LONG_RUNS {
            assert_eq!(pace.place(), Place::ReaderThread);
        }
        assert_eq!(pace.place(), Place::Here);
        pace.is_long();
        assert_eq!(pace.place(), Place::ReaderThread);
    }
}
