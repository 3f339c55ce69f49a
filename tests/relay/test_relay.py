"""A relay from Python: where it is, what it tells of itself, what it refuses, and its end."""

from __future__ import annotations

import hashlib
import socket
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import meshvpn
from meshvpn import ConfigError, NetworkError, PermissionDeniedError, PrivateKey, Relay

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.lab import Lab

_PATIENCE_SECONDS = 20.0


def _get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS, context=context) as answer:
        return answer.status, answer.read().decode()


def test_it_answers_and_is_gone_when_closed() -> None:
    with Relay() as relay:
        assert _get(f"{relay.url}/derp/probe") == (200, "")
        assert _get(f"{relay.url}/generate_204") == (204, "")
        assert "meshvpn_relay_clients 0\n" in _get(f"{relay.url}/metrics")[1]
        assert relay.certificate_sha256 is None
        assert relay.stats() == meshvpn.RelayStats(0, 0, 0, 0, 0, 0, 0, 0, 0)
        assert repr(relay) == f"<Relay {relay.url}: 0 clients>"
    with pytest.raises(urllib.error.URLError):
        _get(f"{relay.url}/derp/probe")
    relay.close()


async def test_it_works_in_asyncio() -> None:
    async with Relay() as relay:
        assert relay.url.startswith("http://127.0.0.1:")


def test_its_key_can_be_kept(tmp_path: Path) -> None:
    key = PrivateKey.generate()
    key.to_file(tmp_path / "relay.key")
    with Relay(private_key=tmp_path / "relay.key") as relay:
        assert relay.public_key == key.public_key


def test_a_self_made_certificate_is_the_one_whose_fingerprint_it_tells(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    fingerprints = []
    for _ in range(2):
        with Relay(
            self_signed=True, host="localhost", certificate=certificate, certificate_key=key
        ) as relay:
            host, port = "localhost", int(relay.url.rpartition(":")[2])
            assert relay.url == f"https://localhost:{port}"
            shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port)))
            assert hashlib.sha256(shown).hexdigest() == relay.certificate_sha256
            trusting = ssl.create_default_context(cafile=str(certificate))
            assert _get(f"{relay.url}/derp/probe", trusting)[0] == 200
            fingerprints.append(relay.certificate_sha256)
    assert fingerprints[0] == fingerprints[1]
    assert key.stat().st_mode & 0o777 == 0o600
    with Relay(self_signed=True) as relay:
        assert relay.certificate_sha256 not in {None, fingerprints[0]}


def test_bad_values_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    (tmp_path / "key.pem").chmod(0o600)
    files: dict[str, Any] = {
        "certificate": tmp_path / "cert.pem",
        "certificate_key": tmp_path / "key.pem",
    }
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"listen": "nowhere"}, "listen"),
        ({"certificate": tmp_path / "cert.pem"}, "certificate_key"),
        ({"certificate": tmp_path / "none", "certificate_key": tmp_path / "none"}, "certificate"),
        (files, "certificate"),
        ({"verify_clients": "coordinator"}, "verify_clients"),
        ({"bytes_per_second": 0}, "bytes_per_second"),
        ({"self_signed": True, "host": "not a name ☃"}, "host"),
    )
    for arguments, word in refused:
        with pytest.raises(ConfigError, match=word) as error:
            Relay(**arguments)
        assert error.value.hint or word == "bytes_per_second"
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(PermissionDeniedError, match="mode 0644") as denied:
        Relay(**files)
    assert "chmod 600" in str(denied.value.hint)


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NetworkError, match=f"listen: 127.0.0.1:{port}") as error:
            Relay(("127.0.0.1", port))
    assert "another port" in str(error.value.hint)


@pytest.mark.root
def test_it_lives_in_a_namespace(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24")
    with Relay("172.31.0.1:8080", netns=a.netns) as relay:
        assert relay.url == "http://172.31.0.1:8080"
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).status)"
        asked = b.run(["python3", "-c", program, f"{relay.url}/derp/probe"])
        assert asked.stdout.strip() == "200"
    with pytest.raises(ConfigError, match="netns: nowhere-at-all"):
        Relay(netns="nowhere-at-all")
