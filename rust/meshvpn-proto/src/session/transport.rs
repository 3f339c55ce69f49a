//! A transport session: two keys, a counter and a replay window, and the data message they make.
//!
//! ```text
//! 0        1            4               8                16                        n-16
//! | 4      | 0  0  0    | receiver      | counter        | encrypted packet        | tag   |
//! | type   | reserved   | index, LE     | LE             | padded to 16 bytes      |       |
//! ```
//!
//! That is WireGuard's data message (whitepaper, section 5.4.6), byte for byte. Whoever
//! agrees on keys, the WireGuard handshake or the pre-shared-key one, ends with a
//! [`SealedSession`], and the forwarder need not know which it was.
//!
//! Any thread may seal or open: the counter is atomic, the replay window is locked once a batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::aead::{Key, TAG_LEN};
use super::replay::ReplayWindow;

/// First byte of a data message.
pub const DATA: u8 = 4;
/// Bytes before the ciphertext.
pub const HEADER_LEN: usize = 16;
/// Bytes that sealing adds to a packet.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;
/// Plaintexts are padded to a multiple of this, so that lengths tell less.
pub const PADDING: usize = 16;
/// A session sends no packet with this number or a higher one (whitepaper, section 6.1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

/// How packets to a peer are framed.
#[derive(Debug)]
pub enum Session {
    /// As they are: a datagram is an IP packet. No secrecy, no authentication.
    Plain,
    /// Sealed in data messages.
    Sealed(Arc<SealedSession>),
}

impl Session {
    /// Bytes that the framing adds to a packet.
    pub fn overhead(&self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Sealed(_) => OVERHEAD,
        }
    }
}

/// Keys that two peers agreed on, and what has been sent and received under them.
#[derive(Debug)]
pub struct SealedSession {
    /// By this number the peer's data messages name the session to us.
    pub local_index: u32,
    /// By this number ours name it to the peer.
    pub remote_index: u32,
    send_key: Key,
    receive_key: Key,
    next_counter: AtomicU64,
    received: Mutex<ReplayWindow>,
    awaits_confirmation: AtomicBool,
}

impl SealedSession {
    /// A session that has sent and received nothing yet.
    pub fn new(local_index: u32, remote_index: u32, send_key: Key, receive_key: Key) -> Self {
        Self {
            local_index,
            remote_index,
            send_key,
            receive_key,
            next_counter: AtomicU64::new(0),
            received: Mutex::default(),
            awaits_confirmation: AtomicBool::new(false),
        }
    }

    /// The same session, which the peer must have shown to have the keys of before we send with it.
    pub fn awaiting_confirmation(mut self) -> Self {
        self.awaits_confirmation = AtomicBool::new(true);
        self
    }

    /// Whether nobody has [confirmed](Self::confirm) yet that the peer has the keys.
    pub fn awaits_confirmation(&self) -> bool {
        self.awaits_confirmation.load(Ordering::Relaxed)
    }

    /// Takes note that the peer has the keys.
    pub fn confirm(&self) {
        self.awaits_confirmation.store(false, Ordering::Relaxed);
    }

    /// The key that our packets are sealed with.
    pub fn send_key(&self) -> &Key {
        &self.send_key
    }

    /// The key that the peer's packets are opened with.
    pub fn receive_key(&self) -> &Key {
        &self.receive_key
    }

    /// Takes `count` packet numbers and returns the first; `None` when the session is used up.
    pub fn reserve(&self, count: u64) -> Option<u64> {
        let first = self.next_counter.fetch_add(count, Ordering::Relaxed);
        if first.saturating_add(count) < REJECT_AFTER_MESSAGES {
            return Some(first);
        }
        // Put the counter where it stays refused, however often we are asked again.
        self.next_counter
            .store(REJECT_AFTER_MESSAGES, Ordering::Relaxed);
        None
    }

    /// Whether no packet can be numbered any more.
    pub fn is_used_up(&self) -> bool {
        self.sent() >= REJECT_AFTER_MESSAGES
    }

    /// Packets numbered so far.
    pub fn sent(&self) -> u64 {
        self.next_counter.load(Ordering::Relaxed)
    }

    /// The replay window, locked: take it once for a batch.
    pub fn replay_window(&self) -> MutexGuard<'_, ReplayWindow> {
        // A panic elsewhere cannot leave the window half changed in a way that accepts a replay.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a data message's header.
pub fn write_header(out: &mut [u8; HEADER_LEN], receiver: u32, counter: u64) {
    out[..4].copy_from_slice(&[DATA, 0, 0, 0]);
    out[4..8].copy_from_slice(&receiver.to_le_bytes());
    out[8..].copy_from_slice(&counter.to_le_bytes());
}

/// A received data message, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataMessage<'a> {
    /// The session it is for, by our own number.
    pub receiver: u32,
    /// The packet's number.
    pub counter: u64,
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

impl<'a> DataMessage<'a> {
    /// Takes a datagram apart; `None` when it is not a data message of at least a tag's length.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, sealed) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let [DATA, 0, 0, 0, a, b, c, d, counter @ ..] = *header else {
            return None;
        };
        (sealed.len() >= TAG_LEN).then_some(Self {
            receiver: u32::from_le_bytes([a, b, c, d]),
            counter: u64::from_le_bytes(counter),
            sealed,
        })
    }
}

/// Length of a plaintext after padding: the next multiple of [`PADDING`], but not above `largest`
/// (the path would not take it), nor below what it already is.
pub fn padded_len(len: usize, largest: usize) -> usize {
    len.next_multiple_of(PADDING).min(largest.max(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SealedSession {
        SealedSession::new(1, 2, Key::new([1; 32]), Key::new([2; 32]))
    }

    #[test]
    fn a_used_up_session_stays_used_up() {
        let session = session();
        session
            .next_counter
            .store(REJECT_AFTER_MESSAGES - 3, Ordering::Relaxed);
        assert_eq!(session.reserve(2), Some(REJECT_AFTER_MESSAGES - 3));
        for _ in 0..3 {
            assert_eq!(session.reserve(1), None);
        }
        assert_eq!(session.reserve(u64::from(u32::MAX)), None);
    }

    #[test]
    fn a_header_reads_back() {
        let mut datagram = [0; HEADER_LEN + TAG_LEN];
        write_header(datagram.first_chunk_mut().unwrap(), 0x0102_0304, 7);
        let message = DataMessage::parse(&datagram).unwrap();
        assert_eq!(
            (message.receiver, message.counter, message.sealed.len()),
            (0x0102_0304, 7, 16)
        );
        assert_eq!(
            DataMessage::parse(&datagram[..HEADER_LEN + TAG_LEN - 1]),
            None
        );
        datagram[1] = 1;
        assert_eq!(DataMessage::parse(&datagram), None);
    }

    #[test]
    fn padding_never_exceeds_the_path() {
        assert_eq!(padded_len(1420, 1420), 1420);
        assert_eq!(padded_len(84, 1420), 96);
        assert_eq!(padded_len(96, 1420), 96);
        assert_eq!(padded_len(1415, 1420), 1420);
        assert_eq!(padded_len(1500, 1420), 1500);
        assert_eq!(padded_len(0, 1420), 0);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let shown = format!("{:?}", session());
        assert!(
            shown.contains("Key(secret)") && !shown.contains("[1, 1"),
            "{shown}"
        );
    }
}
