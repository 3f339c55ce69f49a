//! Datagrams leave in runs that the kernel takes in one segmented send, in the order in which
//! their packets came.

use std::sync::Arc;

use meshvpn_proto::forward::{Claim, DropReason, IpView, Outbound, Path, Peers, Slot};
use meshvpn_proto::session::aead::{Key, Portable};
use meshvpn_proto::session::transport::{DataMessage, SealedSession, Session};
use proptest::prelude::*;

use crate::craft::{Inner, payload};
use crate::pipe::{Framing, Pipe, far, plain_frame};

/// What the path takes: a usual one under a sealed tunnel.
const DATAGRAM_MAX: usize = 1452;

/// Peers by the destination's last byte: even ones plain, odd ones sealed.
struct Several(Vec<Slot>);

impl Several {
    fn new(count: u8) -> Self {
        let slot = |index: u8| {
            let mut destination = far();
            destination.set_port(7000 + u16::from(index));
            let slot = Slot::new(
                Path {
                    socket: 0,
                    source: None,
                    destination,
                },
                DATAGRAM_MAX,
            );
            let key = || Key::new([index; 32]);
            let sealed = SealedSession::new(0, u32::from(index), key(), key());
            let is_plain = index.is_multiple_of(2);
            let session = if is_plain {
                Session::Plain
            } else {
                Session::Sealed(Arc::new(sealed))
            };
            slot.session.store(Some(Arc::new(session)));
            slot
        };
        Self((0..count).map(slot).collect())
    }
}

impl Peers for Several {
    fn route(&self, _: &IpView, packet: &[u8]) -> Result<usize, DropReason> {
        let host = usize::from(packet[19]);
        if host < self.0.len() {
            Ok(host)
        } else {
            Err(DropReason::NoRoute)
        }
    }

    fn slot(&self, slot: usize) -> &Slot {
        &self.0[slot]
    }

    fn claim(&self, _: &[u8], _: std::net::SocketAddr) -> Result<Claim, DropReason> {
        Err(DropReason::UnknownType)
    }

    fn admit(&self, _: usize, _: &IpView, _: &[u8]) -> Result<(), DropReason> {
        Ok(())
    }
}

fn packet(host: u8, len: usize, dont_fragment: bool) -> Vec<u8> {
    let mut inner = Inner::udp(false, payload(len - 28, len as u64));
    (inner.hosts.1, inner.dont_fragment) = (host, dont_fragment);
    inner.bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn runs_are_what_the_kernel_takes_and_nothing_is_out_of_order(
        packets in prop::collection::vec(
            (0..3u8, prop_oneof![Just(1420usize), Just(1420), Just(100), 28..1700usize]), 1..64,
        ),
    ) {
        let peers = Several::new(3);
        let mut outbound = Outbound::new(Box::new(Portable));
        let mut expected = Vec::new();
        for (host, len) in &packets {
            let packet = packet(*host, *len, false);
            let frame = plain_frame(&packet);
            outbound.frame_buffer()[..frame.len()].copy_from_slice(&frame);
            outbound.push(frame.len(), &peers);
            expected.push((usize::from(*host), *len));
            if outbound.is_full() {
                break;
            }
        }
        outbound.seal();

        let mut sent = Vec::new();
        for transmit in outbound.transmits() {
            let size = transmit.segment_size.unwrap_or(transmit.contents.len());
            let datagrams: Vec<_> = transmit.contents.chunks(size).collect();
            prop_assert_eq!(transmit.path.destination.port(), 7000 + transmit.slot as u16);
            prop_assert_eq!(transmit.segment_size.is_some(), datagrams.len() > 1);
            prop_assert!(datagrams.len() <= 64 && transmit.contents.len() <= 65_507);
            prop_assert_eq!(transmit.may_fragment, size > DATAGRAM_MAX);
            prop_assert!(!transmit.may_fragment || datagrams.len() == 1);
            let is_sealed = transmit.slot % 2 == 1;
            for datagram in datagrams {
                prop_assert_eq!(DataMessage::parse(datagram).is_some(), is_sealed);
                let overhead = if is_sealed { 32 } else { 0 };
                sent.push((transmit.slot, datagram.len() - overhead));
            }
        }
        let padded = |(slot, len): (usize, usize)| {
            let largest = DATAGRAM_MAX - 32;
            let is_padded = slot % 2 == 1 && len <= largest;
            (slot, if is_padded { len.next_multiple_of(16).min(largest) } else { len })
        };
        prop_assert_eq!(sent, expected.into_iter().map(padded).collect::<Vec<_>>());
    }
}

/// The lengths of each send for packets of these lengths.
fn runs(lens: &[usize]) -> Vec<Vec<usize>> {
    let mut pipe = Pipe::new(Framing::Sealed, DATAGRAM_MAX);
    let frames: Vec<_> = lens
        .iter()
        .map(|len| plain_frame(&packet(2, *len, true)))
        .collect();
    let sent = pipe.send(frames.iter().map(Vec::as_slice));
    sent.iter()
        .map(|sent| sent.datagrams().map(<[u8]>::len).collect())
        .collect()
}

#[test]
fn full_packets_are_not_padded_beyond_the_path() {
    assert_eq!(runs(&[1420, 1420]), [[1452, 1452]]);
    assert_eq!(runs(&[1415, 1420]), [[1452, 1452]]);
}

#[test]
fn only_the_last_of_a_run_is_shorter() {
    assert_eq!(
        runs(&[1000, 1000, 500, 1000]),
        [vec![1040, 1040, 544], vec![1040]]
    );
    assert_eq!(runs(&[500, 1000]), [[544], [1040]]);
}

#[test]
fn a_run_ends_at_64_datagrams() {
    // Two super-packets of tiny segments leave in one batch.
    let mut pipe = Pipe::new(Framing::Plain, DATAGRAM_MAX);
    let inner = Inner::udp(false, payload(80, 1));
    let frame = inner.super_frame(1);
    let sent = pipe.send([&frame[..], &frame[..]]);
    assert_eq!(
        sent.iter()
            .map(|sent| sent.datagrams().count())
            .collect::<Vec<_>>(),
        [64, 64, 32]
    );
}

#[test]
fn a_run_ends_at_the_longest_datagram() {
    let mut pipe = Pipe::new(Framing::Plain, 9000);
    let inner = Inner::tcp(false, 1, payload(64_000, 1));
    let sent = pipe.send([&inner.super_frame(8000)[..], &inner.super_frame(8000)[..]]);
    assert!(sent.iter().all(|sent| sent.contents.len() <= 65_507));
    assert_eq!(
        sent.iter()
            .map(|sent| sent.datagrams().count())
            .collect::<Vec<_>>(),
        [8, 8]
    );
}
