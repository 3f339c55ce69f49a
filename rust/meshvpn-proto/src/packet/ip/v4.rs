//! Reading an IPv4 header (RFC 791), its options and an authentication header behind it.

use etherparse::err::ip_auth;
use etherparse::err::ipv4::{HeaderError, HeaderSliceError};
use etherparse::{IpAuthHeaderSlice, Ipv4HeaderSlice, checksum::Sum16BitWords, ip_number};

use super::{Checksum, Defect, Extension, Fragment, Ip, Protocol, Version};
use crate::packet::checksum;

/// Offset of the header checksum.
const CHECKSUM_AT: usize = 10;

pub(super) fn read(bytes: &[u8], defects: &mut Vec<Defect>) -> Option<Ip> {
    let header = match Ipv4HeaderSlice::from_slice(bytes) {
        Ok(header) => header,
        Err(error) => {
            defects.push(header_defect(error));
            return None;
        }
    };
    let header_length = header.slice().len();
    let mut stated_length = usize::from(header.total_len());
    if stated_length < header_length {
        // Read on with what is there: the rest of the header can still tell a lot.
        defects.push(Defect::LengthTooSmall {
            part: "IPv4 total length",
            value: stated_length,
            minimum: header_length,
        });
        stated_length = bytes.len();
    }
    let end = super::end_of_packet("IPv4 packet", stated_length, bytes.len(), defects);

    let checksum = checksum::verify(Sum16BitWords::new(), header.slice(), CHECKSUM_AT);
    if let Checksum::Wrong { found, expected } = checksum {
        defects.push(Defect::WrongChecksum {
            part: "IPv4 header",
            found,
            expected,
        });
    }
    if options(header.options()).any(|option| option.is_none()) {
        defects.push(Defect::BadOptions("IPv4"));
    }
    let fragment = header.is_fragmenting_payload().then(|| Fragment {
        id: u32::from(header.identification()),
        offset: header.fragments_offset().byte_offset(),
        more: header.more_fragments(),
    });
    if let Some(fragment) = fragment {
        super::check_fragment(fragment, end - header_length, defects);
    }
    let mut ip = Ip {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        hop_limit: header.ttl(),
        dscp: header.dcp().value(),
        ecn: header.ecn().value(),
        version: Version::V4 {
            identification: header.identification(),
            dont_fragment: header.dont_fragment(),
            checksum,
        },
        stated_length,
        header: 0..header_length,
        extensions: Vec::new(),
        fragment,
        protocol: Protocol(header.protocol().0),
        payload: header_length..end,
        source_routed: options(header.options())
            .flatten()
            .any(is_pending_source_route),
    };
    read_authentication(bytes, &mut ip, defects);
    Some(ip)
}

fn header_defect(error: HeaderSliceError) -> Defect {
    match error {
        HeaderSliceError::Len(error) => Defect::Truncated {
            part: "IPv4 header",
            have: error.len,
            need: error.required_len,
        },
        HeaderSliceError::Content(HeaderError::HeaderLengthSmallerThanHeader { ihl }) => {
            Defect::LengthTooSmall {
                part: "IPv4 header length",
                value: usize::from(ihl) * 4,
                minimum: etherparse::Ipv4Header::MIN_LEN,
            }
        }
        HeaderSliceError::Content(HeaderError::UnexpectedVersion { version_number }) => {
            Defect::NotIp(version_number)
        }
    }
}

/// Steps over an authentication header (RFC 4302), which hides nothing behind it.
fn read_authentication(bytes: &[u8], ip: &mut Ip, defects: &mut Vec<Defect>) {
    if ip.protocol.0 != ip_number::AUTH.0 || !ip.has_upper_header() {
        return;
    }
    match IpAuthHeaderSlice::from_slice(&bytes[ip.payload.clone()]) {
        Ok(header) => {
            let end = ip.payload.start + header.slice().len();
            ip.extensions.push(Extension {
                protocol: ip.protocol,
                range: ip.payload.start..end,
            });
            ip.protocol = Protocol(header.next_header().0);
            ip.payload.start = end;
        }
        Err(error) => defects.push(authentication_defect(error)),
    }
}

pub(super) fn authentication_defect(error: ip_auth::HeaderSliceError) -> Defect {
    match error {
        ip_auth::HeaderSliceError::Len(error) => Defect::Truncated {
            part: "authentication header",
            have: error.len,
            need: error.required_len,
        },
        // Its length field counts 32-bit words less two; zero cannot hold even the fixed part.
        ip_auth::HeaderSliceError::Content(ip_auth::HeaderError::ZeroPayloadLen) => {
            Defect::LengthTooSmall {
                part: "authentication header length",
                value: 8,
                minimum: 12,
            }
        }
    }
}

/// One IPv4 option as (type, data without type and length), or `None` where the list breaks off.
///
/// Ends at the end-of-options byte; a broken list ends with one `None`.
pub(in crate::packet) fn options(list: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    let mut rest = list;
    std::iter::from_fn(move || match *rest {
        [] | [END, ..] => None,
        [NOP, ref after @ ..] => {
            rest = after;
            Some(Some((NOP, [].as_slice())))
        }
        [kind, length, ..] if length >= 2 && usize::from(length) <= rest.len() => {
            let (option, after) = rest.split_at(usize::from(length));
            rest = after;
            Some(Some((kind, &option[2..])))
        }
        _ => {
            rest = &[];
            Some(None)
        }
    })
}

/// A loose (131) or strict (137) source route with stops left: its pointer, which counts from the
/// option's first byte as 1, has not passed the end (RFC 791, 3.1).
fn is_pending_source_route((kind, data): (u8, &[u8])) -> bool {
    matches!(kind, 131 | 137)
        && data
            .first()
            .is_some_and(|&pointer| usize::from(pointer) <= data.len() + 2)
}
