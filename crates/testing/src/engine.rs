//! The engines that a test runs on.

use std::sync::OnceLock;

/// One of the two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Names the variable with a superuser's URL of a throw-away PostgreSQL server.
pub const POSTGRES_VARIABLE: &str = "MAINSTAY_TEST_POSTGRES";

/// The URL of the PostgreSQL server for tests, if there is one. Without one the run says so once; with `CI=true` it
/// fails, because a check that is left out silently is no check.
pub fn postgres_url() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    URL.get_or_init(|| {
        let url = std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{POSTGRES_VARIABLE} is not set"
            );
            eprintln!("left out: PostgreSQL ({POSTGRES_VARIABLE} is not set; `cargo xtask test` sets it)");
        }
        url
    })
    .as_deref()
}

/// Every engine that can be tested here.
pub fn engines() -> Vec<Engine> {
    if postgres_url().is_some() {
        vec![Engine::Sqlite, Engine::Postgres]
    } else {
        vec![Engine::Sqlite]
    }
}
