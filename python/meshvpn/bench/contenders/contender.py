"""What every contender has in common: two daemons, one tunnel, and how much both cost.

A :class:`DaemonPair` says how its configuration is written, how one of its daemons is started, and
what is to be done after that; :meth:`DaemonPair.running` does the rest the same way for all: fresh
daemons, ready when a ping goes through, ended in the end.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from meshvpn.bench.processes import Daemon, Program
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshvpn.bench.topology import Crowd, End, Wire

__all__ = ["Contender", "DaemonPair", "Link", "Side"]

_READY_TIMEOUT_S: Final = 20
"""A tunnel without an answer to ping by then counts as failed; the slowest needs three seconds."""

_RETRY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Link:
    """A tunnel that works, as workloads see it: two hosts, two addresses, and the daemons between.

    Attributes:
        near: the host where clients run.
        far: the host where servers run.
        target: address of ``far`` through the tunnel.
        crowd: others, who can call ``far``.
        daemons: what carries the traffic, at ``near`` and at ``far``; empty for the bare wire.
        mtu: of the tunnel device in bytes.
        public_key: of the WireGuard device at ``far``, in base64; empty where there is none.
    """

    near: End
    far: End
    target: str
    crowd: Crowd
    daemons: tuple[Daemon, ...] = ()
    mtu: int | None = None
    public_key: str = ""

    def cpu_seconds(self) -> float:
        """CPU time of all daemons so far."""
        return sum(daemon.cpu_seconds() for daemon in self.daemons)

    def peak_rss_mb(self) -> float | None:
        """Peak memory of the larger daemon in megabytes; ``None`` without daemons."""
        return max((daemon.peak_rss_mb() for daemon in self.daemons), default=None)


@dataclass(frozen=True, slots=True)
class Side:
    """One host as a contender sets it up: itself, its peer, and a folder that both share."""

    end: End
    peer: End
    folder: Path

    def file(self, kind: str) -> Path:
        """This host's own file of a kind: ``a.key``."""
        return self.folder / f"{self.end.letter}.{kind}"

    def peer_file(self, kind: str) -> Path:
        """The peer's."""
        return self.folder / f"{self.peer.letter}.{kind}"


@dataclass(frozen=True, kw_only=True)
class Contender(ABC):
    """One way to join the two hosts.

    Attributes:
        name: unique name in tables and files.
        family: name that several variants share (``nebula`` for all of Nebula's).
    """

    name: str
    family: str

    @abstractmethod
    def running(self, wire: Wire, folder: Path) -> AbstractContextManager[Link]:
        """The link, for as long as the block runs; ``folder`` is empty and its own."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """What has to be installed."""
        return ()

    def check_available(self) -> None:
        """Do nothing if it can run here.

        Raises:
            MissingProgramError: something it needs is not installed.
        """
        for program in self.programs:
            program.find()

    def version(self) -> str:
        """Version of the daemon; empty where there is none."""
        return ""

    @property
    def is_wireguard(self) -> bool:
        """Whether it shakes hands as WireGuard does, and ``wg`` can add peers."""
        return False


@dataclass(frozen=True, kw_only=True)
class DaemonPair(Contender):
    """A tunnel between two daemons of one program.

    Attributes:
        program: the daemon.
        tools: further programs that setting it up takes.
    """

    program: Program
    tools: tuple[Program, ...] = ()

    @abstractmethod
    def command(self, side: Side) -> tuple[str, ...]:
        """The daemon's command line on one host; it stays in the foreground."""

    def prepare(self, sides: tuple[Side, Side]) -> None:
        """Write keys and configuration of both hosts."""

    def is_up(self, side: Side) -> bool:
        """Whether the daemon can be configured: its device is there."""
        return side.end.mtu() is not None

    def configure(self, side: Side) -> None:
        """Set up one host after its daemon has started."""

    def public_key(self, side: Side) -> str:  # noqa: ARG002 (for those that have one)
        """Of one host's WireGuard device, in base64."""
        return ""

    def verify(self, daemon: Daemon) -> None:
        """Make sure that the tunnel is the one that was asked for.

        Raises:
            LabError: it is another.
        """

    def clean(self, side: Side) -> None:
        """Remove what the daemon may leave outside its namespace."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The daemon and the tools."""
        return (self.program, *self.tools)

    def version(self) -> str:
        """What the daemon says about itself."""
        return self.program.version()

    def variant(self, label: str, path: Path) -> Self:
        """The same set-up with the daemon at ``path``; the label "" keeps the name."""
        program = replace(self.program, command=(str(path),))
        return replace(self, name=f"{self.name}@{label}" if label else self.name, program=program)

    @contextmanager
    def running(self, wire: Wire, folder: Path) -> Iterator[Link]:
        """Start both daemons and wait until the tunnel answers a ping."""
        sides = (Side(wire.a, wire.b, folder), Side(wire.b, wire.a, folder))
        self.prepare(sides)
        with ExitStack() as stack:
            daemons = []
            for side in sides:
                stack.callback(self.clean, side)
                daemon = Daemon(side.end.host, self.command(side), side.file("log"))
                daemons.append(stack.enter_context(daemon))
            for side, daemon in zip(sides, daemons, strict=True):
                self._configure_when_up(side, daemon)
            _wait_for_answer(wire, daemons)
            for daemon in daemons:
                self.verify(daemon)
            yield Link(
                *(wire.a, wire.b, wire.b.inner, wire.crowd, tuple(daemons)),
                mtu=wire.a.mtu(),
                public_key=self.public_key(sides[1]),
            )

    def _configure_when_up(self, side: Side, daemon: Daemon) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self.is_up(side):
            daemon.check_alive()
            if time.monotonic() > deadline:
                raise LabError(f"no device within {_READY_TIMEOUT_S} s:\n{daemon.tail()}")
            time.sleep(_RETRY_S)
        self.configure(side)


def _wait_for_answer(wire: Wire, daemons: list[Daemon]) -> None:
    """Ping through the tunnel until it answers."""
    deadline = time.monotonic() + _READY_TIMEOUT_S
    ping = ("ping", "-n", "-c", "1", "-W", "1", wire.b.inner)
    while wire.a.host.run(ping, check=False).returncode != 0:
        for daemon in daemons:
            daemon.check_alive()
        if time.monotonic() > deadline:
            logs = "\n".join(daemon.tail() for daemon in daemons)
            raise LabError(f"no answer through the tunnel in {_READY_TIMEOUT_S} s:\n{logs}")
        time.sleep(_RETRY_S)
