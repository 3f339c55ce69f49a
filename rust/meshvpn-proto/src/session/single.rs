//! One packet at a time: for what is rare, such as keepalives and probes, and for learning.
//!
//! The data plane does the same in batches, with buffers that it keeps and the fastest AEAD that is
//! here ([`forward`](crate::forward)).

use super::aead::{Aead, Open, Portable, Seal, TAG_LEN};
use super::transport::{DataMessage, HEADER_LEN, OVERHEAD, SealedSession, write_header};

/// Why a datagram was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a data message.
    #[error("not a data message")]
    NotData,
    /// For another session.
    #[error("receiver: {found:#010x} instead of {expected:#010x}")]
    OtherSession {
        /// The receiver that it names.
        found: u32,
        /// Our own number for the session.
        expected: u32,
    },
    /// Sealed with another key, or changed on the way.
    #[error("the message is not authentic")]
    NotAuthentic,
    /// Seen before, or older than the replay window.
    #[error("counter: {0} was received before, or is too old to tell")]
    Replayed(u64),
}

impl SealedSession {
    /// The next data message, with this plaintext and no padding; `None` when the session is used up.
    pub fn seal(&self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let counter = self.reserve(1)?;
        let mut datagram = vec![0; plaintext.len() + OVERHEAD];
        let (header, out) = datagram.split_first_chunk_mut::<HEADER_LEN>()?;
        write_header(header, self.remote_index, counter);
        Portable.seal(&mut [Seal {
            key: self.send_key(),
            counter,
            plaintext,
            out,
        }]);
        Some(datagram)
    }

    /// The plaintext of a data message, with its padding.
    ///
    /// # Errors
    /// When it is not the peer's, or not new.
    pub fn open(&self, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
        let message = DataMessage::parse(datagram).ok_or(OpenError::NotData)?;
        if message.receiver != self.local_index {
            return Err(OpenError::OtherSession {
                found: message.receiver,
                expected: self.local_index,
            });
        }
        let mut plaintext = vec![0; message.sealed.len() - TAG_LEN];
        let mut job = [Open {
            key: self.receive_key(),
            counter: message.counter,
            sealed: message.sealed,
            out: &mut plaintext,
            valid: false,
        }];
        Portable.open(&mut job);
        if !job[0].valid {
            return Err(OpenError::NotAuthentic);
        }
        if !self.replay_window().accept(message.counter) {
            return Err(OpenError::Replayed(message.counter));
        }
        self.confirm();
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use super::super::aead::Key;
    use super::*;

    fn pair() -> [SealedSession; 2] {
        let [one, two] = [1, 2].map(|seed| Key::new([seed; 32]));
        [
            SealedSession::new(10, 20, one.clone(), two.clone()),
            SealedSession::new(20, 10, two, one),
        ]
    }

    #[test]
    fn what_one_side_seals_the_other_opens_once() {
        let [here, there] = pair();
        for plaintext in [&b""[..], b"x", &[7; 1400]] {
            let datagram = here.seal(plaintext).unwrap();
            assert_eq!(datagram.len(), plaintext.len() + OVERHEAD);
            let counter = DataMessage::parse(&datagram).unwrap().counter;
            assert_eq!(there.open(&datagram).unwrap(), plaintext);
            assert_eq!(there.open(&datagram), Err(OpenError::Replayed(counter)));
        }
        assert_eq!(here.sent(), 3);
    }

    #[test]
    fn what_is_changed_or_for_others_is_refused_and_spoils_nothing() {
        let [here, there] = pair();
        let datagram = here.seal(b"packet").unwrap();
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            let expected = match at {
                0..4 => OpenError::NotData,
                4..8 => OpenError::OtherSession {
                    found: 20 ^ 1 << ((at - 4) * 8),
                    expected: 20,
                },
                _ => OpenError::NotAuthentic,
            };
            assert_eq!(there.open(&changed), Err(expected), "byte {at}");
        }
        let short = &datagram[..OVERHEAD - 1];
        assert_eq!(there.open(short), Err(OpenError::NotData));
        assert_eq!(there.open(&datagram).unwrap(), b"packet");
    }

    #[test]
    fn opening_shows_that_the_peer_has_the_keys() {
        let [here, there] = pair();
        let there = there.awaiting_confirmation();
        assert!(there.open(&[0; 40]).is_err());
        assert!(there.awaits_confirmation());
        there.open(&here.seal(b"").unwrap()).unwrap();
        assert!(!there.awaits_confirmation());
    }
}
