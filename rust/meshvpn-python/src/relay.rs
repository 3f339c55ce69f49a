//! Running relays.

use std::sync::Arc;

use meshvpn_engine::netns;
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::relay::server::{Limits, Rate};
use meshvpn_server::listen::Certificate;
use meshvpn_server::relay::running::{RelayConfig, RunningRelay};
use meshvpn_server::relay::verify::{HttpVerifier, Verifier};
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::config::socket_address;
use crate::errors::{certificate_error, config_error, relay_error};

/// A running relay; `meshvpn.Relay` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Relay {
    running: RunningRelay,
    certificate_sha256: Option<[u8; 32]>,
}

/// What a relay counted so far.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct RelayCounters {
    /// Connected now.
    clients: u64,
    /// Of them, those whose home this relay is.
    home_clients: u64,
    logins: u64,
    /// From clients.
    received_packets: u64,
    received_bytes: u64,
    /// Handed over to be written to clients.
    sent_packets: u64,
    sent_bytes: u64,
    /// Packets dropped because their receiver was too slow.
    dropped_slow: u64,
    /// Packets dropped because their receiver was not connected.
    dropped_absent: u64,
}

#[pymethods]
impl Relay {
    /// Starts a relay: over TLS when a certificate, with its key, is given.
    #[new]
    #[pyo3(signature = (listen, *, key, certificate, verify_clients, rate, netns))]
    fn new(
        py: Python<'_>,
        listen: &str,
        key: &[u8],
        certificate: Option<(String, String)>,
        verify_clients: Option<&str>,
        rate: Option<(u64, u64)>,
        netns: Option<String>,
    ) -> PyResult<Self> {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(key.try_into().map_err(|_| {
            config_error(
                &format!("private key: {} bytes instead of 32", key.len()),
                "make one with: meshvpn genkey",
            )
        })?);
        let certificate = certificate.map(|(certificate, key)| {
            let key = Zeroizing::new(key);
            Certificate::from_pem(&certificate, &key).map_err(|error| certificate_error(&error))
        });
        let certificate = certificate.transpose()?;
        let verifier = verify_clients.map(HttpVerifier::new).transpose();
        let verifier = verifier.map_err(|error| {
            config_error(
                &error.to_string(),
                "write http://192.0.2.1:8080, or https://name",
            )
        })?;
        let name = netns.clone();
        let config = RelayConfig {
            listen: socket_address("listen", listen)?,
            key: PrivateKey::new(*key),
            certificate: certificate.clone(),
            limits: Limits {
                rate: rate.map(|(bytes_per_second, burst)| Rate {
                    bytes_per_second,
                    burst,
                }),
                ..Limits::default()
            },
            verifier: verifier.map(|verifier| Arc::new(verifier) as Arc<dyn Verifier>),
            on_thread: Box::new(move || name.as_deref().map_or(Ok(()), netns::enter)),
        };
        let running = py
            .detach(|| RunningRelay::start(config))
            .map_err(|error| relay_error(&error, netns.as_deref()))?;
        Ok(Self {
            running,
            certificate_sha256: certificate.map(|certificate| certificate.sha256()),
        })
    }

    /// Address and port that it listens at.
    fn local_address(&self) -> (String, u16) {
        let address = self.running.local_address();
        (address.ip().to_string(), address.port())
    }

    /// 32 bytes.
    fn public_key(&self) -> [u8; 32] {
        *self.running.public_key().as_bytes()
    }

    /// SHA-256 of its certificate, 32 bytes; None without TLS.
    fn certificate_sha256(&self) -> Option<[u8; 32]> {
        self.certificate_sha256
    }

    fn counters(&self) -> RelayCounters {
        let counted = self.running.statistics();
        RelayCounters {
            clients: counted.clients,
            home_clients: counted.home_clients,
            logins: counted.logins,
            received_packets: counted.received_packets,
            received_bytes: counted.received_bytes,
            sent_packets: counted.sent_packets,
            sent_bytes: counted.sent_bytes,
            dropped_slow: counted.dropped_slow,
            dropped_absent: counted.dropped_absent,
        }
    }

    /// Ends the relay; its port is free when this returns.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.running.close());
    }
}

/// A certificate that no authority vouches for, and its private key, both in PEM.
#[pyfunction]
pub(crate) fn self_signed_certificate(host: &str) -> PyResult<(String, String)> {
    let made = Certificate::self_signed(host).map_err(|error| certificate_error(&error))?;
    let (certificate, key) = (made.certificate_pem(), made.expose_key_pem());
    Ok((certificate.to_owned(), key.to_owned()))
}
