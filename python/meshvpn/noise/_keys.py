"""Keys as the engine takes them: a wrong kind of key must not pass for the right one.

All kinds are 32 bytes, so a private key in a public key's place would only fail much later.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from meshvpn.keys import PresharedKey, PrivateKey, PublicKey

__all__ = ["Peer", "preshared_bytes", "private_bytes", "public_key"]

Peer: TypeAlias = PublicKey | str
"""Who somebody is known by: a public key or its base64."""

_Key = TypeVar("_Key", PresharedKey, PrivateKey, PublicKey)


def public_key(field: str, key: Peer) -> PublicKey:
    """The public key.

    Raises:
        ConfigError: a text that is no key.
        TypeError: another kind of key, or no key.
    """
    if isinstance(key, str):
        return PublicKey.from_base64(key)
    if isinstance(key, PrivateKey):
        raise TypeError(f"{field}: a PrivateKey instead of a PublicKey: give its public_key")
    return _checked(field, key, PublicKey)


def private_bytes(field: str, key: PrivateKey | None) -> bytes:
    """The bytes of the private key, or of a new one.

    Raises:
        TypeError: another kind of key, or no key.
    """
    return bytes(PrivateKey.generate() if key is None else _checked(field, key, PrivateKey))


def preshared_bytes(key: PresharedKey | None) -> bytes | None:
    """The bytes of the pre-shared key, if there is one.

    Raises:
        TypeError: another kind of key, or no key.
    """
    return None if key is None else bytes(_checked("preshared_key", key, PresharedKey))


def _checked(field: str, key: _Key, kind: type[_Key]) -> _Key:
    if not isinstance(key, kind):
        raise TypeError(f"{field}: a {type(key).__name__} instead of a {kind.__name__}")
    return key
