//! Fragments in, whole packets out.

use std::time::{Duration, Instant};

use meshvpn_proto::packet::{FragmentDrop, Limits, Lost, Reassembler, Reassembly};
use proptest::prelude::*;

use crate::craft::*;

/// A moment to count from: pure code does not ask the clock, and this test need not either.
#[expect(clippy::disallowed_methods, reason = "any fixed moment will do")]
fn start() -> Instant {
    Instant::now()
}

fn datagram(length: usize) -> Vec<u8> {
    v4_raw(
        253,
        &(0..length).map(|place| place as u8).collect::<Vec<u8>>(),
    )
}

fn dropped(reason: FragmentDrop) -> Reassembly {
    Reassembly::Dropped(reason)
}

proptest! {
    /// Whatever the version, the cuts, the order and the duplicates: the same bytes come out, once.
    #[test]
    fn any_order_of_any_split_gives_back_the_same_bytes(
        is_v4: bool,
        data in prop::collection::vec(any::<u8>(), 9..2000),
        ends in prop::collection::vec(1usize..250, 1..12),
        order in any::<u64>(),
        duplicate in any::<prop::sample::Index>(),
    ) {
        let packet = if is_v4 { v4_raw(253, &data) } else { v6_raw(253, &data) };
        let mut pieces = fragments(&packet, 77, &ends);
        let count = pieces.len();
        prop_assume!(count > 1);
        // Shuffled by a generator that proptest can shrink, and with one piece twice.
        let mut state = order;
        for place in (1..count).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            pieces.swap(place, (state >> 33) as usize % (place + 1));
        }
        let twice = duplicate.index(count - 1);
        pieces.insert(twice, pieces[twice].clone());

        let mut reassembler = Reassembler::default();
        let now = start();
        let last = pieces.pop().unwrap();
        for piece in pieces {
            prop_assert_eq!(reassembler.handle_packet(now, &piece), Reassembly::Waiting);
        }
        let whole = Reassembly::Whole { packet, pieces: count };
        prop_assert_eq!(reassembler.handle_packet(now, &last), whole);
        prop_assert_eq!(reassembler.poll_timeout(), None);
    }

    #[test]
    fn arbitrary_fragments_stay_within_bounds(
        pieces in prop::collection::vec((0u16..40, any::<bool>(), 0usize..80, 0u16..3), 0..60),
    ) {
        let mut reassembler = Reassembler::new(Limits { datagrams: 2, bytes: 2000 });
        for (offset, more, length, id) in pieces {
            let mut packet = datagram(length);
            packet[4..6].copy_from_slice(&id.to_be_bytes());
            let place = offset | if more { 0x2000 } else { 0 };
            packet[6..8].copy_from_slice(&place.to_be_bytes());
            if let Reassembly::Whole { packet, .. } =
                reassembler.handle_packet(start(), &fix_v4(packet))
            {
                prop_assert_eq!(meshvpn_proto::packet::dissect(&packet).defects, []);
            }
        }
    }
}

#[test]
fn headers_before_the_fragment_header_stay_and_the_fragment_header_goes() {
    let options = [44, 0, 5, 2, 0, 0, 1, 0];
    let udp = &build!(v6().udp(1, 2), b"0123456789")[40..];
    let piece = |place: [u8; 2], data: &[u8]| {
        let header = [17, 0, place[0], place[1], 0, 0, 0, 9];
        v6_raw(0, &[&options[..], &header, data].concat())
    };
    let mut reassembler = Reassembler::default();
    let now = start();
    assert_eq!(
        reassembler.handle_packet(now, &piece([0, 8], &udp[8..])),
        Reassembly::Waiting
    );
    let whole = v6_raw(0, &[&[17, 0, 5, 2, 0, 0, 1, 0], udp].concat());
    assert_eq!(
        reassembler.handle_packet(now, &piece([0, 1], &udp[..8])),
        Reassembly::Whole {
            packet: whole,
            pieces: 2
        }
    );
}

#[test]
fn an_atomic_fragment_is_whole_at_once() {
    let udp = &build!(v6().udp(1, 2), b"x")[40..];
    let atomic = v6_raw(44, &[&[17, 0, 0, 0, 0, 0, 0, 9], udp].concat());
    assert_eq!(
        Reassembler::default().handle_packet(start(), &atomic),
        Reassembly::Whole {
            packet: v6_raw(17, udp),
            pieces: 1
        }
    );
}

#[test]
fn a_whole_packet_passes_by() {
    let mut reassembler = Reassembler::default();
    assert_eq!(
        reassembler.handle_packet(start(), &datagram(100)),
        Reassembly::NotAFragment
    );
    assert_eq!(
        reassembler.handle_packet(start(), b"junk"),
        Reassembly::NotAFragment
    );
}

/// RFC 5722: the datagram is gone, with the pieces that come later.
#[test]
fn an_overlap_ends_the_datagram() {
    for packet in [datagram(64), v6_raw(253, &[0; 64])] {
        let pieces = fragments(&packet, 1, &[2, 4]);
        let other = fragments(&packet, 1, &[1, 3]);
        let mut reassembler = Reassembler::default();
        let now = start();
        assert_eq!(
            reassembler.handle_packet(now, &pieces[0]),
            Reassembly::Waiting
        );
        assert_eq!(
            reassembler.handle_packet(now, &other[1]),
            dropped(FragmentDrop::Overlap)
        );
        for piece in &pieces {
            assert_eq!(
                reassembler.handle_packet(now, piece),
                dropped(FragmentDrop::Abandoned)
            );
        }
        // After the timeout the identification is free again.
        let later = now + Duration::from_secs(60);
        assert_eq!(
            reassembler.handle_packet(later, &pieces[0]),
            Reassembly::Waiting
        );
    }
}

#[test]
fn two_ends_are_a_disagreement() {
    let long = fragments(&datagram(64), 0, &[2, 4]);
    let short = fragments(&datagram(24), 0, &[2]);
    let now = start();
    for [first, second] in [
        [&long[2], &short[1]],
        [&short[1], &long[2]],
        [&short[1], &long[1]],
    ] {
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.handle_packet(now, first), Reassembly::Waiting);
        let reason = match reassembler.handle_packet(now, second) {
            Reassembly::Dropped(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(
            matches!(reason, FragmentDrop::Disagreement | FragmentDrop::Overlap),
            "{reason}"
        );
    }
}

#[test]
fn malformed_and_empty_fragments_are_refused() {
    let mut reassembler = Reassembler::default();
    let piece = fragments(&datagram(64), 0, &[2]).remove(0);
    let cut = reassembler.handle_packet(start(), &piece[..30]);
    assert!(
        matches!(cut, Reassembly::Dropped(FragmentDrop::Malformed(_))),
        "{cut:?}"
    );
    let mut empty = datagram(0);
    empty[6] = 0x20;
    assert_eq!(
        reassembler.handle_packet(start(), &fix_v4(empty)),
        dropped(FragmentDrop::Empty)
    );
}

#[test]
fn a_datagram_longer_than_a_packet_is_refused() {
    let mut first = fragments(&datagram(16), 0, &[1]).remove(0);
    let mut reassembler = Reassembler::default();
    let now = start();
    assert_eq!(reassembler.handle_packet(now, &first), Reassembly::Waiting);
    // Data up to byte 65535, so that no room is left for the header.
    let mut rest = datagram(65_527 - 20);
    rest[6..8].copy_from_slice(&[0x20, 1]);
    rest.truncate(20 + 65_504);
    rest[2..4].copy_from_slice(&65_524u16.to_be_bytes());
    assert_eq!(
        reassembler.handle_packet(now, &fix_v4(rest)),
        Reassembly::Waiting
    );
    first = datagram(20);
    first[6..8].copy_from_slice(&(65_512u16 / 8).to_be_bytes());
    assert_eq!(
        reassembler.handle_packet(now, &fix_v4(first)),
        dropped(FragmentDrop::TooLong)
    );
}

#[test]
fn incomplete_datagrams_time_out() {
    let now = start();
    let mut reassembler = Reassembler::default();
    let v4 = fragments(&datagram(64), 0, &[2]);
    let v6 = fragments(&v6_raw(253, &[0; 64]), 0, &[2]);
    reassembler.handle_packet(now, &v4[0]);
    reassembler.handle_packet(now, &v6[0]);
    assert_eq!(
        reassembler.poll_timeout(),
        Some(now + Duration::from_secs(30))
    );
    let later = now + Duration::from_secs(30);
    assert_eq!(
        reassembler.handle_packet(later, &v4[1]),
        Reassembly::Waiting
    );
    assert_eq!(
        reassembler.lost(),
        Lost {
            timed_out: 1,
            evicted: 0
        }
    );
    reassembler.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(
        reassembler.lost(),
        Lost {
            timed_out: 3,
            evicted: 0
        }
    );
    assert_eq!(reassembler.poll_timeout(), None);
}

#[test]
fn the_oldest_datagrams_make_room() {
    let mut reassembler = Reassembler::new(Limits {
        datagrams: 4,
        bytes: 2000,
    });
    let piece = |id: u8| {
        let mut piece = fragments(&datagram(64), 0, &[2]).remove(0);
        piece[5] = id;
        fix_v4(piece)
    };
    for id in 0..6 {
        let now = start() + Duration::from_secs(u64::from(id));
        assert_eq!(
            reassembler.handle_packet(now, &piece(id)),
            Reassembly::Waiting
        );
    }
    assert_eq!(reassembler.lost().evicted, 2);
    let large = fragments(&datagram(4000), 0, &[300]).remove(0);
    assert_eq!(
        reassembler.handle_packet(start(), &large),
        dropped(FragmentDrop::NoRoom)
    );
}
