//! Stages: what is tried, in which order, to find a direct path, and how much each may cost.
//!
//! A *round* begins when a direct path is wanted and there is none, and runs through the table from its
//! beginning. A stage has its time and its budget of packets; it ends early when a path answers. What a stage
//! sends is decided by its [`Method`]: methods for NATs that choose ports by themselves (prediction, many
//! sockets, TCP) are further entries.
//!
//! After a round without success the next one waits, longer each time; anything new (an address, a call
//! from the peer, a change of the network) begins one at once.

use core::time::Duration;
use std::time::Instant;

/// When each candidate is pinged, from the beginning of its stage: doubling, up to 2 s apart. Two peers that
/// ping each other like this open the NATs on the way for one another within the first few pings.
pub(super) const PINGS: [Duration; 9] = [
    Duration::ZERO,
    Duration::from_millis(33),
    Duration::from_millis(66),
    Duration::from_millis(133),
    Duration::from_millis(266),
    Duration::from_millis(533),
    Duration::from_millis(1066),
    Duration::from_millis(2133),
    Duration::from_millis(4133),
];

/// Neither rounds nor calls begin more often than this on their own.
pub(super) const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// Pauses between rounds without success; the last one from then on.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// How a stage looks for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Method {
    /// Pings to every candidate of the peer.
    Candidates,
}

/// One thing to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// How.
    pub method: Method,
    /// From the beginning of the round.
    pub starts: Duration,
    /// From the beginning of the round.
    pub ends: Duration,
    /// Packets that one side may send in it.
    pub packets: usize,
}

/// What is tried in a round, in order.
pub const STAGES: &[Stage] = &[Stage {
    method: Method::Candidates,
    starts: Duration::ZERO,
    ends: Duration::from_millis(4500),
    packets: 100,
}];

/// A round that is going on.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) began: Instant,
    /// Packets sent so far, by stage.
    spent: [usize; STAGES.len()],
}

impl Round {
    pub(super) fn new(began: Instant) -> Self {
        let spent = [0; STAGES.len()];
        Self { began, spent }
    }

    /// When it is over.
    pub(super) fn end(&self) -> Instant {
        let last = STAGES.iter().map(|stage| stage.ends).max();
        self.began + last.unwrap_or_default()
    }

    /// Takes a packet from the budget of a method; false when its stage is not on, or has none left.
    pub(super) fn spend(&mut self, now: Instant, method: Method) -> bool {
        let age = now.saturating_duration_since(self.began);
        let is_on =
            |stage: &Stage| stage.method == method && (stage.starts..stage.ends).contains(&age);
        let Some(index) = STAGES.iter().position(is_on) else {
            return false;
        };
        let has_left = self.spent[index] < STAGES[index].packets;
        self.spent[index] += usize::from(has_left);
        has_left
    }
}

/// How long to wait after so many rounds without success, at least one.
pub(super) fn pause(failures: usize) -> Duration {
    PAUSES[failures.saturating_sub(1).min(PAUSES.len() - 1)]
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_stage_spends_no_more_than_its_budget_and_only_in_its_time() {
        let began = Instant::now();
        let mut round = Round::new(began);
        let spent = (0..200).filter(|_| round.spend(began, Method::Candidates));
        assert_eq!(spent.count(), STAGES[0].packets);
        let mut round = Round::new(began);
        assert!(!round.spend(round.end(), Method::Candidates));
    }

    #[test]
    fn stages_hold_their_pings_and_budgets_are_polite() {
        assert!(PINGS.is_sorted() && PINGS[PINGS.len() - 1] < STAGES[0].ends);
        let candidates = super::super::super::probe::MAX_CANDIDATES;
        assert!(candidates * PINGS.len() <= STAGES[0].packets);
        assert_eq!(pause(1), PAUSES[0]);
        assert_eq!(pause(100), PAUSES[3]);
    }
}
