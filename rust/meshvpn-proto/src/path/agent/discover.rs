//! Finding paths: candidates of both sides, calls, and rounds.

use core::time::Duration;
use std::time::Instant;

use super::pair::Pair;
use super::stages::{ROUND_INTERVAL, Round, pause};
use super::{PathAgent, Reason, Route, Transmit};
use crate::forward::Path;
use crate::path::candidate::{Candidate, Kind};
use crate::path::probe::{Call, MAX_CANDIDATES, Probe};

/// Peer-reflexive addresses kept at a time: one is all that a peer needs, and each ping may bring another.
const MAX_REFLEXIVE: usize = 6;
/// Who has called this lately need not be called back.
const RECENT_CALL: Duration = Duration::from_millis(500);

impl PathAgent {
    /// The peer's addresses, as the map has them.
    pub fn handle_candidates(&mut self, now: Instant, candidates: &[Candidate]) {
        if self.from_map == candidates {
            return;
        }
        self.from_map = candidates.to_vec();
        if self.sync_pairs(now) && self.is_wanted(now) && self.using.is_none() {
            self.begin_round(now);
        }
        self.advance(now);
    }

    /// Our own addresses are these now. The peer is told at once, if one of us wants the other.
    pub fn handle_own_candidates(&mut self, now: Instant, own: &[Candidate]) {
        if self.own == own {
            return;
        }
        let before = core::mem::replace(&mut self.own, own.to_vec());
        let is_gone = |host: &Candidate| host.kind == Kind::Host && !own.contains(host);
        if before.iter().any(is_gone) && self.is_wanted(now) && self.has_session {
            self.doubt(now, Reason::Moved);
        }
        self.handle_network_change(now);
    }

    /// Something about our network has changed: what worked may not any more. The path in use is asked at once, and
    /// others are looked for.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.failures = 0;
        if !self.is_wanted(now) || !self.has_session {
            return;
        }
        self.call(now, true);
        self.ping_current(now);
        let using = self.using;
        let others = self
            .pairs
            .iter_mut()
            .filter(|pair| Some(pair.path) != using);
        others.for_each(|pair| pair.good = 0);
        self.start_round(now);
        self.advance(now);
    }

    /// The peer has told where it is, and probes us now.
    pub(super) fn handle_call(&mut self, now: Instant, path: Path, call: Call) {
        let before = core::mem::replace(&mut self.from_call, call.candidates);
        self.want(now);
        self.sync_pairs(now);
        let is_withdrawn = |pair: &Pair| {
            let is_listed = |list: &[Candidate]| {
                let mut addresses = list.iter().map(|candidate| candidate.address);
                addresses.any(|address| address == pair.address())
            };
            is_listed(&before) && !is_listed(&self.from_call)
        };
        if let Some(current) = self.current().filter(|pair| is_withdrawn(pair)) {
            let address = current.address();
            self.doubt(now, Reason::Withdrawn { address });
        }
        // If the peer has lost it, it is open again only when we send there, too.
        self.ping_current(now);
        let is_recent = self.called_at.is_some_and(|at| now < at + RECENT_CALL);
        if call.wants_answer && !is_recent {
            self.called_at = Some(now);
            self.send_call(path, false);
        }
        let is_fresh = |round: &Round| now < round.began + ROUND_INTERVAL;
        if !self.round.as_ref().is_some_and(is_fresh) {
            self.start_round(now);
        }
    }

    /// Looks for direct paths, and calls the peer to do the same.
    pub(super) fn begin_round(&mut self, now: Instant) {
        if !self.has_session || !self.is_wanted(now) {
            return;
        }
        let is_soon = self.called_at.is_some_and(|at| now < at + ROUND_INTERVAL);
        if !is_soon {
            self.call(now, true);
        }
        self.start_round(now);
    }

    fn start_round(&mut self, now: Instant) {
        if !self.has_session {
            return;
        }
        self.round = Some(Round::new(now));
        self.retry_at = None;
        let using = self.using;
        for pair in &mut self.pairs {
            if !pair.is_answering() && Some(pair.path) != using {
                pair.open(now);
            }
        }
        if self.route == Route::Relayed && !self.is_reason_worth_keeping() {
            self.reason = self.reason_for_trying();
        }
    }

    /// A round is over.
    pub(super) fn end_round(&mut self, now: Instant) {
        self.round = None;
        if self.current().is_some_and(Pair::works) {
            self.failures = 0;
            return;
        }
        self.failures += 1;
        let pause = pause(self.failures);
        let pause = pause + pause / 4 * self.share() / u32::MAX;
        self.retry_at = Some(now + pause);
        if self.route == Route::Relayed {
            let left = self.pairs.iter().find(|pair| pair.is_left(now));
            let left = left.and_then(|pair| pair.left_for);
            self.reason = left.unwrap_or(match self.pairs.len() {
                0 => Reason::NoCandidates,
                addresses => Reason::NoAnswer {
                    addresses,
                    pings: self.pairs.iter().map(|pair| pair.tries).sum(),
                },
            });
        }
    }

    pub(super) fn reason_for_trying(&self) -> Reason {
        match self.pairs.len() {
            0 => Reason::NoCandidates,
            addresses => Reason::Trying { addresses },
        }
    }

    /// What made traffic leave a direct path says more than that another is being looked for.
    fn is_reason_worth_keeping(&self) -> bool {
        matches!(
            self.reason,
            Reason::Silent { .. }
                | Reason::LosesData { .. }
                | Reason::Withdrawn { .. }
                | Reason::Moved
        )
    }

    fn ping_current(&mut self, now: Instant) {
        let current = self
            .pairs
            .iter()
            .position(|pair| Some(pair.path) == self.using);
        if current.is_some() && self.has_session {
            self.send_ping(now, current);
        }
    }

    fn call(&mut self, now: Instant, wants_answer: bool) {
        let way = self.relay.as_ref().map(|relay| relay.path).or(self.using);
        if let Some(path) = way {
            self.called_at = Some(now);
            self.send_call(path, wants_answer);
        }
    }

    fn send_call(&mut self, path: Path, wants_answer: bool) {
        let candidates = self.own.iter().take(MAX_CANDIDATES).copied().collect();
        let probe = Probe::Call(Call {
            candidates,
            wants_answer,
        });
        self.transmits.push_back(Transmit { path, probe });
    }

    /// Makes pairs of what the peer has told, and forgets those that nobody names any more and that do not
    /// work. Returns whether there are new ones.
    pub(super) fn sync_pairs(&mut self, now: Instant) -> bool {
        let mut announced: Vec<(Path, Kind)> = Vec::new();
        for candidate in self.from_call.iter().chain(&self.from_map) {
            let path = self.sockets.path_to(candidate.address);
            let is_known = |path| announced.iter().any(|(known, _)| *known == path);
            if let Some(path) =
                path.filter(|path| announced.len() < MAX_CANDIDATES && !is_known(*path))
            {
                announced.push((path, candidate.kind));
            }
        }
        let using = self.using;
        self.pairs.retain_mut(|pair| {
            pair.is_announced = announced.iter().any(|(path, _)| *path == pair.path);
            let is_reflexive = pair.kind == Some(Kind::PeerReflexive);
            let is_in_use = pair.is_answering() || Some(pair.path) == using;
            pair.is_announced || is_reflexive || is_in_use
        });
        let mut is_new = false;
        for (path, kind) in announced {
            if self.pairs.iter().any(|pair| pair.path == path) {
                continue;
            }
            let mut pair = Pair::new(path, Some(kind));
            pair.is_announced = true;
            if self.round.is_some() {
                pair.open(now);
            }
            self.pairs.push(pair);
            is_new = true;
        }
        is_new
    }

    /// The pair of a path that something authentic came by, which may be a new one.
    pub(super) fn pair_of_arrival(&mut self, path: Path) -> usize {
        if let Some(index) = self.pairs.iter().position(|pair| pair.path == path) {
            return index;
        }
        let is_reflexive = |pair: &&Pair| !pair.is_announced;
        if self.pairs.iter().filter(is_reflexive).count() >= MAX_REFLEXIVE {
            // Of those that do not work, the one that was silent for longest.
            let using = self.using;
            let idle = self.pairs.iter().enumerate();
            let idle = idle.filter(|(_, pair)| !pair.is_announced && Some(pair.path) != using);
            let idle = idle
                .min_by_key(|(_, pair)| (pair.is_answering(), pair.answered_at, pair.pinged_at));
            if let Some((index, _)) = idle {
                self.pairs.remove(index);
            }
        }
        self.pairs.push(Pair::new(path, Some(Kind::PeerReflexive)));
        self.pairs.len() - 1
    }
}
