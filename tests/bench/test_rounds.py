"""A run goes on without whoever is missing or fails, and says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from meshvpn.bench.contenders.contender import DaemonPair
from meshvpn.bench.contenders.nebula import Nebula
from meshvpn.bench.contenders.ours import BareWire
from meshvpn.bench.metrics import PING_IDLE, TCP_ONE
from meshvpn.bench.processes import Program
from meshvpn.bench.rounds import Benchmark, Plan
from meshvpn.bench.workloads import Figures, Pace, Workload
from meshvpn.errors import ConfigError, LabError

if TYPE_CHECKING:
    from meshvpn.bench.contenders.contender import Contender, Link, Side
    from meshvpn.bench.report import Failure, Missing

SHELL = Program(("sh",), "dash")

pytestmark = [pytest.mark.root, pytest.mark.needs("iperf3", "ping")]


@dataclass
class Diary:
    """An observer that writes down who did what."""

    absentees: list[str] = field(default_factory=list)
    steps: list[tuple[int, str, str]] = field(default_factory=list)
    planned: float = 0.0

    def absent(self, missing: Missing) -> None:
        self.absentees.append(missing.name)

    def doing(self, round_number: int, contender: str, what: str) -> None:
        self.steps.append((round_number, contender, what))

    def advanced(self, seconds: float) -> None:
        self.planned += seconds

    def finished(self, round_number: int, contender: str, figures: Figures) -> None:
        self.steps.append((round_number, contender, f"{len(figures)} figures"))

    def failed(self, failure: Failure) -> None:
        self.steps.append((failure.round, failure.contender, "failed"))


@dataclass(frozen=True, kw_only=True)
class ShortLived(DaemonPair):
    """A daemon that ends at once with a last word."""

    name: str = "short-lived"
    family: str = "short-lived"
    program: Program = SHELL

    def command(self, side: Side) -> tuple[str, ...]:
        return ("sh", "-c", f"echo farewell from {side.end.letter}; exit 3")


def fixed(key: str, value: float) -> Workload:
    metric = {"ping": PING_IDLE, "tcp": TCP_ONE}[key]
    return Workload(key, key, (metric,), lambda _pace: 2.0, lambda _link, _pace: {metric: value})


def broken(_link: Link, _pace: Pace) -> Figures:
    raise LabError("it broke")


def run(plan: Plan) -> tuple[Benchmark, Diary]:
    diary = Diary()
    benchmark = Benchmark(plan, diary)
    benchmark.run()
    return benchmark, diary


def wires(*names: str) -> tuple[Contender, ...]:
    return tuple(BareWire(name=name) for name in names)


def test_contenders_and_workloads_take_turns_at_being_first() -> None:
    plan = Plan(wires("x", "y"), (fixed("ping", 1.0), fixed("tcp", 2.0)), rounds=2)
    benchmark, diary = run(plan)
    assert [(number, name, what) for number, name, what in diary.steps if what != "start"] == [
        *[(1, "x", "ping"), (1, "x", "tcp"), (1, "x", "2 figures")],
        *[(1, "y", "ping"), (1, "y", "tcp"), (1, "y", "2 figures")],
        *[(2, "y", "tcp"), (2, "y", "ping"), (2, "y", "2 figures")],
        *[(2, "x", "tcp"), (2, "x", "ping"), (2, "x", "2 figures")],
    ]
    assert diary.planned == pytest.approx(benchmark.seconds)
    assert benchmark.report().values("x", TCP_ONE) == {1: 2.0, 2: 2.0}


def test_a_missing_rival_is_named_with_its_package_and_left_out() -> None:
    absent = Nebula(program=Program(("nebula-that-is-not-there",), "nebula"))
    benchmark, diary = run(Plan((*wires("x"), absent), (fixed("ping", 1.0),), rounds=1))
    (missing,) = benchmark.report().missing
    assert missing.name == "nebula"
    assert "apt-get install nebula" in missing.reason
    assert diary.absentees == ["nebula"]
    assert {sample.contender for sample in benchmark.report().samples} == {"x"}


def test_a_run_of_nobody_is_refused() -> None:
    absent = Nebula(program=Program(("nebula-that-is-not-there",), "nebula"))
    with pytest.raises(ConfigError, match="none of the chosen"):
        Benchmark(Plan((absent,)), Diary())


def test_a_daemon_that_dies_costs_only_its_own_turn() -> None:
    plan = Plan((ShortLived(), *wires("x")), (fixed("ping", 1.0),), rounds=1)
    benchmark, diary = run(plan)
    (failure,) = benchmark.report().failures
    assert (failure.contender, failure.workload) == ("short-lived", "start")
    assert "status 3" in failure.reason
    assert "farewell from a" in failure.reason
    assert benchmark.report().values("x", PING_IDLE) == {1: 1.0}
    assert diary.planned == pytest.approx(benchmark.seconds)


def test_a_workload_that_fails_costs_only_its_own_figures() -> None:
    bad = Workload("tcp", "tcp", (TCP_ONE,), lambda _pace: 2.0, broken)
    benchmark, _ = run(Plan(wires("x"), (bad, fixed("ping", 1.0)), rounds=1))
    (failure,) = benchmark.report().failures
    assert (failure.workload, failure.reason) == ("tcp", "it broke")
    assert benchmark.report().values("x", PING_IDLE) == {1: 1.0}
