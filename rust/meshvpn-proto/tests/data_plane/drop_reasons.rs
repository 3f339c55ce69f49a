//! Every drop is counted once, under the reason that is true.

use std::net::SocketAddr;

use meshvpn_proto::forward::{
    Arrival, Claim, DropReason, Inbound, IpView, Joins, Outbound, Peers, Slot,
};
use meshvpn_proto::session::aead::Portable;
use meshvpn_proto::session::preshared::{HELLO, HELLO_LEN};
use meshvpn_proto::session::transport::{DATA, REJECT_AFTER_MESSAGES};
use meshvpn_proto::tunnel::PointToPoint;

use crate::craft::{Inner, payload};
use crate::pipe::{BATCH_BYTES, Framing, Pipe, Received, Sent, far, near, plain_frame};

/// A tunnel whose filter lets nothing pass.
struct Strict<'a>(&'a PointToPoint);

impl Peers for Strict<'_> {
    fn route(&self, _: &IpView, _: &[u8]) -> Result<usize, DropReason> {
        Err(DropReason::NoRoute)
    }

    fn slot(&self, slot: usize) -> &Slot {
        self.0.slot(slot)
    }

    fn claim(&self, datagram: &[u8], source: SocketAddr) -> Result<Claim, DropReason> {
        self.0.claim(datagram, source)
    }

    fn admit(&self, _: usize, _: &IpView, _: &[u8]) -> Result<(), DropReason> {
        Err(DropReason::SourceNotAllowed)
    }
}

fn tcp() -> Inner {
    Inner::tcp(false, 1, payload(1000, 1))
}

fn changed(frame: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = value;
    frame
}

/// The one reason for which `frame` is dropped on its way out.
fn reason_out(pipe: &mut Pipe, frame: &[u8]) -> Option<DropReason> {
    let sent = pipe.send([frame]);
    let tally = pipe.outbound.take_tally();
    let reason = DropReason::ALL
        .iter()
        .copied()
        .find(|reason| tally.dropped(*reason) == 1);
    assert_eq!(reason.is_none(), !sent.is_empty());
    reason
}

#[test]
fn frames_from_the_tun() {
    let super_frame = tcp().super_frame(100);
    let single = tcp().single_frame();
    let in_v6 = Inner::tcp(true, 1, payload(1000, 1)).super_frame(100);
    let mut nothing_to_cut = tcp();
    nothing_to_cut.payload.clear();
    let cases = [
        ("nothing", Vec::new()),
        ("half a virtio header", vec![0; 9]),
        ("no packet", vec![0; 10]),
        ("not IP", plain_frame(&[0x50; 40])),
        ("half an IP header", plain_frame(&tcp().bytes()[..19])),
        ("longer than the frame", plain_frame(&tcp().bytes()[..1039])),
        ("header of 16 bytes", changed(&single, 10, 0x44)),
        (
            "header of 60 bytes in a packet of 20",
            changed(&single[..30], 10, 0x4f),
        ),
        ("a kind never asked for", changed(&super_frame, 1, 3)),
        ("segments of nothing", tcp().super_frame(0)),
        ("more than 128 segments", tcp().super_frame(7)),
        (
            "a super-packet without a checksum to complete",
            changed(&super_frame, 0, 0),
        ),
        ("v6 segments of v4", changed(&super_frame, 1, 4)),
        ("v4 segments of v6", changed(&in_v6, 1, 1)),
        ("datagrams of TCP", changed(&super_frame, 1, 5)),
        (
            "a super-packet without payload",
            nothing_to_cut.super_frame(100),
        ),
        (
            "transport inside the IP header",
            changed(&super_frame, 6, 8),
        ),
        ("transport inside the v6 header", changed(&in_v6, 6, 8)),
        ("transport beyond the end", changed(&super_frame, 7, 0xff)),
        (
            "a TCP header of 16 bytes",
            changed(&super_frame, 10 + 32, 0x40),
        ),
        ("a checksum inside the IP header", changed(&single, 6, 8)),
        ("a checksum beyond the end", changed(&single, 7, 0xff)),
        ("a checksum field beyond the end", changed(&single, 9, 0xff)),
        ("shorter than the frame", [&super_frame[..], &[0]].concat()),
    ];
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    for (what, frame) in cases {
        assert_eq!(
            reason_out(&mut pipe, &frame),
            Some(DropReason::Malformed),
            "{what}"
        );
    }
    assert_eq!(reason_out(&mut pipe, &super_frame), None);
    // Padding of the link below is no part of a single packet.
    assert_eq!(reason_out(&mut pipe, &[&single[..], &[0]].concat()), None);
}

#[test]
fn packets_that_no_peer_can_get() {
    let frame = tcp().single_frame();
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let path = pipe.near.peer().path.load_full().unwrap();
    pipe.near = PointToPoint::sealed(*path, 1500);
    assert_eq!(
        reason_out(&mut pipe, &frame),
        Some(DropReason::NoSession),
        "no keys yet"
    );

    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    pipe.near.peer().path.store(None);
    assert_eq!(
        reason_out(&mut pipe, &frame),
        Some(DropReason::NoEndpoint),
        "no endpoint yet"
    );

    let mut outbound = Outbound::new(Box::new(Portable));
    outbound.frame_buffer()[..frame.len()].copy_from_slice(&frame);
    outbound.push(frame.len(), &Strict(&pipe.near));
    assert_eq!(outbound.take_tally().dropped(DropReason::NoRoute), 1);
}

/// Reject-After-Messages (WireGuard whitepaper, section 6.1): a session retires before its counter
/// could come round to a nonce that was used.
#[test]
fn a_used_up_session_sends_nothing_more() {
    let key = || meshvpn_proto::session::aead::Key::new([1; 32]);
    let session = std::sync::Arc::new(meshvpn_proto::session::transport::SealedSession::new(
        11,
        22,
        key(),
        key(),
    ));
    session.reserve(REJECT_AFTER_MESSAGES - 3);
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    pipe.near.install(session);
    let frame = tcp().single_frame();
    assert_eq!(reason_out(&mut pipe, &frame), None);
    assert_eq!(reason_out(&mut pipe, &frame), None);
    for _ in 0..3 {
        assert_eq!(reason_out(&mut pipe, &frame), Some(DropReason::NoSession));
        assert_eq!(
            reason_out(&mut pipe, &tcp().super_frame(100)),
            Some(DropReason::NoSession)
        );
    }
}

/// The one reason for which `datagram` is dropped on its way in.
fn reason_in(pipe: &mut Pipe, datagram: &[u8]) -> Option<DropReason> {
    only_reason(&pipe.receive([datagram]))
}

fn only_reason(received: &Received) -> Option<DropReason> {
    let dropped = |reason: &DropReason| received.tally.dropped(*reason) == 1;
    let reason = DropReason::ALL.iter().copied().find(dropped);
    assert_eq!(
        reason.is_none(),
        received.frames.len() + received.control.len() == 1
    );
    reason
}

/// A datagram as the near end seals it, with `contents` inside.
fn sealed(pipe: &mut Pipe, contents: &[u8]) -> Vec<u8> {
    use meshvpn_proto::session::aead::{Aead, Key, Seal, TAG_LEN};
    use meshvpn_proto::session::transport::{HEADER_LEN, Session, write_header};
    let session = pipe.near.peer().session.load_full().unwrap();
    let Session::Sealed(session) = &*session else {
        panic!("a plain session")
    };
    let counter = session.reserve(1).unwrap();
    let mut datagram = vec![0; HEADER_LEN + contents.len() + TAG_LEN];
    let (header, out) = datagram.split_first_chunk_mut().unwrap();
    write_header(header, session.remote_index, counter);
    let key: &Key = session.send_key();
    Portable.seal(&mut [Seal {
        key,
        counter,
        plaintext: contents,
        out,
    }]);
    datagram
}

#[test]
fn datagrams_to_a_sealed_tunnel() {
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let genuine = sealed(&mut pipe, &tcp().bytes());
    let malformed = sealed(&mut pipe, &tcp().bytes()[..500]);
    let unknown_session = changed(&genuine, 4, genuine[4] ^ 1);
    let cases = [
        ("nothing", Vec::new(), DropReason::UnknownType),
        ("noise", vec![0x99; 100], DropReason::UnknownType),
        ("a bare IP packet", tcp().bytes(), DropReason::UnknownType),
        (
            "a data message without room for a tag",
            genuine[..31].to_vec(),
            DropReason::UnknownType,
        ),
        (
            "a reserved byte",
            changed(&genuine, 1, 1),
            DropReason::UnknownType,
        ),
        (
            "another session",
            unknown_session,
            DropReason::UnknownSession,
        ),
        (
            "another number",
            changed(&genuine, 8, 9),
            DropReason::BadTag,
        ),
        (
            "a changed byte",
            changed(&genuine, 100, genuine[100] ^ 1),
            DropReason::BadTag,
        ),
        (
            "cut short",
            genuine[..genuine.len() - 1].to_vec(),
            DropReason::BadTag,
        ),
        (
            "an inner packet cut short",
            malformed,
            DropReason::Malformed,
        ),
        (
            "too long for a message",
            [&[HELLO][..], &[0; 9216]].concat(),
            DropReason::ControlOverflow,
        ),
    ];
    for (what, datagram, reason) in cases {
        assert_eq!(reason_in(&mut pipe, &datagram), Some(reason), "{what}");
    }
    assert_eq!(reason_in(&mut pipe, &genuine), None);
    assert_eq!(reason_in(&mut pipe, &genuine), Some(DropReason::Replayed));
}

#[test]
fn datagrams_to_a_plain_tunnel() {
    let mut pipe = Pipe::new(Framing::Plain, 1500);
    let arrival = |bytes, source| Arrival {
        bytes,
        segment_size: 2000,
        source,
        socket: 0,
        is_truncated: false,
    };
    let packet = tcp().bytes();
    let foreign = pipe.receive_arrivals([arrival(&packet, far())]);
    assert_eq!(only_reason(&foreign), Some(DropReason::ForeignSource));
    let other_port = pipe.receive_arrivals([arrival(&packet, "192.0.2.1:7001".parse().unwrap())]);
    assert_eq!(only_reason(&other_port), Some(DropReason::ForeignSource));
    let truncated = Arrival {
        is_truncated: true,
        ..arrival(&packet, near())
    };
    assert_eq!(
        only_reason(&pipe.receive_arrivals([truncated])),
        Some(DropReason::Truncated)
    );
    assert_eq!(
        reason_in(&mut pipe, &packet[..1039]),
        Some(DropReason::Malformed)
    );
    assert_eq!(reason_in(&mut pipe, &[]), Some(DropReason::UnknownType));
    assert_eq!(reason_in(&mut pipe, &packet), None);
}

#[test]
fn packets_that_the_filter_refuses() {
    for framing in [Framing::Plain, Framing::Sealed] {
        let mut pipe = Pipe::new(framing, 1500);
        let sent = pipe.send([&tcp().single_frame()[..]]);
        let mut inbound = Inbound::new(Box::new(Portable), BATCH_BYTES, Joins::ALL);
        let arrivals = sent.iter().flat_map(Sent::datagrams).map(|bytes| Arrival {
            bytes,
            segment_size: bytes.len(),
            source: near(),
            socket: 0,
            is_truncated: false,
        });
        inbound.receive(arrivals, &Strict(&pipe.far));
        assert_eq!(inbound.writes().count(), 0);
        assert_eq!(
            inbound.take_tally().dropped(DropReason::SourceNotAllowed),
            1
        );
    }
}

#[test]
fn control_messages_beyond_what_is_kept() {
    let mut pipe = Pipe::new(Framing::Sealed, 1500);
    let hello = [HELLO; HELLO_LEN];
    let received = pipe.receive(core::iter::repeat_n(&hello[..], 100));
    assert_eq!(received.control.len(), 64);
    assert_eq!(received.tally.dropped(DropReason::ControlOverflow), 36);
    assert!(
        received
            .control
            .iter()
            .all(|control| control.slot.is_none())
    );
    // The first byte says data, the length says otherwise: no control message either.
    assert_eq!(
        reason_in(&mut pipe, &[DATA; 20]),
        Some(DropReason::UnknownType)
    );
}
