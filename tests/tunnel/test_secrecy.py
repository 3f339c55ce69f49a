"""The wire under a sealed tunnel shows nothing, and nothing that is shown shows the key."""

from __future__ import annotations

import logging
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from meshvpn import ConfigError, MeshError, PermissionDeniedError, PresharedKey, Tunnel
from tests.tunnel.pair import Framing, Version, open_end, open_pair, wait_until
from tests.tunnel.wire import HELLO, Capture, DataMessage, without_offload

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.pytest_plugin import TwoHosts

SECRET = b"the quick brown fox jumps over the lazy dog, and nobody must know. "


@pytest.mark.root
@pytest.mark.parametrize("outer", [4, 6], ids=["over_v4", "over_v6"])
@pytest.mark.parametrize(("framing", "is_visible"), [("plain", True), ("preshared", False)])
def test_a_capture_shows_the_payload_of_a_plain_tunnel_only(
    two_hosts: TwoHosts, framing: Framing, is_visible: bool, outer: Version
) -> None:
    a, b, _ = two_hosts
    without_offload(a)
    with open_pair(a, b, framing, outer=outer) as pair:
        with Capture(b, "eth0") as wire, b.socket(bind=(pair.b.ipv4, 5000)) as server:
            server.settimeout(2)
            with a.socket() as client:
                for repeat in range(1, 20):
                    client.sendto(SECRET * repeat, (pair.b.ipv4, 5000))
                    assert server.recv(65536) == SECRET * repeat
        datagrams = wire.datagrams()
    assert sum(map(len, datagrams)) > len(SECRET) * 19 * 10
    windows = [SECRET[at : at + 8] for at in range(len(SECRET) - 8)]
    everything = b"".join(packet.content for packet in wire.packets)
    assert any(window in everything for window in windows) == is_visible
    # Inner addresses do not show either, nor does anything but what the format says.
    assert (b"\x0a\x09\x00\x01\x0a\x09\x00\x02" in everything) == is_visible
    if not is_visible:
        for datagram in datagrams:
            assert DataMessage.parse(datagram) or datagram[0] == HELLO


@pytest.mark.root
def test_another_key_on_the_other_side_never_connects(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    with (
        open_end(a, b, "preshared", PresharedKey.generate(), 1).tunnel as one,
        open_end(b, a, "preshared", PresharedKey.generate(), 2).tunnel as other,
    ):
        for tunnel in (one, other):
            with pytest.raises(TimeoutError, match=r"mesh0: the peer did not answer within 0\.7 s"):
                tunnel.wait_ready(timeout=0.7)
            stats = tunnel.stats()
            assert (stats.phase, stats.sessions) == ("connecting", 0)
            assert stats.drops["bad_handshake"] >= 2
            assert stats.received_packets == 0


@pytest.mark.root
def test_nothing_shows_the_key(two_hosts: TwoHosts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = PresharedKey.generate()
    a, b, _ = two_hosts
    shown: list[object] = [key, [key], {"key": key}]
    with open_end(a, b, "preshared", key, 1).tunnel as one:
        with open_end(b, a, "preshared", key, 2).tunnel as other:
            other.wait_ready(5)
            one.wait_ready(5)
            for tunnel in (one, other):
                stats = tunnel.stats()
                shown += [tunnel, stats, stats.to_dict(), stats._repr_html_()]
                shown += [tunnel._repr_html_(), tunnel.next_event(0), pickle.dumps(stats)]
        for wrong in ({"address": "nonsense"}, {"aead": "nonsense"}, {"local": "x", "netns": "y"}):
            values = {"local": (a.ipv4, 7001), "remote": (b.ipv4, 7001), "netns": a.netns}
            with pytest.raises(MeshError) as raised:
                Tunnel.preshared("mesh1", key=key, **values | wrong)  # type: ignore[arg-type] # wrong
            shown += [raised.value, raised.value.args, raised.value.hint]
    wait_until(lambda: sum("tunnel closed" in line for line in caplog.messages) == 2)
    shown += [caplog.text, one, other]
    secrets = forms_of(key)
    for value in shown:
        for text in (repr(value), str(value), f"{value}"):
            assert not any(secret in text for secret in secrets)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_what_is_looked_for_would_be_found() -> None:
    key = PresharedKey.generate()
    for text in (key.to_base64(), repr(bytes(key)), bytes(key).hex(), str(list(bytes(key)))):
        assert any(form in text for form in forms_of(key))


def forms_of(key: PresharedKey) -> list[str]:
    """How eight bytes of a key could look in a text."""
    raw = bytes(key)
    return [
        key.to_base64()[4:20],
        raw[8:16].hex(),
        repr(raw[8:16])[2:-1],
        ", ".join(map(str, raw[8:16])),
    ]


class TestKeyFiles:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "key"
        PresharedKey.generate().to_file(path)
        return path

    def test_written_and_read(self, tmp_path: Path) -> None:
        key = PresharedKey.generate()
        key.to_file(tmp_path / "key")
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
        assert PresharedKey.from_file(tmp_path / "key") == key
        with pytest.raises(FileExistsError):
            key.to_file(tmp_path / "key")

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601])
    def test_refused_when_others_have_any_right(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        with pytest.raises(PermissionDeniedError, match=f"others can .*mode {mode:04o}") as raised:
            PresharedKey.from_file(file)
        assert raised.value.hint == f"chmod 600 {file}"

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no such file") as raised:
            PresharedKey.from_file(tmp_path / "none")
        assert "meshvpn genpsk" in str(raised.value.hint)

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is a directory"):
            PresharedKey.from_file(tmp_path)

    def test_a_device_that_never_ends(self) -> None:
        with pytest.raises(MeshError):
            PresharedKey.from_file("/dev/zero")

    def test_a_pipe_as_shells_make_it_for_a_command(self) -> None:
        key = PresharedKey.generate()
        reading, writing = os.pipe()
        os.write(writing, key.to_base64().encode())
        os.close(writing)
        assert PresharedKey.from_file(f"/dev/fd/{reading}") == key
        os.close(reading)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n",
            b"garbage",
            b"A" * 43 + b"=",
            b"QUJD",
            b"\xff\xfe" * 22,
            os.urandom(32),
            b"x" * 100_000,
        ],
        ids=["empty", "blank", "garbage", "zeros", "short", "utf16", "raw", "long"],
    )
    def test_content_that_is_no_key(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"holds no key|all bytes are zero") as raised:
            PresharedKey.from_file(file)
        assert str(file) in str(raised.value)
        if len(content) > 2:
            assert content.decode("latin-1") not in str(raised.value)

    @pytest.mark.root
    def test_a_tunnel_takes_the_path(self, two_hosts: TwoHosts, file: Path) -> None:
        a, b, _ = two_hosts
        ends = ((a, b), (b, a))
        tunnels = [
            Tunnel.preshared(
                "mesh0",
                local=(here.ipv4, 7000),
                remote=(there.ipv4, 7000),
                key=file,
                netns=here.netns,
            )
            for here, there in ends
        ]
        for tunnel in tunnels:
            with tunnel:
                tunnel.wait_ready(5)
