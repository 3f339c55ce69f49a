"""A coordinator in this process, and the same one over its REST API."""

from __future__ import annotations

import json
import stat
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

import meshvpn
from meshvpn import Coordinator, CoordinatorClient, PrivateKey, _meshvpn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn.coordinator import Administration


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    config = {"listen": "127.0.0.1:0", "state": str(tmp_path / "state"), "allow": "all"}
    with Coordinator(config) as coordinator:
        yield coordinator


@pytest.fixture(params=["in-process", "REST"])
def administration(
    request: pytest.FixtureRequest, coordinator: Coordinator, tmp_path: Path
) -> Administration:
    if request.param == "in-process":
        return coordinator
    token = (tmp_path / "state" / "api-token").read_text().strip()
    return CoordinatorClient(coordinator.url, token)


def _peer_key() -> meshvpn.PublicKey:
    return PrivateKey.generate().public_key


def test_both_ways_to_ask_give_the_same(
    administration: Administration, coordinator: Coordinator
) -> None:
    mesh = administration.mesh()
    assert mesh == coordinator.mesh()
    assert mesh.public_key == coordinator.public_key
    assert mesh.allow_all
    assert mesh.networks[0] == ip_network("100.64.0.0/10")
    key = _peer_key()
    peer = administration.add_peer("phone", key, endpoint=("192.0.2.7", 51820))
    assert (peer.name, peer.key, peer.static) == ("phone", key, True)
    assert peer.candidates == ("192.0.2.7:51820 (host)",)
    assert administration.nodes() == coordinator.nodes() == [peer]
    assert administration.rename(peer, "tablet").name == "tablet"
    assert administration.tag("tablet", ["home", "old"]).tags == ("home", "old")
    routed = administration.approve_routes("tablet", ["10.9.0.0/16"])
    assert routed.active_routes == (ip_network("10.9.0.0/16"),)
    assert administration.approve("tablet").status == "online"
    later = datetime(2100, 1, 1, tzinfo=UTC)
    assert administration.expire(1, later).key_expiry == later
    assert administration.expire(1, None).key_expiry is None
    assert administration.expire(1).status == "expired"
    administration.remove("tablet")
    assert administration.nodes() == []


def test_auth_keys_are_shown_once_and_revoked(administration: Administration) -> None:
    key = administration.new_auth_key(
        reusable=True,
        ephemeral=True,
        needs_approval=True,
        tags=["ci"],
        expires_in=timedelta(hours=1),
        description="for tests",
    )
    assert key.secret is not None
    assert key.secret.startswith(f"meshkey_{key.id}_")
    assert key.secret not in repr(key)
    assert key.expiry == key.created + timedelta(hours=1)
    [listed] = administration.auth_keys()
    assert listed.secret is None
    assert (listed.id, listed.tags, listed.status) == (key.id, ("ci",), "valid")
    administration.revoke_auth_key(listed)
    assert administration.auth_keys() == []
    assert administration.create_auth_key().startswith("meshkey_")


def test_what_cannot_be_taken_is_named(administration: Administration) -> None:
    with pytest.raises(meshvpn.ConfigError, match='no node is called "nobody"'):
        administration.approve("nobody")
    with pytest.raises(meshvpn.ConfigError, match="no auth key is called"):
        administration.revoke_auth_key("nothing")
    with pytest.raises(meshvpn.ConfigError, match='"A b" is not a name'):
        administration.add_peer("A b", _peer_key())
    with pytest.raises(meshvpn.ConfigError, match="less than a second"):
        administration.create_auth_key(expires_in=timedelta())
    with pytest.raises(meshvpn.ConfigError, match='"tag:x" is not a tag'):
        administration.create_auth_key(tags=["tag:x"])


def test_the_state_outlives_the_process_and_nobody_else_reads_it(tmp_path: Path) -> None:
    config = {"listen": "127.0.0.1:0", "state": str(tmp_path / "state")}
    with Coordinator(config) as first:
        key = first.new_auth_key()
        public_key = first.public_key
    with Coordinator(config) as second:
        assert second.public_key == public_key
        assert [known.id for known in second.auth_keys()] == [key.id]
    for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) in {0o700, 0o600}
        if path.is_file():
            assert key.secret is not None
            assert key.secret.encode()[-40:] not in path.read_bytes()


def test_the_api_is_closed_without_its_token(coordinator: Coordinator) -> None:
    with pytest.raises(meshvpn.ConfigError, match="api-token"):
        CoordinatorClient(coordinator.url, "another").nodes()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{coordinator.url}/api/v1/nodes")
    assert refused.value.code == 401
    refused.value.close()


def test_monitoring_and_the_description_are_open(coordinator: Coordinator) -> None:
    def get(path: str) -> str:
        with urllib.request.urlopen(coordinator.url + path) as response:
            return str(response.read().decode())

    assert get("/health") == "ok\n"
    assert "meshvpn_coordinator_nodes 0\n" in get("/metrics")
    assert json.loads(get("/api/v1/openapi.json"))["openapi"] == "3.1.0"


def test_over_tls_it_is_known_by_its_certificate(tmp_path: Path) -> None:
    certificate, key = _meshvpn.self_signed_certificate("127.0.0.1")
    files = {"certificate": tmp_path / "crt.pem", "key": tmp_path / "key.pem"}
    files["certificate"].write_text(certificate)
    files["key"].write_text(key)
    config = {
        "listen": "127.0.0.1:0",
        "state": str(tmp_path / "state"),
        "tls": {name: str(path) for name, path in files.items()},
    }
    with Coordinator(config) as coordinator:
        assert coordinator.url.startswith("https://127.0.0.1:")
        token = (tmp_path / "state" / "api-token").read_text().strip()
        client = CoordinatorClient(coordinator.url, token, certificate=files["certificate"])
        assert client.mesh() == coordinator.mesh()
        with pytest.raises(meshvpn.CoordinatorError, match="CERTIFICATE_VERIFY_FAILED"):
            CoordinatorClient(coordinator.url, token).mesh()
    files["key"].write_text("nonsense")
    with pytest.raises(meshvpn.ConfigError, match="private key: no PEM block"):
        Coordinator(config)


def test_a_relay_shares_its_port(tmp_path: Path) -> None:
    config = {"listen": "127.0.0.1:0", "state": str(tmp_path / "state"), "relay": "eu"}
    with Coordinator(config) as coordinator:
        with urllib.request.urlopen(f"{coordinator.url}/derp/probe") as response:
            assert response.status == 200
        with urllib.request.urlopen(f"{coordinator.url}/metrics") as response:
            text = response.read().decode()
    assert "meshvpn_coordinator_nodes 0\n" in text
    assert "meshvpn_relay_clients 0\n" in text
    config["listen"] = "0.0.0.0:0"
    with pytest.raises(meshvpn.ConfigError, match='relay: "eu" needs `url`'):
        Coordinator(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"listen": "here"}, 'listen: "here" is not IP:PORT'),
        ({"allow": "some"}, 'allow: "some" is neither none nor all'),
        ({"listn": "x"}, "unknown field `listn`"),
        ("/nonexistent/file.yaml", "config: /nonexistent/file.yaml: No such file"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    config: dict[str, str] | str, message: str
) -> None:
    with pytest.raises(meshvpn.ConfigError, match=message.replace("(", r"\(")):
        Coordinator(config)


def test_what_the_system_refuses_is_explained(coordinator: Coordinator, tmp_path: Path) -> None:
    taken = {"listen": coordinator.local_address, "state": str(tmp_path / "other")}
    with pytest.raises(meshvpn.NetworkError, match="another program listens there"):
        Coordinator(taken)
    (tmp_path / "file").write_text("no directory")
    nowhere = {"listen": "127.0.0.1:0", "state": str(tmp_path / "file" / "state")}
    with pytest.raises(meshvpn.CoordinatorError, match="cannot open"):
        Coordinator(nowhere)
    with pytest.raises(meshvpn.ConfigError, match="no-such-namespace"):
        Coordinator({"listen": "127.0.0.1:0", "state": str(tmp_path)}, netns="no-such-namespace")


def test_closing_twice_is_harmless_and_then_nothing_answers(tmp_path: Path) -> None:
    coordinator = Coordinator({"listen": "127.0.0.1:0", "state": str(tmp_path / "state")})
    coordinator.close()
    coordinator.close()
    with pytest.raises(meshvpn.CoordinatorError, match="shutting down"):
        coordinator.nodes()
