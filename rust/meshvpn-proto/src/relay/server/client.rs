//! One client: what waits for it, and what is remembered of it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::bucket::Bucket;
use super::{Limits, Rate};
use crate::keys::PublicKey;
use crate::relay::frame::Frame;
use crate::relay::queue::FrameQueue;

/// Bytes of frames that are no packets and wait for a client; what does not fit is not told. Each of them is
/// advice, and whoever floods us with pings deserves no more.
const MOST_ADVICE: usize = 16 << 10;
/// Peers that a client has sent to, whom we tell when it leaves; the rest finds out by itself.
const MOST_DESTINATIONS: usize = 4096;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: PublicKey,
    pub(super) is_home: bool,
    /// When it hears from us next, whatever happens.
    pub(super) keepalive: Instant,
    /// Peers that it has sent to.
    pub(super) destinations: BTreeSet<PublicKey>,
    pub(super) bucket: Option<Bucket>,
    pub(super) packets: FrameQueue,
    advice: Vec<u8>,
    /// Its writer waits to be told that there is something.
    is_idle: bool,
}

impl Client {
    pub(super) fn new(now: Instant, key: PublicKey, keepalive: Instant, limits: &Limits) -> Self {
        Self {
            key,
            is_home: false,
            keepalive,
            destinations: BTreeSet::new(),
            bucket: limits.rate.map(|rate: Rate| Bucket::new(now, rate)),
            packets: FrameQueue::new(limits.queue_bytes),
            advice: Vec::new(),
            is_idle: true,
        }
    }

    /// Tells it something that is no packet; true when its writer is to be told.
    pub(super) fn tell(&mut self, frame: &Frame<'_>) -> bool {
        if self.advice.len() >= MOST_ADVICE {
            return false;
        }
        frame.write(&mut self.advice);
        self.wake()
    }

    /// Something waits; true when its writer is to be told.
    pub(super) fn wake(&mut self) -> bool {
        core::mem::take(&mut self.is_idle)
    }

    pub(super) fn take_output(&mut self, out: &mut Vec<u8>) -> bool {
        if self.advice.is_empty() && self.packets.is_empty() {
            self.is_idle = true;
            return false;
        }
        out.append(&mut self.advice);
        self.packets.take_into(out);
        true
    }

    pub(super) fn remember_destination(&mut self, peer: PublicKey) {
        if self.destinations.len() < MOST_DESTINATIONS {
            self.destinations.insert(peer);
        }
    }
}
