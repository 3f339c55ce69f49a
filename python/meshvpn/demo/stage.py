"""Where it is played: two hosts of the lab, one cable, and a tunnel from one to the other.

    host a                                                         host b
    ┌──────────────────────────┐                    ┌──────────────────────────┐
    │ ping  ssh  iperf3        │                    │ sshd  iperf3 -s          │
    │ mesh0  10.9.0.1, fd09::1 │                    │ mesh0  10.9.0.2, fd09::2 │
    │ tunnel, UDP port 7000    │                    │ tunnel, UDP port 7000    │
    │ eth0   172.31.0.1 ───────┼────────────────────┼─────── 172.31.0.2   eth0 │
    └──────────────────────────┘                    └──────────────────────────┘

Both tunnels run in this very process, each in its host's namespace.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from meshvpn.errors import LabError
from meshvpn.keys import PresharedKey
from meshvpn.lab import Lab
from meshvpn.tunnel import Tunnel

if TYPE_CHECKING:
    from types import TracebackType

    from meshvpn.lab import Host

__all__ = ["CLEAR", "DEVICE", "PORT", "UNDERLAY", "End", "Stage"]

DEVICE: Final = "mesh0"
"""The tunnel's device on both hosts."""

UNDERLAY: Final = "eth0"
"""The cable's."""

PORT: Final = 7000

CLEAR: Final = 16
"""Bytes of a datagram that are not encrypted: message type, receiver's index, counter."""


class End:
    """One end of the tunnel.

    Attributes:
        host: the host that it is on.
        outer: the host's address on the cable.
        inner: its address in the tunnel.
        inner6: its IPv6 address there.
    """

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.outer = f"172.31.0.{number}"
        self.inner = f"10.9.0.{number}"
        self.inner6 = f"fd09::{number}"
        self._tunnel: Tunnel | None = None

    @property
    def tunnel(self) -> Tunnel:
        """The tunnel.

        Raises:
            LabError: the scene that starts it was left out.
        """
        if self._tunnel is None:
            raise LabError("the tunnel has not been started yet")
        return self._tunnel

    def start_tunnel(self, peer: End, key: PresharedKey) -> Tunnel:
        """Start it."""
        self._tunnel = Tunnel.preshared(
            DEVICE,
            local=(self.outer, PORT),
            remote=(peer.outer, PORT),
            key=key,
            address=[f"{self.inner}/24", f"{self.inner6}/64"],
            netns=self.host.netns,
        )
        return self._tunnel


class Stage:
    """Everything that is built, and its end; a context manager.

    Attributes:
        a: the end that calls.
        b: the end that answers.
        folder: a directory for the files of this performance.
        props: what scenes open for the whole play, closed in the reverse order.
    """

    def __init__(self) -> None:
        self.props = ExitStack()
        self.folder = Path(
            self.props.enter_context(tempfile.TemporaryDirectory(prefix="meshvpn-demo-"))
        )
        self._lab = self.props.enter_context(Lab())
        self.a = End(self._lab.host("a"), 1)
        self.b = End(self._lab.host("b"), 2)

    @property
    def ends(self) -> tuple[End, End]:
        """Both ends."""
        return self.a, self.b

    def connect_cable(self) -> None:
        """Join the hosts."""
        addresses = (f"{end.outer}/24" for end in self.ends)
        self._lab.link(self.a.host, self.b.host, *addresses, devices=(UNDERLAY, UNDERLAY))

    def start_tunnels(self) -> None:
        """Start both ends with a fresh key."""
        key = PresharedKey.generate()
        for end, peer in ((self.a, self.b), (self.b, self.a)):
            self.props.enter_context(end.start_tunnel(peer, key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.props.close()
