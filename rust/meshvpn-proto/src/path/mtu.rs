//! The path MTU, found by probing (packetization layer path MTU discovery, RFC 8899).
//!
//! ICMP is never relied on: many paths drop it, and anyone can forge it. Instead padded probes go
//! out with "don't fragment" set, and the ones that the peer confirms count.
//!
//! * **Search**: rounds of several sizes at once, until the largest that works is
//!   known to the byte. Without loss a round takes about two round trips.
//! * **Confirm**: while traffic flows, the size in use is probed twice a second. When that probe is
//!   lost, the path may have become narrower: search again, from the floor.
//! * **Raise**: now and then, when a size below the ceiling is confirmed, search upwards.
//!
//! When not even a small probe is confirmed the peer is away: that says nothing about the path, so the
//! size stays and small probes go on until the peer is back.
//!
//! Sizes are lengths of the whole outer IP packet, in bytes.

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use super::probe::Echo;
use super::round::{Finding, Round, Sent};

/// How often the size in use is confirmed while traffic flows. Half a second of a black hole is
/// below the time after which people reload a page; a full-size probe this often is 24 kbit/s.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(500);
/// How often a larger size is tried (RFC 8899 has 600 s; a search costs little here).
const RAISE_INTERVAL: Duration = Duration::from_secs(30);
/// How often a silent peer is asked whether it is back.
const SILENT_INTERVAL: Duration = Duration::from_secs(1);
/// Replies may be this many silent intervals late: longer than any path's round trip.
const SILENT_PROBES: usize = 8;
/// Refused packets start a search at most this often.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);
/// Bounds of the time that a probe is waited for: twice the round-trip time, and some.
const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// How long a reply may be overtaken by a later one's, at least; else a quarter of the round trip.
const MIN_GRACE: Duration = Duration::from_millis(20);

/// Why the search wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// When to give up on the probes of this round.
    Round,
    /// When to check that the size in use still gets through.
    Confirm,
    /// When to give up on the probe of the size in use.
    ConfirmLost,
    /// When to ask whether a silent peer is back.
    Silent,
}

/// What the owner should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The peer confirmed a probe for the first time, or again after having been silent.
    Reached,
    /// Nothing is confirmed any more.
    Silent,
    /// The path takes packets of this many bytes now.
    Changed(u16),
}

/// The path MTU of one path.
#[derive(Debug)]
pub struct PathMtu {
    floor: u16,
    ceiling: u16,
    current: u16,
    state: State,
    round_trip: Option<Duration>,
    is_reached: bool,
    /// The peer was heard since it was last silent.
    is_heard: bool,
    is_active: bool,
    searched_at: Instant,
    next_token: u64,
    probes: VecDeque<Echo>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Searching(Round),
    Settled {
        confirm_at: Instant,
    },
    Confirming {
        probe: Sent,
        deadline: Instant,
    },
    Silent {
        probes: VecDeque<Sent>,
        retry_at: Instant,
    },
}

impl PathMtu {
    /// Starts at `ceiling`, what the local interface takes, and begins to search at once.
    ///
    /// `floor` is what every path takes: 576 for IPv4 (RFC 791 and RFC 8899), 1,280 for IPv6.
    /// `first_token` should be unpredictable where probes travel unauthenticated.
    pub fn new(now: Instant, floor: u16, ceiling: u16, first_token: u64) -> Self {
        let mut mtu = Self {
            floor,
            ceiling: ceiling.max(floor),
            current: ceiling.max(floor),
            state: State::Settled { confirm_at: now },
            round_trip: None,
            is_reached: false,
            is_heard: false,
            is_active: false,
            searched_at: now,
            next_token: first_token,
            probes: VecDeque::new(),
            events: VecDeque::new(),
        };
        mtu.search(now, mtu.floor, mtu.ceiling);
        mtu
    }

    /// The size in use.
    pub fn current(&self) -> u16 {
        self.current
    }

    /// Whether the peer confirms probes.
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Whether a whole search found no sign of the peer.
    pub fn is_silent(&self) -> bool {
        matches!(self.state, State::Silent { .. })
    }

    /// Traffic went out since the last call: the size in use matters.
    pub fn handle_activity(&mut self) {
        self.is_active = true;
    }

    /// The local interface takes packets of this many bytes now.
    pub fn handle_ceiling(&mut self, now: Instant, ceiling: u16) {
        let ceiling = ceiling.max(self.floor);
        if ceiling == self.ceiling {
            return;
        }
        self.ceiling = ceiling;
        if self.current > ceiling {
            self.set_current(ceiling);
        }
        self.search(now, self.floor, ceiling);
    }

    /// The local kernel refused a packet as too long: do not wait for the next confirmation.
    pub fn handle_refused(&mut self, now: Instant) {
        let is_soon = now < self.searched_at + REFUSED_INTERVAL;
        if !is_soon && !matches!(self.state, State::Searching(_)) {
            self.search(now, self.floor, self.current);
        }
    }

    /// Something came from the peer. Where probes were not answered, it could not hear them yet: do
    /// not wait until they count as lost.
    pub fn handle_peer_heard(&mut self, now: Instant) {
        if !self.is_reached && !core::mem::replace(&mut self.is_heard, true) {
            self.search(now, self.floor, self.ceiling);
        }
    }

    /// Probes travel in another session now: see whether they arrive.
    pub fn handle_new_session(&mut self, now: Instant) {
        match self.state {
            State::Settled { .. } | State::Confirming { .. } => self.confirm(now),
            State::Searching(_) | State::Silent { .. } => {
                self.search(now, self.floor, self.ceiling);
            }
        }
    }

    /// The peer confirmed a probe.
    pub fn handle_reply(&mut self, now: Instant, echo: Echo) {
        let grace = MIN_GRACE.max(self.round_trip.unwrap_or_default() / 4);
        let sent = match &mut self.state {
            State::Searching(round) => round.take_reply(now, echo.token, grace),
            State::Confirming { probe, .. } => Some(*probe).filter(|sent| sent.token == echo.token),
            State::Silent { probes, .. } => {
                probes.iter().copied().find(|sent| sent.token == echo.token)
            }
            State::Settled { .. } => None,
        };
        let Some(sent) = sent else { return };
        self.learn_round_trip(now.saturating_duration_since(sent.at));
        if !self.is_reached {
            self.is_reached = true;
            self.events.push_back(Event::Reached);
        }
        let may_raise = now >= self.searched_at + RAISE_INTERVAL && self.current < self.ceiling;
        match &self.state {
            State::Searching(round) if round.is_decided() => self.finish_round(now),
            State::Searching(_) | State::Settled { .. } => {}
            State::Confirming { .. } if may_raise => self.search(now, self.current, self.ceiling),
            State::Confirming { .. } => self.settle(now),
            State::Silent { .. } => self.search(now, self.floor, self.ceiling),
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = self.poll_timeout().is_some_and(|(at, _)| now >= at);
        if !due {
            return;
        }
        match &mut self.state {
            State::Searching(round) if round.wants_another_attempt() => self.attempt(now),
            State::Searching(_) => self.finish_round(now),
            State::Settled { .. } => self.confirm(now),
            State::Confirming { probe, .. } => {
                let probe = *probe;
                self.search(now, self.floor, self.current);
                // Its reply may only be late.
                if let State::Searching(round) = &mut self.state {
                    round.note_earlier(probe);
                }
            }
            State::Silent { .. } => self.ask_silent(now),
        }
    }

    /// When to call [`Self::handle_timeout`] next, and why. Never while all is well and idle.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        Some(match &self.state {
            State::Searching(round) => (round.deadline, Timer::Round),
            State::Settled { confirm_at } if self.is_active => (*confirm_at, Timer::Confirm),
            State::Settled { .. } => return None,
            State::Confirming { deadline, .. } => (*deadline, Timer::ConfirmLost),
            State::Silent { retry_at, .. } => (*retry_at, Timer::Silent),
        })
    }

    /// The next probe to send, as a request padded to `size`.
    pub fn poll_probe(&mut self) -> Option<Echo> {
        self.probes.pop_front()
    }

    /// The next thing that the owner should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn search(&mut self, now: Instant, low: u16, top: u16) {
        self.searched_at = now;
        self.start_round(now, low, top, false);
    }

    fn start_round(&mut self, now: Instant, low: u16, top: u16, is_lossy: bool) {
        self.state = State::Searching(Round::new(now, low, top, is_lossy));
        self.attempt(now);
    }

    fn attempt(&mut self, now: Instant) {
        let wait = self.wait();
        let State::Searching(round) = &mut self.state else {
            return;
        };
        // A queue that fills delays everything: be more patient each time that nothing comes.
        let wait = (wait * (1 << round.silent_attempts())).min(MAX_WAIT);
        let sizes = round.begin_attempt(now + wait);
        for size in sizes {
            let sent = self.send(now, size);
            if let State::Searching(round) = &mut self.state {
                round.note(sent);
            }
        }
    }

    fn send(&mut self, now: Instant, size: u16) -> Sent {
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        self.probes.push_back(Echo { size, token });
        Sent {
            size,
            token,
            at: now,
        }
    }

    fn finish_round(&mut self, now: Instant) {
        let State::Searching(round) = &self.state else {
            return;
        };
        let (low, is_lossy) = (round.low(), round.is_lossy());
        match round.finding() {
            Finding::Exact(size) => {
                self.set_current(size);
                self.settle(now);
            }
            Finding::Between(size, top) => {
                self.set_current(size);
                self.start_round(now, size, top, is_lossy);
            }
            // What worked before does not any more.
            Finding::Nothing if low > self.floor => self.search(now, self.floor, self.ceiling),
            Finding::Nothing => {
                if self.is_reached {
                    self.is_reached = false;
                    self.events.push_back(Event::Silent);
                }
                self.is_heard = false;
                self.state = State::Silent {
                    probes: VecDeque::new(),
                    retry_at: now,
                };
                self.ask_silent(now);
            }
        }
    }

    fn ask_silent(&mut self, now: Instant) {
        let sent = self.send(now, self.floor);
        if let State::Silent { probes, retry_at } = &mut self.state {
            probes.truncate(SILENT_PROBES - 1);
            probes.push_front(sent);
            *retry_at = now + SILENT_INTERVAL;
        }
    }

    fn confirm(&mut self, now: Instant) {
        self.is_active = false;
        let probe = self.send(now, self.current);
        self.state = State::Confirming {
            probe,
            deadline: now + self.wait(),
        };
    }

    fn settle(&mut self, now: Instant) {
        self.state = State::Settled {
            confirm_at: now + CONFIRM_INTERVAL,
        };
    }

    fn set_current(&mut self, size: u16) {
        if self.current != size {
            self.current = size;
            self.events.push_back(Event::Changed(size));
        }
    }

    /// Longer at once, shorter by and by: to wait too long costs little.
    fn learn_round_trip(&mut self, sample: Duration) {
        let known = self.round_trip.unwrap_or(sample);
        self.round_trip = Some(sample.max((known * 3 + sample) / 4));
    }

    fn wait(&self) -> Duration {
        let twice = |time: Duration| (time * 2 + MIN_WAIT / 2).clamp(MIN_WAIT, MAX_WAIT);
        self.round_trip.map_or(FIRST_WAIT, twice)
    }
}
