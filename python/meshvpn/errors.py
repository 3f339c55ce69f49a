"""What can go wrong, as exceptions that say what to do.

Every exception of the package derives from :class:`MeshError` and from the builtin that a Python
programmer would expect, so ``except PermissionError`` and ``except meshvpn.MeshError`` both work.
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "CaptureError",
    "ConfigError",
    "CoordinatorError",
    "DeviceError",
    "LabError",
    "MeshError",
    "MissingProgramError",
    "NetworkError",
    "OutOfTurnError",
    "PermissionDeniedError",
    "ReplayError",
    "TunnelClosedError",
]


class MeshError(Exception):
    """Root of everything that meshvpn raises on purpose.

    Attributes:
        message: what happened, naming the field or object and its value.
        hint: the way out, or ``None`` where there is none to give.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(MeshError, ValueError):
    """A value given by the caller cannot be used; nothing was changed."""


class PermissionDeniedError(MeshError, PermissionError):
    """The process lacks a right, usually ``CAP_NET_ADMIN``."""


class DeviceError(MeshError, OSError):
    """A TUN device could not be created, configured or used."""


class NetworkError(MeshError, OSError):
    """A socket, address or route could not be set up."""


class CaptureError(MeshError, OSError):
    """A capture could not be written, or not completely."""


class TunnelClosedError(MeshError, RuntimeError):
    """The tunnel or device has been closed, or its device was deleted."""


class AuthenticationError(MeshError, ValueError):
    """A message was not made by its peer for this receiver, or was changed on the way."""


class ReplayError(MeshError, ValueError):
    """An authentic message was taken before, or is too old to tell."""


class OutOfTurnError(MeshError, RuntimeError):
    """A handshake or session is not at this step."""


class CoordinatorError(MeshError, RuntimeError):
    """A coordinator could not be started, or does not answer."""


class LabError(MeshError, RuntimeError):
    """The network lab could not build or remove something."""


class MissingProgramError(MeshError, FileNotFoundError):
    """A foreign program that this feature runs is not installed."""
