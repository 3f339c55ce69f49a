//! Seeds for the fuzzer: frames of every type, and courses of events at a server.

use std::path::Path;
use std::time::Duration;

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::frame::{Frame, GoneReason};

#[test]
#[ignore = "writes fuzz/corpus: run it after changing what the targets read"]
fn write_seeds() {
    let key = PublicKey::new([2; 32]);
    let sealed = &[7; 60][..];
    let frames = [
        ("server-key", Frame::ServerKey(key)),
        ("client-info", Frame::ClientInfo { key, sealed }),
        ("server-info", Frame::ServerInfo(sealed)),
        (
            "send-packet",
            Frame::SendPacket {
                destination: key,
                packet: b"abc",
            },
        ),
        (
            "recv-packet",
            Frame::RecvPacket {
                source: key,
                packet: b"abc",
            },
        ),
        ("keep-alive", Frame::KeepAlive),
        ("note-preferred", Frame::NotePreferred(true)),
        (
            "peer-gone",
            Frame::PeerGone {
                peer: key,
                reason: GoneReason::NotHere,
            },
        ),
        ("ping", Frame::Ping([1; 8])),
        ("pong", Frame::Pong([1; 8])),
        ("health", Frame::Health("hm")),
        (
            "restarting",
            Frame::Restarting {
                reconnect_in: Duration::from_secs(1),
                try_for: Duration::from_secs(30),
            },
        ),
        ("unknown", Frame::Unknown(0x77)),
    ];
    let mut stream = vec![40];
    for (name, frame) in frames {
        let bytes = frame.to_bytes();
        write("relay_frame", name, &bytes);
        stream.extend_from_slice(&bytes);
        // To a client, in pieces of up to 4 bytes; to the server, from the first connection, then read.
        write("relay_client", name, &[&[3], &bytes[..]].concat());
        let sent = [&[4, bytes.len() as u8], &bytes[..]].concat();
        write("relay_server", name, &sent);
    }
    write("relay_client", "everything", &stream);
    let to_twin = Frame::SendPacket {
        destination: PublicKey::new([1; 32]),
        packet: &[0; 100],
    }
    .to_bytes();
    let from_third = [&[2 | 4, to_twin.len() as u8], &to_twin[..]].concat();
    let comes_again = [255, 0];
    write("relay_server", "many-to-one", &from_third.repeat(20));
    let leaves = [&from_third[..], &comes_again, &from_third].concat();
    write("relay_server", "leaves-and-comes", &leaves);
    write("relay_server", "comes-often", &comes_again.repeat(9));
    write("relay_frame", "too-long", &[4, 255, 255, 255, 255]);
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    std::fs::write(corpus.join(name), bytes).unwrap();
}
