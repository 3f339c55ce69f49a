"""mac1, mac2 and cookies by hand."""

from __future__ import annotations

import os

import pytest

from meshvpn import AuthenticationError, ConfigError, PrivateKey
from meshvpn.noise import Cookie, CookieReply, Initiation, Initiator, Responder, Response
from tests.noise.primitives import hash_, mac, xopen

ALICE, BOB = PrivateKey.generate(), PrivateKey.generate()
SOURCE = ("192.0.2.1", 51820)
COOKIE = Cookie(os.urandom(16))


@pytest.fixture
def initiation() -> Initiation:
    return Initiator(ALICE, BOB.public_key).initiate()


def test_a_cookie_is_for_one_address_and_port() -> None:
    secret = os.urandom(32)
    cookie = Cookie.for_source(secret, SOURCE)
    assert cookie == Cookie.for_source(secret, "192.0.2.1:51820")
    assert cookie == Cookie.for_source(secret, "[::ffff:192.0.2.1]:51820"), "as one socket sees it"
    for other in ("192.0.2.1:51821", "192.0.2.2:51820", "[2001:db8::1]:51820"):
        assert cookie != Cookie.for_source(secret, other)
    assert cookie != Cookie.for_source(os.urandom(32), SOURCE)
    # Section 5.4.7: the address, then the port, both big-endian.
    address = bytes([192, 0, 2, 1]) + (51820).to_bytes(2)
    assert bytes(cookie) == mac(secret, address)


def test_a_reply_is_the_whitepapers(initiation: Initiation) -> None:
    reply = COOKIE.reply(initiation, BOB.public_key)
    assert reply.receiver == initiation.sender
    key = hash_(b"cookie--", bytes(BOB.public_key))
    opened = xopen(key, reply.nonce, reply.encrypted_cookie, initiation.mac1)
    assert opened == bytes(COOKIE)
    fixed = COOKIE.reply(initiation, BOB.public_key, nonce=reply.nonce)
    assert fixed == reply
    assert COOKIE.reply(initiation, BOB.public_key).nonce != reply.nonce


def test_a_reply_is_opened_by_who_sent_the_message(initiation: Initiation) -> None:
    reply = COOKIE.reply(initiation, BOB.public_key)
    assert Cookie.from_reply(reply, initiation, BOB.public_key) == COOKIE
    another = Initiator(ALICE, BOB.public_key).initiate()
    changed = bytes(reply[:-1]) + bytes([reply[-1] ^ 1])
    for wrong in [
        (reply, another, BOB.public_key),
        (reply, initiation, ALICE.public_key),
        (changed, initiation, BOB.public_key),
    ]:
        with pytest.raises(AuthenticationError, match=r"cookie reply: .* not authentic") as caught:
            Cookie.from_reply(*wrong)
        assert caught.value.hint
    with pytest.raises(ConfigError, match="type"):
        Cookie.from_reply(initiation, initiation, BOB.public_key)


def test_mac2_shows_the_cookie(initiation: Initiation) -> None:
    assert initiation.mac2 == bytes(16)
    assert not initiation.has_valid_mac2(COOKIE)
    stamped = initiation.with_macs(BOB.public_key, COOKIE)
    assert stamped.has_valid_mac2(COOKIE)
    assert not stamped.has_valid_mac2(Cookie(bytes(16)))
    assert stamped.mac1 == initiation.mac1
    assert stamped.mac2 == mac(bytes(COOKIE), stamped[:-16])
    assert stamped.with_macs(BOB.public_key) == initiation


def test_both_sides_write_it() -> None:
    initiator = Initiator(ALICE, BOB.public_key)
    initiation = initiator.initiate(cookie=COOKIE)
    assert initiation.has_valid_mac2(COOKIE)
    other = Cookie(os.urandom(16))
    response, _ = Responder(BOB, initiation).respond(cookie=other)
    assert response.has_valid_mac2(other)
    reply = COOKIE.reply(response, ALICE.public_key)
    assert Cookie.from_reply(reply, response, ALICE.public_key) == COOKIE
    initiator.finish(response)


def test_mac1_is_for_one_receiver(initiation: Initiation) -> None:
    assert initiation.has_valid_mac1(BOB.public_key)
    assert not initiation.has_valid_mac1(ALICE.public_key)
    changed = Initiation(initiation[:60] + b"!" + initiation[61:])
    assert not changed.has_valid_mac1(BOB.public_key)
    assert changed.with_macs(BOB.public_key).has_valid_mac1(BOB.public_key)
    response, _ = Responder(BOB, initiation).respond()
    assert response.has_valid_mac1(ALICE.public_key)
    assert not response.has_valid_mac1(BOB.public_key)
    assert type(response.with_macs(BOB.public_key)) is Response


def test_a_cookie_is_a_secret_of_16_bytes() -> None:
    assert repr(COOKIE) == str(COOKIE) == "Cookie(secret)"
    assert Cookie(bytes(COOKIE)) == COOKIE != bytes(COOKIE)
    assert len({COOKIE, Cookie(bytes(COOKIE))}) == 1
    for wrong in (b"", bytes(15), bytes(17)):
        with pytest.raises(ConfigError, match="cookie"):
            Cookie(wrong)


def test_wrong_arguments_are_named(initiation: Initiation) -> None:
    with pytest.raises(ConfigError, match="secret"):
        Cookie.for_source(bytes(31), SOURCE)
    for source in ("192.0.2.1", "nowhere:1", ("192.0.2.1", 65536)):
        with pytest.raises(ConfigError, match="source"):
            Cookie.for_source(bytes(32), source)
    with pytest.raises(ConfigError, match="nonce"):
        COOKIE.reply(initiation, BOB.public_key, nonce=bytes(12))
    assert CookieReply(COOKIE.reply(initiation, BOB.public_key))
