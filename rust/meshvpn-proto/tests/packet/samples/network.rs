//! Extension headers and fragments.

use etherparse::{IpNumber, Ipv6FragmentHeader};

use super::Sample;
use crate::craft::*;

pub(crate) fn extension_headers() -> Vec<Sample> {
    let udp = &build!(v6().udp(4000, 9), b"discard")[40..];
    let hop_by_hop = |next: u8| [next, 0, 5, 2, 0, 0, 1, 0];
    let destination = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    // A visited segment list: nothing left, so that the destination is the last one.
    let routing = |next: u8| [&[next, 2, 4, 0, 0, 0, 0, 0], &V6_TO[..]].concat();
    let authentication = |next: u8| {
        [
            next, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        ]
    };
    let atomic =
        Ipv6FragmentHeader::new(IpNumber::UDP, Default::default(), false, 0xdead_beef).to_bytes();
    let line = |name, summary, packet| (name, summary, packet);
    let udp_line = "[fd00::1]:4000 -> [fd00::2]:9 | UDP len=7 | 15 bytes";
    vec![
        line(
            "hop-by-hop options",
            udp_line,
            v6_raw(0, &[&hop_by_hop(17)[..], udp].concat()),
        ),
        line(
            "destination options",
            udp_line,
            v6_raw(60, &[&destination(17)[..], udp].concat()),
        ),
        line(
            "routing header",
            udp_line,
            v6_raw(43, &[&routing(17)[..], udp].concat()),
        ),
        line(
            "authentication header",
            udp_line,
            v6_raw(51, &[&authentication(17)[..], udp].concat()),
        ),
        line("three headers", udp_line, {
            let chain = [&hop_by_hop(43)[..], &routing(60), &destination(17), udp];
            v6_raw(0, &chain.concat())
        }),
        line(
            "atomic fragment",
            "[fd00::1]:4000 -> [fd00::2]:9 | IPv6 fragment atomic id=0xdeadbeef offset=0 of UDP \
             len=7 | 15 bytes",
            v6_raw(44, &[&atomic[..], udp].concat()),
        ),
        line(
            "v4 authentication header",
            "10.0.0.1 -> 10.0.0.2 | protocol 253 | 3 bytes",
            v4_raw(51, &[&authentication(253)[..], &[1, 2, 3]].concat()),
        ),
    ]
}

pub(crate) fn fragments() -> Vec<Sample> {
    let ping = v4_raw(
        1,
        &build!(v4().icmpv4_echo_request(1, 1), &[0x55; 40])[20..],
    );
    let [first, middle, last]: [Vec<u8>; 3] = crate::craft::fragments(&ping, 0, &[2, 4])
        .try_into()
        .unwrap();
    let segment = build!(v6().tcp(443, 51514, 7, 64240).ack(1), &[0x55; 44]);
    let [v6_first, v6_middle, v6_last]: [Vec<u8>; 3] =
        crate::craft::fragments(&segment, 0x1234_5678, &[3, 5])
            .try_into()
            .unwrap();
    vec![
        (
            "first fragment",
            "10.0.0.1 -> 10.0.0.2 | IPv4 fragment first id=0x1234 offset=0 of ICMP Echo Request | \
             16 bytes",
            first,
        ),
        (
            "middle fragment",
            "10.0.0.1 -> 10.0.0.2 | IPv4 fragment middle id=0x1234 offset=16 of ICMP | 16 bytes",
            middle,
        ),
        (
            "last fragment",
            "10.0.0.1 -> 10.0.0.2 | IPv4 fragment last id=0x1234 offset=32 of ICMP | 16 bytes",
            last,
        ),
        (
            "v6 first fragment",
            "[fd00::1]:443 -> [fd00::2]:51514 | IPv6 fragment first id=0x12345678 offset=0 of TCP \
             ACK seq=7 ack=1 win=64240 len=4 | 24 bytes",
            v6_first,
        ),
        (
            "v6 middle fragment",
            "fd00::1 -> fd00::2 | IPv6 fragment middle id=0x12345678 offset=24 of TCP | 16 bytes",
            v6_middle,
        ),
        (
            "v6 last fragment",
            "fd00::1 -> fd00::2 | IPv6 fragment last id=0x12345678 offset=40 of TCP | 24 bytes",
            v6_last,
        ),
    ]
}
