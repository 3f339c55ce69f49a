"""What a test may need from the machine, and what happens where the machine lacks it.

* ``@pytest.mark.root``: rights over the network (root, or ``CAP_NET_ADMIN`` with ``CAP_SYS_ADMIN``)
  and ``/dev/net/tun``. An example in a docstring has this mark when it builds a network.
* ``@pytest.mark.needs("tshark", "iperf3")``: foreign programs.

Where something is missing the test is skipped with a reason that says how to get it. With
``MESHVPN_REQUIRE_ALL=1``, as in continuous integration, a skip of any kind is a failure instead: a
suite that silently shrinks proves nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshvpn.errors import MissingProgramError
from meshvpn.lab.programs import find_program
from meshvpn.lab.rootless import has_privileges

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# Where scripts/setup puts what is published for cargo.
_TOOLS = Path(__file__).parents[1] / "target/tools/bin"
_REQUIRE_ALL = os.environ.get("MESHVPN_REQUIRE_ALL") == "1"
_NETWORK_EXAMPLE = re.compile(r"\b(Lab|Tun|Tunnel)\b")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers, and finds foreign programs where they were built for the tests."""
    os.environ["PATH"] = f"{_TOOLS}:{os.environ.get('PATH', '')}"
    config.addinivalue_line("markers", "root: needs rights over the network and /dev/net/tun")
    config.addinivalue_line("markers", "needs(*programs): runs these foreign programs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what cannot run here, so that it is skipped before any of its fixtures is built."""
    for item in items:
        if missing := list(_missing(item)):
            item.add_marker(pytest.mark.skip("; ".join(missing)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, turns a skipped test into a failed one."""
    report = yield
    # An expected failure is reported as skipped too, and stays what it is.
    if _REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module, such as one that begins with ``pytest.importorskip``."""
    report = yield
    if _REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped: {_reason(report)}"
    return report


def _missing(item: pytest.Item) -> Iterator[str]:
    if item.get_closest_marker("root") or _is_network_example(item):
        if not has_privileges():
            yield "needs root: sudo make test; in a container, CAP_NET_ADMIN and CAP_SYS_ADMIN"
        if not Path("/dev/net/tun").exists():
            yield "needs /dev/net/tun: modprobe tun; in a container, --device /dev/net/tun"
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            try:
                find_program(program)
            except MissingProgramError as missing:
                yield f"{missing.message}: {missing.hint}"


def _is_network_example(item: pytest.Item) -> bool:
    return isinstance(item, pytest.DoctestItem) and any(
        _NETWORK_EXAMPLE.search(example.source) for example in item.dtest.examples
    )


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # pytest keeps a skip as (file, line, reason).
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
