"""WireGuard's handshake by hand: a message a call, each byte with its name.

Alice shakes hands with Bob, and seals a packet for him:

>>> from meshvpn import PrivateKey
>>> from meshvpn.noise import Initiator, Responder
>>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
>>> initiator = Initiator(alice, bob.public_key)
>>> initiation = initiator.initiate()  # goes to Bob: a message is bytes, so sendto() takes it
>>> responder = Responder(bob, initiation)
>>> responder.peer == alice.public_key  # and now Bob knows who it is
True
>>> response, bobs = responder.respond()  # goes back
>>> alices = initiator.finish(response)
>>> bobs.open(alices.seal(b"the first packet"))
b'the first packet'

A message shows its fields, here and, in colours, in a notebook:

>>> print(response.show())
Response, 92 bytes
    0       type                   2
    1–3     reserved               000000
    4–7     sender                 0x...
    8–11    receiver               0x...
   12–43    unencrypted_ephemeral  ...=
   44–59    encrypted_nothing      ...
   60–75    mac1                   ...
   76–91    mac2                   00000000000000000000000000000000

What goes on inside, nobody on the wire sees, and nothing here shows it, except on this request:

>>> for state in initiator.reveal_secrets()[:5]:
...     print(f"{state.token:9} {state.chaining_key.hex()[:16]}…  {state.rule}")
name      60e26daef327efc0…  C := H := HASH(construction)
prologue  60e26daef327efc0…  H := HASH(H || identifier)
<- s      60e26daef327efc0…  H := HASH(H || Sr_pub)
e         ...…  C := KDF1(C, Ei_pub), H := HASH(H || Ei_pub)
es        ...…  (C, k) := KDF2(C, DH(Ei, Sr))

=====================================================  ===========================================
:class:`Initiator`, :class:`Responder`                 the two sides, a message a call
:class:`Initiation`, :class:`Response`                 the two messages, and what a busy device
:class:`CookieReply`, :class:`DataMessage`             answers instead, and what comes after it
:func:`parse_message`                                  whichever of these a datagram is
:class:`Cookie`                                        what mac2 is made with
:class:`Timestamp`                                     what makes an old initiation worthless
:class:`Transport`                                     seals and opens data messages
:class:`States`, :class:`TokenState`,                  what ``reveal_secrets()`` reveals
:class:`SessionKeys`
:class:`IKpsk2`                                        the Noise pattern beneath, for its vectors
=====================================================  ===========================================

It is all that a WireGuard peer needs but its timers: any implementation answers it over a plain UDP
socket. For traffic there is :meth:`meshvpn.Tunnel.wireguard`.

Sources: the WireGuard whitepaper (https://www.wireguard.com/papers/wireguard.pdf), section 5.4, and
the Noise specification (https://noiseprotocol.org/noise.html), revision 34.
"""

from meshvpn.noise._message import Message, MessageField
from meshvpn.noise.cookie import Cookie
from meshvpn.noise.handshake import Initiator, Responder
from meshvpn.noise.ikpsk2 import CONSTRUCTION, PROLOGUE, IKpsk2
from meshvpn.noise.messages import (
    CookieReply,
    DataMessage,
    Initiation,
    Response,
    parse_message,
)
from meshvpn.noise.states import States, TokenState
from meshvpn.noise.timestamp import Timestamp
from meshvpn.noise.transport import SessionKeys, Transport

__all__ = [
    "CONSTRUCTION",
    "PROLOGUE",
    "Cookie",
    "CookieReply",
    "DataMessage",
    "IKpsk2",
    "Initiation",
    "Initiator",
    "Message",
    "MessageField",
    "Responder",
    "Response",
    "SessionKeys",
    "States",
    "Timestamp",
    "TokenState",
    "Transport",
    "parse_message",
]
