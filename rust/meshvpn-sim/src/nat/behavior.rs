//! NATs by their behaviours, and the kinds of them that homes, companies and carriers have.
//!
//! The kinds are those of the lab (`meshvpn.lab.Nat`), where Linux routers behave so; what the simulator's do
//! is checked by the same questions: [discovery](meshvpn_proto::nat::discovery).

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

pub use meshvpn_proto::nat::behavior::{Filtering, Mapping};

use super::session::Timeouts;
use crate::packet::Protocol;

/// How the outer port of a new mapping is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// None is: addresses are not translated, it is a firewall alone.
    Untranslated,
    /// The inner port; a random one where that is taken.
    Preserving,
    /// Any of the whole range, by chance.
    Random,
    /// The last and a step, counted for all inner hosts together.
    Sequential {
        /// May be negative.
        step: i32,
    },
    /// By chance out of so many ports, which each inner host has to itself (RFC 7422).
    Block {
        /// Ports of a block.
        size: u16,
    },
}

/// What becomes of a datagram from outside that no mapping expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unexpected {
    /// Dropped without a trace.
    Dropped,
    /// The router takes it for its own, and so the port is taken for that peer: the inner host's next
    /// datagram to it leaves from another port. Linux does so when it has no firewall.
    Occupies,
}

/// All that is to be said of a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behavior {
    /// For which destinations one inner socket keeps one outer port.
    pub mapping: Mapping,
    /// Who may send to it.
    pub filtering: Filtering,
    /// How it is chosen.
    pub ports: Ports,
    /// What becomes of the unexpected.
    pub unexpected: Unexpected,
    /// Inner hosts reach each other at their outer addresses.
    pub hairpin: bool,
    /// UDP gets through at all. Where it does not, TCP does to port 443 alone.
    pub udp: bool,
    /// A session that has not been answered, or is young, ends after this long without a packet. Linux: 30 s.
    pub timeout: Duration,
    /// One that went both ways for more than two seconds ends after this long. Linux: 120 s.
    pub stream_timeout: Duration,
    /// A mapping ends at this age, however busy it is: some carriers do so.
    pub lifetime: Option<Duration>,
    /// Mappings at most; further ones are refused until some have ended.
    pub capacity: usize,
    /// Mappings a second that others make; who counts ports sees them go by.
    pub cross_traffic: u32,
}

impl Behavior {
    /// Endpoint-independent mapping to random ports, endpoint-independent filtering; times of Linux.
    pub const FULL_CONE: Self = Self {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::EndpointIndependent,
        ports: Ports::Random,
        unexpected: Unexpected::Dropped,
        hairpin: false,
        udp: true,
        timeout: Duration::from_secs(30),
        stream_timeout: Duration::from_secs(120),
        lifetime: None,
        capacity: 60_000,
        cross_traffic: 0,
    };

    /// A firewall that lets answers in and translates nothing: what stands before IPv6 hosts at home.
    pub const FIREWALL: Self = Self {
        filtering: Filtering::AddressAndPortDependent,
        ports: Ports::Untranslated,
        ..Self::FULL_CONE
    };

    /// Neither translation nor firewall.
    pub const OPEN: Self = Self {
        ports: Ports::Untranslated,
        ..Self::FULL_CONE
    };

    pub(super) fn timeouts(&self, protocol: Protocol) -> Timeouts {
        match protocol {
            Protocol::Udp => Timeouts {
                young: self.timeout,
                stream: self.stream_timeout,
            },
            // RFC 5382, REQ-5: four minutes before it is established, then two hours and four minutes.
            Protocol::Tcp => Timeouts {
                young: Duration::from_secs(4 * 60),
                stream: Duration::from_secs(124 * 60),
            },
        }
    }

    /// A NAT of this kind. Of [`Kind::Cgnat`], the carrier's: the home's is
    /// [`Kind::PortRestricted`].
    pub fn of(kind: Kind) -> Self {
        use Filtering::{AddressAndPortDependent as Apdf, AddressDependent as Adf};
        use Mapping::{AddressAndPortDependent as Apdm, AddressDependent as Adm};
        let cone = Self::FULL_CONE;
        let restricted = Self {
            filtering: Apdf,
            ..cone
        };
        let preserving = Self {
            ports: Ports::Preserving,
            ..restricted
        };
        let symmetric = Self {
            mapping: Apdm,
            ..restricted
        };
        match kind {
            Kind::Open => Self::OPEN,
            Kind::FullCone => cone,
            Kind::AddressRestricted => Self {
                filtering: Adf,
                ..cone
            },
            Kind::PortRestricted => preserving,
            Kind::PortRestrictedRemapped => restricted,
            Kind::AddressDependent => Self {
                mapping: Adm,
                ..restricted
            },
            Kind::SymmetricSequential => Self {
                ports: Ports::Sequential { step: 1 },
                ..symmetric
            },
            Kind::SymmetricRandom => symmetric,
            Kind::PortBlock => Self {
                ports: Ports::Block { size: 1024 },
                ..symmetric
            },
            Kind::Hairpin => Self {
                hairpin: true,
                ..cone
            },
            Kind::HostileCone => Self {
                unexpected: Unexpected::Occupies,
                ..preserving
            },
            Kind::Cgnat => Self {
                ports: Ports::Block { size: 1024 },
                hairpin: true,
                ..cone
            },
            Kind::UdpBlocked => Self {
                udp: false,
                ..preserving
            },
        }
    }
}

/// What stands between a home and the public network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No translation and no firewall: every host has a public address.
    Open,
    /// One random outer port per inner socket; whoever learns it may use it.
    FullCone,
    /// As full cone, but only addresses that the inner socket has sent to may answer.
    AddressRestricted,
    /// Plain Linux masquerading, the commonest home router: keeps the port number where it can.
    PortRestricted,
    /// As port-restricted, with a random outer port.
    PortRestrictedRemapped,
    /// A new outer port for each other address, the same for all ports of one address.
    AddressDependent,
    /// A new outer port for each other endpoint, counted upwards for the whole router.
    SymmetricSequential,
    /// A new random outer port for each other endpoint, out of the whole range.
    SymmetricRandom,
    /// A symmetric carrier NAT whose subscriber gets a block of 1024 ports.
    PortBlock,
    /// Full cone whose inside hosts also reach each other at their outer addresses.
    Hairpin,
    /// Port-restricted, but an early datagram of a peer occupies the port towards that peer.
    HostileCone,
    /// A port-restricted home behind a carrier's endpoint-independent NAT with port blocks and hairpin.
    Cgnat,
    /// Only TCP to port 443 gets out.
    UdpBlocked,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::PortRestrictedRemapped,
        Self::AddressDependent,
        Self::SymmetricSequential,
        Self::SymmetricRandom,
        Self::PortBlock,
        Self::Hairpin,
        Self::HostileCone,
        Self::Cgnat,
        Self::UdpBlocked,
    ];

    /// Its name for people; the lab's names are the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::PortRestrictedRemapped => "port-restricted-remapped",
            Self::AddressDependent => "address-dependent",
            Self::SymmetricSequential => "symmetric-sequential",
            Self::SymmetricRandom => "symmetric-random",
            Self::PortBlock => "port-block",
            Self::Hairpin => "hairpin",
            Self::HostileCone => "hostile-cone",
            Self::Cgnat => "cgnat",
            Self::UdpBlocked => "udp-blocked",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No kind of NAT has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        write!(
            f,
            "{:?} is no kind of NAT; one of {}",
            self.0,
            names.join(", ")
        )
    }
}

impl core::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| UnknownKind(name.to_owned()))
    }
}
