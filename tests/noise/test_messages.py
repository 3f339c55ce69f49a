"""Messages are bytes that know their fields, and nothing else passes for one."""

from __future__ import annotations

import copy
import pickle
import re
import socket
from html import escape

import pytest

from meshvpn import ConfigError, PrivateKey, PublicKey
from meshvpn.noise import (
    Cookie,
    CookieReply,
    DataMessage,
    Initiation,
    Initiator,
    Message,
    Responder,
    Response,
    parse_message,
)

ALICE, BOB = PrivateKey.generate(), PrivateKey.generate()


def all_four() -> list[Initiation | Response | CookieReply | DataMessage]:
    initiator = Initiator(ALICE, BOB.public_key)
    initiation = initiator.initiate(sender=0x01020304)
    response, _ = Responder(BOB, initiation).respond(sender=0x05060708)
    reply = Cookie(bytes(16)).reply(initiation, BOB.public_key)
    return [initiation, response, reply, initiator.finish(response).seal(bytes(100))]


MESSAGES = all_four()
IDS = [type(message).__name__ for message in MESSAGES]
each = pytest.mark.parametrize("message", MESSAGES, ids=IDS)


@each
def test_fields_cover_every_byte_in_order(message: Message) -> None:
    at = 0
    for field in message.fields():
        assert field.start == at < field.stop
        raw = message[field.start : field.stop]
        match field.value:
            case int():
                assert field.value == int.from_bytes(raw, "little")
            case PublicKey():
                assert bytes(field.value) == raw
            case bytes():
                assert field.value == raw
        assert getattr(message, field.name) == field.value
        assert field.text
        assert field.meaning
        at = field.stop
    assert at == len(message)


def test_fields_lie_where_the_whitepaper_has_them() -> None:
    spans = {
        kind: " ".join(f"{field.name}:{field.start}" for field in message.fields())
        for kind, message in zip(IDS, MESSAGES, strict=True)
    }
    assert spans == {
        "Initiation": "type:0 reserved:1 sender:4 unencrypted_ephemeral:8 encrypted_static:40 "
        "encrypted_timestamp:88 mac1:116 mac2:132",
        "Response": "type:0 reserved:1 sender:4 receiver:8 unencrypted_ephemeral:12 "
        "encrypted_nothing:44 mac1:60 mac2:76",
        "CookieReply": "type:0 reserved:1 receiver:4 nonce:8 encrypted_cookie:32",
        "DataMessage": "type:0 reserved:1 receiver:4 counter:8 encrypted_packet:16",
    }
    assert [len(message) for message in MESSAGES] == [148, 92, 64, 16 + 112 + 16]


@each
def test_is_bytes(message: Message) -> None:
    raw = bytes(message)
    assert type(raw) is bytes
    assert message == raw
    assert hash(message) == hash(raw)
    assert type(message)(bytearray(raw)) == type(message)(memoryview(raw)) == message
    assert parse_message(raw) == message
    assert type(parse_message(raw)) is type(message)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        here.send(message)
        assert there.recv(2048) == message


@each
def test_copies_and_pickles_are_the_same(message: Message) -> None:
    for same in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert same == message
        assert type(same) is type(message)
    with pytest.raises(AttributeError):
        message.mac1 = bytes(16)  # type: ignore[attr-defined] # it must fail


@each
def test_a_pickle_of_something_else_is_refused(message: Message) -> None:
    spoilt = pickle.dumps(message).replace(bytes(message), b"\x09" + bytes(message)[1:])
    with pytest.raises(ConfigError, match="type"):
        pickle.loads(spoilt)


@each
def test_other_types_and_lengths_are_refused_by_name(message: Message) -> None:
    kind, raw = type(message), bytes(message)
    name = {"CookieReply": "cookie reply", "DataMessage": "data message"}
    prefix = name.get(kind.__name__, kind.__name__.lower())
    shortest = 31 if kind is DataMessage else len(raw) - 1
    for wrong, problem in [
        (b"\x00" + raw[1:], "type: 0 instead of"),
        (raw[:2] + b"\x01" + raw[3:], "reserved: 000100 instead of 000000"),
        (raw[:shortest], f"length: {shortest} bytes instead of"),
        (b"", "length: 0 bytes instead of"),
    ]:
        with pytest.raises(ConfigError, match=f"^{prefix}: {problem}") as caught:
            kind(wrong)
        assert caught.value.hint
    for other in MESSAGES:
        if type(other) is not kind:
            with pytest.raises(ConfigError, match=r"type: \d \(.*\) instead of \d \(.*\)"):
                kind(other)
    if kind is not DataMessage:
        with pytest.raises(ConfigError, match=f"length: {len(raw) + 1} bytes"):
            kind(raw + b"\x00")
    for nonsense in (7, "text", None):
        with pytest.raises(TypeError):
            kind(nonsense)  # type: ignore[arg-type] # it must fail


@pytest.mark.parametrize("data", [b"", b"\x00" * 148, b"\x05" * 32, b"\x01"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"type|length|no bytes"):
        parse_message(data)


@each
def test_is_shown(message: Message) -> None:
    shown = message.show()
    assert repr(shown) == shown, "a prompt shows lines"
    html = message._repr_html_()
    for field in message.fields():
        assert re.search(rf"^ +{field.start}.* {field.name} ", shown, re.MULTILINE)
        assert f">{field.name}<" in html
        assert escape(field.meaning) in html
    cells = re.findall(r"> ([0-9a-f]{2})</span>", html)
    assert bytes.fromhex("".join(cells)) == message
    assert max(map(len, shown.splitlines())) < 100
    assert str(message) == repr(message) == f"{message}"
    assert re.fullmatch(rf"<{type(message).__name__} .*, {len(message)} bytes>", repr(message))


def test_a_message_is_one_of_the_four() -> None:
    with pytest.raises(TypeError, match="one of the four"):
        Message(bytes(MESSAGES[0]))


def test_indices_are_shown() -> None:
    initiation, response, reply, data = map(repr, MESSAGES)
    assert "from 0x01020304" in initiation
    assert "from 0x05060708 to 0x01020304" in response
    assert "to 0x01020304" in reply
    assert "0 to 0x05060708" in data


def test_states_are_shown() -> None:
    initiator = Initiator(ALICE, BOB.public_key)
    initiator.initiate()
    states = initiator.reveal_secrets()
    assert len(states.show().splitlines()) == 1 + len(states) == 9
    html = states._repr_html_()
    for state in states:
        assert state.chaining_key.hex() in html
        assert state.hash.hex()[:16] in states.show()
