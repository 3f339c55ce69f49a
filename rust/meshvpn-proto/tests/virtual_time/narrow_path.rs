//! A path that takes packets up to some length, with delay and loss, and a [`PathMtu`] at its near
//! end. The far end confirms what arrives.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meshvpn_proto::path::mtu::{Event, PathMtu};
use meshvpn_proto::path::probe::Echo;

use crate::chance::{Chance, beginning};

pub(crate) const FLOOR: u16 = 576;
/// How often the engine reports that packets went out.
const ACTIVITY: Duration = Duration::from_millis(10);

pub(crate) struct NarrowPath {
    pub(crate) mtu: PathMtu,
    /// What the path takes.
    pub(crate) width: u16,
    pub(crate) round_trip: Duration,
    /// Lost of a hundred packets, in each direction.
    pub(crate) loss: u64,
    pub(crate) is_peer_there: bool,
    pub(crate) has_traffic: bool,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    /// When each probe was sent, and how long it was.
    pub(crate) probes: Vec<(Instant, u16)>,
    /// What the machine said, and when.
    pub(crate) events: Vec<(Duration, Event)>,
    replies: BTreeMap<(Instant, u64), Echo>,
    chance: Chance,
}

impl NarrowPath {
    pub(crate) fn new(ceiling: u16, width: u16, round_trip_ms: u64) -> Self {
        let start = beginning();
        let mut path = Self {
            mtu: PathMtu::new(start, FLOOR, ceiling, 7),
            width,
            round_trip: Duration::from_millis(round_trip_ms),
            loss: 0,
            is_peer_there: true,
            has_traffic: true,
            now: start,
            start,
            probes: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            chance: Chance(1),
        };
        path.drain();
        path
    }

    pub(crate) fn with_loss(mut self, percent: u64, seed: u64) -> Self {
        // What left already was sent under other conditions.
        self.replies.clear();
        (self.loss, self.chance) = (percent, Chance(seed));
        self
    }

    /// Lets `ms` milliseconds pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.run_until(end, |_| false);
    }

    /// Runs until `done`, at most `ms` milliseconds; returns how long it took.
    pub(crate) fn time_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        self.run_until(start + Duration::from_millis(ms), &done);
        assert!(done(self), "not within {ms} ms: {:?}", self.mtu);
        self.now - start
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        let mut next_activity = self.now;
        while self.now < end && !done(self) {
            let reply = self.replies.keys().next().map(|(at, _)| *at);
            let timeout = self.mtu.poll_timeout().map(|(at, _)| at.max(self.now));
            let activity = self.has_traffic.then_some(next_activity);
            let next = [reply, timeout, activity].into_iter().flatten().min();
            self.now = next.unwrap_or(end).min(end);
            if activity == Some(self.now) {
                self.mtu.handle_activity();
                next_activity = self.now + ACTIVITY;
            }
            while let Some(entry) = self
                .replies
                .first_entry()
                .filter(|at| at.key().0 <= self.now)
            {
                let echo = entry.remove();
                self.mtu.handle_reply(self.now, echo);
                self.drain();
            }
            self.mtu.handle_timeout(self.now);
            self.drain();
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(echo) = self.mtu.poll_probe() {
            self.probes.push((self.now, echo.size));
            let is_lost = self.chance.hits(self.loss) || self.chance.hits(self.loss);
            if echo.size <= self.width && self.is_peer_there && !is_lost {
                let order = self.probes.len() as u64;
                self.replies
                    .insert((self.now + self.round_trip, order), echo);
            }
        }
        while let Some(event) = self.mtu.poll_event() {
            self.events.push((self.now - self.start, event));
        }
    }

    /// Nothing is on its way and the size in use is watched, no more.
    pub(crate) fn is_settled(&self) -> bool {
        use meshvpn_proto::path::mtu::Timer;
        !matches!(
            self.mtu.poll_timeout(),
            Some((_, Timer::Round | Timer::ConfirmLost))
        )
    }

    /// The most probes within any second.
    pub(crate) fn busiest_second(&self) -> usize {
        let within = |(index, (at, _)): (usize, &(Instant, u16))| {
            let second = |probe: &&(Instant, u16)| probe.0 < *at + Duration::from_secs(1);
            self.probes[index..].iter().take_while(second).count()
        };
        self.probes
            .iter()
            .enumerate()
            .map(within)
            .max()
            .unwrap_or(0)
    }
}
