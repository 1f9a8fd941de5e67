//! The command line: what it takes and how it explains itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  mainstay init shop --template shop   make a project to look around in
  mainstay dev shop                    serve it, apply its migrations, fill it with example rows
  mainstay import people.csv shop      bring a file into a table; shows what it guesses and asks
  mainstay keys shop                   print the keys that clients need
  mainstay test shop                   try who may do what: supabase/tests/*.policy.toml
  mainstay why --as anon 'GET /rest/v1/orders' shop   say which grant or policy decides
  mainstay migrate new \"add invoices\"  begin a migration, then write PostgreSQL into it
  mainstay serve shop --migrate        serve it in production
  mainstay serve shop --database-url postgres://app@db/app   the same project on PostgreSQL
  mainstay grow shop --to postgres://app@db/app   carry everything over, and prove both sides equal

A project is a folder with supabase/ in it: config.toml, migrations/, seed.sql. Data lives in .mainstay/ beside it.";

/// The whole back end of a website or app in one program.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, about, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new project
    Init(Init),
    /// Serve a project while you work on it: migrations are applied as you write them, an empty database is seeded
    Dev(Serve),
    /// Serve a project in production: migrations must have been applied
    Serve(Serve),
    /// Apply, list, begin and check migrations
    #[command(subcommand)]
    Migrate(Migrate),
    /// Ask the database, or begin it anew
    #[command(subcommand)]
    Db(Db),
    /// Run the project's policy tests, supabase/tests/*.policy.toml, on a database of their own
    Test(Test),
    /// Say why a request is answered as it is: which grant or policy decides, and with which values
    Why(Why),
    /// Carry the whole database to PostgreSQL, or back into a file, and prove both sides equal
    Grow(Grow),
    /// Bring in a file (CSV, JSON, NDJSON, SQLite) or a PostgreSQL database; what is guessed is shown before anything is written
    Import(Import),
    /// The people who sign in: list, make, ban, sign out, delete, import them; also while a server runs
    #[command(subcommand)]
    Users(Users),
    /// Print the project's API keys, or change the key that signs access tokens
    Keys(Keys),
    /// Write the database's types for typed clients, as `supabase gen types` does
    Types(Types),
    /// Look for what is wrong: settings, keys, database, migrations, tables open to the world
    Doctor(Target),
}

/// Which project, which database.
#[derive(Debug, Args)]
pub struct Target {
    /// The project's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// sqlite:PATH or postgres://…; the default is the project's own file, .mainstay/data.db
    #[arg(long, value_name = "URL", env = "MAINSTAY_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The project's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// postgres://…: a server on which a database is made for the run and dropped; the default is the embedded engine
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Only tests whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Do not print who may do what
    #[arg(long)]
    pub no_matrix: bool,
}

#[derive(Debug, Args)]
pub struct Why {
    /// Method and path with its query, such as 'GET /rest/v1/orders?id=eq.7'
    pub request: String,
    #[command(flatten)]
    pub target: Target,
    /// For whom: a role such as anon, a user's id, claims as a JSON object, or a token
    #[arg(long = "as", value_name = "USER", allow_hyphen_values = true)]
    pub stand_in: String,
    /// The body of a write, JSON
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// A preference of the request, such as return=representation; may be given more than once
    #[arg(long, value_name = "PREFERENCE")]
    pub prefer: Vec<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Grow {
    /// The project and the database to carry away from
    #[command(flatten)]
    pub source: Target,
    /// The database to carry into: postgres://… or sqlite:PATH, without tables; or one that an interrupted move left
    #[arg(
        long,
        value_name = "URL",
        env = "MAINSTAY_GROW_TO",
        hide_env_values = true,
        required_unless_present = "abandon"
    )]
    pub to: Option<String>,
    /// Leave the source open for writes at the end: the target is a copy, and what is written later is not in it
    #[arg(long)]
    pub copy: bool,
    /// Take a move back, wherever it stands: the source takes writes again; nothing is changed on the target
    #[arg(long, conflicts_with_all = ["copy"])]
    pub abandon: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    /// A file (.csv, .tsv, .json, .ndjson, .jsonl; .db, .sqlite: all its tables; .sql: a dump) or postgres://…, a whole database
    pub source: String,
    #[command(flatten)]
    pub target: Target,
    /// The table; made by a new migration if it is not there [default: the file's name]
    #[arg(long, value_name = "TABLE")]
    pub into: Option<String>,
    /// A column's type in place of the guessed one, such as zip=text; may be given more than once
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
    /// The columns that tell rows apart, separated by commas, in place of the guessed ones
    #[arg(long, value_name = "COLUMNS")]
    pub key: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make; it may exist if it holds no project
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Template::Empty)]
    pub template: Template,
}

/// Projects to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Settings and an empty migrations folder
    Empty,
    /// A small shop: customers, products, orders, rules, and a page
    Shop,
}

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub target: Target,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1 and the port of config.toml, 54321]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Apply pending migrations before serving (`dev` always does)
    #[arg(long)]
    pub migrate: bool,
}

#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply the migrations that have not been applied, each in one transaction
    Up {
        #[command(flatten)]
        target: Target,
        /// Also apply migrations older than the last one applied
        #[arg(long)]
        include_all: bool,
    },
    /// List the migrations and say which have been applied, edited or lost
    Status {
        #[command(flatten)]
        target: Target,
    },
    /// Make an empty migration file
    New {
        /// What it does, in a few words
        name: String,
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Say whether the migrations can be applied, line by line, without keeping anything
    Check {
        #[command(flatten)]
        target: Target,
        /// Print JSON, one object for each remark
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Db {
    /// Run SQL and print the rows; read-only unless --write is given
    Query {
        /// PostgreSQL text; `-` reads it from standard input
        sql: String,
        #[command(flatten)]
        target: Target,
        /// Let the statements write
        #[arg(long)]
        write: bool,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Write the database as SQL that PostgreSQL and Mainstay can load
    Dump(Dump),
    /// Write the SQL that leads from what the migrations make to what the database is
    Diff(Diff),
    /// Drop everything, apply all migrations, seed
    Reset {
        #[command(flatten)]
        target: Target,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Dump {
    #[command(flatten)]
    pub target: Target,
    /// Only the objects, no rows
    #[arg(long, conflicts_with = "data_only")]
    pub schema_only: bool,
    /// Only the rows
    #[arg(long)]
    pub data_only: bool,
    /// Only this schema (may be given several times); else all but the platform's own
    #[arg(long, short, value_name = "NAME")]
    pub schema: Vec<String>,
    /// Also the rows of auth.users and its sisters, with their password hashes
    #[arg(long, conflicts_with_all = ["schema_only", "schema"])]
    pub auth_rows: bool,
    /// Leave out CREATE ROLE and memberships
    #[arg(long)]
    pub no_roles: bool,
    /// Write here instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Diff {
    #[command(flatten)]
    pub target: Target,
    /// Only this schema (may be given several times); else all but the platform's own
    #[arg(long, short, value_name = "NAME")]
    pub schema: Vec<String>,
    /// Write a migration of this name instead of to standard output
    #[arg(long, short, value_name = "NAME", conflicts_with = "check")]
    pub file: Option<String>,
    /// Record the written migration as applied to the database, which is already as it says
    #[arg(long, requires = "file")]
    pub use_migration: bool,
    /// Only say whether there is a difference: exit code 1 if so
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// List them, newest first
    List {
        #[command(flatten)]
        target: Target,
        /// Only those whose address or full name has this in it
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[arg(long, default_value_t = 1)]
        page: u64,
        #[arg(long, default_value_t = 100)]
        per_page: u64,
        /// Print JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print one, as the admin API shows a user
    Show {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
    },
    /// Make one
    Create(UsersCreate),
    /// Invite somebody by mail: they become a user when they follow its link
    Invite {
        /// Address
        who: String,
        #[command(flatten)]
        target: Target,
        /// What is known of them, a JSON object: their user_metadata
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// Where the mail's link leads to
        #[arg(long, value_name = "URL")]
        redirect_to: Option<String>,
    },
    /// Refuse one everywhere, from now on
    Ban {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
        /// For how long, such as 24h
        #[arg(long = "for", value_name = "DURATION", default_value = "876000h")]
        duration: String,
    },
    /// Lift a ban
    Unban {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
    },
    /// End every session of one
    SignOut {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
    },
    /// Print a link that signs one in, or invites, as a message would have it; nothing is sent
    Link {
        /// Address
        who: String,
        #[command(flatten)]
        target: Target,
        /// What the link is for: magiclink, recovery, invite
        #[arg(long = "type", value_name = "TYPE", default_value = "magiclink")]
        kind: String,
        /// Where it leads to
        #[arg(long, value_name = "URL")]
        redirect_to: Option<String>,
    },
    /// List the second factors of one, or take one away from somebody who has lost it
    Factors {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
        /// Take this one away
        #[arg(long, value_name = "ID")]
        delete: Option<String>,
    },
    /// Delete one, with everything that goes with the user
    Delete {
        /// Id, address or number
        who: String,
        #[command(flatten)]
        target: Target,
        /// Leave a row that says nothing of whom it was, for what refers to it
        #[arg(long)]
        soft: bool,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
    /// Bring in users of Supabase (auth.users as CSV or JSON) or Firebase (auth:export as JSON), with their passwords
    Import(UsersImport),
}

#[derive(Debug, Args)]
pub struct UsersCreate {
    /// Address or number
    pub who: String,
    #[command(flatten)]
    pub target: Target,
    /// Read a password from standard input; without one the user cannot sign in by password
    #[arg(long)]
    pub password: bool,
    /// The address or number is not known to be the user's
    #[arg(long)]
    pub unconfirmed: bool,
    /// Another role than authenticated
    #[arg(long)]
    pub role: Option<String>,
    /// What is known of the user, a JSON object
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
}

#[derive(Debug, Args)]
pub struct UsersImport {
    /// The file; `-` reads standard input
    pub source: String,
    #[command(flatten)]
    pub target: Target,
    /// Only say what is in it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub firebase: Firebase,
}

/// Firebase's password hash parameters, as its console shows them.
#[derive(Debug, Args)]
pub struct Firebase {
    /// base64_signer_key
    #[arg(
        long,
        value_name = "BASE64",
        env = "MAINSTAY_FIREBASE_SIGNER_KEY",
        hide_env_values = true
    )]
    pub firebase_signer_key: Option<String>,
    /// base64_salt_separator
    #[arg(long, value_name = "BASE64", default_value = "Bw==")]
    pub firebase_salt_separator: String,
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub firebase_rounds: u32,
    #[arg(long, value_name = "NUMBER", default_value_t = 14)]
    pub firebase_mem_cost: u32,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Keys {
    #[command(subcommand)]
    pub change: Option<KeyChange>,
    /// The project's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Types {
    #[command(flatten)]
    pub target: Target,
    /// The language to write
    #[arg(long, value_enum, default_value_t = Language::Typescript)]
    pub lang: Language,
    /// Only these schemas, separated by commas (may be given several times) [default: those of the API]
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub schema: Vec<String>,
    /// Write here instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Languages that types can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// The `Database` type of supabase-js
    #[value(name = "ts", alias = "typescript")]
    Typescript,
}

/// What may be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyChange {
    /// Make a new key that signs access tokens; the old one's tokens stay valid until they expire
    Rotate {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Sign with it at once: programs that keep the public keys may refuse new tokens for ten minutes
        #[arg(long)]
        now: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
