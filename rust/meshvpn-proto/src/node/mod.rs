//! A node of the mesh: everything about it that decides.
//!
//! [`Node`] puts together the [WireGuard](crate::wireguard) machine, one [path agent](crate::path::agent) for
//! each peer, and the [map](crate::control::map) that the coordinator keeps for it:
//!
//! ```text
//!  map ────────► peers, allowed IPs, filter ──► table of the data plane
//!  datagrams ──► WireGuard ──sessions─────────►   │
//!  probes ─────► path agents ──paths──────────►   │
//!                  ▲                              │
//!                  └── activity, counts by path ◄─┘
//! ```
//!
//! It never sees a socket. What it sends, handshakes and sealed probes, leaves as a [`Transmit`] with the path
//! to send it on; a path over a relay is a [`Path`] like any other ([`Path::relayed`]).
//!
//! # Beginning
//!
//! The first handshake with a peer goes over the relay and to every address that it may have, all at once; the
//! answer comes by whichever is first, and the second copy is refused as old. So packets flow before any path is
//! known to work. An initiation that nobody answers is repeated as it is, soon: the relay, or the
//! peer, may only just have come.
//!
//! # Peers
//!
//! A change of the map disturbs no one else: a peer that stays keeps slot, session and paths. Nothing may pass
//! before the map allows it, but handshakes and probes do: who may not talk can still be explained.
//!
//! Static peers are WireGuard peers of another make. They have one endpoint, get no probes, and move by WireGuard's
//! own roaming.
//!
//! | module | holds |
//! |---|---|
//! | `apply` | what a new map changes |
//! | `receive` | handshakes, probes, activity |
//! | `settle` | what the machines inside want done |
//! | `names` | names and addresses |
//! | `peer` | what is kept of each peer |
//! | [`output`] | events and status |

mod apply;
mod names;
pub mod output;
mod peer;
mod receive;
mod settle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use names::Names;
pub use output::{Event, PathChange, PeerStatus, Transmit};
use peer::{Agent, Peer};

use crate::control::map::{Map, NodeId};
use crate::forward::Path;
use crate::forward::filter::DenyAll;
use crate::keys::{PrivateKey, PublicKey};
use crate::noise::entropy::Entropy;
use crate::path::agent::status::PathStatus;
use crate::path::agent::{Reason, Route, Sockets};
use crate::path::candidate::Candidate;
use crate::time::Now;
use crate::wireguard::{Limits, WireGuard, WireGuardPeers};

/// What a node is made with.
#[derive(Debug)]
pub struct Config {
    /// What it proves its identity with.
    pub private_key: PrivateKey,
    /// The places of its sockets in the engine's table.
    pub sockets: Sockets,
    /// Longest UDP payload that goes to a peer unfragmented, in bytes.
    pub datagram_max: usize,
    /// From a cryptographic source, and never used for anything else.
    pub seed: [u8; 32],
}

/// A node with its peers.
///
/// It is driven like every machine here: call a `handle_*` when something has happened, then drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), then sleep until
/// [`poll_timeout`](Self::poll_timeout) says, or something else happens.
///
/// # Example
///
/// Two nodes on one network that know each other's address, until one has answered the other's ping. What the engine
/// does with threads and sockets is done by hand here.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use meshvpn_proto::control::map::{self, Map, NodeId};
/// use meshvpn_proto::forward::{Arrival, Inbound, Joins, SharedPeers};
/// use meshvpn_proto::keys::PrivateKey;
/// use meshvpn_proto::node::{Config, Event, Node};
/// use meshvpn_proto::path::agent::Sockets;
/// use meshvpn_proto::path::candidate::{Candidate, Kind};
/// use meshvpn_proto::session::aead::Portable;
/// use meshvpn_proto::time::Now;
///
/// let start = Instant::now();
/// let unix = Duration::from_secs(1_800_000_000);
/// let mut now = Now { instant: start, unix };
///
/// let keys = [1, 2].map(|byte| PrivateKey::new([byte; 32]));
/// let addresses = ["192.0.2.1:41641", "192.0.2.2:41641"].map(|text| text.parse().unwrap());
/// let mut nodes = [0, 1].map(|own| {
///     let sockets = Sockets { v4: Some(0), v6: None };
///     let private_key = keys[own].clone();
///     Node::new(now, Config { private_key, sockets, datagram_max: 1452, seed: [own as u8; 32] })
/// });
///
/// // What the coordinator says.
/// for own in [0, 1] {
///     let peer = 1 - own;
///     let node = serde_json::json!({
///         "id": peer, "name": format!("node-{peer}"), "key": keys[peer].public_key(),
///         "addresses": [format!("100.64.0.{}", peer + 1)],
///         "candidates": [Candidate { kind: Kind::Host, address: addresses[peer] }],
///     });
///     let node: map::Node = serde_json::from_value(node).unwrap();
///     let map = Map { peers: [(node.id, node)].into(), allow_all: true, ..Map::default() };
///     nodes[own].apply_map(now, map);
/// }
///
/// // The data plane that opens what comes: the engine has one on a thread of its own.
/// let mut planes = [0, 1].map(|_| Inbound::new(Box::new(Portable), 1 << 16, Joins::ALL));
/// nodes[0].ping(now, NodeId(1), 7);
///
/// let round_trip = 'driven: loop {
///     // Drain: datagrams to sockets, events to whoever wants them.
///     let mut on_the_way = Vec::new();
///     for own in [0, 1] {
///         while let Some(transmit) = nodes[own].poll_transmit() {
///             on_the_way.push((own, transmit));
///         }
///         while let Some(event) = nodes[own].poll_event() {
///             if let Event::Pong { round_trip, .. } = event {
///                 break 'driven round_trip;
///             }
///         }
///     }
///     if on_the_way.is_empty() {
///         // Sleep.
///         let wake = nodes.iter().filter_map(Node::poll_timeout).min().unwrap();
///         now = Now { instant: wake, unix: unix + (wake - start) };
///         nodes.iter_mut().for_each(|node| node.handle_timeout(now));
///     }
///     // Five milliseconds later, everything arrives where it was sent to.
///     now.instant += Duration::from_millis(5);
///     for (from, transmit) in on_the_way {
///         let Some(to) = addresses.iter().position(|it| *it == transmit.path.destination) else {
///             continue;
///         };
///         let arrival = Arrival {
///             bytes: &transmit.datagram,
///             segment_size: transmit.datagram.len(),
///             source: addresses[from],
///             socket: 0,
///             local: None,
///             is_truncated: false,
///         };
///         let table = nodes[to].table();
///         planes[to].receive([arrival], &table.batch());
///         for confirmed in planes[to].take_confirmed() {
///             nodes[to].handle_confirmed(now, confirmed);
///         }
///         for control in planes[to].take_control() {
///             // A refusal is for the statistics.
///             let _ = nodes[to].handle_control(now, &control);
///         }
///     }
/// };
/// assert_eq!(round_trip, Duration::from_millis(10));
/// ```
#[derive(Debug)]
pub struct Node {
    wireguard: WireGuard,
    table: Arc<WireGuardPeers>,
    map: Map,
    names: Names,
    peers: BTreeMap<NodeId, Peer>,
    by_slot: BTreeMap<usize, NodeId>,
    deadlines: BTreeSet<(Instant, NodeId)>,
    sockets: Sockets,
    datagram_max: usize,
    candidates: Vec<Candidate>,
    exit_node: Option<NodeId>,
    entropy: Entropy,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Node {
    /// A node that knows of no peers.
    pub fn new(now: Now, config: Config) -> Self {
        let mut entropy = Entropy::new(config.seed);
        let mut wireguard = WireGuard::new(Limits::default(), *entropy.draw());
        wireguard.set_private_key(now, Some(config.private_key));
        wireguard.set_filter(Some(Box::new(DenyAll)));
        Self {
            table: wireguard.table(),
            wireguard,
            map: Map::default(),
            names: Names::default(),
            peers: BTreeMap::new(),
            by_slot: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            sockets: config.sockets,
            datagram_max: config.datagram_max,
            candidates: Vec::new(),
            exit_node: None,
            entropy,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What the data plane sees of this node.
    pub fn table(&self) -> Arc<WireGuardPeers> {
        Arc::clone(&self.table)
    }

    /// The WireGuard device inside, to read.
    pub fn wireguard(&self) -> &WireGuard {
        &self.wireguard
    }

    /// The map as it was last applied.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// What peers know us by.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.wireguard.public_key()
    }

    /// Tells the ephemeral key of each handshake from now on ([`Event::EphemeralKey`]).
    pub fn reveal_secrets(&mut self, on: bool) {
        self.wireguard.reveal_secrets(on);
    }

    /// Adds randomness: see [`WireGuard::reseed`].
    pub fn reseed(&mut self, seed: &[u8; 32]) {
        self.entropy.mix(seed);
        let drawn = self.entropy.draw();
        self.wireguard.reseed(&drawn);
    }

    /// Our own addresses are these now: those of our interfaces, and where STUN servers and gateways say that we
    /// are. Peers that are in touch with us are told at once, the coordinator by [`Event::Candidates`].
    pub fn set_candidates(&mut self, now: Now, mut candidates: Vec<Candidate>) {
        candidates.sort_unstable();
        candidates.dedup();
        if candidates == self.candidates {
            return;
        }
        self.candidates = candidates;
        let told = Event::Candidates(self.candidates.clone());
        self.events.push_back(told);
        let own = self.candidates.clone();
        self.for_each_agent(now, |agent| agent.handle_own_candidates(now.instant, &own));
    }

    /// Our own addresses, as they were last set.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The network has changed in a way that addresses do not show: the machine has slept, a route is another.
    pub fn handle_network_change(&mut self, now: Now) {
        self.for_each_agent(now, |agent| agent.handle_network_change(now.instant));
    }

    /// The node's sockets have these places now.
    pub fn set_sockets(&mut self, now: Now, sockets: Sockets) {
        self.sockets = sockets;
        self.for_each_agent(now, |agent| agent.handle_sockets(now.instant, sockets));
    }

    /// Datagrams to peers may be this long from now on, in bytes of UDP payload.
    pub fn set_datagram_max(&mut self, datagram_max: usize) {
        self.datagram_max = datagram_max;
        for slot in self.by_slot.keys() {
            let room = &self.table.slot(*slot).datagram_max;
            room.store(datagram_max, Ordering::Relaxed);
        }
    }

    /// The peer is reached over a relay by this path from now on; or by none: the connection is gone. It may be told
    /// before the connection is up, if what is sent on it waits.
    pub fn handle_relay(&mut self, now: Now, peer: NodeId, path: Option<Path>) {
        self.with_agent(now, peer, |agent| agent.handle_relay(now.instant, path));
        if path.is_some() {
            self.repeat_initiation(now, peer);
        }
    }

    /// The relay connection in this place is gone, for all peers.
    pub fn handle_relay_lost(&mut self, now: Now, place: usize) {
        self.for_each_agent(now, |agent| {
            if agent.relay_path().is_some_and(|path| path.socket == place) {
                agent.handle_relay(now.instant, None);
            }
        });
    }

    /// Pings a peer the way that traffic goes: [`Event::Pong`] brings the answer, with `id`. Without a
    /// session there is a handshake first. False when there is no such peer, or it is a static one.
    pub fn ping(&mut self, now: Now, peer: NodeId, id: u64) -> bool {
        let Some(slot) = self.with_agent(now, peer, |agent| agent.ping(now.instant, id)) else {
            return false;
        };
        self.wireguard.handle_no_session(now, slot);
        self.drain_wireguard(now, None);
        true
    }

    /// What is known of a peer.
    pub fn status(&self, now: Now, id: NodeId) -> Option<PeerStatus<'_>> {
        let (peer, known) = (self.peers.get(&id)?, self.map.peers.get(&id)?);
        let device = self.wireguard.status(peer.slot)?;
        let slot = self.table.slot(peer.slot);
        let path = match &peer.agent {
            Agent::Ours(agent) => agent.status(now.instant),
            Agent::Static => PathStatus {
                route: device
                    .path
                    .map_or(Route::Nowhere, |path| Route::Direct(path.destination)),
                reason: device.path.map_or(Reason::Unknown, |_| Reason::Roaming),
                ..PathStatus::default()
            },
        };
        Some(PeerStatus {
            id,
            name: &known.name,
            key: peer.key,
            addresses: &known.addresses,
            slot: peer.slot,
            is_online: known.is_online,
            is_static: known.is_static,
            has_session: device.has_session,
            last_handshake: device.last_handshake,
            sent_packets: slot.sent_packets.load(Ordering::Relaxed),
            received_packets: slot.received_packets.load(Ordering::Relaxed),
            sent_bytes: device.sent_bytes,
            received_bytes: device.received_bytes,
            relay: known.home_relay,
            path,
        })
    }

    /// What is known of all peers, by number.
    pub fn statuses(&self, now: Now) -> impl Iterator<Item = PeerStatus<'_>> {
        let ids = self.peers.keys();
        ids.filter_map(move |id| self.status(now, *id))
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.deadlines.first().map(|(at, _)| *at);
        own.into_iter().chain(self.wireguard.poll_timeout()).min()
    }
}
