//! Counters for `/metrics`, in OpenMetrics text.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Which part of the program answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Room {
    Rest,
    Auth,
    Health,
    Site,
    Dev,
    None,
}

/// Rooms in the order of their discriminants, and status classes 1xx to 5xx.
const ROOMS: [Room; 6] = [Room::Rest, Room::Auth, Room::Health, Room::Site, Room::Dev, Room::None];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    room: Room,
    status: &'static str,
}

/// All counters of the process.
pub struct Metrics {
    registry: Registry,
    /// By room, then status class: looked up by position, because a request should not hash labels.
    requests: Vec<Counter<u64, AtomicU64>>,
    duration: Histogram,
    rows: Counter,
    pub limited: Counter,
    password_hashes: Counter,
    pub in_flight: Gauge,
    pub connections: Gauge,
}

impl Metrics {
    /// Registers every counter.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("mainstay");
        let family = Family::<Labels, Counter>::default();
        registry.register("http_requests", "Answers by room and status class", family.clone());
        let requests = ROOMS
            .iter()
            .flat_map(|room| CLASSES.iter().map(|status| (*room, *status)))
            .map(|(room, status)| family.get_or_create_owned(&Labels { room, status }))
            .collect();
        let duration = Histogram::new([
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0,
        ]);
        registry.register("http_request_duration_seconds", "Time to answer", duration.clone());
        let rows = Counter::default();
        registry.register("rows", "Rows returned or changed", rows.clone());
        let limited = Counter::default();
        registry.register(
            "http_requests_limited",
            "Requests over their caller's limit",
            limited.clone(),
        );
        let password_hashes = Counter::default();
        registry.register(
            "password_hashes",
            "Passwords hashed, to be stored or to be compared",
            password_hashes.clone(),
        );
        let in_flight = Gauge::default();
        registry.register("http_requests_in_flight", "Requests being answered", in_flight.clone());
        let connections = Gauge::default();
        registry.register("http_connections", "Open connections", connections.clone());
        Metrics {
            registry,
            requests,
            duration,
            rows,
            limited,
            password_hashes,
            in_flight,
            connections,
        }
    }

    /// Counts one answer.
    pub fn answered(&self, room: Room, status: u16, took: Duration, rows: u64) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        if let Some(counter) = self.requests.get(room as usize * CLASSES.len() + class) {
            counter.inc();
        }
        self.duration.observe(took.as_secs_f64());
        self.rows.inc_by(rows);
    }

    /// Takes over how many passwords were hashed so far.
    pub fn hashed(&self, so_far: u64) {
        self.password_hashes
            .inc_by(so_far.saturating_sub(self.password_hashes.get()));
    }

    /// The text of `/metrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_room_and_class() {
        let metrics = Metrics::new();
        metrics.answered(Room::Rest, 206, Duration::from_millis(1), 20);
        metrics.answered(Room::Site, 404, Duration::from_millis(1), 0);
        let text = metrics.text();
        assert!(
            text.contains(r#"mainstay_http_requests_total{room="Rest",status="2xx"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"mainstay_http_requests_total{room="Site",status="4xx"} 1"#),
            "{text}"
        );
        assert!(text.contains("mainstay_rows_total 20"), "{text}");
    }
}
