"""Who owns a namespace, and how nothing stays behind when its owner dies.

A namespace is called ``mv-<process id>-<start time>-<lab>-<host>``, for example
``mv-4711-2k9x1-1-alice``. A process id alone comes back; together with the start time (in clock
ticks since boot, base 36) it names one process for ever. So the name itself says whether the owner
still lives, and three nets catch what is left:

1. the lab's ``close()``, by ``with``, a fixture's end or ``atexit``;
2. the *janitor*: a shell started with the first lab of a process, which waits for the end of a pipe
   that only this process holds open. However the process ends, ``SIGKILL`` included, the kernel
   closes the pipe and the janitor removes what that process owned;
3. every new lab first removes the namespaces of dead owners, should the janitor have died too.

Programs still running inside such a namespace are killed: they can only be the dead owner's.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshvpn.lab.programs import find_program, run_program

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NETNS_DIRECTORY",
    "LabRecord",
    "list_labs",
    "namespace_prefix",
    "reap",
    "remove_namespaces",
    "start_janitor",
]

# Where iproute2 keeps named namespaces (NETNS_RUN_DIR).
NETNS_DIRECTORY = Path("/var/run/netns")

_NAME = re.compile(r"mv-(?P<pid>[0-9]+)-(?P<start>[0-9a-z]+)-(?P<lab>[0-9]+)-(?P<host>.+)")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

# Reads until the owner's end of the pipe is closed. Hang-ups and Ctrl-C are meant for the owner.
_JANITOR = """
trap '' HUP INT TERM
read -r _
cd {directory} || exit 0
for name in {prefix}*; do
  [ -e "$name" ] || continue
  pids=$({ip} netns pids "$name") && [ -n "$pids" ] && kill -9 $pids
  {ip} netns del "$name"
done
"""


@dataclass(frozen=True, slots=True)
class LabRecord:
    """A lab as its namespaces tell of it, whichever process built it.

    Attributes:
        process: id of the owning process.
        number: counts the labs of that process from 1.
        alive: whether the owner still runs.
        namespaces: names as in ``ip netns list``, sorted.
    """

    process: int
    number: int
    alive: bool
    namespaces: tuple[str, ...]


def list_labs() -> list[LabRecord]:
    """Every lab on this machine, also those of other processes and of dead ones."""
    found: dict[tuple[int, str, int], list[str]] = {}
    files = NETNS_DIRECTORY.iterdir() if NETNS_DIRECTORY.is_dir() else ()
    for name in sorted(file.name for file in files):
        if match := _NAME.fullmatch(name):
            owner = int(match["pid"]), match["start"], int(match["lab"])
            found.setdefault(owner, []).append(name)
    return [
        LabRecord(pid, lab, _start_time(pid) == start, tuple(namespaces))
        for (pid, start, lab), namespaces in sorted(found.items())
    ]


def reap() -> list[LabRecord]:
    """Removes the labs of dead processes and returns them."""
    dead = [record for record in list_labs() if not record.alive]
    remove_namespaces(name for record in dead for name in record.namespaces)
    return dead


def remove_namespaces(names: Iterable[str]) -> None:
    """Kills what runs inside the namespaces and removes them; those already gone do not matter."""
    doomed = list(names)
    if not doomed:
        return
    for pid in _processes_inside(doomed):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    commands = "\n".join(f"netns del {name}" for name in doomed)
    run_program(["ip", "-force", "-batch", "-"], text=commands, tolerate_failure=True)


def namespace_prefix(lab: int | None = None) -> str:
    """What the names of this process's namespaces begin with, of one lab or of all."""
    own = f"mv-{os.getpid()}-{_start_time(os.getpid())}-"
    return own if lab is None else f"{own}{lab}-"


def start_janitor() -> None:
    """Starts this process's janitor, unless it runs already (see the module's story)."""
    _start_janitor_of(os.getpid())


@functools.cache
def _start_janitor_of(_process: int) -> int:
    """Returns the writing end of the pipe, held by the cache as long as the process lives.

    Keyed by process, since a forked child that builds labs needs a janitor of its own. Not a
    ``subprocess.Popen``: that warns when the interpreter ends before its child, as it must here.
    """
    ends = os.pipe()
    # Not among the standard streams, should this process have closed its own: the janitor would
    # take whatever is printed there for the end of its owner.
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    for end in ends:
        os.close(end)
    script = _JANITOR.format(
        directory=NETNS_DIRECTORY, prefix=namespace_prefix(), ip=find_program("ip")
    )
    quiet = [(os.POSIX_SPAWN_OPEN, stream, "/dev/null", os.O_WRONLY, 0) for stream in (1, 2)]
    os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", script],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *quiet],
        setpgroup=0,
    )
    os.close(reading)
    return writing


def _processes_inside(names: Iterable[str]) -> list[int]:
    """The other processes whose main thread is in one of the namespaces."""
    doomed = {identity for name in names if (identity := _identity(NETNS_DIRECTORY / name))}
    processes = [file for file in Path("/proc").iterdir() if file.name.isdecimal()]
    inside = [int(file.name) for file in processes if _identity(file / "ns/net") in doomed]
    return [pid for pid in inside if pid != os.getpid()]


def _identity(namespace: Path) -> tuple[int, int] | None:
    """What tells a namespace from every other, whatever file refers to it."""
    try:
        status = namespace.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _start_time(pid: int) -> str | None:
    """When a process started, in base 36, or ``None`` if it does not live (any more)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # proc(5), counted after the program's name, which may hold blanks and brackets.
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else _base36(int(fields[18]))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
