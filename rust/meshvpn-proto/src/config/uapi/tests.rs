use core::time::Duration;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use proptest::prelude::*;

use super::*;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn requests() -> Requests {
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

/// A request as a client writes it.
fn written(device: &DeviceChange) -> String {
    let mut text = "set=1\n".to_owned();
    let mut line = |key: &str, value: &dyn core::fmt::Display| {
        writeln!(text, "{key}={value}").unwrap();
    };
    match &device.private_key {
        Change::Keep => {}
        Change::Clear => line("private_key", &"0".repeat(64)),
        Change::Set(key) => line("private_key", &*key.to_hex()),
    }
    device
        .listen_port
        .iter()
        .for_each(|port| line("listen_port", port));
    device.fwmark.iter().for_each(|mark| line("fwmark", mark));
    if device.replaces_peers {
        line("replace_peers", &true);
    }
    for peer in &device.peers {
        line("public_key", &peer.public_key.to_hex());
        for (key, is_wanted) in [
            ("remove", peer.is_removed),
            ("update_only", peer.is_update_only),
            ("replace_allowed_ips", peer.replaces_allowed_ips),
        ] {
            if is_wanted {
                line(key, &true);
            }
        }
        match &peer.preshared_key {
            Change::Keep => {}
            Change::Clear => line("preshared_key", &"0".repeat(64)),
            Change::Set(key) => line("preshared_key", &*key.to_hex()),
        }
        peer.endpoint
            .iter()
            .for_each(|endpoint| line("endpoint", endpoint));
        let keepalive = peer.persistent_keepalive.iter();
        keepalive.for_each(|seconds| line("persistent_keepalive_interval", seconds));
        for change in &peer.allowed_ips {
            match change {
                AllowedIpChange::Add(prefix) => line("allowed_ip", prefix),
                AllowedIpChange::Remove(prefix) => line("allowed_ip", &format!("-{prefix}")),
            }
        }
    }
    text.push('\n');
    text
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

fn any_change<T: core::fmt::Debug>(
    make: impl Fn([u8; 32]) -> T + 'static,
) -> impl Strategy<Value = Change<T>> {
    (0..3u8, any::<[u8; 32]>()).prop_map(move |(kind, bytes)| match kind {
        0 => Change::Keep,
        1 => Change::Clear,
        _ => Change::Set(make(bytes)),
    })
}

fn any_allowed_ip() -> impl Strategy<Value = AllowedIpChange> {
    (any_address(), any::<u8>(), any::<bool>()).prop_map(|(address, len, is_removed)| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = Prefix::new(address, len % (bits + 1)).unwrap();
        if is_removed {
            AllowedIpChange::Remove(prefix)
        } else {
            AllowedIpChange::Add(prefix)
        }
    })
}

fn any_peer() -> impl Strategy<Value = PeerChange> {
    (
        any::<[u8; 32]>(),
        any::<[bool; 3]>(),
        any_change(PresharedKey::new),
        prop::option::of((any_address(), any::<u16>())),
        any::<Option<u16>>(),
        prop::collection::vec(any_allowed_ip(), 0..5),
    )
        .prop_map(
            |(key, flags, preshared_key, endpoint, persistent_keepalive, allowed_ips)| {
                let [is_removed, is_update_only, replaces_allowed_ips] = flags;
                PeerChange {
                    public_key: PublicKey::new(key),
                    is_removed,
                    is_update_only,
                    preshared_key,
                    endpoint: endpoint.map(SocketAddr::from),
                    persistent_keepalive,
                    replaces_allowed_ips,
                    allowed_ips,
                }
            },
        )
}

fn any_device() -> impl Strategy<Value = DeviceChange> {
    (
        any_change(PrivateKey::new),
        any::<Option<u16>>(),
        any::<Option<u32>>(),
        any::<bool>(),
        prop::collection::vec(any_peer(), 0..4),
    )
        .prop_map(
            |(private_key, listen_port, fwmark, replaces_peers, peers)| DeviceChange {
                private_key,
                listen_port,
                fwmark,
                replaces_peers,
                peers,
            },
        )
}

proptest! {
    #[test]
    fn every_request_reads_back_however_it_is_cut(
        devices in prop::collection::vec(any_device(), 1..4), piece in 1..200usize,
    ) {
        let text: String = devices.iter().map(written).collect();
        let mut requests = requests();
        let mut read = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            requests.handle_bytes(piece);
            read.extend(core::iter::from_fn(|| requests.poll_request()));
        }
        prop_assert_eq!(requests.handle_end(), Ok(()));
        let expected = devices.into_iter().map(|device| Ok(Request::Set(Box::new(device))));
        prop_assert_eq!(read, expected.collect::<Vec<_>>());
    }
}
