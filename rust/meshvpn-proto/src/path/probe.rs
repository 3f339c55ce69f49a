//! Path probes: messages between two peers about the path between them.
//!
//! They travel like packets, inside the session where there is one, and are told apart by their
//! first four bits: those are 4 or 6 in every IP packet and 0 here. A stock WireGuard peer drops
//! them as malformed packets.
//!
//! ```text
//! 0        1           4        6        8        16
//! | type   | 0  0  0   | size   | 0  0   | token  | zeros up to size
//! ```
//!
//! A request is padded so that the IP packet around it is `size` bytes long; the reply is short, and
//! says by the same token and size what got through.

/// Bytes of a probe without padding.
pub const MIN_LEN: usize = 16;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// A request or its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// "Did this get through?"
    Request(Echo),
    /// "Yes, it did."
    Reply(Echo),
}

/// What the reply repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Length of the IP packet that carried the request, in bytes.
    pub size: u16,
    /// Chosen by the asker.
    pub token: u64,
}

impl Probe {
    /// Reads a probe; `None` when it is something else.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let header: &[u8; MIN_LEN] = message.first_chunk()?;
        let [kind, 0, 0, 0, high, low, 0, 0, token @ ..] = *header else {
            return None;
        };
        let echo = Echo {
            size: u16::from_be_bytes([high, low]),
            token: u64::from_be_bytes(token),
        };
        match kind {
            REQUEST => Some(Self::Request(echo)),
            REPLY => Some(Self::Reply(echo)),
            _ => None,
        }
    }

    /// The probe as a message of `len` bytes, at least [`MIN_LEN`].
    pub fn to_message(self, len: usize) -> Vec<u8> {
        let (kind, echo) = match self {
            Self::Request(echo) => (REQUEST, echo),
            Self::Reply(echo) => (REPLY, echo),
        };
        let mut message = vec![0; len.max(MIN_LEN)];
        message[0] = kind;
        message[4..6].copy_from_slice(&echo.size.to_be_bytes());
        message[8..16].copy_from_slice(&echo.token.to_be_bytes());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(size: u16, token: u64, len in 0usize..1500) {
            for probe in [Probe::Request(Echo { size, token }), Probe::Reply(Echo { size, token })] {
                prop_assert_eq!(Probe::parse(&probe.to_message(len)), Some(probe));
            }
        }

        #[test]
        fn an_ip_packet_is_no_probe(mut bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            for version in [0x40, 0x60] {
                bytes[0] = bytes[0] & 0x0f | version;
                prop_assert_eq!(Probe::parse(&bytes), None);
            }
        }
    }
}
