//! `mainstay migrate`: apply, list, begin and check migrations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mainstay_core::backend::{Migration, Progress, Watch};
use mainstay_core::clock;
use mainstay_schema::{Migrator, Project, State};

use super::CommandError;
use crate::cli::Migrate;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Carries out one of the migration commands.
pub async fn run(command: &Migrate) -> Result<(), CommandError> {
    match command {
        Migrate::Up { target, include_all } => {
            let opened = super::open(target).await?;
            let count = up(&opened.migrator, *include_all).await;
            opened.backend.close().await;
            match count? {
                0 => println!("Nothing to apply: {} is up to date.", opened.database.describe()),
                count => println!("Applied {count} migration(s) to {}.", opened.database.describe()),
            }
            Ok(())
        }
        Migrate::Status { target } => {
            let opened = super::open(target).await?;
            for status in opened.migrator.status().await? {
                let state = match status.state {
                    State::Applied => "applied",
                    State::Pending => "pending",
                    State::Empty => "empty: nothing to apply yet",
                    State::Edited => "EDITED since it was applied",
                    State::Missing => "MISSING from the project",
                    State::NotForThisEngine => "for the other engine",
                };
                println!("{}  {:40}  {state}", status.version, status.name);
            }
            opened.backend.close().await;
            Ok(())
        }
        Migrate::New { name, dir } => {
            let config = super::load(dir)?;
            let project = Project::new(&config.root);
            let path = loop {
                match project.new_migration(&version_now(), name) {
                    // Another one was begun within this second.
                    Err(mainstay_schema::Error::Duplicate(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
                    made => break made?,
                }
            };
            println!("{}", path.display());
            Ok(())
        }
        Migrate::Check { target, json } => super::check::run(target, *json).await,
    }
}

/// Applies what is pending with a progress bar (hidden where nobody looks).
pub async fn up(migrator: &Migrator, include_all: bool) -> Result<usize, mainstay_schema::Error> {
    let bar = ProgressBar::new(0);
    // The template is a constant; a broken one falls back to the default look.
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let current = Arc::new(Mutex::new(String::new()));
    let show = |position: usize, total: usize, migration: &Migration| {
        let name = format!("{}_{}", migration.version, migration.name);
        bar.set_length(total as u64);
        bar.set_position(position as u64);
        bar.set_message(name.clone());
        *current.lock().unwrap_or_else(PoisonError::into_inner) = name;
    };
    let (rows, name, told) = (bar.clone(), Arc::clone(&current), Mutex::new(None::<Instant>));
    let watch: Watch = Arc::new(move |progress: &Progress| {
        let text = format!("{}: {} of {} rows", progress.table, progress.done, progress.total);
        if !rows.is_hidden() {
            let name = name.lock().unwrap_or_else(PoisonError::into_inner);
            rows.set_message(format!("{name}  {text}"));
            return;
        }
        // Nobody sees the bar: a line now and then.
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if is_due && progress.done < progress.total {
            *told = Some(Instant::now());
            eprintln!("{text}");
        }
    });
    let result = migrator.up_watched(include_all, show, watch).await;
    bar.finish_and_clear();
    result
}

/// The 14 digits of now, in UTC.
pub fn version_now() -> String {
    let seconds = clock::now_seconds();
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        rest / 3600,
        rest % 3600 / 60,
        rest % 60
    )
}

/// Year, month and day of a count of days since 1970-01-01 in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(47_540), (2100, 2, 28));
    }
}
