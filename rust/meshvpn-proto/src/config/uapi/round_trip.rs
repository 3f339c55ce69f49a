//! Requests of any content, as a client would write them.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::tests::requests;
use super::*;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

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
