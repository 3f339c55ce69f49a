//! The hello: the handshake's only message, read and written.

use core::fmt;

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::keys::PresharedKey;

/// First byte of a hello.
pub const HELLO: u8 = 0x20;
/// Bytes of a hello.
pub const HELLO_LEN: usize = 88;

const VERSION: u8 = 1;
const MAC_LEN: usize = 16;
const SALT_LEN: usize = 32;

/// What a side picked at its start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(pub(super) [u8; SALT_LEN]);

impl Salt {
    /// In place of the peer's salt, before one was heard.
    pub(super) const NONE: Self = Self([0; SALT_LEN]);
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// How far a side has come with the peer whose salt it repeats: the three-way handshake of RFC 5880,
/// section 6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Has no keys: do not send yet.
    Down,
    /// Has keys and can open what is sent to it; does not know whether the peer can.
    Init,
    /// Has keys and knows that the peer has them too.
    Up,
}

/// A hello whose MAC is right.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) stage: Stage,
    pub(super) index: u32,
    /// The sender's salt.
    pub(super) own: Salt,
    /// The salt that the sender heard from us.
    pub(super) peer: Salt,
}

impl Hello {
    /// `None` when it is none, or was made without the key.
    pub(super) fn parse(key: &PresharedKey, datagram: &[u8]) -> Option<Self> {
        let datagram: &[u8; HELLO_LEN] = datagram.try_into().ok()?;
        let (body, mac) = datagram.split_last_chunk::<MAC_LEN>()?;
        if !bool::from(authenticate(key, body).ct_eq(mac)) {
            return None;
        }
        let (fields, salts) = body.split_first_chunk::<8>()?;
        let [HELLO, stage, 0, VERSION, index @ ..] = *fields else {
            return None;
        };
        let (own, peer) = salts.split_first_chunk()?;
        Some(Self {
            stage: match stage {
                0 => Stage::Down,
                1 => Stage::Init,
                2 => Stage::Up,
                _ => return None,
            },
            index: u32::from_le_bytes(index),
            own: Salt(*own),
            peer: Salt(peer.try_into().ok()?),
        })
    }

    pub(super) fn write(&self, key: &PresharedKey) -> [u8; HELLO_LEN] {
        let mut out = [0; HELLO_LEN];
        out[0] = HELLO;
        out[1] = self.stage as u8;
        out[3] = VERSION;
        out[4..8].copy_from_slice(&self.index.to_le_bytes());
        out[8..40].copy_from_slice(&self.own.0);
        out[40..72].copy_from_slice(&self.peer.0);
        let mac = authenticate(key, &out[..HELLO_LEN - MAC_LEN]);
        out[HELLO_LEN - MAC_LEN..].copy_from_slice(&mac);
        out
    }
}

fn authenticate(key: &PresharedKey, body: &[u8]) -> [u8; MAC_LEN] {
    let key = Zeroizing::new(keyed_hash(key.expose(), &[b"meshvpn preshared v1 hello"]));
    let mut mac = [0; MAC_LEN];
    mac.copy_from_slice(&keyed_hash(&key, &[body])[..MAC_LEN]);
    mac
}

/// BLAKE2s of all parts, keyed.
pub(super) fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash =
        <Blake2sMac256 as KeyInit>::new_from_slice(key).expect("BLAKE2s takes keys of 32 bytes");
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into_bytes().into()
}
