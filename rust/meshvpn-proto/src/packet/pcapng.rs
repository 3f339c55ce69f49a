//! Writing captures in the pcapng format, for Wireshark and its kin
//! (draft-ietf-opsawg-pcapng).
//!
//! A file is a section header, one description for each interface, then a block a packet; every
//! block has the same frame:
//!
//! ```text
//! +------+--------+---------------------------+--------+
//! | type | length | body, padded to 4 bytes   | length |      all numbers little-endian here
//! +------+--------+---------------------------+--------+
//! ```
//!
//! Secrets that decrypt packets have a block of their own, and a reader wants it before those packets.
//!
//! The functions append blocks to a buffer; where the bytes go and when is the caller's business.
//!
//! ```
//! use meshvpn_proto::packet::pcapng;
//!
//! let mut file = Vec::new();
//! pcapng::section_header("meshvpn", &mut file);
//! pcapng::interface("mesh0", &mut file);
//! let at = std::time::Duration::from_secs(1_700_000_000);
//! pcapng::packet(0, at, Some(pcapng::Direction::Outbound), &[0x45, 0, 0, 20], &mut file);
//! ```

use std::time::Duration;

/// Which way a packet went, seen from the host that captured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received by the host.
    Inbound,
    /// Sent by the host.
    Outbound,
}

/// What secrets are for, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Secrets {
    /// Lines of a WireGuard key log: see [`key_log`](crate::wireguard::key_log).
    WireGuardKeyLog = u32::from_be_bytes(*b"WGKL"),
}

/// Block types.
mod block {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const PACKET: u32 = 6;
    pub(super) const DECRYPTION_SECRETS: u32 = 10;
}

/// Option codes; each holds within its own type of block.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const SECTION_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const PACKET_FLAGS: u16 = 2;
}

/// Tells a reader the byte order of the section.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// LINKTYPE_RAW: packets begin with their IPv4 or IPv6 header.
const LINK_TYPE_RAW: u16 = 101;
/// No packet was cut: zero means no limit.
const SNAP_LENGTH: u32 = 0;
/// Time stamps count units of 10⁻⁹ seconds.
const NANOSECONDS: u8 = 9;

/// Begins a file; `application` names its writer.
pub fn section_header(application: &str, out: &mut Vec<u8>) {
    block(block::SECTION_HEADER, out, |body| {
        body.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        // Version 1.0, length of the section not stated.
        body.extend_from_slice(&1u16.to_le_bytes());
        body.extend_from_slice(&0u16.to_le_bytes());
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        option(option::SECTION_APPLICATION, application.as_bytes(), body);
        option(option::END, &[], body);
    });
}

/// Describes the next interface, in order of their numbers from 0: one that carries IP packets.
pub fn interface(name: &str, out: &mut Vec<u8>) {
    block(block::INTERFACE, out, |body| {
        body.extend_from_slice(&LINK_TYPE_RAW.to_le_bytes());
        body.extend_from_slice(&0u16.to_le_bytes());
        body.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        option(option::INTERFACE_NAME, name.as_bytes(), body);
        option(option::INTERFACE_RESOLUTION, &[NANOSECONDS], body);
        option(option::END, &[], body);
    });
}

/// Records `packet`, seen on `interface` at `time` since 1970 UTC.
///
/// Time is kept in nanoseconds up to the year 2554, where 64 bits end.
pub fn packet(
    interface: u32,
    time: Duration,
    direction: Option<Direction>,
    packet: &[u8],
    out: &mut Vec<u8>,
) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // A block's length has 32 bits, a packet's at most 17.
    let length = packet.len() as u32;
    block(block::PACKET, out, |body| {
        body.extend_from_slice(&interface.to_le_bytes());
        body.extend_from_slice(&((nanoseconds >> 32) as u32).to_le_bytes());
        body.extend_from_slice(&(nanoseconds as u32).to_le_bytes());
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&length.to_le_bytes());
        padded(packet, body);
        if let Some(direction) = direction {
            // Bits 0 and 1 of the flags.
            let flags: u32 = match direction {
                Direction::Inbound => 0b01,
                Direction::Outbound => 0b10,
            };
            option(option::PACKET_FLAGS, &flags.to_le_bytes(), body);
            option(option::END, &[], body);
        }
    });
}

/// Reveals secrets to whoever reads the file: the packets after this block are shown decrypted.
pub fn decryption_secrets(kind: Secrets, secrets: &[u8], out: &mut Vec<u8>) {
    block(block::DECRYPTION_SECRETS, out, |body| {
        body.extend_from_slice(&(kind as u32).to_le_bytes());
        body.extend_from_slice(&(secrets.len() as u32).to_le_bytes());
        padded(secrets, body);
    });
}

/// Writes one block, whose body `write` appends.
fn block(kind: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

/// Appends an option. Longer values than its 16 bits of length can state are cut.
fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    padded(value, out);
}

/// Appends bytes and zeros up to a multiple of four, counted from the bytes' own start.
fn padded(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.resize(out.len() + bytes.len().next_multiple_of(4) - bytes.len(), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stand_between_their_length_and_zeros() {
        let mut out = Vec::new();
        decryption_secrets(Secrets::WireGuardKeyLog, b"A = b\n", &mut out);
        let expected: [&[u8]; 6] = [
            &[10, 0, 0, 0, 28, 0, 0, 0],
            // As tshark and editcap have it: draft-ietf-opsawg-pcapng, section 4.7.
            &[0x4c, 0x4b, 0x47, 0x57],
            &[6, 0, 0, 0],
            b"A = b\n",
            &[0, 0],
            &[28, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn secrets_of_any_length_end_where_the_next_block_begins() {
        for length in 0..9 {
            let mut out = Vec::new();
            decryption_secrets(Secrets::WireGuardKeyLog, &vec![7; length], &mut out);
            let total = 20 + length.next_multiple_of(4);
            assert_eq!(out.len(), total);
            assert_eq!(out[4..8], (total as u32).to_le_bytes());
            assert_eq!(out[total - 4..], (total as u32).to_le_bytes());
        }
    }
}
