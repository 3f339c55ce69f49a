"""Programs and sockets live in the host that they are given, and errors say what to do."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshvpn.errors import ConfigError, LabError, MissingProgramError
from meshvpn.lab import Lab, Nat
from tests.lab.processes import becomes_true, runs

if TYPE_CHECKING:
    from meshvpn.pytest_plugin import TwoHosts

pytestmark = pytest.mark.root


def namespace_of_this_thread() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


def test_entering_moves_only_the_calling_thread(lab: Lab) -> None:
    host = lab.host("a")
    before = namespace_of_this_thread()
    elsewhere: list[str] = []
    with host.enter():
        inside = namespace_of_this_thread()
        thread = threading.Thread(target=lambda: elsewhere.append(namespace_of_this_thread()))
        thread.start()
        thread.join()
    assert inside != before
    # A new thread starts where its parent is; the main thread of the process is back home.
    assert elsewhere == [inside]
    assert namespace_of_this_thread() == before


def test_an_error_inside_still_leads_home(lab: Lab) -> None:
    host = lab.host("a")
    before = namespace_of_this_thread()
    with pytest.raises(ZeroDivisionError), host.enter():
        _ = 1 / 0
    assert namespace_of_this_thread() == before


def test_sockets_stay_in_their_host(two_hosts: TwoHosts) -> None:
    a, b, _ = two_hosts
    with a.socket(bind=("0.0.0.0", 7000)) as here, b.socket(bind=("0.0.0.0", 7000)) as there:
        here.sendto(b"hello", (b.ipv4, 7000))
        there.settimeout(2)
        assert there.recvfrom(100) == (b"hello", (a.ipv4, 7000))


def test_programs_run_in_their_host(two_hosts: TwoHosts) -> None:
    assert two_hosts.b.ipv4 in two_hosts.b.run(["ip", "-4", "address"]).stdout
    assert two_hosts.a.run(["cat"], input_text="over to you").stdout == "over to you"


def test_a_failing_program_tells_what_it_printed(lab: Lab) -> None:
    host = lab.host("a")
    with pytest.raises(LabError, match=r"ended with 3:\nout\nerr"):
        host.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert host.run(["false"], check=False).returncode == 1
    with pytest.raises(LabError, match=r"took over 0\.2 s"):
        host.run(["sleep", "60"], timeout=0.2)


def test_a_missing_program_names_its_package(lab: Lab) -> None:
    host = lab.host("a")
    with pytest.raises(MissingProgramError) as missing:
        host.run(["no-such-program"])
    assert "apt install no-such-program" in str(missing.value)
    assert isinstance(missing.value, FileNotFoundError)


def test_programs_end_with_the_lab_children_and_stubborn_ones_too() -> None:
    with Lab() as lab:
        host = lab.host("a")
        family = host.popen(["sh", "-c", "sleep 1000 & sleep 1000 & echo $!; wait"])
        stubborn = host.popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
        assert family.stdout
        assert stubborn.stdout
        child = int(family.stdout.readline())
        assert stubborn.stdout.readline() == "ready\n"
        escaped = host.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])
    assert family.returncode == -signal.SIGTERM
    assert stubborn.returncode == -signal.SIGKILL
    assert becomes_true(lambda: not runs(child))
    assert becomes_true(lambda: not runs(int(escaped.stdout)))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_waiting_for_a_server(lab: Lab, kind: int) -> None:
    host = lab.host("a")
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    with pytest.raises(LabError, match=f"nothing listens on {protocol} port 7000"):
        host.wait_listening(7000, protocol=protocol, timeout=0.1)
    with host.socket(kind=kind, bind=("127.0.0.1", 7000)) as server:
        if kind == socket.SOCK_STREAM:
            server.listen()
        host.wait_listening(7000, protocol=protocol, timeout=1)


@pytest.mark.parametrize("name", ["", "Alice", "a/b", "..", "a b", "-a", "x" * 33])
def test_names_that_could_do_harm_are_refused(lab: Lab, name: str) -> None:
    with pytest.raises(ConfigError, match="not a host name"):
        lab.host(name)


def test_mistakes_are_named(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    with pytest.raises(ConfigError, match="already has a host 'a'"):
        lab.host("a")
    with pytest.raises(ConfigError, match="lacks its prefix length"):
        lab.link(a, b, "10.0.0.1")
    with pytest.raises(ConfigError, match="not an address"):
        lab.link(a, b, "10.0.0.300/24")
    with pytest.raises(ConfigError, match="brings its own carrier"):
        lab.home("c", nat=Nat.CGNAT, upstream=lab.public)
    with pytest.raises(LabError, match="no IPv4 address"):
        _ = a.ipv4
    with pytest.raises(LabError, match="cannot set net/ipv4/nothing"):
        a.sysctl({"net/ipv4/nothing": "1"})
    with pytest.raises(LabError, match="syntax error"):
        a.nft("not a ruleset")
    lab.close()
    with pytest.raises(LabError, match="closed"):
        lab.host("c")
    with pytest.raises(LabError, match="host 'a' is gone"):
        a.run(["true"])


def test_two_hosts_are_built_quickly() -> None:
    """A test suite builds hundreds of labs. The best of five, since other programs run as well."""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        with Lab() as lab:
            lab.link(lab.host("a"), lab.host("b"), "172.31.0.1/24", "172.31.0.2/24")
            took.append(time.perf_counter() - start)
    assert min(took) < 0.15
