//! Messages on a stream, each after its length in four bytes.

/// Bytes of the length.
const LENGTH: usize = 4;

/// What has come of a stream, and is no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<u8>);

impl Pieces {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let message = rest.get(..length)?.to_vec();
        self.0.drain(..LENGTH + length);
        Some(message)
    }
}

/// The message with its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&length[..], message].concat()
}
