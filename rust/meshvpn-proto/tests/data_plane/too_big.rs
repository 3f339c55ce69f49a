//! What is longer than the path takes: cut smaller, sent in fragments, or answered with ICMP.

use meshvpn_proto::forward::DropReason;
use proptest::prelude::*;

use crate::craft::{Inner, payload, seal_ipv4_header};
use crate::pipe::{Framing, Pipe, Sent, plain_frame};

/// The smallest MTU of IPv6.
const IPV6_MIN: usize = 1280;

fn udp(is_v6: bool, len: usize, dont_fragment: bool) -> Inner {
    let mut packet = Inner::udp(is_v6, payload(len, 5));
    packet.payload.truncate(len - packet.headers_len());
    packet.dont_fragment = dont_fragment;
    packet
}

/// One frame through a tunnel whose path takes inner packets of `largest` bytes: what it sends, and
/// what it answers to the TUN.
fn push(framing: Framing, largest: usize, frame: &[u8]) -> (Vec<Sent>, Vec<Vec<u8>>, u64) {
    let overhead = if framing == Framing::Plain { 0 } else { 32 };
    let mut pipe = Pipe::new(framing, largest + overhead);
    pipe.push([frame]);
    let replies = pipe.outbound.replies().map(<[u8]>::to_vec).collect();
    let transmit = |transmit: meshvpn_proto::forward::Transmit<'_>| Sent {
        contents: transmit.contents.to_vec(),
        segment_size: transmit.segment_size,
        may_fragment: transmit.may_fragment,
    };
    let sent = pipe.outbound.transmits().map(transmit).collect();
    let tally = pipe.outbound.take_tally();
    (sent, replies, tally.dropped(DropReason::TooBig))
}

/// The MTU that an ICMP error tells, after etherparse and the rules have had a look at it.
fn told_mtu(reply: &[u8], refused: &[u8]) -> u32 {
    assert_eq!(reply[..10], [0; 10], "a complete packet needs nothing done");
    let packet = &reply[10..];
    let sliced = etherparse::SlicedPacket::from_ip(packet).unwrap();
    match (&sliced.net, &sliced.transport) {
        (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Icmpv4(icmp))) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(
                (&packet[12..16], &packet[16..20]),
                (&refused[16..20], &refused[12..16])
            );
            let etherparse::Icmpv4Type::DestinationUnreachable(reason) = icmp.icmp_type() else {
                panic!("{:?}", icmp.icmp_type());
            };
            let header = icmp.header();
            assert_eq!(
                header.checksum,
                header.icmp_type.calc_checksum(icmp.payload())
            );
            assert!(refused.starts_with(icmp.payload()) && icmp.payload().len() >= 28);
            assert!(packet.len() <= 576);
            let etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu } =
                reason
            else {
                panic!("{reason:?}");
            };
            u32::from(next_hop_mtu)
        }
        (Some(etherparse::NetSlice::Ipv6(ip)), Some(etherparse::TransportSlice::Icmpv6(icmp))) => {
            assert_eq!(
                (&packet[8..24], &packet[24..40]),
                (&refused[24..40], &refused[8..24])
            );
            let (source, destination) = (ip.header().source(), ip.header().destination());
            assert!(icmp.is_checksum_valid(source, destination));
            assert!(refused.starts_with(icmp.payload()) && packet.len() <= IPV6_MIN);
            let etherparse::Icmpv6Type::PacketTooBig { mtu } = icmp.icmp_type() else {
                panic!("{:?}", icmp.icmp_type());
            };
            mtu
        }
        other => panic!("no ICMP error: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every single packet is sent whole, sent in fragments, or dropped with an answer that tells
    /// the length which does fit; and the length decides which.
    #[test]
    fn every_length_meets_its_fate(
        is_sealed: bool, is_v6: bool, dont_fragment: bool,
        len in 48..3000usize, largest in 500..2500usize,
    ) {
        let framing = if is_sealed { Framing::Sealed } else { Framing::Plain };
        let packet = udp(is_v6, len, dont_fragment).bytes();
        let (sent, replies, drops) = push(framing, largest, &plain_frame(&packet));
        let must_fit = if is_v6 { len > IPV6_MIN } else { dont_fragment };
        if len > largest && must_fit {
            prop_assert!(sent.is_empty() && drops == 1);
            let mtu = if is_v6 { largest.max(IPV6_MIN) } else { largest };
            prop_assert_eq!(replies.len(), 1);
            prop_assert_eq!(told_mtu(&replies[0], &packet), mtu as u32);
        } else {
            prop_assert!(sent.len() == 1 && replies.is_empty() && drops == 0);
            prop_assert_eq!(sent[0].may_fragment, len > largest);
        }
    }

    /// Datagrams of a UDP super-packet keep their length, so they share the fate of single ones.
    #[test]
    fn udp_super_packets_share_the_fate_of_their_datagrams(
        is_v6: bool, dont_fragment: bool,
        gso_size in 1..2000usize, count in 1..8usize, largest in 500..2500usize,
    ) {
        let mut inner = udp(is_v6, 100, dont_fragment);
        inner.payload = payload(gso_size * count, 6);
        let len = inner.headers_len() + gso_size;
        let (sent, replies, drops) = push(Framing::Plain, largest, &inner.super_frame(gso_size as u16));
        let must_fit = if is_v6 { len > IPV6_MIN } else { dont_fragment };
        if len > largest && must_fit {
            prop_assert!(sent.is_empty() && drops == 1);
            let mtu = if is_v6 { largest.max(IPV6_MIN) } else { largest };
            prop_assert_eq!(told_mtu(&replies[0], &inner.with_partial_checksum()), mtu as u32);
        } else {
            prop_assert!(replies.is_empty() && drops == 0);
            let datagrams: Vec<_> = sent.iter().flat_map(Sent::datagrams).collect();
            let expected: Vec<_> = inner.segments(gso_size).iter().map(Inner::bytes).collect();
            prop_assert_eq!(datagrams, expected);
            prop_assert!(sent.iter().all(|sent| sent.may_fragment == (len > largest)));
            prop_assert!(len <= largest || sent.len() == count, "fragments go one by one");
        }
    }
}

/// More pieces than the forwarder takes: the sender has to make them smaller itself.
#[test]
fn tcp_that_would_be_cut_into_too_many_pieces_is_refused_with_an_answer() {
    let inner = Inner::tcp(false, 1, payload(62_000, 1));
    let (sent, replies, drops) = push(Framing::Plain, 500, &inner.super_frame(1400));
    assert!(sent.is_empty() && drops == 1);
    assert_eq!(told_mtu(&replies[0], &inner.with_partial_checksum()), 500);
}

/// No datagram is that long, whoever may cut it.
#[test]
fn what_no_datagram_can_hold_is_refused() {
    for (len, is_sent) in [(65_507, true), (65_508, false)] {
        let (sent, _, drops) = push(
            Framing::Plain,
            1500,
            &plain_frame(&udp(false, len, false).bytes()),
        );
        assert_eq!((sent.len() == 1, drops == 0), (is_sent, is_sent));
    }
    for (len, is_sent) in [(65_475, true), (65_476, false)] {
        let (sent, _, drops) = push(
            Framing::Sealed,
            1500,
            &plain_frame(&udp(false, len, false).bytes()),
        );
        assert_eq!((sent.len() == 1, drops == 0), (is_sent, is_sent));
        assert!(sent.iter().all(|sent| sent.contents.len() <= 65_507));
    }
}

#[test]
fn at_most_eight_answers_leave_a_batch() {
    let frame = plain_frame(&udp(true, 1400, true).bytes());
    let mut pipe = Pipe::new(Framing::Plain, 1300);
    for _ in 0..3 {
        let taken = pipe.push(core::iter::repeat_n(&frame[..], 30));
        assert_eq!((taken, pipe.outbound.replies().count()), (30, 8));
        assert_eq!(pipe.outbound.take_tally().dropped(DropReason::TooBig), 30);
        pipe.outbound.clear(&pipe.near);
    }
}

/// An error about an error would answer itself for ever (RFC 1122, section 3.2.2).
#[test]
fn icmp_errors_are_dropped_without_an_answer() {
    let mut packet = udp(false, 1000, true).bytes();
    (packet[9], packet[20], packet[21]) = (1, 3, 4);
    seal_ipv4_header(&mut packet);
    let (sent, replies, drops) = push(Framing::Plain, 900, &plain_frame(&packet));
    assert!(sent.is_empty() && replies.is_empty());
    assert_eq!(drops, 1);
}
