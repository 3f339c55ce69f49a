"""Two hosts with a WireGuard device each: ours, or a foreign program's, which judges ours."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from meshvpn import Peer, PresharedKey, PrivateKey, Tunnel
from tests.tunnel.pair import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn import WireGuard
    from meshvpn.lab import Host
    from tests.tunnel.pair import Version

PORT = 51820
TIMESTAMP_SECONDS = 0.05
"""An initiation must be newer than the last one, by clocks that are coarse so as not to give the
time away, and not follow it too soon: after so long, the next one is in order."""
SOCKETS = Path("/var/run/wireguard")


@dataclass(frozen=True)
class Side(Place):
    """A host, its key, and the name of its device: hosts of a lab share the sockets' directory."""

    number: int
    key: PrivateKey = field(default_factory=PrivateKey.generate)
    device: str = field(default_factory=lambda: f"wt{secrets.token_hex(3)}")

    @property
    def addresses(self) -> list[str]:
        return [f"{self.ipv4}/24", f"{self.ipv6}/64"]

    @property
    def alone(self) -> list[str]:
        return [f"{self.ipv4}/32", f"{self.ipv6}/128"]

    def endpoint(self, version: Version = 4) -> str:
        return f"{self.host.ipv4}:{PORT}" if version == 4 else f"[{self.host.ipv6}]:{PORT}"

    def wg(self, *words: str, input_text: str | None = None) -> str:
        """Runs ``wg`` on the host."""
        return self.host.run(["wg", *words], input_text=input_text).stdout

    def dump(self) -> list[list[str]]:
        """``wg show … dump``: the device's line, then one for each peer."""
        lines = self.wg("show", self.device, "dump").splitlines()
        return [line.split("\t") for line in lines]


def sides(a: Host, b: Host) -> tuple[Side, Side]:
    one, two = (
        Side(host, f"10.8.0.{number}", f"fd08::{number}", number)
        for number, host in enumerate((a, b), start=1)
    )
    return one, two


def ours(
    side: Side,
    peer: Side,
    *,
    endpoint: str | None = None,
    psk: PresharedKey | None = None,
    aead: str | None = None,
) -> WireGuard:
    """A device of ours; with an endpoint it may begin."""
    return Tunnel.wireguard(
        name=side.device,
        private_key=side.key,
        listen_port=PORT,
        peers=[
            Peer(
                public_key=peer.key.public_key,
                preshared_key=psk,
                endpoint=endpoint,
                allowed_ips=peer.alone,
            )
        ],
        address=side.addresses,
        netns=side.host.netns,
        aead=aead,
        uapi=True,
    )


def settings(
    side: Side, peer: Side, *, endpoint: str | None = None, psk: PresharedKey | None = None
) -> str:
    """The same for ``wg setconf``."""
    lines = [
        "[Interface]",
        f"PrivateKey = {side.key.to_base64()}",
        f"ListenPort = {PORT}",
        "[Peer]",
        f"PublicKey = {peer.key.public_key}",
        f"AllowedIPs = {', '.join(peer.alone)}",
    ]
    if psk is not None:
        lines.append(f"PresharedKey = {psk.to_base64()}")
    if endpoint is not None:
        lines.append(f"Endpoint = {endpoint}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def running(side: Side, *command: str, config: str = "") -> Iterator[None]:
    """A device by some program that stays in the foreground, set up by ``wg`` and ``ip``."""
    process = side.host.popen([*command, side.device], env=os.environ | {"LOG_LEVEL": "silent"})
    socket = SOCKETS / f"{side.device}.sock"
    try:
        wait_for_file(socket)
        if config:
            side.wg("setconf", side.device, "/dev/stdin", input_text=config)
        add = [f"address add {address} dev {side.device}" for address in side.addresses]
        side.host.ip(*add, f"link set {side.device} up")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)
        socket.unlink(missing_ok=True)


def foreign(
    side: Side, peer: Side, *, endpoint: str | None = None, psk: PresharedKey | None = None
) -> contextlib.AbstractContextManager[None]:
    """A device of Debian's wireguard-go."""
    config = settings(side, peer, endpoint=endpoint, psk=psk)
    return running(side, "wireguard-go", "-f", config=config)


def wait_for_file(path: Path, *, present: bool = True) -> None:
    end = time.monotonic() + 10
    while path.exists() != present:
        assert time.monotonic() < end, f"{path}: {'missing' if present else 'still there'}"
        time.sleep(0.01)
