//! Log-in: one connection, before it is a client.

use crate::keys::{PrivateKey, PublicKey};
use crate::relay::VERSION;
use crate::relay::boxes::{self, BoxError, ClientInfo, NONCE_LEN, ServerInfo};
use crate::relay::frame::{CLIENT_INFO, Frame, FrameError, HEADER_LEN, header};

use super::Limits;

/// A connection that has not said yet who it is.
#[derive(Debug, Clone)]
pub struct Login {
    key: PrivateKey,
}

/// Who has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The key that it has the private half of.
    pub key: PublicKey,
    /// What it says of itself.
    pub info: ClientInfo,
    /// Bytes that this took; what follows is for the [`Server`](super::Server).
    pub consumed: usize,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// What it sends is no frame.
    #[error("it sends what is not DERP: {0}")]
    Frame(#[from] FrameError),
    /// It sends something before it says who it is.
    #[error("it sends a frame of type {0:#04x} before it says who it is")]
    Order(u8),
    /// Its box is not made with its key.
    #[error("its log-in: {0}")]
    Box(#[from] BoxError),
    /// It does not speak our protocol.
    #[error("it speaks version {0} of the protocol, and not {VERSION} or later")]
    Version(u32),
}

impl Login {
    /// A connection to the relay that `key` is.
    pub fn new(key: PrivateKey) -> Self {
        Self { key }
    }

    /// What the relay says first.
    pub fn greeting(&self) -> Vec<u8> {
        Frame::ServerKey(self.key.public_key()).to_bytes()
    }

    /// Takes all that has come so far; `None` when that is not enough.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn handle_bytes(&self, bytes: &[u8]) -> Result<Option<Hello>, LoginError> {
        // Before all of it is there: nobody may make us wait for a long frame of another type.
        match header(bytes)? {
            Some((kind, _)) if kind != CLIENT_INFO => return Err(LoginError::Order(kind)),
            Some((_, len)) if bytes.len() >= HEADER_LEN + len => {}
            _ => return Ok(None),
        }
        let Some((Frame::ClientInfo { key, sealed }, consumed)) = Frame::split(bytes)? else {
            return Ok(None);
        };
        let info: ClientInfo = boxes::open(sealed, &self.key, &key)?;
        if info.version < VERSION {
            return Err(LoginError::Version(info.version));
        }
        Ok(Some(Hello {
            key,
            info,
            consumed,
        }))
    }

    /// What the relay answers when it lets `client` in. `nonce` must be random, and be used for nothing else.
    pub fn answer(&self, client: &PublicKey, limits: &Limits, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let info = ServerInfo {
            version: VERSION,
            bytes_per_second: limits.rate.map_or(0, |rate| rate.bytes_per_second),
            burst: limits.rate.map_or(0, |rate| rate.burst),
        };
        let sealed = boxes::seal(&info, &self.key, client, nonce);
        Frame::ServerInfo(&sealed).to_bytes()
    }
}
