//! Both sides of the handshake, a message a call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshvpn_proto::keys::{PresharedKey, PrivateKey, PublicKey};
use meshvpn_proto::noise::handshake::{Initiator, Responder};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::noise::ikpsk2::{IkPsk2, Secrets};
use meshvpn_proto::noise::layout::{INITIATION_LAYOUT, RESPONSE_LAYOUT};
use meshvpn_proto::noise::messages::{Initiation, Response};
use meshvpn_proto::noise::reveal::TokenState;
use meshvpn_proto::noise::tai64n::Tai64n;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use super::messages::parsed;
use super::transport::NoiseTransport;
use crate::errors::{config_error, handshake_error};

const BAD_PEER: &str = "the peer's public key is one of the few that agree with every private key on zero: \
     nobody can prove to have it";
const BAD_INITIATION: &str = "it was made for another public key, or changed on the way";
const BAD_RESPONSE: &str = "it was made for another initiation, with another static or pre-shared key, or \
     changed on the way";
const BAD_MESSAGE: &str = "it was made with another prologue or another key, or changed on the way";

/// Token, hash and chaining key after it.
type State = (&'static str, [u8; 32], [u8; 32]);

/// The side that begins; `meshvpn.noise.Initiator` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct NoiseInitiator(Mutex<Initiator>);

#[pymethods]
impl NoiseInitiator {
    #[new]
    #[pyo3(signature = (private_key, peer, *, preshared_key, ephemeral))]
    fn new(
        private_key: &[u8],
        peer: [u8; 32],
        preshared_key: Option<&[u8]>,
        ephemeral: &[u8],
    ) -> PyResult<Self> {
        let identity = identity(private_key)?;
        let preshared = preshared(preshared_key)?;
        let ephemeral = private("ephemeral", ephemeral)?;
        let peer = PublicKey::new(peer);
        Initiator::reveal_secrets(&identity, peer, preshared.as_ref(), ephemeral)
            .map(|initiator| Self(Mutex::new(initiator)))
            .map_err(|error| handshake_error("peer", error, BAD_PEER))
    }

    /// The first message, whose MACs are zero.
    fn initiate<'py>(
        &self,
        py: Python<'py>,
        sender: u32,
        timestamp: [u8; 12],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let now = Tai64n::from_bytes(timestamp);
        let initiation = locked(&self.0)
            .initiate(sender, &now)
            .map_err(|error| handshake_error("peer", error, BAD_PEER))?;
        Ok(PyBytes::new(py, initiation.as_bytes()))
    }

    /// Takes the answer; `local_index` is the sender of the first message.
    fn finish(&self, response: &[u8], local_index: u32) -> PyResult<NoiseTransport> {
        let response = parsed(&RESPONSE_LAYOUT, response, Response::parse)?;
        let keys = locked(&self.0)
            .finish(&response)
            .map_err(|error| handshake_error("response", error, BAD_RESPONSE))?;
        Ok(NoiseTransport::new(local_index, response.sender(), keys))
    }

    /// Token, hash and chaining key after each token so far.
    fn reveal_secrets(&self) -> Vec<State> {
        revealed(&locked(&self.0).secrets())
    }
}

/// The side that answers; `meshvpn.noise.Responder` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct NoiseResponder {
    responder: Mutex<Responder>,
    /// Whose static key sealed the initiation: 32 bytes.
    #[pyo3(get)]
    peer: [u8; 32],
    /// When the initiation was made: TAI64N, 12 bytes.
    #[pyo3(get)]
    timestamp: [u8; 12],
    remote_index: u32,
}

#[pymethods]
impl NoiseResponder {
    /// Reads an initiation.
    #[new]
    fn new(private_key: &[u8], initiation: &[u8]) -> PyResult<Self> {
        let initiation = parsed(&INITIATION_LAYOUT, initiation, Initiation::parse)?;
        let responder = Responder::reveal_secrets(&identity(private_key)?, &initiation)
            .map_err(|error| handshake_error("initiation", error, BAD_INITIATION))?;
        Ok(Self {
            peer: *responder.initiator().as_bytes(),
            timestamp: *responder.timestamp().as_bytes(),
            remote_index: initiation.sender(),
            responder: Mutex::new(responder),
        })
    }

    /// The second message, whose MACs are zero, and what comes after it.
    #[pyo3(signature = (sender, *, preshared_key, ephemeral))]
    fn respond<'py>(
        &self,
        py: Python<'py>,
        sender: u32,
        preshared_key: Option<&[u8]>,
        ephemeral: &[u8],
    ) -> PyResult<(Bound<'py, PyBytes>, NoiseTransport)> {
        let preshared = preshared(preshared_key)?;
        let ephemeral = private("ephemeral", ephemeral)?;
        let (response, keys) = locked(&self.responder)
            .answer(sender, preshared.as_ref(), ephemeral)
            .map_err(|error| handshake_error("initiation", error, BAD_INITIATION))?;
        let transport = NoiseTransport::new(sender, self.remote_index, keys);
        Ok((PyBytes::new(py, response.as_bytes()), transport))
    }

    /// Token, hash and chaining key after each token so far.
    fn reveal_secrets(&self) -> Vec<State> {
        revealed(&locked(&self.responder).secrets())
    }
}

/// The pattern beneath; `meshvpn.noise.IKpsk2` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct NoiseIkPsk2(Mutex<IkPsk2>);

#[pymethods]
impl NoiseIkPsk2 {
    /// An initiator's side when there is a `peer`.
    #[new]
    #[pyo3(signature = (private_key, peer, *, prologue, preshared_key, ephemeral))]
    fn new(
        private_key: &[u8],
        peer: Option<[u8; 32]>,
        prologue: &[u8],
        preshared_key: Option<&[u8]>,
        ephemeral: &[u8],
    ) -> PyResult<Self> {
        let identity = identity(private_key)?;
        let peer = peer.map(PublicKey::new);
        let mut noise = IkPsk2::new(&identity, peer, prologue, Secrets::Recorded);
        noise.set_preshared(preshared(preshared_key)?.as_ref());
        noise.set_ephemeral(private("ephemeral", ephemeral)?);
        Ok(Self(Mutex::new(noise)))
    }

    /// The next message.
    fn write<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        locked(&self.0)
            .write(payload)
            .map(|message| PyBytes::new(py, &message))
            .map_err(|error| handshake_error("payload", error, BAD_PEER))
    }

    /// The payload of the next message.
    fn read<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        locked(&self.0)
            .read(message)
            .map(|payload| PyBytes::new(py, &payload))
            .map_err(|error| handshake_error("message", error, BAD_MESSAGE))
    }

    /// The peer's static key: 32 bytes.
    #[getter]
    fn peer(&self) -> Option<[u8; 32]> {
        locked(&self.0).peer().map(|key| *key.as_bytes())
    }

    /// The hash of everything so far: 32 bytes.
    #[getter]
    fn hash(&self) -> [u8; 32] {
        locked(&self.0).hash()
    }

    /// What comes after the last message.
    fn split(&self, local_index: u32, remote_index: u32) -> PyResult<NoiseTransport> {
        let keys = locked(&self.0)
            .split()
            .map_err(|error| handshake_error("split", error, BAD_MESSAGE))?;
        Ok(NoiseTransport::new(local_index, remote_index, keys))
    }

    /// Token, hash and chaining key after each token so far.
    fn reveal_secrets(&self) -> Vec<State> {
        revealed(&locked(&self.0).secrets())
    }
}

fn locked<T>(side: &Mutex<T>) -> MutexGuard<'_, T> {
    side.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever proves to have a static key is welcome: Python decides.
fn identity(private_key: &[u8]) -> PyResult<Arc<Identity>> {
    let key = private("private key", private_key)?;
    Ok(Arc::new(Identity::open(key)))
}

fn private(field: &str, bytes: &[u8]) -> PyResult<PrivateKey> {
    secret(field, bytes).map(|bytes| PrivateKey::new(*bytes))
}

fn preshared(bytes: Option<&[u8]>) -> PyResult<Option<PresharedKey>> {
    let bytes = bytes.map(|bytes| secret("pre-shared key", bytes));
    Ok(bytes.transpose()?.map(|bytes| PresharedKey::new(*bytes)))
}

fn secret(field: &str, bytes: &[u8]) -> PyResult<Zeroizing<[u8; 32]>> {
    bytes.try_into().map(Zeroizing::new).map_err(|_| {
        let message = format!("{field}: {} bytes instead of 32", bytes.len());
        config_error(&message, "give a key")
    })
}

fn revealed(states: &[TokenState]) -> Vec<State> {
    states
        .iter()
        .map(|state| (state.token.name(), state.hash, *state.chaining_key))
        .collect()
}
