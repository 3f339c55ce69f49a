"""WireGuard devices: made from a ``wg-quick`` file or from values, and changed while they run.

::

    with meshvpn.Tunnel.wireguard("/etc/wireguard/wg0.conf") as device:
        device.wait_ready(timeout=5)
        for peer in device.peers:
            print(peer.public_key, peer.endpoint, peer.last_handshake)

================================  ================================================================
:class:`WireGuard`                a running device; :meth:`meshvpn.Tunnel.wireguard` starts it
:class:`WireGuardConfig`          what a device begins with, also read from a file
:class:`Peer`                     a peer as it is to be
:class:`WireGuardState`           what a running device is at one moment
:class:`PeerState`                what a peer of it is
================================  ================================================================

``wg`` sees such a device as any other (``wg show``), and may change it.
"""

from meshvpn.wireguard.config import Hook, WireGuardConfig
from meshvpn.wireguard.device import WireGuard
from meshvpn.wireguard.peer import Peer
from meshvpn.wireguard.state import PeerState, WireGuardState

__all__ = ["Hook", "Peer", "PeerState", "WireGuard", "WireGuardConfig", "WireGuardState"]
