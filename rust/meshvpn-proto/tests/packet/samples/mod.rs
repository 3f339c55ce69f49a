//! One packet of each kind, with the line that people shall read for it.
//!
//! The lines are judged here; the fields of the same packets are judged by tshark.

mod icmp;
mod malformed;
mod network;
mod transport;

pub(crate) use malformed::malformed;

/// (name, expected summary, packet).
pub(crate) type Sample = (&'static str, &'static str, Vec<u8>);

/// All kinds: what is sound and, behind it, what is not.
pub(crate) fn all() -> Vec<Sample> {
    [sound(), malformed()].concat()
}

/// Packets without a fault.
pub(crate) fn sound() -> Vec<Sample> {
    [
        icmp::in_v4(),
        icmp::in_v6(),
        transport::tcp(),
        transport::udp_and_others(),
        network::extension_headers(),
        network::fragments(),
    ]
    .concat()
}
