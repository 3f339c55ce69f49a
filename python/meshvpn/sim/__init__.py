"""A simulated internet: hosts, links and every kind of NAT, in virtual time and without root.

What a NAT does with datagrams, step by step:

>>> from meshvpn.sim import Internet, Nat
>>> net = Internet(seed=7)
>>> server = net.host("server")
>>> alice = net.home("alice", nat=Nat.SYMMETRIC_SEQUENTIAL)
>>> there, here = server.socket(3478), alice.host.socket(5000)
>>> here.send(b"hello", there.address)
>>> net.run(1)
>>> [datagram] = there.receive()
>>> datagram.data, datagram.source.startswith(alice.host.addresses[0])
(b'hello', False)
>>> [mapping] = alice.mappings()
>>> mapping.inner == here.address, mapping.outer == datagram.source
(True, True)

What the very code of a node finds out about it (RFC 5780), and what that means:

>>> report = net.discover(alice.host, net.stun_server())
>>> report.mapping.value, report.allocation, report.step
('address-and-port-dependent', 'sequential', 1)

Whether two nodes can reach each other directly at all:

>>> print(outlook(Nat.SYMMETRIC_RANDOM, Nat.PORT_RESTRICTED))
direct by guessing ports of one side: 99.9 %

Everything follows from the seed: the same program gives the same :attr:`Internet.log`, to the byte,
and so the same :attr:`Internet.digest`. :meth:`Internet.write_pcapng` writes what went over the
links that were watched.
"""

from meshvpn.lab.nat import Filtering, Mapping, Nat
from meshvpn.sim.internet import Carrier, Conditions, Home, Host, Internet, NatMapping, Socket
from meshvpn.sim.oracle import Outlook, outlook
from meshvpn.sim.values import Datagram, Difference, NatReport, first_difference

__all__ = [
    "Carrier",
    "Conditions",
    "Datagram",
    "Difference",
    "Filtering",
    "Home",
    "Host",
    "Internet",
    "Mapping",
    "Nat",
    "NatMapping",
    "NatReport",
    "Outlook",
    "Socket",
    "first_difference",
    "outlook",
]
