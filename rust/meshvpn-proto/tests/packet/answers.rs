//! The ICMP messages that a tunnel end writes by itself, read back and judged by the RFCs' rules.

use std::net::IpAddr;

use meshvpn_proto::packet::icmp_error::{TOO_BIG_ROOM, too_big};
use meshvpn_proto::packet::{Body, Transport, dissect, echo_reply};

use crate::craft::*;

fn answer(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let source: IpAddr = match packet[0] >> 4 {
        4 => [192, 0, 2, 1].into(),
        _ => [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into(),
    };
    let mut out = [0xee; TOO_BIG_ROOM];
    let length = too_big(packet, mtu, source, &mut out)?;
    let dissection = dissect(&out[..length]);
    assert_eq!(dissection.defects, []);
    assert_eq!(dissection.ip.unwrap().source, source);
    Some(out[..length].to_vec())
}

#[test]
fn fragmentation_needed_quotes_up_to_576_bytes() {
    for (length, total) in [(100, 156), (520, 576), (521, 576), (1400, 576)] {
        let packet = build!(v4().udp(4000, 9), &vec![7; length]);
        let error = answer(&packet, 1300).unwrap();
        assert_eq!(error.len(), total);
        assert_eq!(error[28..], packet[..total - 28]);
        let Transport::Icmp(icmp) = dissect(&error).transport else {
            panic!("not ICMP")
        };
        assert_eq!((icmp.kind, icmp.code, icmp.body), (3, 4, Body::Mtu(1300)));
        assert_eq!(icmp.quote.unwrap().ports, Some((4000, 9)));
    }
}

#[test]
fn packet_too_big_quotes_up_to_1280_bytes() {
    let packet = build!(v6().udp(4000, 9), &[7; 1400]);
    let error = answer(&packet, 1300).unwrap();
    assert_eq!(error.len(), 1280);
    assert_eq!(error[48..], packet[..1232]);
    let Transport::Icmpv6(icmp) = dissect(&error).transport else {
        panic!("not ICMPv6")
    };
    assert_eq!((icmp.kind, icmp.code, icmp.body), (2, 0, Body::Mtu(1300)));
}

/// RFC 8200 section 5 and RFC 791: below the minimum there is nothing a sender could do.
#[test]
fn the_minimum_mtu_is_the_smallest_told() {
    let packet = build!(v6().udp(1, 2), &[0; 1233]);
    assert!(
        dissect(&answer(&packet, 500).unwrap())
            .to_string()
            .contains("MTU 1280")
    );
    let packet = build!(v4().udp(1, 2), &[0; 100]);
    assert!(
        dissect(&answer(&packet, 5).unwrap())
            .to_string()
            .contains("MTU 68")
    );
    assert_eq!(answer(&build!(v6().udp(1, 2), &[0; 1232]), 500), None);
}

/// RFC 1122, 3.2.2 and RFC 4443, 2.4 (e).
#[test]
fn no_error_where_the_rules_forbid_one() {
    let data = [7; 1400];
    let big = build!(v4().udp(1, 2), &data);
    let from = |octets: [u8; 4]| {
        let mut packet = big.clone();
        packet[12..16].copy_from_slice(&octets);
        fix_v4(packet)
    };
    let to = |octets: [u8; 4]| {
        let mut packet = big.clone();
        packet[16..20].copy_from_slice(&octets);
        fix_v4(packet)
    };
    let from_v6 = |octets: [u8; 16]| {
        let mut packet = v6_raw(253, &data);
        packet[8..24].copy_from_slice(&octets);
        packet
    };
    let later = fragments(&build!(v4().udp(1, 2), &[7; 3000]), 0, &[180]).remove(1);
    let behind_options = [
        &[58, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        &data[..],
    ]
    .concat();
    for (reason, packet) in [
        ("an ICMP error", icmp(3, 3, [0; 4], &data)),
        ("an ICMP redirect", icmp(5, 0, [0; 4], &data)),
        ("an unknown ICMP type", icmp(77, 0, [0; 4], &data)),
        ("an ICMPv6 error", icmpv6(1, 0, [0; 4], &data)),
        (
            "an ICMPv6 error behind options",
            v6_raw(60, &behind_options),
        ),
        ("a later fragment", later),
        ("from broadcast", from([255; 4])),
        ("from multicast", from([224, 0, 0, 1])),
        ("from nobody", from([0; 4])),
        ("from loopback", from([127, 0, 0, 1])),
        ("to multicast", to([239, 1, 2, 3])),
        ("to broadcast", to([255; 4])),
        ("from v6 multicast", from_v6([0xff; 16])),
        ("from the unspecified address", from_v6([0; 16])),
        ("truncated", big[..100].to_vec()),
    ] {
        assert_eq!(answer(&packet, 1300), None, "{reason}");
    }
    assert!(
        answer(&icmp(8, 0, [0; 4], &data), 1300).is_some(),
        "a ping may be answered"
    );
    assert!(
        answer(&icmpv6(128, 0, [0; 4], &data), 1300).is_some(),
        "a ping may be answered"
    );
    let mut out = [0; 100];
    assert_eq!(
        too_big(&big, 1300, V6_FROM.into(), &mut [0; TOO_BIG_ROOM]),
        None
    );
    assert_eq!(too_big(&big, 1300, V4_TO.into(), &mut out), None);
}

/// RFC 4443 allows it, and a sender of fragments must learn of the MTU as well.
#[test]
fn a_later_v6_fragment_is_answered() {
    let data = vec![1; 3000];
    let later = fragments(&icmpv6(128, 0, [0; 4], &data), 9, &[160]).remove(1);
    assert!(answer(&later, 1300).is_some());
}

#[test]
fn a_ping_comes_back() {
    for (request, reply) in [
        (
            build!(v4().icmpv4_echo_request(7, 8), b"data"),
            build!(v4().icmpv4_echo_reply(7, 8), b"data"),
        ),
        (
            build!(v6().icmpv6_echo_request(7, 8), b"odd"),
            build!(v6().icmpv6_echo_reply(7, 8), b"odd"),
        ),
    ] {
        let answer = echo_reply(&request).unwrap();
        let (seen, asked) = (dissect(&answer), dissect(&request));
        assert_eq!(seen.defects, []);
        assert_eq!(seen.transport, dissect(&reply).transport);
        let (seen, asked) = (seen.ip.unwrap(), asked.ip.unwrap());
        assert_eq!(
            (seen.source, seen.destination),
            (asked.destination, asked.source)
        );
        assert_eq!(
            answer[seen.payload.start + 4..],
            request[asked.payload.start + 4..]
        );
    }
}

#[test]
fn only_a_sound_ping_to_one_host_comes_back() {
    let ping = build!(v4().icmpv4_echo_request(7, 8), b"data");
    let mut damaged = ping.clone();
    damaged[30] ^= 1;
    let mut to_many = ping.clone();
    to_many[16..20].copy_from_slice(&[224, 0, 0, 1]);
    let first = fragments(&v4_raw(1, &ping[20..]), 0, &[1]).remove(0);
    for packet in [
        damaged,
        fix_v4(to_many),
        first,
        build!(v4().icmpv4_echo_reply(7, 8), b""),
    ] {
        assert_eq!(echo_reply(&packet), None);
    }
}
