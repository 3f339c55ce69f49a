//! WireGuard's handshake messages, and devices that get them in any order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use meshvpn_proto::forward::{Claim, Confirmed, Path, Peers, SharedPeers};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::messages::{CookieReply, Initiation, Response};
use meshvpn_proto::session::transport::{DATA, DataMessage, Session};
use meshvpn_proto::time::Now;
use meshvpn_proto::wireguard::{Event, Limits, Transmit, WireGuard};

use super::packet::start;

/// A device that knows one peer: numbers 0 and 1 know each other.
struct End {
    device: WireGuard,
    peer: PublicKey,
    starts: u8,
    number: u8,
}

impl End {
    fn new(number: u8, starts: u8, now: Now) -> Self {
        let key = |number| PrivateKey::new([number + 1; 32]);
        let mut device = WireGuard::new(Limits::default(), [number * 100 + starts; 32]);
        device.set_private_key(now, Some(key(number)));
        let peer = key(1 - number).public_key();
        let slot = device.add_peer(now, peer, 1452).expect("another key");
        device.set_endpoint(now, slot, path(1 - number));
        Self {
            device,
            peer,
            starts,
            number,
        }
    }

    /// Gives it a datagram; true when a session came of it.
    fn receive(&mut self, now: Now, datagram: &[u8], sent: &mut Vec<(u8, Vec<u8>)>) -> bool {
        let source = path(1 - self.number);
        let claim = self
            .device
            .table()
            .batch()
            .claim(datagram, source.destination);
        match (claim, DataMessage::parse(datagram)) {
            (Ok(Claim::Sealed { slot, session }), Some(_)) if session.awaits_confirmation() => {
                let index = session.local_index;
                self.device.handle_confirmed(now, Confirmed { slot, index });
            }
            (Ok(Claim::Control), _) => {
                let _ = self.device.handle_datagram(now, source, datagram);
            }
            _ => {}
        }
        self.drain(sent)
    }

    fn drain(&mut self, sent: &mut Vec<(u8, Vec<u8>)>) -> bool {
        let mut has_session = false;
        while let Some(event) = self.device.poll_event() {
            has_session |= matches!(event, Event::Session { .. });
        }
        while let Some(Transmit {
            path: to, datagram, ..
        }) = self.device.poll_transmit()
        {
            assert_eq!(to, path(1 - self.number));
            sent.push((self.number, datagram));
        }
        assert!(self.device.table().indices_in_use() <= 4);
        has_session
    }
}

fn path(number: u8) -> Path {
    let destination = SocketAddr::from(([192, 0, 2, number], 51820));
    Path {
        socket: 0,
        source: None,
        destination,
    }
}

/// Any datagram reads back as what it is, and a device in the middle of a handshake makes nothing of it.
pub fn message(data: &[u8]) {
    if let Some(message) = Initiation::parse(data) {
        assert_eq!(
            &message.as_bytes()[..116],
            Initiation::new(message.sender(), message.noise()).as_bytes()[..116].as_ref()
        );
    }
    if let Some(message) = Response::parse(data) {
        let again = Response::new(message.sender(), message.receiver(), message.noise());
        assert_eq!(message.as_bytes()[..60], again.as_bytes()[..60]);
    }
    if let Some(message) = CookieReply::parse(data) {
        let again = CookieReply::new(message.receiver(), message.nonce(), message.sealed_cookie());
        assert_eq!(message, again);
    }
    let now = Now {
        instant: start(),
        unix: Duration::from_secs(1_800_000_000),
    };
    let mut end = End::new(0, 0, now);
    let mut sent = Vec::new();
    end.device.handle_no_session(now, 0);
    end.drain(&mut sent);
    assert!(!end.receive(now, data, &mut sent));
    assert_eq!(sent.len(), 1, "our own initiation alone");
    assert!(
        end.device
            .status(0)
            .is_some_and(|status| !status.has_session)
    );
}

/// Two devices, their messages delivered in any order, again, late, changed or not at all, and either of
/// them started anew: nothing changed is believed, no key is made twice, and no timer runs for ever.
///
/// The input: a list of (what to do, with which of the messages sent so far).
pub fn devices(data: &[u8]) {
    let begin = start();
    let mut elapsed = Duration::ZERO;
    let clock = |elapsed: Duration| Now {
        instant: begin + elapsed,
        unix: Duration::from_secs(1_800_000_000) + elapsed,
    };
    let mut ends = [0, 1].map(|number| End::new(number, 0, clock(elapsed)));
    let mut sent: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut keys = [BTreeSet::new(), BTreeSet::new()];
    for step in data.as_chunks::<2>().0.iter().take(200) {
        let [what, which] = *step;
        let end = usize::from(what & 1);
        let now = clock(elapsed);
        // Counted from the newest, so that short inputs deliver what has just been sent.
        let chosen = sent.iter().rev().nth(usize::from(which)).cloned();
        match (what >> 1 & 7, chosen) {
            (0, _) => ends[end] = End::new(end as u8, ends[end].starts + 1, now),
            (1, _) => elapsed += Duration::from_millis(u64::from(which) * 100),
            (2, _) => {
                let slot = ends[end].device.slot_of(&ends[end].peer);
                ends[end].device.handle_no_session(now, slot.unwrap_or(7));
            }
            (3, Some((from, mut changed))) => {
                // Not in mac2, which is not looked at without load; data, the data plane authenticates.
                if changed[0] != DATA {
                    let at = usize::from(what >> 4) * 8 % (changed.len() - 16);
                    changed[at] ^= which | 1;
                    assert!(!ends[1 - usize::from(from)].receive(now, &changed, &mut sent));
                }
            }
            (_, Some((from, datagram))) => {
                ends[1 - usize::from(from)].receive(now, &datagram, &mut sent);
            }
            (_, None) => {}
        }
        let now = clock(elapsed);
        for (end, keys) in ends.iter_mut().zip(&mut keys) {
            let before = session_key(end);
            end.device.handle_timeout(now);
            end.drain(&mut sent);
            let after = session_key(end);
            assert!(
                after.is_none() || after == before,
                "no session comes of waiting"
            );
            keys.extend(after);
            let longest = now.instant + Duration::from_secs(540);
            assert!(
                end.device
                    .poll_timeout()
                    .is_none_or(|at| at > now.instant && at <= longest)
            );
        }
    }
    // One side's sending key is the other's receiving key: never both sides' sending key.
    assert!(keys[0].is_disjoint(&keys[1]));
}

fn session_key(end: &End) -> Option<[u8; 32]> {
    let table = end.device.table();
    let session = table.slot(0).session.load_full();
    match session.as_deref() {
        Some(Session::Sealed(session)) => Some(*session.send_key().expose()),
        _ => None,
    }
}
