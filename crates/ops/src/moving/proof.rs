//! That both sides are equal: every row while others write, and again what the digests say at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Export, Progress, SequencePosition};

use super::pairs::{Pair, count};
use super::{Event, Move, Report, Standing, Watch, copy, doing};
use crate::error::Error;

/// If every row could be compared in this time, it is done once more while writes are held. Otherwise the digests of
/// that comparison count, with each row that was written since taken out and put in again on both sides.
const WHOLE_AGAIN_MAX: Duration = Duration::from_secs(1);

impl Move<'_> {
    /// Compares every row of every table; a table that differs is carried anew, once.
    pub(super) async fn prove(&mut self, standing: &mut Standing, watch: &mut Watch<'_>) -> Result<(), Error> {
        let begun = Instant::now();
        let pairs = standing.pairs.clone();
        let mut rows = 0;
        for pair in &pairs.0 {
            rows += count(&mut *standing.view, &pair.source).await?;
        }
        watch(Event::BeginProof { rows });
        let all: Vec<&Pair> = pairs.0.iter().collect();
        let differing = self.digests(standing, &all, watch).await?;
        for pair in &differing {
            watch(Event::Again {
                table: &pair.target.name,
            });
            self.clear(pair).await?;
            let anew = copy::carry(&mut *self.import, &mut *standing.view, pair, Progress::default(), watch).await?;
            standing.progress.insert(pair.target.name.clone(), anew);
        }
        let differing = self.digests(standing, &differing, watch).await?;
        standing.proof_took = begun.elapsed();
        equal(differing.into_iter().map(|pair| pair.target.name.clone()).collect())
    }

    /// Computes the tables' digests and returns those that differ.
    async fn digests<'p>(
        &mut self,
        standing: &mut Standing,
        pairs: &[&'p Pair],
        watch: &mut Watch<'_>,
    ) -> Result<Vec<&'p Pair>, Error> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let mut target = self.target_view().await?;
        let mut differing = Vec::new();
        for &pair in pairs {
            let (here, there) = tokio::join!(
                copy::digest(&mut *standing.view, &pair.source, &pair.source_compared),
                copy::digest(&mut *target, &pair.target, &pair.target_compared),
            );
            let (here, there) = (here?, there?);
            if here != there {
                tracing::warn!(table = %pair.target.name, source = %here, source_rows = here.rows(), target = %there,
                    target_rows = there.rows(), "the two sides differ");
                differing.push(pair);
            }
            standing.digests.insert(pair.target.name.clone(), (here, there));
            watch(Event::Proved {
                table: &pair.target.name,
                rows: here.rows(),
            });
        }
        Ok(differing)
    }

    /// While writes are held: digests and counts of both sides are the same.
    pub(super) async fn compare(&mut self, standing: &mut Standing, watch: &mut Watch<'_>) -> Result<Report, Error> {
        let pairs = standing.pairs.clone();
        if standing.proof_took <= WHOLE_AGAIN_MAX {
            let followed = standing.digests.clone();
            let all: Vec<&Pair> = pairs.0.iter().collect();
            self.digests(standing, &all, watch).await?;
            if followed != standing.digests {
                tracing::error!("the digests that followed the writes are not those of all rows");
                let other =
                    |(name, digests): (&QualifiedName, _)| (followed.get(name) != Some(digests)).then(|| name.clone());
                equal(standing.digests.iter().filter_map(other).collect())?;
            }
        }
        let mut target = self.target_view().await?;
        let mut report = Report::default();
        let mut differing = Vec::new();
        for pair in &pairs.0 {
            let name = &pair.target.name;
            let (here, there) = standing.digests.get(name).copied().unwrap_or_default();
            let (ours, theirs) = tokio::join!(
                count(&mut *standing.view, &pair.source),
                count(&mut *target, &pair.target)
            );
            if here == there && ours? == here.rows() && theirs? == there.rows() {
                report.tables.insert(name.clone(), here);
            } else {
                differing.push(name.clone());
            }
        }
        equal(differing)?;
        Ok(report)
    }

    /// Carries the sequences' positions and reads them back. Returns how many there are on both sides.
    pub(super) async fn sequences(&mut self, source: &mut dyn Export) -> Result<usize, Error> {
        let positions = source.sequences().await.map_err(doing("reading the sequences"))?;
        self.import
            .set_sequences(&positions)
            .await
            .map_err(doing("setting the sequences"))?;
        let mut target = self.target_view().await?;
        let reached = target
            .sequences()
            .await
            .map_err(doing("reading the target's sequences"))?;
        let reached: BTreeMap<&QualifiedName, &SequencePosition> =
            reached.iter().map(|position| (&position.name, position)).collect();
        for position in &positions {
            match reached.get(&position.name) {
                Some(there) if *there == position => {}
                Some(_) => return Err(Error::RowsDiffer(vec![position.name.clone()])),
                None => {
                    return Err(Error::SchemasDiffer(format!(
                        "the target has no sequence {}",
                        position.name
                    )));
                }
            }
        }
        Ok(positions.len())
    }
}

fn equal(differing: Vec<QualifiedName>) -> Result<(), Error> {
    match differing.is_empty() {
        true => Ok(()),
        false => Err(Error::RowsDiffer(differing)),
    }
}
