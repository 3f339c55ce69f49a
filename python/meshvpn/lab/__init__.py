"""A network laboratory: hosts, links, routers and every kind of NAT, on one Linux machine.

Two hosts and a cable between them:

>>> from meshvpn.lab import Lab, Nat
>>> with Lab() as lab:
...     a, b = lab.host("a"), lab.host("b")
...     link = lab.link(a, b, "172.31.0.1/24", "172.31.0.2/24", mtu=1400)
...     print(a.run(["ping", "-c", "1", b.ipv4]).stdout.splitlines()[1].split(":")[0])
64 bytes from 172.31.0.2

A home behind a NAT, and a server on the public network that sees where a datagram comes from:

>>> with Lab() as lab:
...     alice = lab.home("alice", nat=Nat.SYMMETRIC_RANDOM)
...     server = lab.server("stun")
...     with server.socket(bind=(server.ipv4, 3478)) as there, alice.host.socket() as here:
...         here.bind(("0.0.0.0", 5000))
...         _ = here.sendto(b"who am I?", (server.ipv4, 3478))
...         _, (address, port) = there.recvfrom(100)
...     address == alice.public_address, port == 5000
(True, False)

A path that becomes too narrow and does not say so:

>>> with Lab() as lab:
...     path = lab.narrow_path(mtu=1280)
...     with path.block_icmp(), path.set_mtu(1124):
...         big = path.a.run(["ping", "-c1", "-W1", "-Mdo", "-s1200", path.b.ipv4], check=False)
...         print(big.returncode)
1

Everything is a network namespace (``ip netns list`` shows them), named after the process that owns
it, and is removed with the lab: also when that process is killed. Nothing outside is touched.
Conditions such as loss last until undone, or for the body of a ``with``. Root is needed, or a
system that allows user namespaces.

With pytest, the fixtures of :mod:`meshvpn.pytest_plugin` are there as soon as the package is.
"""

from meshvpn.lab.fault import Fault
from meshvpn.lab.host import Host
from meshvpn.lab.lab import Lab
from meshvpn.lab.link import Bridge, Interface, Link
from meshvpn.lab.nat import Filtering, Mapping, Nat
from meshvpn.lab.ownership import LabRecord, list_labs, reap
from meshvpn.lab.rootless import enter_user_namespace
from meshvpn.lab.router import Router
from meshvpn.lab.sites import Home, NarrowPath

__all__ = [
    "Bridge",
    "Fault",
    "Filtering",
    "Home",
    "Host",
    "Interface",
    "Lab",
    "LabRecord",
    "Link",
    "Mapping",
    "NarrowPath",
    "Nat",
    "Router",
    "enter_user_namespace",
    "list_labs",
    "reap",
]
