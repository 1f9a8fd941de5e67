//! What is written to the source during a move follows it: the rows that were written are removed from the target by
//! their keys, before and after, and added as they are now.
//!
//! All keys go before any row comes, so rows that exchanged a unique value do not meet. A round that was interrupted is
//! done again from its beginning: its keys are among those of the next one.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mainstay_core::error::BackendError;
use mainstay_core::transfer::{Export, Progress, Rows, Written, WrittenSince};

use super::copy::{FIRST, carry, digest, rows_of_next};
use super::pairs::{Pair, is_carried, stands_alone};
use super::{Event, Move, Standing, Watch, doing, pair_of};
use crate::error::Error;

/// Rounds before writes are held, at most: under a steady load the rest does not shrink for ever.
const ROUNDS_MAX: u32 = 12;

/// Rows that are little enough to carry while writes are held.
const LITTLE_ROWS: u64 = 500;

/// A round as short as this one leaves little.
const LITTLE_TIME: Duration = Duration::from_millis(300);

/// Keys that are asked for at once.
const KEYS: usize = 1_000;

/// What a round does to one table.
struct Change<'p> {
    pair: &'p Pair,
    /// `None`: the table is carried anew.
    keys: Option<Vec<Rows>>,
}

impl Move<'_> {
    /// Brings the target from where an earlier attempt left it to the view at hand, as far as it has been carried.
    pub(super) async fn go_on(&mut self, standing: &mut Standing) -> Result<(), Error> {
        let reached = self
            .import
            .reached()
            .await
            .map_err(doing("reading the move's record"))?;
        let Some(departure) = &self.departure else {
            return Ok(());
        };
        let reached = reached.filter(|reached| reached.departure == departure.id);
        let pairs = standing.pairs.clone();
        let Some(reached) = reached else {
            // What is there follows no record.
            for pair in &pairs.0 {
                if is_begun(standing.progress.get(&pair.target.name)) {
                    self.clear(pair).await?;
                }
            }
            return self.reach(&standing.mark).await;
        };
        let mark = reached.mark;
        for written in self.written(&mut *standing.view, &mark).await? {
            let Some(pair) = pair_of(&pairs, &written.relation) else {
                continue;
            };
            let Some(progress) = standing
                .progress
                .get(&pair.target.name)
                .filter(|known| is_begun(Some(known)))
            else {
                continue;
            };
            if written.is_whole || pair.source_key.is_empty() {
                self.clear(pair).await?;
                continue;
            }
            let since = WrittenSince {
                mark: mark.clone(),
                until: progress.after.clone().filter(|_| !progress.complete),
            };
            let keys = keys(&mut *standing.view, pair, &mark).await?;
            self.replace(&mut *standing.view, pair, &keys, &since, progress).await?;
        }
        self.reach(&standing.mark).await
    }

    /// Rounds until little is left.
    pub(super) async fn follow(&mut self, standing: &mut Standing, watch: &mut Watch<'_>) -> Result<(), Error> {
        let mut before = u64::MAX;
        for _ in 0..ROUNDS_MAX {
            let begun = Instant::now();
            let rows = self.round(standing, watch).await?;
            let is_little = rows <= LITTLE_ROWS || begun.elapsed() <= LITTLE_TIME;
            // What is written as fast as it can be carried does not become less.
            if is_little || rows >= before {
                break;
            }
            before = rows;
        }
        Ok(())
    }

    /// Brings the target, and the digests if there are any, to the source as it is now. Returns the rows written since.
    pub(super) async fn round(&mut self, standing: &mut Standing, watch: &mut Watch<'_>) -> Result<u64, Error> {
        if self.departure.is_none() {
            return Ok(0);
        }
        let (mut view, mark) = self.view().await?;
        let written = self.written(&mut *view, &standing.mark).await?;
        let pairs = standing.pairs.clone();
        let mut rows = 0;
        let mut changes = Vec::new();
        for table in &written {
            rows += table.rows;
            let Some(pair) = pair_of(&pairs, &table.relation) else {
                match pairs.1.iter().find(|alone| alone.name == table.relation) {
                    Some(alone) => return Err(stands_alone(alone)),
                    None => continue,
                }
            };
            let is_whole = table.is_whole || pair.source_key.is_empty();
            changes.push(Change {
                pair,
                keys: match is_whole {
                    true => None,
                    false => Some(keys(&mut *view, pair, &standing.mark).await?),
                },
            });
        }
        let is_proving = !standing.digests.is_empty() && !changes.is_empty();
        if is_proving {
            let mut target = self.target_view().await?;
            account(standing, &changes, None, &mut *target, false).await?;
        }
        let since = WrittenSince {
            mark: std::mem::replace(&mut standing.mark, mark),
            until: None,
        };
        for Change { pair, keys } in &changes {
            let progress = standing.progress.get(&pair.target.name).cloned().unwrap_or_default();
            match keys {
                Some(keys) => self.replace(&mut *view, pair, keys, &since, &progress).await?,
                None => {
                    self.clear(pair).await?;
                    let anew = carry(&mut *self.import, &mut *view, pair, Progress::default(), watch).await?;
                    standing.progress.insert(pair.target.name.clone(), anew);
                }
            }
        }
        self.reach(&standing.mark).await?;
        if is_proving {
            let mut target = self.target_view().await?;
            account(standing, &changes, Some(&mut *view), &mut *target, true).await?;
        }
        standing.view = view;
        standing.followed += rows;
        watch(Event::Followed { rows });
        Ok(rows)
    }

    /// Removes the rows of these keys and adds those that were written.
    async fn replace(
        &mut self,
        view: &mut dyn Export,
        pair: &Pair,
        keys: &[Rows],
        since: &WrittenSince,
        progress: &Progress,
    ) -> Result<(), Error> {
        let name = &pair.target.name;
        for keys in keys {
            self.import
                .remove(&pair.target, &pair.target_key, keys)
                .await
                .map_err(doing(format!("writing {name}")))?;
        }
        let (mut after, mut bounds) = (None, FIRST);
        loop {
            let chunk = view
                .read_written(&pair.source, &pair.source_columns, since, after.as_deref(), bounds)
                .await
                .map_err(doing(format!("reading {name}")))?;
            self.import
                .write(&pair.target, &pair.target_columns, &chunk.rows, progress)
                .await
                .map_err(doing(format!("writing {name}")))?;
            bounds.rows = rows_of_next(&chunk, bounds.rows);
            after = chunk.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn written(&self, view: &mut dyn Export, mark: &str) -> Result<Vec<Written>, Error> {
        let written = view.written(mark).await.map_err(doing("reading what was written"))?;
        let is_ours = |table: &Written| {
            let relation = self.source.catalog().relation(&table.relation).cloned();
            relation.is_some_and(|relation| is_carried(&relation))
        };
        Ok(written.into_iter().filter(is_ours).collect())
    }

    pub(super) async fn clear(&mut self, pair: &Pair) -> Result<(), Error> {
        self.import
            .clear(&pair.target)
            .await
            .map_err(doing("carrying a table anew"))
    }
}

fn is_begun(progress: Option<&Progress>) -> bool {
    progress.is_some_and(|progress| progress.complete || progress.after.is_some())
}

/// The keys that written rows had and have, each once.
async fn keys(view: &mut dyn Export, pair: &Pair, mark: &str) -> Result<Vec<Rows>, Error> {
    let reading = || doing(format!("reading {}", pair.source.name));
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut found = vec![Rows::new(pair.source_key.len())];
    let mut take = |rows: &Rows| {
        rows.each(|row| {
            let mut whole = Vec::new();
            for value in row {
                let value = value.ok_or_else(|| BackendError::Internal("a key that is null".into()))?;
                whole.extend_from_slice(&value.len().to_le_bytes());
                whole.extend_from_slice(value);
            }
            if seen.insert(whole) {
                if found.last().is_none_or(|rows| rows.len() >= KEYS) {
                    found.push(Rows::new(row.len()));
                }
                if let Some(rows) = found.last_mut() {
                    row.iter().for_each(|value| rows.push(*value));
                    rows.end_row();
                }
            }
            Ok::<(), BackendError>(())
        })
    };
    let former = view.former_keys(&pair.source, &pair.source_key, mark).await;
    take(&former.map_err(reading())?).map_err(reading())?;
    let since = WrittenSince {
        mark: mark.to_owned(),
        until: None,
    };
    let (mut after, mut bounds) = (None, FIRST);
    loop {
        let chunk = view
            .read_written(&pair.source, &pair.source_key, &since, after.as_deref(), bounds)
            .await
            .map_err(reading())?;
        take(&chunk.rows).map_err(reading())?;
        bounds.rows = rows_of_next(&chunk, bounds.rows);
        after = chunk.next;
        if after.is_none() {
            found.retain(|rows| !rows.is_empty());
            return Ok(found);
        }
    }
}

/// Takes the rows of the changes' keys out of the digests of both sides, or puts them in. `source`: another view than
/// the standing one.
async fn account(
    standing: &mut Standing,
    changes: &[Change<'_>],
    mut source: Option<&mut dyn Export>,
    target: &mut dyn Export,
    is_added: bool,
) -> Result<(), Error> {
    for Change { pair, keys } in changes {
        let source: &mut dyn Export = match &mut source {
            Some(view) => &mut **view,
            None => &mut *standing.view,
        };
        let Some((here, there)) = standing.digests.get_mut(&pair.target.name) else {
            continue;
        };
        let reading = || doing(format!("comparing {}", pair.target.name));
        let Some(keys) = keys else {
            if is_added {
                *here = digest(source, &pair.source, &pair.source_compared).await?;
                *there = digest(target, &pair.target, &pair.target_compared).await?;
            }
            continue;
        };
        for keys in keys {
            let (ours, theirs) = tokio::join!(
                source.read_keys(&pair.source, &pair.source_compared, &pair.source_key, keys),
                target.read_keys(&pair.target, &pair.target_compared, &pair.target_key, keys),
            );
            let (ours, theirs) = (ours.map_err(reading())?, theirs.map_err(reading())?);
            match is_added {
                true => {
                    here.add(&ours);
                    there.add(&theirs);
                }
                false => {
                    here.remove(&ours);
                    there.remove(&theirs);
                }
            }
        }
    }
    Ok(())
}
