"""Pings by hand."""

from __future__ import annotations

import ipaddress
import struct

_ICMP = 1


def echo_request(source: str, destination: str, *, sequence: int, data: bytes = b"") -> bytes:
    """An IPv4 packet with an ICMP echo request (RFC 791, RFC 792)."""
    echo: bytes = struct.pack("!BBHHH", 8, 0, 0, 0x6D65, sequence) + data
    echo = echo[:2] + _checksum(echo) + echo[4:]
    addresses = b"".join(ipaddress.IPv4Address(at).packed for at in (source, destination))
    header: bytes = (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(echo), 1, 0, 64, _ICMP, 0) + addresses
    )
    return header[:10] + _checksum(header) + header[12:] + echo


def _checksum(data: bytes) -> bytes:
    """RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2)
