//! What a node tells, and what people see of it.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::control::map::{NodeId, RelayId};
use crate::keys::{PrivateKey, PublicKey};
use crate::path::agent::reason::Shown;
use crate::path::agent::status::PathStatus;
use crate::path::agent::{Reason, Route};
use crate::path::candidate::Candidate;
pub use crate::wireguard::Transmit;

/// Something that the owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Frames that wait for a session may [go](crate::forward::Outbound::push_parked), or are given up.
    Resume,
    /// There is a session with the peer, after there was none.
    Up {
        /// Who.
        peer: NodeId,
    },
    /// The peer does not answer; nothing more is tried until somebody sends.
    Down {
        /// Who.
        peer: NodeId,
    },
    /// Traffic to the peer goes another way from now on. The slot's path is there already. When a direct path has
    /// fallen [silent](Reason::Silent), NATs on our side may have changed: STUN servers should be asked again.
    Path {
        /// Who.
        peer: NodeId,
        /// What has changed.
        change: PathChange,
    },
    /// Our own addresses have changed: to be told to the coordinator. Peers are told already.
    Candidates(Vec<Candidate>),
    /// A peer sees us at this address, and did not before: where that is none of ours, NATs may have changed.
    SeenAt {
        /// Who.
        peer: NodeId,
        /// Where.
        address: SocketAddr,
    },
    /// The peer is reached over this relay: tell its path by [`handle_relay`](super::Node::handle_relay). None:
    /// over no relay any more.
    Relay {
        /// Who.
        peer: NodeId,
        /// Its address on the relay.
        key: PublicKey,
        /// Which relay.
        relay: Option<RelayId>,
    },
    /// An answer to [`Node::ping`](super::Node::ping).
    Pong {
        /// Who answers.
        peer: NodeId,
        /// The number that was given.
        id: u64,
        /// The way that the ping went, and the answer came.
        route: Route,
        /// In this time.
        round_trip: Duration,
    },
    /// Our ephemeral key of a handshake: see [`Event`](crate::wireguard::Event::EphemeralKey).
    EphemeralKey {
        /// The peer.
        peer: PublicKey,
        /// The key.
        key: PrivateKey,
    },
}

/// A change of the way that traffic to a peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathChange {
    /// The way.
    pub route: Route,
    /// The way before.
    pub before: Route,
    /// Why.
    pub reason: Reason,
    /// How fast it answers, if that is known.
    pub round_trip: Option<Duration>,
}

/// As a log has it: `direct 203.0.113.7:41641, 12 ms, was relayed: it answers within 12 ms`.
impl fmt::Display for PathChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.route)?;
        if let Some(round_trip) = self.round_trip {
            write!(f, ", {}", Shown(round_trip))?;
        }
        if self.before != Route::Nowhere {
            write!(f, ", was {}", self.before)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is known of a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus<'a> {
    /// Its number.
    pub id: NodeId,
    /// Its name, without the mesh's domain.
    pub name: &'a str,
    /// Its key.
    pub key: PublicKey,
    /// Its addresses in the mesh.
    pub addresses: &'a [IpAddr],
    /// The peer's slot.
    pub slot: usize,
    /// Whether the coordinator has heard of it lately.
    pub is_online: bool,
    /// A WireGuard peer of another make.
    pub is_static: bool,
    /// There is a session that packets can be sent with.
    pub has_session: bool,
    /// When the last handshake succeeded, since 1970.
    pub last_handshake: Option<Duration>,
    /// Packets sent to it.
    pub sent_packets: u64,
    /// Packets and keepalives received from it.
    pub received_packets: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// Bytes of UDP payload received, authentic ones.
    pub received_bytes: u64,
    /// Which relay it is reached over.
    pub relay: Option<RelayId>,
    /// Where traffic to it goes.
    pub path: PathStatus,
}
