//! Inner packets as the tests describe them, written out with etherparse's checksums: the
//! forwarder's own checksum code has no part in it.

use etherparse::checksum::Sum16BitWords;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

/// A TCP or UDP packet, or one super-packet of either.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) is_v6: bool,
    /// Last byte of the source and destination address.
    pub(crate) hosts: (u8, u8),
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    /// IPv4 only.
    pub(crate) id: u16,
    /// IPv4 only.
    pub(crate) dont_fragment: bool,
    /// IPv4 options, or IPv6 destination options as a whole extension header.
    pub(crate) ip_options: Vec<u8>,
    pub(crate) ports: (u16, u16),
    /// `None` for UDP.
    pub(crate) tcp: Option<Tcp>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    /// The four reserved bits beside the data offset.
    pub(crate) reserved: u8,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// A multiple of four bytes.
    pub(crate) options: Vec<u8>,
}

impl core::fmt::Debug for Inner {
    /// Without the payload: a failed case should fit on a screen.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            is_v6,
            hosts,
            tos,
            ttl,
            id,
            dont_fragment,
            ip_options,
            ports,
            ..
        } = self;
        write!(
            f,
            "v6 {is_v6} {hosts:?} {ports:?} tos {tos} ttl {ttl} id {id} df {dont_fragment}"
        )?;
        write!(
            f,
            " options {ip_options:?} {:?} + {}",
            self.tcp,
            self.payload.len()
        )
    }
}

impl Inner {
    pub(crate) fn tcp(is_v6: bool, sequence: u32, payload: Vec<u8>) -> Self {
        let tcp = Tcp {
            sequence,
            acknowledgement: 77,
            reserved: 0,
            flags: ACK,
            window: 500,
            urgent: 0,
            options: Vec::new(),
        };
        Self {
            tcp: Some(tcp),
            ..Self::udp(is_v6, payload)
        }
    }

    pub(crate) fn udp(is_v6: bool, payload: Vec<u8>) -> Self {
        Self {
            is_v6,
            hosts: (1, 2),
            tos: 0,
            ttl: 64,
            id: 1000,
            dont_fragment: true,
            ip_options: Vec::new(),
            ports: (40_000, 443),
            tcp: None,
            payload,
        }
    }

    /// Where the transport header starts.
    pub(crate) fn transport_at(&self) -> usize {
        if self.is_v6 {
            40 + self.ip_options.len()
        } else {
            20 + self.ip_options.len()
        }
    }

    pub(crate) fn headers_len(&self) -> usize {
        let transport = self.tcp.as_ref().map_or(8, |tcp| 20 + tcp.options.len());
        self.transport_at() + transport
    }

    pub(crate) fn len(&self) -> usize {
        self.headers_len() + self.payload.len()
    }

    /// Where, from the transport header, its checksum stands.
    pub(crate) fn checksum_offset(&self) -> usize {
        if self.tcp.is_some() { 16 } else { 6 }
    }

    /// The packet with complete checksums.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.without_checksum();
        let (at, field) = (
            self.transport_at(),
            self.transport_at() + self.checksum_offset(),
        );
        let checksum = match self
            .pseudo_header()
            .add_slice(&bytes[at..])
            .ones_complement()
        {
            0 if self.tcp.is_none() => 0xffff,
            checksum => checksum.to_be(),
        };
        bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// The packet as the kernel hands it over: the checksum field holds the pseudo-header's sum.
    pub(crate) fn with_partial_checksum(&self) -> Vec<u8> {
        let mut bytes = self.without_checksum();
        let field = self.transport_at() + self.checksum_offset();
        let partial = !self.pseudo_header().ones_complement().to_be();
        bytes[field..field + 2].copy_from_slice(&partial.to_be_bytes());
        bytes
    }

    /// The frame that a TUN with offload gives for this super-packet.
    pub(crate) fn super_frame(&self, gso_size: u16) -> Vec<u8> {
        let kind = match (&self.tcp, self.is_v6) {
            (None, _) => 5,
            (Some(_), false) => 1,
            (Some(_), true) => 4,
        };
        self.frame(1, kind, gso_size)
    }

    /// The frame for this packet when its checksum is left to us.
    pub(crate) fn single_frame(&self) -> Vec<u8> {
        self.frame(1, 0, 0)
    }

    fn frame(&self, flags: u8, kind: u8, gso_size: u16) -> Vec<u8> {
        let ecn = match &self.tcp {
            Some(tcp) if kind != 0 && tcp.flags & CWR != 0 => 0x80,
            _ => 0,
        };
        let mut frame = vec![flags, kind | ecn];
        frame.extend((self.headers_len() as u16).to_le_bytes());
        frame.extend(gso_size.to_le_bytes());
        frame.extend((self.transport_at() as u16).to_le_bytes());
        frame.extend((self.checksum_offset() as u16).to_le_bytes());
        frame.extend(self.with_partial_checksum());
        frame
    }

    /// What the kernel's own segmentation would make of this super-packet: an independent splitter,
    /// written on descriptions instead of bytes.
    pub(crate) fn segments(&self, gso_size: usize) -> Vec<Self> {
        let count = self.payload.len().div_ceil(gso_size);
        let segment = |(index, payload): (usize, &[u8])| {
            let mut segment = Self {
                payload: payload.to_vec(),
                ..self.clone()
            };
            segment.id = self.id.wrapping_add(index as u16);
            if let Some(tcp) = &mut segment.tcp {
                tcp.sequence = tcp.sequence.wrapping_add((index * gso_size) as u32);
                if index != 0 {
                    tcp.flags &= !CWR;
                }
                if index + 1 != count {
                    tcp.flags &= !(FIN | PSH);
                }
            }
            segment
        };
        self.payload
            .chunks(gso_size)
            .enumerate()
            .map(segment)
            .collect()
    }

    fn pseudo_header(&self) -> Sum16BitWords {
        let ip = self.ip_header();
        let addresses = if self.is_v6 { &ip[8..40] } else { &ip[12..20] };
        let protocol = if self.tcp.is_some() { 6 } else { 17 };
        let len = (self.len() - self.transport_at()) as u32;
        Sum16BitWords::new()
            .add_slice(addresses)
            .add_2bytes([0, protocol])
            .add_4bytes(len.to_be_bytes())
    }

    fn without_checksum(&self) -> Vec<u8> {
        let mut bytes = self.ip_header();
        bytes.extend(self.ports.0.to_be_bytes());
        bytes.extend(self.ports.1.to_be_bytes());
        match &self.tcp {
            None => {
                bytes.extend((8 + self.payload.len() as u16).to_be_bytes());
                bytes.extend([0, 0]);
            }
            Some(tcp) => {
                bytes.extend(tcp.sequence.to_be_bytes());
                bytes.extend(tcp.acknowledgement.to_be_bytes());
                let offset = (5 + tcp.options.len() / 4) as u8;
                bytes.extend([offset << 4 | tcp.reserved, tcp.flags]);
                bytes.extend(tcp.window.to_be_bytes());
                bytes.extend([0, 0]);
                bytes.extend(tcp.urgent.to_be_bytes());
                bytes.extend(&tcp.options);
            }
        }
        bytes.extend(&self.payload);
        bytes
    }

    fn ip_header(&self) -> Vec<u8> {
        let protocol = if self.tcp.is_some() { 6 } else { 17 };
        let total = self.len() as u16;
        if self.is_v6 {
            let mut bytes = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
            bytes.extend((total - 40).to_be_bytes());
            let next = if self.ip_options.is_empty() {
                protocol
            } else {
                60
            };
            bytes.extend([next, self.ttl]);
            for host in [self.hosts.0, self.hosts.1] {
                bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
            }
            bytes.extend(&self.ip_options);
            if let Some(next) = bytes.get_mut(40) {
                *next = protocol;
            }
            return bytes;
        }
        let mut bytes = vec![0x40 | (5 + self.ip_options.len() / 4) as u8, self.tos];
        bytes.extend(total.to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend([
            if self.dont_fragment { 0x40 } else { 0 },
            0,
            self.ttl,
            protocol,
            0,
            0,
        ]);
        bytes.extend([10, 0, 0, self.hosts.0, 10, 0, 0, self.hosts.1]);
        bytes.extend(&self.ip_options);
        seal_ipv4_header(&mut bytes);
        bytes
    }
}

/// Makes the checksum of the IPv4 header at the start of `packet` right.
pub(crate) fn seal_ipv4_header(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    let sum = Sum16BitWords::new()
        .add_slice(&packet[..header_len])
        .ones_complement();
    packet[10..12].copy_from_slice(&sum.to_be().to_be_bytes());
}

/// The packet without an IPv4 id that means nothing: with "don't fragment" set, RFC 6864 forbids
/// anyone to look at it, and joined packets get ids counted from the first one's.
pub(crate) fn comparable(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 && packet[6] == 0x40 && packet[7] == 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// Whether etherparse finds every length and checksum in order.
pub(crate) fn is_intact(packet: &[u8]) -> bool {
    let Ok(sliced) = etherparse::SlicedPacket::from_ip(packet) else {
        return false;
    };
    let Some(net) = &sliced.net else { return false };
    let ip_is_intact = match net {
        etherparse::NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            header.calc_header_checksum() == header.header_checksum
                && usize::from(header.total_len) == packet.len()
        }
        etherparse::NetSlice::Ipv6(ip) => {
            40 + usize::from(ip.header().payload_length()) == packet.len()
        }
        _ => false,
    };
    let addresses = match net {
        etherparse::NetSlice::Ipv4(_) => &packet[12..20],
        _ => &packet[8..40],
    };
    let transport = match &sliced.transport {
        Some(etherparse::TransportSlice::Tcp(tcp)) => (6, tcp.slice()),
        Some(etherparse::TransportSlice::Udp(udp)) => (17, udp.slice()),
        _ => return false,
    };
    let (protocol, segment) = transport;
    let sum = Sum16BitWords::new()
        .add_slice(addresses)
        .add_2bytes([0, protocol])
        .add_4bytes((segment.len() as u32).to_be_bytes())
        .add_slice(segment);
    ip_is_intact && sum.ones_complement() == 0
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn payload(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    core::iter::repeat_with(next).take(len).collect()
}
