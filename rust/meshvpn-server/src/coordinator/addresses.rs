//! Which addresses a new node gets.
//!
//! The place of an address in its network follows from the node's number, so an address comes back into use as
//! late as the network allows; what is taken is passed over.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::route::Prefix;

use super::state::State;

/// One free address of each network, or the network that has none left.
pub(super) fn allocate(
    state: &State,
    networks: &[Prefix],
    node: NodeId,
) -> Result<Vec<IpAddr>, Prefix> {
    let free = |network: &Prefix| free_in(state, network, node).ok_or(*network);
    networks.iter().map(free).collect()
}

fn free_in(state: &State, network: &Prefix, node: NodeId) -> Option<IpAddr> {
    let (first, usable) = hosts(network);
    let address = |place: u128| match network.address() {
        IpAddr::V4(base) => Ipv4Addr::from(u32::from(base) + (first + place) as u32).into(),
        IpAddr::V6(base) => Ipv6Addr::from(u128::from(base) + first + place).into(),
    };
    let start = u128::from(node.0 - 1) % usable;
    let mut addresses = (0..usable).map(|step| address((start + step) % usable));
    let preferred = addresses.next()?;
    if !state.is_address_taken(&preferred) {
        return Some(preferred);
    }
    // Otherwise the walk would go through all of a network that has none left.
    if state.addresses_within(network) as u128 >= usable {
        return None;
    }
    addresses.find(|address| !state.is_address_taken(address))
}

/// The place of the first address that a node may have, and how many there are. The network's first and, of
/// IPv4, its last are no host's; a network of two addresses (RFC 3021) or one has nothing else.
fn hosts(network: &Prefix) -> (u128, u128) {
    let bits = if network.address().is_ipv4() { 32 } else { 128 };
    let size = 1u128.checked_shl(u32::from(bits - network.len()));
    let size = size.unwrap_or(u128::MAX);
    match (size, network.address()) {
        (1 | 2, _) => (0, size),
        (_, IpAddr::V4(_)) => (1, size - 2),
        (_, IpAddr::V6(_)) => (1, size - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(network: &str, nodes: core::ops::Range<u64>) -> Vec<String> {
        let network: Prefix = network.parse().unwrap();
        let state = State::default();
        let nodes = nodes.map(|id| allocate(&state, &[network], NodeId(id)).unwrap());
        nodes.map(|addresses| addresses[0].to_string()).collect()
    }

    #[test]
    fn addresses_follow_numbers_and_begin_anew_at_the_end() {
        let seen = addresses("10.0.0.0/30", 1..4);
        assert_eq!(seen, ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
        assert_eq!(addresses("10.0.0.6/31", 1..4)[1], "10.0.0.7");
        assert_eq!(addresses("10.0.0.6/32", 7..9), ["10.0.0.6", "10.0.0.6"]);
        assert_eq!(addresses("100.64.0.0/10", 256..257), ["100.64.1.0"]);
        assert_eq!(addresses("fd00::/64", 1..3), ["fd00::1", "fd00::2"]);
        assert_eq!(addresses("::/0", 1..2), ["::1"]);
    }
}
