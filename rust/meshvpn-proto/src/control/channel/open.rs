//! A channel that is open: messages in pieces, sealed and numbered.

use super::{ChannelError, LONGEST_FRAME};
use crate::noise::handshake::SessionKeys;
use crate::session::aead::{Aead, Key, Open, Portable, Seal, TAG_LEN};

/// Bytes of a message in one frame.
const PIECE_LEN: usize = LONGEST_FRAME - TAG_LEN - 1;
/// Before a piece: whether more follow.
const LAST: u8 = 0;
const MORE: u8 = 1;

/// One end of an open channel.
#[derive(Debug)]
pub struct Channel {
    send: Numbered,
    receive: Numbered,
    /// Pieces of a message that is not complete.
    received: Vec<u8>,
    longest: usize,
}

/// A key, and the number of the next frame under it.
#[derive(Debug)]
struct Numbered {
    key: Key,
    number: u64,
}

impl Channel {
    /// `longest` is how many bytes of a message are taken.
    pub(super) fn new(keys: SessionKeys, longest: usize) -> Self {
        let numbered = |key| Numbered { key, number: 0 };
        Self {
            send: numbered(keys.send),
            receive: numbered(keys.receive),
            received: Vec::new(),
            longest,
        }
    }

    /// The frames that carry `message`, to be sent in this order.
    pub fn seal(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = message.chunks(PIECE_LEN).peekable();
        let mut frames = Vec::with_capacity(message.len() / PIECE_LEN + 1);
        loop {
            let piece = pieces.next().unwrap_or_default();
            let is_last = pieces.peek().is_none();
            frames.push(self.seal_piece(if is_last { LAST } else { MORE }, piece));
            if is_last {
                return frames;
            }
        }
    }

    /// Takes a frame; the message when it is complete.
    ///
    /// # Errors
    /// After any error the channel is of no use.
    pub fn open(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, ChannelError> {
        if frame.len() > LONGEST_FRAME {
            return Err(ChannelError::FrameTooLong(frame.len()));
        }
        let len = frame.len().checked_sub(TAG_LEN);
        let mut text = vec![0; len.ok_or(ChannelError::NotAuthentic)?];
        let mut batch = [Open {
            key: &self.receive.key,
            counter: self.receive.number,
            sealed: frame,
            out: &mut text,
            valid: false,
        }];
        Portable.open(&mut batch);
        if !batch[0].valid {
            return Err(ChannelError::NotAuthentic);
        }
        self.receive.number += 1;
        let (kind, piece) = text.split_first().ok_or(ChannelError::NoPiece)?;
        if self.received.len() + piece.len() > self.longest {
            return Err(ChannelError::MessageTooLong(self.longest));
        }
        self.received.extend_from_slice(piece);
        match *kind {
            LAST => Ok(Some(core::mem::take(&mut self.received))),
            MORE => Ok(None),
            _ => Err(ChannelError::NoPiece),
        }
    }

    fn seal_piece(&mut self, kind: u8, piece: &[u8]) -> Vec<u8> {
        let mut plaintext = Vec::with_capacity(1 + piece.len());
        plaintext.push(kind);
        plaintext.extend_from_slice(piece);
        let mut frame = vec![0; plaintext.len() + TAG_LEN];
        Portable.seal(&mut [Seal {
            key: &self.send.key,
            counter: self.send.number,
            plaintext: &plaintext,
            out: &mut frame,
        }]);
        self.send.number += 1;
        frame
    }
}
