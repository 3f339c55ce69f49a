//! Whatever is joined, taken apart again it is what came, and no flow sees its packets in another
//! order.

use std::collections::{BTreeMap, BTreeSet};

use meshvpn_proto::forward::IpView;
use proptest::prelude::*;

use crate::craft::{ACK, Inner, PSH, comparable, payload};
use crate::pipe::{Framing, Pipe, packets_in};
use crate::traffic::any_traffic;

/// Addresses as they stand in the header.
type Hosts = Vec<u8>;

/// What must keep its order: the packets of one TCP or UDP flow, and with each flow those packets
/// between its hosts that may belong to any flow: fragments, extension headers, ICMP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Flow { protocol: u8, ports: Vec<u8> },
    PureAck,
    Other,
}

fn hosts(packet: &[u8]) -> Hosts {
    if packet[0] >> 4 == 4 {
        packet[12..20].to_vec()
    } else {
        packet[8..40].to_vec()
    }
}

fn kind(packet: &[u8]) -> Kind {
    let view = IpView::parse(packet).unwrap();
    let segment = &packet[view.header_len..];
    if view.is_fragment || ![6, 17].contains(&view.protocol) {
        return Kind::Other;
    }
    let is_tcp = view.protocol == 6;
    if is_tcp && segment[13] & !PSH == ACK && segment.len() == usize::from(segment[12] >> 4) * 4 {
        return Kind::PureAck;
    }
    Kind::Flow {
        protocol: view.protocol,
        ports: segment[..4].to_vec(),
    }
}

/// Every order that must be kept: by hosts and flow, the flow's packets and those of no flow.
fn orders(packets: &[Vec<u8>]) -> BTreeMap<(Hosts, Kind), Vec<Vec<u8>>> {
    let keys: BTreeSet<_> = packets
        .iter()
        .map(|packet| (hosts(packet), kind(packet)))
        .collect();
    let order = |key: &(Hosts, Kind)| {
        let belongs = |packet: &&Vec<u8>| {
            let kind = kind(packet);
            hosts(packet) == key.0
                && (kind == key.1 || (key.1 != Kind::PureAck && kind == Kind::Other))
        };
        packets
            .iter()
            .filter(belongs)
            .map(|packet| comparable(packet))
            .collect()
    };
    keys.iter().map(|key| (key.clone(), order(key))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_packet_is_lost_changed_or_overtaken(
        traffic in prop_oneof![any_traffic(1), any_traffic(4), any_traffic(14)],
    ) {
        let packets = &traffic.packets;
        let mut pipe = Pipe::new(Framing::Plain, 9000);
        let received = pipe.receive(packets.iter().map(Vec::as_slice));
        let out: Vec<_> =
            received.frames.iter().flat_map(|(_, frame)| packets_in(frame)).collect();
        prop_assert_eq!(received.tally.packets, packets.len() as u64);
        prop_assert_eq!(out.len(), packets.len());
        for ((key, before), after) in orders(packets).iter().zip(orders(&out).values()) {
            prop_assert!(before == after, "{key:?}");
        }
    }
}

fn frames_of(packets: &[Inner]) -> Vec<(u32, Vec<u8>)> {
    let packets: Vec<_> = packets.iter().map(Inner::bytes).collect();
    let mut pipe = Pipe::new(Framing::Plain, 9000);
    pipe.receive(packets.iter().map(Vec::as_slice)).frames
}

fn counts(packets: &[Inner]) -> Vec<u32> {
    frames_of(packets).iter().map(|(count, _)| *count).collect()
}

fn tcp(sequence: u32, len: usize) -> Inner {
    Inner::tcp(false, sequence, payload(len, u64::from(sequence)))
}

#[test]
fn interleaved_flows_become_one_frame_each() {
    let other = |mut packet: Inner| {
        packet.ports.0 += 1;
        packet
    };
    let packets: Vec<_> = (0..10)
        .flat_map(|i| [tcp(i * 100, 100), other(tcp(i * 100, 100))])
        .collect();
    assert_eq!(counts(&packets), [10, 10]);
}

#[test]
fn a_pure_acknowledgement_ends_no_run() {
    assert_eq!(counts(&[tcp(0, 100), tcp(100, 0), tcp(100, 100)]), [2, 1]);
}

#[test]
fn a_short_segment_and_a_push_end_the_run() {
    assert_eq!(counts(&[tcp(0, 100), tcp(100, 60), tcp(160, 60)]), [2, 1]);
    let mut push = tcp(100, 100);
    push.tcp.as_mut().unwrap().flags |= PSH;
    assert_eq!(counts(&[tcp(0, 100), push, tcp(200, 100)]), [2, 1]);
}

#[test]
fn a_longer_segment_starts_a_new_run() {
    assert_eq!(counts(&[tcp(0, 100), tcp(100, 101), tcp(201, 101)]), [1, 2]);
}

/// Every field of which all segments of a super-packet have the same value.
#[test]
fn a_difference_in_any_shared_field_keeps_packets_apart() {
    let base = |is_v6, is_tcp: bool| {
        let mut packet = Inner::tcp(is_v6, 0, payload(100, 1));
        packet.tcp.as_mut().unwrap().options = vec![1; 4];
        if !is_tcp {
            packet.tcp = None;
        }
        packet
    };
    let ip: [fn(&mut Inner); 6] = [
        |packet| packet.hosts.0 = 9,
        |packet| packet.hosts.1 = 9,
        |packet| packet.ports.0 = 9,
        |packet| packet.ports.1 = 9,
        |packet| packet.tos = 4,
        |packet| packet.ttl = 9,
    ];
    let tcp: [fn(&mut Inner); 6] = [
        |packet| packet.tcp.as_mut().unwrap().acknowledgement = 9,
        |packet| packet.tcp.as_mut().unwrap().window = 9,
        |packet| packet.tcp.as_mut().unwrap().urgent = 9,
        |packet| packet.tcp.as_mut().unwrap().reserved = 9,
        |packet| packet.tcp.as_mut().unwrap().options = vec![0; 4],
        |packet| packet.tcp.as_mut().unwrap().options = vec![1; 8],
    ];
    for (is_v6, is_tcp) in [(false, false), (false, true), (true, false), (true, true)] {
        let first = base(is_v6, is_tcp);
        let mut second = first.clone();
        if let Some(tcp) = &mut second.tcp {
            tcp.sequence = 100;
        }
        assert_eq!(counts(&[first.clone(), second.clone()]), [2]);
        let changes = ip.iter().chain(tcp.iter().filter(|_| is_tcp));
        for (index, change) in changes.enumerate() {
            let mut other = second.clone();
            change(&mut other);
            let counts = counts(&[first.clone(), other]);
            assert_eq!(counts, [1, 1], "v6 {is_v6}, TCP {is_tcp}, field {index}");
        }
    }
}

#[test]
fn ids_count_up_where_fragmentation_is_allowed() {
    let packet = |i: u16, step: u16| {
        let mut packet = tcp(u32::from(i) * 100, 100);
        (packet.id, packet.dont_fragment) = (u16::MAX.wrapping_add(i * step), false);
        packet
    };
    assert_eq!(counts(&[packet(0, 1), packet(1, 1), packet(2, 1)]), [3]);
    assert_eq!(
        counts(&[packet(0, 2), packet(1, 2), packet(2, 2)]),
        [1, 1, 1]
    );
    assert_eq!(counts(&[packet(0, 0), packet(1, 0)]), [1, 1]);
}

#[test]
fn no_frame_is_longer_than_ip_allows() {
    for is_v6 in [false, true] {
        let packet = |i: usize| Inner::tcp(is_v6, (i * 8000) as u32, payload(8000, i as u64));
        let frames = frames_of(&(0..20).map(packet).collect::<Vec<_>>());
        assert!(frames.iter().all(|(_, frame)| frame.len() - 10 <= 65_535));
        assert_eq!(
            frames.iter().map(|(count, _)| *count).collect::<Vec<_>>(),
            [8, 8, 4]
        );
    }
}
