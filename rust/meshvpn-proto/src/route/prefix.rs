//! A prefix: an address of which the first bits count.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A network as routing knows it, e.g. `10.0.0.0/8`. Bits behind the prefix are zero.
///
/// Ordered by version, then address, then length: a network stands before what lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The network of `len` bits that holds `address`; `None` when an address has fewer bits.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        if len > bits_of(address) {
            return None;
        }
        let address = match address {
            IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & mask_v4(len)).into(),
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & mask_v6(len)).into(),
        };
        Some(Self { address, len })
    }

    /// The network of one address alone.
    pub fn host(address: IpAddr) -> Self {
        let len = bits_of(address);
        Self { address, len }
    }

    /// The network's first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits count: at most 32 or 128.
    #[expect(clippy::len_without_is_empty, reason = "a prefix length, not a count")]
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether `address` lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)) & mask_v4(self.len) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)) & mask_v6(self.len) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// Text that is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address with a prefix length; write 10.0.0.0/24 or fd00::/64")]
pub struct PrefixError;

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `10.0.0.0/8`; without a length the address stands alone. Bits behind the prefix are
    /// cleared, as `wg` does it.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, len) = split_prefix(text).ok_or(PrefixError)?;
        Self::new(address, len).ok_or(PrefixError)
    }
}

/// As text, `10.0.0.0/8`.
impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An address and a length that it can have; without one, all its bits.
pub(crate) fn split_prefix(text: &str) -> Option<(IpAddr, u8)> {
    let Some((address, len)) = text.split_once('/') else {
        let address = text.parse().ok()?;
        return Some((address, bits_of(address)));
    };
    let address = address.parse().ok()?;
    // Rust's own parser takes "+8" too.
    let digits = (1..=3).contains(&len.len()) && len.bytes().all(|byte| byte.is_ascii_digit());
    let len = digits.then(|| len.parse().ok()).flatten()?;
    (len <= bits_of(address)).then_some((address, len))
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

fn mask_v6(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_behind_the_prefix_are_cleared() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("255.255.255.255/0", "0.0.0.0/0"),
            ("10.1.2.3/31", "10.1.2.2/31"),
            ("fd00::ffff/113", "fd00::8000/113"),
            ("fd00::1", "fd00::1/128"),
            ("ffff::/0", "::/0"),
            ("::ffff:10.0.0.1/96", "::ffff:0.0.0.0/96"),
        ] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(prefix.to_string(), shown);
            assert_eq!(shown.parse(), Ok(prefix));
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "fd00::/129",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/0x8",
            "10.0.0.0 /8",
            "fd00::%1/64",
            "10.0.0.0/0000008",
            "host/8",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text:?}");
        }
        assert_eq!(Prefix::new([10, 0, 0, 0].into(), 33), None);
    }

    #[test]
    fn a_prefix_holds_its_own_version_alone() {
        let all: Prefix = "::/0".parse().unwrap();
        assert!(all.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!all.contains("10.0.0.1".parse().unwrap()));
        let net: Prefix = "10.0.0.0/9".parse().unwrap();
        assert!(net.contains("10.127.255.255".parse().unwrap()));
        assert!(!net.contains("10.128.0.0".parse().unwrap()));
    }
}
