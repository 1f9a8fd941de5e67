//! A move of a whole database from one engine into the other, while others go on writing to it.
//!
//! The schema is there already (the same migrations were applied on both sides). From [`Move::begin`] on the source
//! records what is written ([`mainstay_core::transfer::departure`]). Then:
//!
//! 1. [`Move::carry`]: every table is carried in the order of the source's own positions, from one view of the source;
//!    what was written meanwhile follows in rounds ([`rounds`]) until little is left; every row of every table is read
//!    on both sides and the digests are compared.
//! 2. [`Move::hold`]: once more little is left, writes are held.
//! 3. [`Move::carry_last`]: the last round, sequences, foreign keys and triggers, and the proof that both sides are equal.
//! 4. [`Move::confirm`]: the source takes no more writes, the target may be served. [`Move::finish`] does what may take
//!    longer.
//!
//! The target writes down with each chunk how far it is, so a move that was interrupted anywhere goes on from there.
//! Not here: how rows are read and written (`backend-*`).
//! Invariant: a move is confirmed only when every table has the same rows on both sides, under one hold.

mod copy;
mod hold;
mod pairs;
mod proof;
mod rounds;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::backend::Backend;
use mainstay_core::catalog::{Relation, RelationKind};
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::transfer::{Arrival, Departure, Export, Hold, Import, Phase, Progress, Reached};

use self::pairs::{Pair, Pairs, contents, is_carried, pairs, present};
use crate::digest::Digest;
use crate::error::Error;

pub use self::hold::while_held;

/// What is going on, for whoever watches.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Rows to carry in all, and rows carried by earlier attempts.
    Begin { rows: u64, carried: u64 },
    /// Rows of a table have been written.
    Carried { table: &'a QualifiedName, rows: u64 },
    /// Rows that were written meanwhile have followed.
    Followed { rows: u64 },
    /// The two sides are being compared; rows to read on each.
    BeginProof { rows: u64 },
    /// A table has been compared.
    Proved { table: &'a QualifiedName, rows: u64 },
    /// A table differs and is carried anew.
    Again { table: &'a QualifiedName },
}

/// Who hears of it.
pub type Watch<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// What a finished move has proved.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each table's digest, the same on both sides.
    pub tables: BTreeMap<QualifiedName, Digest>,
    /// Sequences whose positions were carried.
    pub sequences: usize,
    /// Rows that were written during the move and followed.
    pub followed: u64,
}

impl Report {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(Digest::rows).sum()
    }
}

/// A move in the making.
pub struct Move<'a> {
    source: &'a dyn Backend,
    target: &'a dyn Backend,
    import: Box<dyn Import>,
    /// `None`: nobody writes to the source, or what is written is not to be followed.
    departure: Option<Departure>,
    standing: Option<Standing>,
}

/// The target is as the source was at `mark`.
struct Standing {
    pairs: Arc<Pairs>,
    view: Box<dyn Export>,
    mark: String,
    progress: HashMap<QualifiedName, Progress>,
    /// The digests of each table on both sides, by the target's name; empty before the first proof.
    digests: BTreeMap<QualifiedName, (Digest, Digest)>,
    /// How long the comparison of all rows took.
    proof_took: Duration,
    followed: u64,
}

impl<'a> Move<'a> {
    /// Begins a move into `target`, or goes on with one from the same source; `name` is the source's name for people.
    /// `target_name` likewise. The target's schema may be made after this.
    ///
    /// Errors: `NotEmpty`, unless the target is in the middle of this very move; `Leaving` for a source that is being
    /// moved to elsewhere.
    pub async fn begin(
        source: &'a dyn Backend,
        target: &'a dyn Backend,
        name: &str,
        target_name: &str,
    ) -> Result<Self, Error> {
        let departed = source
            .transfer()
            .leaving()
            .departure()
            .await
            .map_err(doing("looking at the source"))?;
        if let Some(departed) = &departed
            && departed.target != target_name
        {
            return Err(Error::Leaving {
                target: departed.target.clone(),
                is_moved: departed.phase == Phase::Moved,
            });
        }
        let arrival = arrival(target).await?;
        if arrival.is_none() && departed.is_some_and(|departed| departed.phase == Phase::Moved) {
            return Err(Error::Leaving {
                target: target_name.to_owned(),
                is_moved: true,
            });
        }
        let mut moving = Move::begin_reading(source, target, name, target_name).await?;
        let catalog = source.catalog();
        let tables: Vec<&Relation> = catalog
            .relations
            .values()
            .filter(|relation| relation.kind == RelationKind::Table && is_carried(relation))
            .map(|relation| &**relation)
            .collect();
        let departure = source
            .transfer()
            .leaving()
            .depart(target_name, &tables)
            .await
            .map_err(doing("beginning to record writes"))?;
        moving.departure = Some(departure);
        Ok(moving)
    }

    /// The same, but only reads the source: what is written to it meanwhile is not carried.
    pub async fn begin_reading(
        source: &'a dyn Backend,
        target: &'a dyn Backend,
        name: &str,
        target_name: &str,
    ) -> Result<Self, Error> {
        if arrival(target).await?.is_none()
            && let Some(what) = contents(target).await?
        {
            return Err(Error::NotEmpty {
                target: target_name.to_owned(),
                what,
            });
        }
        let import = target
            .transfer()
            .import(name)
            .await
            .map_err(doing("beginning the move"))?;
        Ok(Move {
            source,
            target,
            import,
            departure: None,
            standing: None,
        })
    }

    /// The move was confirmed by an earlier attempt: only [`Move::open`] and [`Move::finish`] are missing.
    pub fn is_confirmed(&self) -> bool {
        let phase = self.departure.as_ref().map(|departure| departure.phase);
        phase == Some(Phase::Moved)
    }

    /// Carries everything, follows what is written meanwhile, and compares both sides.
    pub async fn carry(&mut self, watch: &mut Watch<'_>) -> Result<(), Error> {
        let pairs = Arc::new(pairs(&self.source.catalog(), &self.target.catalog())?);
        let (mut view, mark) = self.view().await?;
        let rows = present(&pairs, &mut *view).await?;
        let targets: Vec<&Relation> = pairs.0.iter().map(|pair| &*pair.target).collect();
        self.import
            .prepare(&targets)
            .await
            .map_err(doing("preparing the target"))?;
        let mut standing = Standing {
            pairs: Arc::clone(&pairs),
            view,
            mark,
            progress: self.progress().await?,
            digests: BTreeMap::new(),
            proof_took: Duration::MAX,
            followed: 0,
        };
        self.go_on(&mut standing).await?;
        standing.progress = self.progress().await?;
        let carried = standing.progress.values().map(|progress| progress.rows).sum();
        watch(Event::Begin { rows, carried });
        for pair in &pairs.0 {
            let known = standing.progress.remove(&pair.target.name).unwrap_or_default();
            let progress = copy::carry(&mut *self.import, &mut *standing.view, pair, known, watch).await?;
            standing.progress.insert(pair.target.name.clone(), progress);
        }
        self.import.settle().await.map_err(doing("checking what was carried"))?;
        self.follow(&mut standing, watch).await?;
        self.prove(&mut standing, watch).await?;
        self.standing = Some(standing);
        Ok(())
    }

    /// Follows until little is left, and holds writes. The hold must be kept up ([`while_held`]).
    pub async fn hold(&mut self, watch: &mut Watch<'_>) -> Result<Hold, Error> {
        let mut standing = self.standing()?;
        self.follow(&mut standing, watch).await?;
        self.standing = Some(standing);
        hold::take(self.source).await
    }

    /// The last of it, while writes are held: both sides are equal afterwards, and the target is complete.
    pub async fn carry_last(&mut self, watch: &mut Watch<'_>) -> Result<Report, Error> {
        let mut standing = self.standing()?;
        self.round(&mut standing, watch).await?;
        let mut report = self.compare(&mut standing, watch).await?;
        report.sequences = self.sequences(&mut *standing.view).await?;
        report.followed = standing.followed;
        self.import
            .restore()
            .await
            .map_err(doing("putting the foreign keys back"))?;
        self.standing = Some(standing);
        Ok(report)
    }

    /// The source takes no more writes, and the target may be served. Errors: the hold was lost; then writes go on.
    pub async fn confirm(&mut self, hold: &Hold) -> Result<(), Error> {
        let standing = self.standing()?;
        if let Err(error) = self.source.transfer().leaving().confirm(hold, &standing.mark).await {
            hold::let_go(self.source, hold).await;
            return Err(doing("handing over")(error));
        }
        self.open().await
    }

    /// The target may be served; the source is left as it was and forgets the move.
    pub async fn leave(&mut self) -> Result<(), Error> {
        // A view of the source may stand in the way of taking the record away.
        self.standing = None;
        self.source
            .transfer()
            .leaving()
            .abandon()
            .await
            .map_err(doing("letting go of the source"))?;
        self.open().await
    }

    /// The target may be served.
    pub async fn open(&mut self) -> Result<(), Error> {
        self.import.open().await.map_err(doing("opening the target"))
    }

    /// Ends the move on the target. Nobody is kept waiting meanwhile.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.import.finish().await.map_err(doing("ending the move"))
    }

    /// What [`Move::carry`] has reached.
    fn standing(&mut self) -> Result<Standing, Error> {
        let standing = self.standing.take();
        standing.ok_or_else(|| doing("going on")(BackendError::Internal("nothing has been carried".into())))
    }

    /// The source as it is now.
    async fn view(&self) -> Result<(Box<dyn Export>, String), Error> {
        let mut view = self
            .source
            .transfer()
            .export()
            .await
            .map_err(doing("reading the source"))?;
        let mark = match &self.departure {
            Some(_) => view.mark().await.map_err(doing("reading the source"))?,
            None => String::new(),
        };
        Ok((view, mark))
    }

    /// The target as it is now.
    async fn target_view(&self) -> Result<Box<dyn Export>, Error> {
        let view = self.target.transfer().export().await;
        view.map_err(doing("reading the target"))
    }

    async fn progress(&mut self) -> Result<HashMap<QualifiedName, Progress>, Error> {
        let progress = self.import.progress().await;
        progress.map_err(doing("reading the move's record"))
    }

    /// Says on the target that it has everything up to a mark.
    async fn reach(&mut self, mark: &str) -> Result<(), Error> {
        let Some(departure) = &self.departure else {
            return Ok(());
        };
        let reached = Reached {
            departure: departure.id.clone(),
            mark: mark.to_owned(),
        };
        self.import
            .reach(&reached)
            .await
            .map_err(doing("writing the move's record"))
    }
}

async fn arrival(target: &dyn Backend) -> Result<Option<Arrival>, Error> {
    let arrival = target.transfer().arrival().await;
    arrival.map_err(doing("looking at the target"))
}

/// A context for an engine's failure.
fn doing(what: impl Into<String>) -> impl FnOnce(BackendError) -> Error {
    let doing = what.into();
    move |error| Error::Database { doing, error }
}

/// The pair of a source's table.
fn pair_of<'p>(pairs: &'p Pairs, name: &QualifiedName) -> Option<&'p Pair> {
    pairs.0.iter().find(|pair| pair.source.name == *name)
}
