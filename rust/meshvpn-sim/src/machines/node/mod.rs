//! A node of the mesh with as much of an engine around it as it needs: what sockets, a TUN and the driver's
//! thread would do is done by hand, everything that decides is what a real node runs.
//!
//! ```text
//!   application ── packets ──► data plane ──► Node ──► UDP sockets ──────────► peers
//!                                              │  └──► relay connections ────► peers
//!             STUN client ── candidates ──────►│
//!             control client ── map ──────────►│ ◄──── streams: coordinator
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `relays` | connections to relays |
//! | `traffic` | the data plane: packets of the application, sealed and opened |
//! | `coordinator` | the control channel, and what it brings |
//! | `reflexive` | the node's own addresses, as STUN servers see them |

mod coordinator;
mod reflexive;
mod relays;
mod traffic;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::forward::{Path, SharedPeers};
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::node::{Config, Event, Node, PeerStatus};
use meshvpn_proto::path::agent::{Reason, Route, Sockets};
use meshvpn_proto::path::candidate::{Candidate, Kind};
use meshvpn_proto::time::Now;

use self::coordinator::Control;
use self::reflexive::Reflexive;
use self::relays::Relays;
use self::traffic::Traffic;
use crate::internet::{HostId, Internet, MachineId};
use crate::machine::{Machine, StreamAction, StreamEvent, StreamId, Transmit};

/// The node's sockets, by number: of IPv4 and of IPv6.
const SOCKETS: [usize; 2] = [0, 1];
/// Their ports.
const PORTS: [u16; 2] = [41641, 41642];
/// Longest UDP payload that goes to a peer: what an MTU of 1,500 leaves of IPv6.
const DATAGRAM_MAX: usize = 1452;
/// How often the engine takes what the data plane has noted.
const ACTIVITY: Duration = Duration::from_millis(50);

/// What a node is started with.
#[derive(Debug)]
pub struct Start {
    /// The name that it would like.
    pub name: String,
    /// What it authenticates packets with. A node that starts again has the same.
    pub private_key: PrivateKey,
    /// What the coordinator knows the installation by.
    pub machine_key: PrivateKey,
    /// What admits it, the first time.
    pub auth_key: AuthKey,
    /// Where the coordinator is.
    pub coordinator: SocketAddr,
    /// STUN servers.
    pub stun: Vec<SocketAddr>,
    /// Which of the mesh's relays is its home, counted from 0.
    pub home_relay: usize,
    /// For this start alone.
    pub seed: [u8; 32],
}

/// An answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Who answered.
    pub peer: NodeId,
    /// The number that the ping had.
    pub id: u64,
    /// Which way it went.
    pub route: Route,
    /// When the answer came, since 1970.
    pub at: Duration,
    /// How long it took.
    pub round_trip: Duration,
}

/// A node.
#[derive(Debug)]
pub struct MeshNode {
    node: Node,
    traffic: Traffic,
    control: Control,
    relays: Relays,
    reflexive: Reflexive,
    addresses: Vec<IpAddr>,
    activity_at: Option<Instant>,
    answers: Vec<Answer>,
    transmits: VecDeque<Transmit>,
    actions: VecDeque<StreamAction>,
    notes: VecDeque<String>,
}

impl MeshNode {
    /// Starts a node on a host.
    ///
    /// # Panics
    /// There is one already.
    pub fn attach(net: &mut Internet, host: HostId, start: Start) -> MachineId {
        let (now, addresses) = (net.clock(), net.addresses(host));
        let name = start.name.clone();
        let machine = Self::new(now, addresses, start);
        net.attach(host, &name, Box::new(machine), &PORTS)
    }

    fn new(now: Now, addresses: Vec<IpAddr>, start: Start) -> Self {
        let mut chance = seeds(start.seed);
        let config = Config {
            private_key: start.private_key.clone(),
            sockets: Sockets {
                v4: Some(SOCKETS[0]),
                v6: Some(SOCKETS[1]),
            },
            datagram_max: DATAGRAM_MAX,
            seed: chance(),
        };
        let node = Node::new(now, config);
        let mut machine = Self {
            traffic: Traffic::new(node.table()),
            node,
            relays: Relays::new(start.private_key.clone(), start.home_relay, chance()),
            reflexive: Reflexive::new(now.instant, start.stun.clone(), chance()),
            control: Control::new(now.instant, start, chance()),
            addresses,
            activity_at: None,
            answers: Vec::new(),
            transmits: VecDeque::new(),
            actions: VecDeque::new(),
            notes: VecDeque::new(),
        };
        machine.tell_candidates(now);
        machine.control.hurry(now.instant);
        machine.settle(now);
        machine
    }

    /// Its number in the mesh, once the coordinator has said it.
    pub fn id(&self) -> Option<NodeId> {
        self.control.id()
    }

    /// The node inside.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What is known of a peer.
    pub fn status(&self, now: Now, peer: NodeId) -> Option<PeerStatus<'_>> {
        self.node.status(now, peer)
    }

    /// Pings a peer the way that traffic goes.
    pub fn ping(&mut self, now: Now, peer: NodeId, id: u64) -> bool {
        let is_known = self.node.ping(now, peer, id);
        self.settle(now);
        is_known
    }

    /// The application sends packet `number` to a peer.
    pub fn send(&mut self, now: Now, peer: NodeId, number: u64) {
        let address = |node: &meshvpn_proto::control::map::Node| {
            node.addresses.iter().copied().find(IpAddr::is_ipv4)
        };
        let map = self.node.map();
        let own = map.node.as_ref().and_then(address);
        let to = map.peers.get(&peer).and_then(address);
        if let (Some(own), Some(to)) = (own, to) {
            self.traffic.send(own, to, number);
            for slot in self.traffic.take_waiting() {
                self.node.handle_no_session(now, slot);
            }
            self.settle(now);
        }
    }

    /// Numbers of the packets that came from peers, with when they did, since the last call.
    pub fn take_received(&mut self) -> Vec<(Duration, u64)> {
        self.traffic.take_received()
    }

    /// Answers to pings since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        core::mem::take(&mut self.answers)
    }

    fn tell_candidates(&mut self, now: Now) {
        let ports = [true, false].into_iter().zip(PORTS);
        let host = ports.flat_map(|(is_v4, port)| {
            let of_family = self
                .addresses
                .iter()
                .filter(move |ip| ip.is_ipv4() == is_v4);
            of_family.map(move |ip| Candidate {
                kind: Kind::Host,
                address: SocketAddr::new(*ip, port),
            })
        });
        let candidates: Vec<_> = host.chain(self.reflexive.candidates()).collect();
        self.node.set_candidates(now, candidates);
    }

    /// Does what the machines inside want done, until none wants anything.
    fn settle(&mut self, now: Now) {
        loop {
            let mut is_quiet = true;
            while let Some(event) = self.control.poll() {
                is_quiet = false;
                self.handle_control(now, event);
            }
            while let Some(event) = self.node.poll_event() {
                is_quiet = false;
                self.handle_event(now, event);
            }
            while let Some(transmit) = self.node.poll_transmit() {
                self.leave(now, transmit.path, transmit.datagram);
            }
            for (path, datagram) in self.traffic.take_leaving() {
                self.leave(now, path, datagram);
            }
            if is_quiet {
                break;
            }
        }
        self.actions.extend(self.control.take_actions());
        self.actions.extend(self.relays.take_actions());
        if self.activity_at.is_none() && self.node.table().has_activity() {
            self.activity_at = Some(now.instant + ACTIVITY);
        }
    }

    fn leave(&mut self, now: Now, path: Path, datagram: Vec<u8>) {
        if path.relayed_number().is_some() {
            self.relays.send(now.instant, path, &datagram);
        } else {
            self.transmits.push_back(Transmit::to(path, datagram));
        }
    }

    fn handle_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Resume => self.traffic.resume(),
            Event::Candidates(candidates) => self.control.set_candidates(candidates),
            Event::Relay { peer, key, relay } => {
                let path = relay.map(|relay| self.relays.path(now.instant, peer, key, relay));
                self.node.handle_relay(now, peer, path);
            }
            Event::SeenAt { .. } => self.reflexive.ask(now.instant),
            Event::Up { peer } => self.notes.push_back(format!("{peer} is up")),
            Event::Down { peer } => self.notes.push_back(format!("{peer} is down")),
            Event::Path { peer, change } => {
                // NATs on our side may have changed.
                if matches!(change.reason, Reason::Silent { .. }) {
                    self.reflexive.ask(now.instant);
                }
                self.notes.push_back(format!("{peer}: {change}"));
            }
            Event::Pong {
                peer,
                id,
                route,
                round_trip,
            } => self.answers.push(Answer {
                peer,
                id,
                route,
                at: now.unix,
                round_trip,
            }),
            _ => {}
        }
    }

    /// Takes a sealed datagram, from a socket or a relay.
    fn receive(&mut self, now: Now, path: Path, datagram: &[u8]) {
        self.traffic.receive(now.unix, path, datagram);
        for confirmed in self.traffic.take_confirmed() {
            self.node.handle_confirmed(now, confirmed);
        }
        for control in self.traffic.take_control() {
            // A refusal is for the statistics, which nobody reads here.
            let _ = self.node.handle_control(now, &control);
        }
    }
}

impl Machine for MeshNode {
    fn handle_datagram(
        &mut self,
        now: Now,
        socket: usize,
        _local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let path = Path {
            socket,
            source: None,
            destination: from,
        };
        if self.reflexive.handle_datagram(now.instant, path, datagram) {
            self.tell_candidates(now);
        } else {
            self.receive(now, path, datagram);
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.activity_at.is_some_and(|at| at <= now.instant) {
            self.activity_at = None;
            self.node.handle_activity(now);
        }
        self.node.handle_timeout(now);
        self.control.handle_timeout(now.instant);
        for place in self.relays.handle_timeout(now.instant) {
            self.node.handle_relay_lost(now, place);
        }
        if self.reflexive.handle_timeout(now.instant) {
            self.tell_candidates(now);
        }
        self.settle(now);
    }

    fn handle_addresses(&mut self, now: Now, addresses: &[IpAddr]) {
        self.addresses = addresses.to_vec();
        self.reflexive.forget(now.instant);
        self.tell_candidates(now);
        self.node.handle_network_change(now);
        // What was connected from an address that is gone never hears of it.
        self.control.reconnect(now.instant);
        for place in self.relays.reconnect(now.instant) {
            self.node.handle_relay_lost(now, place);
        }
        self.settle(now);
    }

    fn handle_stream(&mut self, now: Now, stream: StreamId, event: StreamEvent) {
        if self.control.owns(stream) {
            self.control.handle_stream(now.instant, stream, event);
        } else {
            let outcome = self.relays.handle_stream(now.instant, stream, event);
            if let Some(place) = outcome.lost {
                self.node.handle_relay_lost(now, place);
            }
            for (peer, path) in outcome.restored {
                self.node.handle_relay(now, peer, Some(path));
            }
            for (path, packet) in outcome.packets {
                self.receive(now, path, &packet);
            }
        }
        self.settle(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let asked = self.reflexive.poll_transmit();
        asked.or_else(|| self.transmits.pop_front())
    }

    fn poll_stream(&mut self) -> Option<StreamAction> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.activity_at, self.node.poll_timeout()];
        let others = [
            Some(self.control.poll_timeout()),
            self.relays.poll_timeout(),
            Some(self.reflexive.poll_timeout()),
        ];
        own.into_iter().chain(others).flatten().min()
    }

    fn poll_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}

/// A seed for each of the machines inside.
fn seeds(seed: [u8; 32]) -> impl FnMut() -> [u8; 32] {
    let number = seed.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let mut chance = crate::chance::Chance::new(number);
    move || chance.seed()
}
