"""The benchmark itself: rounds in which every contender gets every workload once.

Rounds interleave the contenders, so that a machine that slows down slows all of them, and each
round starts with another contender and another workload, so that nobody always runs first. Each
contender starts with fresh daemons in fresh namespaces. What fails is noted and the run goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from meshvpn.bench.environment import Environment
from meshvpn.bench.iperf import IPERF3
from meshvpn.bench.metrics import RSS
from meshvpn.bench.ping import PING
from meshvpn.bench.report import Entrant, Failure, Missing, Report, Sample, Settings
from meshvpn.bench.topology import wire
from meshvpn.bench.workloads import WORKLOADS, Figures, Pace, Workload
from meshvpn.errors import ConfigError, MeshError, MissingProgramError
from meshvpn.lab import enter_user_namespace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshvpn.bench.contenders import Contender, Link

__all__ = ["Benchmark", "Observer", "Plan"]

_T = TypeVar("_T")

_START_S: Final = 1.5
"""What starting and ending a pair of daemons takes, roughly: for the time estimate alone."""


class Observer(Protocol):
    """Who is told how the run goes on."""

    def absent(self, missing: Missing) -> None:
        """A contender cannot take part."""

    def doing(self, round_number: int, contender: str, what: str) -> None:
        """A step begins."""

    def advanced(self, seconds: float) -> None:
        """A step planned to take that many seconds is over."""

    def finished(self, round_number: int, contender: str, figures: Figures) -> None:
        """A contender is through with a round."""

    def failed(self, failure: Failure) -> None:
        """A step gave no figure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    contenders: tuple[Contender, ...]
    workloads: tuple[Workload, ...] = tuple(WORKLOADS.values())
    rounds: int = 5
    pace: Pace = field(default_factory=Pace)


class Benchmark:
    """One run. :meth:`report` gives what has been measured so far, after an interruption too."""

    def __init__(self, plan: Plan, observer: Observer) -> None:
        """Look who can take part.

        Raises:
            MissingProgramError: iperf3 or ping is not installed.
            ConfigError: none of the contenders is installed.
            PermissionDeniedError: neither root nor user namespaces can be had.
        """
        for program in (IPERF3, PING):
            program.find()
        # Without root this makes a user namespace, which must come before any thread is started.
        enter_user_namespace()
        self._plan = plan
        self._observer = observer
        self._environment = Environment.here(iperf3=IPERF3.version())
        self._missing = _absentees(plan.contenders)
        for entry in self._missing:
            observer.absent(entry)
        absent = {entry.name for entry in self._missing}
        self._present = tuple(one for one in plan.contenders if one.name not in absent)
        if not self._present:
            raise ConfigError("none of the chosen contenders is installed")
        self._versions = {one.name: one.version() for one in self._present}
        self._mtus: dict[str, int | None] = {}
        self._samples: list[Sample] = []
        self._failures: list[Failure] = []

    @property
    def seconds(self) -> float:
        """How long :meth:`run` will take, about."""
        sittings = (sitting for one in self._present for sitting in self._sittings(1, one))
        return self._plan.rounds * sum(map(self._sitting_seconds, sittings))

    def run(self) -> None:
        """Run all rounds."""
        for number in range(1, self._plan.rounds + 1):
            for contender in _rotated(self._present, number - 1):
                self._take_turn(number, contender)

    def report(self) -> Report:
        """Everything measured so far."""
        return Report(
            environment=self._environment,
            settings=Settings(
                rounds=self._plan.rounds,
                seconds=self._plan.pace.seconds,
                workloads=tuple(workload.key for workload in self._plan.workloads),
                congestion=self._plan.pace.congestion,
            ),
            entrants=tuple(
                Entrant(one.name, one.family, self._versions[one.name], self._mtus.get(one.name))
                for one in self._present
            ),
            missing=self._missing,
            samples=tuple(self._samples),
            failures=tuple(self._failures),
        )

    def _take_turn(self, number: int, contender: Contender) -> None:
        """One contender's turn in one round."""
        figures: Figures = {}
        for workloads in self._sittings(number, contender):
            figures |= self._sit(number, contender, workloads)
        self._samples += [
            Sample(number, contender.name, metric, value) for metric, value in figures.items()
        ]
        self._observer.finished(number, contender.name, figures)

    def _sittings(self, number: int, contender: Contender) -> list[tuple[Workload, ...]]:
        """What a contender has to carry in a round, by the daemons that do it."""
        suited = [
            workload
            for workload in self._plan.workloads
            if contender.is_wireguard or not workload.needs_wireguard
        ]
        together = tuple(workload for workload in suited if not workload.is_apart)
        apart = [(workload,) for workload in suited if workload.is_apart]
        return [_rotated(together, number - 1), *apart] if together else [*apart]

    def _sit(self, number: int, contender: Contender, workloads: tuple[Workload, ...]) -> Figures:
        """Let fresh daemons carry some workloads."""
        self._observer.doing(number, contender.name, "start")
        figures: Figures = {}
        left = self._sitting_seconds(workloads)
        try:
            with (
                TemporaryDirectory(prefix="meshvpn-bench-") as folder,
                wire() as place,
                contender.running(place, Path(folder)) as link,
            ):
                self._mtus[contender.name] = link.mtu
                for workload in workloads:
                    self._observer.doing(number, contender.name, workload.title)
                    figures |= self._carry(number, contender, workload, link)
                    self._observer.advanced(workload.duration(self._plan.pace))
                    left -= workload.duration(self._plan.pace)
                memory = link.peak_rss_mb()
                if memory is not None and not any(workload.is_apart for workload in workloads):
                    figures[RSS] = memory
        except MeshError as error:
            self._fail(number, contender, "start", error)
        self._observer.advanced(left)
        return figures

    def _carry(self, number: int, contender: Contender, workload: Workload, link: Link) -> Figures:
        """One workload; its failure costs its own figures only, unless a daemon has died."""
        try:
            return workload.measure(link, self._plan.pace)
        except MeshError as error:
            self._fail(number, contender, workload.key, error)
            for daemon in link.daemons:
                daemon.check_alive()
            return {}

    def _fail(self, number: int, contender: Contender, workload: str, error: MeshError) -> None:
        failure = Failure(number, contender.name, workload, str(error))
        self._failures.append(failure)
        self._observer.failed(failure)

    def _sitting_seconds(self, workloads: tuple[Workload, ...]) -> float:
        return _START_S + sum(workload.duration(self._plan.pace) for workload in workloads)


def _absentees(contenders: Sequence[Contender]) -> tuple[Missing, ...]:
    absent = []
    for contender in contenders:
        try:
            contender.check_available()
        except MissingProgramError as error:
            absent.append(Missing(contender.name, str(error)))
    return tuple(absent)


def _rotated(items: Sequence[_T], by: int) -> tuple[_T, ...]:
    start = by % len(items)
    return (*items[start:], *items[:start])
