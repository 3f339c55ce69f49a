use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

/// Made with `wg genkey`, `wg pubkey`, `wg genpsk`.
const PRIVATE: &str = "kAXdZkhhvzWnwuoVLSRR+93hRHdwh7cmRUrZ5DPXUXA=";
const PUBLIC: &str = "8Mb922FqdzHUr7UDrDQWlJ1/N6au7IqSwyq6B4uMSUc=";
const PRESHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

#[test]
fn a_file_with_everything_is_read() {
    let text = format!(
        "\u{feff}# mine\r
[interface]\r
\tPRIVATEKEY={PRIVATE}\r
ListenPort = 51820 # the usual one\r
FwMark = 0xCa6c
Address = 10.0.0.1/24, fd00::1/64
address=192.0.2.7
DNS = 192.0.2.53,example.org  2001:db8::53
MTU = 1420
Table = Off
PreUp = echo one; echo [two] = 2 # three
PostUp = ip rule add fwmark 1
PostUp = sysctl %i
PreDown = a
PostDown = b
SaveConfig = TRUE

[Peer]
PublicKey = {PUBLIC}
PresharedKey = {PRESHARED}
AllowedIPs = 10.0.0.2/32
AllowedIPs = 10.1.2.3/16, ::/0
AllowedIPs =
Endpoint = vpn.example.org:51820
PersistentKeepalive = off
[PEER]
PersistentKeepalive = 25
PublicKey = {PUBLIC}
Endpoint = [2001:db8::1]:9"
    );
    let command = |text| Command::new(text).unwrap();
    let address = |text: &str| InterfaceAddress::parse(text).unwrap();
    let expected = Config {
        interface: Interface {
            private_key: Some(PrivateKey::from_base64(PRIVATE).unwrap()),
            listen_port: Some(51820),
            fwmark: Some(0xca6c),
            addresses: ["10.0.0.1/24", "fd00::1/64", "192.0.2.7/32"]
                .map(address)
                .into(),
            dns: vec![
                "192.0.2.53".parse().unwrap(),
                "2001:db8::53".parse().unwrap(),
            ],
            search_domains: vec![Name::new("example.org").unwrap()],
            mtu: Some(1420),
            table: Table::Off,
            hooks: Hooks {
                pre_up: vec![command("echo one; echo [two] = 2")],
                post_up: vec![command("ip rule add fwmark 1"), command("sysctl %i")],
                pre_down: vec![command("a")],
                post_down: vec![command("b")],
            },
            saves_config: true,
        },
        peers: vec![
            Peer {
                preshared_key: Some(PresharedKey::from_base64(PRESHARED).unwrap()),
                allowed_ips: ["10.0.0.2/32", "10.1.0.0/16", "::/0"]
                    .map(|prefix| prefix.parse().unwrap())
                    .into(),
                endpoint: Endpoint::parse("vpn.example.org:51820"),
                persistent_keepalive: Some(0),
                ..Peer::new(PUBLIC.parse().unwrap())
            },
            Peer {
                endpoint: Endpoint::parse("[2001:db8::1]:9"),
                persistent_keepalive: Some(25),
                ..Peer::new(PUBLIC.parse().unwrap())
            },
        ],
    };
    assert_eq!(Config::parse(&text), Ok(expected));
}

#[test]
fn sections_may_come_again_and_the_last_value_counts() {
    let text = format!(
        "[Interface]\nMTU = 1280\nTable = 7\n[Peer]\nPublicKey = {PUBLIC}\n[Interface]\nMTU = 1400\n"
    );
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.interface.mtu, Some(1400));
    assert_eq!(
        config.interface.table,
        Table::Named(Name::new("7").unwrap())
    );
    assert_eq!(config.peers, [Peer::new(PUBLIC.parse().unwrap())]);
    assert_eq!(Config::parse(""), Ok(Config::default()));
}

#[test]
fn an_error_names_line_field_and_value_and_the_way_out() {
    let peer = format!("[Interface]\n[Peer]\nPublicKey = {PUBLIC}\n");
    for (text, message) in [
        (
            "[Interface]\nListenPort = 65536",
            "line 2: ListenPort: \"65536\" is not a UDP port from 0 to 65535; write 51820, or leave it out for any port",
        ),
        (
            "[Interface]\nFwMark = -1",
            "line 2: FwMark: \"-1\" is not off, or a number of 32 bits; write 51820 or 0xca6c, or leave it out",
        ),
        (
            "[Interface]\n\nmtu = 67",
            "line 3: MTU: \"67\" is not a number of bytes from 68 to 65535; write 1420, or leave it out to have it found",
        ),
        (
            "[Interface]\nAddress = 10.0.0.1/24, 10.0.0.256",
            "line 2: Address: \"10.0.0.256\" is not an IP address with a prefix length; write 10.0.0.1/24 or fd00::1/64, with commas between several",
        ),
        (
            "[Interface]\nDNS = 10.0.0.256",
            "line 2: DNS: \"10.0.0.256\" is not an IP address or a domain; write 192.0.2.53, 2001:db8::53 or example.org, with commas between several",
        ),
        (
            "[Interface]\nTable = main table",
            "line 2: Table: \"main table\" is not auto, off, or the number or name of a routing table; leave it out for auto",
        ),
        (
            "[Interface]\nSaveConfig = yes",
            "line 2: SaveConfig: \"yes\" is not true or false; leave it out for false",
        ),
        (
            "[Interface]\nPostUp = # later",
            "line 2: PostUp: \"\" is not a command; write the command on the same line, or leave the line out",
        ),
        (
            "[Interface]\nPrivateKey = abc",
            "line 2: PrivateKey: 3 bytes instead of the 44 characters of a key in base64; make one with: meshvpn genkey",
        ),
        (
            "[Interface]\nPort = 5",
            "line 2: \"Port\" is no field of [Interface]; [Interface] has PrivateKey, ListenPort, FwMark, Address, DNS, MTU, Table, PreUp, PostUp, PreDown, PostDown, SaveConfig",
        ),
        (
            "[Interface]\nListenPort",
            "line 2: \"ListenPort\" has no value; lines are `Field = value`, and comments begin with #",
        ),
        (
            "MTU = 1400",
            "line 1: \"MTU\" is in no section; begin with [Interface]",
        ),
        (
            "[Interfaces]",
            "line 1: \"[Interfaces]\" is no section; sections are [Interface] and [Peer]",
        ),
        (
            "[Interface]\n[Peer]\nAllowedIPs = ::/0\n[Peer]\n",
            "line 2: this [Peer] has no PublicKey; give it its PublicKey",
        ),
        (
            &format!("{peer}ListenPort = 5"),
            "line 4: \"ListenPort\" is no field of [Peer]; [Peer] has PublicKey, PresharedKey, AllowedIPs, Endpoint, PersistentKeepalive",
        ),
        (
            &format!("{peer}AllowedIPs = 10.0.0.0/33"),
            "line 4: AllowedIPs: \"10.0.0.0/33\" is not a network; write 10.0.0.0/24 or fd00::/64, with commas between several",
        ),
        (
            &format!("{peer}Endpoint = 192.0.2.1"),
            "line 4: Endpoint: \"192.0.2.1\" is not a host and a UDP port; write 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.org:51820",
        ),
        (
            &format!("{peer}PersistentKeepalive = 25s"),
            "line 4: PersistentKeepalive: \"25s\" is not off, or seconds from 0 to 65535; write 25, or leave it out",
        ),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(
            error.to_string(),
            format!("{}; {}", error.message(), error.hint())
        );
    }
}

#[test]
fn endpoints_are_told_apart() {
    let name = |text| Host::Name(Name::new(text).unwrap());
    for (text, host) in [
        ("192.0.2.1:1", Some(Host::Address([192, 0, 2, 1].into()))),
        ("[::1]:1", Some(Host::Address(Ipv6Addr::LOCALHOST.into()))),
        (
            "[fe80::1%eth0]:1",
            Some(Host::Scoped(
                "fe80::1".parse().unwrap(),
                Name::new("eth0").unwrap(),
            )),
        ),
        ("a_b-c.example:1", Some(name("a_b-c.example"))),
        (
            "xn--bcher-kva.example:1",
            Some(name("xn--bcher-kva.example")),
        ),
        ("bücher.example:1", Some(name("bücher.example"))),
        ("192.0.2.256:1", None),
        ("::1:1", None),
        ("[::1]", None),
        ("[192.0.2.1]:1", None),
        ("[::1%]:1", None),
        ("example.org", None),
        ("example.org:", None),
        ("example.org:65536", None),
        ("example.org:+1", None),
        ("exa mple.org:1", None),
        (":1", None),
    ] {
        let endpoint = host.map(|host| Endpoint { host, port: 1 });
        assert_eq!(Endpoint::parse(text), endpoint, "{text:?}");
        assert!(endpoint.is_none_or(|endpoint| endpoint.to_string() == text));
    }
}

#[test]
fn no_message_repeats_a_secret() {
    for text in [
        format!("[Interface]\nPrivateKey = {PRIVATE}x"),
        format!("[Interface]\nPrivateKey : {PRIVATE}"),
        format!("[Interface]\n{PRIVATE}"),
        format!("[Interface]\nPrivatKey = {PRIVATE}"),
        format!("[Interface]\nMTU = {PRIVATE}"),
        format!("PrivateKey = {PRIVATE}"),
        format!("[{PRIVATE}]"),
        format!("[Peer]\nPresharedKey = x{PRIVATE}"),
        format!("[Peer]\nEndpoint = {PRIVATE}"),
    ] {
        let error = Config::parse(&text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains(&PRIVATE[..8]) && !shown.contains("Rdwh7cm"),
            "{shown}"
        );
    }
    let config = Config::parse(&format!("[Interface]\nPrivateKey = {PRIVATE}")).unwrap();
    assert!(!format!("{config:?}").contains(&PRIVATE[..8]));
}

#[test]
fn what_no_file_can_hold_cannot_be_made() {
    for text in ["", "  ", "echo # x", "a\nb", "a\0"] {
        assert_eq!(Command::new(text), None, "{text:?}");
    }
    for text in ["", "a b", "a,b", "a#b", "a]", "a\n", "a:b", "a%b"] {
        assert_eq!(Name::new(text), None, "{text:?}");
    }
    assert_eq!(InterfaceAddress::new([10, 0, 0, 1].into(), 33), None);
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

fn any_interface_address() -> impl Strategy<Value = InterfaceAddress> {
    (any_address(), 0..=128u8)
        .prop_filter_map("bits", |(address, len)| InterfaceAddress::new(address, len))
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any_address(), 0..=128u8).prop_filter_map("bits", |(address, len)| Prefix::new(address, len))
}

/// A name that is neither an address nor a word with a meaning of its own.
fn any_name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9_.-]{0,12}[xyz]".prop_filter_map("a name", |text| Name::new(&text))
}

fn any_commands() -> impl Strategy<Value = Vec<Command>> {
    let command = "[ -~]{1,40}".prop_filter_map("a command", |text| Command::new(&text));
    prop::collection::vec(command, 0..3)
}

fn any_interface() -> impl Strategy<Value = Interface> {
    let numbers = (
        any::<Option<u16>>(),
        any::<Option<u32>>(),
        prop::option::of(68..=u16::MAX),
    );
    let lists = (
        prop::collection::vec(any_interface_address(), 0..4),
        prop::collection::vec(any_address(), 0..3),
        prop::collection::vec(any_name(), 0..3),
    );
    let table = prop_oneof![
        Just(Table::Auto),
        Just(Table::Off),
        any_name().prop_map(Table::Named),
        any::<u32>().prop_map(|number| Table::Named(Name::new(&number.to_string()).unwrap())),
    ];
    let hooks = (
        any_commands(),
        any_commands(),
        any_commands(),
        any_commands(),
    );
    let key = any::<Option<[u8; 32]>>();
    (key, numbers, lists, table, hooks, any::<bool>()).prop_map(
        |(
            key,
            (listen_port, fwmark, mtu),
            (addresses, dns, search_domains),
            table,
            hooks,
            saves,
        )| {
            let (pre_up, post_up, pre_down, post_down) = hooks;
            Interface {
                private_key: key.map(PrivateKey::new),
                listen_port,
                fwmark,
                addresses,
                dns,
                search_domains,
                mtu,
                table,
                hooks: Hooks {
                    pre_up,
                    post_up,
                    pre_down,
                    post_down,
                },
                saves_config: saves,
            }
        },
    )
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let address = (any_address(), any::<u16>()).prop_map(|pair| SocketAddr::from(pair).into());
    let named = (any_name(), any::<u16>()).prop_map(|(name, port)| Endpoint {
        host: Host::Name(name),
        port,
    });
    let scoped =
        (any::<u128>(), any_name(), any::<u16>()).prop_map(|(bits, zone, port)| Endpoint {
            host: Host::Scoped(Ipv6Addr::from(bits), zone),
            port,
        });
    prop_oneof![address, named, scoped]
}

fn any_peer() -> impl Strategy<Value = Peer> {
    (
        any::<[u8; 32]>(),
        any::<Option<[u8; 32]>>(),
        prop::collection::vec(any_prefix(), 0..5),
        prop::option::of(any_endpoint()),
        any::<Option<u16>>(),
    )
        .prop_map(
            |(public, preshared, allowed_ips, endpoint, persistent_keepalive)| Peer {
                public_key: PublicKey::new(public),
                preshared_key: preshared.map(PresharedKey::new),
                allowed_ips,
                endpoint,
                persistent_keepalive,
            },
        )
}

proptest! {
    #[test]
    fn every_configuration_reads_back(
        interface in any_interface(), peers in prop::collection::vec(any_peer(), 0..4),
    ) {
        let config = Config { interface, peers };
        let text = config.to_text();
        prop_assert_eq!(Config::parse(&text), Ok(config));
    }
}
