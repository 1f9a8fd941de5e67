//! `Server-Timing`: where a request's time went. Source: W3C Server Timing; the metrics are PostgREST's.

use std::time::{Duration, Instant};

use http::HeaderValue;

/// Marks between the stages of one request.
pub struct Timing {
    last: Option<Instant>,
    authentication: Duration,
    parse: Duration,
    plan: Duration,
    transaction: Duration,
    response: Duration,
}

impl Timing {
    /// Begins now, after `authentication`; does nothing unless `enabled`.
    pub fn start(enabled: bool, authentication: Duration) -> Self {
        Timing {
            last: enabled.then(Instant::now),
            authentication,
            parse: Duration::ZERO,
            plan: Duration::ZERO,
            transaction: Duration::ZERO,
            response: Duration::ZERO,
        }
    }

    /// The request is understood.
    pub fn parsed(&mut self) {
        let spent = self.lap();
        self.parse += spent;
    }

    /// The statement is ready.
    pub fn planned(&mut self) {
        let spent = self.lap();
        self.plan += spent;
    }

    /// The database has answered.
    pub fn ran(&mut self) {
        let spent = self.lap();
        self.transaction += spent;
    }

    /// The response is made.
    pub fn responded(&mut self) {
        let spent = self.lap();
        self.response += spent;
    }

    /// The header, if timing is enabled; milliseconds.
    pub fn header(&self) -> Option<HeaderValue> {
        self.last?;
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let text = format!(
            "jwt;dur={:.1}, parse;dur={:.1}, plan;dur={:.1}, transaction;dur={:.1}, response;dur={:.1}",
            ms(self.authentication),
            ms(self.parse),
            ms(self.plan),
            ms(self.transaction),
            ms(self.response)
        );
        HeaderValue::from_str(&text).ok()
    }

    fn lap(&mut self) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        let now = Instant::now();
        self.last = Some(now);
        now - last
    }
}
