//! A peer's sessions: at most three at a time (whitepaper, section 6.3).
//!
//! *Current* is what we send with. *Previous* still takes what was on the way when it was replaced.
//! *Next* is a session that the peer began: we answered, and do not send with it before something
//! authentic under it shows that our answer arrived.
//!
//! # Both at once
//!
//! When both sides begin a handshake in the same moment, both may succeed, and there are two new sessions.
//! Either works for either direction, but each side would go on to renew its own, for ever. So of two
//! such sessions both sides keep that which the peer with the smaller public key began. Peers that do not
//! know this rule are not hurt by it: the other session can still be received with.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;

use super::timers::{REJECT_AFTER_TIME, REKEY_TIMEOUT};
use crate::session::transport::SealedSession;

/// By how much a datagram may overtake the one before it, and both handshakes still count as begun at once:
/// more than queues and several paths make of it, and less than a peer takes to restart.
const OVERTAKING: Duration = Duration::from_millis(250);

/// Who began a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// A session and what its timers need.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) session: Arc<SealedSession>,
    pub(super) role: Role,
    born: Instant,
}

impl Established {
    pub(super) fn new(session: Arc<SealedSession>, role: Role, now: Instant) -> Self {
        Self {
            session,
            role,
            born: now,
        }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.age(now) < REJECT_AFTER_TIME
    }

    /// Whether both sides began at once: when we got the answer to our handshake, the peer's `offer` was there
    /// already, and had not been so for long; or it was just overtaken by that answer. A session that was
    /// complete before the peer began is an old one, however few seconds ago that was: the peer may have
    /// restarted, and forgotten it.
    fn crossed(&self, offer: &Self) -> bool {
        let is_ours = self.role == Role::Initiator && offer.role == Role::Responder;
        let is_after = self.born.saturating_duration_since(offer.born) < REKEY_TIMEOUT;
        let is_before = offer.born.saturating_duration_since(self.born) < OVERTAKING;
        is_ours && is_after && is_before
    }
}

/// The numbers of sessions that are gone.
pub(super) type Gone = ArrayVec<u32, 3>;

/// The three places.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    previous: Option<Established>,
    current: Option<Established>,
    next: Option<Established>,
}

impl Sessions {
    /// What we send with.
    pub(super) fn current(&self) -> Option<&Established> {
        self.current.as_ref()
    }

    /// Our handshake was answered: we send with `new` from now on.
    pub(super) fn begin(&mut self, new: Established) -> Gone {
        let mut gone = Gone::new();
        let former = self.current.replace(new);
        let new = self.current.as_ref();
        // An offer that began together with this session may still be taken up. An older one has not been,
        // though whoever takes one up says so at once; it must not take the place of what was used.
        let next = self
            .next
            .take_if(|next| new.is_some_and(|new| !new.crossed(next)));
        let (kept, dropped) = match former {
            Some(former) => (Some(former), next),
            None => (next, None),
        };
        drop_into(&mut gone, dropped);
        if let Some(kept) = kept {
            drop_into(&mut gone, self.previous.replace(kept));
        }
        gone
    }

    /// We answered the peer's handshake: it may use `new` from now on.
    pub(super) fn offer(&mut self, new: Established) -> Gone {
        let mut gone = Gone::new();
        drop_into(&mut gone, self.next.replace(new));
        drop_into(&mut gone, self.previous.take());
        gone
    }

    /// The peer has used session `index`: when that is the next one, we send with it from now on, unless
    /// both sides began at once and ours is to stay; `is_first` tells whether our public key is the smaller
    /// one. `None` when it is another session.
    pub(super) fn confirm(&mut self, index: u32, is_first: bool) -> Option<Gone> {
        let next = self
            .next
            .take_if(|next| next.session.local_index == index)?;
        let mut gone = Gone::new();
        let keeps_current = is_first
            && self
                .current
                .as_ref()
                .is_some_and(|current| current.crossed(&next));
        let former = if keeps_current {
            Some(next)
        } else {
            self.current.replace(next)
        };
        if let Some(former) = former {
            drop_into(&mut gone, self.previous.replace(former));
        }
        Some(gone)
    }

    /// Drops what is too old.
    pub(super) fn expire(&mut self, now: Instant) -> Gone {
        let mut gone = Gone::new();
        for place in [&mut self.previous, &mut self.current, &mut self.next] {
            drop_into(&mut gone, place.take_if(|session| !session.is_usable(now)));
        }
        gone
    }

    /// Drops all.
    pub(super) fn clear(&mut self) -> Gone {
        let mut gone = Gone::new();
        for place in [&mut self.previous, &mut self.current, &mut self.next] {
            drop_into(&mut gone, place.take());
        }
        gone
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let all = [&self.previous, &self.current, &self.next];
        let births = all.into_iter().flatten().map(|session| session.born);
        births.min().map(|born| born + REJECT_AFTER_TIME)
    }
}

fn drop_into(gone: &mut Gone, session: Option<Established>) {
    gone.extend(session.map(|session| session.session.local_index));
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
mod tests {
    use super::*;
    use crate::session::aead::Key;

    struct Clock(Instant);

    impl Clock {
        fn session(&self, index: u32, role: Role, after: u64) -> Established {
            let key = || Key::new([0; 32]);
            let session = Arc::new(SealedSession::new(index, 0, key(), key()));
            Established::new(session, role, self.0 + Duration::from_secs(after))
        }

        fn ours(&self, index: u32, after: u64) -> Established {
            self.session(index, Role::Initiator, after)
        }

        fn theirs(&self, index: u32, after: u64) -> Established {
            self.session(index, Role::Responder, after)
        }
    }

    fn places(sessions: &Sessions) -> [u32; 3] {
        let index = |place: &Option<Established>| {
            place.as_ref().map_or(0, |place| place.session.local_index)
        };
        [&sessions.previous, &sessions.current, &sessions.next].map(index)
    }

    #[test]
    fn our_handshakes_move_sessions_on() {
        let clock = Clock(Instant::now());
        let mut sessions = Sessions::default();
        assert!(sessions.begin(clock.ours(1, 0)).is_empty());
        assert!(sessions.begin(clock.ours(2, 120)).is_empty());
        assert_eq!(sessions.begin(clock.ours(3, 240))[..], [1]);
        assert_eq!(places(&sessions), [2, 3, 0]);
    }

    #[test]
    fn the_peers_handshakes_wait_for_confirmation() {
        let clock = Clock(Instant::now());
        let mut sessions = Sessions::default();
        sessions.begin(clock.ours(1, 0));
        sessions.begin(clock.ours(2, 120));
        assert_eq!(sessions.offer(clock.theirs(3, 200))[..], [1]);
        assert_eq!(places(&sessions), [0, 2, 3]);
        assert_eq!(
            sessions.offer(clock.theirs(4, 205))[..],
            [3],
            "it asked again"
        );
        assert!(sessions.confirm(3, true).is_none());
        assert!(sessions.confirm(4, true).unwrap().is_empty());
        assert_eq!(places(&sessions), [2, 4, 0]);
        assert!(sessions.confirm(4, true).is_none());
    }

    #[test]
    fn an_offer_that_was_not_taken_up_gives_way() {
        let clock = Clock(Instant::now());
        let mut sessions = Sessions::default();
        sessions.begin(clock.ours(1, 0));
        sessions.offer(clock.theirs(2, 50));
        assert_eq!(sessions.begin(clock.ours(3, 120))[..], [2]);
        assert_eq!(places(&sessions), [1, 3, 0]);

        let mut sessions = Sessions::default();
        sessions.offer(clock.theirs(2, 50));
        assert!(sessions.begin(clock.ours(3, 120)).is_empty());
        assert_eq!(places(&sessions), [2, 3, 0], "nothing better was there");
    }

    #[test]
    fn of_two_that_crossed_both_sides_keep_the_same() {
        let clock = Clock(Instant::now());
        for is_first in [true, false] {
            let mut sessions = Sessions::default();
            sessions.begin(clock.ours(1, 0));
            sessions.offer(clock.theirs(2, 120));
            assert!(sessions.begin(clock.ours(3, 121)).is_empty());
            assert_eq!(places(&sessions), [1, 3, 2]);
            assert_eq!(sessions.confirm(2, is_first).unwrap()[..], [1]);
            let expected = if is_first { [2, 3, 0] } else { [3, 2, 0] };
            assert_eq!(places(&sessions), expected);
        }
    }

    #[test]
    fn a_session_from_just_before_gives_way_to_the_peers() {
        let clock = Clock(Instant::now());
        for is_first in [true, false] {
            let mut sessions = Sessions::default();
            sessions.begin(clock.ours(1, 0));
            sessions.offer(clock.theirs(2, 1));
            assert!(sessions.confirm(2, is_first).unwrap().is_empty());
            assert_eq!(places(&sessions), [1, 2, 0], "the peer has begun anew");
        }
    }

    #[test]
    fn old_sessions_go() {
        let clock = Clock(Instant::now());
        let mut sessions = Sessions::default();
        sessions.begin(clock.ours(1, 0));
        sessions.begin(clock.ours(2, 120));
        let at = |seconds| clock.0 + Duration::from_secs(seconds);
        assert_eq!(sessions.next_expiry(), Some(at(180)));
        assert!(sessions.expire(at(179)).is_empty());
        assert_eq!(sessions.expire(at(180))[..], [1]);
        assert_eq!(sessions.next_expiry(), Some(at(300)));
        sessions.offer(clock.theirs(3, 290));
        assert_eq!(sessions.clear()[..], [2, 3]);
        assert_eq!(sessions.next_expiry(), None);
    }
}
