//! What the machines inside want done, after each call.

use std::sync::atomic::Ordering;

use super::peer::{Agent, Unanswered};
use super::{Event, Node, PathChange, Transmit};
use crate::control::map::NodeId;
use crate::forward::Path;
use crate::noise::messages::{INITIATION, RESPONSE};
use crate::path::agent::{self, Choice, PathAgent, Reason, Route};
use crate::path::probe::{Ping, Pong, Probe};
use crate::session::transport::Session;
use crate::time::Now;
use crate::wireguard;

impl Node {
    /// Calls `f` with a peer's path agent, does what that wants done, and keeps its deadline. Returns the peer's slot;
    /// none when there is no such agent.
    pub(super) fn with_agent(
        &mut self,
        now: Now,
        id: NodeId,
        f: impl FnOnce(&mut PathAgent),
    ) -> Option<usize> {
        let Agent::Ours(agent) = &mut self.peers.get_mut(&id)?.agent else {
            return None;
        };
        f(agent);
        self.settle(now, id)
    }

    pub(super) fn for_each_agent(&mut self, now: Now, mut f: impl FnMut(&mut PathAgent)) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.with_agent(now, id, &mut f);
        }
    }

    /// Sends again what the peer has not answered: it may hear it now.
    pub(super) fn repeat_initiation(&mut self, now: Now, id: NodeId) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let (Agent::Ours(agent), Some(unanswered)) = (&peer.agent, &peer.unanswered) else {
            return;
        };
        let paths: Vec<_> = agent.handshake_paths(now.instant).collect();
        let datagram = unanswered.datagram.clone();
        self.send_copies(peer.slot, &paths, &datagram);
    }

    pub(super) fn repeat_if_due(&mut self, now: Now, id: NodeId) {
        let peer = self.peers.get_mut(&id);
        let unanswered = peer.and_then(|peer| peer.unanswered.as_mut());
        if let Some(unanswered) = unanswered
            && unanswered.next().is_some_and(|at| now.instant >= at)
        {
            unanswered.repeats += 1;
            self.repeat_initiation(now, id);
        }
    }

    /// Takes over what the WireGuard machine wants done. What it was given came by `arrival`.
    pub(super) fn drain_wireguard(&mut self, now: Now, arrival: Option<Path>) {
        while let Some(transmit) = self.wireguard.poll_transmit() {
            let id = transmit.slot.and_then(|slot| self.by_slot.get(&slot));
            let id = id.copied().filter(|id| self.agent(*id).is_some());
            match (id, transmit.datagram.first()) {
                (Some(id), Some(&INITIATION)) => self.send_initiation(now, id, transmit),
                (Some(id), Some(&RESPONSE)) => self.send_response(now, id, transmit),
                _ => self.transmits.push_back(transmit),
            }
        }
        while let Some(event) = self.wireguard.poll_event() {
            self.handle_event(now, arrival, event);
        }
    }

    fn handle_event(&mut self, now: Now, arrival: Option<Path>, event: wireguard::Event) {
        match event {
            wireguard::Event::Session { slot, .. } => {
                self.events.push_back(Event::Resume);
                let Some(id) = self.by_slot.get(&slot).copied() else {
                    return;
                };
                let Some(peer) = self.peers.get_mut(&id) else {
                    return;
                };
                peer.unanswered = None;
                if !core::mem::replace(&mut peer.is_up, true) {
                    self.events.push_back(Event::Up { peer: id });
                }
                self.with_agent(now, id, |agent| {
                    agent.handle_session(now.instant);
                    if let Some(path) = arrival {
                        agent.handle_heard(now.instant, path);
                    }
                });
            }
            wireguard::Event::GaveUp { slot } => {
                self.events.push_back(Event::Resume);
                let Some(id) = self.by_slot.get(&slot).copied() else {
                    return;
                };
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.unanswered = None;
                    peer.is_up = false;
                }
                self.events.push_back(Event::Down { peer: id });
            }
            wireguard::Event::Moved { slot, path } => {
                let Some(id) = self.by_slot.get(&slot).copied() else {
                    return;
                };
                let change = PathChange {
                    route: Route::Direct(path.destination),
                    before: Route::Nowhere,
                    reason: Reason::Roaming,
                    round_trip: None,
                };
                self.events.push_back(Event::Path { peer: id, change });
            }
            wireguard::Event::EphemeralKey { peer, key, .. } => {
                self.events.push_back(Event::EphemeralKey { peer, key });
            }
        }
    }

    /// An initiation goes wherever the peer may be.
    fn send_initiation(&mut self, now: Now, id: NodeId, transmit: Transmit) {
        let Transmit {
            path,
            datagram,
            slot,
        } = transmit;
        let mut paths = vec![path];
        if let Some(agent) = self.agent(id) {
            paths.extend(
                agent
                    .handshake_paths(now.instant)
                    .filter(|other| *other != path),
            );
        }
        if let Some(slot) = slot {
            self.send_copies(slot, &paths, &datagram);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.unanswered = Some(Unanswered {
                datagram,
                sent_at: now.instant,
                repeats: 0,
            });
        }
        self.with_agent(now, id, |agent| agent.handle_wanted(now.instant));
    }

    /// A response goes back the way that the initiation came, and over the relay as well: nobody knows yet whether
    /// that way goes both ways.
    fn send_response(&mut self, now: Now, id: NodeId, transmit: Transmit) {
        let Transmit {
            path,
            datagram,
            slot,
        } = transmit;
        let relay = self.agent(id).and_then(PathAgent::relay_path);
        let relay = relay.filter(|_| path.relayed_number().is_none());
        let paths: Vec<_> = [path].into_iter().chain(relay).collect();
        if let Some(slot) = slot {
            self.send_copies(slot, &paths, &datagram);
        }
        self.with_agent(now, id, |agent| agent.handle_heard(now.instant, path));
    }

    fn send_copies(&mut self, slot: usize, paths: &[Path], datagram: &[u8]) {
        for path in paths {
            self.transmits.push_back(Transmit {
                path: *path,
                datagram: datagram.to_vec(),
                slot: Some(slot),
            });
        }
    }

    fn agent(&self, id: NodeId) -> Option<&PathAgent> {
        match &self.peers.get(&id)?.agent {
            Agent::Ours(agent) => Some(agent),
            Agent::Static => None,
        }
    }

    /// Does what a path agent wants done.
    fn settle(&mut self, now: Now, id: NodeId) -> Option<usize> {
        let peer = self.peers.get_mut(&id)?;
        let slot = peer.slot;
        let Agent::Ours(agent) = &mut peer.agent else {
            return None;
        };
        let state = self.table.slot(slot);
        let mut is_silent = false;
        loop {
            while let Some(transmit) = agent.poll_transmit() {
                let agent::Transmit { path, probe } = transmit;
                let received = state.arrivals.received(&path);
                let message = counted(probe, received).to_message(0);
                let session = state.session.load();
                let datagram = match session.as_deref() {
                    Some(Session::Sealed(session)) => session.seal(&message),
                    _ => None,
                };
                let Some(datagram) = datagram else {
                    agent.handle_no_session(now.instant);
                    continue;
                };
                let sent = datagram.len() as u64;
                state.sent_bytes.fetch_add(sent, Ordering::Relaxed);
                self.transmits.push_back(Transmit {
                    path,
                    datagram,
                    slot: Some(slot),
                });
            }
            let Some(event) = agent.poll_event() else {
                break;
            };
            match event {
                agent::Event::Chosen(choice) => {
                    let Choice {
                        path,
                        route,
                        before,
                        reason,
                        round_trip,
                    } = choice;
                    state.set_path(path);
                    let change = PathChange {
                        route,
                        before,
                        reason,
                        round_trip,
                    };
                    if route != before {
                        self.events.push_back(Event::Path { peer: id, change });
                    }
                }
                agent::Event::Silent => is_silent = true,
                agent::Event::SeenAt(address) => {
                    self.events.push_back(Event::SeenAt { peer: id, address });
                }
                agent::Event::Pong {
                    id: number,
                    route,
                    round_trip,
                } => self.events.push_back(Event::Pong {
                    peer: id,
                    id: number,
                    route,
                    round_trip,
                }),
            }
        }
        let agent = agent.poll_timeout().map(|(at, _)| at);
        let repeat = peer.unanswered.as_ref().and_then(Unanswered::next);
        let deadline = agent.into_iter().chain(repeat).min();
        if deadline != peer.deadline {
            peer.deadline.map(|at| self.deadlines.remove(&(at, id)));
            deadline.map(|at| self.deadlines.insert((at, id)));
            peer.deadline = deadline;
        }
        if is_silent {
            self.wireguard.begin_handshake(now, slot);
            self.drain_wireguard(now, None);
        }
        Some(slot)
    }
}

/// The probe with the number of packets that have come by its path.
fn counted(probe: Probe, received: u64) -> Probe {
    match probe {
        Probe::Ping(ping) => Probe::Ping(Ping { received, ..ping }),
        Probe::Pong(pong) => Probe::Pong(Pong { received, ..pong }),
        other => other,
    }
}
