//! A session: packets between a mapping and one remote endpoint, and when they will have been too long ago.

use core::time::Duration;

/// After this long in both directions, a session counts as a stream (Linux).
const STREAM_AGE: Duration = Duration::from_secs(2);

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

/// How long a session lasts without a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// One that has not been answered, or is young.
    pub(super) young: Duration,
    /// One that went both ways for a while.
    pub(super) stream: Duration,
}

#[derive(Debug)]
pub(super) struct Session {
    began_at: Duration,
    ends_at: Duration,
    has_sent: bool,
    has_received: bool,
}

impl Session {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            began_at: now,
            ends_at: now,
            has_sent: false,
            has_received: false,
        }
    }

    /// A packet passes.
    pub(super) fn note(&mut self, now: Duration, timeouts: Timeouts, way: Way) {
        if !self.is_live(now) {
            *self = Self::new(now);
        }
        match way {
            Way::Out => self.has_sent = true,
            Way::In => self.has_received = true,
        }
        let is_stream = self.has_sent && self.has_received && now > self.began_at + STREAM_AGE;
        let timeout = if is_stream {
            timeouts.stream
        } else {
            timeouts.young
        };
        self.ends_at = self.ends_at.max(now + timeout);
    }

    pub(super) fn is_live(&self, now: Duration) -> bool {
        now < self.ends_at
    }
}
