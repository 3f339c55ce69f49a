//! Candidates: addresses at which a node may be reached directly (RFC 8445, section 5.1).

use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How an address became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An address of the node's own interfaces.
    Host,
    /// Where a STUN server saw the node's packets come from.
    ServerReflexive,
    /// Where a peer saw them come from.
    PeerReflexive,
    /// Opened on request by the node's router: PCP, NAT-PMP or UPnP.
    PortMapped,
}

impl Kind {
    /// As people read it, and as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "server-reflexive",
            Self::PeerReflexive => "peer-reflexive",
            Self::PortMapped => "port-mapped",
        }
    }
}

/// An address at which a node may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// How it became known.
    pub kind: Kind,
    /// IP address and UDP port.
    pub address: SocketAddr,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.kind.name())
    }
}
