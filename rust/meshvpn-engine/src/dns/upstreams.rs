//! Whom the system asked before it was told to ask us.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use meshvpn_proto::dns::ResolvConf;
use tracing::{debug, warn};

use super::config::Upstreams;
use super::system::Place;
use crate::netlink::interface_index;

/// The port of DNS.
const PORT: u16 = 53;
/// How often a file is looked at for changes, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The name servers of a system, as it has them without us. A file without any means this host
/// (resolv.conf(5)). Link-local ones on interfaces that are not there are left out. To be called in the
/// system's namespace.
///
/// # Errors
/// The file cannot be read. That there is none is none.
pub fn name_servers(place: &Place) -> io::Result<Vec<SocketAddr>> {
    Ok(addresses(&place.original()?))
}

fn addresses(file: &ResolvConf) -> Vec<SocketAddr> {
    if file.nameservers.is_empty() {
        return vec![(Ipv4Addr::LOCALHOST, PORT).into()];
    }
    let servers = file.nameservers.iter();
    servers
        .filter_map(|server| match (server.address, &server.interface) {
            (IpAddr::V6(address), Some(interface)) => {
                let scope = interface
                    .parse()
                    .ok()
                    .or_else(|| interface_index(interface))?;
                Some(SocketAddrV6::new(address, PORT, 0, scope).into())
            }
            (address, _) => Some((address, PORT).into()),
        })
        .collect()
}

/// Upstreams that follow their file.
pub(super) struct Followed {
    source: Upstreams,
    own: Vec<SocketAddr>,
    looked_at: Option<Instant>,
    seen: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Followed {
    /// Upstreams for a resolver that answers at `own`.
    pub(super) fn new(source: Upstreams, own: Vec<SocketAddr>) -> Self {
        Self {
            source,
            own,
            looked_at: None,
            seen: Vec::new(),
        }
    }

    /// Takes others from now on.
    pub(super) fn set(&mut self, source: Upstreams) {
        *self = Self::new(source, std::mem::take(&mut self.own));
    }

    /// Whom to ask, if that may have changed since the last call. Never ourselves.
    pub(super) fn changed(&mut self) -> Option<Vec<SocketAddr>> {
        let now = Instant::now();
        let is_first = self.looked_at.is_none();
        if self.looked_at.is_some_and(|at| now < at + LOOK_INTERVAL) {
            return None;
        }
        self.looked_at = Some(now);
        let upstreams = match &self.source {
            Upstreams::Given(_) if !is_first => return None,
            Upstreams::Given(upstreams) => upstreams.clone(),
            Upstreams::System(place) => {
                let seen = place.files().map(|path| (modified(&path), path));
                let seen: Vec<_> = seen.map(|(at, path)| (path, at)).collect();
                if !is_first && seen == self.seen {
                    return None;
                }
                self.seen = seen;
                match name_servers(place) {
                    Ok(upstreams) => upstreams,
                    Err(error) => {
                        warn!(%error, "{place}: cannot be read; name servers stay as they were");
                        return None;
                    }
                }
            }
        };
        let (own, others): (Vec<_>, Vec<_>) = upstreams
            .into_iter()
            .partition(|upstream| self.own.contains(upstream));
        if !own.is_empty() {
            warn!(
                "{}: the resolver's own address is no name server for it",
                list(&own)
            );
        }
        debug!("names outside the mesh go to: {}", list(&others));
        Some(others)
    }
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn list(addresses: &[SocketAddr]) -> String {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    shown.join(", ")
}
