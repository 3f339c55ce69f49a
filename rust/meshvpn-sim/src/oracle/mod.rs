//! Whether two nodes can reach each other directly, and how: what physics allows, by the behaviours of what
//! stands between them. Nodes are held to it.
//!
//! *Punching* is both sides sending to where a STUN server saw the other, and each learning from what arrives
//! where it really comes from (peer-reflexive candidates). It works when a datagram of either side passes the
//! other's filter, and the answer passes back:
//!
//! * a filter that asks nothing lets it in; one that asks for the address does, since the other side has sent
//!   there, from the same port if its mapping is endpoint-independent; one that asks for the port as well does
//!   only where the sender's port is the one that STUN saw, so that its mapping must be endpoint-independent
//!   too;
//! * the answer goes back to where the datagram came from, and so the sender's NAT expects it, if it comes
//!   from where the sender sent to.
//!
//! Where that fails, a port must be *guessed*: predicted where it is counted, else hit by chance (the birthday
//! paradox), with odds that depend on how many ports there are and how many datagrams one may send.

#[cfg(test)]
mod tests;

use core::fmt;

use crate::nat::{Behavior, Filtering, Kind, Mapping, Ports, Unexpected};

/// The range that NATs choose ports from, unless they choose from a block.
const RANGE: f64 = 64_512.0;

/// One of the two, and what stands between it and the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// The NAT; of several in a row, what they do together.
    pub nat: Behavior,
    /// Its local network; two sides with the same number share it.
    pub lan: Option<u32>,
    /// The carrier whose NAT it shares with others, and whether that one hairpins.
    pub carrier: Option<(u32, bool)>,
    /// It has IPv6, behind nothing worse than a firewall that lets answers in.
    pub has_v6: bool,
    /// Its router has opened a port for it (PCP, NAT-PMP, UPnP).
    pub is_port_mapped: bool,
}

impl Side {
    /// A node with IPv4 alone, behind a NAT of this kind.
    pub fn of(kind: Kind) -> Self {
        let nat = match kind {
            // A port-restricted home behind a NAT that asks nothing: both together are as strict as the home.
            Kind::Cgnat => Behavior::of(Kind::PortRestrictedRemapped),
            kind => Behavior::of(kind),
        };
        Self {
            nat,
            lan: None,
            carrier: None,
            has_v6: false,
            is_port_mapped: false,
        }
    }

    /// The same, in this local network.
    pub fn in_lan(self, lan: u32) -> Self {
        Self {
            lan: Some(lan),
            ..self
        }
    }

    /// The same, a subscriber of this carrier.
    pub fn of_carrier(self, carrier: u32, hairpins: bool) -> Self {
        Self {
            carrier: Some((carrier, hairpins)),
            ..self
        }
    }

    /// The same, with IPv6 too.
    pub fn with_v6(self) -> Self {
        Self {
            has_v6: true,
            ..self
        }
    }

    fn mapping(&self) -> Mapping {
        if self.is_port_mapped {
            Mapping::EndpointIndependent
        } else {
            self.nat.mapping
        }
    }

    fn filtering(&self) -> Filtering {
        if self.is_port_mapped {
            Filtering::EndpointIndependent
        } else {
            self.nat.filtering
        }
    }

    fn is_easy(&self) -> bool {
        self.mapping() == Mapping::EndpointIndependent
    }

    fn is_counted(&self) -> bool {
        matches!(self.nat.ports, Ports::Sequential { .. })
    }

    /// How many ports its NAT chooses from.
    fn range(&self) -> f64 {
        match self.nat.ports {
            Ports::Block { size } => f64::from(size),
            _ => RANGE,
        }
    }
}

/// What may be spent on guessing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Sockets that one side opens.
    pub sockets: u32,
    /// Datagrams that the other sends to ports that it guesses.
    pub probes: u32,
    /// Mappings that each side makes when both guess, and never more than half a block.
    pub flows: u32,
    /// Ports that are tried from where a counter is believed to be.
    pub window: u32,
}

impl Default for Budget {
    /// The stages of a node.
    fn default() -> Self {
        Self {
            sockets: 256,
            probes: 1741,
            flows: 3000,
            window: 32,
        }
    }
}

/// How a direct path comes about without guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// In one local network, at its addresses.
    Lan,
    /// Over IPv6: both send, and the firewalls take it for answers.
    Ipv6,
    /// Over the public network by punching.
    Punching,
    /// By punching, if the first datagram of each side dies behind its own NAT: else the other's, when it is
    /// early, spoils the port.
    PunchingWithOpener,
}

/// How a port is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guess {
    /// The counter of one side, or of both, is followed.
    Prediction,
    /// Many sockets here, many guesses there.
    Birthday,
    /// Both sides make many mappings.
    BothSides,
}

/// Why there is no direct path over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// One of them has no UDP.
    UdpBlocked,
    /// They share a carrier's NAT that does not let its subscribers reach each other.
    NoHairpin,
}

/// What can be expected of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlook {
    /// A direct path, always.
    Direct(Way),
    /// A direct path with this probability, within the budget.
    Guessed {
        /// How.
        guess: Guess,
        /// From 0 to 1.
        odds: f64,
    },
    /// Only a relay helps.
    Relayed(Obstacle),
}

impl Outlook {
    /// A direct path without guessing.
    pub fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(_))
    }

    /// The probability of a direct path.
    pub fn odds(&self) -> f64 {
        match self {
            Self::Direct(_) => 1.0,
            Self::Guessed { odds, .. } => *odds,
            Self::Relayed(_) => 0.0,
        }
    }
}

/// What can be expected of two nodes.
pub fn outlook(a: &Side, b: &Side, budget: &Budget) -> Outlook {
    if a.lan.is_some() && a.lan == b.lan {
        return Outlook::Direct(Way::Lan);
    }
    if !a.nat.udp || !b.nat.udp {
        return Outlook::Relayed(Obstacle::UdpBlocked);
    }
    if a.has_v6 && b.has_v6 {
        return Outlook::Direct(Way::Ipv6);
    }
    match (a.carrier, b.carrier) {
        (Some((one, hairpins)), Some((other, _))) if one == other && !hairpins => {
            return Outlook::Relayed(Obstacle::NoHairpin);
        }
        _ => {}
    }
    if gets_through(a, b) || gets_through(b, a) {
        let way = if is_spoilt_by_early(a, b) || is_spoilt_by_early(b, a) {
            Way::PunchingWithOpener
        } else {
            Way::Punching
        };
        return Outlook::Direct(way);
    }
    let (guess, odds) = guess(a, b, budget);
    Outlook::Guessed { guess, odds }
}

/// Whether a datagram of `a` to where STUN saw `b` gets in, and `b`'s answer back.
fn gets_through(a: &Side, b: &Side) -> bool {
    // Where the socket that STUN saw is not the one that b sends to a from, its filter knows nothing of a.
    let gets_in = match b.filtering() {
        Filtering::EndpointIndependent => true,
        Filtering::AddressDependent => b.is_easy(),
        Filtering::AddressAndPortDependent => b.is_easy() && a.is_easy(),
    };
    let gets_back = match a.filtering() {
        Filtering::EndpointIndependent | Filtering::AddressDependent => true,
        Filtering::AddressAndPortDependent => b.is_easy(),
    };
    gets_in && gets_back
}

/// Whether an early datagram of `b` makes the port of `a` another one, which `b` does not let in.
fn is_spoilt_by_early(a: &Side, b: &Side) -> bool {
    let is_strict = b.filtering() == Filtering::AddressAndPortDependent;
    a.nat.unexpected == Unexpected::Occupies && is_strict && !a.is_port_mapped
}

fn guess(a: &Side, b: &Side, budget: &Budget) -> (Guess, f64) {
    // Both filters ask for the port; where one asks for the address alone, its mapping is the trouble, and a
    // sender need not be hit in its own port.
    let (easier, harder) = if a.is_easy() { (a, b) } else { (b, a) };
    if easier.is_easy() && harder.is_counted() {
        return (Guess::Prediction, followed(&[harder], budget));
    }
    if easier.is_easy() {
        let draws = f64::from(budget.sockets) * f64::from(budget.probes);
        return (Guess::Birthday, hit(draws / harder.range()));
    }
    let flows = |side: &Side| f64::from(budget.flows).min(side.range() / 2.0);
    match (a.is_counted(), b.is_counted()) {
        (true, true) => (Guess::Prediction, followed(&[a, b], budget)),
        (true, false) => (Guess::BothSides, hit(flows(b) / b.range())),
        (false, true) => (Guess::BothSides, hit(flows(a) / a.range())),
        (false, false) => {
            let n = flows(a).min(flows(b));
            (Guess::BothSides, hit(n * n / (a.range() * b.range())))
        }
    }
}

/// Counters are followed for sure while others move them less than the window is wide.
fn followed(sides: &[&Side], budget: &Budget) -> f64 {
    // What others map in a second: sampling and punching take less.
    let moved = sides.iter().map(|side| side.nat.cross_traffic).sum::<u32>();
    if moved < budget.window { 1.0 } else { 0.0 }
}

/// The probability of at least one hit, where so many are expected.
fn hit(expected: f64) -> f64 {
    1.0 - (-expected).exp()
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(Way::Lan) => f.write_str("direct in the local network"),
            Self::Direct(Way::Ipv6) => f.write_str("direct over IPv6"),
            Self::Direct(Way::Punching) => f.write_str("direct by punching"),
            Self::Direct(Way::PunchingWithOpener) => f.write_str("direct by punching with openers"),
            Self::Guessed { guess, odds } => {
                let guess = match guess {
                    Guess::Prediction => "predicting ports",
                    Guess::Birthday => "guessing ports of one side",
                    Guess::BothSides => "guessing ports of both sides",
                };
                write!(f, "direct by {guess}: {:.1} %", odds * 100.0)
            }
            Self::Relayed(Obstacle::UdpBlocked) => f.write_str("relayed: UDP is blocked"),
            Self::Relayed(Obstacle::NoHairpin) => {
                f.write_str("relayed: the carrier's NAT does not hairpin")
            }
        }
    }
}
