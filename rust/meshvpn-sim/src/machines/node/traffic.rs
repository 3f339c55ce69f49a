//! The data plane: packets of the application, sealed and opened by what a real node uses.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use meshvpn_proto::forward::virtio;
use meshvpn_proto::forward::{
    Arrival, Confirmed, Control, Inbound, Joins, Outbound, Path, SharedPeers,
};
use meshvpn_proto::session::aead::Portable;
use meshvpn_proto::wireguard::WireGuardPeers;

/// Bytes of an IPv4 header.
const HEADER: usize = 20;
/// Of an experiment (RFC 3692).
const PROTOCOL: u8 = 253;

pub(super) struct Traffic {
    table: Arc<WireGuardPeers>,
    outbound: Outbound,
    inbound: Inbound,
    leaving: Vec<(Path, Vec<u8>)>,
    received: Vec<(Duration, u64)>,
}

impl Traffic {
    pub(super) fn new(table: Arc<WireGuardPeers>) -> Self {
        Self {
            table,
            outbound: Outbound::new(Box::new(Portable)),
            inbound: Inbound::new(Box::new(Portable), 1 << 12, Joins::ALL),
            leaving: Vec::new(),
            received: Vec::new(),
        }
    }

    /// A packet with a number in it.
    pub(super) fn send(&mut self, from: IpAddr, to: IpAddr, number: u64) {
        let frame = [&[0; virtio::LEN][..], &packet(from, to, number)].concat();
        let batch = self.table.batch();
        self.outbound.frame_buffer()[..frame.len()].copy_from_slice(&frame);
        self.outbound.push(frame.len(), &batch);
        drop(batch);
        self.flush();
    }

    /// What waited for a session goes, or is given up.
    pub(super) fn resume(&mut self) {
        loop {
            let is_more = self.outbound.push_parked(&self.table.batch());
            self.flush();
            if !is_more {
                break;
            }
        }
    }

    /// A datagram has come.
    pub(super) fn receive(&mut self, at: Duration, path: Path, datagram: &[u8]) {
        let arrival = Arrival {
            bytes: datagram,
            segment_size: datagram.len(),
            source: path.destination,
            socket: path.socket,
            local: path.source,
            is_truncated: false,
        };
        self.inbound.receive([arrival], &self.table.batch());
        for (_, pieces) in self.inbound.writes() {
            let frame: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
            let number = frame.get(virtio::LEN + HEADER..);
            if let Some(number) = number.and_then(|bytes| bytes.first_chunk()) {
                self.received.push((at, u64::from_be_bytes(*number)));
            }
        }
    }

    /// Slots that a packet waits for.
    pub(super) fn take_waiting(&mut self) -> Vec<usize> {
        self.outbound.take_waiting().collect()
    }

    pub(super) fn take_confirmed(&mut self) -> Vec<Confirmed> {
        self.inbound.take_confirmed().collect()
    }

    pub(super) fn take_control(&mut self) -> Vec<Control> {
        self.inbound.take_control().collect()
    }

    pub(super) fn take_leaving(&mut self) -> Vec<(Path, Vec<u8>)> {
        core::mem::take(&mut self.leaving)
    }

    pub(super) fn take_received(&mut self) -> Vec<(Duration, u64)> {
        core::mem::take(&mut self.received)
    }

    fn flush(&mut self) {
        self.outbound.seal();
        for transmit in self.outbound.transmits() {
            let size = transmit.segment_size.unwrap_or(usize::MAX);
            let path = *transmit.path;
            let datagrams = transmit.contents.chunks(size);
            self.leaving
                .extend(datagrams.map(|datagram| (path, datagram.to_vec())));
        }
        self.outbound.clear(&self.table.batch());
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").finish_non_exhaustive()
    }
}

/// An IPv4 packet; nothing when an address is not one.
fn packet(from: IpAddr, to: IpAddr, number: u64) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else {
        return Vec::new();
    };
    let mut packet = vec![0; HEADER];
    (packet[0], packet[3], packet[8], packet[9]) = (0x45, HEADER as u8 + 8, 64, PROTOCOL);
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet.extend(number.to_be_bytes());
    packet
}
