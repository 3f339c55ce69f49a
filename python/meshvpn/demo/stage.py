"""Where it is played: two hosts of the lab, one cable, and a tunnel from one to the other.

    host a                                                         host b
    ┌──────────────────────────┐                    ┌──────────────────────────┐
    │ ping  ssh  iperf3        │                    │ sshd  iperf3 -s          │
    │ mesh0  10.9.0.1, fd09::1 │                    │ mesh0  10.9.0.2, fd09::2 │
    │ WireGuard, UDP 51820     │                    │ WireGuard, UDP 51820     │
    │ eth0   172.31.0.1 ───────┼────────────────────┼─────── 172.31.0.2   eth0 │
    └──────────────────────────┘                    └──────────────────────────┘

Both devices run in this very process, each in its host's namespace. All that a host knows of the
other beforehand is its public key.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from meshvpn.errors import LabError
from meshvpn.keys import PrivateKey
from meshvpn.lab import Lab
from meshvpn.tunnel import Tunnel
from meshvpn.wireguard import Peer

if TYPE_CHECKING:
    from types import TracebackType

    from meshvpn.lab import Host
    from meshvpn.wireguard import WireGuard

__all__ = ["DEVICE", "PORT", "UNDERLAY", "End", "Stage"]

DEVICE: Final = "mesh0"
"""The tunnel's device on both hosts."""

UNDERLAY: Final = "eth0"
"""The cable's."""

PORT: Final = 51820
"""WireGuard's usual UDP port, on both hosts."""

_KEEPALIVE_S: Final = 25
"""Makes the handshake begin at once, without a packet that asks for it."""


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
        self._key = PrivateKey.generate()
        self._tunnel: WireGuard | None = None

    @property
    def tunnel(self) -> WireGuard:
        """The tunnel.

        Raises:
            LabError: the scene that starts it was left out.
        """
        if self._tunnel is None:
            raise LabError("the tunnel has not been started yet")
        return self._tunnel

    def start_tunnel(self, peer: End) -> WireGuard:
        """Start it."""
        self._tunnel = Tunnel.wireguard(
            name=DEVICE,
            private_key=self._key,
            listen_port=PORT,
            peers=[
                Peer(
                    public_key=peer._key.public_key,
                    endpoint=(peer.outer, PORT),
                    allowed_ips=[peer.inner, peer.inner6],
                    persistent_keepalive=_KEEPALIVE_S,
                )
            ],
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
        """Start both ends; the one that starts last begins the handshake that both hear."""
        for end, peer in ((self.b, self.a), (self.a, self.b)):
            self.props.enter_context(end.start_tunnel(peer))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.props.close()
