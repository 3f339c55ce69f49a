//! The answer to a ping (RFC 792, RFC 4443 section 4.2).

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4Header, Ipv6Header};

use super::icmp::{self, v4, v6};
use super::ip::Protocol;
use super::ip::write::{is_many_hosts, is_one_host, write_ipv4, write_ipv6};
use super::{Transport, checksum, dissect};

/// The echo reply to `packet`, or `None` when that is not an echo request to one host from one
/// host, sound and unfragmented.
///
/// Identifier, sequence number, data and differentiated services come back as they were; IP
/// options and extension headers do not.
pub fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let dissection = dissect(packet);
    let ip = dissection
        .ip
        .filter(|ip| ip.fragment.is_none_or(|fragment| fragment.is_whole()))?;
    let reply = match dissection.transport {
        Transport::Icmp(icmp) if (icmp.kind, icmp.code) == (v4::ECHO_REQUEST, 0) => v4::ECHO_REPLY,
        Transport::Icmpv6(icmp) if (icmp.kind, icmp.code) == (v6::ECHO_REQUEST, 0) => {
            v6::ECHO_REPLY
        }
        _ => return None,
    };
    if !dissection.defects.is_empty() || ip.source_routed {
        return None;
    }
    let message = &packet[ip.payload];
    let (traffic_class, length) = (ip.dscp << 2, message.len());
    let (mut answer, start) = match (ip.source, ip.destination) {
        (IpAddr::V4(asker), IpAddr::V4(asked)) if is_one_host(asker) && !is_many_hosts(asked) => {
            let mut header = [0; Ipv4Header::MIN_LEN];
            let protocol = Protocol::ICMP;
            write_ipv4(&mut header, traffic_class, protocol, length, asked, asker);
            (header.to_vec(), Sum16BitWords::new())
        }
        (IpAddr::V6(asker), IpAddr::V6(asked))
            if !(asker.is_multicast() || asker.is_unspecified() || asked.is_multicast()) =>
        {
            let mut header = [0; Ipv6Header::LEN];
            let protocol = Protocol::ICMPV6;
            write_ipv6(&mut header, traffic_class, protocol, length, asked, asker);
            let (from, to) = (ip.destination, ip.source);
            let sum = checksum::pseudo_header(from, to, protocol.0, length);
            (header.to_vec(), sum)
        }
        _ => return None,
    };
    let body = answer.len();
    answer.extend_from_slice(message);
    answer[body] = reply;
    let sum = checksum::compute(start, &answer[body..], icmp::CHECKSUM_AT);
    answer[body + icmp::CHECKSUM_AT..][..2].copy_from_slice(&sum.to_be_bytes());
    Some(answer)
}
