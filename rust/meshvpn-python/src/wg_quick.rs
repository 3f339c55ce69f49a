//! Files of `wg-quick`, read for `meshvpn.wireguard`.

use meshvpn_proto::config::wg_quick::{Config, Host, Peer, Table};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::config_error;

/// A file's section `[Interface]`, and its peers.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct WgQuickConfig {
    /// 32 bytes.
    private_key: Option<Py<PyBytes>>,
    listen_port: Option<u16>,
    mark: Option<u32>,
    /// "10.0.0.1/24".
    addresses: Vec<String>,
    /// Addresses of name servers, and domains to search.
    dns: Vec<String>,
    mtu: Option<u16>,
    /// "auto", "off", or a routing table's number or name.
    table: String,
    /// Field and command, such as ("PostUp", "ip rule add …"), by field.
    hooks: Vec<(&'static str, String)>,
    saves_config: bool,
    peers: Vec<Py<WgQuickPeer>>,
}

/// A file's section `[Peer]`.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct WgQuickPeer {
    public_key: [u8; 32],
    preshared_key: Option<Py<PyBytes>>,
    /// "10.0.0.0/8".
    allowed_ips: Vec<String>,
    /// A host's name or address ("fe80::1%eth0" too), and a UDP port.
    endpoint: Option<(String, u16)>,
    /// Seconds; 0 is none.
    persistent_keepalive: Option<u16>,
}

/// What the text of such a file says.
#[pyfunction]
pub(crate) fn parse_wg_quick(py: Python<'_>, text: &str) -> PyResult<WgQuickConfig> {
    let config =
        Config::parse(text).map_err(|error| config_error(&error.message(), error.hint()))?;
    let interface = config.interface;
    let servers = interface.dns.iter().map(ToString::to_string);
    let domains = interface.search_domains.iter().map(ToString::to_string);
    let hooks = [
        ("PreUp", &interface.hooks.pre_up),
        ("PostUp", &interface.hooks.post_up),
        ("PreDown", &interface.hooks.pre_down),
        ("PostDown", &interface.hooks.post_down),
    ];
    let named = |(field, commands): (&'static str, &Vec<_>)| {
        let texts = commands.iter().map(ToString::to_string);
        texts.map(|text| (field, text)).collect::<Vec<_>>()
    };
    let peers = config.peers.into_iter();
    let peers = peers.map(|peer| Py::new(py, WgQuickPeer::new(py, peer)));
    Ok(WgQuickConfig {
        private_key: interface
            .private_key
            .map(|key| PyBytes::new(py, key.expose()).unbind()),
        listen_port: interface.listen_port,
        mark: interface.fwmark,
        addresses: interface
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect(),
        dns: servers.chain(domains).collect(),
        mtu: interface.mtu,
        table: match interface.table {
            Table::Auto => "auto".to_owned(),
            Table::Off => "off".to_owned(),
            Table::Named(name) => name.to_string(),
        },
        hooks: hooks.into_iter().flat_map(named).collect(),
        saves_config: interface.saves_config,
        peers: peers.collect::<PyResult<_>>()?,
    })
}

impl WgQuickPeer {
    fn new(py: Python<'_>, peer: Peer) -> Self {
        Self {
            public_key: *peer.public_key.as_bytes(),
            preshared_key: peer
                .preshared_key
                .map(|key| PyBytes::new(py, key.expose()).unbind()),
            allowed_ips: peer.allowed_ips.iter().map(ToString::to_string).collect(),
            endpoint: peer.endpoint.map(|endpoint| {
                let host = match endpoint.host {
                    Host::Address(address) => address.to_string(),
                    Host::Scoped(address, zone) => format!("{address}%{zone}"),
                    Host::Name(name) => name.to_string(),
                };
                (host, endpoint.port)
            }),
            persistent_keepalive: peer.persistent_keepalive,
        }
    }
}
