//! A peer's timers: when each is due, and what for (whitepaper, section 6).

use core::time::Duration;
use std::time::Instant;

/// The initiator of a session begins the next one when it sends and the session is this old.
pub const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
/// A session is neither sent nor received with when it is this old.
pub const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);
/// Nobody tries a handshake for longer than this, unless somebody asks again.
pub const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);
/// An initiation that is not answered is repeated after this, and never sooner.
pub const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
/// Up to this, drawn anew each time, is added when an initiation is repeated: two peers that began at
/// the same moment must not meet again and again (section 6.1).
pub const REKEY_JITTER: Duration = Duration::from_millis(333);
/// Data that is not answered by data within this is answered by nothing, sealed.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Either side begins the next session after so many messages.
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// After this without a new session nothing of the old ones is left in memory (section 6.3).
pub const ZERO_KEYS_AFTER_TIME: Duration = REJECT_AFTER_TIME.saturating_mul(3);
/// Initiations of one peer are read no faster than this (section 5.4.2 asks for some limit; Linux has the
/// same).
pub const INITIATION_INTERVAL: Duration = Duration::from_millis(20);

/// What a peer may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Timer {
    /// When to repeat an initiation that has not been answered, or to give up.
    RetransmitHandshake,
    /// When to answer data with nothing, since we had no data to answer with.
    SendKeepalive,
    /// When to begin a handshake because nothing came back for what we sent.
    NewHandshake,
    /// When to begin a handshake although there is a session: somebody wants its keys.
    RenewSession,
    /// When to send something so that NATs on the way remember us, and the peer's address is known.
    PersistentKeepalive,
    /// When the oldest session must not be used any more.
    RejectSession,
    /// When to forget all keys.
    ZeroKeys,
}

impl Timer {
    const ALL: [Self; 7] = [
        Self::RetransmitHandshake,
        Self::SendKeepalive,
        Self::NewHandshake,
        Self::RenewSession,
        Self::PersistentKeepalive,
        Self::RejectSession,
        Self::ZeroKeys,
    ];
}

/// When each timer is due.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// The timer that has been due for the longest time, which is unset by this.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let due = |timer: &Timer| self.0[*timer as usize].filter(|at| *at <= now);
        let timers = Timer::ALL.into_iter();
        let timer = timers
            .filter(|timer| due(timer).is_some())
            .min_by_key(|timer| due(timer))?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
    fn due_timers_are_taken_in_order_and_once() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(Timer::ZeroKeys, after(1));
        timers.set(Timer::SendKeepalive, after(2));
        timers.set(Timer::NewHandshake, after(3));
        timers.set_if_unset(Timer::NewHandshake, after(0));
        assert_eq!(timers.next(), Some(after(1)));
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.take_due(after(2)), Some(Timer::ZeroKeys));
        assert_eq!(timers.take_due(after(2)), Some(Timer::SendKeepalive));
        assert_eq!(timers.take_due(after(2)), None);
        assert!(timers.is_set(Timer::NewHandshake));
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }
}
