"""Fixtures for tests in networks of their own; in every test run as soon as meshvpn is installed.

::

    def test_two_hosts_hear_each_other(two_hosts):
        two_hosts.a.run(["ping", "-c", "1", two_hosts.b.ipv4])

========================  =======================================================================
fixture                   what the test gets
========================  =======================================================================
``lab``                   an empty :class:`meshvpn.lab.Lab`, removed after the test
``two_hosts``             hosts ``a`` and ``b`` joined by a cable, IPv4 and IPv6
``narrow_path``           two hosts whose path is only 1280 bytes wide in the middle
``two_homes``             homes ``alice`` and ``bob`` behind port-restricted NATs; another kind by
                          ``@pytest.mark.parametrize("two_homes", [(Nat.A, Nat.B)], indirect=True)``
========================  =======================================================================

Where the machine does not allow a lab, such a test is skipped with the reason; with
``MESHVPN_REQUIRE_ALL=1`` in the environment, as in continuous integration, it fails.
Nothing is imported before the first test asks for a fixture.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab import Home, Host, Lab, Link, NarrowPath

__all__ = ["TwoHomes", "TwoHosts", "lab", "narrow_path", "two_homes", "two_hosts"]


class TwoHosts(NamedTuple):
    """What the fixture ``two_hosts`` gives: 172.31.0.1 and .2, fd31::1 and ::2."""

    a: Host
    b: Host
    link: Link


class TwoHomes(NamedTuple):
    """What the fixture ``two_homes`` gives."""

    alice: Home
    bob: Home


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty lab, removed after the test whatever becomes of it."""
    # Imported here: a plugin is loaded in every run of pytest, most of which need no lab.
    from meshvpn.errors import (  # noqa: PLC0415
        LabError,
        MissingProgramError,
        PermissionDeniedError,
    )
    from meshvpn.lab import Lab  # noqa: PLC0415

    try:
        opened = Lab()
    except (LabError, MissingProgramError, PermissionDeniedError) as problem:
        _not_here(str(problem))
    with opened:
        yield opened


@pytest.fixture
def two_hosts(lab: Lab) -> TwoHosts:
    """Hosts ``a`` and ``b``, joined by a cable."""
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b, ["172.31.0.1/24", "fd31::1/64"], ["172.31.0.2/24", "fd31::2/64"])
    return TwoHosts(a, b, link)


@pytest.fixture
def narrow_path(lab: Lab) -> NarrowPath:
    """Hosts ``a`` and ``b`` with 1500 bytes at the ends of the path and 1280 in its middle."""
    return lab.narrow_path()


@pytest.fixture
def two_homes(lab: Lab, request: pytest.FixtureRequest) -> TwoHomes:
    """Homes ``alice`` and ``bob``, each a host behind a NAT."""
    from meshvpn.lab import Nat  # noqa: PLC0415, for the reason above

    nats: tuple[Nat, Nat] = getattr(request, "param", (Nat.PORT_RESTRICTED, Nat.PORT_RESTRICTED))
    return TwoHomes(lab.home("alice", nat=nats[0]), lab.home("bob", nat=nats[1]))


def _not_here(reason: str) -> NoReturn:
    if os.environ.get("MESHVPN_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
