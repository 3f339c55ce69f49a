//! Lines and typed fields of known packets.

use std::net::IpAddr;

use meshvpn_proto::packet::{
    Body, Checksum, FragmentKind, Packet, Protocol, Transport, Version, dissect,
};

use crate::craft::*;
use crate::samples;

#[test]
fn every_kind_has_its_line() {
    for (name, summary, bytes) in samples::all() {
        assert_eq!(Packet::new(bytes).summary(), summary, "{name}");
    }
}

#[test]
fn sound_packets_have_no_defects_and_malformed_ones_have() {
    for (name, _, bytes) in samples::sound() {
        assert_eq!(dissect(&bytes).defects, [], "{name}");
    }
    for (name, _, bytes) in samples::malformed() {
        assert!(!dissect(&bytes).defects.is_empty(), "{name}");
    }
}

#[test]
fn fields_of_a_ping() {
    let packet = Packet::new(build!(v4().icmpv4_echo_request(0x1a2b, 3), b"data"));
    let ip = packet.ip.as_ref().unwrap();
    assert_eq!(ip.source, IpAddr::from(V4_FROM));
    assert_eq!(ip.destination, IpAddr::from(V4_TO));
    assert_eq!((ip.hop_limit, ip.protocol), (64, Protocol::ICMP));
    let Version::V4 {
        dont_fragment,
        checksum,
        ..
    } = ip.version
    else {
        panic!("version 4")
    };
    assert!(dont_fragment);
    assert_eq!(
        (checksum, packet.checksum),
        (Checksum::Correct, Checksum::Correct)
    );
    let Transport::Icmp(icmp) = &packet.transport else {
        panic!("{:?}", packet.transport)
    };
    assert_eq!(
        icmp.body,
        Body::Query {
            identifier: 0x1a2b,
            sequence: 3
        }
    );
    assert_eq!(packet.payload(), b"data");
}

#[test]
fn fragments_know_their_place_and_are_not_verified() {
    let datagram = build!(v6().udp(1, 2), &[0; 100]);
    let kinds = [
        FragmentKind::First,
        FragmentKind::Middle,
        FragmentKind::Last,
    ];
    for (bytes, kind) in fragments(&datagram, 7, &[3, 6]).iter().zip(kinds) {
        let dissection = dissect(bytes);
        let fragment = dissection.ip.unwrap().fragment.unwrap();
        assert_eq!((fragment.id, fragment.kind()), (7, kind));
        assert_eq!(dissection.checksum, Checksum::Unverified);
    }
}

/// The middle of a datagram may look like extension headers; it is data all the same.
#[test]
fn a_later_fragment_is_not_taken_for_headers() {
    let looks_like_options = [17, 0, 1, 4, 0, 0, 0, 0, 0xab, 0xcd, 0, 9, 0, 8, 0, 0];
    let header = [60, 0, 0, 8, 0, 0, 0, 1];
    let dissection = dissect(&v6_raw(44, &[&header[..], &looks_like_options].concat()));
    assert_eq!(dissection.transport, Transport::LaterFragment);
    assert_eq!(dissection.payload.len(), 16);
}

#[test]
fn an_unfinished_source_route_leaves_the_checksum_open() {
    let udp = &build!(v6().udp(1, 2), b"x")[40..];
    let routing = [&[17, 2, 4, 1, 0, 0, 0, 0], &V6_TO[..]].concat();
    assert_eq!(
        dissect(&v6_raw(43, &[&routing[..], udp].concat())).checksum,
        Checksum::Unverified
    );
}

#[test]
fn a_reassembled_packet_says_so() {
    let packet = Packet::reassembled(build!(v4().icmpv4_echo_request(1, 1), &[0; 3000]), 3);
    assert_eq!(
        packet.summary(),
        "10.0.0.1 -> 10.0.0.2 | ICMP Echo Request, reassembled from 3 fragments | 3008 bytes"
    );
}

#[test]
fn layers_follow_each_other_to_the_end() {
    for (name, _, bytes) in samples::sound() {
        let packet = Packet::new(bytes);
        let mut end = 0;
        for layer in packet.layers() {
            assert_eq!(layer.range.start, end, "{name}: {}", layer.name);
            assert!(!layer.fields.is_empty(), "{name}: {}", layer.name);
            end = layer.range.end;
        }
        assert_eq!(end, packet.bytes().len(), "{name}");
    }
}
