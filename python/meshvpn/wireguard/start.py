"""What :meth:`meshvpn.Tunnel.wireguard` was given, as one configuration and a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshvpn.errors import ConfigError
from meshvpn.wireguard.config import WireGuardConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from meshvpn._values import Interface
    from meshvpn.keys import PrivateKey
    from meshvpn.wireguard.peer import Peer

__all__ = ["device_config"]


def device_config(
    config: WireGuardConfig | str | os.PathLike[str] | None,
    name: str | None,
    *,
    private_key: PrivateKey | str | os.PathLike[str] | None,
    listen_port: int | None,
    peers: Iterable[Peer] | None,
    address: Interface | Iterable[Interface] | None,
    mtu: int | None,
    mark: int | None,
) -> tuple[str, WireGuardConfig]:
    """The device's name and all the rest.

    Raises:
        ConfigError: a value is missing, is there twice, or cannot be used.
    """
    values = {
        "private_key": private_key,
        "listen_port": listen_port,
        "peers": peers,
        "address": address,
        "mtu": mtu,
        "mark": mark,
    }
    doubled = [field for field, value in values.items() if value is not None]
    if config is None:
        config = WireGuardConfig(
            private_key=private_key,
            listen_port=listen_port,
            peers=peers or (),
            address=() if address is None else address,
            mtu=mtu,
            mark=mark,
        )
    elif doubled:
        raise ConfigError(
            f"{doubled[0]}: given beside a configuration, which has a place for it",
            hint="WireGuardConfig.from_file(…), and dataclasses.replace(config, …) to change it",
        )
    elif not isinstance(config, WireGuardConfig):
        path = Path(config)
        name = path.stem if name is None else name
        config = WireGuardConfig.from_file(path)
    if name is None:
        raise ConfigError("name: the device's name is missing", hint='give one: name="wg0"')
    return name, config
