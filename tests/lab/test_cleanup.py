"""Nothing of a lab stays behind, however its process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from meshvpn.lab import Lab, list_labs, reap
from tests.lab.processes import becomes_true, runs

pytestmark = pytest.mark.root

# Builds a lab in which something runs, says so, and then does what its argument says.
OWNER = """
import os, signal, sys, time
import meshvpn.lab.lab
from meshvpn.lab import Lab

if "no-janitor" in sys.argv:
    meshvpn.lab.lab.start_janitor = lambda: None
lab = Lab()
a, b = lab.host("a"), lab.host("b")
lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24")
sleeper = a.popen(["sleep", "1000"])
print(sleeper.pid, flush=True)
sys.stdin.readline()
"""


def start_owner(*options: str) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert owner.stdout
    return owner, int(owner.stdout.readline())


def end_owner(owner: subprocess.Popen[str], how: signal.Signals | None) -> None:
    if how is not None:
        owner.send_signal(how)
    owner.communicate("\n" if how is None else None, timeout=10)


def remains(owner: int, sleeper: int) -> list[str]:
    found = [name for lab in list_labs() if lab.process == owner for name in lab.namespaces]
    return [*found, "sleep"] if runs(sleeper) else found


def test_closing_removes_everything() -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24")
        paths = [a.path, b.path]
        assert all(path.exists() for path in paths)
    lab.close()
    assert not any(path.exists() for path in paths)


def test_an_exception_removes_everything() -> None:
    lab = Lab()
    path = lab.host("a").path
    with pytest.raises(ZeroDivisionError), lab:
        _ = 1 / 0
    assert not path.exists()


@pytest.mark.parametrize(
    "how", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=str
)
def test_nothing_stays_when_the_owner_ends(how: signal.Signals | None) -> None:
    owner, sleeper = start_owner()
    assert len(remains(owner.pid, sleeper)) == 3
    end_owner(owner, how)
    assert becomes_true(lambda: not remains(owner.pid, sleeper))


def test_the_next_lab_removes_what_a_killed_one_left() -> None:
    owner, sleeper = start_owner("no-janitor")
    end_owner(owner, signal.SIGKILL)
    assert len(remains(owner.pid, sleeper)) == 3, "nobody but the next lab may clean up here"
    with Lab():
        assert becomes_true(lambda: not remains(owner.pid, sleeper))


def test_reaping_tells_what_it_removed() -> None:
    owner, _ = start_owner("no-janitor")
    end_owner(owner, signal.SIGKILL)
    (record,) = (record for record in reap() if record.process == owner.pid)
    assert not record.alive
    assert [name.rpartition("-")[2] for name in record.namespaces] == ["a", "b"]


def test_the_lab_of_a_living_process_is_left_alone() -> None:
    owner, sleeper = start_owner()
    with Lab():
        reap()
        assert len(remains(owner.pid, sleeper)) == 3
    end_owner(owner, None)


def test_a_forked_child_does_not_take_the_lab_down(lab: Lab) -> None:
    host = lab.host("a")
    child = os.fork()
    if child == 0:
        lab.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert host.path.exists()
    assert host.run(["true"]).returncode == 0


def test_labs_side_by_side_do_not_meet() -> None:
    with Lab() as one, Lab() as two:
        assert one.host("a").netns != two.host("a").netns
        numbers = [lab.number for lab in list_labs() if lab.process == os.getpid()]
        assert len(numbers) == len(set(numbers)) >= 2
