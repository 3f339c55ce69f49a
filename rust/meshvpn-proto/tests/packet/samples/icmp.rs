//! Messages of ICMP and ICMPv6.

use super::Sample;
use crate::craft::*;

pub(crate) fn in_v4() -> Vec<Sample> {
    let tcp = build!(v4().tcp(443, 51514, 7, 64240).syn(), &[1, 2, 3]);
    let later = fragments(&v4_raw(17, &[0; 24]), 0, &[1]).remove(1);
    vec![
        (
            "echo request as ping sends it",
            "10.0.0.1 -> 10.0.0.2 | ICMP Echo Request | 64 bytes",
            build!(v4().icmpv4_echo_request(0x1a2b, 3), &[0x55; 56]),
        ),
        (
            "echo reply",
            "10.0.0.1 -> 10.0.0.2 | ICMP Echo Reply | 8 bytes",
            build!(v4().icmpv4_echo_reply(1, 2), &[]),
        ),
        (
            "port unreachable",
            "10.0.0.1 -> 10.0.0.2 | ICMP Destination Unreachable: Port Unreachable, about TCP \
             10.0.0.1:443 -> 10.0.0.2:51514 | 51 bytes",
            icmp(3, 3, [0; 4], &tcp),
        ),
        (
            "fragmentation needed",
            "10.0.0.1 -> 10.0.0.2 | ICMP Destination Unreachable: Fragmentation Needed (MTU 1400), \
             about TCP 10.0.0.1:443 -> 10.0.0.2:51514 | 36 bytes",
            icmp(3, 4, [0, 0, 0x05, 0x78], &tcp[..28]),
        ),
        (
            "time exceeded about a later fragment",
            "10.0.0.1 -> 10.0.0.2 | ICMP Time Exceeded: TTL Exceeded in Transit, about UDP \
             10.0.0.1 -> 10.0.0.2 | 44 bytes",
            icmp(11, 0, [0; 4], &later),
        ),
        (
            "redirect",
            "10.0.0.1 -> 10.0.0.2 | ICMP Redirect: for Host to 10.0.0.254, about TCP 10.0.0.1:443 \
             -> 10.0.0.2:51514 | 36 bytes",
            icmp(5, 1, [10, 0, 0, 254], &tcp[..28]),
        ),
        (
            "parameter problem",
            "10.0.0.1 -> 10.0.0.2 | ICMP Parameter Problem: Pointer Indicates the Error at byte \
             20, about TCP 10.0.0.1:443 -> 10.0.0.2:51514 | 36 bytes",
            icmp(12, 0, [20, 0, 0, 0], &tcp[..28]),
        ),
        (
            "timestamp request",
            "10.0.0.1 -> 10.0.0.2 | ICMP Timestamp Request | 20 bytes",
            icmp(
                13,
                0,
                [0, 1, 0, 2],
                &[0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        ),
        (
            "unknown type",
            "10.0.0.1 -> 10.0.0.2 | ICMP type 200 code 7 | 8 bytes",
            icmp(200, 7, [0; 4], &[]),
        ),
        (
            "unknown code",
            "10.0.0.1 -> 10.0.0.2 | ICMP Time Exceeded: code 9 | 8 bytes",
            icmp(11, 9, [0; 4], &[]),
        ),
    ]
}

pub(crate) fn in_v6() -> Vec<Sample> {
    let udp = build!(v6().udp(5353, 53), &[1, 2, 3]);
    let target = V6_TO.as_slice();
    let mac = [1, 1, 2, 0, 0, 0, 0, 1];
    let prefix = [
        &[
            3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x07, 0x08, 0, 0, 0, 0,
        ],
        target,
    ]
    .concat();
    let router = [
        &[0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8][..],
        &mac,
        &[5, 1, 0, 0, 0, 0, 5, 0xdc],
        &prefix,
    ];
    let record = [
        &[4, 0, 0, 0][..],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2],
    ]
    .concat();
    vec![
        (
            "v6 echo request",
            "fd00::1 -> fd00::2 | ICMPv6 Echo Request | 64 bytes",
            build!(v6().icmpv6_echo_request(0x1a2b, 3), &[0x55; 56]),
        ),
        (
            "v6 echo reply",
            "fd00::1 -> fd00::2 | ICMPv6 Echo Reply | 9 bytes",
            build!(v6().icmpv6_echo_reply(1, 2), &[7]),
        ),
        (
            "packet too big",
            "fd00::1 -> fd00::2 | ICMPv6 Packet Too Big (MTU 1280), about UDP [fd00::1]:5353 -> \
             [fd00::2]:53 | 59 bytes",
            icmpv6(2, 0, [0, 0, 5, 0], &udp),
        ),
        (
            "v6 unreachable",
            "fd00::1 -> fd00::2 | ICMPv6 Destination Unreachable: Administratively Prohibited, \
             about UDP [fd00::1]:5353 -> [fd00::2]:53 | 59 bytes",
            icmpv6(1, 1, [0; 4], &udp),
        ),
        (
            "v6 time exceeded",
            "fd00::1 -> fd00::2 | ICMPv6 Time Exceeded: Hop Limit Exceeded in Transit, about UDP \
             [fd00::1]:5353 -> [fd00::2]:53 | 59 bytes",
            icmpv6(3, 0, [0; 4], &udp),
        ),
        (
            "v6 parameter problem",
            "fd00::1 -> fd00::2 | ICMPv6 Parameter Problem: Unrecognized Next Header at byte 6, \
             about UDP [fd00::1]:5353 -> [fd00::2]:53 | 59 bytes",
            icmpv6(4, 1, [0, 0, 0, 6], &udp),
        ),
        (
            "neighbor solicitation",
            "fd00::1 -> fd00::2 | ICMPv6 Neighbor Solicitation for fd00::2 | 32 bytes",
            icmpv6(135, 0, [0; 4], &[target, &mac].concat()),
        ),
        (
            "neighbor advertisement",
            "fd00::1 -> fd00::2 | ICMPv6 Neighbor Advertisement for fd00::2 | 32 bytes",
            icmpv6(
                136,
                0,
                [0x60, 0, 0, 0],
                &[target, &[2, 1, 2, 0, 0, 0, 0, 1]].concat(),
            ),
        ),
        (
            "router solicitation",
            "fd00::1 -> fd00::2 | ICMPv6 Router Solicitation | 8 bytes",
            icmpv6(133, 0, [0; 4], &[]),
        ),
        (
            "router advertisement",
            "fd00::1 -> fd00::2 | ICMPv6 Router Advertisement | 64 bytes",
            icmpv6(134, 0, [64, 0x80, 0x07, 0x08], &router.concat()),
        ),
        (
            "v6 redirect",
            "fd00::1 -> fd00::2 | ICMPv6 Redirect for fd00::2 | 40 bytes",
            icmpv6(137, 0, [0; 4], &[target, &V6_FROM].concat()),
        ),
        (
            "multicast listener report",
            "fd00::1 -> fd00::2 | ICMPv6 Multicast Listener Report for ff02::1:ff00:2 | 24 bytes",
            icmpv6(131, 0, [0; 4], &record[4..]),
        ),
        (
            "multicast listener report v2",
            "fd00::1 -> fd00::2 | ICMPv6 Multicast Listener Report v2 (1 record) | 28 bytes",
            icmpv6(143, 0, [0, 0, 0, 1], &record),
        ),
        (
            "v6 unknown type",
            "fd00::1 -> fd00::2 | ICMPv6 type 250 code 1 | 8 bytes",
            icmpv6(250, 1, [0; 4], &[]),
        ),
    ]
}
