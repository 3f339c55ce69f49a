//! Nothing that a host or a stranger sends makes the forwarder panic, grow, or take what it should
//! not.

use meshvpn_proto::forward::{Arrival, DropReason};
use proptest::prelude::*;

use crate::craft::{Inner, payload};
use crate::pipe::{BATCH_BYTES, Framing, Pipe, Sent, far, near, packets_in, plain_frame};

fn any_framing() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(Framing::Plain), Just(Framing::Sealed)]
}

/// Bytes that look like something often enough to come past the first check.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let changed = (
        any::<bool>(),
        any::<bool>(),
        0..3000usize,
        any::<u16>(),
        prop::collection::vec((0..100usize, any::<u8>()), 0..4),
        0..200usize,
    )
        .prop_map(|(is_v6, is_tcp, len, gso_size, changes, cut)| {
            let mut inner = Inner::tcp(is_v6, 1, payload(len, 1));
            if !is_tcp {
                inner.tcp = None;
            }
            let mut frame = inner.super_frame(gso_size % 2000);
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(frame.len().saturating_sub(cut.saturating_sub(100)));
            frame
        });
    prop_oneof![noise, changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn any_frame_is_sent_or_counted(
        framing in any_framing(), frame in any_frame(), datagram_max in 0..3000usize,
    ) {
        let mut pipe = Pipe::new(framing, datagram_max);
        let sent = pipe.send([&frame[..]]);
        let tally = pipe.outbound.take_tally();
        let drops: u64 = DropReason::ALL.iter().map(|reason| tally.dropped(*reason)).sum();
        let datagrams = sent.iter().flat_map(Sent::datagrams).count() as u64;
        prop_assert_eq!(tally.packets, datagrams);
        prop_assert_eq!(drops, u64::from(datagrams == 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_datagrams_are_taken_or_counted(
        framing in any_framing(),
        buffers in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..300), 0..70usize, any::<bool>(), any::<u8>()),
            0..8,
        ),
    ) {
        let mut pipe = Pipe::new(framing, 1500);
        let firsts = [0x45, 0x60, 0x04, 0x20, 0x00, 0x01, 0xff];
        let buffers: Vec<_> = buffers
            .into_iter()
            .map(|(mut bytes, segment_size, is_truncated, first)| {
                if let Some(byte) = bytes.first_mut() {
                    *byte = firsts[usize::from(first) % firsts.len()];
                }
                (bytes, segment_size, is_truncated)
            })
            .collect();
        let received = pipe.receive_arrivals(buffers.iter().map(|(bytes, size, truncated)| {
            let (source, is_truncated) = (near(), *truncated);
            Arrival { bytes, segment_size: *size, source, socket: 0, local: None, is_truncated }
        }));
        let expected: usize = buffers
            .iter()
            .map(|(bytes, size, truncated)| {
                if *truncated { 1 } else { bytes.len().div_ceil((*size).max(1)).max(1) }
            })
            .sum();
        let tally = received.tally;
        let drops: u64 = DropReason::ALL.iter().map(|reason| tally.dropped(*reason)).sum();
        let taken = tally.packets + received.control.len() as u64;
        prop_assert_eq!(taken + drops, expected as u64);
    }
}

/// Buffers as full as they get, of what needs most room after opening: the smallest packets.
#[test]
fn a_batch_of_the_smallest_packets_fits() {
    let mut tiny = vec![0; 20];
    (tiny[0], tiny[3]) = (0x45, 20);
    for framing in [Framing::Plain, Framing::Sealed] {
        let mut pipe = Pipe::new(framing, 1500);
        let datagram = match framing {
            Framing::Plain => tiny.clone(),
            Framing::Sealed => pipe.send([&plain_frame(&tiny)[..]])[0].contents.clone(),
        };
        let buffer = datagram.repeat(65_536 / datagram.len());
        let arrival = Arrival {
            bytes: &buffer,
            segment_size: datagram.len(),
            source: near(),
            socket: 0,
            local: None,
            is_truncated: false,
        };
        let count = (BATCH_BYTES / 65_536 * buffer.len() / datagram.len()) as u64;
        let received = pipe.receive_arrivals([arrival; BATCH_BYTES / 65_536]);
        let replayed = received.tally.dropped(DropReason::Replayed);
        assert_eq!(received.tally.packets + replayed, count);
    }
}

/// What needs most room on the way out: a batch almost full, and then the longest headers copied
/// 128 times.
#[test]
fn the_most_expanding_frame_fits() {
    let extension = |len: usize| {
        let mut extension = vec![0; len];
        extension[1] = (len / 8 - 1) as u8;
        extension
    };
    let mut inner = Inner::tcp(true, 1, Vec::new());
    inner.tcp.as_mut().unwrap().options = vec![1; 40];
    inner.ip_options = extension(152);
    assert_eq!(inner.headers_len(), 252);
    inner.payload = payload(65_535 - 252, 1);
    let largest = inner.super_frame(511);
    let tiny = Inner::udp(false, payload(128, 2)).super_frame(1);
    let single = plain_frame(&Inner::udp(false, payload(400, 3)).bytes());
    for framing in [Framing::Plain, Framing::Sealed] {
        for filler in [vec![&tiny; 1], vec![&single; 63]] {
            let mut pipe = Pipe::new(framing, 1500);
            let mut frames: Vec<_> = filler.into_iter().map(Vec::as_slice).collect();
            frames.push(&largest);
            assert_eq!(
                pipe.push(frames.iter().copied()),
                frames.len(),
                "in one batch"
            );
            assert!(pipe.outbound.transmits().count() > 1);
            assert_eq!(pipe.outbound.take_tally().dropped(DropReason::Malformed), 0);
        }
    }
}

#[test]
fn a_flood_of_garbage_takes_no_memory() {
    let resident_kb = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    };
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let buffers: Vec<_> = (0..8).map(|seed| payload(65_535, seed)).collect();
    let mut flood = |rounds: usize| {
        for round in 0..rounds {
            pipe.receive_arrivals(buffers.iter().enumerate().map(|(index, bytes)| Arrival {
                bytes,
                segment_size: 1 + (round * 7 + index) % 64,
                source: far(),
                socket: 0,
                local: None,
                is_truncated: false,
            }));
        }
    };
    flood(2);
    let before = resident_kb();
    flood(10);
    let grown = resident_kb().saturating_sub(before);
    // Other tests run beside this one; a leak of these floods' datagrams would be 40 MB.
    assert!(grown < 20_000, "grew by {grown} kB");
}

fn sealed_stream(pipe: &mut Pipe, count: usize) -> Vec<Vec<u8>> {
    let frame = |i: usize| plain_frame(&Inner::udp(false, payload(100, i as u64)).bytes());
    let frames: Vec<_> = (0..count).map(frame).collect();
    let sent = pipe.send(frames.iter().map(Vec::as_slice));
    sent.iter()
        .flat_map(Sent::datagrams)
        .map(<[u8]>::to_vec)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_changed_data_message_never_comes_through(
        at: prop::sample::Index, flip in 1..=255u8, cut in 0..132usize,
    ) {
        let mut pipe = Pipe::new(Framing::Sealed, 1500);
        let genuine = sealed_stream(&mut pipe, 1).remove(0);
        let mut changed = genuine.clone();
        changed[at.index(genuine.len())] ^= flip;
        let received = pipe.receive([&changed[..], &genuine[..cut]]);
        prop_assert!(received.frames.is_empty());
        // A first byte that says "hello" is for the handshake to refuse.
        prop_assert!(received.control.iter().all(|control| control.slot.is_none()));
        prop_assert_eq!(pipe.receive([&genuine[..]]).frames.len(), 1);
    }

    /// In any order, in any batches, with any repetitions: each message once.
    #[test]
    fn each_message_is_taken_once(
        order in prop::collection::vec(0..64usize, 1..300), batch in 1..40usize,
    ) {
        let mut pipe = Pipe::new(Framing::Sealed, 1500);
        let datagrams = sealed_stream(&mut pipe, 64);
        let mut taken = 0;
        let mut packets = std::collections::BTreeSet::new();
        for batch in order.chunks(batch) {
            let received = pipe.receive(batch.iter().map(|index| &datagrams[*index][..]));
            taken += received.tally.packets as usize;
            let replayed = received.tally.dropped(DropReason::Replayed);
            prop_assert_eq!(received.tally.packets + replayed, batch.len() as u64);
            packets.extend(received.frames.iter().flat_map(|(_, frame)| packets_in(frame)));
        }
        let distinct = order.iter().collect::<std::collections::BTreeSet<_>>().len();
        prop_assert_eq!((taken, packets.len()), (distinct, distinct));
    }
}

#[test]
fn our_own_messages_come_back_as_nothing() {
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let datagrams = sealed_stream(&mut pipe, 3);
    core::mem::swap(&mut pipe.near, &mut pipe.far);
    let received = pipe.receive(datagrams.iter().map(Vec::as_slice));
    assert_eq!(received.tally.dropped(DropReason::UnknownSession), 3);
    // Even when both ends chose the same number for their session: the keys differ.
    let renamed = datagrams.into_iter().map(|mut datagram| {
        datagram[4] = 11;
        datagram
    });
    let renamed: Vec<_> = renamed.collect();
    let received = pipe.receive(renamed.iter().map(Vec::as_slice));
    assert_eq!(received.tally.dropped(DropReason::BadTag), 3);
}
