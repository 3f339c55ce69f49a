//! What can be wrong with a packet, in words for people.
//!
//! A defect never stops the reader from telling what it did understand: a packet with a wrong
//! checksum still has its ports, one with a cut-off TCP header still has its addresses.

/// One thing that is wrong with a packet; its `Display` is the reason shown to people.
///
/// `part` names the header or length concerned, for example `"TCP header"`. All lengths are in
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// There is not a single byte.
    #[error("empty packet")]
    Empty,
    /// The first four bits are neither 4 nor 6.
    #[error("not an IP packet (version {0})")]
    NotIp(u8),
    /// A header, or the whole packet, says it is longer than what is there.
    #[error("{part} truncated ({have} of {need} bytes)")]
    Truncated {
        /// What is cut off.
        part: &'static str,
        /// Bytes that are there.
        have: usize,
        /// Bytes that there should be.
        need: usize,
    },
    /// A length field is smaller than the header that holds it.
    #[error("{part} is {value} bytes, less than the {minimum} of its header")]
    LengthTooSmall {
        /// Which length.
        part: &'static str,
        /// What it says.
        value: usize,
        /// The smallest possible value.
        minimum: usize,
    },
    /// The buffer goes on after the end that the IP header states.
    #[error("{0} stray bytes after the end of the packet")]
    StrayBytes(usize),
    /// A checksum does not match the bytes it covers.
    #[error("wrong {part} checksum {found:#06x}, should be {expected:#06x}")]
    WrongChecksum {
        /// Which checksum.
        part: &'static str,
        /// The value in the packet.
        found: u16,
        /// The value that would be right.
        expected: u16,
    },
    /// A hop-by-hop options header follows another header (RFC 8200, 4.1 has it first or not at
    /// all).
    #[error("hop-by-hop options are not directly after the IPv6 header")]
    MisplacedHopByHop,
    /// A fragment that is not the last has a length that no offset can continue (RFC 8200, 4.5).
    #[error("fragment length {0} is not a multiple of 8")]
    UnalignedFragment(usize),
    /// The datagram that this fragment belongs to would exceed the largest possible one
    /// (the "ping of death").
    #[error("fragment ends at byte {0}, beyond the maximum of 65535")]
    OversizedFragment(usize),
    /// A list of options ends inside an option, or an option has an impossible length.
    #[error("{0} options are malformed")]
    BadOptions(&'static str),
}
