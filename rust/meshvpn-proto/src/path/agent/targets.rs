//! Which addresses are worth a ping, and from which socket.

use core::net::{IpAddr, SocketAddr};

use crate::forward::Path;

/// The places of the node's own sockets in the engine's table: one for each IP version that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sockets {
    /// The one that reaches IPv4 addresses.
    pub v4: Option<usize>,
    /// The one that reaches IPv6 addresses.
    pub v6: Option<usize>,
}

impl Sockets {
    /// The way to an address; none when no socket reaches it, or nobody can be there.
    pub fn path_to(&self, address: SocketAddr) -> Option<Path> {
        let socket = if address.is_ipv4() { self.v4 } else { self.v6 };
        let path = Path {
            socket: socket?,
            source: None,
            destination: address,
        };
        let is_possible = address.port() != 0 && path.relayed_number().is_none();
        (is_possible && is_unicast(address.ip())).then_some(path)
    }
}

fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_reserved = address.octets()[0] >= 240;
            !(address.is_unspecified() || address.is_multicast() || is_reserved)
        }
        // A link-local address means nothing without the interface that it belongs to.
        IpAddr::V6(address) => {
            !(address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local())
        }
    }
}

/// Whether an address is one of a local network (RFC 1918, 3927, 4193), which is reached without any detour
/// where it is reached at all.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_link_local() || address.is_loopback()
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_reached_is_tried() {
        let sockets = Sockets {
            v4: Some(0),
            v6: Some(1),
        };
        let tried = |address: &str| sockets.path_to(address.parse().unwrap());
        assert_eq!(tried("192.0.2.1:7").map(|path| path.socket), Some(0));
        assert_eq!(tried("[2001:db8::1]:7").map(|path| path.socket), Some(1));
        for address in [
            "0.0.0.0:7",
            "224.0.0.1:7",
            "255.255.255.255:7",
            "192.0.2.1:0",
            "[fe80::1]:7",
            "[ff02::1]:7",
            "[100::5]:7",
        ] {
            assert_eq!(tried(address), None, "{address}");
        }
        let v4_only = Sockets {
            v6: None,
            ..sockets
        };
        assert_eq!(v4_only.path_to("[2001:db8::1]:7".parse().unwrap()), None);
    }
}
