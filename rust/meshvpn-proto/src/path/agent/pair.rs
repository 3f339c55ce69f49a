//! One path to a peer, and what is known of it: what answers, how fast, how much is lost.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use super::Reason;
use super::stages::PINGS;
use crate::forward::Path;
use crate::path::candidate::Kind;

/// How long a pong is waited for while nothing is known of the path.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
/// Bounds of the time that a pong is waited for: twice the round trip, and some.
const MIN_PATIENCE: Duration = Duration::from_millis(80);
const MAX_PATIENCE: Duration = Duration::from_secs(3);
/// A path in use is in doubt when nothing has proven it for this long, or three round trips. Shorter would take
/// queues that fill for failures.
const MIN_SILENCE: Duration = Duration::from_millis(500);
/// While packets still come by the path it gets so many times as long: pongs may be late behind them.
const PATIENCE_WHILE_HEARD: u32 = 3;
/// Pings in a row that a path in doubt loses before it counts as dead.
const LOST_UNTIL_DEAD: u32 = 3;
/// After so many lost in a row nothing is to be gained from asking sooner.
const MAX_URGENT: u32 = 6;
/// Pings that are remembered: replies may be this many pings late.
const REMEMBERED: usize = 8;
/// What ranks IPv6 before IPv4 (as iroh does): fewer NATs lie on the way.
const IPV6_BONUS: i64 = 3_000;
/// What ranks the local network before all detours.
const LAN_BONUS: i64 = 10_000;
/// A hundredth of all packets lost counts as this many microseconds.
const LOSS_PENALTY: i64 = 10_000;
/// A path that died is trusted again when it has answered without a break for as long as this, doubled each
/// time that it died within [`FLAPPING`].
const HOLD: Duration = Duration::from_secs(1);
const MAX_HOLD: Duration = Duration::from_secs(30);
/// Deaths further apart than this have nothing to do with each other.
const FLAPPING: Duration = Duration::from_secs(120);

/// A ping that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    token: u64,
    pub(super) at: Instant,
    /// Packets that had been sent to the peer by then, on whatever path.
    pub(super) packets: u64,
    counts_as_lost: bool,
}

/// How often a path is pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Not at all.
    Never,
    /// As a new candidate.
    Opening,
    /// This far apart; sooner when pongs begin to be overdue.
    Every(Duration),
}

/// A path to the peer.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) path: Path,
    /// How its address became known; none for the way over the relay.
    pub(super) kind: Option<Kind>,
    /// The peer has told this address itself.
    pub(super) is_announced: bool,
    /// When its pings as a candidate began, and how many there were.
    pub(super) opened_at: Option<Instant>,
    pub(super) tries: usize,
    /// All pings ever.
    pub(super) pings: usize,
    sent: VecDeque<Sent>,
    pub(super) pinged_at: Option<Instant>,
    /// Smoothed.
    pub(super) round_trip: Option<Duration>,
    /// Longer at once, shorter by and by: what it may take.
    slow_trip: Duration,
    /// Of a thousand.
    pub(super) loss: u32,
    /// Pongs in a row, and since when.
    pub(super) good: u32,
    good_since: Option<Instant>,
    /// Pings lost in a row.
    pub(super) lost: u32,
    pub(super) answered_at: Option<Instant>,
    /// Since when something was sent on it that was not answered.
    pub(super) expects_since: Option<Instant>,
    /// Packets came by it.
    pub(super) heard_at: Option<Instant>,
    /// How many, as far as was told.
    pub(super) received: u64,
    pub(super) doubted_at: Option<Instant>,
    pub(super) died_at: Option<Instant>,
    deaths: u32,
    /// Pongs in a row that showed it to be better than the path in use.
    pub(super) better: u32,
    /// Until when it is not used, since it loses data.
    pub(super) left_until: Option<Instant>,
    pub(super) left_for: Option<Reason>,
    pub(super) times_left: u32,
    /// Packets that the peer had got by it when it last said so.
    pub(super) arrived: u64,
    /// It said the same the last time: what comes from there does not prove that anything arrives.
    is_stalled: bool,
    /// Where the peer saw us.
    pub(super) seen_at: Option<SocketAddr>,
}

impl Pair {
    pub(super) fn new(path: Path, kind: Option<Kind>) -> Self {
        Self {
            path,
            kind,
            is_announced: false,
            opened_at: None,
            tries: 0,
            pings: 0,
            sent: VecDeque::new(),
            pinged_at: None,
            round_trip: None,
            slow_trip: Duration::ZERO,
            loss: 0,
            good: 0,
            good_since: None,
            lost: 0,
            answered_at: None,
            expects_since: None,
            heard_at: None,
            received: 0,
            doubted_at: None,
            died_at: None,
            deaths: 0,
            better: 0,
            left_until: None,
            left_for: None,
            times_left: 0,
            arrived: 0,
            is_stalled: false,
            seen_at: None,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.path.destination
    }

    /// Begins its pings as a candidate.
    pub(super) fn open(&mut self, now: Instant) {
        self.opened_at = Some(now);
        self.tries = 0;
    }

    /// Whether it has pings as a candidate to come.
    pub(super) fn is_opening(&self) -> bool {
        self.opened_at.is_some() && self.tries < PINGS.len()
    }

    /// Forgets what may have changed while nobody looked; what was measured stays.
    pub(super) fn rest(&mut self) {
        self.sent.clear();
        self.opened_at = None;
        self.doubted_at = None;
        self.died_at = None;
        (self.good, self.lost, self.better) = (0, 0, 0);
        (self.good_since, self.expects_since) = (None, None);
    }

    /// When to ping it next.
    pub(super) fn next_ping(&self, now: Instant, pace: Pace) -> Option<Instant> {
        match pace {
            Pace::Never => None,
            Pace::Opening => Some(self.opened_at? + *PINGS.get(self.tries)?),
            Pace::Every(interval) => {
                let is_urgent = (1..MAX_URGENT).contains(&self.lost);
                let interval = if is_urgent {
                    interval.min(self.patience())
                } else {
                    interval
                };
                Some(self.pinged_at.map_or(now, |at| at + interval))
            }
        }
    }

    pub(super) fn note_ping(&mut self, now: Instant, token: u64, packets: u64) {
        self.sent.truncate(REMEMBERED - 1);
        self.sent.push_front(Sent {
            token,
            at: now,
            packets,
            counts_as_lost: false,
        });
        self.pinged_at = Some(now);
        self.pings += 1;
        self.tries += 1;
        self.expect(now);
    }

    /// Something was sent on it.
    pub(super) fn expect(&mut self, now: Instant) {
        self.expects_since.get_or_insert(now);
    }

    /// Something came that proves that what we send on it arrives.
    fn prove(&mut self) {
        self.expects_since = None;
        self.lost = 0;
    }

    /// The ping with this token, if it was sent on this path.
    pub(super) fn sent(&self, token: u64) -> Option<Sent> {
        self.sent.iter().find(|sent| sent.token == token).copied()
    }

    /// A ping was answered the way that it went.
    pub(super) fn take_pong(&mut self, now: Instant, sent: Sent) {
        self.sent.retain(|other| other.token != sent.token);
        let sample = now.saturating_duration_since(sent.at);
        let known = self.round_trip.unwrap_or(sample);
        self.round_trip = Some((known * 7 + sample) / 8);
        self.slow_trip = sample.max((self.slow_trip * 3 + sample) / 4);
        self.prove();
        self.doubted_at = None;
        self.answered_at = Some(now);
        self.loss -= self.loss / 16;
        self.good += 1;
        self.good_since.get_or_insert(now);
    }

    /// The peer says how many packets it has got by this path.
    pub(super) fn take_arrived(&mut self, arrived: u64) {
        self.is_stalled = arrived == self.arrived;
        if arrived > self.arrived {
            self.prove();
        }
        self.arrived = arrived;
    }

    /// When the next ping counts as lost.
    pub(super) fn next_loss(&self) -> Option<Instant> {
        let waiting = self.sent.iter().filter(|sent| !sent.counts_as_lost);
        let oldest = waiting.map(|sent| sent.at).min()?;
        Some(oldest + self.patience())
    }

    /// Counts pings as lost whose time is over.
    pub(super) fn count_losses(&mut self, now: Instant) {
        let patience = self.patience();
        let mut lost = 0;
        for sent in &mut self.sent {
            if !sent.counts_as_lost && now >= sent.at + patience {
                sent.counts_as_lost = true;
                lost += 1;
            }
        }
        for _ in 0..lost {
            self.loss += (1000 - self.loss) / 16;
        }
        if lost > 0 {
            self.lost += lost;
            self.better = 0;
            self.good = 0;
            self.good_since = None;
        }
    }

    /// When it is in doubt if nothing proves it until then.
    pub(super) fn doubt_at(&self) -> Option<Instant> {
        let silence = MIN_SILENCE.max(self.slow_trip * 3);
        let since = self.expects_since?;
        let doubt = since + silence;
        // While packets still come this way, pongs may be late behind them; unless the peer's own pings, which come
        // by the same way, tell that nothing of ours arrives.
        let heard = self
            .heard_at
            .filter(|heard| *heard > since && !self.is_stalled);
        let longer =
            heard.map(|heard| (heard + silence).min(since + silence * PATIENCE_WHILE_HEARD));
        Some(longer.map_or(doubt, |longer| longer.max(doubt)))
    }

    /// Whether it has lost so much that it counts as dead once it is in doubt.
    pub(super) fn is_lost(&self) -> bool {
        self.lost >= LOST_UNTIL_DEAD
    }

    /// Whether it is known to work: it answered, and nothing says that it does not any more.
    pub(super) fn works(&self) -> bool {
        self.doubted_at.is_none() && self.answered_at.is_some() && self.answered_at >= self.died_at
    }

    pub(super) fn die(&mut self, now: Instant) {
        let is_flapping = self.died_at.is_some_and(|at| now < at + FLAPPING);
        self.deaths = if is_flapping { self.deaths + 1 } else { 1 };
        self.died_at = Some(now);
        self.doubted_at = None;
        self.good = 0;
        self.good_since = None;
    }

    /// Whether traffic may go there.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.usable_at().is_some_and(|at| now >= at) && self.doubted_at.is_none()
    }

    /// When traffic may go there, if nothing is lost until then.
    pub(super) fn usable_at(&self) -> Option<Instant> {
        let needed = if self.died_at.is_some() { 2 } else { 1 };
        let since = self.good_since.filter(|_| self.good >= needed)?;
        let hold = match self.deaths.saturating_sub(1) {
            0 => Duration::ZERO,
            again => (HOLD * (1 << (again - 1).min(5))).min(MAX_HOLD),
        };
        let hold = if self.died_at.is_some() {
            hold
        } else {
            Duration::ZERO
        };
        Some((since + hold).max(self.left_until.unwrap_or(since)))
    }

    /// Whether it is avoided, since it loses data.
    pub(super) fn is_left(&self, now: Instant) -> bool {
        self.left_until.is_some_and(|until| now < until)
    }

    /// Whether it answers, as far as was last seen.
    pub(super) fn is_answering(&self) -> bool {
        self.good > 0
    }

    /// The lower the better, in microseconds.
    pub(super) fn score(&self) -> i64 {
        let address = self.path.destination.ip();
        let round_trip = self.round_trip.unwrap_or(FIRST_PATIENCE).as_micros() as i64;
        let loss = i64::from(self.loss) * LOSS_PENALTY / 10;
        let v6 = if address.is_ipv6() { IPV6_BONUS } else { 0 };
        let lan = if super::targets::is_local(address) {
            LAN_BONUS
        } else {
            0
        };
        round_trip + loss - v6 - lan
    }

    /// How long a pong is waited for.
    pub(super) fn patience(&self) -> Duration {
        if self.round_trip.is_none() {
            return FIRST_PATIENCE;
        }
        (self.slow_trip * 2 + MIN_PATIENCE / 4).clamp(MIN_PATIENCE, MAX_PATIENCE)
    }
}
