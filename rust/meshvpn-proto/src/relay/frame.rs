//! Frames: what both sides write to each other.
//!
//! ```text
//! 0      1               5
//! | type | length, u32BE | body …
//! ```
//!
//! | type | body | direction |
//! |---|---|---|
//! | `01` ServerKey | magic 8, key 32 | to client |
//! | `02` ClientInfo | key 32, nonce 24, NaCl box of JSON | to relay |
//! | `03` ServerInfo | nonce 24, NaCl box of JSON | to client |
//! | `04` SendPacket | destination 32, packet | to relay |
//! | `05` RecvPacket | source 32, packet | to client |
//! | `06` KeepAlive | – | to client |
//! | `07` NotePreferred | 0 or 1 | to relay |
//! | `08` PeerGone | key 32, reason 1 | to client |
//! | `12`, `13` Ping, Pong | 8 bytes | both |
//! | `14` Health | text, empty when all is well | to client |
//! | `15` Restarting | milliseconds u32BE twice: until then, and for so long | to client |
//!
//! Frames `09` PeerPresent, `0a` ForwardPacket, `10` WatchConns and `11` ClosePeer are what relays of one
//! operator say to each other; we have no use for them, and they count as [unknown](Frame::Unknown). A
//! body may be longer than its frame needs: later versions put more there.

use core::time::Duration;

use crate::keys::{KEY_LEN, PublicKey};

/// Bytes before the body: type and length.
pub const HEADER_LEN: usize = 5;
/// Longest packet that a relay carries.
pub const MAX_PACKET: usize = 64 << 10;
/// Longest body of any frame: two keys and a packet, which relays say to each other.
pub const MAX_BODY: usize = 2 * KEY_LEN + MAX_PACKET;
/// Bytes of a SendPacket or RecvPacket before the packet.
pub const PACKET_OVERHEAD: usize = HEADER_LEN + KEY_LEN;
/// Begins the first frame of a relay: "DERP" and a key.
const MAGIC: [u8; 8] = [0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91];
/// Bytes of a nonce, and of the authenticator in front of a box.
const MIN_BOX_LEN: usize = 24 + 16;
/// Longest box: its JSON is some hundred bytes. Before log-in nobody gets more of our memory.
pub const MAX_BOX_LEN: usize = MIN_BOX_LEN + 8192;

pub(super) const SERVER_KEY: u8 = 0x01;
pub(super) const CLIENT_INFO: u8 = 0x02;
pub(super) const SERVER_INFO: u8 = 0x03;
pub(super) const SEND_PACKET: u8 = 0x04;
pub(super) const RECV_PACKET: u8 = 0x05;
const KEEP_ALIVE: u8 = 0x06;
const NOTE_PREFERRED: u8 = 0x07;
const PEER_GONE: u8 = 0x08;
const PING: u8 = 0x12;
const PONG: u8 = 0x13;
const HEALTH: u8 = 0x14;
const RESTARTING: u8 = 0x15;

/// A frame, its variable parts still where they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The relay's key.
    ServerKey(PublicKey),
    /// The client's key, and who it is.
    ClientInfo {
        /// The client's key.
        key: PublicKey,
        /// Nonce and box: see [`boxes`](super::boxes).
        sealed: &'a [u8],
    },
    /// What the relay offers: nonce and box.
    ServerInfo(&'a [u8]),
    /// A packet to a peer.
    SendPacket {
        /// Whom it is for.
        destination: PublicKey,
        /// Whatever it is.
        packet: &'a [u8],
    },
    /// A packet from a peer.
    RecvPacket {
        /// Who sent it.
        source: PublicKey,
        /// Whatever it is.
        packet: &'a [u8],
    },
    /// The relay is still there.
    KeepAlive,
    /// Whether this relay is the client's home.
    NotePreferred(bool),
    /// A peer cannot be reached through this relay, or no longer.
    PeerGone {
        /// Which peer.
        peer: PublicKey,
        /// Why.
        reason: GoneReason,
    },
    /// To be answered by a pong with the same bytes.
    Ping([u8; 8]),
    /// The answer.
    Pong([u8; 8]),
    /// What is wrong with this connection, in words; empty when nothing is.
    Health(&'a str),
    /// The relay is about to restart.
    Restarting {
        /// When the client should come back.
        reconnect_in: Duration,
        /// How long it should keep trying before it looks for another relay.
        try_for: Duration,
    },
    /// A frame that we do not know, to be ignored.
    Unknown(u8),
}

/// Why a peer cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneReason {
    /// It was connected until now.
    Disconnected,
    /// It is not connected to this relay.
    NotHere,
    /// A reason that we do not know.
    Other(u8),
}

/// Bytes that are no frame. The connection cannot go on: nobody knows where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than any frame of its type.
    #[error("frame of type {kind:#04x} announces {len} bytes, and at most {most} are allowed")]
    TooLong {
        /// Its type.
        kind: u8,
        /// The length that it announces.
        len: usize,
        /// The length that it may have.
        most: usize,
    },
    /// Too short for its type, or not what must be in it.
    #[error("frame of type {kind:#04x} with {len} bytes is malformed")]
    Malformed {
        /// Its type.
        kind: u8,
        /// Its length.
        len: usize,
    },
}

/// The type of the frame at the start of `bytes` and the length of its body; `None` when there is not
/// even a whole header.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn header(bytes: &[u8]) -> Result<Option<(u8, usize)>, FrameError> {
    let Some(&[kind, a, b, c, d]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let most = most_len(kind);
    if len > most {
        return Err(FrameError::TooLong { kind, len, most });
    }
    Ok(Some((kind, len)))
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, and how many of them it takes; `None` when it is not whole yet.
    ///
    /// # Errors
    /// These bytes are no frame, and never will be.
    pub fn split(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((kind, len)) = header(bytes)? else {
            return Ok(None);
        };
        let Some(body) = bytes.get(HEADER_LEN..HEADER_LEN + len) else {
            return Ok(None);
        };
        let frame = Self::parse(kind, body).ok_or(FrameError::Malformed { kind, len })?;
        Ok(Some((frame, HEADER_LEN + len)))
    }

    fn parse(kind: u8, body: &'a [u8]) -> Option<Self> {
        Some(match kind {
            SERVER_KEY => {
                let (key, _) = split_key(body.strip_prefix(&MAGIC)?)?;
                Self::ServerKey(key)
            }
            CLIENT_INFO => {
                let (key, sealed) = split_key(body)?;
                let sealed = (sealed.len() >= MIN_BOX_LEN).then_some(sealed)?;
                Self::ClientInfo { key, sealed }
            }
            SERVER_INFO => Self::ServerInfo((body.len() >= MIN_BOX_LEN).then_some(body)?),
            SEND_PACKET => {
                let (destination, packet) = split_key(body)?;
                Self::SendPacket {
                    destination,
                    packet,
                }
            }
            RECV_PACKET => {
                let (source, packet) = split_key(body)?;
                Self::RecvPacket { source, packet }
            }
            KEEP_ALIVE => Self::KeepAlive,
            NOTE_PREFERRED => Self::NotePreferred(*body.first()? != 0),
            PEER_GONE => {
                let (peer, rest) = split_key(body)?;
                // Early relays gave no reason: they only told of the one.
                let reason = GoneReason::from_byte(rest.first().copied().unwrap_or(0));
                Self::PeerGone { peer, reason }
            }
            PING => Self::Ping(*body.first_chunk()?),
            PONG => Self::Pong(*body.first_chunk()?),
            HEALTH => Self::Health(core::str::from_utf8(body).ok()?),
            RESTARTING => {
                let [a, b, c, d, e, f, g, h] = *body.first_chunk()?;
                let milliseconds =
                    |bytes| Duration::from_millis(u64::from(u32::from_be_bytes(bytes)));
                Self::Restarting {
                    reconnect_in: milliseconds([a, b, c, d]),
                    try_for: milliseconds([e, f, g, h]),
                }
            }
            other => Self::Unknown(other),
        })
    }

    /// Appends the frame. A time that does not fit is cut to what does, some 49 days.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::ServerKey(key) => write_parts(out, SERVER_KEY, &[&MAGIC, key.as_bytes()]),
            Self::ClientInfo { key, sealed } => {
                write_parts(out, CLIENT_INFO, &[key.as_bytes(), sealed]);
            }
            Self::ServerInfo(sealed) => write_parts(out, SERVER_INFO, &[sealed]),
            Self::SendPacket {
                destination,
                packet,
            } => write_parts(out, SEND_PACKET, &[destination.as_bytes(), packet]),
            Self::RecvPacket { source, packet } => {
                write_parts(out, RECV_PACKET, &[source.as_bytes(), packet]);
            }
            Self::KeepAlive => write_parts(out, KEEP_ALIVE, &[]),
            Self::NotePreferred(is_home) => {
                write_parts(out, NOTE_PREFERRED, &[&[u8::from(*is_home)]]);
            }
            Self::PeerGone { peer, reason } => {
                write_parts(out, PEER_GONE, &[peer.as_bytes(), &[reason.to_byte()]]);
            }
            Self::Ping(bytes) => write_parts(out, PING, &[bytes]),
            Self::Pong(bytes) => write_parts(out, PONG, &[bytes]),
            Self::Health(text) => write_parts(out, HEALTH, &[text.as_bytes()]),
            Self::Restarting {
                reconnect_in,
                try_for,
            } => {
                let milliseconds = |time: &Duration| {
                    u32::try_from(time.as_millis())
                        .unwrap_or(u32::MAX)
                        .to_be_bytes()
                };
                let parts = [milliseconds(reconnect_in), milliseconds(try_for)];
                write_parts(out, RESTARTING, &[&parts[0], &parts[1]]);
            }
            Self::Unknown(kind) => write_parts(out, *kind, &[]),
        }
    }

    /// The frame alone.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

impl GoneReason {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Disconnected,
            1 => Self::NotHere,
            other => Self::Other(other),
        }
    }

    const fn to_byte(self) -> u8 {
        match self {
            Self::Disconnected => 0,
            Self::NotHere => 1,
            Self::Other(byte) => byte,
        }
    }
}

/// Longest body of a frame of this type.
const fn most_len(kind: u8) -> usize {
    match kind {
        SEND_PACKET | RECV_PACKET => KEY_LEN + MAX_PACKET,
        CLIENT_INFO => KEY_LEN + MAX_BOX_LEN,
        SERVER_INFO => MAX_BOX_LEN,
        SERVER_KEY | KEEP_ALIVE | NOTE_PREFERRED | PEER_GONE | PING | PONG | HEALTH
        | RESTARTING => 1024,
        _ => MAX_BODY,
    }
}

fn split_key(body: &[u8]) -> Option<(PublicKey, &[u8])> {
    let (key, rest) = body.split_first_chunk::<KEY_LEN>()?;
    Some((PublicKey::new(*key), rest))
}

fn write_parts(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&(len as u32).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
