//! What the data plane tells: who is wanted, and whether what is sent arrives.

use core::time::Duration;
use std::time::Instant;

use super::pair::{Pair, Sent};
use super::{PathAgent, Reason, Route};
use crate::forward::{Activity, Path, PathCounts};

/// A peer is wanted for this long after the last packet. Longer would keep more NATs awake than it saves:
/// whoever comes back later gets through over the relay in the meantime.
const WANTED: Duration = Duration::from_secs(120);
/// Losses are judged over at least so many packets and this much time.
const JUDGED_PACKETS: u64 = 20;
const JUDGED_TIME: Duration = Duration::from_secs(1);
/// In the beginning on a path, what the data plane has told of packets is older than the path.
const SETTLING: Duration = Duration::from_millis(100);
/// So many times in a row less than half must have arrived before a path is left.
const BAD_TIMES: u32 = 2;
/// For how long, doubled each time.
const LEFT: Duration = Duration::from_secs(30);
const MAX_LEFT: Duration = Duration::from_secs(300);
/// After this long without such losses, former ones do not count any more.
const REDEEMED: Duration = Duration::from_secs(60);

/// What passed between us and the peer since it was last told.
#[derive(Debug, Clone, Copy)]
pub struct Traffic<'a> {
    /// What the slot has noted.
    pub activity: Activity,
    /// Packets sent to the peer so far.
    pub sent_packets: u64,
    /// Packets that came from it so far, by path.
    pub arrivals: &'a PathCounts,
}

/// What was sent and what of it arrived, on the path in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger {
    path: Path,
    sent: u64,
    arrived: u64,
    at: Instant,
    bad_times: u32,
}

impl PathAgent {
    /// Takes what the data plane has noted. To be called soon after it has: some 50 ms.
    pub fn handle_traffic(&mut self, now: Instant, traffic: &Traffic<'_>) {
        let Traffic {
            activity,
            sent_packets,
            arrivals,
        } = *traffic;
        self.packets = sent_packets;
        let is_sending = activity.sent_data() || activity.wants_session();
        if is_sending {
            self.sent_at = Some(now);
        }
        if activity.received_data() {
            self.received_at = Some(now);
        }
        for pair in self.pairs.iter_mut().chain(&mut self.relay) {
            let received = arrivals.received(&pair.path);
            if core::mem::replace(&mut pair.received, received) < received {
                pair.heard_at = Some(now);
            }
        }
        if activity.sent_data() && self.has_session {
            let used = match self.route {
                Route::Relayed => self.relay.as_mut(),
                _ => self.current_mut(),
            };
            used.into_iter().for_each(|pair| pair.expect(now));
        }
        if is_sending || activity.received_data() {
            self.want(now);
        }
        self.advance(now);
    }

    /// Whether anyone wants to reach the peer, or the peer us.
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        self.wanted_until.is_some_and(|until| now < until)
    }

    /// Keeps paths for a while, and looks for better ones when nobody did before.
    pub(super) fn want(&mut self, now: Instant) {
        let was_wanted = self.is_wanted(now);
        self.wanted_until = Some(now + WANTED);
        if !was_wanted {
            self.failures = 0;
            self.begin_round(now);
        }
    }

    /// Nothing was sent for long.
    pub(super) fn sleep(&mut self, now: Instant) {
        self.wanted_until = None;
        self.round = None;
        self.retry_at = None;
        self.everything().for_each(Pair::rest);
        if self.relay.is_some() && self.using.is_some() {
            self.switch_to_relay(now, Reason::Idle);
        }
    }

    /// Compares what was sent on the path in use with what the peer has got by it.
    pub(super) fn judge(&mut self, now: Instant, path: Path, sent: Sent, arrived: u64) {
        if self.using != Some(path) || sent.at < self.since + SETTLING {
            return;
        }
        let fresh = Ledger {
            path,
            sent: sent.packets,
            arrived,
            at: sent.at,
            bad_times: 0,
        };
        let comparable = |ledger: &Ledger| ledger.path == path && ledger.arrived <= arrived;
        let Some(ledger) = self.ledger.filter(comparable) else {
            self.ledger = Some(fresh);
            return;
        };
        let (sent, arrived) = (
            fresh.sent.saturating_sub(ledger.sent),
            arrived - ledger.arrived,
        );
        if sent < JUDGED_PACKETS || fresh.at < ledger.at + JUDGED_TIME {
            return;
        }
        let is_bad = arrived * 2 < sent;
        let bad_times = if is_bad { ledger.bad_times + 1 } else { 0 };
        self.ledger = Some(Ledger { bad_times, ..fresh });
        let has_other = self.relay.is_some() || self.pairs.len() > 1;
        let using = self.using;
        let Some(pair) = self.pairs.iter_mut().find(|pair| Some(pair.path) == using) else {
            return;
        };
        let lost = 1000 - (arrived.min(sent) * 1000 / sent) as u32;
        pair.loss = (pair.loss * 3 + lost) / 4;
        if bad_times >= BAD_TIMES && has_other {
            let left = (LEFT * (1 << pair.times_left.min(4))).min(MAX_LEFT);
            let address = pair.address();
            let reason = Reason::LosesData {
                address,
                sent,
                arrived,
            };
            pair.left_until = Some(now + left);
            pair.left_for = Some(reason);
            pair.times_left += 1;
            self.leave(now, reason);
        } else if !is_bad && now >= self.since + REDEEMED {
            pair.times_left = 0;
        }
    }
}
