"""A mesh VPN in one import.

>>> import meshvpn
>>> key = meshvpn.PresharedKey.generate()

Devices and tunnels are :class:`Tun` and :class:`Tunnel`; networks to try them in are in
:mod:`meshvpn.lab`; what can go wrong is in :mod:`meshvpn.errors`. Importing starts nothing.
"""

from meshvpn._meshvpn import __version__
from meshvpn.errors import (
    ConfigError,
    DeviceError,
    LabError,
    MeshError,
    MissingProgramError,
    NetworkError,
    PermissionDeniedError,
    TunnelClosedError,
)
from meshvpn.keys import PresharedKey
from meshvpn.stats import TunnelEvent, TunnelStats
from meshvpn.tunnel import Tunnel

__all__ = [
    "ConfigError",
    "DeviceError",
    "LabError",
    "MeshError",
    "MissingProgramError",
    "NetworkError",
    "PermissionDeniedError",
    "PresharedKey",
    "Tunnel",
    "TunnelClosedError",
    "TunnelEvent",
    "TunnelStats",
    "__version__",
]
