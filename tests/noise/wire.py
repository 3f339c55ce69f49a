"""A peer by hand on a UDP socket: what a device, ours or a foreign one, has to do with."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Self

from meshvpn.noise import DataMessage, Initiator, Response, parse_message
from tests.wireguard.ends import PORT

if TYPE_CHECKING:
    import socket
    from types import TracebackType

    from meshvpn import PresharedKey
    from meshvpn.noise import (
        Cookie,
        CookieReply,
        Initiation,
        Timestamp,
        Transport,
    )
    from tests.wireguard.ends import Side

SILENCE_SECONDS = 0.4
PATIENCE_SECONDS = 5.0


class ByHand:
    """A socket on one side's host, at its port, that talks to the other side's device."""

    def __init__(self, near: Side, far: Side) -> None:
        self.near, self.far = near, far
        self.socket: socket.socket = near.host.socket(bind=(near.host.ipv4, PORT))
        self.socket.settimeout(PATIENCE_SECONDS)

    def send(self, message: bytes) -> None:
        self.socket.sendto(message, (self.far.host.ipv4, PORT))

    def receive(self) -> Initiation | Response | CookieReply | DataMessage:
        return parse_message(self.socket.recv(65535))

    def receive_packet(self, transport: Transport) -> bytes:
        """The next packet that is more than a keepalive."""
        while True:
            message = self.receive()
            if isinstance(message, DataMessage) and (packet := transport.open(message)):
                return packet

    def hears_no_answer(self) -> bool:
        """No handshake message comes for a while; a kernel has data to send by itself."""
        end = time.monotonic() + SILENCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if not isinstance(self.receive(), DataMessage):
                    return False
        self.socket.settimeout(PATIENCE_SECONDS)
        return True

    def drain(self) -> None:
        """Forgets what has come so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(65535)
        self.socket.settimeout(PATIENCE_SECONDS)

    def shake(
        self,
        *,
        psk: PresharedKey | None = None,
        timestamp: Timestamp | None = None,
        cookie: Cookie | None = None,
    ) -> tuple[Initiation, Transport]:
        """A handshake as initiator."""
        initiator = Initiator(self.near.key, self.far.key.public_key, preshared_key=psk)
        initiation = initiator.initiate(timestamp=timestamp, cookie=cookie)
        self.send(initiation)
        while not isinstance(message := self.receive(), Response):
            assert not isinstance(message, DataMessage)
        return initiation, initiator.finish(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


def let_time_pass() -> None:
    """Initiations in quick succession are refused: by wireguard-go and by ours within 20 ms."""
    time.sleep(0.05)
