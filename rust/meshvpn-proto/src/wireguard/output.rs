//! What a device wants done, and what it tells.

use core::time::Duration;

use crate::forward::Path;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
pub use crate::peer::sessions::Role;

/// A datagram to send: a handshake message, a cookie or a keepalive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to, and from which socket.
    pub path: Path,
    /// Complete.
    pub datagram: Vec<u8>,
    /// The slot of the peer that it is for; none for a cookie, which is for anyone.
    pub slot: Option<usize>,
}

/// Something that the owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A handshake has succeeded: the slot has a new session, and packets that wait for it can
    /// [go](crate::forward::Outbound::push_parked).
    Session {
        /// The peer's slot.
        slot: usize,
        /// Who began the handshake.
        role: Role,
    },
    /// No handshake for [`REKEY_ATTEMPT_TIME`](crate::peer::timers::REKEY_ATTEMPT_TIME): what waited is
    /// [given up](crate::forward::Outbound::push_parked) and nothing more is tried until somebody sends.
    GaveUp {
        /// The peer's slot.
        slot: usize,
    },
    /// The peer has shown that it is elsewhere now. The slot's path is there already.
    Moved {
        /// The peer's slot.
        slot: usize,
        /// Where.
        path: Path,
    },
    /// Our ephemeral key of a handshake that has just been begun or answered: enough to decrypt it, together
    /// with our static key. Only [on request](super::WireGuard::reveal_secrets), and before its message
    /// is sent.
    EphemeralKey {
        /// The peer's slot.
        slot: usize,
        /// The peer.
        peer: PublicKey,
        /// The key.
        key: PrivateKey,
        /// What both sides mix into this handshake.
        preshared_key: Option<PresharedKey>,
    },
}

/// What is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus<'a> {
    /// The peer's identity.
    pub public_key: PublicKey,
    /// What both sides mix into their handshakes.
    pub preshared_key: Option<&'a PresharedKey>,
    /// The peer's slot.
    pub slot: usize,
    /// Where it is; unknown until it is configured or the peer shows itself.
    pub path: Option<Path>,
    /// When the last handshake succeeded, since 1970.
    pub last_handshake: Option<Duration>,
    /// Bytes of UDP payload received, authentic ones.
    pub received_bytes: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// How often the peer hears from us even when there is nothing to say.
    pub persistent_keepalive: Option<Duration>,
    /// There is a session that packets can be sent with.
    pub has_session: bool,
}
