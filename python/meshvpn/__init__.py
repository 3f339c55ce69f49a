"""A mesh VPN in one import."""

from meshvpn._meshvpn import __version__

__all__ = ["__version__"]
