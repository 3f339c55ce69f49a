//! A packet taken apart header by header, for trees, tables and JSON.
//!
//! Field keys are the display filter names of Wireshark where it has the field, so that a value
//! here can be held against `tshark -T fields -e ip.src`.

mod data;
mod extensions;
mod icmp;
mod ip;
mod neighbor;
mod transport;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use super::{Checksum, Dissection, Transport};

/// One header, or the data behind the last one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Name for people, for example `Transmission Control Protocol`.
    pub name: &'static str,
    /// Short name, for example `tcp`.
    pub key: &'static str,
    /// Which bytes of the packet it is.
    pub range: Range<usize>,
    /// Its fields in the order of the header. Keys may repeat (options).
    pub fields: Vec<Field>,
}

/// One field of a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Stable name for programs, for example `tcp.srcport`.
    pub key: &'static str,
    /// Name for people, for example `Source port`.
    pub label: &'static str,
    /// What it says.
    pub value: Value,
    /// What that means, for example `Port Unreachable` for code 3.
    pub meaning: Option<Cow<'static, str>>,
}

/// A field's value; `Display` writes it for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A count, length or number.
    Number(u64),
    /// A number that people read in hexadecimal, with its width in digits.
    Hex(u64, usize),
    /// A single bit.
    Flag(bool),
    /// An IP address.
    Address(IpAddr),
    /// Text that is no number.
    Text(Cow<'static, str>),
    /// Raw bytes.
    Bytes(Vec<u8>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Hex(number, digits) => write!(f, "{number:#0width$x}", width = digits + 2),
            Self::Flag(set) => f.write_str(if *set { "yes" } else { "no" }),
            Self::Address(address) => write!(f, "{address}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Takes `bytes` apart as `dissection` read them; layers are in the order of the bytes.
pub(super) fn layers(bytes: &[u8], dissection: &Dissection) -> Vec<Layer> {
    let mut layers = Vec::new();
    let Some(ip) = &dissection.ip else {
        layers.push(data::layer(bytes, 0..bytes.len()));
        return layers;
    };
    layers.push(ip::layer(&bytes[ip.header.clone()], ip));
    layers.extend(
        ip.extensions
            .iter()
            .map(|header| extensions::layer(bytes, header)),
    );

    let header = ip.payload.start..dissection.payload.start;
    let head = &bytes[header.clone()];
    let known = match &dissection.transport {
        Transport::Tcp(tcp) => Some(transport::tcp(head, tcp, dissection)),
        Transport::Udp(udp) => Some(transport::udp(udp, dissection)),
        Transport::Icmp(message) => Some(icmp::v4(message, head, dissection)),
        Transport::Icmpv6(message) => Some(icmp::v6(message, head, dissection)),
        Transport::Other | Transport::LaterFragment | Transport::Malformed => None,
    };
    layers.extend(known.map(|build| build.into_layer(header)));
    if !dissection.payload.is_empty() {
        layers.push(data::layer(bytes, dissection.payload.clone()));
    }
    layers
}

/// A layer being built: one line of code a field.
struct Build {
    name: &'static str,
    key: &'static str,
    fields: Vec<Field>,
}

impl Build {
    fn new(name: &'static str, key: &'static str) -> Self {
        Self {
            name,
            key,
            fields: Vec::new(),
        }
    }

    fn into_layer(self, range: Range<usize>) -> Layer {
        Layer {
            name: self.name,
            key: self.key,
            range,
            fields: self.fields,
        }
    }

    fn add(&mut self, key: &'static str, label: &'static str, value: Value) -> &mut Self {
        self.fields.push(Field {
            key,
            label,
            value,
            meaning: None,
        });
        self
    }

    fn number(&mut self, key: &'static str, label: &'static str, n: impl Into<u64>) -> &mut Self {
        self.add(key, label, Value::Number(n.into()))
    }

    fn length(&mut self, key: &'static str, label: &'static str, bytes: usize) -> &mut Self {
        self.number(key, label, bytes as u64)
    }

    fn hex(
        &mut self,
        key: &'static str,
        label: &'static str,
        n: impl Into<u64>,
        digits: usize,
    ) -> &mut Self {
        self.add(key, label, Value::Hex(n.into(), digits))
    }

    fn flag(&mut self, key: &'static str, label: &'static str, set: bool) -> &mut Self {
        self.add(key, label, Value::Flag(set))
    }

    fn address(
        &mut self,
        key: &'static str,
        label: &'static str,
        address: impl Into<IpAddr>,
    ) -> &mut Self {
        self.add(key, label, Value::Address(address.into()))
    }

    /// In units of eight bytes as in the header.
    fn fragment_offset(&mut self, key: &'static str, units: u16) -> &mut Self {
        let bytes = u32::from(units) * 8;
        self.number(key, "Fragment offset", units)
            .meaning(Some(format!("{bytes} bytes").into()))
    }

    /// A checksum with the verdict on it as its meaning.
    fn checksum(&mut self, key: &'static str, found: u16, verdict: Checksum) -> &mut Self {
        self.hex(key, "Checksum", found, 4)
            .meaning(Some(match verdict {
                Checksum::Wrong { expected, .. } => {
                    format!("wrong, should be {expected:#06x}").into()
                }
                verdict => Cow::Borrowed(verdict.as_str()),
            }))
    }

    /// Says what the field added last means.
    fn meaning(&mut self, meaning: Option<Cow<'static, str>>) -> &mut Self {
        if let Some(field) = self.fields.last_mut() {
            field.meaning = meaning;
        }
        self
    }
}

/// Reads big-endian numbers at fixed offsets of a header whose length was checked when it was
/// dissected; what is beyond the end reads as zero.
fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |&two| u16::from_be_bytes(two))
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |&four| u32::from_be_bytes(four))
}
