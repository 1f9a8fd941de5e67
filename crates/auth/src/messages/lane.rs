//! Lanes: messages that are handed over one after the other. Each lane has a taker of its own, and whoever hangs holds up
//! the messages of its lane alone.

use tokio::sync::{Mutex, MutexGuard, Notify, futures::Notified};

use super::Channel;
use crate::hooks::Point;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Mail,
    Texts,
    Hook(Point),
}

impl Lane {
    /// Each told hook has its own: one may stand where another hangs.
    pub const ALL: [Lane; 2 + Point::TOLD.len()] = {
        let [one, two, three] = Point::TOLD;
        [
            Lane::Mail,
            Lane::Texts,
            Lane::Hook(one),
            Lane::Hook(two),
            Lane::Hook(three),
        ]
    };

    /// The channels whose messages it takes, as an array's text.
    pub fn channels(self) -> String {
        let own: Vec<&str> = Channel::all()
            .filter(|channel| Lane::from(*channel) == self)
            .map(Channel::name)
            .collect();
        format!("{{{}}}", own.join(","))
    }
}

impl From<Channel> for Lane {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Mail => Lane::Mail,
            Channel::Sms | Channel::WhatsApp => Lane::Texts,
            Channel::Hook(point) => Lane::Hook(point),
        }
    }
}

/// The rounds that are made in one lane, one after the other.
#[derive(Default)]
struct Round {
    woken: Notify,
    /// Held during a round: whoever asks for one meanwhile finds everything done that was asked for before.
    turn: Mutex<()>,
}

/// The rounds of all lanes.
#[derive(Default)]
pub struct Rounds([Round; Lane::ALL.len()]);

impl Rounds {
    fn of(&self, lane: Lane) -> &Round {
        let place = Lane::ALL.iter().position(|own| *own == lane);
        &self.0[place.unwrap_or_default()]
    }

    /// Somebody has put a message of the channel into the queue.
    pub fn wake(&self, channel: Channel) {
        self.of(channel.into()).woken.notify_one();
    }

    /// Waits for such a message, also for one that comes between this call and the waiting.
    pub fn woken(&self, lane: Lane) -> Notified<'_> {
        self.of(lane).woken.notified()
    }

    /// Waits until no other round is made in the lane; none is until the guard goes.
    pub async fn turn(&self, lane: Lane) -> MutexGuard<'_, ()> {
        self.of(lane).turn.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_of_one_lane() {
        let taken: Vec<String> = Lane::ALL.iter().map(|lane| lane.channels()).collect();
        assert_eq!(
            taken,
            [
                "{mail}",
                "{sms,whatsapp}",
                "{send_email}",
                "{send_sms}",
                "{after_user_created}"
            ]
        );
    }
}
