//! TCP, UDP and what has no reader.

use etherparse::TcpOptionElement;

use super::Sample;
use crate::craft::*;

pub(crate) fn tcp() -> Vec<Sample> {
    let options = [
        TcpOptionElement::MaximumSegmentSize(1460),
        TcpOptionElement::SelectiveAcknowledgementPermitted,
        TcpOptionElement::Timestamp(0x01020304, 0),
        TcpOptionElement::Noop,
        TcpOptionElement::WindowScale(7),
    ];
    let gap =
        TcpOptionElement::SelectiveAcknowledgement((1000, 2000), [Some((3000, 4000)), None, None]);
    vec![
        (
            "TCP SYN with options",
            "10.0.0.1:443 -> 10.0.0.2:51514 | TCP SYN seq=7 ack=0 win=64240 len=0 | 40 bytes",
            build!(
                v4().tcp(443, 51514, 7, 64240)
                    .syn()
                    .options(&options)
                    .unwrap(),
                &[]
            ),
        ),
        (
            "TCP SYN ACK",
            "10.0.0.1:443 -> 10.0.0.2:51514 | TCP SYN, ACK seq=7 ack=8 win=64240 len=0 | 20 bytes",
            build!(v4().tcp(443, 51514, 7, 64240).syn().ack(8), &[]),
        ),
        (
            "TCP data with selective acknowledgement",
            "[fd00::1]:22 -> [fd00::2]:40000 | TCP PSH, ACK seq=1 ack=2 win=500 len=5 | 45 bytes",
            build!(
                v6().tcp(22, 40000, 1, 500)
                    .psh()
                    .ack(2)
                    .options(&[gap])
                    .unwrap(),
                b"hello"
            ),
        ),
        (
            "TCP with every flag",
            "10.0.0.1:1 -> 10.0.0.2:2 | TCP SYN, FIN, RST, PSH, ACK, URG, ECE, CWR, AE \
             seq=4294967295 ack=9 win=0 len=0 | 20 bytes",
            build!(
                v4().tcp(1, 2, u32::MAX, 0)
                    .syn()
                    .fin()
                    .rst()
                    .psh()
                    .ack(9)
                    .urg(5)
                    .ece()
                    .cwr()
                    .ns(),
                &[]
            ),
        ),
        (
            "TCP without flags",
            "10.0.0.1:1 -> 10.0.0.2:2 | TCP no flags seq=0 ack=0 win=0 len=0 | 20 bytes",
            build!(v4().tcp(1, 2, 0, 0), &[]),
        ),
    ]
}

pub(crate) fn udp_and_others() -> Vec<Sample> {
    let mut without_checksum = build!(v4().udp(9, 9), b"discard");
    without_checksum[26..28].fill(0);
    let mut marked = build!(v4().udp(4000, 9), b"discard");
    marked[1] = 0xb8 | 3;
    let mut routed = build!(v6().udp(4000, 9), b"discard");
    routed[..4].copy_from_slice(&[0x6b, 0x8a, 0xbc, 0xde]);
    vec![
        (
            "UDP",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7 | 15 bytes",
            build!(v4().udp(4000, 9), b"discard"),
        ),
        (
            "UDP without data",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=0 | 8 bytes",
            build!(v4().udp(4000, 9), &[]),
        ),
        (
            "UDP over v6",
            "[fd00::1]:4000 -> [fd00::2]:9 | UDP len=7 | 15 bytes",
            build!(v6().udp(4000, 9), b"discard"),
        ),
        (
            "UDP without checksum",
            "10.0.0.1:9 -> 10.0.0.2:9 | UDP len=7 | 15 bytes",
            without_checksum,
        ),
        (
            "v4 with DSCP and ECN",
            "10.0.0.1:4000 -> 10.0.0.2:9 | UDP len=7 | 15 bytes",
            fix_v4(marked),
        ),
        (
            "v6 with DSCP, ECN and flow",
            "[fd00::1]:4000 -> [fd00::2]:9 | UDP len=7 | 15 bytes",
            routed,
        ),
        (
            "ESP",
            "10.0.0.1 -> 10.0.0.2 | ESP | 16 bytes",
            v4_raw(50, &[7; 16]),
        ),
        (
            "unassigned protocol",
            "10.0.0.1 -> 10.0.0.2 | protocol 200 | 1 byte",
            v4_raw(200, &[7]),
        ),
        (
            "no next header",
            "fd00::1 -> fd00::2 | IPv6-NoNxt | 0 bytes",
            v6_raw(59, &[]),
        ),
        (
            "v4 record route",
            "10.0.0.1 -> 10.0.0.2 | protocol 253 | 2 bytes",
            {
                let plain = v4_raw(253, &[1, 2]);
                let options = [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0];
                let mut packet = [&plain[..20], &options[..], &plain[20..]].concat();
                (packet[0], packet[3]) = (0x48, packet[3] + 12);
                fix_v4(packet)
            },
        ),
    ]
}
