//! What people see of a move.

use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use mainstay_ops::{Event, Report};

/// Brings the progress bar up to date.
pub fn show(bar: &ProgressBar, event: &Event<'_>) {
    // The template is a constant; a broken one falls back to the default look.
    let style =
        |template: &str| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    match event {
        Event::Begin { rows, carried } => {
            bar.set_style(style(
                "{bar:30} {human_pos}/{human_len} rows  {per_sec}  {eta} left  {wide_msg}",
            ));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_length(*rows);
            bar.set_position(*carried);
            bar.reset_eta();
        }
        Event::Carried { table, rows } => {
            bar.set_message(table.to_string());
            bar.inc(*rows);
        }
        Event::Followed { rows: 0 } => {}
        Event::Followed { rows } => say(
            bar,
            &format!("{} rows were written meanwhile and followed", HumanCount(*rows)),
        ),
        Event::BeginProof { rows } => {
            bar.set_length(*rows);
            bar.set_position(0);
            bar.reset_eta();
            bar.set_message("comparing both sides");
            if bar.is_hidden() {
                eprintln!("comparing {} rows of both sides", HumanCount(*rows));
            }
        }
        Event::Proved { table, rows } => {
            bar.set_message(format!("{table} is compared"));
            bar.inc(*rows);
        }
        Event::Again { table } => say(bar, &format!("{table} differs and is carried anew")),
    }
}

/// A line above the bar, or alone where nobody sees one.
fn say(bar: &ProgressBar, line: &str) {
    match bar.is_hidden() {
        true => eprintln!("{line}"),
        false => bar.println(line),
    }
}

/// What was proved.
pub fn tell(report: &Report, from: &str, to: &str, took: Duration) {
    let width = report
        .tables
        .keys()
        .map(|name| name.to_string().len())
        .max()
        .unwrap_or(0);
    for (name, digest) in &report.tables {
        let short: String = digest.to_string().chars().take(16).collect();
        println!(
            "{:width$}  {:>12} rows  {short}",
            name.to_string(),
            HumanCount(digest.rows())
        );
    }
    println!(
        "{} rows in {} tables and {} sequence(s) are the same in {from} and {to} ({}).",
        HumanCount(report.rows()),
        report.tables.len(),
        report.sequences,
        HumanDuration(took)
    );
}
