//! A relay on the coordinator's own port, for a machine that has one address and for nodes that get only one port
//! out. It serves members alone, and asks for that in this process.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use meshvpn_proto::control::map::{Relay as RelayEntry, RelayId};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::server::Limits;

use super::running::StartError;
use super::{Service, state_files};
use crate::coordinator::file::FileConfig;
use crate::coordinator::request::{Request, Response};
use crate::listen::Certificate;
use crate::relay::Relay;
use crate::relay::verify::{Answer, Verifier, VerifyError};

/// The relay's private key, a file of the state directory.
const KEY: &str = "relay-key";

/// Puts the relay into the map: nodes find it where they find the coordinator, which listens at `local`.
pub(super) fn announce(
    config: &mut FileConfig,
    local: SocketAddr,
    certificate: Option<&Certificate>,
) {
    let Some(region) = config.relay.clone() else {
        return;
    };
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let local = || format!("{scheme}://{local}");
    let relays = &mut config.coordinator.relays;
    let last = relays.iter().map(|relay| relay.id.0).max();
    relays.push(RelayEntry {
        id: RelayId(last.unwrap_or(0) + 1),
        region,
        url: config.url.clone().unwrap_or_else(local),
        certificate_sha256: certificate.map(|certificate| hex(&certificate.sha256())),
        stun_port: None,
    });
}

/// The relay itself, for the members of the coordinator's mesh.
pub(super) fn start(service: &Service, state: &Path) -> Result<Relay, StartError> {
    let path = state.join(KEY);
    let text = state_files::secret(&path, |random| PrivateKey::new(*random).to_base64())?;
    let key = PrivateKey::from_base64(&text).map_err(|error| StartError::File {
        path: path.display().to_string(),
        source: io::Error::other(error),
    })?;
    let members = Members(service.clone());
    Ok(Relay::new(key, Limits::default(), Some(Arc::new(members)))?)
}

/// Lets members in.
struct Members(Service);

impl Verifier for Members {
    fn verify<'a>(&'a self, node: &'a PublicKey) -> Answer<'a> {
        Box::pin(async move {
            match self.0.ask(Request::Verify(*node)).await {
                Ok(Response::Verified { allow }) => Ok(allow),
                Ok(_) => Ok(false),
                Err(error) => Err(VerifyError::Unreachable(error.to_string())),
            }
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
