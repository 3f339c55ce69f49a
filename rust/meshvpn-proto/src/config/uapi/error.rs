//! What can be wrong with a request, and how the answer says so.

use crate::config::Shown;
use crate::keys::KeyError;

use super::{MAX_ALLOWED_IPS, MAX_LINE, MAX_PEERS};

/// A number of Linux's `errno.h`, the same on every architecture that this runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// All went well.
    pub const SUCCESS: Self = Self(0);
    /// Something failed that is no fault of the request.
    pub const EIO: Self = Self(5);
    /// More than one request may hold.
    pub const E2BIG: Self = Self(7);
    /// A key or a value makes no sense.
    pub const EINVAL: Self = Self(22);
    /// This is not the protocol.
    pub const EPROTO: Self = Self(71);
    /// The UDP port is taken.
    pub const EADDRINUSE: Self = Self(98);
}

/// A request that was refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {defect}")]
pub struct RequestError {
    /// Which line of the request, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub defect: RequestDefect,
}

impl RequestError {
    /// What to answer.
    pub fn errno(&self) -> Errno {
        match self.defect {
            RequestDefect::NotARequest(_)
            | RequestDefect::LineTooLong
            | RequestDefect::NotText
            | RequestDefect::NoValue(_)
            | RequestDefect::GetWithLines
            | RequestDefect::Unfinished => Errno::EPROTO,
            RequestDefect::TooManyPeers | RequestDefect::TooManyAllowedIps => Errno::E2BIG,
            _ => Errno::EINVAL,
        }
    }

    /// Nobody can tell where the next request begins: answer, and close the connection.
    pub fn ends_connection(&self) -> bool {
        self.errno() == Errno::EPROTO
    }
}

/// What is wrong with a line, never with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestDefect {
    /// A request begins with something else.
    #[error("{0} is no request; begin with get=1 or set=1")]
    NotARequest(Shown),
    /// A line without end.
    #[error("longer than {MAX_LINE} bytes; no line of the protocol is")]
    LineTooLong,
    /// Not UTF-8.
    #[error("not text; lines are key=value in ASCII")]
    NotText,
    /// There is no `=`.
    #[error("{0} has no value; lines are key=value, and an empty one ends the request")]
    NoValue(Shown),
    /// `get=1` goes on.
    #[error("get=1 takes nothing more; end it with an empty line")]
    GetWithLines,
    /// The connection ended before the empty line.
    #[error("the request has no end; end it with an empty line")]
    Unfinished,
    /// A key that does not exist.
    #[error("{0} is no key of a set request")]
    UnknownKey(Shown),
    /// A peer's key before the first peer.
    #[error("{0} belongs to a peer; put public_key before it")]
    BeforePeers(&'static str),
    /// A device's key among the peers'.
    #[error("{0} belongs to the device; put it before the first public_key")]
    AmongPeers(&'static str),
    /// A value that the key cannot have.
    #[error("{key}: {value} is not {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: Shown,
        /// What would be right.
        expected: &'static str,
    },
    /// A value that is no key in hex.
    #[error("{key}: {}; {}", error.defect, error.kind.hint())]
    Key {
        /// The key (of the line).
        key: &'static str,
        /// What is wrong with its value.
        error: KeyError,
    },
    /// See [`MAX_PEERS`].
    #[error("more than {MAX_PEERS} peers; use several requests")]
    TooManyPeers,
    /// See [`MAX_ALLOWED_IPS`].
    #[error("more than {MAX_ALLOWED_IPS} allowed IPs; use several requests")]
    TooManyAllowedIps,
}
