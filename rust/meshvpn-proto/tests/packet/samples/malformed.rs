//! What is wrong and must be said.

use super::Sample;
use crate::craft::*;

/// Packets with a fault each.
pub(crate) fn malformed() -> Vec<Sample> {
    let udp = build!(v4().udp(4000, 9), b"discard");
    let udp6 = build!(v6().udp(4000, 9), b"discard");
    let with = |packet: &[u8], at: usize, bytes: &[u8]| {
        let mut packet = packet.to_vec();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    vec![
        (
            "nothing",
            "? -> ? | malformed: empty packet | 0 bytes",
            vec![],
        ),
        (
            "neither 4 nor 6",
            "? -> ? | malformed: not an IP packet (version 15) | 3 bytes",
            vec![0xf0, 1, 2],
        ),
        (
            "cut in the v4 header",
            "? -> ? | malformed: IPv4 header truncated (12 of 20 bytes) | 12 bytes",
            udp[..12].to_vec(),
        ),
        (
            "cut in the v6 header",
            "? -> ? | malformed: IPv6 header truncated (39 of 40 bytes) | 39 bytes",
            udp6[..39].to_vec(),
        ),
        (
            "header length 16",
            "? -> ? | malformed: IPv4 header length is 16 bytes, less than the 20 of its header | \
             35 bytes",
            with(&udp, 0, &[0x44]),
        ),
        (
            "total length 19",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7, malformed: IPv4 total length is 19 bytes, \
             less than the 20 of its header | 15 bytes",
            fix_v4(with(&udp, 2, &[0, 19])),
        ),
        (
            "wrong header checksum",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7, malformed: wrong IPv4 header checksum \
             0x1111, should be 0x26c8 | 15 bytes",
            with(&udp, 10, &[0x11, 0x11]),
        ),
        (
            "wrong UDP checksum",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7, malformed: wrong UDP checksum 0x1111, should \
             be 0x3ee5 | 15 bytes",
            with(&udp, 26, &[0x11, 0x11]),
        ),
        (
            "v6 without UDP checksum",
            "[fd00::1]:4000 -> [fd00::2]:9 | UDP len=7, malformed: wrong UDP checksum 0x0000, \
             should be 0x58e3 | 15 bytes",
            with(&udp6, 46, &[0, 0]),
        ),
        (
            "packet cut off",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=2, malformed: IPv4 packet truncated (30 of 35 \
             bytes) | 10 bytes",
            udp[..30].to_vec(),
        ),
        (
            "stray bytes",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7, malformed: 2 stray bytes after the end of \
             the packet | 15 bytes",
            [&udp[..], &[0, 0]].concat(),
        ),
        (
            "UDP cut in its header",
            "10.0.0.1 -> 10.0.0.2 | UDP, malformed: UDP header truncated (5 of 8 bytes) | 5 bytes",
            v4_raw(17, &udp[20..25]),
        ),
        (
            "UDP length 7",
            "10.0.0.1 -> 10.0.0.2 | UDP, malformed: UDP length is 7 bytes, less than the 8 of its \
             header | 15 bytes",
            with(&udp, 24, &[0, 7]),
        ),
        (
            "UDP length beyond the packet",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7, malformed: UDP datagram truncated (15 of \
             4096 bytes) | 15 bytes",
            with(&udp, 24, &[0x10, 0]),
        ),
        (
            "TCP cut in its header",
            "10.0.0.1 -> 10.0.0.2 | TCP, malformed: TCP header truncated (4 of 20 bytes) | 4 bytes",
            v4_raw(6, &[0, 80, 0, 81]),
        ),
        (
            "TCP data offset 4",
            "10.0.0.1 -> 10.0.0.2 | TCP, malformed: TCP header length is 16 bytes, less than the \
             20 of its header | 20 bytes",
            with(&build!(v4().tcp(1, 2, 0, 0), &[]), 32, &[0x40]),
        ),
        (
            "ICMP cut in its header",
            "10.0.0.1 -> 10.0.0.2 | ICMP, malformed: ICMP header truncated (3 of 8 bytes) | 3 bytes",
            v4_raw(1, &[8, 0, 0]),
        ),
        (
            "solicitation without a target",
            "fd00::1 -> fd00::2 | ICMPv6 Neighbor Solicitation, malformed: neighbor discovery \
             target truncated (12 of 24 bytes) | 12 bytes",
            icmpv6(135, 0, [0; 4], &[0; 4]),
        ),
        (
            "cut in an extension header",
            "fd00::1 -> fd00::2 | IPv6-Opts, malformed: destination options header truncated (6 of \
             8 bytes) | 6 bytes",
            v6_raw(60, &[17, 0, 1, 4, 0, 0]),
        ),
        (
            "hop-by-hop options in second place",
            "fd00::1 -> fd00::2 | HOPOPT, malformed: hop-by-hop options are not directly after the \
             IPv6 header | 8 bytes",
            v6_raw(60, &[0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4, 0, 0, 0, 0]),
        ),
        (
            "unaligned fragment",
            "10.0.0.1 -> 10.0.0.2 | IPv4 fragment middle id=0x1234 offset=8 of UDP, malformed: \
             fragment length 7 is not a multiple of 8 | 7 bytes",
            fix_v4(with(&v4_raw(17, &[0; 7]), 6, &[0x20, 1])),
        ),
        (
            "ping of death",
            "10.0.0.1 -> 10.0.0.2 | IPv4 fragment last id=0x1234 offset=65528 of ICMP, malformed: \
             fragment ends at byte 65568, beyond the maximum of 65535 | 40 bytes",
            fix_v4(with(&v4_raw(1, &[0; 40]), 6, &[0x1f, 0xff])),
        ),
    ]
}
