use super::*;
use crate::control::auth_key::AuthKey;
use crate::control::map::NodeId;
use crate::control::signature::{Kind, Signer};
use crate::control::view::View;
use crate::keys::PublicKey;

fn parse(text: &str) -> Result<NodeMessage, MessageError> {
    NodeMessage::parse(text.as_bytes())
}

#[test]
fn unknown_types_and_fields_and_values_are_passed_over() {
    let key = PublicKey::new([1; 32]);
    let text = format!(
        r#"{{"type":"register","new":1,"body":{{"node_key":"{key}","colour":"red","candidates":[
            {{"kind":"host","address":"192.0.2.1:1"}},{{"kind":"carrier-pigeon","address":"x"}}]}}}}"#
    );
    let Ok(NodeMessage::Register(register)) = parse(&text) else {
        panic!("a registration");
    };
    assert_eq!(register.node_key, key);
    assert_eq!(register.candidates.len(), 1);
    assert!(
        matches!(parse(r#"{"type":"sing"}"#), Ok(NodeMessage::Unknown(kind)) if kind == "sing")
    );
    assert!(matches!(
        parse(r#"{"type":"ping"}"#),
        Ok(NodeMessage::Ping(0))
    ));
    let refusal = r#"{"type":"refused","body":{"reason":"bad-weather","text":"wait"}}"#;
    let refusal = CoordinatorMessage::parse(refusal.as_bytes());
    let expected = Refusal::new(Reason::Other, "wait");
    assert_eq!(
        refusal,
        Ok(Incoming::Known(CoordinatorMessage::Refused(expected)))
    );
}

#[test]
fn what_is_no_message_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"register"}"#,
        r#"{"type":"register","body":[]}"#,
        r#"{"type":"register","body":{"node_key":"AAAA"}}"#,
        r#"{"type":"signal","body":{"to":-1}}"#,
        r#"{"type":"rotate","body":{}}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_refused_auth_key_is_not_repeated() {
    let key = AuthKey::generate(PublicKey::new([1; 32]), &[2; 40]).to_text();
    let text = format!(r#"{{"type":"register","body":{{"auth_key":"{}x"}}}}"#, *key);
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.contains("not an auth key"));
    assert!(!error.contains(&key[20..]));
}

#[test]
fn what_a_node_says_is_bounded() {
    let key = PublicKey::new([1; 32]);
    let host = "x".repeat(5000);
    let candidates = vec![r#"{"kind":"host","address":"192.0.2.1:1"}"#; 1000].join(",");
    let text = format!(
        r#"{{"type":"register","body":{{"node_key":"{key}","name":"a\u0007b","host":{{"os":"{host}"}},
            "candidates":[{candidates}]}}}}"#
    );
    let Ok(NodeMessage::Register(register)) = parse(&text) else {
        panic!("a registration");
    };
    assert_eq!(register.candidates.len(), LONGEST_LIST);
    assert_eq!(
        (register.name.as_str(), register.host.os.len()),
        ("ab", 128)
    );
}

#[test]
fn a_signature_survives_the_journey() {
    let signer = Signer::new(&[3; 32]);
    let view = View {
        version: 5,
        domain: "mesh\"\u{1f600}".to_owned(),
        ..View::default()
    };
    let signed = signer.sign(Kind::View, &serde_json::to_string(&view).unwrap());
    let message = CoordinatorMessage::Map(signed).to_json();
    let Ok(Incoming::Known(CoordinatorMessage::Map(read))) = CoordinatorMessage::parse(&message)
    else {
        panic!("a map");
    };
    assert_eq!(read.open(Kind::View, &signer.map_key()), Ok(view));
}

#[test]
fn messages_survive_their_json() {
    let messages = [
        CoordinatorMessage::Registered(Registered {
            node: NodeId(7),
            name: "laptop".to_owned(),
            map_key: Signer::new(&[3; 32]).map_key(),
        }),
        CoordinatorMessage::Pending("wait".to_owned()),
        CoordinatorMessage::Refused(Refusal::new(Reason::TooManyAttempts, "slow").retry_after(9)),
        CoordinatorMessage::Signal {
            from: NodeId(3),
            candidates: Vec::new(),
        },
        CoordinatorMessage::Pong(9),
    ];
    for message in messages {
        let read = CoordinatorMessage::parse(&message.to_json());
        assert_eq!(read, Ok(Incoming::Known(message)));
    }
}
