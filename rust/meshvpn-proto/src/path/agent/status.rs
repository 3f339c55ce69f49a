//! What people see of the paths to a peer.

use core::time::Duration;
use std::time::Instant;

use super::{PathAgent, Reason, Route};
use crate::path::candidate::{Candidate, Kind};

/// Where traffic to a peer goes, and what else there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PathStatus {
    /// Where it goes.
    pub route: Route,
    /// Why.
    pub reason: Reason,
    /// For how long.
    pub age: Duration,
    /// How fast that answers, if it was asked.
    pub round_trip: Option<Duration>,
    /// Direct paths are being looked for.
    pub is_searching: bool,
    /// Every direct path that there may be.
    pub candidates: Vec<CandidateStatus>,
}

/// What is known of one address of a peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CandidateStatus {
    /// The address, and how it became known.
    pub candidate: Candidate,
    /// How it does.
    pub state: CandidateState,
    /// Pings sent there.
    pub pings: usize,
    /// How long ago the last one was.
    pub last_ping: Option<Duration>,
    /// How long ago it last answered.
    pub last_answer: Option<Duration>,
    /// Smoothed; none before it has answered.
    pub round_trip: Option<Duration>,
    /// Share of what is lost, between 0 and 1.
    pub loss: f32,
}

/// How a candidate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CandidateState {
    /// Never tried, or not since traffic last stopped.
    Untried,
    /// It is being pinged, and has not answered yet.
    Trying,
    /// It does not answer.
    Silent,
    /// It answered before, and does not any more.
    Dead,
    /// It answers, and loses data.
    LosesData,
    /// It answers.
    Works,
    /// Traffic goes there.
    InUse,
}

impl CandidateState {
    /// As people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untried => "untried",
            Self::Trying => "trying",
            Self::Silent => "silent",
            Self::Dead => "dead",
            Self::LosesData => "loses data",
            Self::Works => "works",
            Self::InUse => "in use",
        }
    }
}

impl PathAgent {
    /// What is known at the moment.
    pub fn status(&self, now: Instant) -> PathStatus {
        let used = match self.route {
            Route::Relayed => self.relay.as_ref(),
            _ => self.current(),
        };
        let ago = |at: Instant| now.saturating_duration_since(at);
        let candidates = self.pairs.iter().map(|pair| CandidateStatus {
            candidate: Candidate {
                kind: pair.kind.unwrap_or(Kind::PeerReflexive),
                address: pair.address(),
            },
            state: if Some(pair.path) == self.using {
                CandidateState::InUse
            } else if pair.is_left(now) {
                CandidateState::LosesData
            } else if pair.is_answering() {
                CandidateState::Works
            } else if pair.died_at.is_some() {
                CandidateState::Dead
            } else if pair.is_opening() {
                CandidateState::Trying
            } else if pair.opened_at.is_some() {
                CandidateState::Silent
            } else {
                CandidateState::Untried
            },
            pings: pair.pings,
            last_ping: pair.pinged_at.map(ago),
            last_answer: pair.answered_at.map(ago),
            round_trip: pair.round_trip,
            loss: pair.loss as f32 / 1000.0,
        });
        PathStatus {
            route: self.route,
            reason: self.reason,
            age: ago(self.since),
            round_trip: used.and_then(|pair| pair.round_trip),
            is_searching: self.round.is_some(),
            candidates: candidates.collect(),
        }
    }
}
