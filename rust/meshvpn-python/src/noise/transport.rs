//! Data messages, one at a time.

use meshvpn_proto::forward::IpView;
use meshvpn_proto::noise::handshake::SessionKeys;
use meshvpn_proto::session::single::OpenError;
use meshvpn_proto::session::transport::{SealedSession, padded_len};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{authentication_error, config_error, out_of_turn_error, replay_error};

/// A session; `meshvpn.noise.Transport` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct NoiseTransport(SealedSession);

#[pymethods]
impl NoiseTransport {
    /// By this number the peer names the session to us.
    #[getter]
    fn local_index(&self) -> u32 {
        self.0.local_index
    }

    /// By this number we name it to the peer.
    #[getter]
    fn remote_index(&self) -> u32 {
        self.0.remote_index
    }

    /// Messages sealed so far.
    #[getter]
    fn sent(&self) -> u64 {
        self.0.sent()
    }

    /// The next data message.
    #[pyo3(signature = (plaintext, *, is_padded))]
    fn seal<'py>(
        &self,
        py: Python<'py>,
        plaintext: &[u8],
        is_padded: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut packet = plaintext.to_vec();
        if is_padded {
            packet.resize(padded_len(packet.len(), usize::MAX), 0);
        }
        let message = self.0.seal(&packet).ok_or_else(|| {
            let hint = "begin a new handshake";
            out_of_turn_error("the session has numbered all messages that it may", hint)
        })?;
        Ok(PyBytes::new(py, &message))
    }

    /// The packet in a data message, without its padding; what is no IP packet keeps it.
    fn open<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let packet = self.0.open(message).map_err(|error| open_error(&error))?;
        let len = IpView::parse(&packet).map_or(packet.len(), |view| view.total_len);
        Ok(PyBytes::new(py, &packet[..len]))
    }

    /// The keys for what we send and for what the peer sends, of 32 bytes.
    fn reveal_secrets(&self) -> ([u8; 32], [u8; 32]) {
        let (send, receive) = (self.0.send_key(), self.0.receive_key());
        (*send.expose(), *receive.expose())
    }
}

impl NoiseTransport {
    pub(crate) fn new(local_index: u32, remote_index: u32, keys: SessionKeys) -> Self {
        let SessionKeys { send, receive } = keys;
        Self(SealedSession::new(local_index, remote_index, send, receive))
    }
}

fn open_error(error: &OpenError) -> PyErr {
    let message = format!("data message: {error}");
    match error {
        OpenError::NotData => config_error(&message, "give the whole datagram"),
        OpenError::OtherSession { .. } => authentication_error(
            &message,
            "it is for another session, or was changed on the way",
        ),
        OpenError::Replayed(_) => replay_error(
            &message,
            "each message is opened once, and in about its order",
        ),
        _ => authentication_error(
            &message,
            "it was sealed with another key, or changed on the way",
        ),
    }
}
