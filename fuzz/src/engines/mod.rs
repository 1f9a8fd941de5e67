//! The two engines, asked in the same words.
//!
//! Lives here: a statement with who runs it, an answer in a form that can be compared.
//! Not here: what is a difference (`compare`), what is asked (`generate`, `regress`).

mod embedded;
mod server;

pub use embedded::Embedded;
pub use server::Server;

/// A failure of the run itself, not of a statement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Who runs a statement; nobody named is the owner.
#[derive(Clone, Debug)]
pub struct Person {
    pub role: &'static str,
    /// `sub` in the token.
    pub user: Option<&'static str>,
}

impl Person {
    /// The token's claims as JSON.
    pub fn claims(&self) -> String {
        match self.user {
            Some(user) => format!(r#"{{"role":"{}","sub":"{user}"}}"#, self.role),
            None => format!(r#"{{"role":"{}"}}"#, self.role),
        }
    }
}

/// One statement.
#[derive(Clone, Debug)]
pub struct Question {
    pub sql: String,
    pub person: Option<Person>,
    /// The columns' types are compared too: a query, or a write with RETURNING.
    pub has_columns: bool,
}

/// What an engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done(Rows),
    Error {
        sqlstate: String,
        message: String,
    },
    /// The embedded engine says that only PostgreSQL can do it.
    Refused(String),
    /// A bug whatever the other engine says: a raw error of the engine below, a panic.
    Broken(String),
}

/// The rows of a statement as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub names: Vec<String>,
    /// As `format_type` spells them; empty where they were not asked for.
    pub types: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows given or changed.
    pub count: Option<u64>,
}

/// The first word of a statement in lower case, comments before it left out.
pub fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("--") {
            rest = after.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(after) = rest.strip_prefix("/*") {
            rest = after.split_once("*/").map_or("", |(_, rest)| rest).trim_start();
        } else {
            break;
        }
    }
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next();
    word.unwrap_or_default().to_ascii_lowercase()
}

/// True for a statement that only reads.
pub fn is_read(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    let writes = |word: &str| {
        lower
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|found| found == word)
    };
    match first_word(sql).as_str() {
        "with" => !["insert", "update", "delete", "merge"].iter().any(|word| writes(word)),
        "select" | "values" | "table" | "" => !["nextval", "setval", "into"].iter().any(|word| writes(word)),
        _ => false,
    }
}
