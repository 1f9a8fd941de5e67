//! What the operator may choose.

use std::time::Duration;

use mainstay_core::backend::CostLimits;
use mainstay_core::name::Ident;

use crate::bootstrap::Grants;

/// How to reach PostgreSQL and how to behave towards it.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// Connections for reads, shared; the first two are opened at once, more when those are held up by long queries.
    pub read_connections_max: usize,
    /// Connections for writes, shared.
    pub write_connections_max: usize,
    /// Connections for work that needs one alone: migrations, the console, writes that are judged before they commit.
    pub exclusive_connections_max: usize,
    /// For roles without a `statement_timeout` of their own; `None` leaves it to the database.
    pub statement_timeout: Option<Duration>,
    /// What a statement may cost, as the planner estimates it.
    pub cost_limits: CostLimits,
    /// The schemas of the API, the default first. They are the search path where a request names none.
    pub schemas: Vec<Ident>,
    /// Appended to every request's search path.
    pub extra_search_path: Vec<Ident>,
    /// Sent as settings with every request, such as `("app.settings.host", "localhost")`.
    pub app_settings: Vec<(String, String)>,
    /// The URL leads to a pooler in transaction mode: no prepared statements are kept and nothing is listened for.
    pub transaction_pooler: bool,
    /// What a database without Supabase's roles and schemas is given; `None`: it is left as it is.
    pub bootstrap: Option<Grants>,
    /// Reload the catalog on `NOTIFY` on this channel; `None`: do not listen.
    pub channel: Option<String>,
}

impl Options {
    /// The defaults for `url`: schema `public`, channel `pgrst`, no bootstrap.
    pub fn new(url: impl Into<String>) -> Self {
        Options {
            url: url.into(),
            read_connections_max: 6,
            write_connections_max: 8,
            exclusive_connections_max: 4,
            statement_timeout: None,
            cost_limits: CostLimits::default(),
            schemas: vec![Ident::new("public")],
            extra_search_path: Vec::new(),
            app_settings: Vec::new(),
            transaction_pooler: false,
            bootstrap: None,
            channel: Some("pgrst".to_owned()),
        }
    }
}
