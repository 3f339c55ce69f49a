//! What a relay answers over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;

use meshvpn_server::relay::running::RunningRelay;

use crate::raw::{PATIENCE, Raw, relay};

fn ask(relay: &RunningRelay, request: &str) -> String {
    let mut stream = TcpStream::connect(relay.local_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let fields: String = fields.lines().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn probes_are_answered() {
    let relay = relay();
    for path in ["/derp/probe", "/derp/latency-check"] {
        for method in ["GET", "HEAD"] {
            let answer = ask(&relay, &format!("{method} {path}"));
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    }
    let portal = "GET /generate_204\nX-Tailscale-Challenge: ts_host.example";
    let answer = ask(&relay, portal).to_lowercase();
    assert!(answer.starts_with("http/1.1 204 "), "{answer}");
    assert!(answer.contains("x-tailscale-response: response ts_host.example\r\n"));
    let injected = "GET /generate_204\nX-Tailscale-Challenge: <script>";
    let answer = ask(&relay, injected).to_lowercase();
    assert!(!answer.contains("x-tailscale-response"), "{answer}");
}

#[test]
fn metrics_are_there() {
    let relay = relay();
    let _client = Raw::log_in(relay.local_address(), 1);
    let answer = ask(&relay, "GET /metrics");
    assert!(answer.contains("\nmeshvpn_relay_clients 1\n"), "{answer}");
    assert!(answer.contains("\nmeshvpn_relay_logins_total 1\n"));
}

#[test]
fn everything_else_is_answered_too() {
    let relay = relay();
    let answer = ask(&relay, "GET /derp");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    let answer = ask(&relay, "GET /nothing");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

/// As others' clients do it: they wait for the answer to the upgrade.
#[test]
fn the_upgrade_is_answered_unless_nobody_wants_that() {
    let relay = relay();
    let mut stream = TcpStream::connect(relay.local_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        "GET /derp HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let end = b"\r\n\r\n";
    while !answer.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    let key = relay.public_key().to_hex();
    assert!(answer.contains(&format!("\r\nDerp-Public-Key: {key}\r\n")));
    let mut greeting = [0; 45];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting[..9], [1, 0, 0, 0, 40, b'D', b'E', b'R', b'P']);
}
