//! A super-packet that is split, carried over and joined again is the same super-packet.
//!
//! "The same" means: every datagram on the way is byte for byte what an independent splitter made
//! (so its checksums are complete and right), and where the segments may be joined they come out
//! as one frame, equal to what went in to the last byte. Segments with IP options or with flags
//! that end a run (FIN, SYN, RST, URG, ECE, CWR) stay apart; then they come out by themselves, in
//! order and unchanged.

use proptest::prelude::*;

use crate::craft::{ACK, Inner, PSH, is_intact, payload};
use crate::pipe::{DATAGRAM_MAX, Framing, Pipe, Sent, packets_in};

/// Longest packet that takes the path in both framings.
const LARGEST: usize = DATAGRAM_MAX - 32;

prop_compose! {
    fn any_super_packet()(
        is_v6: bool, is_tcp: bool, tos: u8, ttl: u8, id: u16, dont_fragment: bool,
        ip_options in prop_oneof![3 => Just(0usize), 1 => 1..5usize],
        sequence in prop_oneof![any::<u32>(), Just(u32::MAX - 3000)],
        numbers: (u32, u16, u16),
        flags in prop_oneof![2 => Just(ACK), 1 => Just(ACK | PSH), 1 => any::<u8>()],
        reserved in 0..16u8,
        options in 0..11usize,
        ports: (u16, u16),
        len in prop_oneof![1..200usize, 1..20_000usize, 60_000..65_300usize],
        seed: u64,
    ) -> Inner {
        let mut inner = Inner::tcp(is_v6, sequence, payload(len, seed));
        // Padding options, as a whole extension header in IPv6.
        inner.ip_options = match (is_v6, ip_options) {
            (_, 0) => Vec::new(),
            (false, words) => vec![1; words * 4],
            (true, _) => vec![0, 0, 1, 4, 0, 0, 0, 0],
        };
        (inner.tos, inner.ttl, inner.id, inner.dont_fragment) = (tos, ttl, id, dont_fragment);
        inner.ports = ports;
        let tcp = inner.tcp.as_mut().unwrap();
        (tcp.acknowledgement, tcp.window, tcp.urgent) = numbers;
        (tcp.flags, tcp.reserved) = (flags, reserved);
        tcp.options = payload(options * 4, seed ^ 1);
        if !is_tcp {
            inner.tcp = None;
        }
        inner.payload.truncate(65_535 - inner.headers_len());
        inner
    }
}

/// A segment size that makes at most 128 segments which fit the path.
fn any_gso_size(inner: &Inner) -> impl Strategy<Value = u16> + use<> {
    let len = inner.payload.len();
    let smallest = len.div_ceil(128);
    let largest = LARGEST - inner.headers_len();
    let usual = 1388.clamp(smallest, largest);
    prop_oneof![
        Just(smallest as u16),
        Just(usual as u16),
        (smallest..=largest).prop_map(|size| size as u16),
        Just(len.clamp(smallest, largest) as u16),
        // An odd tail of one byte.
        Just((len - 1).clamp(smallest, largest) as u16),
    ]
}

fn any_case() -> impl Strategy<Value = (Inner, u16)> {
    any_super_packet().prop_flat_map(|inner| {
        let size = any_gso_size(&inner);
        (Just(inner), size)
    })
}

/// How many frames the segments come out as: those that may be joined as one, the others alone.
fn expected_frames(segments: &[Inner]) -> usize {
    let may_join = |segment: &Inner| {
        let is_ordinary = segment
            .tcp
            .as_ref()
            .is_none_or(|tcp| tcp.flags & !PSH == ACK);
        is_ordinary && segment.ip_options.is_empty()
    };
    segments.chunk_by(|a, b| may_join(a) && may_join(b)).count()
}

fn round_trip(framing: Framing, inner: &Inner, gso_size: u16) -> Result<(), TestCaseError> {
    let mut pipe = Pipe::new(framing, DATAGRAM_MAX);
    let frame = inner.super_frame(gso_size);
    let segments = inner.segments(usize::from(gso_size));
    let expected: Vec<_> = segments.iter().map(Inner::bytes).collect();

    let sent = pipe.send([&frame[..]]);
    prop_assert_eq!(pipe.outbound.take_tally().packets, expected.len() as u64);
    let datagrams: Vec<_> = sent.iter().flat_map(Sent::datagrams).collect();
    if framing == Framing::Plain {
        prop_assert_eq!(&datagrams, &expected);
    }
    prop_assert!(
        datagrams
            .iter()
            .all(|datagram| datagram.len() <= DATAGRAM_MAX)
    );

    let received = pipe.receive(datagrams);
    prop_assert_eq!(received.tally.packets, expected.len() as u64);
    let packets: Vec<_> = received
        .frames
        .iter()
        .flat_map(|(_, frame)| packets_in(frame))
        .collect();
    prop_assert_eq!(&packets, &expected);
    prop_assert!(packets.iter().all(|packet| is_intact(packet)));

    prop_assert_eq!(received.frames.len(), expected_frames(&segments));
    if received.frames.len() == 1 && segments.len() > 1 {
        prop_assert_eq!(&received.frames[0], &(expected.len() as u32, frame));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_super_packet_survives_a_plain_tunnel((inner, gso_size) in any_case()) {
        round_trip(Framing::Plain, &inner, gso_size)?;
    }

    #[test]
    fn any_super_packet_survives_a_sealed_tunnel((inner, gso_size) in any_case()) {
        round_trip(Framing::Sealed, &inner, gso_size)?;
    }

    #[test]
    fn a_partial_checksum_is_completed(mut inner in any_super_packet()) {
        inner.payload.truncate(LARGEST - inner.headers_len());
        let mut pipe = Pipe::new(Framing::Plain, DATAGRAM_MAX);
        let sent = pipe.send([&inner.single_frame()[..]]);
        prop_assert_eq!(&sent[0].contents, &inner.bytes());
    }

    /// A path that became narrower than the sender knows: TCP is a byte stream and is cut smaller.
    #[test]
    fn tcp_that_does_not_fit_is_cut_smaller(
        len in 1..20_000usize, is_v6: bool, datagram_max in 400..1400usize,
    ) {
        let inner = Inner::tcp(is_v6, 1, payload(len, 9));
        let mut pipe = Pipe::new(Framing::Plain, datagram_max);
        let sent = pipe.send([&inner.super_frame(1400)[..]]);
        let cut = inner.segments(1400.min(datagram_max - inner.headers_len()));
        let expected: Vec<_> = cut.iter().map(Inner::bytes).collect();
        prop_assert_eq!(sent.iter().flat_map(Sent::datagrams).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn ids_and_sequence_numbers_wrap_around() {
    let mut inner = Inner::tcp(false, u32::MAX - 1000, payload(5000, 3));
    (inner.id, inner.dont_fragment) = (u16::MAX - 1, false);
    round_trip(Framing::Sealed, &inner, 1000).unwrap();
}

#[test]
fn a_udp_checksum_of_zero_goes_out_as_all_ones() {
    let mut inner = Inner::udp(false, vec![0; 4]);
    let first = inner.bytes();
    // The one's complement sum with this payload is all ones, so the checksum computes to zero.
    inner.payload[..2].copy_from_slice(&first[26..28]);
    assert_eq!(inner.bytes()[26..28], [0xff, 0xff]);
    let mut pipe = Pipe::new(Framing::Plain, DATAGRAM_MAX);
    assert_eq!(
        pipe.send([&inner.single_frame()[..]])[0].contents,
        inner.bytes()
    );
    let twice = Inner {
        payload: [&inner.payload[..], &inner.payload[..]].concat(),
        ..inner.clone()
    };
    let sent = pipe.send([&twice.super_frame(4)[..]]);
    let first = sent[0].datagrams().next().unwrap();
    assert_eq!(first[26..28], [0xff, 0xff]);
}
