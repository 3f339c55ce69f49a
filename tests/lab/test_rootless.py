"""The lab works for a user without any rights, inside a user namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshvpn.lab.ownership import NETNS_DIRECTORY
from tests.lab.processes import becomes_true, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.root, pytest.mark.needs("nft", "ping")]

NOBODY = 65534

# The interpreter may lie where only root can read, so everything is imported before the rights go.
# Giving them up makes a process undumpable, which a user's own program never is: it could not write
# its own uid_map any more.
UNPRIVILEGED = f"""
import ctypes, os, socket, sys, threading
from meshvpn.errors import LabError, PermissionDeniedError
from meshvpn.lab import Lab, Nat

os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
PR_SET_DUMPABLE = 4
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
"""

PINGS = """
with Lab() as lab:
    home = lab.home("alice", nat=Nat.FULL_CONE)
    server = lab.server("server")
    home.host.run(["ping", "-c", "1", server.ipv4])
    with server.socket(bind=(server.ipv4, 7000)) as there, home.host.socket() as here:
        here.sendto(b"hello", there.getsockname())
        there.settimeout(2)
        assert there.recvfrom(100)[1][0] == home.public_address
    home.wan.set_loss(1)
    assert home.host.run(["ping", "-c", "1", "-W", "1", server.ipv4], check=False).returncode == 1
    print("names:", *sorted(os.listdir("/run/netns")))
print("left:", *os.listdir("/run/netns"))
"""

THREADS = """
threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    Lab()
except LabError as refusal:
    print(refusal)
"""

# The switch can be thrown without harm in a user namespace of its own, which has a copy of it.
REFUSED = """
from pathlib import Path
import meshvpn.lab.rootless

meshvpn.lab.enter_user_namespace()
Path("/proc/sys/user/max_user_namespaces").write_text("0")
meshvpn.lab.rootless.has_privileges = lambda: False
try:
    Lab()
except PermissionDeniedError as refusal:
    print(refusal)
"""


KILLED = """
import signal
lab = Lab()
print(lab.host("a").popen(["sleep", "1000"]).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

# Before any lab of root's, a machine has no /run/netns that something could be mounted on.
FRESH_RUN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]


def run_unprivileged(script: str, *, wrapper: Sequence[str] = (), status: int = 0) -> str:
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", UNPRIVILEGED + script],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.mark.parametrize("wrapper", [(), FRESH_RUN], ids=["run-netns", "no-run-netns"])
def test_a_user_builds_a_lab(wrapper: Sequence[str]) -> None:
    NETNS_DIRECTORY.mkdir(exist_ok=True)
    printed = run_unprivileged(PINGS, wrapper=wrapper)
    names, left = printed.splitlines()
    assert [name.rpartition("-")[2] for name in names.split()[1:]] == [
        "alice",
        "router",
        "public",
        "server",
    ]
    assert left == "left:"
    shown = {name.name for name in NETNS_DIRECTORY.iterdir()}
    assert not shown & set(names.split()), "the lab showed outside of its user namespace"


def test_nothing_runs_on_when_the_user_program_is_killed() -> None:
    sleeper = int(run_unprivileged(KILLED, status=-signal.SIGKILL))
    assert becomes_true(lambda: not runs(sleeper))


def test_a_process_with_threads_is_told_what_to_do() -> None:
    printed = run_unprivileged(THREADS)
    assert "this process has 2 threads" in printed
    assert "hint: call meshvpn.lab.enter_user_namespace()" in printed


def test_a_refusal_names_the_switch() -> None:
    printed = run_unprivileged(REFUSED)
    assert "the system refused: [Errno 28]" in printed
    assert "sudo sysctl -w user.max_user_namespaces=15000" in printed
