//! What comes from the network, and what of it the forwarder does not handle itself.

use core::net::{IpAddr, SocketAddr};

use super::{DropReason, Path};

/// Control messages kept from one batch; their senders repeat what is lost.
const MAX_CONTROL: usize = 64;
/// Longest control message: a path MTU probe fills a jumbo frame.
const MAX_CONTROL_LEN: usize = 9216;

/// A buffer as received: one datagram, or a run of equal ones that the kernel put together.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The datagrams, one after the other.
    pub bytes: &'a [u8],
    /// Length of each but perhaps the last.
    pub segment_size: usize,
    /// Who sent them.
    pub source: SocketAddr,
    /// Which of the engine's sockets received them.
    pub socket: usize,
    /// Which of our addresses they were sent to, where the socket has several.
    pub local: Option<IpAddr>,
    /// The buffer was too short for what arrived.
    pub is_truncated: bool,
}

/// Something that the forwarder does not handle itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The peer whose session it came through; `None` for a bare datagram that proves nothing.
    pub slot: Option<usize>,
    /// The opened plaintext, or the bare datagram.
    pub message: Vec<u8>,
    /// The way back to who sent it.
    pub path: Path,
}

impl Arrival<'_> {
    /// The way back to who sent them.
    pub fn path(&self) -> Path {
        Path {
            socket: self.socket,
            source: self.local,
            destination: self.source,
        }
    }
}

/// Keeps a message for the driver, unless it is too long or there are too many.
pub(super) fn keep(
    control: &mut Vec<Control>,
    slot: Option<usize>,
    message: &[u8],
    path: Path,
) -> Result<(), DropReason> {
    // Bare datagrams, which anyone can send, take no room from what peers say.
    let kept = control
        .iter()
        .filter(|kept| kept.slot.is_some() == slot.is_some())
        .count();
    if kept == MAX_CONTROL || message.len() > MAX_CONTROL_LEN {
        return Err(DropReason::ControlOverflow);
    }
    control.push(Control {
        slot,
        message: message.to_vec(),
        path,
    });
    Ok(())
}
