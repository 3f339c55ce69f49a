"""Cookies: how a busy device finds out who receives at its address (sections 5.3 and 5.4.7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Self, final

from meshvpn import _meshvpn
from meshvpn._values import Endpoint, endpoint_text
from meshvpn.errors import ConfigError
from meshvpn.noise._keys import public_key
from meshvpn.noise.messages import CookieReply

if TYPE_CHECKING:
    from meshvpn.noise._keys import Peer
    from meshvpn.noise._message import Bytes
    from meshvpn.noise.messages import Initiation, Response

__all__ = ["Cookie"]

_LENGTH: Final = 16
_SECRET_LENGTH: Final = 32
_NONCE_LENGTH: Final = 24


@final
class Cookie:
    """16 bytes that a device gives to who sends from an address; ``repr`` shows none of them.

    Bob is busy. He answers Alice's initiation with a cookie, and forgets both:

    >>> from meshvpn import PrivateKey
    >>> from meshvpn.noise import Cookie, Initiator
    >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
    >>> first = Initiator(alice, bob.public_key).initiate()
    >>> secret = os.urandom(32)  # his alone, for two minutes
    >>> cookie = Cookie.for_source(secret, "192.0.2.1:51820")
    >>> reply = cookie.reply(first, bob.public_key)

    Alice opens it. Her next initiation, from the same address, shows that she has it:

    >>> given = Cookie.from_reply(reply, first, bob.public_key)
    >>> second = Initiator(alice, bob.public_key).initiate(cookie=given)
    >>> second.has_valid_mac2(Cookie.for_source(secret, "192.0.2.1:51820"))
    True
    >>> second.has_valid_mac2(Cookie.for_source(secret, "192.0.2.1:51821"))
    False

    Args:
        data: the 16 bytes.

    Raises:
        ConfigError: not 16 bytes.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Bytes) -> None:
        self._data = _sized("cookie", data, _LENGTH)

    @classmethod
    def for_source(cls, secret: Bytes, source: Endpoint) -> Self:
        """What a device gives to who sends from an address and port: a MAC of them.

        Args:
            secret: 32 random bytes, which the device changes every two minutes.
            source: where the message came from.

        Raises:
            ConfigError: the secret has another length, or the source is no address and port.
        """
        key = _sized("secret", secret, _SECRET_LENGTH)
        return cls(_meshvpn.noise_cookie_for_source(key, endpoint_text("source", source)))

    @classmethod
    def from_reply(cls, reply: Bytes, message: Initiation | Response, by: Peer) -> Self:
        """Open a cookie reply.

        Args:
            reply: what came back.
            message: what it answers: who has not seen it cannot make one believe in a cookie.
            by: the device that replied; a public key or its base64.

        Raises:
            ConfigError: the reply is none.
            AuthenticationError: it answers another message, or is from another device.
        """
        return cls(
            _meshvpn.noise_open_cookie(CookieReply(reply), bytes(public_key("by", by)), message)
        )

    def reply(
        self,
        message: Initiation | Response,
        by: Peer,
        *,
        nonce: Bytes | None = None,
    ) -> CookieReply:
        """The answer to a message that holds this cookie, sealed.

        Args:
            message: what is answered.
            by: the device that replies; a public key or its base64.
            nonce: 24 random bytes; to be given only for a vector.

        Raises:
            ConfigError: the nonce has another length.
        """
        given = os.urandom(_NONCE_LENGTH) if nonce is None else nonce
        random = _sized("nonce", given, _NONCE_LENGTH)
        sealed = _meshvpn.noise_seal_cookie(
            self._data, bytes(public_key("by", by)), message, random
        )
        return CookieReply(sealed)

    def __bytes__(self) -> bytes:
        """The 16 bytes. This reveals them."""
        return self._data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cookie):
            return NotImplemented
        import hmac  # noqa: PLC0415 (it loads OpenSSL, which a handshake has no other use for)

        return hmac.compare_digest(self._data, other._data)

    def __hash__(self) -> int:
        return hash((Cookie, self._data))

    def __repr__(self) -> str:
        return "Cookie(secret)"


def _sized(field: str, data: Bytes, length: int) -> bytes:
    data = bytes(memoryview(data))
    if len(data) != length:
        raise ConfigError(f"{field}: {len(data)} bytes instead of {length}")
    return data
