"""The few system calls of Linux namespaces that Python 3.11 does not have.

``os.setns`` and ``os.unshare`` came with Python 3.12 and ``mount`` never did, so all three go
through the C library here. Nothing in this module knows what a lab is.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWUSER",
    "MS_BIND",
    "MS_PRIVATE",
    "MS_REC",
    "enter_namespace",
    "flush_conntrack",
    "mount",
    "setns",
    "settle_device",
    "unshare",
]

# <linux/sched.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# <linux/mount.h>
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, <linux/netfilter/nfnetlink_conntrack.h>
_NETLINK_NETFILTER = 12
_NLM_F_REQUEST = 0x01
_NLM_F_ACK = 0x04
_NLMSG_ERROR = 2
_CONNTRACK_DELETE = (1 << 8) | 2  # subsystem CTNETLINK, message IPCTNL_MSG_CT_DELETE

# <linux/sockios.h>, <linux/ethtool.h>
_SIOCETHTOOL = 0x8946
_ETHTOOL_GLINK = 0x0A

_libc = ctypes.CDLL(None, use_errno=True)


def setns(descriptor: int, kind: int) -> None:
    """Moves the calling thread into the namespace behind an open file."""
    _check(_libc.setns(descriptor, kind), "setns")


def unshare(kinds: int) -> None:
    """Gives the calling thread (for a user namespace: the whole process) namespaces of its own."""
    _check(_libc.unshare(kinds), "unshare")


def mount(source: str, target: str, filesystem: str | None, flags: int = 0) -> None:
    """Puts a file system, or with ``MS_BIND`` a directory, at a place in the tree (mount(2))."""
    kind = filesystem.encode() if filesystem else None
    result = _libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), None)
    _check(result, f"mount {source} on {target}")


@contextlib.contextmanager
def enter_namespace(path: str) -> Iterator[None]:
    """Runs the body with the calling thread, and no other, inside a network namespace.

    Sockets opened and programs started in the body belong to that namespace for all their life.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        inside = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(inside, CLONE_NEWNET)
        finally:
            os.close(inside)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def settle_device(name: str) -> None:
    """Waits until a device of the calling thread's namespace really sends what it is given.

    The kernel puts a device into service from a work queue some time after its cable's other end
    came up, and drops every packet until then: on a busy machine the first ARP request, and with it
    a second. Asking for the link state by ethtool makes the kernel do that work first.
    """
    answer = array.array("I", [_ETHTOOL_GLINK, 0])
    request = struct.pack("16sP", name.encode(), answer.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


def flush_conntrack() -> None:
    """Forgets every connection that the calling thread's namespace tracks.

    One netlink message (what ``conntrack -F`` sends), so that the lab needs one program less:
    ``nlmsghdr`` and ``nfgenmsg`` without attributes means "all".
    """
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    flags = _NLM_F_REQUEST | _NLM_F_ACK
    header = struct.pack("=IHHII", 16 + len(body), _CONNTRACK_DELETE, flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(5)
        netlink.sendto(header + body, (0, 0))
        answer = netlink.recv(4096)
    _length, kind, _flags, _sequence, _port, error = struct.unpack_from("=IHHIIi", answer)
    if kind == _NLMSG_ERROR and error:
        raise OSError(-error, f"flushing conntrack: {os.strerror(-error)}")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
