//! Configuration: UAPI requests from a socket, files for wg-quick.

use meshvpn_proto::config::uapi::{Request, Requests};
use meshvpn_proto::config::wg_quick::Config;

/// Any bytes give the same requests and errors however they are cut, and no error repeats a secret.
///
/// The input: lengths of pieces, as many as the first byte says; then what arrives.
pub fn uapi(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (pieces, text) = rest.split_at(usize::from(*count).min(rest.len()));
    let mut whole = Requests::new(zone_index);
    whole.handle_bytes(text);
    let mut cut = Requests::new(zone_index);
    let mut left = text;
    for length in pieces {
        let (piece, rest) = left.split_at(usize::from(*length).min(left.len()));
        cut.handle_bytes(piece);
        left = rest;
    }
    cut.handle_bytes(left);
    loop {
        let answer = whole.poll_request();
        assert_eq!(answer, cut.poll_request());
        match answer {
            None => break,
            Some(Ok(Request::Get)) => {}
            Some(Ok(Request::Set(device))) => {
                assert!(device.peers.len() <= text.len() / "public_key=".len());
            }
            Some(Err(error)) => {
                assert_ne!(error.errno().0, 0);
                check_message(&error.to_string(), text);
            }
        }
    }
    assert_eq!(whole.handle_end(), cut.handle_end());
}

/// Any text is a configuration that reads back from its own text, or an error that repeats no secret.
///
/// The input is the file.
pub fn wg_quick(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Config::parse(&text) {
        Ok(config) => assert_eq!(Config::parse(&config.to_text()), Ok(config)),
        Err(error) => {
            assert!((1..=text.split('\n').count()).contains(&error.line));
            check_message(&error.message(), text.as_bytes());
        }
    }
}

fn zone_index(zone: &str) -> Option<u32> {
    (zone == "eth0").then_some(2)
}

/// A message has a bounded length, and no part of the input in it that could be a key.
fn check_message(message: &str, input: &[u8]) {
    assert!(message.len() < 1200, "{message}");
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let runs = message.as_bytes().split(|byte| !is_inside(byte));
    // One more than what is not shown: an escaped character ends in a letter or digit of its own.
    for run in runs.filter(|run| run.len() > 20) {
        assert!(
            !input.windows(run.len()).any(|window| window == run),
            "{message}"
        );
    }
}
