//! A packet that was corrupted before it came into the tunnel is never signed as good by it.
//!
//! The tunnel's own authentication does not help there: what is sealed is already wrong. A joined
//! frame gets fresh checksums, so everything in it must have been right before; a packet that was
//! not right comes out alone, as it went in, and the receiving kernel drops it.

use proptest::prelude::*;

use crate::craft::{Inner, comparable, payload};
use crate::pipe::{Framing, Pipe, packets_in, plain_frame};

const SEGMENTS: usize = 6;

fn stream(is_v6: bool, is_tcp: bool, len: usize) -> Vec<Vec<u8>> {
    let segment = |i: usize| {
        let mut segment = Inner::tcp(is_v6, (i * len) as u32, payload(len, i as u64));
        segment.id = i as u16;
        if !is_tcp {
            segment.tcp = None;
        }
        segment.bytes()
    };
    (0..SEGMENTS).map(segment).collect()
}

/// Frames written to the far TUN for packets that were sealed at the near one.
fn carry(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let frames: Vec<_> = packets.iter().map(|packet| plain_frame(packet)).collect();
    let sent = pipe.send(frames.iter().map(Vec::as_slice));
    let datagrams = sent.iter().flat_map(crate::pipe::Sent::datagrams);
    let received = pipe.receive(datagrams);
    received
        .frames
        .into_iter()
        .map(|(_, frame)| frame)
        .collect()
}

fn check(good: &[Vec<u8>], victim: usize, at: usize, flip: u8) -> Result<(), TestCaseError> {
    let mut packets = good.to_vec();
    packets[victim][at] ^= flip;
    let corrupt = &packets[victim];
    let mut missing: Vec<_> = good.iter().map(|packet| comparable(packet)).collect();
    missing.remove(victim);

    let mut strangers = Vec::new();
    for frame in carry(&packets) {
        let is_signed = frame[0] & 1 != 0;
        for packet in packets_in(&frame) {
            let sent = missing
                .iter()
                .position(|missing| *missing == comparable(&packet));
            match sent.filter(|_| is_signed || good.contains(&packet)) {
                Some(index) => drop(missing.remove(index)),
                None if is_signed => prop_assert!(false, "signed what was never sent"),
                None => strangers.push(packet),
            }
        }
    }
    prop_assert!(missing.is_empty(), "an intact packet was lost");
    // What says of itself that it is shorter comes out shorter, what is no IP packet not at all.
    let length_field = if good[0][0] >> 4 == 4 { 2..4 } else { 4..6 };
    let is_length = at == 0 || length_field.contains(&at);
    let is_unchanged = strangers == [&corrupt[..]];
    let is_cut = strangers.iter().all(|packet| corrupt.starts_with(packet));
    prop_assert!(
        is_unchanged || (is_length && is_cut),
        "it did not come out alone, unchanged"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn wherever_the_corruption_is(
        is_v6: bool, is_tcp: bool, len in 1..1300usize,
        victim in 0..SEGMENTS, at: prop::sample::Index, flip in 1..=255u8,
    ) {
        let good = stream(is_v6, is_tcp, len);
        check(&good, victim, at.index(good[victim].len()), flip)?;
    }
}

/// Headers are where a joiner could be fooled: every bit of them, in the first packet of a run,
/// in the middle and at the end.
#[test]
fn every_bit_of_every_header() {
    for (is_v6, is_tcp) in [(false, false), (false, true), (true, false), (true, true)] {
        let good = stream(is_v6, is_tcp, 4);
        for victim in [0, 2, SEGMENTS - 1] {
            for at in 0..good[0].len() {
                for bit in 0..8 {
                    check(&good, victim, at, 1 << bit).unwrap_or_else(|error| {
                        panic!("v6 {is_v6} TCP {is_tcp} packet {victim} byte {at}.{bit}: {error}")
                    });
                }
            }
        }
    }
}
