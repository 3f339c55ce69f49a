//! Packets for people: parser, reassembly, answers and captures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use meshvpn_proto::packet::icmp_error::{self, TOO_BIG_ROOM};
use meshvpn_proto::packet::pcapng::{self as format, Direction, Secrets};
use meshvpn_proto::packet::{Body, Limits, Packet, Reassembler, Reassembly, Transport};
use meshvpn_proto::packet::{dissect, echo_reply};

/// Any bytes can be read, shown and answered, and no range leaves them.
pub fn parse(data: &[u8]) {
    let packet = Packet::new(data);
    assert!(packet.payload().len() <= data.len());
    assert!(packet.summary().contains(" | "));
    for layer in packet.layers() {
        assert!(layer.range.start <= layer.range.end && layer.range.end <= data.len());
        // Makes the text of each value, which is made nowhere else.
        assert!(
            layer
                .fields
                .iter()
                .all(|field| field.value.to_string().len() <= 4 + data.len() * 2)
        );
    }
    assert_eq!(packet.hexdump().is_empty(), data.is_empty());
    if let Some(reply) = echo_reply(data) {
        assert_eq!(dissect(&reply).defects, []);
        assert_eq!(echo_reply(&reply), None);
    }
}

/// Pieces in any order and shape: memory stays bounded, and what comes out is a whole packet.
///
/// The input is a list of (seconds since the last one, length in 16 bits, packet).
pub fn reassemble(mut data: &[u8]) {
    let mut now = start();
    let mut reassembler = Reassembler::new(Limits {
        datagrams: 3,
        bytes: 8192,
    });
    while let [seconds, high, low, rest @ ..] = data {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        data = rest;
        now += Duration::from_secs(u64::from(*seconds));
        if let Reassembly::Whole { packet, pieces } = reassembler.handle_packet(now, packet) {
            assert!(pieces > 0);
            let whole = dissect(&packet);
            let ip = whole.ip.expect("what was put together has a header");
            assert_eq!(ip.stated_length, packet.len());
            assert!(ip.version_number() == 6 || ip.fragment.is_none());
        }
        assert!(
            reassembler
                .poll_timeout()
                .is_none_or(|deadline| deadline > now)
        );
    }
}

/// An error quotes the packet that provoked it, is sound and provokes no other.
///
/// The input is the MTU in 16 bits, then the packet.
pub fn too_big(data: &[u8]) {
    let [high, low, packet @ ..] = data else {
        return;
    };
    let mtu = u16::from_be_bytes([*high, *low]);
    for source in [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let mut out = [0; TOO_BIG_ROOM];
        let Some(length) = icmp_error::too_big(packet, mtu, source, &mut out) else {
            continue;
        };
        let error = dissect(&out[..length]);
        assert_eq!(error.defects, []);
        assert!(packet.starts_with(&out[error.payload.clone()]));
        let (Transport::Icmp(icmp) | Transport::Icmpv6(icmp)) = error.transport else {
            panic!("not ICMP")
        };
        assert!(matches!(icmp.body, Body::Mtu(told) if told >= u32::from(mtu)));
        assert_eq!(
            icmp_error::too_big(&out[..length], mtu, source, &mut [0; TOO_BIG_ROOM]),
            None
        );
    }
}

/// Whatever the names and packets, a capture is a row of blocks that ends where it ends.
///
/// The input is a list of (kind, length in 16 bits, name, packet or secrets).
pub fn pcapng(mut data: &[u8]) {
    let mut file = Vec::new();
    let mut blocks = 0;
    while let [kind, high, low, rest @ ..] = data {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        data = rest;
        let name = String::from_utf8_lossy(bytes);
        let time = Duration::from_secs(u64::from(*kind) << (*kind % 64));
        match kind % 5 {
            0 => format::section_header(&name, &mut file),
            1 => format::interface(&name, &mut file),
            2 => format::packet(u32::from(*kind), time, None, bytes, &mut file),
            3 => format::decryption_secrets(Secrets::WireGuardKeyLog, bytes, &mut file),
            _ => format::packet(0, time, Some(Direction::Inbound), bytes, &mut file),
        }
        blocks += 1;
    }
    let mut rest = file.as_slice();
    for _ in 0..blocks {
        let length = u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")) as usize;
        assert!(length >= 12 && length.is_multiple_of(4));
        assert_eq!(rest[length - 4..length], rest[4..8]);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
}

/// Pure code takes its time from here; which moment it is makes no difference.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing but differences from it are used"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}
