"""What a device is made from: files and values, every refusal by name with the way out."""

from __future__ import annotations

import logging
import pickle
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from meshvpn import (
    ConfigError,
    NetworkError,
    Peer,
    PresharedKey,
    PrivateKey,
    Tunnel,
    WireGuard,
    WireGuardConfig,
)
from meshvpn.wireguard import Hook

if TYPE_CHECKING:
    from pathlib import Path

KEY = PrivateKey.generate()
PEER = PrivateKey.generate().public_key
PSK = PresharedKey.generate()

FILE = f"""
[Interface]
PrivateKey = {KEY.to_base64()}
ListenPort = 51820
FwMark = 0xca6c
Address = 10.8.0.1/24, fd08::1/64
DNS = 192.0.2.53, example.org
MTU = 1400
PostUp = iptables -A FORWARD -i %i -j ACCEPT
PreDown = true
SaveConfig = true

[Peer]
PublicKey = {PEER}
PresharedKey = {PSK.to_base64()}
AllowedIPs = 10.8.0.2/32, 10.9.0.0/16
AllowedIPs = fd08::/64
Endpoint = vpn.example.org:51820
PersistentKeepalive = 25
"""


def test_a_file_is_read_to_the_last_field() -> None:
    config = WireGuardConfig.from_text(FILE)
    assert config == WireGuardConfig(
        private_key=KEY,
        listen_port=51820,
        mark=0xCA6C,
        address=["10.8.0.1/24", "fd08::1/64"],
        dns=["192.0.2.53", "example.org"],
        mtu=1400,
        hooks=[
            Hook("PostUp", "iptables -A FORWARD -i %i -j ACCEPT"),
            Hook("PreDown", "true"),
        ],
        saves_config=True,
        peers=[
            Peer(
                public_key=PEER,
                preshared_key=PSK,
                allowed_ips=["10.8.0.2", "10.9.0.0/16", "fd08::/64"],
                endpoint=("vpn.example.org", 51820),
                persistent_keepalive=25,
            )
        ],
    )
    assert config.address == (ip_interface("10.8.0.1/24"), ip_interface("fd08::1/64"))
    assert config.peers[0].persistent_keepalive == timedelta(seconds=25)
    # The device's own addresses lead to the rest.
    assert config.routes() == (ip_network("10.9.0.0/16"),)


def test_no_secret_is_shown() -> None:
    shown = repr(WireGuardConfig.from_text(FILE))
    assert KEY.to_base64() not in shown
    assert PSK.to_base64() not in shown
    assert str(PEER) in shown


def test_a_configuration_is_not_pickled_with_its_keys() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(WireGuardConfig.from_text(FILE))


@pytest.mark.parametrize(
    ("line", "complaint", "hint"),
    [
        ("ListenPort = 99999", "ListenPort", "51820"),
        ("Adress = 10.0.0.1/24", "Adress", "[Interface] has PrivateKey"),
        ("Address = 10.0.0.256/24", "10.0.0.256/24", "10.0.0.1/24"),
        ("PrivateKey = secret", "PrivateKey", "meshvpn genkey"),
    ],
)
def test_a_line_that_is_wrong_is_named(
    tmp_path: Path, line: str, complaint: str, hint: str
) -> None:
    file = tmp_path / "wg0.conf"
    file.write_text(f"[Interface]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        WireGuardConfig.from_file(file)
    assert refused.value.message.startswith(f"{file}: line 2: ")
    assert complaint in refused.value.message
    assert hint in str(refused.value.hint)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        WireGuardConfig.from_file(tmp_path / "wg0.conf")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "wg0.conf"
    file.write_bytes(b"[Interface]\n# \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        WireGuardConfig.from_file(file)
    with pytest.raises(ConfigError, match="no regular file"):
        WireGuardConfig.from_file(tmp_path)


def test_a_key_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "wg0.conf"
    file.write_text(FILE)
    file.chmod(0o600)
    WireGuardConfig.from_file(file)
    assert caplog.text == ""
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        WireGuardConfig.from_file(file)
    assert f"others can read its private key: chmod 600 {file}" in caplog.text


def test_routes_are_none_with_table_off() -> None:
    assert WireGuardConfig.from_text(FILE.replace("MTU", "Table = off\nMTU")).routes() == ()


@pytest.mark.parametrize(
    ("old", "new", "complaint", "hint"),
    [
        ("MTU", "Table = 123\nMTU", "Table: .*'123'", "off"),
        ("10.9.0.0/16", "0.0.0.0/0", "0.0.0.0/0 takes a default route", "meshvpn-wg"),
        ("fd08::/64", "::/0", "::/0 takes a default route", "meshvpn-wg"),
    ],
)
def test_routes_that_are_not_made_are_refused(
    old: str, new: str, complaint: str, hint: str
) -> None:
    config = WireGuardConfig.from_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=complaint) as refused:
        config.routes()
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"public_key": "short"}, "public key: not base64"),
        ({"allowed_ips": "everywhere"}, "allowed_ips: 'everywhere'"),
        ({"allowed_ips": ["10.0.0.0/33"]}, "allowed_ips: '10.0.0.0/33'"),
        ({"endpoint": "192.0.2.1"}, "endpoint: '192.0.2.1'"),
        ({"endpoint": "2001:db8::1:51820"}, "endpoint: '2001:db8::1:51820'"),
        ({"endpoint": "host:port"}, "endpoint: 'host:port'"),
        ({"endpoint": ("192.0.2.1", 70000)}, "endpoint port: 70000"),
        ({"persistent_keepalive": 70000}, "persistent_keepalive: 70000"),
        ({"persistent_keepalive": timedelta(seconds=0.5)}, "persistent_keepalive: 0:00:00.5"),
        ({"preshared_key": "/nowhere/psk"}, "/nowhere/psk"),
    ],
)
def test_a_peer_that_cannot_be_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Peer(**{"public_key": PEER} | values)


def test_bits_behind_a_prefix_are_cleared_as_wg_clears_them() -> None:
    assert Peer(public_key=PEER, allowed_ips="10.1.2.3/8").allowed_ips == (
        ip_network("10.0.0.0/8"),
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"listen_port": 65536}, "listen_port: 65536"),
        ({"mark": -1}, "mark: -1"),
        ({"address": "10.0.0.1/33"}, "address: '10.0.0.1/33'"),
        ({"private_key": "/nowhere/key"}, "/nowhere/key"),
        ({"private_key": KEY, "peers": [Peer(public_key=KEY.public_key)]}, "the device's own"),
    ],
)
def test_a_device_that_cannot_be_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Tunnel.wireguard(name="wg0", **values)


def test_a_device_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="name: the device's name is missing"):
        Tunnel.wireguard(private_key=KEY)


def test_values_beside_a_configuration_are_refused() -> None:
    with pytest.raises(ConfigError, match="listen_port: given beside a configuration"):
        Tunnel.wireguard(WireGuardConfig(), name="wg0", listen_port=1)


def test_a_configuration_can_be_changed_in_parts() -> None:
    config = WireGuardConfig.from_text(FILE)
    changed = replace(config, listen_port=4500, hooks=())
    assert (changed.listen_port, changed.hooks, changed.peers) == (4500, (), config.peers)


def test_an_endpoint_that_nobody_knows() -> None:
    peer = Peer(public_key=PEER, endpoint="host.invalid:51820")
    with pytest.raises(NetworkError, match=r"'host\.invalid'") as refused:
        Tunnel.wireguard(name="wg0", private_key=KEY, peers=[peer])
    assert "name servers" in str(refused.value.hint)


def test_a_device_is_made_by_tunnel_wireguard_alone() -> None:
    with pytest.raises(TypeError, match=r"Tunnel\.wireguard"):
        WireGuard()
