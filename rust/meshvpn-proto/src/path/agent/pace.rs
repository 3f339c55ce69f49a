//! Timers: when each path is pinged, when pings count as lost, when there is nothing more to do.

use core::time::Duration;
use std::time::Instant;

use super::pair::{Pace, Pair};
use super::stages::Method;
use super::{Event, PathAgent, Route};

/// How often the direct path in use is pinged while we send.
const IN_USE: Duration = Duration::from_millis(250);
/// How often the relay is while traffic goes there: the engine watches over the connection itself.
const RELAYED: Duration = Duration::from_secs(1);
/// How often other paths that work are, so that a better one shows.
const OTHERS: Duration = Duration::from_secs(5);
/// So many of them.
const MAX_OTHERS: usize = 3;
/// How often a path that died is, while there is traffic: by the time since then.
const HEALING: [(Duration, Duration); 3] = [
    (Duration::from_secs(60), Duration::from_millis(800)),
    (Duration::from_secs(3600), Duration::from_millis(1200)),
    (Duration::MAX, Duration::from_secs(10)),
];
/// The path in use is pinged this often for the NATs on the way, and up to a quarter more seldom: Linux forgets
/// after 30 s what was answered only once.
const REFRESH: Duration = Duration::from_secs(20);
/// For how long after the last packet we count as sending.
const SENDING: Duration = Duration::from_secs(1);
/// For how long after it there counts as being traffic.
const LIVELY: Duration = Duration::from_secs(3);
/// Pings over the relay that are lost in a row while nothing else answers before the peer counts as silent.
const LOST_UNTIL_SILENT: u32 = 3;
/// How often that is told.
const SILENT_INTERVAL: Duration = Duration::from_secs(5);

/// What the agent may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to ping some path.
    Ping,
    /// When to count a ping as lost.
    Lost,
    /// When to doubt the path in use.
    Doubt,
    /// When a path has answered for long enough to be trusted.
    Trust,
    /// When a round is over.
    RoundEnd,
    /// When to begin the next round.
    Retry,
    /// When to stop keeping paths to a peer that nobody wants.
    Sleep,
}

impl PathAgent {
    /// When to call [`Self::handle_timeout`] next, and why. Never while the peer is not wanted.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let until = self.wanted_until?;
        let sleep = [(until, Timer::Sleep)].into_iter();
        if !self.has_session {
            return sleep.min();
        }
        // Nothing is further back than what the timers were last set by.
        let now = self.advanced_at;
        let all = self.relay.iter().chain(&self.pairs);
        let losses = all.filter_map(Pair::next_loss).map(|at| (at, Timer::Lost));
        let relay = self
            .relay
            .iter()
            .map(|relay| (relay, self.pace_of_relay(now)));
        let pairs = self.pairs.iter().map(|pair| (pair, self.pace(pair, now)));
        let pings = relay.chain(pairs);
        let pings = pings.filter_map(|(pair, pace)| pair.next_ping(now, pace));
        let pings = pings.map(|at| (at, Timer::Ping));
        let current = self.current().filter(|pair| pair.works());
        let doubt = current
            .and_then(Pair::doubt_at)
            .map(|at| (at, Timer::Doubt));
        let waiting = self.pairs.iter().filter(|pair| !pair.is_usable(now));
        let trust = waiting.filter_map(Pair::usable_at).filter(|at| *at > now);
        let trust = trust.map(|at| (at, Timer::Trust));
        let round = self
            .round
            .as_ref()
            .map(|round| (round.end(), Timer::RoundEnd));
        let retry = self.retry_at.filter(|_| self.is_lively(now));
        let retry = retry.map(|at| (at, Timer::Retry));
        sleep
            .chain(losses)
            .chain(pings)
            .chain(doubt)
            .chain(trust)
            .chain(round)
            .chain(retry)
            .min()
    }

    /// Does everything that is due, and chooses.
    pub(super) fn advance(&mut self, now: Instant) {
        self.advanced_at = now;
        if self.wanted_until.is_some_and(|until| now >= until) {
            self.sleep(now);
        }
        if self.has_session {
            self.everything().for_each(|pair| pair.count_losses(now));
            if self.round.as_ref().is_some_and(|round| now >= round.end()) {
                self.end_round(now);
            }
            if self.retry_at.is_some_and(|at| now >= at) && self.is_lively(now) {
                self.begin_round(now);
            }
        }
        self.choose(now);
        if self.has_session && self.is_wanted(now) {
            self.send_pings(now);
            self.notice_silence(now);
        }
    }

    pub(super) fn draw_refresh(&mut self) {
        self.refresh = REFRESH + REFRESH / 4 * (self.share() >> 16) / (1 << 16);
    }

    fn send_pings(&mut self, now: Instant) {
        self.send_asked(now);
        let is_due = |pair: &Pair, pace| pair.next_ping(now, pace).is_some_and(|at| now >= at);
        let pace = self.pace_of_relay(now);
        if self.relay.as_ref().is_some_and(|relay| is_due(relay, pace)) {
            self.send_ping(now, None);
        }
        for index in 0..self.pairs.len() {
            let pair = &self.pairs[index];
            let pace = self.pace(pair, now);
            if !is_due(pair, pace) {
                continue;
            }
            if pace == Pace::Opening {
                let mut round = self.round.as_mut();
                let may_send = round
                    .as_mut()
                    .is_none_or(|round| round.spend(now, Method::Candidates));
                if !may_send {
                    self.pairs[index].opened_at = None;
                    continue;
                }
            }
            self.send_ping(now, Some(index));
            if self.using == Some(self.pairs[index].path) {
                self.draw_refresh();
            }
        }
    }

    /// Sends the pings that somebody asked for, the way that traffic goes.
    fn send_asked(&mut self, now: Instant) {
        let index = self
            .pairs
            .iter()
            .position(|pair| Some(pair.path) == self.using);
        for asked in 0..self.asked.len() {
            if self.asked[asked].1.is_none() {
                self.asked[asked].1 = self.send_ping(now, index);
            }
        }
    }

    /// When all is lost, it may be the session.
    fn notice_silence(&mut self, now: Instant) {
        let used = match self.route {
            Route::Relayed => self.relay.as_ref(),
            _ => self.current(),
        };
        let is_lost = used.is_some_and(|pair| pair.lost >= LOST_UNTIL_SILENT);
        let is_told = self
            .told_silent_at
            .is_some_and(|at| now < at + SILENT_INTERVAL);
        let works = self.pairs.iter().any(Pair::is_answering);
        if is_lost && !works && !is_told && self.is_sending(now) {
            self.told_silent_at = Some(now);
            self.events.push_back(Event::Silent);
        }
    }

    fn pace_of_relay(&self, now: Instant) -> Pace {
        if self.route == Route::Relayed && self.is_sending(now) {
            Pace::Every(RELAYED)
        } else {
            Pace::Never
        }
    }

    fn pace(&self, pair: &Pair, now: Instant) -> Pace {
        if !self.is_wanted(now) {
            return Pace::Never;
        }
        let is_sending = self.is_sending(now);
        if pair.doubted_at.is_some() {
            return Pace::Every(pair.patience());
        }
        if Some(pair.path) == self.using {
            return Pace::Every(if is_sending { IN_USE } else { self.refresh });
        }
        if pair.is_answering() {
            if !pair.is_usable(now) && !pair.is_left(now) {
                // It has to answer more than once.
                return Pace::Every(pair.round_trip.unwrap_or_default().max(IN_USE / 10));
            }
            return match self.rank(pair) < MAX_OTHERS {
                // So that the better one shows at once.
                true if pair.is_opening() && self.round.is_some() => Pace::Opening,
                true if is_sending => Pace::Every(OTHERS),
                _ => Pace::Never,
            };
        }
        if pair.is_opening() {
            return Pace::Opening;
        }
        match pair.died_at {
            Some(died) if self.is_lively(now) => {
                let since = now.saturating_duration_since(died);
                let healing = HEALING.iter().find(|(until, _)| since < *until);
                healing.map_or(Pace::Never, |(_, interval)| Pace::Every(*interval))
            }
            _ => Pace::Never,
        }
    }

    /// How many paths that answer are better.
    fn rank(&self, pair: &Pair) -> usize {
        let using = self.using;
        let others = self
            .pairs
            .iter()
            .filter(|other| Some(other.path) != using && other.is_answering());
        let better = others.filter(|other| {
            (other.score(), other.path.destination) < (pair.score(), pair.path.destination)
        });
        better.count()
    }

    fn is_sending(&self, now: Instant) -> bool {
        self.sent_at.is_some_and(|at| now < at + SENDING)
    }

    fn is_lively(&self, now: Instant) -> bool {
        let last = self.sent_at.max(self.received_at);
        last.is_some_and(|at| now < at + LIVELY)
    }
}
