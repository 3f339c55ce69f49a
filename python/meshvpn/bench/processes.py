"""Foreign programs: finding them, running them, and reading what they cost.

CPU time and memory come from /proc (proc(5)), so they cover every thread of a daemon and nothing of
the kernel's work on behalf of others: the same yardstick for a Go program, a C program and ours.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from meshvpn.errors import LabError, MissingProgramError
from meshvpn.lab.programs import find_program, stop_processes

if TYPE_CHECKING:
    from types import TracebackType

    from meshvpn.lab import Host

__all__ = ["Daemon", "Program"]

_VERSION_TIMEOUT_S: Final = 20
"""No program takes a second to say its version; one that hangs must not hang the benchmark."""

_LOG_TAIL_LINES: Final = 8
"""Lines of a daemon's log shown when it fails: enough for a cause, short enough to read."""

_VERSION: Final = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a contender runs.

    Attributes:
        command: name looked up in PATH (or a path), followed by fixed arguments.
        package: package that ships it.
        version_arguments: what makes it print its version.
        installer: what installs that package.
    """

    command: tuple[str, ...]
    package: str
    version_arguments: tuple[str, ...] = ("--version",)
    installer: str = "apt-get"

    def find(self) -> tuple[str, ...]:
        """The command with its path resolved.

        Raises:
            MissingProgramError: it is not installed; the hint names the package.
        """
        try:
            return (find_program(self.command[0]), *self.command[1:])
        except MissingProgramError as missing:
            hint = f"{self.installer} install {self.package}"
            raise MissingProgramError(missing.message, hint=hint) from None

    def version(self) -> str:
        """First version number that the program prints about itself, or "unknown"."""
        try:
            shown = subprocess.run(
                (*self.find(), *self.version_arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_VERSION_TIMEOUT_S,
                check=False,  # openvpn --version exits with 1
            )
        except subprocess.TimeoutExpired:
            return "unknown"
        match = _VERSION.search(shown.stdout.decode(errors="replace"))
        return match.group() if match else "unknown"


class Daemon:
    """A program running on a host of the lab, with its log; a context manager that ends it.

    Args:
        host: where it runs.
        command: program and arguments.
        log: file for everything it prints.
    """

    def __init__(self, host: Host, command: tuple[str, ...], log: Path) -> None:
        self._host = host
        self._command = command
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = self._host.popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stop_processes([self._started()])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    def check_alive(self) -> None:
        """Does nothing while the program runs.

        Raises:
            LabError: it has ended; the message holds its last words.
        """
        status = self._started().poll()
        if status is not None:
            raise LabError(f"{self._spelled} ended with status {status}: {self.tail()}")

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        # The name in the second field may hold spaces and parentheses; what follows it does not.
        fields = self._proc("stat").rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def peak_rss_mb(self) -> float:
        """Largest resident size so far in megabytes (10⁶ bytes)."""
        match = re.search(r"^VmHWM:\s+(\d+) kB", self._proc("status"), re.MULTILINE)
        if match is None:  # a zombie has no memory any more
            self.check_alive()
            raise LabError(f"process {self.pid} shows no memory")
        return int(match.group(1)) * 1024 / 1e6

    def log_text(self) -> str:
        """Everything that the program has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def tail(self) -> str:
        """The last lines that the program printed."""
        return "\n".join(self.log_text().splitlines()[-_LOG_TAIL_LINES:])

    @property
    def _spelled(self) -> str:
        return f"`{' '.join(self._command)}`"

    def _proc(self, name: str) -> str:
        try:
            return Path(f"/proc/{self.pid}/{name}").read_text(encoding="utf-8")
        except OSError as error:
            self.check_alive()
            raise LabError(f"cannot read /proc/{self.pid}/{name}: {error}") from error

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise LabError(f"{self._spelled} was not started")
        return self._process
