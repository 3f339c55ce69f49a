//! Packets for people: read, name, show, record and answer IP packets.
//!
//! [`dissect`] reads any bytes and tells what it understood as typed fields, a one-line summary
//! and a list of what is wrong; [`Packet`] is the same with the bytes kept beside it.
//! [`Reassembler`] puts fragments together again, [`pcapng`] records packets for other programs,
//! [`icmp_error`] and [`echo_reply`] write the two ICMP messages that a tunnel end has to send, and
//! [`udp_packet`] the headers that a wire-tap sees around a datagram.
//!
//! Parsing is etherparse's work and complete rather than quick. The forwarder, which touches
//! every packet of a tunnel, has views of its own in [`crate::forward`].
//!
//! ```
//! use meshvpn_proto::packet::Packet;
//!
//! let ping = Packet::new(vec![
//!     0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0xde, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
//!     8, 0, 0xf7, 0xfd, 0, 1, 0, 1, // ICMP
//! ]);
//! assert_eq!(ping.summary(), "10.0.0.1 -> 10.0.0.2 | ICMP Echo Request | 8 bytes");
//! assert!(ping.defects.is_empty());
//! ```

mod checksum;
mod datagram;
mod defect;
mod dissection;
mod echo;
mod hexdump;
mod icmp;
pub mod icmp_error;
mod ip;
mod layers;
pub mod pcapng;
mod reassemble;
mod summary;
mod transport;

use std::ops::Deref;

pub use checksum::Checksum;
pub use datagram::udp_packet;
pub use defect::Defect;
pub use dissection::{Dissection, dissect};
pub use echo::echo_reply;
pub use hexdump::hexdump;
pub use icmp::{Body, Icmp, Quote};
pub use ip::{Extension, Fragment, FragmentKind, Ip, Protocol, Version};
pub use layers::{Field, Layer, Value};
pub use reassemble::{FragmentDrop, Limits, Lost, Reassembler, Reassembly};
pub use transport::{Tcp, TcpFlags, Transport, Udp};

/// One IP packet with what was understood of it. Reads its [`Dissection`] as its own fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    bytes: Box<[u8]>,
    dissection: Dissection,
    pieces: Option<usize>,
}

impl Packet {
    /// Reads a packet that arrived as it is.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        let dissection = dissect(&bytes);
        Self {
            bytes,
            dissection,
            pieces: None,
        }
    }

    /// Reads a packet that was put together from `pieces` fragments; its summary says so.
    pub fn reassembled(bytes: impl Into<Box<[u8]>>, pieces: usize) -> Self {
        Self {
            pieces: Some(pieces),
            ..Self::new(bytes)
        }
    }

    /// The packet as it was given, with all headers.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The data that the last understood header carries.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.dissection.payload.clone()]
    }

    /// Number of fragments this packet was put together from.
    pub fn pieces(&self) -> Option<usize> {
        self.pieces
    }

    /// One line: `source -> destination | what it is | length of the IP payload`.
    pub fn summary(&self) -> String {
        let mut line = String::with_capacity(96);
        // Writing to a String cannot fail.
        let _ = self.dissection.write_summary(&mut line, self.pieces);
        line
    }

    /// Header by header, with every field by name and value.
    pub fn layers(&self) -> Vec<Layer> {
        layers::layers(&self.bytes, &self.dissection)
    }

    /// Bytes as `hexdump -C` prints them.
    pub fn hexdump(&self) -> String {
        hexdump(&self.bytes)
    }
}

impl Deref for Packet {
    type Target = Dissection;

    fn deref(&self) -> &Dissection {
        &self.dissection
    }
}
