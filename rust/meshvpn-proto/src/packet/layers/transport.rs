//! TCP with its options, and UDP.

use etherparse::{TcpOptionElement, TcpOptionsIterator};

use super::{Build, be16};
use crate::packet::{Dissection, Tcp, Udp};

pub(super) fn tcp(header: &[u8], tcp: &Tcp, dissection: &Dissection) -> Build {
    let mut build = Build::new("Transmission Control Protocol", "tcp");
    build
        .number("tcp.srcport", "Source port", tcp.source_port)
        .number("tcp.dstport", "Destination port", tcp.destination_port)
        .number("tcp.seq_raw", "Sequence number", tcp.sequence)
        .number("tcp.ack_raw", "Acknowledgment number", tcp.acknowledgment)
        .length("tcp.hdr_len", "Header length", header.len())
        // As Wireshark does, with the reserved bits and those of the ninth flag.
        .hex("tcp.flags", "Flags", be16(header, 12) & 0x0fff, 3)
        .meaning(Some(tcp.flags.to_string().into()))
        .number("tcp.window_size_value", "Window", tcp.window)
        .checksum("tcp.checksum", tcp.checksum, dissection.checksum)
        .number("tcp.urgent_pointer", "Urgent pointer", tcp.urgent);
    for option in TcpOptionsIterator::from_slice(&header[20..]).map_while(Result::ok) {
        match option {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(size) => {
                build.number("tcp.options.mss_val", "Maximum segment size", size);
            }
            TcpOptionElement::WindowScale(shift) => {
                build.number("tcp.options.wscale.shift", "Window scale (bits)", shift);
            }
            TcpOptionElement::SelectiveAcknowledgementPermitted => {
                build.flag(
                    "tcp.options.sack_perm",
                    "Selective acknowledgment permitted",
                    true,
                );
            }
            TcpOptionElement::SelectiveAcknowledgement(first, more) => {
                for (left, right) in std::iter::once(first).chain(more.into_iter().flatten()) {
                    build
                        .number("tcp.options.sack_le", "Received from", left)
                        .number("tcp.options.sack_re", "Received to", right);
                }
            }
            TcpOptionElement::Timestamp(value, echo) => {
                build
                    .number("tcp.options.timestamp.tsval", "Timestamp", value)
                    .number("tcp.options.timestamp.tsecr", "Timestamp echo", echo);
            }
        }
    }
    // A first fragment does not say how much data there is.
    if dissection
        .ip
        .as_ref()
        .is_some_and(|ip| ip.has_whole_message())
    {
        build.length("tcp.len", "Data length", dissection.payload.len());
    }
    build
}

pub(super) fn udp(udp: &Udp, dissection: &Dissection) -> Build {
    let mut build = Build::new("User Datagram Protocol", "udp");
    build
        .number("udp.srcport", "Source port", udp.source_port)
        .number("udp.dstport", "Destination port", udp.destination_port)
        .number("udp.length", "Length", udp.length)
        .checksum("udp.checksum", udp.checksum, dissection.checksum);
    build
}
