//! Values that are text, of which each is one that a file can hold.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use crate::route::split_prefix;

/// A shell command of one line. `%i` in it stands for the device's name.
///
/// No `#`: a file has no way to write one that does not begin a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(String);

impl Command {
    /// Blanks around the command go; `None` when nothing is left, or a file could not hold it.
    pub fn new(text: &str) -> Option<Self> {
        let text = trim(text);
        let fits = !text.is_empty() && !text.contains(['#', '\n', '\0']);
        fits.then(|| Self(text.to_owned()))
    }

    /// The command as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a host, a domain or a routing table: letters, digits, and `-`, `_`, `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// `None` when a character is none of a name's, or there is none.
    pub fn new(text: &str) -> Option<Self> {
        let is_inside = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let fits = !text.is_empty() && text.chars().all(is_inside);
        fits.then(|| Self(text.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address of the device, and how long the prefix of its network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    address: IpAddr,
    prefix_len: u8,
}

impl InterfaceAddress {
    /// `None` when the prefix has more bits than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (prefix_len <= bits).then_some(Self {
            address,
            prefix_len,
        })
    }

    /// The device's own address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network's prefix.
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Reads `10.0.0.1/24`; without a prefix the address stands alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix_len) = split_prefix(text)?;
        Self::new(address, prefix_len)
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// Where a peer is: a host and a UDP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// Its UDP port.
    pub port: u16,
}

/// A host, as a file names it. Names are looked up by whoever uses the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By its address.
    Address(IpAddr),
    /// By its address on one link: an IPv6 address and a zone, `fe80::1%eth0`.
    Scoped(core::net::Ipv6Addr, Name),
    /// By its name.
    Name(Name),
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once("]:")?;
                (Host::parse_v6(address)?, port)
            }
            None => {
                let (host, port) = text.rsplit_once(':')?;
                (Host::parse_outside_brackets(host)?, port)
            }
        };
        let port = number(port)?;
        Some(Self { host, port })
    }
}

impl Host {
    fn parse_v6(text: &str) -> Option<Self> {
        let Some((address, zone)) = text.split_once('%') else {
            return Some(Self::Address(IpAddr::V6(text.parse().ok()?)));
        };
        Some(Self::Scoped(address.parse().ok()?, Name::new(zone)?))
    }

    fn parse_outside_brackets(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        // What looks like an address and is none would be looked up as a name, in vain.
        let is_like_an_address = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        Name::new(text)
            .filter(|_| !is_like_an_address)
            .map(Self::Name)
    }
}

impl From<SocketAddr> for Endpoint {
    /// The zone of a link-local address is its number.
    fn from(address: SocketAddr) -> Self {
        let zone = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => Name::new(&v6.scope_id().to_string()),
            _ => None,
        };
        let host = match (address.ip(), zone) {
            (IpAddr::V6(ip), Some(zone)) => Host::Scoped(ip, zone),
            (ip, _) => Host::Address(ip),
        };
        let port = address.port();
        Self { host, port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, port).fmt(f),
            Host::Scoped(address, zone) => write!(f, "[{address}%{zone}]:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

/// A number in digits alone: Rust's own parser takes "+1" too.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

/// Without the blanks that `wg-quick` takes for such: those of ASCII.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

pub(super) fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\u{b}'
}
