//! Packets for people.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use meshvpn_proto::packet::{self as proto, Body, Checksum, Icmp, Tcp, Transport, Value, Version};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::capture::direction_from_str;

/// An IP packet; `meshvpn.Packet` adds display.
#[pyclass(frozen, subclass, eq, hash, module = "meshvpn._meshvpn")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Packet {
    packet: proto::Packet,
    /// The device it was seen on.
    #[pyo3(get)]
    device: Option<String>,
    /// When it was seen, in nanoseconds since 1970 UTC.
    #[pyo3(get)]
    time_ns: Option<u64>,
    /// "inbound" (to this host), "outbound" (from it) or None.
    #[pyo3(get)]
    direction: Option<String>,
}

/// Key, label, value, value as text, meaning.
type FieldTuple<'py> = (
    &'static str,
    &'static str,
    Bound<'py, PyAny>,
    String,
    Option<String>,
);
/// Key, name, first byte, byte behind the last, fields.
type LayerTuple<'py> = (
    &'static str,
    &'static str,
    usize,
    usize,
    Vec<FieldTuple<'py>>,
);

#[pymethods]
impl Packet {
    #[new]
    #[pyo3(signature = (data, *, device = None, time_ns = None, direction = None, pieces = None))]
    fn new(
        data: &[u8],
        device: Option<String>,
        time_ns: Option<u64>,
        direction: Option<String>,
        pieces: Option<usize>,
    ) -> PyResult<Self> {
        if let Some(direction) = &direction {
            direction_from_str(direction)?;
        }
        let packet = match pieces {
            Some(pieces) => proto::Packet::reassembled(data, pieces),
            None => proto::Packet::new(data),
        };
        Ok(Self {
            packet,
            device,
            time_ns,
            direction,
        })
    }

    /// The packet with all headers.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.packet.bytes())
    }

    /// The data that the last understood header carries.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.packet.payload())
    }

    /// Number of fragments it was put together from, or None.
    #[getter]
    fn pieces(&self) -> Option<usize> {
        self.packet.pieces()
    }

    /// Length in bytes of what the IP headers carry, the number that ping prints.
    #[getter]
    fn length(&self) -> usize {
        self.packet.message_length()
    }

    /// What is wrong with it, in words; empty for a sound packet.
    #[getter]
    fn defects(&self) -> Vec<String> {
        self.packet
            .defects
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    // --- network layer; None where the header cannot be read or the version has no such field ---

    /// 4 or 6.
    #[getter]
    fn version(&self) -> Option<u8> {
        self.ip().map(proto::Ip::version_number)
    }

    /// Source address.
    #[getter]
    fn source(&self) -> Option<IpAddr> {
        self.ip().map(|ip| ip.source)
    }

    /// Destination address.
    #[getter]
    fn destination(&self) -> Option<IpAddr> {
        self.ip().map(|ip| ip.destination)
    }

    /// Time to live, or hop limit.
    #[getter]
    fn hop_limit(&self) -> Option<u8> {
        self.ip().map(|ip| ip.hop_limit)
    }

    /// Differentiated services code point, 0 to 63.
    #[getter]
    fn dscp(&self) -> Option<u8> {
        self.ip().map(|ip| ip.dscp)
    }

    /// Explicit congestion notification, 0 to 3.
    #[getter]
    fn ecn(&self) -> Option<u8> {
        self.ip().map(|ip| ip.ecn)
    }

    /// IPv6 flow label.
    #[getter]
    fn flow_label(&self) -> Option<u32> {
        match self.ip()?.version {
            Version::V6 { flow_label } => Some(flow_label),
            Version::V4 { .. } => None,
        }
    }

    /// IPv4's "don't fragment".
    #[getter]
    fn dont_fragment(&self) -> Option<bool> {
        match self.ip()?.version {
            Version::V4 { dont_fragment, .. } => Some(dont_fragment),
            Version::V6 { .. } => None,
        }
    }

    /// Number of the upper protocol.
    #[getter]
    fn protocol(&self) -> Option<u8> {
        self.ip().map(|ip| ip.protocol.0)
    }

    /// Name of the upper protocol, such as "TCP".
    #[getter]
    fn protocol_name(&self) -> Option<String> {
        self.ip().map(|ip| ip.protocol.to_string())
    }

    /// Verdict on IPv4's header checksum: "correct", "wrong" or None.
    #[getter]
    fn header_checksum(&self) -> Option<&'static str> {
        match self.ip()?.version {
            Version::V4 { checksum, .. } => Some(checksum.as_str()),
            Version::V6 { .. } => None,
        }
    }

    // --- fragments ---

    /// "first", "middle", "last" or "atomic"; None for a whole packet.
    #[getter]
    fn fragment_kind(&self) -> Option<&'static str> {
        self.fragment().map(|fragment| fragment.kind().as_str())
    }

    /// Identification of the datagram this is a fragment of.
    #[getter]
    fn fragment_id(&self) -> Option<u32> {
        self.fragment().map(|fragment| fragment.id)
    }

    /// Where in its datagram the fragment belongs, in bytes.
    #[getter]
    fn fragment_offset(&self) -> Option<u16> {
        self.fragment().map(|fragment| fragment.offset)
    }

    // --- transport layer; None where there is no such field ---

    /// Verdict on the transport layer's checksum: "correct", "wrong", "absent" or "unverified".
    #[getter]
    fn checksum(&self) -> &'static str {
        Checksum::as_str(self.packet.checksum)
    }

    /// Source port of TCP and UDP.
    #[getter]
    fn source_port(&self) -> Option<u16> {
        self.packet.ports().map(|(source, _)| source)
    }

    /// Destination port of TCP and UDP.
    #[getter]
    fn destination_port(&self) -> Option<u16> {
        self.packet.ports().map(|(_, destination)| destination)
    }

    /// The TCP flags that are set, such as "SYN".
    #[getter]
    fn tcp_flags(&self) -> Option<BTreeSet<&'static str>> {
        self.tcp().map(|tcp| tcp.flags.names().collect())
    }

    /// TCP sequence number.
    #[getter]
    fn tcp_sequence(&self) -> Option<u32> {
        self.tcp().map(|tcp| tcp.sequence)
    }

    /// TCP acknowledgment number.
    #[getter]
    fn tcp_acknowledgment(&self) -> Option<u32> {
        self.tcp().map(|tcp| tcp.acknowledgment)
    }

    /// TCP window, unscaled.
    #[getter]
    fn tcp_window(&self) -> Option<u16> {
        self.tcp().map(|tcp| tcp.window)
    }

    /// Type of an ICMP or ICMPv6 message.
    #[getter]
    fn icmp_type(&self) -> Option<u8> {
        self.icmp().map(|icmp| icmp.kind)
    }

    /// Code of an ICMP or ICMPv6 message.
    #[getter]
    fn icmp_code(&self) -> Option<u8> {
        self.icmp().map(|icmp| icmp.code)
    }

    /// Name of the ICMP type, such as "Echo Request".
    #[getter]
    fn icmp_name(&self) -> Option<&'static str> {
        self.icmp()?.name
    }

    /// Identifier of a ping.
    #[getter]
    fn icmp_identifier(&self) -> Option<u16> {
        match self.icmp()?.body {
            Body::Query { identifier, .. } => Some(identifier),
            _ => None,
        }
    }

    /// Sequence number of a ping.
    #[getter]
    fn icmp_sequence(&self) -> Option<u16> {
        match self.icmp()?.body {
            Body::Query { sequence, .. } => Some(sequence),
            _ => None,
        }
    }

    /// MTU that "fragmentation needed" or "packet too big" tells, in bytes.
    #[getter]
    fn icmp_mtu(&self) -> Option<u32> {
        match self.icmp()?.body {
            Body::Mtu(mtu) => Some(mtu),
            _ => None,
        }
    }

    // --- display ---

    /// One line: source -> destination | what it is | length of what the IP headers carry.
    fn summary(&self) -> String {
        self.packet.summary()
    }

    /// The bytes as `hexdump -C` prints them.
    fn hexdump(&self) -> String {
        self.packet.hexdump()
    }

    /// The headers as (key, name, start, stop, fields), fields as (key, label, value, text, meaning).
    fn layer_tuples<'py>(&self, py: Python<'py>) -> PyResult<Vec<LayerTuple<'py>>> {
        let to_tuple = |layer: proto::Layer| {
            let fields = layer.fields.into_iter().map(|field| field_tuple(py, field));
            let (start, end) = (layer.range.start, layer.range.end);
            Ok((
                layer.key,
                layer.name,
                start,
                end,
                fields.collect::<PyResult<_>>()?,
            ))
        };
        self.packet.layers().into_iter().map(to_tuple).collect()
    }

    /// The echo reply to this packet, or None when it is no sound echo request.
    fn echo_reply_data<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        proto::echo_reply(self.packet.bytes()).map(|reply| PyBytes::new(py, &reply))
    }
}

impl Packet {
    fn ip(&self) -> Option<&proto::Ip> {
        self.packet.ip.as_ref()
    }

    fn fragment(&self) -> Option<proto::Fragment> {
        self.ip()?.fragment
    }

    fn tcp(&self) -> Option<&Tcp> {
        match &self.packet.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    fn icmp(&self) -> Option<&Icmp> {
        match &self.packet.transport {
            Transport::Icmp(icmp) | Transport::Icmpv6(icmp) => Some(icmp),
            _ => None,
        }
    }
}

fn field_tuple(py: Python<'_>, field: proto::Field) -> PyResult<FieldTuple<'_>> {
    let text = field.value.to_string();
    let value = match field.value {
        Value::Number(number) | Value::Hex(number, _) => number.into_pyobject(py)?.into_any(),
        Value::Flag(set) => set.into_pyobject(py)?.to_owned().into_any(),
        Value::Address(address) => address.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
    };
    Ok((
        field.key,
        field.label,
        value,
        text,
        field.meaning.map(Cow::into_owned),
    ))
}
