"""The second implementation computes what the published vectors say, so it may judge the first."""

from __future__ import annotations

from tests.noise import primitives

# RFC 8439, section 2.8.2.
KEY = bytes(range(0x80, 0xA0))
NONCE = bytes.fromhex("070000004041424344454647")
DATA = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
PLAINTEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
    b"future, sunscreen would be it."
)
SEALED = bytes.fromhex(
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
    "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
    "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
)
# draft-irtf-cfrg-xchacha-03, appendix A.3.1: the same plaintext, data and key.
LONG_NONCE = bytes(range(0x40, 0x58))
LONG_SEALED = bytes.fromhex(
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
    "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
    "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49"
)


def test_x25519_of_rfc_7748() -> None:
    scalar = "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"
    point = "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
    expected = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert primitives.dh(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == expected


def test_chacha20_poly1305_of_rfc_8439() -> None:
    assert primitives._open(KEY, NONCE, SEALED, DATA) == PLAINTEXT
    assert primitives._open(KEY, NONCE, SEALED, DATA[1:]) is None
    sealed = primitives.seal(KEY, 7, PLAINTEXT, DATA)
    assert primitives.open_(KEY, 7, sealed, DATA) == PLAINTEXT
    assert primitives.open_(KEY, 8, sealed, DATA) is None


def test_xchacha20_poly1305_of_the_draft() -> None:
    assert primitives.xopen(KEY, LONG_NONCE, LONG_SEALED, DATA) == PLAINTEXT
    assert primitives.xopen(KEY, LONG_NONCE, LONG_SEALED[:-1] + b"\x00", DATA) is None


def test_blake2s_of_rfc_7693() -> None:
    expected = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"
    assert primitives.hash_(b"a", b"bc").hex() == expected
