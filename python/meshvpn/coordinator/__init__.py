"""Coordinators: who is in a mesh, and what everyone is told of it.

* :class:`Coordinator` runs one in this process; its state lies in a directory.
* :class:`CoordinatorClient` asks a running one over its REST API, as the command line does.

Both have the same methods (:class:`Administration`) and answer with :class:`MeshInfo`,
:class:`NodeInfo` and :class:`AuthKey`.

A configuration file is YAML, and every field has a default::

    listen: 0.0.0.0:8080              # one port for nodes, administrators and monitoring
    url: http://203.0.113.1:8080      # how nodes reach it; only shown to people
    tls:                              # without it, the REST API answers this machine alone
      certificate: /etc/meshvpn/coordinator.crt
      key: /etc/meshvpn/coordinator.pem
    state: /var/lib/meshvpn/coordinator
    domain: mesh.internal             # what names of nodes end with
    networks: [100.64.0.0/10, "fd12:3456:789a::/64"]
    allow: all                        # nodes may send each other anything; `none` by default
    join: key                         # or `ask`: machines without a key wait for approval
    key_lifetime: 180d                # after which a node must join again; never by default
    ephemeral_timeout: 5m             # how long an ephemeral node may be away
    attempts_per_minute: 10           # failed log-ins that one address may have
    instance: main                    # its name among coordinators that share a store
    relay: eu                         # serve a relay on the same port, for this region
    relays:                           # others
      - region: eu
        url: https://relay.example
        certificate_sha256: 9f86d0…   # where no authority vouches for its certificate
        stun_port: 3478
"""

from __future__ import annotations

from meshvpn.coordinator.administration import Administration
from meshvpn.coordinator.client import CoordinatorClient
from meshvpn.coordinator.records import AuthKey, MeshInfo, NodeInfo
from meshvpn.coordinator.running import Coordinator

__all__ = [
    "Administration",
    "AuthKey",
    "Coordinator",
    "CoordinatorClient",
    "MeshInfo",
    "NodeInfo",
]
