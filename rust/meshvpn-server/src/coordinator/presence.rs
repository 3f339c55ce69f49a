//! Who is there, who has gone, and whose key has expired.

use core::time::Duration;

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{Reason, Refusal};

use super::Coordinator;
use super::work::{Effect, InFlight, Work};

/// How long after its connection a node still counts as there: most come back at once.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long nodes have to come back when the coordinator starts anew; their longest wait is half of it.
const RESTART_GRACE: Duration = Duration::from_secs(60);

impl Coordinator {
    /// At the start: nodes that were connected here come back, or are gone.
    pub(super) fn expect_nodes_back(&mut self) {
        let begin = self.now.instant;
        for node in self.state.nodes() {
            if node.online_at.as_deref() == Some(self.config.instance.as_str()) {
                self.absences.insert((begin + RESTART_GRACE, node.id));
            } else if node.is_ephemeral && node.online_at.is_none() {
                let end = Duration::from_secs(node.last_seen) + self.config.ephemeral_timeout;
                let wait = end.saturating_sub(self.now.unix);
                self.absences.insert((begin + wait, node.id));
            }
        }
    }

    /// Lets it be decided about nodes whose time is up.
    pub(super) fn note_absences(&mut self) {
        while let Some((at, node)) = self.absences.first().copied()
            && at <= self.now.instant
        {
            self.absences.pop_first();
            self.queue.push_back(Work::Absent(node));
        }
    }

    /// Lets it be decided about nodes whose keys have expired.
    pub(super) fn note_expiries(&mut self) {
        let unix = self.now.unix.as_secs();
        let due = self.state.expiries().take_while(|(at, _)| *at <= unix);
        let due: Vec<_> = due.map(|(_, node)| node).collect();
        let is_new = |node: &NodeId| self.state.node(*node).is_some_and(|node| !node.is_expired);
        let due: Vec<_> = due.into_iter().filter(is_new).collect();
        self.queue.extend(due.into_iter().map(Work::Expired));
    }

    /// When the next key expires, in seconds since 1970.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        let is_new = |id| self.state.node(id).is_some_and(|node| !node.is_expired);
        let mut expiries = self.state.expiries();
        expiries.find(|(_, id)| is_new(*id)).map(|(at, _)| at)
    }

    /// A node may have been away for long enough to be offline or, if it is ephemeral, to vanish.
    pub(super) fn absent(&mut self, id: NodeId, in_flight: &mut InFlight) {
        let Some(node) = self
            .state
            .node(id)
            .filter(|_| !self.by_node.contains_key(&id))
        else {
            return;
        };
        let unix = self.now.unix.as_secs();
        match &node.online_at {
            Some(instance) if *instance == self.config.instance => {
                let mut node = node.clone();
                node.online_at = None;
                node.last_seen = unix;
                let note = format!("{} is away", node.name);
                in_flight.effects.push(Effect::Note(note));
                if node.is_ephemeral {
                    let wait = self.config.ephemeral_timeout;
                    in_flight.effects.push(Effect::Watch(id, wait));
                }
                self.put(node, in_flight);
            }
            None if node.is_ephemeral => {
                let away = unix.saturating_sub(node.last_seen);
                let left = self
                    .config
                    .ephemeral_timeout
                    .saturating_sub(Duration::from_secs(away));
                if left > Duration::ZERO {
                    return in_flight.effects.push(Effect::Watch(id, left));
                }
                let note = format!("{} is ephemeral and has vanished", node.name);
                in_flight.effects.push(Effect::Note(note));
                self.remove(id, "an ephemeral node was away for too long", in_flight);
            }
            _ => {}
        }
    }

    /// A node says good-bye.
    pub(super) fn leave(&mut self, id: NodeId, in_flight: &mut InFlight) {
        let Some(node) = self.state.node(id) else {
            return;
        };
        let note = format!("{} has left", node.name);
        in_flight.effects.push(Effect::Note(note));
        if node.is_ephemeral {
            return self.remove(id, "an ephemeral node that left is removed", in_flight);
        }
        let mut node = node.clone();
        node.online_at = None;
        node.last_seen = self.now.unix.as_secs();
        self.put(node, in_flight);
    }

    /// A node's key may have expired: nobody is to talk to it any more.
    pub(super) fn expired(&mut self, id: NodeId, in_flight: &mut InFlight) {
        let unix = self.now.unix.as_secs();
        let due = self.state.node(id).filter(|node| {
            !node.is_expired && node.key_expiry.is_some_and(|expiry| expiry <= unix)
        });
        let Some(node) = due else { return };
        let mut node = node.clone();
        node.is_expired = true;
        let note = format!("{}: its key has expired", node.name);
        in_flight.effects.push(Effect::Note(note));
        self.put(node, in_flight);
        let refusal = Refusal::new(Reason::KeyExpired, super::join::KEY_EXPIRED);
        in_flight.effects.push(Effect::Dismiss(id, refusal));
    }
}
