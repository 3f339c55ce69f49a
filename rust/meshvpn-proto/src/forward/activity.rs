//! What passes through a slot, for whoever keeps its timers: bits, set once a batch, taken now and then.
//!
//! A timer protocol such as WireGuard's asks not only whether packets went and came, but what came
//! last: data that was sent and heard nothing after it, data that came and was not answered. So each
//! thread, when it notes its half of a batch, also settles what the other half had left open, and the
//! order is not lost however late the bits are taken.

use core::sync::atomic::{AtomicU8, Ordering};

const SENT_DATA: u8 = 1 << 0;
const RECEIVED: u8 = 1 << 1;
const RECEIVED_DATA: u8 = 1 << 2;
const AWAITS_ANSWER: u8 = 1 << 3;
const OWES_ANSWER: u8 = 1 << 4;
const WANTS_SESSION: u8 = 1 << 5;
const MOVED: u8 = 1 << 6;

/// What passed since it was last taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity(u8);

impl Activity {
    /// Nothing happened.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Data was sent.
    pub fn sent_data(self) -> bool {
        self.0 & SENT_DATA != 0
    }

    /// Something authentic was received: data or a keepalive.
    pub fn received(self) -> bool {
        self.0 & RECEIVED != 0
    }

    /// Data was received.
    pub fn received_data(self) -> bool {
        self.0 & RECEIVED_DATA != 0
    }

    /// Data was sent after the last authentic packet was received.
    pub fn awaits_answer(self) -> bool {
        self.0 & AWAITS_ANSWER != 0
    }

    /// Data was received after the last was sent.
    pub fn owes_answer(self) -> bool {
        self.0 & OWES_ANSWER != 0
    }

    /// A packet had to wait because there is no session.
    pub fn wants_session(self) -> bool {
        self.0 & WANTS_SESSION != 0
    }

    /// An authentic packet came from elsewhere, and the slot's path is there now.
    pub fn moved(self) -> bool {
        self.0 & MOVED != 0
    }
}

/// The bits as the threads of a data plane share them.
#[derive(Debug, Default)]
pub struct Noted(AtomicU8);

impl Noted {
    /// Notes that data was sent. Like the others, tells whether this was the first since [`Self::take`].
    pub fn sent_data(&self) -> bool {
        self.note(SENT_DATA | AWAITS_ANSWER, OWES_ANSWER)
    }

    /// Notes that something authentic was received, perhaps `data`.
    pub fn received(&self, data: bool) -> bool {
        let data = if data { RECEIVED_DATA | OWES_ANSWER } else { 0 };
        self.note(RECEIVED | data, AWAITS_ANSWER)
    }

    /// Notes that a packet waits for a session.
    pub fn wants_session(&self) -> bool {
        self.note(WANTS_SESSION, 0)
    }

    /// Notes that the path changed.
    pub fn moved(&self) -> bool {
        self.note(MOVED, 0)
    }

    /// What was noted, which is forgotten.
    pub fn take(&self) -> Activity {
        Activity(self.0.swap(0, Ordering::AcqRel))
    }

    fn note(&self, set: u8, clear: u8) -> bool {
        let noted = |before: u8| (before & !clear) | set;
        // In a steady stream nothing changes, and the cache line can stay shared.
        let before = self.0.load(Ordering::Acquire);
        if noted(before) == before {
            return false;
        }
        let update = |before| Some(noted(before));
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
        before == Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_last_is_known_however_late_it_is_asked() {
        let noted = Noted::default();
        assert!(noted.sent_data());
        assert!(!noted.received(true), "not the first");
        let activity = noted.take();
        assert!(activity.sent_data() && activity.received() && activity.received_data());
        assert!(activity.owes_answer() && !activity.awaits_answer());

        assert!(noted.received(true));
        noted.sent_data();
        let activity = noted.take();
        assert!(activity.awaits_answer() && !activity.owes_answer());

        noted.sent_data();
        noted.received(false);
        let activity = noted.take();
        assert!(activity.received() && !activity.received_data());
        assert!(!activity.awaits_answer() && !activity.owes_answer());
        assert!(noted.take().is_empty());
    }

    #[test]
    fn a_keepalive_leaves_owed_what_is_owed() {
        let noted = Noted::default();
        noted.received(true);
        noted.received(false);
        assert!(noted.take().owes_answer());
    }

    #[test]
    fn the_first_after_taking_is_told_so() {
        let noted = Noted::default();
        assert!(noted.wants_session());
        assert!(!noted.wants_session());
        assert!(!noted.moved());
        let activity = noted.take();
        assert!(activity.wants_session() && activity.moved());
        assert!(noted.moved());
    }
}
