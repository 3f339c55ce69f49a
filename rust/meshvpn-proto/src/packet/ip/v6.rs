//! Reading an IPv6 header and the chain of extension headers behind it (RFC 8200, 4).
//!
//! The chain is walked here, header by header, and not by etherparse as a whole, because the walk
//! must end at the fragment header of a later fragment: what follows there is the middle of a
//! datagram, however much it looks like another header.

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv6FragmentHeaderSlice, Ipv6Header, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err::LenError, ip_number,
};

use super::{Defect, Extension, Fragment, Ip, Protocol, Version};

pub(super) fn read(bytes: &[u8], defects: &mut Vec<Defect>) -> Option<Ip> {
    let Ok(header) = Ipv6HeaderSlice::from_slice(bytes) else {
        // The version was 6, so the length is all that can be wrong.
        defects.push(Defect::Truncated {
            part: "IPv6 header",
            have: bytes.len(),
            need: Ipv6Header::LEN,
        });
        return None;
    };
    let stated_length = Ipv6Header::LEN + usize::from(header.payload_length());
    let end = super::end_of_packet("IPv6 packet", stated_length, bytes.len(), defects);
    let mut ip = Ip {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        hop_limit: header.hop_limit(),
        dscp: header.dscp().value(),
        ecn: header.ecn().value(),
        version: Version::V6 {
            flow_label: header.flow_label().value(),
        },
        stated_length,
        header: 0..Ipv6Header::LEN,
        extensions: Vec::new(),
        fragment: None,
        protocol: Protocol(header.next_header().0),
        payload: Ipv6Header::LEN..end,
        source_routed: false,
    };
    while ip.has_upper_header() {
        match read_extension(&bytes[ip.payload.clone()], &mut ip) {
            Ok(Some((length, next))) => {
                let end = ip.payload.start + length;
                let range = ip.payload.start..end;
                ip.extensions.push(Extension {
                    protocol: ip.protocol,
                    range,
                });
                ip.payload.start = end;
                ip.protocol = next;
            }
            Ok(None) => break,
            Err(defect) => {
                defects.push(defect);
                break;
            }
        }
    }
    if let Some(fragment) = ip.fragment {
        let after = ip
            .extensions
            .iter()
            .find(|header| header.protocol.0 == ip_number::IPV6_FRAG.0);
        let start = after.map_or(ip.payload.start, |header| header.range.end);
        super::check_fragment(fragment, end - start, defects);
    }
    Some(ip)
}

/// Reads the extension header `ip.protocol` at the start of `rest`: its length and what follows,
/// or `None` when that is no extension header.
fn read_extension(rest: &[u8], ip: &mut Ip) -> Result<Option<(usize, Protocol)>, Defect> {
    let (length, next) = match IpNumber(ip.protocol.0) {
        ip_number::IPV6_HOP_BY_HOP if !ip.extensions.is_empty() => {
            return Err(Defect::MisplacedHopByHop);
        }
        ip_number::IPV6_HOP_BY_HOP => options(rest, "hop-by-hop options header")?,
        ip_number::IPV6_DEST_OPTIONS => options(rest, "destination options header")?,
        ip_number::IPV6_ROUTE => {
            let header = options(rest, "routing header")?;
            // RFC 8200, 4.4: byte 3 counts the stops that are left.
            ip.source_routed |= rest[3] != 0;
            header
        }
        // A second fragment header would be a fragment of a fragment: no node sends one.
        ip_number::IPV6_FRAG if ip.fragment.is_none() => {
            let header = Ipv6FragmentHeaderSlice::from_slice(rest)
                .map_err(|error| truncated("fragment header", &error))?;
            ip.fragment = Some(Fragment {
                id: header.identification(),
                offset: header.fragment_offset().byte_offset(),
                more: header.more_fragments(),
            });
            (header.slice().len(), header.next_header())
        }
        ip_number::AUTH => {
            let header =
                IpAuthHeaderSlice::from_slice(rest).map_err(super::v4::authentication_defect)?;
            (header.slice().len(), header.next_header())
        }
        _ => return Ok(None),
    };
    Ok(Some((length, Protocol(next.0))))
}

/// Length and successor of a header in the common layout: next header, length, data.
fn options(rest: &[u8], part: &'static str) -> Result<(usize, IpNumber), Defect> {
    let header =
        Ipv6RawExtHeaderSlice::from_slice(rest).map_err(|error| truncated(part, &error))?;
    Ok((header.slice().len(), header.next_header()))
}

fn truncated(part: &'static str, error: &LenError) -> Defect {
    Defect::Truncated {
        part,
        have: error.len,
        need: error.required_len,
    }
}
