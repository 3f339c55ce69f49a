//! What a resolver is made from, and what can be wrong with it.

use std::io;
use std::net::SocketAddr;

use meshvpn_proto::dns::{Transport, Zone};
use meshvpn_proto::route::Prefix;

use super::system::Place;

/// A resolver to be started.
#[derive(Debug, Clone)]
pub struct ResolverConfig {
    /// Where it answers, over UDP and TCP. Each is an address of this host, so that answers come from the
    /// address that was asked.
    pub listen: Vec<SocketAddr>,
    /// What it answers by itself.
    pub zone: Zone,
    /// Who answers the rest.
    pub upstreams: Upstreams,
    /// Who may ask besides this host.
    pub clients: Vec<Prefix>,
    /// A firewall mark for what it sends to others.
    pub mark: Option<u32>,
    /// The network namespace to live in; otherwise the calling thread's.
    pub netns: Option<String>,
}

/// Who answers what the mesh does not.
#[derive(Debug, Clone)]
pub enum Upstreams {
    /// These, in this order; nobody if there are none.
    Given(Vec<SocketAddr>),
    /// Whom the system asks; looked at again when the file changes. Where the file is ours, whom it asked
    /// before.
    System(Place),
}

/// Why a resolver could not be started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// A value cannot be used.
    #[error("{field}: {message}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// Its value, and what is wrong with it.
        message: String,
    },
    /// The namespace could not be entered.
    #[error("cannot enter network namespace {name:?}: {source}")]
    Netns {
        /// Its name or path.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// An address could not be had.
    #[error("cannot answer at {local} over {transport:?}: {source}")]
    Bind {
        /// The address.
        local: SocketAddr,
        /// Over what.
        transport: Transport,
        /// What the kernel said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("the resolver could not be started: {0}")]
    System(io::Error),
}

impl ResolverConfig {
    /// Checks what can be checked before anything is created.
    pub(super) fn check(&self) -> Result<(), ResolverError> {
        let fail = |field, message: String| Err(ResolverError::Config { field, message });
        if self.listen.is_empty() {
            return fail("listen", "no address to answer at".into());
        }
        for local in &self.listen {
            let ip = local.ip();
            if ip.is_unspecified() || ip.is_multicast() {
                return fail("listen", format!("{local} is not one host's address"));
            }
        }
        let Upstreams::Given(upstreams) = &self.upstreams else {
            return Ok(());
        };
        for upstream in upstreams {
            let ip = upstream.ip();
            if upstream.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
                return fail(
                    "upstreams",
                    format!("{upstream} is no name server's address"),
                );
            }
            if self.listen.contains(upstream) {
                let message = format!("{upstream} is the resolver's own address, a loop");
                return fail("upstreams", message);
            }
        }
        Ok(())
    }
}
