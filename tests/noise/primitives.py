"""The functions of the whitepaper's section 5.4, a second time and slowly: they judge the engine's.

Sources: RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305), draft-irtf-cfrg-xchacha-03 (XChaCha20),
RFC 2104 (HMAC); BLAKE2s is Python's own.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

_P = 2**255 - 19
_POLY_P = 2**130 - 5
_MASK = 0xFFFF_FFFF
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_TAG = 16


def hash_(*parts: bytes) -> bytes:
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key: bytes, *parts: bytes) -> bytes:
    return hashlib.blake2s(b"".join(parts), key=key, digest_size=16).digest()


def kdf(count: int, key: bytes, data: bytes) -> list[bytes]:
    """KDF1, KDF2, KDF3: HKDF with HMAC-BLAKE2s."""

    def hmac_(key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, "blake2s")

    secret = hmac_(key, data)
    outputs = [hmac_(secret, b"\x01")]
    while len(outputs) < count:
        outputs.append(hmac_(secret, outputs[-1] + bytes([len(outputs) + 1])))
    return outputs


def dh(private: bytes, public: bytes) -> bytes:
    """X25519, by the Montgomery ladder of RFC 7748, section 5."""
    scalar = int.from_bytes(private, "little") & (2**254 - 8) | 2**254
    u = int.from_bytes(public, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = scalar >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % _P, c * b % _P
        x3, z3 = pow(da + cb, 2, _P), u * pow(da - cb, 2, _P) % _P
        aa, bb = a * a % _P, b * b % _P
        e = aa - bb
        x2, z2 = aa * bb % _P, e * (aa + 121665 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")


def seal(key: bytes, counter: int, plaintext: bytes, data: bytes = b"") -> bytes:
    """AEAD."""
    nonce = struct.pack("<IQ", 0, counter)
    sealed = _chacha20(key, nonce, plaintext)
    return sealed + _tag(key, nonce, sealed, data)


def open_(key: bytes, counter: int, sealed: bytes, data: bytes = b"") -> bytes | None:
    """AEAD backwards; None when it is not authentic."""
    return _open(key, struct.pack("<IQ", 0, counter), sealed, data)


def xopen(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes | None:
    """XAEAD backwards; None when it is not authentic."""
    return _open(_hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], sealed, data)


def _open(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes | None:
    text, tag = sealed[:-_TAG], sealed[-_TAG:]
    return _chacha20(key, nonce, text) if _tag(key, nonce, text, data) == tag else None


def _chacha20(key: bytes, nonce: bytes, text: bytes) -> bytes:
    stream = b"".join(_block(key, 1 + at, nonce) for at in range((len(text) + 63) // 64))
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))


def _tag(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes:
    def padded(part: bytes) -> bytes:
        return part + bytes(-len(part) % 16)

    lengths = struct.pack("<QQ", len(data), len(sealed))
    return _poly1305(_block(key, 0, nonce)[:32], padded(data) + padded(sealed) + lengths)


def _poly1305(key: bytes, message: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFF_FFFC_0FFF_FFFC_0FFF_FFFC_0FFF_FFFF
    total = 0
    for at in range(0, len(message), 16):
        block = message[at : at + 16] + b"\x01"
        total = (total + int.from_bytes(block, "little")) * r % _POLY_P
    return (total + int.from_bytes(key[16:], "little") & 2**128 - 1).to_bytes(16, "little")


def _block(key: bytes, counter: int, nonce: bytes) -> bytes:
    state = [*_SIGMA, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    mixed = zip(_rounds(state), state, strict=True)
    return struct.pack("<16I", *(a + b & _MASK for a, b in mixed))


def _hchacha20(key: bytes, nonce: bytes) -> bytes:
    state = _rounds([*_SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)])
    return struct.pack("<8I", *state[:4], *state[12:])


def _rounds(state: list[int]) -> list[int]:
    x = list(state)

    def turn(at: int, by: int, source: int, bits: int) -> None:
        x[at] = x[at] + x[by] & _MASK
        word = x[source] ^ x[at]
        x[source] = (word << bits | word >> 32 - bits) & _MASK

    columns = [(n, 4 + n, 8 + n, 12 + n) for n in range(4)]
    diagonals = [(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4) for n in range(4)]
    for a, b, c, d in (columns + diagonals) * 10:
        turn(a, b, d, 16)
        turn(c, d, b, 12)
        turn(a, b, d, 8)
        turn(c, d, b, 7)
    return x
