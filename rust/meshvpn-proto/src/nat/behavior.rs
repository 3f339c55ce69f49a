//! The behaviours of a NAT, by the names of RFC 4787.

use core::fmt;

use serde::{Deserialize, Serialize};

/// For which destinations one inner socket keeps one outer port (RFC 4787, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// EIM: one outer port for all destinations.
    EndpointIndependent,
    /// ADM: a new port for each other address.
    AddressDependent,
    /// APDM: a new port for each other address and each other port.
    AddressAndPortDependent,
}

/// Who may send to a mapped port (RFC 4787, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// EIF: everybody.
    EndpointIndependent,
    /// ADF: addresses that the inner socket has sent to.
    AddressDependent,
    /// APDF: only the very endpoints that it has sent to.
    AddressAndPortDependent,
}

/// How a NAT chooses the outer port of a new mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pattern")]
pub enum Allocation {
    /// The inner port, where it is free.
    Preserving,
    /// The last one and a step, for all inner hosts together.
    Sequential {
        /// From one mapping to the next; negative when it counts down.
        step: i32,
    },
    /// No pattern.
    Random {
        /// The lowest port that was seen.
        lowest: u16,
        /// The highest.
        highest: u16,
        /// How many ports it chooses from: what their spread suggests.
        range: u32,
    },
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preserving => f.write_str("port-preserving"),
            Self::Sequential { step } => write!(f, "sequential ({step:+})"),
            Self::Random {
                lowest,
                highest,
                range,
            } => write!(f, "random ({lowest}-{highest}, of about {range} ports)"),
        }
    }
}
