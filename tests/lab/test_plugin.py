"""The fixtures that users of the package get, and the examples that they read."""

from __future__ import annotations

import doctest
from typing import TYPE_CHECKING

import pytest

import meshvpn.lab
from meshvpn.errors import PermissionDeniedError
from meshvpn.lab import Nat

if TYPE_CHECKING:
    from meshvpn.pytest_plugin import TwoHomes, TwoHosts

root = pytest.mark.root


@root
@pytest.mark.needs("nft", "ping")
def test_the_examples_of_the_documentation_run() -> None:
    results = doctest.testmod(meshvpn.lab)
    assert results.attempted >= 3
    assert results.failed == 0


@root
@pytest.mark.needs("ping")
def test_two_hosts(two_hosts: TwoHosts) -> None:
    two_hosts.a.run(["ping", "-c", "1", two_hosts.b.ipv4])


@root
@pytest.mark.needs("nft")
def test_two_homes_are_port_restricted_by_default(two_homes: TwoHomes) -> None:
    assert two_homes.alice.nat is two_homes.bob.nat is Nat.PORT_RESTRICTED
    assert two_homes.alice.public_address != two_homes.bob.public_address
    # Most homes of the world have the same network inside; those of the lab have as well.
    assert two_homes.alice.host.ipv4 == two_homes.bob.host.ipv4


@root
@pytest.mark.needs("nft")
@pytest.mark.parametrize("two_homes", [(Nat.FULL_CONE, Nat.SYMMETRIC_RANDOM)], indirect=True)
def test_two_homes_take_other_nats(two_homes: TwoHomes) -> None:
    assert (two_homes.alice.nat, two_homes.bob.nat) == (Nat.FULL_CONE, Nat.SYMMETRIC_RANDOM)


@pytest.mark.parametrize(
    ("require_all", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_without_rights_a_test_is_skipped_or_fails_with_the_reason(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    require_all: str,
    outcome: type[BaseException],
) -> None:
    def refuse() -> None:
        raise PermissionDeniedError("no rights", hint="become root")

    monkeypatch.setattr(meshvpn.lab, "Lab", refuse)
    monkeypatch.setenv("MESHVPN_REQUIRE_ALL", require_all)
    with pytest.raises(outcome, match="become root"):
        request.getfixturevalue("lab")
