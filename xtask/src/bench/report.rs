//! The results as tables for `docs/benchmarks.md`.

use super::measure::{Tally, median};
use super::{OPERATIONS, Peer, Results};
use crate::Result;
use crate::process::{output, say};
use crate::server::Engine;
use crate::workspace::{root, write_section};
use std::fmt::Write as _;
use std::process::Command;

const EMPTY_DOCUMENT: &str = "\
# Benchmarks

The shop (`examples/shop`) beside the floor (`bench/floor`): the same work written by hand on the same libraries, with the same
durability, token check and access rules, and nothing else.

<!-- results -->
<!-- /results -->

## What the API offers, beside the plain way

<!-- features -->
<!-- /features -->

## Signing in

<!-- sign-in -->
<!-- /sign-in -->
";

/// Writes a section of the document.
pub fn write(section: &str, text: &str) -> Result<()> {
    let path = root().join("docs/benchmarks.md");
    write_section(&path, EMPTY_DOCUMENT, section, text)?;
    say(format_args!("wrote {}", path.display()));
    Ok(())
}

pub fn markdown(all: &[Results], binary_bytes: u64, settings: &str) -> String {
    let mut text = format!("Made by `cargo xtask bench --write`: {settings}; {}.\n", machine());
    text.push_str("Medians over the rounds. CPU is the server's time per 1,000 requests, on PostgreSQL with the whole database's.\n");
    for results in all {
        let _ = write!(text, "\n### {}\n\n", capital(results.engine.title()));
        text.push_str("| operation | server | req/s | CPU s/1k | p50 ms | p99 ms | req/s ÷ floor | CPU ÷ floor |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for (name, what) in OPERATIONS {
            let (Some(ours), Some(floor)) = (
                middle(results, name, Peer::Mainstay),
                middle(results, name, Peer::Floor),
            ) else {
                continue;
            };
            row(&mut text, what, "**Mainstay**", &ours, Some(&floor), results.engine);
            row(&mut text, "", "floor", &floor, None, results.engine);
        }
        let _ = write!(
            text,
            "\nStart to first answer {:.0} ms; resident memory idle {:.1} MiB, under load at most {:.1} MiB.\n",
            results.start_ms,
            results.idle_rss_kib as f64 / 1024.0,
            results.loaded_rss_kib as f64 / 1024.0
        );
    }
    let _ = write!(
        text,
        "\nThe release binary is {:.1} MiB, stripped.\n",
        binary_bytes as f64 / 1024.0 / 1024.0
    );
    text
}

fn row(text: &mut String, what: &str, who: &str, tally: &Tally, floor: Option<&Tally>, engine: Engine) {
    let cpu = match engine {
        Engine::Sqlite => format!("{:.4}", tally.cpu()),
        Engine::Postgres => format!(
            "{:.4} ({:.4} + {:.4})",
            tally.cpu(),
            tally.server_cpu,
            tally.database_cpu
        ),
    };
    let ratio = |pick: fn(&Tally) -> f64| {
        floor.map_or_else(|| "1".to_owned(), |floor| format!("{:.2}", pick(tally) / pick(floor)))
    };
    let _ = writeln!(
        text,
        "| {what} | {who} | {} | {cpu} | {:.2} | {:.2} | {} | {} |",
        thousands(tally.per_second),
        tally.p50_us / 1_000.0,
        tally.p99_us / 1_000.0,
        ratio(|tally| tally.per_second),
        ratio(Tally::cpu),
    );
}

/// The median of each figure over the rounds.
fn middle(results: &Results, operation: &str, peer: Peer) -> Option<Tally> {
    let (_, _, tallies) = results
        .tallies
        .iter()
        .find(|(name, who, _)| *name == operation && *who == peer)?;
    let of = |pick: fn(&Tally) -> f64| median(&mut tallies.iter().map(pick).collect::<Vec<_>>());
    Some(Tally {
        per_second: of(|tally| tally.per_second),
        p50_us: of(|tally| tally.p50_us),
        p99_us: of(|tally| tally.p99_us),
        server_cpu: of(|tally| tally.server_cpu),
        database_cpu: of(|tally| tally.database_cpu),
        ..Tally::default()
    })
}

/// The processor and its cores, as far as the system tells.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'));
    let kernel = output(Command::new("uname").arg("-sr")).unwrap_or_default();
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    format!(
        "{cores} cores of {model}, {}, the load on the same cores",
        kernel.trim()
    )
}

pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_compares_with_the_floor() {
        let tally = |per_second, server_cpu| Tally {
            per_second,
            server_cpu,
            p50_us: 500.0,
            p99_us: 2_000.0,
            ..Tally::default()
        };
        let results = Results {
            engine: Engine::Sqlite,
            tallies: vec![
                (
                    "read_one",
                    Peer::Mainstay,
                    vec![tally(900.0, 0.012), tally(50_000.0, 0.012), tally(90_000.0, 0.012)],
                ),
                ("read_one", Peer::Floor, vec![tally(100_000.0, 0.01)]),
            ],
            start_ms: 12.3,
            idle_rss_kib: 10_240,
            loaded_rss_kib: 20_480,
        };
        let text = markdown(&[results], 10 * 1024 * 1024, "settings");
        assert!(
            text.contains("| **Mainstay** | 50,000 | 0.0120 | 0.50 | 2.00 | 0.50 | 1.20 |"),
            "{text}"
        );
        assert!(
            text.contains("| floor | 100,000 | 0.0100 | 0.50 | 2.00 | 1 | 1 |"),
            "{text}"
        );
        assert!(text.contains("idle 10.0 MiB, under load at most 20.0 MiB"), "{text}");
    }
}
