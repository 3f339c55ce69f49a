"""Captures of a tunnel, and what becomes of their files: full, exposed, a pipe, there already."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

import meshvpn
from meshvpn import (
    CaptureError,
    ConfigError,
    PermissionDeniedError,
    Tunnel,
    TunnelClosedError,
)
from tests.tunnel.pair import FRAMINGS, PORT, VERSIONS, Framing, Version, open_pair, ping, transfer
from tests.tunnel.tshark import read
from tests.tunnel.wire import Capture as WireTap
from tests.tunnel.wire import without_offload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn.pytest_plugin import TwoHosts
    from tests.tunnel.pair import Pair

pytestmark = [pytest.mark.root, pytest.mark.needs("ping", "tshark")]

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.pcapng"


@pytest.fixture
def pair(two_hosts: TwoHosts) -> Iterator[Pair]:
    with open_pair(two_hosts.a, two_hosts.b, "plain") as pair:
        yield pair


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("outer", VERSIONS, ids=["over_v4", "over_v6"])
def test_it_is_what_is_on_the_wire(
    two_hosts: TwoHosts, path: Path, framing: Framing, outer: Version
) -> None:
    """Probes and hellos included, which another thread sends."""
    for host in (two_hosts.a, two_hosts.b):
        without_offload(host)
    with (
        open_pair(two_hosts.a, two_hosts.b, framing, outer=outer) as pair,
        pair.a.tunnel.capture(path) as capture,
        WireTap(two_hosts.a, "eth0") as wire,
    ):
        assert ping(pair.a, pair.b, 4)
        transfer(pair.a, pair.b, 4)
        transfer(pair.b, pair.a, 6)
        time.sleep(0.1)
        pair.a.tunnel.close()
    assert capture.dropped == 0
    seen = read(path)
    assert len(seen) == capture.packets > 1000
    for is_outbound, host in ((True, two_hosts.a), (False, two_hosts.b)):
        source = host.ipv4 if outer == 4 else host.ipv6
        mine = [packet for packet in seen if packet.is_outbound == is_outbound]
        on_wire = wire.datagrams(source)
        # It began a moment before, and ended a moment after.
        captured = [packet.datagram for packet in mine]
        start = captured.index(on_wire[0])
        assert captured[start : start + len(on_wire)] == on_wire
        endpoint = f"{source}:{PORT}" if outer == 4 else f"[{source}]:{PORT}"
        assert {packet.source for packet in mine} == {endpoint}
    assert {packet.interface for packet in seen} == {"mesh0-udp0"}


def test_a_tunnel_on_every_address_tells_which_one_it_sends_from(
    two_hosts: TwoHosts, path: Path
) -> None:
    a, b, _ = two_hosts
    a.ip("address add 172.31.0.99/24 dev eth0")
    remote = (b.ipv4, PORT)
    with (
        Tunnel.plain("mesh0", local=("0.0.0.0", PORT), remote=remote, netns=a.netns) as tunnel,
        tunnel.capture(path) as capture,
    ):
        while capture.packets == 0:
            time.sleep(0.01)
    assert {packet.source for packet in read(path)} == {f"172.31.0.1:{PORT}"}


def test_what_the_kernel_refuses_to_send_is_not_in_it(two_hosts: TwoHosts, path: Path) -> None:
    a, b, _ = two_hosts
    with (
        Tunnel.plain("mesh0", local=(a.ipv4, PORT), remote=(b.ipv4, PORT), netns=a.netns) as tunnel,
        tunnel.capture(path) as capture,
    ):
        while capture.packets == 0:
            time.sleep(0.01)
        a.ip("route add prohibit 172.31.0.2/32")
        time.sleep(0.1)
        before = capture.packets
        time.sleep(1)
        assert capture.packets == before
        assert capture.dropped == 0


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", FRAMINGS)
def test_there_are_no_secrets_that_anything_could_use(
    two_hosts: TwoHosts, path: Path, framing: Framing
) -> None:
    with open_pair(two_hosts.a, two_hosts.b, framing) as pair:
        with pytest.raises(ConfigError, match="no secrets to write") as raised:
            pair.a.tunnel.capture(path, secrets=True)
        assert raised.value.hint is not None
        assert not path.exists()


@pytest.fixture
def device(two_hosts: TwoHosts) -> Iterator[meshvpn.WireGuard]:
    with Tunnel.wireguard(name="wt0", netns=two_hosts.a.netns) as device:
        yield device


def test_secrets_go_to_no_file_that_others_can_read(device: meshvpn.WireGuard, path: Path) -> None:
    path.write_bytes(b"before")
    path.chmod(0o644)
    with pytest.raises(PermissionDeniedError, match=r"others can read .*mode 0644.*keys in it"):
        device.capture(path, secrets=True)
    path.chmod(0o600)
    os.chown(path, NOBODY, -1)
    with pytest.raises(PermissionDeniedError, match=r"another user \(uid 65534\)"):
        device.capture(path, secrets=True)
    assert path.read_bytes() == b"before"
    os.chown(path, os.geteuid(), -1)
    device.capture(path, secrets=True).close()
    assert read(path) == []
    path.chmod(0o644)
    device.capture(path).close()
    assert read(path) == []


def test_a_new_file_with_secrets_is_its_owners_alone(
    device: meshvpn.WireGuard, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        for secrets, mode in ((True, 0o600), (False, 0o666)):
            path = tmp_path / f"{secrets}.pcapng"
            with device.capture(path, secrets=secrets):
                assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


# --- files ----------------------------------------------------------------------------------------


def test_a_place_where_there_can_be_no_file_is_named(pair: Pair, tmp_path: Path) -> None:
    tunnel = pair.a.tunnel
    for path in (tmp_path / "nowhere" / "x.pcapng", tmp_path, "/dev/full"):
        with pytest.raises(CaptureError, match=f"cannot write {path}: ") as raised:
            tunnel.capture(path)
        assert raised.value.hint is not None
    assert isinstance(raised.value, OSError)
    assert ping(pair.a, pair.b, 4)


def test_several_run_at_once_and_each_ends_by_itself(pair: Pair, tmp_path: Path) -> None:
    tunnel = pair.a.tunnel
    with tunnel.capture(tmp_path / "outer.pcapng") as outer:
        with tunnel.capture(str(tmp_path / "inner.pcapng")) as inner:
            assert ping(pair.a, pair.b, 4)
        inner.close()
        count = inner.packets
        assert ping(pair.a, pair.b, 4)
    assert inner.packets == count == len(read(inner.path)) >= 2
    assert outer.packets == len(read(outer.path)) >= 4
    assert repr(outer) == f"<Capture {outer.path}: {outer.packets} packets, 0 dropped>"


def test_it_can_be_read_while_it_is_written(pair: Pair, path: Path) -> None:
    with pair.a.tunnel.capture(path) as capture:
        before = len(read(path))
        assert ping(pair.a, pair.b, 4)
        while capture.packets < before + 2:
            time.sleep(0.01)
        assert len(read(path)) >= before + 2


def test_it_goes_on_when_nobody_holds_it(pair: Pair, path: Path) -> None:
    pair.a.tunnel.capture(path)
    gc.collect()
    assert ping(pair.a, pair.b, 4)
    pair.a.tunnel.close()
    assert len(read(path)) >= 2


def test_it_ends_with_its_tunnel(pair: Pair, two_hosts: TwoHosts, tmp_path: Path) -> None:
    closed = pair.a.tunnel.capture(tmp_path / "closed.pcapng")
    deleted = pair.b.tunnel.capture(tmp_path / "deleted.pcapng")
    assert ping(pair.a, pair.b, 4)
    pair.a.tunnel.close()
    two_hosts.b.ip("link delete mesh0")
    assert pair.b.tunnel.stats() is not None
    while pair.b.tunnel.phase != "closed":
        time.sleep(0.01)
    deleted.close()
    for capture in (closed, deleted):
        assert capture.failure is None
        assert len(read(capture.path)) == capture.packets >= 2
        capture.close()
    late = tmp_path / "late.pcapng"
    with pytest.raises(TunnelClosedError):
        pair.a.tunnel.capture(late)
    assert not late.exists()


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_ends_the_capture_and_not_the_tunnel(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tunnel = pair.a.tunnel
    with small_disk(tmp_path / "disk", "1m") as disk:
        capture = tunnel.capture(disk / "x.pcapng")
        transfer(pair.a, pair.b, 4, size=4 << 20)
        assert capture.failure is not None
        assert "No space left" in capture.failure
        assert ping(pair.a, pair.b, 4)
        transfer(pair.b, pair.a, 6)
        with pytest.raises(CaptureError, match=r"x\.pcapng is not complete: No space left"):
            capture.close()
        assert len(read(capture.path)) == capture.packets > 100, "up to the last whole packet"
        assert capture.dropped > 0
    assert tunnel.phase == "up"
    assert "ended before it was told to" in caplog.text


# --- pipes ----------------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    return pipe


def test_a_pipe_shows_it_live(pair: Pair, pipe: Path) -> None:
    tshark = subprocess.Popen(
        ["tshark", "-n", "-l", "-i", pipe, "-Y", "udp"], stdout=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(CaptureError):
                capture = pair.a.tunnel.capture(pipe)
                break
            assert time.monotonic() < end
            time.sleep(0.01)
        with capture:
            assert ping(pair.a, pair.b, 4)
            assert tshark.stdout is not None
            assert f"{pair.a.host.ipv4} → {pair.b.host.ipv4}" in tshark.stdout.readline()
        assert capture.failure is None
    finally:
        tshark.terminate()
        tshark.communicate(timeout=10)


def test_a_pipe_without_a_reader_is_refused(pair: Pair, pipe: Path) -> None:
    with pytest.raises(CaptureError) as raised:
        pair.a.tunnel.capture(pipe)
    assert "start the reader first" in str(raised.value.hint)


def test_a_reader_that_leaves_ends_it(pair: Pair, pipe: Path) -> None:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    capture = pair.a.tunnel.capture(pipe)
    os.close(reader)
    assert ping(pair.a, pair.b, 4)
    while capture.failure is None:
        time.sleep(0.01)
    with pytest.raises(CaptureError, match="Broken pipe"):
        capture.close()
    assert ping(pair.a, pair.b, 4)


def test_a_reader_that_sleeps_holds_up_nobody(pair: Pair, pipe: Path, tmp_path: Path) -> None:
    """More than the queue holds goes through meanwhile, and all that is missing is counted."""
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    tunnel = pair.a.tunnel
    capture = tunnel.capture(pipe)
    before = tunnel.stats()
    transfer(pair.a, pair.b, 4, size=48 << 20)
    assert capture.dropped > 0
    assert capture.failure is None

    # It wakes up: what was kept for it comes, and after that what is new.
    os.set_blocking(reader, True)
    content = bytearray()

    def drain() -> None:
        while piece := os.read(reader, 1 << 20):
            content.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    assert ping(pair.a, pair.b, 4)
    after = tunnel.stats()
    capture.close()
    thread.join()
    os.close(reader)
    path = tmp_path / "x.pcapng"
    path.write_bytes(content)
    assert len(read(path)) == capture.packets
    inside = after.sent_packets - before.sent_packets
    inside += after.received_packets - before.received_packets
    assert 0 <= capture.packets + capture.dropped - inside < 50, "probes go beside the packets"


def test_a_reader_that_never_wakes_up_holds_up_no_end(pair: Pair, pipe: Path) -> None:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    capture = pair.a.tunnel.capture(pipe)
    transfer(pair.a, pair.b, 4, size=4 << 20)
    start = time.monotonic()
    pair.a.tunnel.close()
    assert time.monotonic() - start < 5
    with pytest.raises(CaptureError, match="takes nothing any more"):
        capture.close()
    os.close(reader)


def test_a_child_leaves_the_file_alone(pair: Pair, path: Path) -> None:
    with pair.a.tunnel.capture(path) as capture:
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                capture.close()
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ping(pair.a, pair.b, 4)
    assert len(read(path)) == capture.packets >= 2
