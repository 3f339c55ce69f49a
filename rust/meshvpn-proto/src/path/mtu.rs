//! The path MTU, found by probing (packetization layer path MTU discovery, RFC 8899).
//!
//! ICMP is never relied on: many paths drop it, and anyone can forge it. Instead padded probes go
//! out with "don't fragment" set, and the ones that the peer confirms count.
//!
//! * **Search**: up to eight sizes at once, evenly spread between what works and what is known not to;
//!   the largest one confirmed is where the next round starts. Three rounds find any MTU below 1,500
//!   to the byte, in three round trips when nothing is lost.
//! * **Confirm**: while traffic flows, the size in use is probed twice a second. Three lost probes
//!   mean that the path may have become narrower: search again, from the floor.
//! * **Raise**: now and then, while in use below the ceiling, search upwards.
//!
//! When not even a small probe is confirmed the peer is away: that says nothing about the path, so the
//! size stays and small probes go on until the peer is back.
//!
//! Sizes are lengths of the whole outer IP packet, in bytes.

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use super::probe::Echo;

/// Sizes probed at once. With eight, three rounds cover a range of 728 bytes or more.
const FAN_OUT: u16 = 8;
/// Times that a round's probes are sent before those unanswered count as too long.
const SEARCH_ATTEMPTS: u8 = 2;
/// Probes lost in a row before the size in use is doubted (RFC 8899, `MAX_PROBES`).
const CONFIRM_ATTEMPTS: u8 = 3;
/// How often the size in use is confirmed while traffic flows. Half a second of a black hole is
/// below the time after which people reload a page; a full-size probe this often is 24 kbit/s.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(500);
/// How often a larger size is tried (RFC 8899 has 600 s; a probe costs nothing here).
const RAISE_INTERVAL: Duration = Duration::from_secs(30);
/// How often a silent peer is asked whether it is back.
const SILENT_INTERVAL: Duration = Duration::from_secs(1);
/// Bounds of the time that a probe is waited for: twice the round-trip time, and some.
const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_millis(300);

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
    is_active: bool,
    next_raise: Instant,
    next_token: u64,
    probes: VecDeque<Echo>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Searching(Round),
    Settled { confirm_at: Instant },
    Confirming { token: u64, sent_at: Instant, attempt: u8, deadline: Instant },
    Silent { retry_at: Instant },
}

/// One round of probes between `low`, which works (or is the floor), and `high`, which is known or
/// taken not to.
#[derive(Debug)]
struct Round {
    low: u16,
    high: u16,
    probes: Vec<Sent>,
    attempt: u8,
    deadline: Instant,
}

#[derive(Debug)]
struct Sent {
    size: u16,
    token: u64,
    at: Instant,
    is_answered: bool,
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
            state: State::Silent { retry_at: now },
            round_trip: None,
            is_reached: false,
            is_active: false,
            next_raise: now + RAISE_INTERVAL,
            next_token: first_token,
            probes: VecDeque::new(),
            events: VecDeque::new(),
        };
        mtu.search(now, floor, mtu.ceiling + 1);
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
        self.search(now, self.floor, ceiling + 1);
    }

    /// The local kernel refused a packet as too long: do not wait for the next confirmation.
    pub fn handle_refused(&mut self, now: Instant) {
        if !matches!(self.state, State::Searching(_)) {
            self.search(now, self.floor, self.ceiling + 1);
        }
    }

    /// The peer confirmed a probe.
    pub fn handle_reply(&mut self, now: Instant, echo: Echo) {
        let sent_at = match &mut self.state {
            State::Searching(round) => {
                let answered = round.probes.iter_mut().find(|sent| sent.token == echo.token);
                answered.map(|sent| {
                    sent.is_answered = true;
                    sent.at
                })
            }
            State::Confirming { token, sent_at, .. } if *token == echo.token => Some(*sent_at),
            _ => None,
        };
        let Some(sent_at) = sent_at else { return };
        self.round_trip = Some(now.saturating_duration_since(sent_at));
        if !self.is_reached {
            self.is_reached = true;
            self.events.push_back(Event::Reached);
        }
        match &self.state {
            State::Searching(round) => {
                let is_top = round.probes.last().is_some_and(|top| top.is_answered);
                let is_complete = round.probes.iter().all(|sent| sent.is_answered);
                if is_top || is_complete {
                    self.finish_round(now);
                }
            }
            _ => self.settle(now),
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = self.poll_timeout().is_some_and(|(at, _)| now >= at);
        if !due {
            return;
        }
        match &self.state {
            State::Searching(round) if round.attempt < SEARCH_ATTEMPTS => self.repeat_round(now),
            State::Searching(_) => self.finish_round(now),
            State::Settled { .. } if now >= self.next_raise && self.current < self.ceiling => {
                self.search(now, self.current, self.ceiling + 1);
            }
            State::Settled { .. } => self.confirm(now, 1),
            State::Confirming { attempt, .. } if *attempt < CONFIRM_ATTEMPTS => {
                self.confirm(now, attempt + 1);
            }
            State::Confirming { .. } | State::Silent { .. } => {
                self.search(now, self.floor, self.ceiling + 1);
            }
        }
    }

    /// When to call [`Self::handle_timeout`] next, and why. Never while all is well and idle.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        Some(match &self.state {
            State::Searching(round) => (round.deadline, Timer::Round),
            State::Settled { confirm_at } if self.is_active => (*confirm_at, Timer::Confirm),
            State::Settled { .. } => return None,
            State::Confirming { deadline, .. } => (*deadline, Timer::ConfirmLost),
            State::Silent { retry_at } => (*retry_at, Timer::Silent),
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

    fn search(&mut self, now: Instant, low: u16, high: u16) {
        self.next_raise = now + RAISE_INTERVAL;
        // The low end is probed as well: only if it is confirmed does silence at the others mean
        // anything.
        self.start_round(now, low, high, true);
    }

    fn start_round(&mut self, now: Instant, low: u16, high: u16, with_low: bool) {
        let span = u32::from(high - 1 - low);
        let count = span.min(u32::from(FAN_OUT));
        let first = if with_low { 0 } else { 1 };
        let sizes = (first..=count).map(|i| low + (span * i / count.max(1)) as u16);
        let probes = sizes.map(|size| self.send(now, size)).collect();
        let deadline = now + self.wait();
        self.state = State::Searching(Round { low, high, probes, attempt: 1, deadline });
    }

    fn send(&mut self, now: Instant, size: u16) -> Sent {
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        self.probes.push_back(Echo { size, token });
        Sent { size, token, at: now, is_answered: false }
    }

    fn repeat_round(&mut self, now: Instant) {
        let deadline = now + self.wait();
        let State::Searching(round) = &mut self.state else {
            return;
        };
        round.attempt += 1;
        round.deadline = deadline;
        let best = round.best();
        for sent in round.probes.iter().filter(|sent| Some(sent.size) > best) {
            self.probes.push_back(Echo { size: sent.size, token: sent.token });
        }
    }

    fn finish_round(&mut self, now: Instant) {
        let State::Searching(round) = &self.state else {
            return;
        };
        let (low, high) = (round.low, round.high);
        let Some(best) = round.best() else {
            return self.nothing_confirmed(now, round.probes.first().map(|sent| sent.size));
        };
        let next_high =
            round.probes.iter().map(|sent| sent.size).find(|size| *size > best).unwrap_or(high);
        self.set_current(best);
        if best + 1 >= next_high {
            self.settle(now);
        } else {
            debug_assert!(best >= low);
            self.start_round(now, best, next_high, false);
        }
    }

    /// A later round confirms nothing when its sizes are all too long: what came before stands. A
    /// first round confirms nothing when the peer is away, or when what worked once no longer does.
    fn nothing_confirmed(&mut self, now: Instant, smallest: Option<u16>) {
        let State::Searching(round) = &self.state else {
            return;
        };
        let (low, had_low) = (round.low, smallest == Some(round.low));
        match smallest {
            Some(size) if !had_low && size > low + 1 => self.start_round(now, low, size, false),
            Some(_) if !had_low => {
                self.set_current(low);
                self.settle(now);
            }
            _ if low > self.floor => self.search(now, self.floor, self.ceiling + 1),
            _ => {
                if self.is_reached {
                    self.is_reached = false;
                    self.events.push_back(Event::Silent);
                }
                self.state = State::Silent { retry_at: now + SILENT_INTERVAL };
            }
        }
    }

    fn confirm(&mut self, now: Instant, attempt: u8) {
        self.is_active = false;
        let sent = self.send(now, self.current);
        let deadline = now + self.wait();
        self.state = State::Confirming { token: sent.token, sent_at: now, attempt, deadline };
    }

    fn settle(&mut self, now: Instant) {
        self.state = State::Settled { confirm_at: now + CONFIRM_INTERVAL };
    }

    fn set_current(&mut self, size: u16) {
        if self.current != size {
            self.current = size;
            self.events.push_back(Event::Changed(size));
        }
    }

    fn wait(&self) -> Duration {
        self.round_trip
            .map_or(FIRST_WAIT, |time| (time * 2 + MIN_WAIT / 2).clamp(MIN_WAIT, MAX_WAIT))
    }
}

impl Round {
    fn best(&self) -> Option<u16> {
        self.probes.iter().filter(|sent| sent.is_answered).map(|sent| sent.size).max()
    }
}
