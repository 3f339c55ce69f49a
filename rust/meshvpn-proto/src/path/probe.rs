//! Path probes: messages between two peers about the paths between them.
//!
//! They travel like packets, inside the session where there is one, and are told apart by their
//! first four bits: those are 4 or 6 in every IP packet and 0 here. A stock WireGuard peer drops
//! them as malformed packets.
//!
//! ```text
//! 0        1           4        6        8        16         24        40     42
//! | 1, 2   | 0  0  0   | size   | 0  0   | token  | zeros up to size            request, reply
//! | 3      | 0  0  0   | 0  0  0  0      | token  | received |                  ping
//! | 4      | 0  0  0   | 0  0  0  0      | token  | received | address  | port | pong
//! | 5      | 0  0  0   | n      | flags  | n times: kind (1), address (16), port (2)   call
//! ```
//!
//! * A *request* is padded so that the IP packet around it is `size` bytes long; the *reply* is short, and
//!   says by the same token and size what got through.
//! * A *ping* asks whether a path works, and the *pong* goes back the way that the ping came. Both tell how many
//!   IP packets have come by that path, so that each side sees what became of its own; a pong also tells where
//!   the ping came from.
//! * A *call* tells all addresses of its sender: probe them now, as the sender does with yours.
//!
//! Numbers are big-endian; an IPv4 address is written as an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
//! Readers ignore what follows and candidates of kinds that they do not know.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::candidate::{Candidate, Kind};

/// Bytes of a request or a reply without padding, and of the shortest message.
pub const MIN_LEN: usize = 16;
/// Candidates in one call, at most: more on one side cost more packets than they find paths.
pub const MAX_CANDIDATES: usize = 10;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
const CALL: u8 = 5;

const PING_LEN: usize = 24;
const PONG_LEN: usize = 42;
const CALL_HEADER: usize = 8;
const CANDIDATE_LEN: usize = 19;
/// Flag of a call: its sender has not heard of the peer's addresses lately.
const WANTS_ANSWER: u8 = 1;

/// What peers say about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// "Did this get through?"
    Request(Echo),
    /// "Yes, it did."
    Reply(Echo),
    /// "Do you hear me this way?"
    Ping(Ping),
    /// "I do, and you hear me."
    Pong(Pong),
    /// "Here I am: probe me."
    Call(Call),
}

/// What the reply repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Length of the IP packet that carried the request, in bytes.
    pub size: u16,
    /// Chosen by the asker.
    pub token: u64,
}

/// A question about the path that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Chosen by the asker, anew for each.
    pub token: u64,
    /// IP packets that came from the peer by this path.
    pub received: u64,
}

/// The answer to a [`Ping`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// The ping's.
    pub token: u64,
    /// IP packets that came by this path.
    pub received: u64,
    /// Where the ping came from.
    pub seen_at: SocketAddr,
}

/// All addresses of the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// At most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// The sender asks for a call in return.
    pub wants_answer: bool,
}

impl Probe {
    /// Reads a probe; `None` when it is something else.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let header: &[u8; MIN_LEN] = message.first_chunk()?;
        let [kind, 0, 0, 0, a, b, c, d, token @ ..] = *header else {
            return None;
        };
        let token = u64::from_be_bytes(token);
        let echo = Echo {
            size: u16::from_be_bytes([a, b]),
            token,
        };
        let is_plain = [c, d] == [0, 0];
        match kind {
            REQUEST if is_plain => Some(Self::Request(echo)),
            REPLY if is_plain => Some(Self::Reply(echo)),
            PING => {
                let received = number(message, 16)?;
                Some(Self::Ping(Ping { token, received }))
            }
            PONG => Some(Self::Pong(Pong {
                token,
                received: number(message, 16)?,
                seen_at: read_address(message.get(24..PONG_LEN)?)?,
            })),
            CALL => {
                let count = usize::from(u16::from_be_bytes([a, b]));
                let listed = message.get(CALL_HEADER..)?;
                let listed = listed.get(..count * CANDIDATE_LEN)?;
                Some(Self::Call(Call {
                    candidates: listed
                        .chunks(CANDIDATE_LEN)
                        .filter_map(read_candidate)
                        .take(MAX_CANDIDATES)
                        .collect(),
                    wants_answer: d & WANTS_ANSWER != 0,
                }))
            }
            _ => None,
        }
    }

    /// The probe as a message of `len` bytes, or of as many as it needs.
    pub fn to_message(&self, len: usize) -> Vec<u8> {
        let needed = match self {
            Self::Request(_) | Self::Reply(_) => MIN_LEN,
            Self::Ping(_) => PING_LEN,
            Self::Pong(_) => PONG_LEN,
            Self::Call(call) => (CALL_HEADER + call.listed().len() * CANDIDATE_LEN).max(MIN_LEN),
        };
        let mut message = vec![0; len.max(needed)];
        match self {
            Self::Request(echo) => echo.write(REQUEST, &mut message),
            Self::Reply(echo) => echo.write(REPLY, &mut message),
            Self::Ping(ping) => {
                message[0] = PING;
                message[8..16].copy_from_slice(&ping.token.to_be_bytes());
                message[16..24].copy_from_slice(&ping.received.to_be_bytes());
            }
            Self::Pong(pong) => {
                message[0] = PONG;
                message[8..16].copy_from_slice(&pong.token.to_be_bytes());
                message[16..24].copy_from_slice(&pong.received.to_be_bytes());
                write_address(&mut message[24..PONG_LEN], pong.seen_at);
            }
            Self::Call(call) => call.write(&mut message),
        }
        message
    }
}

impl Echo {
    fn write(self, kind: u8, message: &mut [u8]) {
        message[0] = kind;
        message[4..6].copy_from_slice(&self.size.to_be_bytes());
        message[8..16].copy_from_slice(&self.token.to_be_bytes());
    }
}

impl Call {
    /// What fits.
    fn listed(&self) -> &[Candidate] {
        &self.candidates[..self.candidates.len().min(MAX_CANDIDATES)]
    }

    fn write(&self, message: &mut [u8]) {
        let listed = self.listed();
        message[0] = CALL;
        message[4..6].copy_from_slice(&(listed.len() as u16).to_be_bytes());
        message[7] = if self.wants_answer { WANTS_ANSWER } else { 0 };
        let places = message[CALL_HEADER..].chunks_mut(CANDIDATE_LEN);
        for (place, candidate) in places.zip(listed) {
            place[0] = code(candidate.kind);
            write_address(&mut place[1..], candidate.address);
        }
    }
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Host => 1,
        Kind::ServerReflexive => 2,
        Kind::PeerReflexive => 3,
        Kind::PortMapped => 4,
    }
}

fn read_candidate(bytes: &[u8]) -> Option<Candidate> {
    let (code, address) = bytes.split_first()?;
    let kind = match code {
        1 => Kind::Host,
        2 => Kind::ServerReflexive,
        3 => Kind::PeerReflexive,
        4 => Kind::PortMapped,
        _ => return None,
    };
    let address = read_address(address)?;
    Some(Candidate { kind, address })
}

fn number(message: &[u8], at: usize) -> Option<u64> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u64::from_be_bytes(*bytes))
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (address, port) = bytes.split_first_chunk::<16>()?;
    let address = Ipv6Addr::from(*address);
    let address = address.to_ipv4_mapped().map_or(address.into(), IpAddr::V4);
    Some(SocketAddr::new(
        address,
        u16::from_be_bytes(*port.first_chunk()?),
    ))
}

fn write_address(out: &mut [u8], address: SocketAddr) {
    let octets = match address.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    out[..16].copy_from_slice(&octets);
    out[16..18].copy_from_slice(&address.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(bits: u128, is_v4: bool, port: u16) -> SocketAddr {
        let address = if is_v4 {
            IpAddr::from((bits as u32).to_be_bytes())
        } else {
            // An IPv4-mapped address would be read as the IPv4 address that it is.
            IpAddr::from((bits | 1 << 127).to_be_bytes())
        };
        SocketAddr::new(address, port)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            size: u16,
            token: u64,
            received: u64,
            wants_answer: bool,
            len in 0usize..1500,
            addresses in prop::collection::vec(any::<(u128, bool, u16, u8)>(), 1..=MAX_CANDIDATES),
        ) {
            let kinds =
                [Kind::Host, Kind::ServerReflexive, Kind::PeerReflexive, Kind::PortMapped];
            let (bits, is_v4, port, _) = addresses[0];
            let candidates = addresses.iter().map(|(bits, is_v4, port, kind)| Candidate {
                kind: kinds[usize::from(kind % 4)],
                address: address(*bits, *is_v4, *port),
            });
            for probe in [
                Probe::Request(Echo { size, token }),
                Probe::Reply(Echo { size, token }),
                Probe::Ping(Ping { token, received }),
                Probe::Pong(Pong { token, received, seen_at: address(bits, is_v4, port) }),
                Probe::Call(Call { candidates: candidates.collect(), wants_answer }),
                Probe::Call(Call { candidates: Vec::new(), wants_answer }),
            ] {
                prop_assert_eq!(Probe::parse(&probe.to_message(len)), Some(probe));
            }
        }

        #[test]
        fn an_ip_packet_is_no_probe(mut bytes in prop::collection::vec(any::<u8>(), 1..64)) {
            for version in [0x40, 0x60] {
                bytes[0] = bytes[0] & 0x0f | version;
                prop_assert_eq!(Probe::parse(&bytes), None);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(kind in 0u8..8, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let message = [&[kind, 0, 0, 0][..], &bytes].concat();
            if let Some(Probe::Call(call)) = Probe::parse(&message) {
                prop_assert!(call.candidates.len() <= MAX_CANDIDATES);
            }
        }
    }
}
