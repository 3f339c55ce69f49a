//! How a coordinator is set up.

use core::net::Ipv6Addr;
use core::time::Duration;

use meshvpn_proto::control::map::Relay;
use meshvpn_proto::control::signature::MapKey;
use meshvpn_proto::route::Prefix;

/// What names of nodes end with unless the configuration says otherwise: reserved for private use (ICANN,
/// 2024).
pub const DEFAULT_DOMAIN: &str = "mesh.internal";
/// The addresses of nodes unless the configuration says otherwise: shared address space (RFC 6598).
pub const DEFAULT_NETWORK_V4: &str = "100.64.0.0/10";

/// How a coordinator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this coordinator calls itself among those that share its store.
    pub instance: String,
    /// What names of nodes end with.
    pub domain: String,
    /// Where nodes get their addresses from: one address of each. When there is none:
    /// [`DEFAULT_NETWORK_V4`] and a network of the mesh's own under `fd00::/8`.
    pub networks: Vec<Prefix>,
    /// Whether nodes may send each other anything.
    pub allow_all: bool,
    /// The relays of the mesh.
    pub relays: Vec<Relay>,
    /// Whether a machine without an auth key may wait for approval, rather than be refused.
    pub is_open: bool,
    /// How long a node's key is good for; none: for ever.
    pub key_lifetime: Option<Duration>,
    /// How long an ephemeral node may be away before it vanishes.
    pub ephemeral_timeout: Duration,
    /// Refused log-ins from one address that are allowed in a minute.
    pub attempts_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "main".to_owned(),
            domain: DEFAULT_DOMAIN.to_owned(),
            networks: Vec::new(),
            allow_all: false,
            relays: Vec::new(),
            is_open: false,
            key_lifetime: None,
            ephemeral_timeout: Duration::from_secs(300),
            attempts_per_minute: 10,
        }
    }
}

/// The networks of a mesh that has been given none. The IPv6 one follows from what its maps are signed with, so
/// it is another for every mesh, as RFC 4193 wants it.
pub(super) fn default_networks(map_key: &MapKey) -> Vec<Prefix> {
    let [a, b, c, d, e, ..] = *map_key.as_bytes();
    let word = |high, low| u16::from_be_bytes([high, low]);
    let unique = Ipv6Addr::new(word(0xfd, a), word(b, c), word(d, e), 0, 0, 0, 0, 0);
    let v4 = DEFAULT_NETWORK_V4.parse().expect("a constant");
    let v6 = Prefix::new(unique.into(), 64).expect("64 of 128 bits");
    vec![v4, v6]
}
