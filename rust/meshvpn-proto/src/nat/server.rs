//! The answering half of STUN (RFC 8489), with two addresses and two ports where the host has them
//! (RFC 5780).
//!
//! Every answer leaves from the socket that was asked, unless the request wants it otherwise. The sockets are
//! numbered so that changing is flipping bits:
//!
//! | socket | address | port |
//! |---|---|---|
//! | 0 | first | first |
//! | 1 | first | second |
//! | 2 | second | first |
//! | 3 | second | second |
//!
//! Source addresses can be forged, so a server is a tool for sending datagrams to third parties. This one is
//! a poor one: it answers nothing but whole binding requests, never pads, never answers an answer, and one
//! address (IPv6: one /64) gets only [`RATE`] answers a second.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use blake2::{Blake2s256, Digest};

use super::Transmit;
use super::message::{Binding, Change, Message, Response};
use crate::forward::Path;

/// Answers a second that one address gets. A network behind one address asks for each host of it some twenty
/// times when it comes up; at a hundred bytes an answer, a victim of forgery gets 80 kbit/s.
pub const RATE: u32 = 100;
/// Answers that it gets at once, after having been quiet.
pub const BURST: u32 = 400;
/// How many addresses are told apart. When two share a place, the newer has it.
const PLACES: usize = 4096;
/// How many unknown attributes a refusal lists.
const LISTED: usize = 8;

/// Where a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// At one address, which the server need not know: socket 0.
    One(Option<SocketAddr>),
    /// At two addresses and two ports each: sockets 0 to 3.
    Four {
        /// Socket 0.
        first: SocketAddr,
        /// Socket 3. Its address and its port both differ from the first.
        second: SocketAddr,
    },
}

impl Addresses {
    /// The address of a socket, if it is known.
    pub fn of(&self, socket: usize) -> Option<SocketAddr> {
        match *self {
            Self::One(address) => address,
            Self::Four { first, second } => {
                let ip = if socket & 2 == 0 { first } else { second }.ip();
                let port = if socket & 1 == 0 { first } else { second }.port();
                Some(SocketAddr::new(ip, port))
            }
        }
    }
}

/// What a server has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests answered.
    pub answered: u64,
    /// Requests refused, with an answer that says why.
    pub refused: u64,
    /// Requests dropped, because their address asks too often.
    pub limited: u64,
    /// Datagrams that were no binding requests.
    pub ignored: u64,
}

/// Answers binding requests.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    seed: [u8; 32],
    places: Vec<Option<Asker>>,
    transmits: VecDeque<Transmit>,
    counters: Counters,
}

/// How often an address has asked lately: a token bucket.
#[derive(Debug, Clone, Copy)]
struct Asker {
    network: u64,
    /// As many answers as are left, in units of 1/[`RATE`] seconds.
    left: Duration,
    at: Instant,
}

impl Server {
    /// A server at `addresses`; with `seed` nobody knows which addresses share a place in its memory.
    pub fn new(addresses: Addresses, seed: [u8; 32]) -> Self {
        Self {
            addresses,
            seed,
            places: vec![None; PLACES],
            transmits: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a datagram that came by `path`: on which socket, to which address of it, and from whom.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let Some(Message::Request(request)) = Message::parse(datagram) else {
            self.counters.ignored += 1;
            return;
        };
        let asker = path.destination;
        if asker.port() == 0 || !is_single_host(asker.ip()) || self.is_own(asker) {
            self.counters.ignored += 1;
            return;
        }
        if !self.admits(now, asker.ip()) {
            self.counters.limited += 1;
            return;
        }
        let mut unknown = request.unknown;
        if matches!(self.addresses, Addresses::One(_)) && request.change != Change::NONE {
            unknown.push(CHANGE_REQUEST);
        }
        if !unknown.is_empty() {
            self.counters.refused += 1;
            unknown.truncate(LISTED);
            let response = Response::unknown_attributes(request.transaction, unknown);
            let datagram = response.encode(request.has_fingerprint);
            self.transmits.push_back(Transmit { path, datagram });
            return;
        }
        self.counters.answered += 1;
        let flip = usize::from(request.change.address) << 1 | usize::from(request.change.port);
        let socket = path.socket ^ flip;
        let response = Response {
            transaction: request.transaction,
            outcome: Ok(Binding {
                mapped: asker,
                origin: self.addresses.of(socket),
                other: match self.addresses {
                    Addresses::One(_) => None,
                    Addresses::Four { .. } => self.addresses.of(path.socket ^ 3),
                },
            }),
        };
        let port = request.response_port.filter(|port| *port != 0);
        let port = port.unwrap_or(asker.port());
        let back = Path {
            socket,
            // Another socket has its own address.
            source: path.source.filter(|_| socket == path.socket),
            destination: SocketAddr::new(asker.ip(), port),
        };
        self.transmits.push_back(Transmit {
            path: back,
            datagram: response.encode(request.has_fingerprint),
        });
    }

    /// The next answer.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether an address is one of the server's own: it would talk to itself for ever.
    fn is_own(&self, asker: SocketAddr) -> bool {
        (0..4).any(|socket| self.addresses.of(socket) == Some(asker))
    }

    fn admits(&mut self, now: Instant, ip: IpAddr) -> bool {
        let price = Duration::from_secs(1) / RATE;
        let full = price * BURST;
        let network = network(ip);
        let hash = Blake2s256::new()
            .chain_update(self.seed)
            .chain_update(network.to_le_bytes())
            .finalize();
        let place = usize::from(u16::from_le_bytes([hash[0], hash[1]])) % PLACES;
        let asker = match self.places[place] {
            Some(asker) if asker.network == network => asker,
            _ => Asker {
                network,
                left: full,
                at: now,
            },
        };
        let left = full.min(asker.left + now.saturating_duration_since(asker.at));
        let after = left.checked_sub(price);
        self.places[place] = Some(Asker {
            network,
            left: after.unwrap_or(left),
            at: now,
        });
        after.is_some()
    }
}

/// CHANGE-REQUEST, which a server with one address does not know (RFC 5780, section 6.1).
const CHANGE_REQUEST: u16 = 3;

/// What one subscriber has: an IPv4 address, or an IPv6 /64.
fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

fn is_single_host(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    }
}
