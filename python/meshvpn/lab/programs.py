"""Running programs: ``ip``, ``nft`` and ``tc``, with which the lab is built, and ending others.

Why programs and not a netlink library: measured for a lab of two hosts and one link, ``ip -batch``
takes 20 to 30 ms where pyroute2 0.9 takes 70 to 100 ms plus 200 to 300 ms for its import; the
commands in an error message can be pasted into a shell; and the package keeps working without any
third-party dependency. nftables has no maintained Python encoder for its rule language anyway.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from meshvpn.errors import LabError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["find_program", "run_program", "stop_processes"]

# Debian and Ubuntu keep these out of an ordinary user's PATH.
_SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"

# Program -> Debian package, where the two names differ.
_PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "ping": "iputils-ping",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "tc": "iproute2",
    "turnserver": "coturn",
    "turnutils_natdiscovery": "coturn",
    "upnpc": "miniupnpc",
    "wg": "wireguard-tools",
    "wg-quick": "wireguard-tools",
}

# Program -> crate, where none of their packages has it.
_CRATES = {"boringtun-cli": "boringtun-cli", "gotatun": "gotatun-cli"}

# Building takes milliseconds; a program that waits for input must not hang a test run.
_TIMEOUT_SECONDS = 30.0

# How long a program may take to say goodbye (a tunnel sends its last packets) before it is killed.
_GRACE_SECONDS = 1.0


def find_program(name: str) -> str:
    """The path of a program, looked for in ``PATH`` and the system directories.

    Raises:
        MissingProgramError: it is not installed; the hint names the package.
    """
    if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_DIRECTORIES}"):
        return found
    if crate := _CRATES.get(name):
        hint = f"cargo install {crate}"
    else:
        package = _PACKAGES.get(name, name)
        hint = f"apt install {package} (or the package of that name on this system)"
    raise MissingProgramError(f"the program {name!r} is not installed", hint=hint)


def run_program(arguments: Sequence[str], *, text: str = "", tolerate_failure: bool = False) -> str:
    """Runs a program to its end with ``text`` as its input and returns what it printed.

    Raises:
        MissingProgramError: it is not installed.
        LabError: it failed (unless tolerated); the message holds the command, its input and its
            complaint.
    """
    try:
        done = subprocess.run(
            [find_program(arguments[0]), *arguments[1:]],
            input=text,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as timeout:
        command = " ".join(arguments)
        raise LabError(f"{command!r} did not end within {_TIMEOUT_SECONDS:.0f} s") from timeout
    if done.returncode != 0 and not tolerate_failure:
        raise LabError(_complaint(arguments, text, done.stderr))
    return done.stdout


def stop_processes(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ends programs and their process groups: first politely, after a second by force."""
    running = [process for process in processes if process.poll() is None]
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for process in running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sent)
        end = time.monotonic() + _GRACE_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
        running = [process for process in running if process.poll() is None]
    for process in processes:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _complaint(arguments: Sequence[str], text: str, complaint: str) -> str:
    given = f"\ngiven:\n{text.strip()}" if text else ""
    return f"{' '.join(arguments)!r} failed: {complaint.strip()}{given}"
