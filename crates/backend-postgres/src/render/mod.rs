//! Spells a plan in PostgreSQL's SQL. Pure.
//!
//! Lives here: what is sent for a plan and how its rows are to be read ([`Rendered`], [`Variant`]).
//! Not here: running it (`run`), values (they are bound), who may see what (the database decides, as the role).
//! Values are bound as text of unknown type, so PostgreSQL gives each the type of its neighbour and its own errors.
//! Embeds are correlated subqueries that return `ROW(…)` or `array_agg(ROW(…))`: one statement, JSON written in Rust.

mod call;
mod document;
mod domains;
mod filter;
mod group;
mod keyset;
mod named;
mod read;
pub mod sql;
mod write;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use mainstay_core::catalog::{MediaHandler, Representation};
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::plan::{Action, Count, Explain, Format, Plan};

use crate::decode::{Cell, Member, Shape};
use crate::wire::StatementText;
use sql::{Alias, Param, Sql};

/// Parameters of one statement, at most (the wire's 16-bit count).
const PARAMETERS_MAX: usize = 65_535;

/// A plan and its statements, made when first needed.
#[derive(Debug)]
pub struct Rendered {
    pub plan: Plan,
    representations: Arc<Vec<Representation>>,
    variants: [OnceLock<Arc<Variant>>; 4],
    /// The same plan, explained with its count.
    costed: OnceLock<Arc<Rendered>>,
    is_estimate: bool,
}

/// The planner's numbers, as JSON.
const ESTIMATE: Explain = Explain {
    json: true,
    analyze: false,
    verbose: false,
    settings: false,
    buffers: false,
    wal: false,
};

/// What the same plan's text depends on besides the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The session's time zone is not UTC, so PostgreSQL renders `timestamptz`.
    pub local_time: bool,
    /// Arguments of a call come as JSON values instead of text.
    pub json_arguments: bool,
}

/// A statement and what else goes with it.
#[derive(Debug)]
pub struct Variant {
    pub main: Part,
    /// Counts the rows without limit and offset.
    pub count: Option<Part>,
    /// `EXPLAIN (FORMAT JSON)` of the same rows.
    pub explain: Option<Part>,
    pub result: ResultKind,
    /// Result formats of `main`.
    pub formats: Vec<i16>,
    /// Column names of the trailing text fields of each row, for `Location`.
    pub location: Vec<Ident>,
    /// Trailing text fields of each row that are the order's keys.
    pub keys_shown: usize,
    /// For each column the type OIDs it may have (empty: any); none at all: not checked.
    pub expected_oids: Vec<&'static [u32]>,
}

/// One statement with its parameters.
#[derive(Debug)]
pub struct Part {
    pub statement: StatementText,
    pub params: Vec<Param>,
}

/// How `main`'s rows are read.
#[derive(Debug)]
pub enum ResultKind {
    /// Nothing but the command tag.
    Tag,
    /// Nothing at all: a void routine.
    Void,
    /// One object per row.
    Rows(Shape),
    /// One row: all objects as an array of records, and their number without limit and offset.
    RowsAndTotal(Shape),
    /// One bare value per row.
    Bare(Cell),
    /// The lines of a plan.
    Explained,
    /// One row: a document as it is, and the number of rows that it is made of.
    Document,
}

impl Variant {
    /// Fields of a row before those for `Location`.
    pub fn main_fields(&self) -> usize {
        match &self.result {
            ResultKind::Rows(shape) => shape.members.len(),
            _ => 0,
        }
    }
}

impl Rendered {
    /// Renders the usual variant at once, so that a plan that cannot be spelled fails here.
    pub fn new(plan: Plan, representations: Arc<Vec<Representation>>) -> Result<Self, BackendError> {
        Rendered::of(plan, representations, false)
    }

    fn of(plan: Plan, representations: Arc<Vec<Representation>>, is_estimate: bool) -> Result<Self, BackendError> {
        let rendered = Rendered {
            plan,
            representations,
            variants: Default::default(),
            costed: OnceLock::new(),
            is_estimate,
        };
        rendered.variant(Situation::default())?;
        Ok(rendered)
    }

    /// The statement for `situation`.
    pub fn variant(&self, situation: Situation) -> Result<Arc<Variant>, BackendError> {
        let slot = &self.variants[usize::from(situation.local_time) + 2 * usize::from(situation.json_arguments)];
        if let Some(variant) = slot.get() {
            return Ok(variant.clone());
        }
        let variant = Arc::new(render(self, situation)?);
        Ok(slot.get_or_init(|| variant).clone())
    }

    /// The statement that estimates what this one costs, its count included.
    pub fn costed(&self) -> Result<Arc<Rendered>, BackendError> {
        if let Some(costed) = self.costed.get() {
            return Ok(costed.clone());
        }
        let plan = Plan {
            explain: Some(ESTIMATE),
            ..self.plan.clone()
        };
        let costed = Arc::new(Rendered::of(plan, self.representations.clone(), true)?);
        Ok(self.costed.get_or_init(|| costed).clone())
    }

    /// The main statement's text as usually sent.
    pub fn text(&self) -> Arc<str> {
        self.variants[0]
            .get()
            .map(|variant| variant.main.statement.sql.clone())
            .unwrap_or_default()
    }

    /// True if the plan changes rows.
    pub fn writes(&self) -> bool {
        matches!(
            self.plan.action,
            Action::Insert(_) | Action::Update(_) | Action::Delete(_)
        )
    }
}

/// Writes one statement: hands out aliases and knows the plan's circumstances.
struct Renderer {
    format: Format,
    situation: Situation,
    aliases: usize,
    /// The aggregate that makes a document of the rows.
    handler: Option<Arc<MediaHandler>>,
    representations: Arc<Vec<Representation>>,
    /// The alias whose rows carry themselves in [`read::KEPT_ROW`].
    kept_row: Option<Alias>,
}

impl Renderer {
    fn alias(&mut self, letter: char) -> Alias {
        self.aliases += 1;
        Alias::numbered(letter, self.aliases)
    }

    fn strip_nulls(&self) -> bool {
        self.format == Format::JsonStripNulls
    }
}

fn render(rendered: &Rendered, situation: Situation) -> Result<Variant, BackendError> {
    let plan = &rendered.plan;
    let mut renderer = Renderer {
        format: plan.format,
        situation,
        aliases: 0,
        handler: plan.handler.clone(),
        representations: rendered.representations.clone(),
        kept_row: None,
    };
    let variant = match &plan.action {
        Action::Read(read) => renderer.read_statement(read),
        Action::Insert(insert) => renderer.insert_statement(insert),
        Action::Update(update) => renderer.update_statement(update),
        Action::Delete(delete) => renderer.delete_statement(delete),
        Action::Call(call) => renderer.call_statement(call),
    }?;
    Ok(match plan.explain {
        Some(explain) if rendered.is_estimate => explained(variant, explain),
        Some(explain) => Variant {
            count: None,
            ..explained(variant, explain)
        },
        None => variant,
    })
}

/// The plans of the same statement and its count.
fn explained(variant: Variant, explain: Explain) -> Variant {
    let mut text = format!("EXPLAIN (FORMAT {}", if explain.json { "JSON" } else { "TEXT" });
    for (is_wanted, option) in [
        (explain.analyze, ", ANALYZE"),
        (explain.verbose, ", VERBOSE"),
        (explain.settings, ", SETTINGS"),
        (explain.buffers, ", BUFFERS"),
        (explain.wal, ", WAL"),
    ] {
        text.push_str(if is_wanted { option } else { "" });
    }
    text.push_str(") ");
    let explained = |part: Part| Part {
        statement: StatementText::new(format!("{text}{}", part.statement.sql)),
        params: part.params,
    };
    Variant {
        main: explained(variant.main),
        count: variant.count.map(explained),
        explain: None,
        result: ResultKind::Explained,
        formats: vec![0],
        location: Vec::new(),
        keys_shown: 0,
        expected_oids: Vec::new(),
    }
}

fn part(sql: Sql) -> Result<Part, BackendError> {
    let (text, params) = sql.finish();
    if params.len() > PARAMETERS_MAX {
        let error = mainstay_core::error::DatabaseError::new("54000", "the request has too many values")
            .hint(format!("At most {PARAMETERS_MAX} values fit one statement."));
        return Err(error.into());
    }
    Ok(Part {
        statement: StatementText::new(text),
        params,
    })
}

/// Formats and expected type OIDs of a row of `shape` with `trailing` text fields after it.
fn wire_formats(shape: &Shape, format: Format, trailing: usize) -> (Vec<i16>, Vec<&'static [u32]>) {
    let mut formats = Vec::new();
    let mut oids = Vec::new();
    for member in &shape.members {
        match member {
            Member::Value { cell, .. } => {
                let embedded = matches!(cell, Cell::Row(_) | Cell::Rows(_));
                formats.push(i16::from(embedded || format != Format::Csv));
                oids.push(if embedded || format != Format::Csv {
                    cell.oids()
                } else {
                    &[]
                });
            }
            Member::SpreadOne(_) => {
                formats.push(1);
                oids.push(&[2249]);
            }
            Member::SpreadMany(_) => {
                formats.push(1);
                oids.push(&[2287]);
            }
        }
    }
    formats.extend(std::iter::repeat_n(1, trailing));
    oids.extend(std::iter::repeat_n::<&'static [u32]>(&[25], trailing));
    if formats.iter().all(|code| *code == 1) && !formats.is_empty() {
        formats.truncate(1);
    }
    (formats, oids)
}

fn wants_count(count: Count) -> bool {
    matches!(count, Count::Exact | Count::Estimated)
}
