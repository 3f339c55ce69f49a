//! Doubt, death and choice: where traffic goes from now on.

use core::time::Duration;
use std::time::Instant;

use super::pair::Pair;
use super::stages::{ROUND_INTERVAL, Round};
use super::{Choice, Event, PathAgent, Reason, Route};
use crate::forward::Path;

/// A path takes over from one that works when it is better by this many microseconds, and by a tenth (iroh has
/// the first; without the second, paths of 200 ms would change places for nothing).
const BETTER_BY: i64 = 5_000;
/// So many times in a row.
const BETTER_TIMES: u32 = 3;

impl PathAgent {
    /// Counts how often in a row a path that has just answered was better than the one in use.
    pub(super) fn compare(&mut self, path: Path) {
        let Some(current) = self.current().filter(|pair| pair.path != path) else {
            return;
        };
        let score = current.score();
        let needed = BETTER_BY.max(score / 10);
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.path == path) {
            let is_better = pair.score() + needed <= score;
            pair.better = if is_better { pair.better + 1 } else { 0 };
        }
    }

    /// The path in use may not work any more: traffic goes elsewhere until it answers.
    pub(super) fn doubt(&mut self, now: Instant, reason: Reason) {
        let Some(index) = self
            .pairs
            .iter()
            .position(|pair| Some(pair.path) == self.using)
        else {
            return;
        };
        self.pairs[index].doubted_at = Some(now);
        self.send_ping(now, Some(index));
        self.leave(now, reason);
    }

    /// Leaves the path in use for the best that there is, if there is any.
    pub(super) fn leave(&mut self, now: Instant, reason: Reason) {
        match self.best(now) {
            Some(path) => self.switch_to(now, path, reason),
            None if self.relay.is_some() => self.switch_to_relay(now, reason),
            // Better than nothing.
            None => {}
        }
    }

    /// Looks after the path in use, and finds a better one.
    pub(super) fn choose(&mut self, now: Instant) {
        self.look_after_current(now);
        self.bury(now);
        let works = self.current().is_some_and(Pair::works);
        match (works, self.best(now)) {
            (true, _) => self.prefer_better(now),
            (false, Some(path)) => {
                let Some(pair) = self.pair(path) else { return };
                let round_trip = pair.round_trip.unwrap_or_default();
                let reason = match pair.died_at {
                    Some(died) => Reason::AnswersAgain {
                        round_trip,
                        after: now.saturating_duration_since(died),
                    },
                    None => Reason::Answered { round_trip },
                };
                self.switch_to(now, path, reason);
            }
            (false, None) => self.make_do(now),
        }
    }

    /// Moves to a path that has been better for a while.
    fn prefer_better(&mut self, now: Instant) {
        let better = self.pairs.iter().filter(|pair| {
            pair.better >= BETTER_TIMES && pair.is_usable(now) && Some(pair.path) != self.using
        });
        let Some(better) = better.min_by_key(|pair| pair.score()) else {
            return;
        };
        if let Some(current) = self.current() {
            let (path, than) = (better.path, current.address());
            let by = current.score().saturating_sub(better.score());
            let by = Duration::from_micros(by.unsigned_abs());
            self.switch_to(now, path, Reason::Better { than, by });
        }
    }

    pub(super) fn switch_to_relay(&mut self, now: Instant, reason: Reason) {
        if let Some(relay) = &self.relay {
            let (path, round_trip) = (relay.path, relay.round_trip);
            self.using = None;
            self.switch(now, path, Route::Relayed, round_trip, reason);
        }
    }

    /// Nothing direct is known to work: the relay; or where a handshake came from, or any address.
    fn make_do(&mut self, now: Instant) {
        if self.relay.is_some() {
            if self.route != Route::Relayed {
                let left = self.pairs.iter().find(|pair| pair.is_left(now));
                let reason = match left.and_then(|pair| pair.left_for) {
                    Some(reason) => reason,
                    None if self.round.is_some() => self.reason_for_trying(),
                    None => Reason::Beginning,
                };
                self.switch_to_relay(now, reason);
            }
        } else if self.using.is_none() {
            let first = self.pairs.first().map(|pair| pair.path);
            let path = self.heard_by.or(first);
            let reason = if path.is_some() {
                Reason::NoRelay
            } else {
                Reason::Unknown
            };
            let is_same = self.route == Route::Nowhere && self.guess == path;
            (self.route, self.reason, self.guess) = (Route::Nowhere, reason, path);
            if let Some(path) = path.filter(|_| !is_same) {
                self.switch(now, path, Route::Nowhere, None, reason);
            }
        }
    }

    fn look_after_current(&mut self, now: Instant) {
        let Some(pair) = self.current().filter(|pair| pair.works()) else {
            return;
        };
        if pair.doubt_at().is_some_and(|at| now >= at) && self.has_session {
            let since = pair.expects_since.unwrap_or(now);
            let reason = Reason::Silent {
                address: pair.address(),
                since: now.saturating_duration_since(since),
            };
            self.doubt(now, reason);
        }
    }

    /// Gives up paths in doubt that lose ping after ping, and looks for others.
    fn bury(&mut self, now: Instant) {
        let mut has_died = false;
        for pair in &mut self.pairs {
            if pair.doubted_at.is_some() && pair.is_lost() {
                pair.die(now);
                has_died = true;
            }
        }
        let is_fresh = |round: &Round| now < round.began + ROUND_INTERVAL;
        if has_died && !self.round.as_ref().is_some_and(is_fresh) {
            self.failures = 0;
            self.begin_round(now);
        }
    }

    /// The best path that traffic may go by, but for the one in use.
    fn best(&self, now: Instant) -> Option<Path> {
        // Without a relay, whatever answers is better than nothing.
        let will_do =
            |pair: &Pair| self.relay.is_none() && pair.is_answering() && pair.doubted_at.is_none();
        let others = self
            .pairs
            .iter()
            .filter(|pair| Some(pair.path) != self.using);
        let usable = others.filter(|pair| pair.is_usable(now) || will_do(pair));
        let best = usable.min_by_key(|pair| pair.score());
        best.map(|pair| pair.path)
    }

    fn pair(&self, path: Path) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.path == path)
    }

    fn switch_to(&mut self, now: Instant, path: Path, reason: Reason) {
        let round_trip = self.pair(path).and_then(|pair| pair.round_trip);
        self.using = Some(path);
        self.failures = 0;
        self.retry_at = None;
        self.switch(
            now,
            path,
            Route::Direct(path.destination),
            round_trip,
            reason,
        );
    }

    fn switch(
        &mut self,
        now: Instant,
        path: Path,
        route: Route,
        round_trip: Option<Duration>,
        reason: Reason,
    ) {
        let before = core::mem::replace(&mut self.route, route);
        self.reason = reason;
        self.since = now;
        self.ledger = None;
        for pair in &mut self.pairs {
            pair.better = 0;
        }
        self.events.push_back(Event::Chosen(Choice {
            path,
            route,
            before,
            reason,
            round_trip,
        }));
    }
}
