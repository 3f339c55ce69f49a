//! A node with as much of an engine around it as it needs: what the TUN, the sockets and the relay connection
//! would do is done by hand, everything between is what the engine runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use meshvpn_proto::control::map::{self, NodeId};
use meshvpn_proto::forward::{
    Arrival, DropReason, Inbound, Joins, Outbound, Path, SharedPeers, Tally, virtio,
};
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::node::{Config, Event, Node, PathChange};
use meshvpn_proto::path::agent::{Reason, Route, Sockets};
use meshvpn_proto::path::candidate::{Candidate, Kind};
use meshvpn_proto::session::aead::Portable;
use meshvpn_proto::time::Now;

/// The place of the relay connection among the sockets.
pub(crate) const RELAY: usize = 9;
/// How long the engine lets activity lie.
const ACTIVITY: Duration = Duration::from_millis(50);
const HEADER: usize = 20;
pub(crate) const PORT: u16 = 41641;

pub(crate) struct Host {
    pub(crate) id: NodeId,
    pub(crate) key: PrivateKey,
    /// Where it is on its own network.
    pub(crate) address: SocketAddr,
    /// Which NAT it is behind.
    pub(crate) nat: Option<usize>,
    /// Its address inside the mesh.
    pub(crate) inner: IpAddr,
    pub(crate) node: Node,
    outbound: Outbound,
    inbound: Inbound,
    activity_at: Option<Instant>,
    /// Numbers of the packets that arrived, and when.
    pub(crate) arrived: Vec<(Instant, u64)>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) tally: Tally,
    /// NATs may have changed.
    pub(crate) asks_stun: bool,
}

/// A datagram that leaves.
pub(crate) type Leaving = (Path, Vec<u8>);

impl Host {
    pub(crate) fn new(now: Now, number: u8, address: Ipv4Addr, seed: [u8; 32]) -> Self {
        let key = PrivateKey::new([number + 1; 32]);
        let mut host = Self {
            id: NodeId(number.into()),
            node: node(now, &key, seed),
            key,
            address: (address, PORT).into(),
            nat: None,
            inner: Ipv4Addr::new(100, 64, 0, number + 1).into(),
            outbound: Outbound::new(Box::new(Portable)),
            inbound: Inbound::new(Box::new(Portable), 1 << 16, Joins::ALL),
            activity_at: None,
            arrived: Vec::new(),
            events: Vec::new(),
            tally: Tally::default(),
            asks_stun: false,
        };
        let candidate = host.candidate();
        host.node.set_candidates(now, vec![candidate]);
        host
    }

    /// Begins anew, as after a crash, with nothing but its key.
    pub(crate) fn restart(&mut self, now: Now, seed: [u8; 32]) {
        let (candidates, map) = (self.node.candidates().to_vec(), self.node.map().clone());
        self.node = node(now, &self.key, seed);
        self.outbound = Outbound::new(Box::new(Portable));
        self.inbound = Inbound::new(Box::new(Portable), 1 << 16, Joins::ALL);
        self.node.set_candidates(now, candidates);
        self.node.apply_map(now, map);
    }

    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            kind: Kind::Host,
            address: self.address,
        }
    }

    /// How the map describes it.
    pub(crate) fn describe(&self) -> map::Node {
        map::Node {
            id: self.id,
            name: format!("node-{}", self.id),
            key: self.key.public_key(),
            addresses: vec![self.inner],
            routes: Vec::new(),
            candidates: self.node.candidates().to_vec(),
            home_relay: Some(map::RelayId(1)),
            is_online: true,
            key_expiry: None,
            tags: Vec::new(),
            is_static: false,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.node
            .poll_timeout()
            .into_iter()
            .chain(self.activity_at)
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) -> Vec<Leaving> {
        if self.activity_at.is_some_and(|at| now.instant >= at) {
            self.activity_at = None;
            self.node.handle_activity(now);
        }
        self.node.handle_timeout(now);
        self.drain(now)
    }

    /// The application sends packet `number` to an address inside.
    pub(crate) fn send(&mut self, now: Now, to: IpAddr, number: u64) -> Vec<Leaving> {
        let frame = [&[0; virtio::LEN][..], &packet(self.inner, to, number)].concat();
        let table = self.node.table();
        self.outbound.frame_buffer()[..frame.len()].copy_from_slice(&frame);
        self.outbound.push(frame.len(), &table.batch());
        let mut leaving = self.flush();
        for slot in self.outbound.take_waiting().collect::<Vec<_>>() {
            self.node.handle_no_session(now, slot);
        }
        leaving.extend(self.drain(now));
        leaving
    }

    /// A datagram arrives, by a socket or from the relay; `back` leads to its sender.
    pub(crate) fn receive(&mut self, now: Now, back: Path, datagram: &[u8]) -> Vec<Leaving> {
        let arrival = Arrival {
            bytes: datagram,
            segment_size: datagram.len(),
            source: back.destination,
            socket: back.socket,
            local: back.source,
            is_truncated: false,
        };
        let table = self.node.table();
        self.inbound.receive([arrival], &table.batch());
        for (_, pieces) in self.inbound.writes() {
            let frame: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
            let number = frame[virtio::LEN + HEADER..].first_chunk().unwrap();
            self.arrived
                .push((now.instant, u64::from_be_bytes(*number)));
        }
        for confirmed in self.inbound.take_confirmed().collect::<Vec<_>>() {
            self.node.handle_confirmed(now, confirmed);
        }
        for control in self.inbound.take_control().collect::<Vec<_>>() {
            if let Err(reason) = self.node.handle_control(now, &control) {
                self.tally.drop(reason, 1);
            }
        }
        self.tally.add(&self.inbound.take_tally());
        self.drain(now)
    }

    pub(crate) fn drain(&mut self, now: Now) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        while let Some(transmit) = self.node.poll_transmit() {
            leaving.push((transmit.path, transmit.datagram));
        }
        let mut is_waking = false;
        while let Some(event) = self.node.poll_event() {
            is_waking |= event == Event::Resume;
            if let Event::Path { change, .. } = &event {
                self.asks_stun |= matches!(change.reason, Reason::Silent { .. });
            }
            self.events.push((now.instant, event));
        }
        let table = self.node.table();
        while is_waking {
            is_waking = self.outbound.push_parked(&table.batch());
            leaving.extend(self.flush());
        }
        if table.has_activity() {
            self.activity_at.get_or_insert(now.instant + ACTIVITY);
        }
        leaving
    }

    fn flush(&mut self) -> Vec<Leaving> {
        self.outbound.seal();
        let mut leaving = Vec::new();
        for transmit in self.outbound.transmits() {
            let size = transmit.segment_size.unwrap_or(usize::MAX);
            let datagrams = transmit.contents.chunks(size);
            leaving.extend(datagrams.map(|datagram| (*transmit.path, datagram.to_vec())));
        }
        self.outbound.clear(&self.node.table().batch());
        self.tally.add(&self.outbound.take_tally());
        leaving
    }

    pub(crate) fn route(&self, now: Now, peer: NodeId) -> Route {
        self.node.status(now, peer).unwrap().path.route
    }

    /// The changes of a peer's path, and when they were.
    pub(crate) fn changes(&self, peer: NodeId) -> Vec<(Instant, PathChange)> {
        let events = self.events.iter().filter_map(|(at, event)| match event {
            Event::Path { peer: id, change } if *id == peer => Some((*at, *change)),
            _ => None,
        });
        events.collect()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.tally.dropped(reason)
    }
}

fn node(now: Now, key: &PrivateKey, seed: [u8; 32]) -> Node {
    Node::new(
        now,
        Config {
            private_key: key.clone(),
            sockets: Sockets {
                v4: Some(0),
                v6: None,
            },
            datagram_max: 1452,
            seed,
        },
    )
}

/// An IPv4 packet of an experimental protocol (RFC 3692) with a number in it.
fn packet(from: IpAddr, to: IpAddr, number: u64) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else {
        panic!("these tests have IPv4 inside");
    };
    let mut packet = vec![0; HEADER];
    (packet[0], packet[3], packet[8], packet[9]) = (0x45, 28, 64, 253);
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet.extend(number.to_be_bytes());
    packet
}
