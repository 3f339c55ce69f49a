"""The system's DNS is changed when asked, and as it was afterwards, whatever happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshvpn import dns
from meshvpn.errors import ConfigError, NetworkError
from tests.dns.asking import dnsmasq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.pytest_plugin import TwoHosts

ORIGINAL = "# mine\nnameserver 192.0.2.1\nsearch example.com\noptions edns0\n"
HOLD = """
import sys, time
from meshvpn import dns
held = dns.SystemDns("127.0.0.1", domain="mesh.internal", resolv_conf=sys.argv[1])
print("held", flush=True)
time.sleep(100)
"""

IN_PLACE = """
import os, signal
from pathlib import Path
from meshvpn import dns

file = Path("resolv.conf")
before = file.read_text()
with dns.SystemDns("127.0.0.1", resolv_conf=file):
    assert "nameserver 127.0.0.1" in file.read_text()
assert file.read_text() == before
if (child := os.fork()) == 0:
    held = dns.SystemDns("127.0.0.1", resolv_conf=file)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
assert "nameserver 127.0.0.1" in file.read_text()
assert dns.restore(resolv_conf=file) is None
assert file.read_text() == before
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(ORIGINAL)
    return path


@pytest.fixture
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has taken the file over."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_it_is_changed_and_restored(file: Path) -> None:
    with dns.SystemDns(["127.0.0.1", "::1"], domain="mesh.internal", resolv_conf=file) as system:
        changed = file.read_text().splitlines()
        assert [line for line in changed if not line.startswith("#")] == [
            "nameserver 127.0.0.1",
            "nameserver ::1",
            "search mesh.internal example.com",
            "options edns0",
        ]
        assert system.restore() is None
        assert file.read_text() == ORIGINAL
    assert [path.name for path in file.parent.iterdir()] == ["resolv.conf"]


def test_after_a_kill_the_next_start_restores_it(file: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(NetworkError, match="in use by another meshvpn"):
        dns.SystemDns("127.0.0.1", resolv_conf=file)
    with pytest.raises(NetworkError, match="in use by another meshvpn"):
        dns.restore(resolv_conf=file)
    holder.kill()
    holder.wait()
    assert "nameserver 127.0.0.1" in file.read_text()
    with dns.SystemDns("127.0.0.1", resolv_conf=file):
        assert "search example.com\n" in file.read_text()
    assert file.read_text() == ORIGINAL


def test_after_a_kill_it_can_be_restored_by_hand(file: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert dns.restore(resolv_conf=file) is None
    assert file.read_text() == ORIGINAL
    assert dns.restore(resolv_conf=file) is None


def test_a_file_that_somebody_else_has_changed_is_theirs(
    file: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    holder.kill()
    holder.wait()
    edited = file.read_text() + "nameserver 198.51.100.1\n"
    file.write_text(edited)
    notice = dns.restore(resolv_conf=file)
    assert notice is not None
    assert "left as it is; what was there before is in" in notice
    with pytest.raises(NetworkError, match="edited since"):
        dns.SystemDns("127.0.0.1", resolv_conf=file)
    assert file.read_text() == edited
    file.write_text("nameserver 198.51.100.1\n")
    with dns.SystemDns("127.0.0.1", resolv_conf=file):
        file.write_text("nameserver 198.51.100.2\n")
    assert "changed by somebody else" in caplog.text
    assert file.read_text() == "nameserver 198.51.100.2\n"


def test_bad_values_are_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="resolvers: no address"):
        dns.SystemDns([], resolv_conf=file)
    with pytest.raises(ConfigError, match=r"netns: .*has no name"):
        dns.SystemDns("127.0.0.1", netns="/proc/self/ns/net")
    with pytest.raises(ConfigError, match="interface: none is given"):
        dns.SystemDns("127.0.0.1", method="resolved", resolv_conf=file)
    assert file.read_text() == ORIGINAL


@pytest.mark.root
def test_a_file_that_is_a_mount_is_written_in_place(tmp_path: Path) -> None:
    """As in containers, and after ``ip netns exec``; in a mount namespace of the test's own."""
    (tmp_path / "outside").write_text(ORIGINAL)
    (tmp_path / "resolv.conf").touch()
    shell = 'mount --bind outside resolv.conf && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "sh", "-c", shell, sys.executable, IN_PLACE]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert (tmp_path / "outside").read_text() == ORIGINAL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "resolv.conf"]


@pytest.mark.root
@pytest.mark.needs("dnsmasq")
def test_programs_of_a_namespace_find_names(two_hosts: TwoHosts) -> None:
    """The whole way: ``getent`` in a namespace, by the file that ``ip netns exec`` shows it."""
    near, far, _ = two_hosts
    file = Path("/etc/netns", near.netns, "resolv.conf")
    file.parent.mkdir(parents=True)
    file.write_text(f"nameserver {far.ipv4}\n")

    def getent(name: str) -> list[str]:
        command = ["ip", "netns", "exec", near.netns, "getent", "ahostsv4", name]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return found.stdout.split()[:1]

    names = {"laptop": "100.64.0.1"}
    try:
        with (
            dnsmasq(far, str(far.ipv4)),
            dns.Resolver(names, domain="mesh.internal", netns=near.netns),
        ):
            assert getent("www.example.com") == ["198.51.100.7"]
            assert getent("laptop") == []
            with dns.SystemDns("127.0.0.1", domain="mesh.internal", netns=near.netns):
                assert getent("laptop") == ["100.64.0.1"]
                assert getent("laptop.mesh.internal") == ["100.64.0.1"]
                assert getent("www.example.com") == ["198.51.100.7"]
            assert getent("laptop") == []
            assert file.read_text() == f"nameserver {far.ipv4}\n"
        file.unlink()
        file.parent.rmdir()
        with dns.SystemDns("127.0.0.1", netns=near.netns):
            assert file.exists()
        assert not file.parent.exists(), "it was made for this alone"
    finally:
        file.unlink(missing_ok=True)
        if file.parent.exists():
            file.parent.rmdir()
