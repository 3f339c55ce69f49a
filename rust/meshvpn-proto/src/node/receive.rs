//! What comes in: handshakes, probes, and what the data plane notes.

use std::sync::atomic::Ordering;

use super::Node;
use super::peer::Agent;
use crate::forward::{Confirmed, Control, DropReason, Path};
use crate::path::agent::Traffic;
use crate::path::probe::Probe;
use crate::time::Now;

impl Node {
    /// Takes a message that the data plane does not handle itself.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn handle_control(&mut self, now: Now, control: &Control) -> Result<(), DropReason> {
        let Control {
            slot,
            message,
            path,
        } = control;
        match slot {
            Some(slot) => self.handle_message(now, *slot, *path, message),
            None => self.handle_datagram(now, *path, message),
        }
    }

    /// A packet waits because the peer in `slot` has no session.
    pub fn handle_no_session(&mut self, now: Now, slot: usize) {
        if let Some(id) = self.by_slot.get(&slot).copied() {
            self.with_agent(now, id, |agent| agent.handle_wanted(now.instant));
        }
        self.wireguard.handle_no_session(now, slot);
        self.drain_wireguard(now, None);
    }

    /// A peer has shown that it has the keys of a session that it began.
    pub fn handle_confirmed(&mut self, now: Now, confirmed: Confirmed) {
        self.wireguard.handle_confirmed(now, confirmed);
        self.drain_wireguard(now, None);
    }

    /// Takes what the data plane has noted since the last call: to be called some 50 ms after
    /// [`has_activity`](crate::forward::SharedPeers::has_activity) turned true.
    pub fn handle_activity(&mut self, now: Now) {
        let mut noted = Vec::new();
        self.wireguard
            .handle_activity_with(now, |slot, activity| noted.push((slot, activity)));
        self.drain_wireguard(now, None);
        let table = self.table();
        for (slot, activity) in noted {
            let Some(id) = self.by_slot.get(&slot).copied() else {
                continue;
            };
            let slot = table.slot(slot);
            let traffic = Traffic {
                activity,
                sent_packets: slot.sent_packets.load(Ordering::Relaxed),
                arrivals: &slot.arrivals,
            };
            self.with_agent(now, id, |agent| agent.handle_traffic(now.instant, &traffic));
        }
    }

    /// To be called when [`poll_timeout`](Self::poll_timeout) says so.
    pub fn handle_timeout(&mut self, now: Now) {
        self.wireguard.handle_timeout(now);
        self.drain_wireguard(now, None);
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now.instant
        {
            self.deadlines.pop_first();
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.deadline = None;
            }
            self.repeat_if_due(now, id);
            self.with_agent(now, id, |agent| agent.handle_timeout(now.instant));
        }
    }

    fn handle_datagram(&mut self, now: Now, path: Path, datagram: &[u8]) -> Result<(), DropReason> {
        let result = self.wireguard.handle_datagram(now, path, datagram);
        self.drain_wireguard(now, Some(path).filter(|_| result.is_ok()));
        result
    }

    fn handle_message(
        &mut self,
        now: Now,
        slot: usize,
        path: Path,
        message: &[u8],
    ) -> Result<(), DropReason> {
        let id = self.by_slot.get(&slot).ok_or(DropReason::UnknownPeer)?;
        let peer = self.peers.get(id).ok_or(DropReason::UnknownPeer)?;
        if matches!(peer.agent, Agent::Static) {
            return Err(DropReason::UnknownType);
        }
        let probe = Probe::parse(message).ok_or(DropReason::UnknownType)?;
        self.with_agent(now, *id, |agent| {
            agent.handle_probe(now.instant, path, probe)
        });
        Ok(())
    }
}
