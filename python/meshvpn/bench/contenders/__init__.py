"""Who takes part: the registry of contenders, and how ``--only`` and ``--peer`` change it.

To add a rival, write a :class:`Contender` (or add a row of an existing class) and list it here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshvpn.bench.contenders.contender import Contender, DaemonPair, Link
from meshvpn.bench.contenders.nebula import BIG_BUFFER, Nebula
from meshvpn.bench.contenders.openvpn import OpenVpn
from meshvpn.bench.contenders.ours import (
    BareWire,
    OwnWireGuard,
    PlainTunnel,
    PresharedTunnel,
    own_program,
)
from meshvpn.bench.contenders.wireguard import FOREIGN_WIREGUARDS
from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OURS", "Contender", "Link", "all_contenders", "choose"]

OURS: Final = frozenset({"plain", "preshared", "wireguard"})
"""Families that are this project's own."""


def all_contenders() -> tuple[Contender, ...]:
    """Everybody, in the order of the tables: the bare wire, ours, then the rivals."""
    own = own_program()
    return (
        BareWire(),
        PlainTunnel(program=own),
        PresharedTunnel(name="preshared-aws-lc", backend="aws-lc", program=own),
        PresharedTunnel(name="preshared-ipsec-mb", backend="ipsec-mb", program=own),
        OwnWireGuard(name="wireguard-aws-lc", backend="aws-lc", program=own_program("wg")),
        OwnWireGuard(name="wireguard-ipsec-mb", backend="ipsec-mb", program=own_program("wg")),
        OpenVpn(),
        *FOREIGN_WIREGUARDS,
        Nebula(),
        Nebula(name="nebula-big", buffer=BIG_BUFFER),
    )


def choose(only: Sequence[str] = (), peers: Sequence[str] = ()) -> tuple[Contender, ...]:
    """The contenders of a run.

    ``only`` keeps those of the given names or families; none given keeps all. ``peers`` are texts
    ``NAME=PATH``, which puts another build in the place of a contender or of a whole family, or
    ``NAME@LABEL=PATH``, which adds that build beside the one that is there, as ``NAME@LABEL``.

    Raises :class:`ConfigError` for a name that nobody has, or a path that is no file.
    """
    contenders = all_contenders()
    for peer in peers:
        contenders = _with_peer(contenders, peer)
    for name in only:
        _matching(contenders, name)
    return tuple(contender for contender in contenders if not only or _named(contender, set(only)))


def _with_peer(contenders: tuple[Contender, ...], peer: str) -> tuple[Contender, ...]:
    """Replace or add what one ``--peer`` asks for."""
    target, equals, path = peer.partition("=")
    name, _, label = target.partition("@")
    if not equals or not name or not path:
        raise ConfigError(
            f"--peer {peer!r} is not NAME=PATH",
            hint="for example wireguard-go=/opt/wg/wireguard-go",
        )
    build = Path(path).resolve()
    if not build.is_file():
        raise ConfigError(f"--peer {peer!r}: there is no file {build}")
    chosen = _matching(contenders, name)
    result: list[Contender] = []
    for contender in contenders:
        if label or contender not in chosen:
            result.append(contender)
        if contender in chosen:
            if not isinstance(contender, DaemonPair):
                raise ConfigError(f"--peer {peer!r}: {contender.name!r} runs no program")
            result.append(contender.variant(label, build))
    return tuple(result)


def _matching(contenders: tuple[Contender, ...], name: str) -> tuple[Contender, ...]:
    chosen = tuple(contender for contender in contenders if _named(contender, {name}))
    if not chosen:
        known = ", ".join(contender.name for contender in contenders)
        raise ConfigError(f"there is no contender {name!r}", hint=f"known are {known}")
    return chosen


def _named(contender: Contender, names: set[str]) -> bool:
    return contender.name in names or contender.family in names
