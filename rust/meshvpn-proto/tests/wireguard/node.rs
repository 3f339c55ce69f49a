//! A WireGuard device with as much of an engine around it as it needs: what the TUN and the sockets would
//! do is done by hand, everything between is what the engine runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::virtio;
use meshvpn_proto::forward::{
    Arrival, Claim, DropReason, Inbound, Joins, Outbound, Path, Peers, SharedPeers, Slot, Tally,
};
use meshvpn_proto::keys::{PresharedKey, PrivateKey, PublicKey};
use meshvpn_proto::route::Prefix;
use meshvpn_proto::session::aead::{Key, Portable, TAG_LEN};
use meshvpn_proto::session::transport::{HEADER_LEN, SealedSession, Session, write_header};
use meshvpn_proto::time::Now;
use meshvpn_proto::wireguard::{Event, Limits, WireGuard, WireGuardPeers};

const HEADER: usize = 20;

/// What a device is told of a peer.
#[derive(Clone)]
pub(crate) struct Acquaintance {
    pub(crate) key: PublicKey,
    pub(crate) inner: IpAddr,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) preshared: Option<PresharedKey>,
    pub(crate) keepalive: Option<Duration>,
}

pub(crate) struct Node {
    pub(crate) key: PrivateKey,
    /// Where it is on the network.
    pub(crate) endpoint: SocketAddr,
    /// Its address inside.
    pub(crate) inner: IpAddr,
    pub(crate) peers: Vec<Acquaintance>,
    pub(crate) device: WireGuard,
    pub(crate) table: Arc<WireGuardPeers>,
    outbound: Outbound,
    inbound: Inbound,
    /// Numbers of the packets that arrived, and when.
    pub(crate) arrived: Vec<(Instant, u64)>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) refused: BTreeMap<DropReason, u64>,
    pub(crate) tally: Tally,
    /// By how much its wall clock is ahead, in seconds.
    pub(crate) clock_ahead: i64,
}

/// A datagram that leaves.
pub(crate) type Leaving = (SocketAddr, Vec<u8>);

impl Node {
    pub(crate) fn new(number: u8, seed: [u8; 32]) -> Self {
        let device = WireGuard::new(Limits::default(), seed);
        Self {
            key: PrivateKey::new([number + 1; 32]),
            endpoint: (Ipv4Addr::new(192, 0, 2, number + 1), 51820).into(),
            inner: Ipv4Addr::new(10, 0, 0, number + 1).into(),
            peers: Vec::new(),
            table: device.table(),
            device,
            outbound: Outbound::new(Box::new(Portable)),
            inbound: Inbound::new(Box::new(Portable), 1 << 16, Joins::ALL),
            arrived: Vec::new(),
            events: Vec::new(),
            refused: BTreeMap::new(),
            tally: Tally::default(),
            clock_ahead: 0,
        }
    }

    /// Begins anew with the same configuration, as after a crash.
    pub(crate) fn restart(&mut self, now: Now, seed: [u8; 32]) {
        self.device = WireGuard::new(Limits::default(), seed);
        self.table = self.device.table();
        self.outbound = Outbound::new(Box::new(Portable));
        self.device.set_private_key(now, Some(self.key.clone()));
        for peer in self.peers.clone() {
            self.add(now, &peer);
        }
    }

    pub(crate) fn meet(&mut self, now: Now, peer: Acquaintance) {
        if self.device.private_key().is_none() {
            self.device.set_private_key(now, Some(self.key.clone()));
        }
        self.add(now, &peer);
        self.peers.push(peer);
    }

    fn add(&mut self, now: Now, peer: &Acquaintance) {
        let slot = self.device.add_peer(now, peer.key, 1452).unwrap();
        self.device.set_preshared_key(slot, peer.preshared.clone());
        if let Some(endpoint) = peer.endpoint {
            self.device.set_endpoint(now, slot, path(endpoint));
        }
        self.device.edit_allowed_ips(|allowed| {
            allowed.insert(Prefix::host(peer.inner), slot);
        });
        self.device
            .set_persistent_keepalive(now, slot, peer.keepalive);
    }

    pub(crate) fn slot(&self, peer: &PublicKey) -> &Slot {
        self.table.slot(self.device.slot_of(peer).unwrap())
    }

    /// What it sends with to this peer.
    pub(crate) fn session(&self, peer: &PublicKey) -> Option<Arc<SealedSession>> {
        match &**self.slot(peer).session.load().as_ref()? {
            Session::Sealed(session) => Some(Arc::clone(session)),
            Session::Plain => None,
        }
    }

    /// Whether data messages of session `index`, sealed with `key`, would be opened.
    pub(crate) fn receives_with(&self, index: u32, key: &Key) -> bool {
        let mut message = [0; HEADER_LEN + TAG_LEN];
        write_header(message.first_chunk_mut().unwrap(), index, 0);
        match self.table.batch().claim(&message, self.endpoint) {
            Ok(Claim::Sealed { session, .. }) => session.receive_key().expose() == key.expose(),
            _ => false,
        }
    }

    /// The application sends packet `number` to an address inside.
    pub(crate) fn send(&mut self, now: Now, to: IpAddr, number: u64) -> Vec<Leaving> {
        self.send_from(now, self.inner, to, number)
    }

    pub(crate) fn send_from(
        &mut self,
        now: Now,
        from: IpAddr,
        to: IpAddr,
        number: u64,
    ) -> Vec<Leaving> {
        let frame = [&[0; virtio::LEN][..], &packet(from, to, number)].concat();
        let batch = self.table.batch();
        self.outbound.frame_buffer()[..frame.len()].copy_from_slice(&frame);
        self.outbound.push(frame.len(), &batch);
        drop(batch);
        let mut leaving = self.flush();
        let waiting: Vec<_> = self.outbound.take_waiting().collect();
        for slot in waiting {
            self.device.handle_no_session(now, slot);
        }
        leaving.extend(self.drain(now));
        leaving
    }

    /// A datagram arrives.
    pub(crate) fn receive(
        &mut self,
        now: Now,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Vec<Leaving> {
        let arrival = Arrival {
            bytes: datagram,
            segment_size: datagram.len(),
            source,
            socket: 0,
            local: None,
            is_truncated: false,
        };
        self.inbound.receive([arrival], &self.table.batch());
        for (_, pieces) in self.inbound.writes() {
            let frame: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
            let number = frame[virtio::LEN + HEADER..].first_chunk().unwrap();
            self.arrived
                .push((now.instant, u64::from_be_bytes(*number)));
        }
        let confirmed: Vec<_> = self.inbound.take_confirmed().collect();
        for confirmed in confirmed {
            self.device.handle_confirmed(now, confirmed);
        }
        let control: Vec<_> = self.inbound.take_control().collect();
        for control in control {
            assert_eq!(control.slot, None);
            let handled = self
                .device
                .handle_datagram(now, path(source), &control.message);
            if let Err(reason) = handled {
                *self.refused.entry(reason).or_default() += 1;
            }
        }
        self.tally.add(&self.inbound.take_tally());
        self.drain(now)
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) -> Vec<Leaving> {
        self.device.handle_timeout(now);
        self.drain(now)
    }

    pub(crate) fn handle_activity(&mut self, now: Now) -> Vec<Leaving> {
        self.device.handle_activity(now);
        self.drain(now)
    }

    pub(crate) fn drain(&mut self, now: Now) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        while let Some(transmit) = self.device.poll_transmit() {
            leaving.push((transmit.path.destination, transmit.datagram));
        }
        let mut is_waking = false;
        while let Some(event) = self.device.poll_event() {
            is_waking |= matches!(event, Event::Session { .. } | Event::GaveUp { .. });
            self.events.push((now.instant, event));
        }
        while is_waking {
            is_waking = self.outbound.push_parked(&self.table.batch());
            leaving.extend(self.flush());
        }
        leaving
    }

    fn flush(&mut self) -> Vec<Leaving> {
        self.outbound.seal();
        let mut leaving = Vec::new();
        for transmit in self.outbound.transmits() {
            let size = transmit.segment_size.unwrap_or(usize::MAX);
            let to = transmit.path.destination;
            leaving.extend(
                transmit
                    .contents
                    .chunks(size)
                    .map(|datagram| (to, datagram.to_vec())),
            );
        }
        self.outbound.clear(&self.table.batch());
        self.tally.add(&self.outbound.take_tally());
        leaving
    }
}

pub(crate) fn path(destination: SocketAddr) -> Path {
    Path {
        socket: 0,
        source: None,
        destination,
    }
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
