//! Takes messages out of the queue and hands them over, again and again until each is taken or says nothing any more.
//!
//! A message that is being handed over is hidden from others for [`HANDING_OVER`]. Whoever ends meanwhile leaves it to be
//! tried again then: a message may come twice, but never not at all. Each [`Lane`] is a queue of its own.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use tokio::task::JoinSet;

use super::delivery::{Delivery, Undelivered};
use super::lane::Lane;
use super::{Channel, Message};
use crate::store::{Row, Store, is_undefined_table, text};

/// Messages that are taken out at once.
const AT_ONCE: u64 = 4;
/// How long handing over a message may take, in all.
const HANDING_OVER: SignedDuration = SignedDuration::from_secs(120);
/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(30);
/// How often the queue is looked at without being asked to: other processes, and the clock, put messages there too.
const LOOKED_AT: Duration = Duration::from_secs(15);
/// How soon it is looked at again, at the earliest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Between one try and the next; the last one goes on.
const PAUSES: [SignedDuration; 6] = [
    SignedDuration::from_secs(1),
    SignedDuration::from_secs(5),
    SignedDuration::from_secs(15),
    SignedDuration::from_secs(60),
    SignedDuration::from_secs(300),
    SignedDuration::from_secs(1800),
];

const TAKE: &str = "UPDATE _mainstay.messages SET due_at = $2::timestamptz, attempts = attempts + 1 \
     WHERE due_at <= $1::timestamptz AND id IN (SELECT m.id FROM _mainstay.messages m \
     WHERE m.due_at <= $1::timestamptz AND m.channel = ANY ($4::text[]) ORDER BY m.due_at, m.id LIMIT $3::bigint) \
     RETURNING id, kind, channel, recipient, subject, body, attempts, expires_at";
const NEXT: &str = "SELECT m.due_at FROM _mainstay.messages m WHERE m.channel = ANY ($1::text[]) \
     ORDER BY m.due_at LIMIT 1";
const AGAIN: &str = "UPDATE _mainstay.messages SET due_at = $2::timestamptz WHERE id = $1::uuid";
const REMOVE: &str = "DELETE FROM _mainstay.messages WHERE id = $1::uuid";

/// Hands messages over.
#[derive(Clone)]
pub struct Postman {
    store: Store,
    mail: Option<Arc<dyn Delivery>>,
    texts: Option<Arc<dyn Delivery>>,
    hooks: Arc<dyn Delivery>,
}

struct Taken {
    attempts: i64,
    message: Message,
}

impl Taken {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let (id, kind, channel) = (row.uuid()?, row.text()?, row.text()?);
        let (recipient, subject, body) = (row.text()?, row.text()?, row.text()?);
        let unknown = || BackendError::Internal("a message is of no known channel".into());
        Ok(Taken {
            attempts: row.integer()?,
            message: Message {
                id,
                kind,
                channel: Channel::of_name(&channel).ok_or_else(unknown)?,
                recipient,
                subject,
                body,
                expires_at: row.time()?.unwrap_or(Timestamp::MAX),
            },
        })
    }
}

impl Postman {
    pub(crate) fn new(
        store: Store,
        mail: Option<Arc<dyn Delivery>>,
        texts: Option<Arc<dyn Delivery>>,
        hooks: Arc<dyn Delivery>,
    ) -> Self {
        Postman {
            store,
            mail,
            texts,
            hooks,
        }
    }

    /// Hands over what comes, until it is dropped.
    pub async fn run(self) {
        let mut lanes = JoinSet::new();
        for lane in Lane::ALL {
            lanes.spawn(self.clone().keep(lane));
        }
        while lanes.join_next().await.is_some() {}
    }

    async fn keep(self, lane: Lane) {
        loop {
            // Asked for before the look, so that nothing which comes after it is missed.
            let woken = self.store.rounds().woken(lane);
            let next = match self.round(lane).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "messages wait: the queue cannot be read");
                    None
                }
            };
            let until = next.and_then(|next| clock::now().duration_until(next).try_into().ok());
            let pause = until.map_or(LOOKED_AT, |until: Duration| until.clamp(PAUSE_MIN, LOOKED_AT));
            let _ = tokio::time::timeout(pause, woken).await;
        }
    }

    /// Hands over everything that is due now. Errors: the queue cannot be read or written.
    pub async fn deliver(&self) -> Result<(), BackendError> {
        self.rounds(&Lane::ALL).await
    }

    /// The same of mails and text messages alone, whatever hooks do.
    pub async fn deliver_letters(&self) -> Result<(), BackendError> {
        self.rounds(&[Lane::Mail, Lane::Texts]).await
    }

    async fn rounds(&self, lanes: &[Lane]) -> Result<(), BackendError> {
        let mut rounds = JoinSet::new();
        for lane in lanes.iter().copied() {
            let postman = self.clone();
            rounds.spawn(async move { postman.round(lane).await });
        }
        let made = rounds.join_all().await;
        made.into_iter().try_for_each(|round| round.map(drop))
    }

    /// Hands over everything of a lane that is due now, and says when its next message is.
    async fn round(&self, lane: Lane) -> Result<Option<Timestamp>, BackendError> {
        let _turn = self.store.rounds().turn(lane).await;
        let channels = lane.channels();
        loop {
            // Mostly there is nothing: the look is a read, so that no writer waits for it.
            let next = match self.store.run(NEXT, vec![text(&channels)]).await {
                // Nobody has put anything there yet.
                Err(error) if is_undefined_table(&error) => return Ok(None),
                rows => rows?.first(Row::time)?.flatten(),
            };
            let now = clock::now();
            if next.is_none_or(|next| next > now) {
                return Ok(next);
            }
            let until = now.checked_add(HANDING_OVER).unwrap_or(now);
            let values = vec![text(now), text(until), text(AT_ONCE), text(&channels)];
            let taken = self.store.run(TAKE, values).await?.all(Taken::read)?;
            for taken in taken {
                self.hand_over(taken).await?;
            }
        }
    }

    async fn hand_over(&self, taken: Taken) -> Result<(), BackendError> {
        let Taken { attempts, message } = taken;
        let kind = message.kind.as_str();
        if !message.recipient.is_empty() {
            match self.tried(&message).await {
                Ok(()) => tracing::info!(kind, attempts, "a message was handed over"),
                Err(Undelivered::Never(reason)) => tracing::error!(kind, attempts, reason, "a message was given up"),
                Err(Undelivered::Later(reason)) => {
                    let pause = usize::try_from(attempts).unwrap_or_default().saturating_sub(1);
                    let pause = PAUSES[pause.min(PAUSES.len() - 1)];
                    let next = clock::now().checked_add(pause).unwrap_or(Timestamp::MAX);
                    if next < message.expires_at {
                        self.store.run(AGAIN, vec![text(message.id), text(next)]).await?;
                        tracing::warn!(kind, attempts, reason, "a message waits for another try");
                        return Ok(());
                    }
                    tracing::error!(kind, attempts, reason, "a message was given up: it would come too late");
                }
            }
        }
        self.store.run(REMOVE, vec![text(message.id)]).await.map(drop)
    }

    async fn tried(&self, message: &Message) -> Result<(), Undelivered> {
        if clock::now() >= message.expires_at {
            return Err(Undelivered::Never("what it says does not hold any more".into()));
        }
        let delivery = match message.channel {
            Channel::Mail => self.mail.as_ref(),
            Channel::Sms | Channel::WhatsApp => self.texts.as_ref(),
            Channel::Hook(_) => Some(&self.hooks),
        };
        let Some(delivery) = delivery else {
            return Err(Undelivered::Later("nothing here takes messages of its channel".into()));
        };
        match tokio::time::timeout(TRY_MAX, delivery.deliver(message)).await {
            Ok(result) => result,
            Err(_) => Err(Undelivered::Later(format!(
                "it took longer than {} seconds",
                TRY_MAX.as_secs()
            ))),
        }
    }
}
