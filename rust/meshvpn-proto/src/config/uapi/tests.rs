use core::time::Duration;
use std::net::SocketAddrV6;

use super::*;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub(super) fn requests() -> Requests {
    Requests::new(|zone| (zone == "eth0").then_some(7))
}

fn read(text: &str) -> Vec<Result<Request, RequestError>> {
    let mut requests = requests();
    requests.handle_bytes(text.as_bytes());
    core::iter::from_fn(|| requests.poll_request()).collect()
}

fn read_set(lines: &str) -> Result<DeviceChange, RequestError> {
    let mut read = read(&format!("set=1\n{lines}\n\n"));
    assert_eq!(read.len(), 1);
    read.remove(0).map(|request| match request {
        Request::Set(device) => *device,
        Request::Get => panic!("a get"),
    })
}

#[test]
fn a_set_request_says_what_it_says() {
    let device = read_set(&format!(
        "private_key={KEY}\nlisten_port=51820\nfwmark=0\nreplace_peers=true\n\
         public_key={KEY}\nupdate_only=true\npreshared_key={KEY}\nendpoint=[2001:db8::1]:9\n\
         persistent_keepalive_interval=25\nprotocol_version=1\nallowed_ip=10.9.9.9/32\n\
         replace_allowed_ips=true\nallowed_ip=10.1.2.3/24\nallowed_ip=-fd00::/8\n\
         public_key={KEY}\nremove=true\npreshared_key={}",
        "0".repeat(64),
    ));
    let key = PublicKey::from_hex(KEY).unwrap();
    let changed = PeerChange {
        is_update_only: true,
        preshared_key: Change::Set(PresharedKey::from_hex(KEY).unwrap()),
        endpoint: Some("[2001:db8::1]:9".parse().unwrap()),
        persistent_keepalive: Some(25),
        replaces_allowed_ips: true,
        allowed_ips: vec![
            AllowedIpChange::Add("10.1.2.0/24".parse().unwrap()),
            AllowedIpChange::Remove("fd00::/8".parse().unwrap()),
        ],
        ..PeerChange::new(key)
    };
    let removed = PeerChange {
        is_removed: true,
        preshared_key: Change::Clear,
        ..PeerChange::new(key)
    };
    let expected = DeviceChange {
        private_key: Change::Set(PrivateKey::from_hex(KEY).unwrap()),
        listen_port: Some(51820),
        fwmark: Some(0),
        replaces_peers: true,
        peers: vec![changed, removed],
    };
    assert_eq!(device, Ok(expected));
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let read = read("get=1\n\nset=1\nfwmark=x\nlisten_port=\n\n\nset=1\n\nget=1\n");
    let [Ok(Request::Get), Err(error), Ok(Request::Set(nothing))] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!(**nothing, DeviceChange::default());
    assert_eq!((error.line, error.errno()), (2, Errno::EINVAL));
    assert!(!error.ends_connection());
}

#[test]
fn a_link_local_endpoint_names_its_interface() {
    let endpoint = |text| read_set(&format!("public_key={KEY}\nendpoint={text}"));
    let address = |scope| SocketAddrV6::new("fe80::1".parse().unwrap(), 51820, 0, scope).into();
    for (text, scope) in [("[fe80::1%eth0]:51820", 7), ("[fe80::1%3]:51820", 3)] {
        let device = endpoint(text).unwrap();
        assert_eq!(device.peers[0].endpoint, Some(address(scope)));
    }
    assert!(endpoint("[fe80::1%eth1]:51820").is_err());
}

#[test]
fn an_error_names_line_and_key_and_what_would_be_right() {
    let peer = format!("public_key={KEY}\n");
    for (lines, message) in [
        (
            "listen_port=65536",
            "line 2: listen_port: \"65536\" is not a port from 0 to 65535",
        ),
        (
            "listen_port=+1",
            "line 2: listen_port: \"+1\" is not a port from 0 to 65535",
        ),
        (
            "fwmark=0x20",
            "line 2: fwmark: \"0x20\" is not a number from 0 to 4294967295",
        ),
        (
            "replace_peers=false",
            "line 2: replace_peers: \"false\" is not true; leave the line out otherwise",
        ),
        (
            "private_key=00",
            "line 2: private_key: 2 bytes instead of the 64 characters of a key in hex; make one with: meshvpn genkey",
        ),
        ("port=5", "line 2: \"port\" is no key of a set request"),
        (
            "endpoint=1.2.3.4:5",
            "line 2: endpoint belongs to a peer; put public_key before it",
        ),
        (
            &format!("{peer}listen_port=5"),
            "line 3: listen_port belongs to the device; put it before the first public_key",
        ),
        (
            &format!("{peer}allowed_ip=10.0.0.0/33"),
            "line 3: allowed_ip: \"10.0.0.0/33\" is not an IP address with a prefix length, as 10.0.0.0/24 or fd00::/64",
        ),
        (
            &format!("{peer}allowed_ip=--10.0.0.0/3"),
            "line 3: allowed_ip: \"--10.0.0.0/3\" is not an IP address with a prefix length, as 10.0.0.0/24 or fd00::/64",
        ),
        (
            &format!("{peer}endpoint=example.org:5"),
            "line 3: endpoint: \"example.org:5\" is not an IP address and a port, as 192.0.2.1:51820 or [2001:db8::1]:51820",
        ),
        (
            &format!("{peer}protocol_version=2"),
            "line 3: protocol_version: \"2\" is not 1, the only version",
        ),
        (
            &format!("{peer}rx_bytes=0"),
            "line 3: \"rx_bytes\" is no key of a set request",
        ),
    ] {
        let error = read_set(lines).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.errno(), Errno::EINVAL);
    }
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    for (text, message) in [
        (
            "get=2\n\nget=1\n\n",
            "line 1: \"get=2\" is no request; begin with get=1 or set=1",
        ),
        (
            "get=1\nlisten_port=1\n\n",
            "line 2: get=1 takes nothing more; end it with an empty line",
        ),
        (
            "set=1\nfwmark\n\n",
            "line 2: \"fwmark\" has no value; lines are key=value, and an empty one ends the request",
        ),
        (
            &format!("set=1\n{}", "x".repeat(513)),
            "line 2: longer than 512 bytes; no line of the protocol is",
        ),
        (
            &format!("set=1\n{}\n", "x".repeat(513)),
            "line 2: longer than 512 bytes; no line of the protocol is",
        ),
    ] {
        let read = read(text);
        assert_eq!(read.len(), 1, "{text:?}");
        let error = read[0].clone().unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.ends_connection());
    }
    let mut requests = requests();
    requests.handle_bytes(b"set=1\nfwmark=\xff\n\nget=1\n\n");
    assert_eq!(
        requests.poll_request().unwrap().unwrap_err().defect,
        RequestDefect::NotText
    );
    assert_eq!(requests.poll_request(), None);
}

#[test]
fn an_end_inside_a_request_is_told_and_changes_nothing() {
    for (text, is_whole) in [
        ("", true),
        ("get=1\n\n", true),
        ("set=1\nfwmark=1\n", false),
        ("g", false),
    ] {
        let mut requests = requests();
        requests.handle_bytes(text.as_bytes());
        while requests.poll_request().is_some() {}
        assert_eq!(requests.handle_end().is_ok(), is_whole, "{text:?}");
        assert_eq!(requests.poll_request(), None);
    }
}

#[test]
fn no_message_repeats_a_secret() {
    let base64 = "kAXdZkhhvzWnwuoVLSRR+93hRHdwh7cmRUrZ5DPXUXA=";
    for secret in [KEY, base64] {
        for text in [
            format!("set=1\nprivate_key={secret}x\n\n"),
            format!("set=1\nprivate_key{secret}\n\n"),
            format!("set=1\n{secret}=\n\n"),
            format!("set=1\nlisten_port={secret}\n\n"),
            format!("set=1\npublic_key={KEY}\npreshared_key=x{secret}\n\n"),
            format!("set=1\npublic_key={KEY}\nendpoint=host:{secret}\n\n"),
            format!("private_key={secret}\n\n"),
        ] {
            let error = read(&text).remove(0).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&secret[..8]), "{shown}");
        }
    }
}

#[test]
fn one_request_has_a_bound() {
    let mut requests = requests();
    requests.handle_bytes(format!("set=1\npublic_key={KEY}\n").as_bytes());
    for _ in 0..=MAX_ALLOWED_IPS {
        requests.handle_bytes(b"allowed_ip=10.0.0.1/32\n");
    }
    requests.handle_bytes(b"\n");
    let error = requests.poll_request().unwrap().unwrap_err();
    assert_eq!(error.defect, RequestDefect::TooManyAllowedIps);
    assert_eq!(
        (error.errno(), error.line),
        (Errno::E2BIG, MAX_ALLOWED_IPS + 3)
    );
}

#[test]
fn a_get_is_answered_as_wg_reads_it() {
    let private_key = PrivateKey::from_hex(KEY).unwrap();
    let preshared_key = PresharedKey::from_hex(KEY).unwrap();
    let mut answer = String::new();
    let device = DeviceStatus {
        private_key: Some(&private_key),
        listen_port: 51820,
        fwmark: 32,
    };
    write_device(&mut answer, &device).unwrap();
    let full = PeerStatus {
        public_key: PublicKey::from_hex(KEY).unwrap(),
        preshared_key: Some(&preshared_key),
        endpoint: Some("[2001:db8::1]:9".parse().unwrap()),
        last_handshake: Some(Duration::new(1_700_000_000, 5)),
        rx_bytes: u64::MAX,
        tx_bytes: 1,
        persistent_keepalive: 25,
    };
    let allowed = ["10.0.0.0/24", "::/0"].map(|prefix| prefix.parse::<Prefix>().unwrap());
    write_peer(&mut answer, &full, allowed).unwrap();
    let silent = PeerStatus {
        preshared_key: None,
        endpoint: None,
        last_handshake: None,
        rx_bytes: 0,
        tx_bytes: 0,
        persistent_keepalive: 0,
        ..full
    };
    write_peer(&mut answer, &silent, []).unwrap();
    write_get_end(&mut answer, Errno::SUCCESS).unwrap();
    let clamped = &*private_key.to_hex();
    assert_eq!(
        answer,
        format!(
            "private_key={clamped}\nlisten_port=51820\nfwmark=32\npublic_key={KEY}\n\
             preshared_key={KEY}\nprotocol_version=1\nendpoint=[2001:db8::1]:9\n\
             last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=1\n\
             rx_bytes=18446744073709551615\npersistent_keepalive_interval=25\n\
             allowed_ip=10.0.0.0/24\nallowed_ip=::/0\npublic_key={KEY}\nprotocol_version=1\n\
             last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n\
             persistent_keepalive_interval=0\nerrno=0\n\n"
        )
    );
}

#[test]
fn a_set_is_answered_as_the_kernel_would() {
    let answer = |errno| {
        let mut answer = String::new();
        write_set_answer(&mut answer, errno).unwrap();
        answer
    };
    assert_eq!(answer(Errno::SUCCESS), "errno=0\n\n");
    assert_eq!(answer(Errno::EINVAL), "errno=-22\n\n");
}
