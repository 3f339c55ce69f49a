//! Names of addresses (RFC 1035, section 3.5; RFC 3596, section 2.5).

use core::net::IpAddr;

use hickory_proto::rr::Name;

use crate::route::Prefix;

/// A network of which more zones than this would have to be named is left out: it is cut at a bit far from
/// the end of a label, as `10.0.0.0/9` is.
const MOST_ZONES: u32 = 64;

/// The zones in which the addresses of `network` have their names, without the dot at the end; none for
/// whole address spaces. `100.64.0.0/10` has 64: `64.100.in-addr.arpa` to `127.100.in-addr.arpa`.
///
/// A label holds 8 bits of an IPv4 address and 4 of an IPv6 address; a network that ends within one has
/// several zones.
pub fn reverse_zones(network: Prefix) -> Vec<String> {
    let (bits_per_label, width) = match network.address() {
        IpAddr::V4(_) => (8, 32u32),
        IpAddr::V6(_) => (4, 128u32),
    };
    let len = u32::from(network.len());
    let labels = len.div_ceil(bits_per_label);
    let count = 1u32 << (labels * bits_per_label - len);
    if labels == 0 || count > MOST_ZONES {
        return Vec::new();
    }
    let step = 1u128
        .checked_shl(width - labels * bits_per_label)
        .unwrap_or(0);
    let skipped = (width / bits_per_label - labels) as usize;
    (0..count)
        .map(|number| {
            let name = Name::from(plus(network.address(), step * u128::from(number)));
            let labels: Vec<_> = name
                .iter()
                .skip(skipped)
                .map(String::from_utf8_lossy)
                .collect();
            labels.join(".")
        })
        .collect()
}

fn plus(address: IpAddr, distance: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).wrapping_add(distance as u32).into()),
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).wrapping_add(distance).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(network: &str) -> Vec<String> {
        reverse_zones(network.parse().unwrap())
    }

    #[test]
    fn a_network_has_the_zones_that_its_bits_fill() {
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa"]);
        assert_eq!(zones("10.9.0.0/16"), ["9.10.in-addr.arpa"]);
        assert_eq!(
            zones("10.9.0.4/31"),
            ["4.0.9.10.in-addr.arpa", "5.0.9.10.in-addr.arpa"]
        );
        let cgnat = zones("100.64.0.0/10");
        assert_eq!(cgnat.len(), 64);
        assert_eq!(cgnat[0], "64.100.in-addr.arpa");
        assert_eq!(cgnat[63], "127.100.in-addr.arpa");
        assert_eq!(zones("fd00::/8"), ["d.f.ip6.arpa"]);
        assert_eq!(
            zones("fd12:3456:789a::/48"),
            ["a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa"]
        );
        assert_eq!(zones("fd00::/7"), ["c.f.ip6.arpa", "d.f.ip6.arpa"]);
        assert_eq!(zones("2001:db8::1/128").len(), 1);
        assert_eq!(zones("255.255.255.255/32").len(), 1);
    }

    #[test]
    fn whole_address_spaces_have_none() {
        for network in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "10.0.0.0/9"] {
            assert_eq!(zones(network), [""; 0], "{network}");
        }
    }
}
