//! What a zone answers, message for message. `dig` judges the same on the wire, in the package's tests.

use std::collections::BTreeMap;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::A;
use proptest::prelude::*;

use super::*;
use crate::control::map::{Node, NodeId};
use crate::keys::PublicKey;

fn node(id: u64, name: &str, addresses: &[&str]) -> Node {
    Node {
        id: NodeId(id),
        name: name.into(),
        key: PublicKey::new([id as u8; 32]),
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        routes: Vec::new(),
        candidates: Vec::new(),
        home_relay: None,
        is_online: true,
        key_expiry: None,
        tags: Vec::new(),
        is_static: false,
    }
}

fn map(domain: &str) -> Map {
    let many: Vec<_> = (0..200).map(|n| format!("100.64.7.{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let peers = [
        node(2, "Server", &["100.64.0.2"]),
        node(3, "phone", &["fd7a::3"]),
        node(4, "new", &[]),
        node(5, "no label", &["100.64.0.5"]),
        node(6, "wpad", &["100.64.0.6"]),
        node(7, "many", &many),
    ];
    Map {
        version: 42,
        domain: domain.into(),
        node: Some(node(1, "laptop", &["100.64.0.1", "fd7a::1"])),
        peers: peers.into_iter().map(|node| (node.id, node)).collect(),
        relays: BTreeMap::new(),
        allow_all: true,
    }
}

fn zone() -> Zone {
    Zone::new(&map("mesh.internal"))
}

fn question(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    message
}

fn ask(name: &str, record_type: RecordType) -> Option<Message> {
    let verdict = zone().judge(
        &question(name, record_type).to_vec().unwrap(),
        Transport::Udp,
    );
    match verdict {
        Verdict::Answer(bytes) => Some(Message::from_vec(&bytes).unwrap()),
        Verdict::Forward(_) => None,
        Verdict::Refuse(reply) => panic!("{name}: refused with {reply:?}"),
    }
}

fn records(name: &str, record_type: RecordType) -> Vec<String> {
    let reply = ask(name, record_type).expect("an answer of our own");
    assert_eq!(reply.response_code, ResponseCode::NoError);
    assert!(reply.authoritative && reply.recursion_available && reply.recursion_desired);
    assert!(reply.answers.iter().all(|record| record.ttl == TTL));
    let shown = reply.answers.iter();
    shown.map(|record| record.data.to_string()).collect()
}

/// The name of the SOA with which a "no" comes.
fn refused(name: &str, record_type: RecordType, code: ResponseCode) -> String {
    let reply = ask(name, record_type).expect("an answer of our own");
    assert_eq!(reply.response_code, code, "{name}");
    assert_eq!(reply.answers.len(), 0, "{name}");
    let [soa] = reply.authorities.as_slice() else {
        panic!("{name}: {:?}", reply.authorities);
    };
    let RData::SOA(data) = &soa.data else {
        panic!("{name}: {soa}");
    };
    assert_eq!((soa.ttl, data.minimum, data.serial), (5, 5, 42));
    soa.name.to_string()
}

#[test]
fn long_and_short_names_have_the_addresses_of_their_node() {
    for name in ["laptop.mesh.internal.", "laptop.", "LapTop.MESH.internal."] {
        assert_eq!(records(name, RecordType::A), ["100.64.0.1"], "{name}");
        assert_eq!(records(name, RecordType::AAAA), ["fd7a::1"], "{name}");
    }
    assert_eq!(records("server.", RecordType::A), ["100.64.0.2"]);
    let any = records("laptop.mesh.internal.", RecordType::ANY);
    assert_eq!(any, ["100.64.0.1", "fd7a::1"]);
}

#[test]
fn an_answer_repeats_the_question_as_it_was_written() {
    let reply = ask("LapTop.MESH.internal.", RecordType::A).unwrap();
    assert_eq!(reply.id, 4711);
    assert_eq!(reply.queries[0].name.to_ascii(), "LapTop.MESH.internal.");
    assert_eq!(reply.answers[0].name.to_ascii(), "LapTop.MESH.internal.");
}

#[test]
fn addresses_have_the_long_name() {
    for (name, expected) in [
        ("1.0.64.100.in-addr.arpa.", "laptop.mesh.internal."),
        ("2.0.64.100.IN-ADDR.arpa.", "server.mesh.internal."),
        (
            "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.7.d.f.ip6.arpa.",
            "phone.mesh.internal.",
        ),
    ] {
        assert_eq!(records(name, RecordType::PTR), [expected]);
        let apex = refused(name, RecordType::A, ResponseCode::NoError);
        assert_eq!(apex.to_lowercase(), name.to_lowercase());
    }
    let nobody = ask("9.0.64.100.in-addr.arpa.", RecordType::PTR);
    assert_eq!(nobody, None, "another's address is another's to name");
}

#[test]
fn no_such_record_is_not_no_such_name() {
    let (no_data, no_name) = (ResponseCode::NoError, ResponseCode::NXDomain);
    for (name, record_type, code) in [
        ("server.mesh.internal.", RecordType::AAAA, no_data),
        ("phone.mesh.internal.", RecordType::A, no_data),
        ("new.mesh.internal.", RecordType::A, no_data),
        ("new.mesh.internal.", RecordType::ANY, no_data),
        ("laptop.mesh.internal.", RecordType::MX, no_data),
        (
            "laptop.mesh.internal.",
            RecordType::Unknown(65_280),
            no_data,
        ),
        ("mesh.internal.", RecordType::A, no_data),
        ("mesh.internal.", RecordType::DS, no_data),
        ("nobody.mesh.internal.", RecordType::A, no_name),
        ("nobody.mesh.internal.", RecordType::PTR, no_name),
        ("x.laptop.mesh.internal.", RecordType::A, no_name),
        ("*.mesh.internal.", RecordType::A, no_name),
    ] {
        assert_eq!(refused(name, record_type, code), "mesh.internal.");
    }
    assert_eq!(refused("server.", RecordType::AAAA, no_data), "server.");
}

#[test]
fn the_zone_has_an_soa() {
    let own = records("mesh.internal.", RecordType::SOA);
    assert_eq!(own, ["mesh.internal. . 42 1200 180 1209600 5"]);
}

#[test]
fn what_is_not_the_meshs_is_passed_on() {
    for (name, record_type) in [
        ("example.com.", RecordType::A),
        ("internal.", RecordType::NS),
        ("xmesh.internal.", RecordType::A),
        ("nobody.", RecordType::A),
        (".", RecordType::NS),
        ("laptop.", RecordType::DS),
        ("laptop.example.com.", RecordType::A),
        ("64.100.in-addr.arpa.", RecordType::SOA),
        ("1.1.0.64.100.in-addr.arpa.", RecordType::PTR),
        ("wpad.", RecordType::A),
        ("localhost.", RecordType::A),
    ] {
        assert_eq!(ask(name, record_type), None, "{name}");
    }
    assert_eq!(
        records("wpad.mesh.internal.", RecordType::A),
        ["100.64.0.6"]
    );
}

#[test]
fn a_domain_that_is_no_name_leaves_short_names() {
    for domain in [
        "",
        ".",
        "a..b",
        "mesh internal",
        &"long.".repeat(60),
        &"x".repeat(64),
    ] {
        let zone = Zone::new(&map(domain));
        let judge = |name, record_type| {
            let message = question(name, record_type).to_vec().unwrap();
            zone.judge(&message, Transport::Udp)
        };
        let Verdict::Answer(bytes) = judge("1.0.64.100.in-addr.arpa.", RecordType::PTR) else {
            panic!("{domain:?}");
        };
        let reply = Message::from_vec(&bytes).unwrap();
        assert_eq!(reply.answers[0].data.to_string(), "laptop.");
        assert!(matches!(
            judge("laptop.", RecordType::A),
            Verdict::Answer(_)
        ));
        assert!(matches!(
            judge("mesh.internal.", RecordType::A),
            Verdict::Forward(_)
        ));
    }
    let dotted = Zone::new(&map("Mesh.Internal."));
    let message = question("laptop.mesh.internal.", RecordType::A);
    let verdict = dotted.judge(&message.to_vec().unwrap(), Transport::Udp);
    assert!(matches!(verdict, Verdict::Answer(_)));
}

#[test]
fn what_does_not_fit_is_left_out_and_said_so() {
    let size = |payload: Option<u16>, transport| {
        let mut message = question("many.mesh.internal.", RecordType::A);
        if let Some(payload) = payload {
            let mut edns = Edns::new();
            edns.set_max_payload(payload).set_dnssec_ok(true);
            message.set_edns(edns);
        }
        let verdict = zone().judge(&message.to_vec().unwrap(), transport);
        let Verdict::Answer(bytes) = verdict else {
            panic!("{verdict:?}");
        };
        let reply = Message::from_vec(&bytes).unwrap();
        assert_eq!(reply.queries, message.queries);
        assert_eq!(reply.edns.is_some(), payload.is_some());
        if let Some(edns) = &reply.edns {
            assert_eq!(edns.max_payload(), 1232);
            assert!(edns.flags().dnssec_ok);
        }
        assert_eq!(reply.truncation, reply.answers.is_empty());
        (bytes.len(), reply.answers.len())
    };
    for payload in [None, Some(0), Some(512), Some(1232), Some(u16::MAX)] {
        let (len, records) = size(payload, Transport::Udp);
        assert!(len <= 512 && records == 0, "{payload:?}: {len} bytes");
    }
    let (len, records) = size(None, Transport::Tcp);
    assert!(
        len > 1232 && records == 200,
        "{len} bytes, {records} records"
    );
}

#[test]
fn what_is_no_question_is_refused_or_left_alone() {
    let good = question("laptop.", RecordType::A);
    let reply = |change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        match zone().judge(&message.to_vec().unwrap(), Transport::Udp) {
            Verdict::Refuse(Some(bytes)) => {
                let reply = Message::from_vec(&bytes).unwrap();
                assert_eq!(
                    (reply.id, reply.message_type),
                    (4711, MessageType::Response)
                );
                Some(reply.response_code)
            }
            Verdict::Refuse(None) => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        reply(&|m| m.metadata.message_type = MessageType::Response),
        None
    );
    let update = reply(&|m| m.metadata.op_code = OpCode::Update);
    assert_eq!(update, Some(ResponseCode::NotImp));
    let chaos = reply(&|m| m.queries[0].query_class = DNSClass::CH);
    assert_eq!(chaos, Some(ResponseCode::Refused));
    let two = reply(&|m| m.queries.push(m.queries[0].clone()));
    assert_eq!(two, Some(ResponseCode::FormErr));
    assert_eq!(reply(&|m| m.queries.clear()), Some(ResponseCode::FormErr));
    let edns = reply(&|m| {
        m.edns.insert(Edns::new()).set_version(1);
    });
    // The codec has two names for the number 16.
    assert_eq!(edns.map(u16::from), Some(u16::from(ResponseCode::BADVERS)));
    let bytes = good.to_vec().unwrap();
    for len in 0..bytes.len() {
        let verdict = zone().judge(&bytes[..len], Transport::Udp);
        let Verdict::Refuse(reply) = verdict else {
            panic!("{len} bytes: {verdict:?}");
        };
        assert_eq!(reply.is_some(), len >= 12, "{len} bytes");
    }
}

#[test]
fn a_name_is_matched_however_it_is_compressed_or_escaped() {
    // A label with a dot in it is not two labels.
    let name = Name::from_labels([&b"laptop.mesh"[..], b"internal"]).unwrap();
    let mut message = question("x.", RecordType::A);
    message.queries[0].name = name;
    let verdict = zone().judge(&message.to_vec().unwrap(), Transport::Udp);
    assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
}

proptest! {
    #[test]
    fn any_name_below_the_domain_is_answered_here(
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..4),
        number: u16,
    ) {
        let own = [&b"mesh"[..], b"INTERNAL"].map(<[u8]>::to_vec);
        let name = Name::from_labels(labels.iter().chain(&own).map(Vec::as_slice)).unwrap();
        let mut message = question("x.", RecordType::from(number));
        prop_assume!(!matches!(number, 41 | 250..=252));
        message.queries[0].name = name;
        let verdict = zone().judge(&message.to_vec().unwrap(), Transport::Udp);
        prop_assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
    }

    #[test]
    fn every_node_of_any_map_is_found_by_its_name_and_addresses(
        names in prop::collection::btree_set("[a-z][a-z0-9-]{0,20}", 1..20),
    ) {
        let mut map = map("example");
        map.peers = names
            .iter()
            .zip(1..)
            .map(|(name, id)| (NodeId(id), node(id, name, &[&format!("10.0.0.{id}")])))
            .collect();
        map.node = None;
        let zone = Zone::new(&map);
        let judge = |name: Name, record_type| {
            let mut message = question("x.", record_type);
            message.queries[0].name = name;
            match zone.judge(&message.to_vec().unwrap(), Transport::Udp) {
                Verdict::Answer(bytes) => Message::from_vec(&bytes).unwrap().answers,
                other => panic!("{other:?}"),
            }
        };
        for node in map.peers.values() {
            let name = Name::from_ascii(format!("{}.example.", node.name)).unwrap();
            let [record] = &judge(name.clone(), RecordType::A)[..] else { panic!("{name}") };
            let RData::A(A(address)) = record.data else { panic!("{record}") };
            prop_assert_eq!(IpAddr::V4(address), node.addresses[0]);
            let [back] = &judge(node.addresses[0].into(), RecordType::PTR)[..] else { panic!() };
            prop_assert_eq!(back.data.to_string(), name.to_string());
        }
    }

    #[test]
    fn no_message_is_too_strange(message: Vec<u8>, is_tcp: bool) {
        let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
        let _ = zone().judge(&message, transport);
    }

    #[test]
    fn no_change_to_a_question_is_too_strange(
        at in 0usize..60, bits: u8, cut in 0usize..60, has_edns: bool,
    ) {
        let mut message = question("laptop.mesh.internal.", RecordType::A);
        if has_edns {
            message.set_edns(Edns::new());
        }
        let mut bytes = message.to_vec().unwrap();
        let len = bytes.len();
        bytes[at % len] ^= bits;
        bytes.truncate(len.max(cut));
        match zone().judge(&bytes, Transport::Udp) {
            Verdict::Answer(reply) | Verdict::Refuse(Some(reply)) => {
                prop_assert!(Message::from_vec(&reply).is_ok());
                prop_assert_eq!(&reply[..2], &bytes[..2]);
                prop_assert!(reply[2] & 0x80 != 0);
            }
            _ => {}
        }
    }
}
