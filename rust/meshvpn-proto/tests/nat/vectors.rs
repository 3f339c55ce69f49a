//! The messages of RFC 5769.

use meshvpn_proto::nat::message::{Change, Message, TransactionId, is_stun};

const TRANSACTION: TransactionId = TransactionId([
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
]);

/// Section 2.1: a request of an ICE agent.
pub(crate) const REQUEST: [u8; 108] = *b"\x00\x01\x00\x58\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// Section 2.2.
pub(crate) const IPV4_RESPONSE: [u8; 80] = *b"\x01\x01\x00\x3c\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector \
    \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// Section 2.3.
pub(crate) const IPV6_RESPONSE: [u8; 92] = *b"\x01\x01\x00\x48\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector \
    \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

/// Section 2.4: a request with long-term credentials, without a fingerprint.
pub(crate) const LONG_TERM_REQUEST: [u8; 116] = *b"\x00\x01\x00\x60\x21\x12\xa4\x42\
    \x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e\
    \x00\x06\x00\x12\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9\x00\x00\
    \x00\x15\x00\x1cf//499k954d6OL34oL9FSTvy64sA\
    \x00\x14\x00\x0bexample.org\x00\
    \x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8\x96\x66";

#[test]
fn requests_of_rfc_5769_are_read() {
    let Some(Message::Request(request)) = Message::parse(&REQUEST) else {
        panic!("a request");
    };
    assert_eq!(request.transaction, TRANSACTION);
    assert_eq!(request.change, Change::NONE);
    assert!(request.has_fingerprint);
    // PRIORITY is for ICE agents; a server that binds has to say that it does not know it.
    assert_eq!(request.unknown, [0x0024]);
    let Some(Message::Request(request)) = Message::parse(&LONG_TERM_REQUEST) else {
        panic!("a request");
    };
    assert!(!request.has_fingerprint);
    assert!(request.unknown.is_empty());
}

#[test]
fn responses_of_rfc_5769_are_read() {
    for (response, mapped) in [
        (&IPV4_RESPONSE[..], "192.0.2.1:32853"),
        (
            &IPV6_RESPONSE[..],
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
        ),
    ] {
        let Some(Message::Response(response)) = Message::parse(response) else {
            panic!("a response");
        };
        assert_eq!(response.transaction, TRANSACTION);
        let binding = response.outcome.unwrap();
        assert_eq!(binding.mapped.to_string(), mapped);
        assert_eq!((binding.origin, binding.other), (None, None));
    }
}

#[test]
fn a_fingerprint_covers_every_bit() {
    for vector in [&REQUEST[..], &IPV4_RESPONSE, &IPV6_RESPONSE] {
        for bit in 0..vector.len() * 8 {
            let mut changed = vector.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            // What makes the fingerprint another attribute leaves a message without one.
            let is_its_header = (vector.len() - 8..vector.len() - 4).contains(&(bit / 8));
            let is_refused = Message::parse(&changed).is_none();
            assert!(is_its_header || is_refused, "bit {bit}");
        }
    }
}

#[test]
fn stun_is_told_from_wireguard_by_its_header() {
    assert!(is_stun(&REQUEST) && is_stun(&IPV6_RESPONSE));
    for kind in 1..=4 {
        let mut message = [0; 148];
        message[0] = kind;
        // As a session index that an adversary has chosen.
        message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        assert!(!is_stun(&message));
    }
    assert!(!is_stun(&REQUEST[..107]) && !is_stun(&REQUEST[..19]) && !is_stun(&[]));
}
