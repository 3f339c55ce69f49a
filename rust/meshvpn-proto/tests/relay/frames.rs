//! Frames are what the protocol says, byte for byte, and nothing else is read as one.

use std::time::Duration;

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::frame::{Frame, FrameError, GoneReason, MAX_PACKET};
use proptest::prelude::*;

/// Written down from Tailscale's description of the protocol (package `derp`), not by our own writer.
#[test]
fn frames_are_those_of_the_protocol() {
    let key = PublicKey::new([0x5a; 32]);
    let with_key =
        |kind: u8, len: u8, rest: &[u8]| [&[kind, 0, 0, 0, len][..], &[0x5a; 32], rest].concat();
    for (frame, bytes) in [
        (
            Frame::ServerKey(key),
            [&[1, 0, 0, 0, 40][..], "DERP🔑".as_bytes(), &[0x5a; 32]].concat(),
        ),
        (
            Frame::SendPacket {
                destination: key,
                packet: b"abc",
            },
            with_key(4, 35, b"abc"),
        ),
        (
            Frame::RecvPacket {
                source: key,
                packet: b"abc",
            },
            with_key(5, 35, b"abc"),
        ),
        (Frame::KeepAlive, vec![6, 0, 0, 0, 0]),
        (Frame::NotePreferred(true), vec![7, 0, 0, 0, 1, 1]),
        (
            Frame::PeerGone {
                peer: key,
                reason: GoneReason::NotHere,
            },
            with_key(8, 33, &[1]),
        ),
        (
            Frame::Ping([1, 2, 3, 4, 5, 6, 7, 8]),
            vec![0x12, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
        (
            Frame::Pong([1, 2, 3, 4, 5, 6, 7, 8]),
            vec![0x13, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
        (Frame::Health("hm"), vec![0x14, 0, 0, 0, 2, b'h', b'm']),
        (
            Frame::Restarting {
                reconnect_in: Duration::from_millis(0x0102),
                try_for: Duration::from_millis(0x0304_0506),
            },
            vec![0x15, 0, 0, 0, 8, 0, 0, 1, 2, 3, 4, 5, 6],
        ),
    ] {
        assert_eq!(frame.to_bytes(), bytes, "{frame:?}");
        assert_eq!(Frame::split(&bytes), Ok(Some((frame, bytes.len()))));
    }
}

#[test]
fn later_versions_may_say_more() {
    let longer = [&[6, 0, 0, 0, 3][..], b"new"].concat();
    assert_eq!(Frame::split(&longer), Ok(Some((Frame::KeepAlive, 8))));
    let unknown = [&[0x77, 0, 0, 0, 3][..], b"new"].concat();
    assert_eq!(Frame::split(&unknown), Ok(Some((Frame::Unknown(0x77), 8))));
    let without_reason = [&[8, 0, 0, 0, 32][..], &[7; 32]].concat();
    let peer = PublicKey::new([7; 32]);
    let reason = GoneReason::Disconnected;
    assert_eq!(
        Frame::split(&without_reason),
        Ok(Some((Frame::PeerGone { peer, reason }, 37)))
    );
}

#[test]
fn a_length_is_refused_before_its_bytes_have_come() {
    for (kind, len) in [
        (4, 32 + MAX_PACKET + 1),
        (2, 1 << 20),
        (0x14, 4096),
        (0x77, 1 << 24),
    ] {
        let header = [&[kind][..], &(len as u32).to_be_bytes()].concat();
        assert!(
            matches!(Frame::split(&header), Err(FrameError::TooLong { len: told, .. }) if told == len)
        );
    }
    let longest = [&[4][..], &(32 + MAX_PACKET as u32).to_be_bytes()].concat();
    assert_eq!(Frame::split(&longest), Ok(None));
}

#[test]
fn bodies_that_are_too_short_are_refused() {
    for kind in [1, 2, 3, 4, 5, 7, 8, 0x12, 0x13, 0x15] {
        let bytes = [kind, 0, 0, 0, 0];
        let refused = FrameError::Malformed { kind, len: 0 };
        assert_eq!(Frame::split(&bytes), Err(refused), "type {kind:#x}");
    }
}

proptest! {
    /// However a stream is cut, the same frames come out of it.
    #[test]
    fn frames_survive_being_cut(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
        cuts in proptest::collection::vec(1usize..200, 1..50),
    ) {
        let destination = PublicKey::new([3; 32]);
        let frames: Vec<_> = packets
            .iter()
            .map(|packet| Frame::SendPacket { destination, packet })
            .collect();
        let mut stream: &[u8] = &frames.iter().flat_map(|frame| frame.to_bytes()).collect::<Vec<_>>();
        let mut buffer = Vec::new();
        let mut read = 0;
        for cut in cuts.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            let (piece, rest) = stream.split_at((*cut).min(stream.len()));
            stream = rest;
            buffer.extend_from_slice(piece);
            while let Some((frame, len)) = Frame::split(&buffer).unwrap() {
                prop_assert_eq!(frame, frames[read]);
                read += 1;
                buffer.drain(..len);
            }
        }
        prop_assert_eq!(read, frames.len());
    }
}
