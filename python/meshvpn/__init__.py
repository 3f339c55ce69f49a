"""A mesh VPN in one import.

>>> import meshvpn
>>> key = meshvpn.PresharedKey.generate()

Devices and tunnels are :class:`Tun`, :class:`Tunnel` and :class:`WireGuard`, servers
:class:`Relay`, packets :class:`Packet`; WireGuard's handshake by hand is in :mod:`meshvpn.noise`;
networks to try all that in are in :mod:`meshvpn.lab`; what can go wrong is in
:mod:`meshvpn.errors`.

Importing starts nothing and loads next to nothing: a module is loaded when a name of it is used.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing's own costs as much time as all the rest here
if TYPE_CHECKING:
    from typing import Any

    from meshvpn._meshvpn import __version__
    from meshvpn.capture import Capture, PcapngWriter
    from meshvpn.coordinator import AuthKey, Coordinator, CoordinatorClient, MeshInfo, NodeInfo
    from meshvpn.errors import (
        AuthenticationError,
        CaptureError,
        ConfigError,
        CoordinatorError,
        DeviceError,
        LabError,
        MeshError,
        MissingProgramError,
        NetworkError,
        OutOfTurnError,
        PermissionDeniedError,
        ReplayError,
        TunnelClosedError,
    )
    from meshvpn.keys import PresharedKey, PrivateKey, PublicKey
    from meshvpn.packet import Packet, Reassembler
    from meshvpn.relay import Relay, RelayStats
    from meshvpn.stats import TunnelEvent, TunnelStats
    from meshvpn.tun import Tun
    from meshvpn.tunnel import Tunnel
    from meshvpn.wireguard import Peer, PeerState, WireGuard, WireGuardConfig, WireGuardState

__all__ = [
    "AuthKey",
    "AuthenticationError",
    "Capture",
    "CaptureError",
    "ConfigError",
    "Coordinator",
    "CoordinatorClient",
    "CoordinatorError",
    "DeviceError",
    "LabError",
    "MeshError",
    "MeshInfo",
    "MissingProgramError",
    "NetworkError",
    "NodeInfo",
    "OutOfTurnError",
    "Packet",
    "PcapngWriter",
    "Peer",
    "PeerState",
    "PermissionDeniedError",
    "PresharedKey",
    "PrivateKey",
    "PublicKey",
    "Reassembler",
    "Relay",
    "RelayStats",
    "ReplayError",
    "Tun",
    "Tunnel",
    "TunnelClosedError",
    "TunnelEvent",
    "TunnelStats",
    "WireGuard",
    "WireGuardConfig",
    "WireGuardState",
    "__version__",
]

_MODULES = {
    "AuthKey": "coordinator",
    "Capture": "capture",
    "Coordinator": "coordinator",
    "CoordinatorClient": "coordinator",
    "MeshInfo": "coordinator",
    "NodeInfo": "coordinator",
    "Packet": "packet",
    "PcapngWriter": "capture",
    "Peer": "wireguard",
    "PeerState": "wireguard",
    "PresharedKey": "keys",
    "PrivateKey": "keys",
    "PublicKey": "keys",
    "Reassembler": "packet",
    "Relay": "relay",
    "RelayStats": "relay",
    "Tun": "tun",
    "Tunnel": "tunnel",
    "TunnelEvent": "stats",
    "TunnelStats": "stats",
    "WireGuard": "wireguard",
    "WireGuardConfig": "wireguard",
    "WireGuardState": "wireguard",
    "__version__": "_meshvpn",
}
"""Where each public name is; those that are not here are in ``errors``."""


_SUBMODULES = {
    *("bench", "capture", "coordinator", "dns", "errors", "keys", "lab", "noise", "packet"),
    *("relay", "stats", "tun", "tunnel", "wireguard"),
}
"""Modules that need no import statement of their own."""


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return __all__
