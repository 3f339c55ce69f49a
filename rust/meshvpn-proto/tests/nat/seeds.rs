//! Seeds for the fuzz target `stun`.

use std::path::Path;

use meshvpn_proto::nat::message::{Binding, Change, Request, Response, TransactionId};

use crate::vectors::{IPV4_RESPONSE, IPV6_RESPONSE, LONG_TERM_REQUEST, REQUEST};

#[test]
#[ignore = "writes fuzz/corpus: run it after changing what the target reads"]
fn write_seeds() {
    let transaction = TransactionId([9; 12]);
    let binding = Binding {
        mapped: "[2001:db8::1]:5".parse().unwrap(),
        origin: Some("192.0.2.1:3478".parse().unwrap()),
        other: Some("192.0.2.2:3479".parse().unwrap()),
    };
    let response = Response {
        transaction,
        outcome: Ok(binding),
    };
    let changed = Request {
        response_port: Some(7),
        ..Request::new(transaction, Change::BOTH)
    };
    for (name, datagram) in [
        ("request-of-rfc-5769", REQUEST.to_vec()),
        ("long-term-request-of-rfc-5769", LONG_TERM_REQUEST.to_vec()),
        ("ipv4-response-of-rfc-5769", IPV4_RESPONSE.to_vec()),
        ("ipv6-response-of-rfc-5769", IPV6_RESPONSE.to_vec()),
        ("request", Request::new(transaction, Change::NONE).encode()),
        ("changed-request", changed.encode()),
        ("response", response.encode(false)),
        (
            "refusal",
            Response::unknown_attributes(transaction, vec![1, 2, 3]).encode(true),
        ),
    ] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/stun");
        std::fs::create_dir_all(&corpus).unwrap();
        std::fs::write(corpus.join(name), datagram).unwrap();
    }
}
