//! A point-to-point tunnel: everything about it that decides.
//!
//! It puts the pre-shared-key handshake (or none, for a plain tunnel) and the path MTU search
//! together, and answers the peer's probes. Drive it like every machine here: after each `handle_*`
//! call drain [`Tunnel::poll_transmit`] and [`Tunnel::poll_event`], then sleep until
//! [`Tunnel::poll_timeout`].

mod point_to_point;

use core::net::IpAddr;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::forward::DropReason;
use crate::keys::PresharedKey;
use crate::path::mtu::{self, PathMtu};
use crate::path::probe::{Echo, MIN_LEN, Probe};
use crate::session::preshared::{HELLO, Handshake, Output};
use crate::session::transport::{OVERHEAD, SealedSession};

pub use point_to_point::PointToPoint;

/// The smallest MTU that an IPv6-capable device may have (RFC 8200, section 5).
const IPV6_MIN_MTU: u16 = 1280;
/// The smallest packet that every IPv4 host takes (RFC 791).
const IPV4_FLOOR: u16 = 576;

/// How a tunnel frames its packets.
#[derive(Debug, Clone)]
pub enum Framing {
    /// A datagram is an IP packet: readable and forgeable by everyone on the way.
    Plain,
    /// Sealed under keys made from a shared one.
    Preshared(PresharedKey),
}

impl Framing {
    /// Bytes that the framing adds to a packet.
    pub fn overhead(&self) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Preshared(_) => OVERHEAD as u16,
        }
    }
}

/// The IP version of the path under the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outer {
    /// IPv4: 20 bytes, and 8 of UDP.
    V4,
    /// IPv6: 40 bytes, and 8 of UDP.
    V6,
}

impl Outer {
    /// The IP version of the path to `remote`.
    pub fn towards(remote: IpAddr) -> Self {
        if remote.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of IP and UDP header around a datagram.
    pub fn overhead(self) -> u16 {
        match self {
            Self::V4 => 28,
            Self::V6 => 48,
        }
    }

    fn floor(self) -> u16 {
        match self {
            Self::V4 => IPV4_FLOOR,
            Self::V6 => IPV6_MIN_MTU,
        }
    }
}

/// The MTU for the TUN device, in bytes, over a path that takes outer packets of `path_mtu`.
///
/// An IPv6-capable device never goes below 1,280: where the path is narrower, the outer packets are
/// fragmented instead.
pub fn device_mtu(path_mtu: u16, outer: Outer, framing: &Framing, is_ipv6_capable: bool) -> u16 {
    let inner = path_mtu.saturating_sub(outer.overhead() + framing.overhead());
    if is_ipv6_capable {
        inner.max(IPV6_MIN_MTU)
    } else {
        inner
    }
}

/// Something to send to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A datagram as it is.
    Datagram(Vec<u8>),
    /// A message to be framed like a packet, without padding, and never fragmented.
    Message(Vec<u8>),
}

/// Something that the owner should know.
#[derive(Debug)]
pub enum Event {
    /// Receive with this session from now on: the peer (re)started.
    Receive(Arc<SealedSession>),
    /// Send with this session from now on: the peer can open it.
    Use(Arc<SealedSession>),
    /// The peer answers.
    Up,
    /// The peer does not answer any more; the tunnel keeps trying.
    Down,
    /// The path takes outer packets of this many bytes.
    PathMtu(u16),
}

/// One end of a point-to-point tunnel.
#[derive(Debug)]
pub struct Tunnel {
    outer: Outer,
    overhead: u16,
    interface_mtu: u16,
    first_token: u64,
    handshake: Option<Handshake>,
    /// None before there is a session to probe through.
    mtu: Option<PathMtu>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Tunnel {
    /// Starts an end. `interface_mtu` is what the local interface towards the peer takes; `seed` must
    /// be new and unpredictable.
    pub fn new(
        now: Instant,
        framing: &Framing,
        outer: Outer,
        interface_mtu: u16,
        seed: [u8; 32],
    ) -> Self {
        // Only a plain tunnel's probes must be hard to guess: the others are sealed.
        let (handshake, first_token) = match framing {
            Framing::Plain => {
                let [a, b, c, d, e, f, g, h, ..] = seed;
                (None, u64::from_le_bytes([a, b, c, d, e, f, g, h]))
            }
            Framing::Preshared(key) => (Some(Handshake::new(now, key.clone(), seed)), 0),
        };
        let mut tunnel = Self {
            outer,
            overhead: outer.overhead() + framing.overhead(),
            interface_mtu,
            first_token,
            handshake,
            mtu: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        if tunnel.handshake.is_none() {
            tunnel.start_probing(now);
        }
        tunnel.drain(now);
        tunnel
    }

    /// The size of outer packets in use, in bytes.
    pub fn path_mtu(&self) -> u16 {
        self.mtu
            .as_ref()
            .map_or(self.interface_mtu, PathMtu::current)
    }

    /// Takes a datagram that is no data message.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DropReason> {
        let result = match (&mut self.handshake, datagram.first()) {
            (Some(handshake), Some(&HELLO)) => handshake.handle_hello(now, datagram),
            _ => Err(DropReason::UnknownType),
        };
        self.drain(now);
        result
    }

    /// Takes a message from the peer, out of its framing.
    ///
    /// # Errors
    /// [`DropReason::UnknownType`] when it is none that we know.
    pub fn handle_message(&mut self, now: Instant, message: &[u8]) -> Result<(), DropReason> {
        match Probe::parse(message).ok_or(DropReason::UnknownType)? {
            Probe::Request(echo) => {
                self.transmits
                    .push_back(Transmit::Message(Probe::Reply(echo).to_message(MIN_LEN)));
                // Where there is a handshake, that is what tells when the peer is there.
                if let (None, Some(mtu)) = (&self.handshake, &mut self.mtu) {
                    mtu.handle_peer_heard(now);
                }
            }
            Probe::Reply(echo) => {
                if let Some(mtu) = &mut self.mtu {
                    mtu.handle_reply(now, echo);
                }
            }
            // Such a tunnel has one path.
            Probe::Ping(_) | Probe::Pong(_) | Probe::Call(_) => {
                return Err(DropReason::UnknownType);
            }
        }
        self.drain(now);
        Ok(())
    }

    /// Packets went to the peer since the last call.
    pub fn handle_activity(&mut self) {
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_activity();
        }
    }

    /// The kernel refused a datagram as longer than the interface takes.
    pub fn handle_refused(&mut self, now: Instant) {
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_refused(now);
        }
        self.drain(now);
    }

    /// The local interface towards the peer takes packets of this many bytes now.
    pub fn handle_interface_mtu(&mut self, now: Instant, interface_mtu: u16) {
        self.interface_mtu = interface_mtu;
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_ceiling(now, interface_mtu);
        }
        self.drain(now);
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(handshake) = &mut self.handshake {
            handshake.handle_timeout(now);
        }
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_timeout(now);
        }
        self.drain(now);
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let hello = self.handshake.as_ref().and_then(Handshake::poll_timeout);
        let probe = self
            .mtu
            .as_ref()
            .and_then(PathMtu::poll_timeout)
            .map(|(at, _)| at);
        hello.into_iter().chain(probe).min()
    }

    /// The next thing to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn start_probing(&mut self, now: Instant) {
        let token = self.first_token;
        self.mtu = Some(PathMtu::new(
            now,
            self.outer.floor(),
            self.interface_mtu,
            token,
        ));
    }

    /// Takes over what the parts want done.
    fn drain(&mut self, now: Instant) {
        let mut is_peer_ready = false;
        while let Some(output) = self.handshake.as_mut().and_then(Handshake::poll_output) {
            match output {
                Output::Send(hello) => {
                    self.transmits.push_back(Transmit::Datagram(hello.to_vec()));
                }
                Output::Receive(session) => self.events.push_back(Event::Receive(session)),
                Output::Use(session) => {
                    self.events.push_back(Event::Use(session));
                    is_peer_ready = true;
                }
            }
        }
        match &mut self.mtu {
            // A peer that restarted is still at the end of the same path: what is known of it stays.
            Some(mtu) if is_peer_ready => mtu.handle_new_session(now),
            None if is_peer_ready => self.start_probing(now),
            _ => {}
        }
        let Some(mtu) = &mut self.mtu else { return };
        if let Some(handshake) = self.handshake.as_mut().filter(|_| mtu.is_silent()) {
            handshake.handle_silence(now);
        }
        while let Some(echo @ Echo { size, .. }) = mtu.poll_probe() {
            let len = usize::from(size.saturating_sub(self.overhead));
            self.transmits
                .push_back(Transmit::Message(Probe::Request(echo).to_message(len)));
        }
        while let Some(event) = mtu.poll_event() {
            self.events.push_back(match event {
                mtu::Event::Reached => Event::Up,
                mtu::Event::Silent => Event::Down,
                mtu::Event::Changed(size) => Event::PathMtu(size),
            });
        }
    }
}
