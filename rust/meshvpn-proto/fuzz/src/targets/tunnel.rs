//! The tunnel's own messages: hellos, probes, data messages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use meshvpn_proto::forward::{Arrival, Inbound, Joins, Path};
use meshvpn_proto::keys::PresharedKey;
use meshvpn_proto::path::mtu::PathMtu;
use meshvpn_proto::path::probe::{MIN_LEN, Probe};
use meshvpn_proto::session::aead::{Aead, Key, Portable, Seal, TAG_LEN};
use meshvpn_proto::session::preshared::{HELLO_LEN, Handshake, Output};
use meshvpn_proto::session::transport::{HEADER_LEN, SealedSession, write_header};
use meshvpn_proto::tunnel::PointToPoint;

use super::packet::start;

/// A session with keys of these bytes.
pub(super) fn session(local: u32, remote: u32, [send, receive]: [u8; 2]) -> Arc<SealedSession> {
    let key = |byte| Key::new([byte; 32]);
    Arc::new(SealedSession::new(local, remote, key(send), key(receive)))
}

/// Two ends, their hellos delivered in any order, again, late, changed or not at all, and either of
/// them started anew: no key is ever made twice by one end, and nothing changed is believed.
///
/// The input: a list of (what to do, with which hello of those sent so far).
pub fn hello(data: &[u8]) {
    let mut now = start();
    let mut starts = 0;
    let mut begin = |now| {
        starts += 1;
        Handshake::new(now, PresharedKey::new([7; 32]), [starts; 32])
    };
    let mut ends = [begin(now), begin(now)];
    let mut sent: Vec<[u8; HELLO_LEN]> = Vec::new();
    let mut keys = [BTreeSet::new(), BTreeSet::new()];
    for step in data.as_chunks::<2>().0.iter().take(200) {
        let [what, which] = *step;
        let end = usize::from(what & 1);
        let chosen = sent.get(usize::from(which) % sent.len().max(1)).copied();
        match what >> 1 & 7 {
            0 => ends[end] = begin(now),
            1 => now += Duration::from_millis(u64::from(which) * 10),
            2 => ends[end].handle_silence(now),
            3 => {
                let mut changed = chosen.unwrap_or([0x20; HELLO_LEN]);
                changed[usize::from(what >> 4) * 5] ^= which | 1;
                assert!(ends[end].handle_hello(now, &changed).is_err());
            }
            _ => {
                let _ = chosen.map(|hello| ends[end].handle_hello(now, &hello));
            }
        }
        for (handshake, keys) in ends.iter_mut().zip(&mut keys) {
            handshake.handle_timeout(now);
            while let Some(output) = handshake.poll_output() {
                match output {
                    Output::Send(hello) => sent.push(hello),
                    Output::Receive(session) => {
                        assert!(keys.insert(*session.send_key().expose()), "a key came back");
                        assert_ne!(session.send_key().expose(), session.receive_key().expose());
                    }
                    Output::Use(session) => assert!(keys.contains(session.send_key().expose())),
                }
            }
        }
    }
}

/// Any probe reads back, and any replies at any time leave the search within its bounds.
///
/// The input: a message; and then, as a list of (milliseconds, which probe to answer).
pub fn probe(data: &[u8]) {
    if let Some(probe) = Probe::parse(data) {
        assert_eq!(Probe::parse(&probe.to_message(data.len())), Some(probe));
        assert!(data.len() >= MIN_LEN);
    }
    let (floor, ceiling) = (576, 9000);
    let mut now = start();
    let mut mtu = PathMtu::new(now, floor, ceiling, 0);
    let mut probes = Vec::new();
    for step in data.as_chunks::<2>().0.iter().take(400) {
        let [time, which] = *step;
        now += Duration::from_millis(u64::from(time) * 4);
        while let Some(probe) = mtu.poll_probe() {
            assert!((floor..=ceiling).contains(&probe.size));
            probes.push(probe);
        }
        match which {
            0 => mtu.handle_activity(),
            1 => mtu.handle_refused(now),
            2 => mtu.handle_peer_heard(now),
            3 => mtu.handle_new_session(now),
            _ => {
                // Counted from the newest, so that short inputs answer what is waited for.
                if let Some(probe) = probes.iter().rev().nth(usize::from(which) - 4) {
                    mtu.handle_reply(now, *probe);
                }
            }
        }
        mtu.handle_timeout(now);
        assert!((floor..=ceiling).contains(&mtu.current()));
        assert!(
            mtu.poll_timeout()
                .is_none_or(|(at, _)| at <= now + Duration::from_secs(4))
        );
        while mtu.poll_event().is_some() {}
    }
}

/// Data messages in any order, again, cut or changed: each is taken at most once, and only as it was.
///
/// The input: a list of (which message, where to change it, how; nothing when 0).
pub fn data_message(data: &[u8]) {
    let sender = session(1, 2, [1, 2]);
    let path = Path {
        socket: 0,
        source: None,
        destination: ([192, 0, 2, 1], 7000).into(),
    };
    let receiver = PointToPoint::sealed(path, 1500);
    receiver.install(session(2, 1, [2, 1]));
    let mut inbound = Inbound::new(Box::new(Portable), 4096, Joins::ALL);
    let mut taken = BTreeSet::new();
    for step in data.as_chunks::<3>().0.iter().take(200) {
        let [number, at, change] = *step;
        let mut datagram = sealed(&sender, u64::from(number) * 500);
        match change {
            0 => {}
            1 => datagram.truncate(usize::from(at) % datagram.len()),
            _ => {
                let at = usize::from(at) % datagram.len();
                datagram[at] ^= change;
            }
        }
        let arrival = Arrival {
            bytes: &datagram,
            segment_size: datagram.len(),
            source: ([192, 0, 2, 1], 7000).into(),
            socket: 0,
            local: None,
            is_truncated: false,
        };
        inbound.receive([arrival], &receiver);
        let is_taken = inbound.writes().count() == 1;
        assert!(!is_taken || (change == 0 && taken.insert(number)));
        inbound
            .take_control()
            .for_each(|control| assert_eq!(control.slot, None));
    }
}

/// The smallest IP packet, sealed with this number.
fn sealed(session: &SealedSession, counter: u64) -> Vec<u8> {
    let mut packet = [0; 20];
    (packet[0], packet[3]) = (0x45, 20);
    let mut datagram = vec![0; HEADER_LEN + packet.len() + TAG_LEN];
    let (header, out) = datagram.split_first_chunk_mut().expect("room for a header");
    write_header(header, session.remote_index, counter);
    Portable.seal(&mut [Seal {
        key: session.send_key(),
        counter,
        plaintext: &packet,
        out,
    }]);
    datagram
}
