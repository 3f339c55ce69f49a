"""What a benchmark run leaves behind: samples, who took part, where, and what went wrong.

The JSON file holds every single figure, not only medians, so that a table, a plot or another
statistic can be made from it later (``meshvpn bench --show FILE``):

    {"schema": 1,
     "environment": {"cpu": "…", "kernel": "…", …},
     "settings": {"rounds": 5, "seconds": 6, …},
     "entrants": [{"name": "openvpn", "family": "openvpn", "version": "2.6.14", "mtu": 1500}, …],
     "missing": [{"name": "nebula", "reason": "…"}],
     "samples": [{"round": 1, "contender": "openvpn",
                  "metric": "tcp_gbit_per_s", "value": 0.86}, …],
     "failures": [{"round": 2, "contender": "nebula", "workload": "udp-flood", "reason": "…"}]}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from meshvpn.bench.environment import Environment
from meshvpn.bench.metrics import METRICS, Metric
from meshvpn.bench.paired import Spread
from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Entrant", "Failure", "Missing", "Report", "Sample", "Settings"]

_SCHEMA: Final = 1
"""Raised when a field changes its meaning; a new field does not raise it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run was asked for."""

    rounds: int
    seconds: int
    workloads: tuple[str, ...]
    congestion: str | None = None


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender that took part; ``mtu`` of its tunnel device, in bytes."""

    name: str
    family: str
    version: str
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A contender that could not take part, and what would change that."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of one contender in one round (rounds count from 1)."""

    round: int
    contender: str
    metric: Metric
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A workload that gave no figure in one round; ``workload`` is "start" for the daemons."""

    round: int
    contender: str
    workload: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    environment: Environment
    settings: Settings
    entrants: tuple[Entrant, ...]
    missing: tuple[Missing, ...] = ()
    samples: tuple[Sample, ...] = ()
    failures: tuple[Failure, ...] = ()

    def values(self, contender: str, metric: Metric) -> dict[int, float]:
        """The figure of every round that has one: round number → value in the metric's unit."""
        return {
            sample.round: sample.value
            for sample in self.samples
            if sample.contender == contender and sample.metric.key == metric.key
        }

    def spread(self, contender: str, metric: Metric) -> Spread | None:
        """Median, smallest and largest over the rounds, or ``None`` where nothing was measured."""
        values = self.values(contender, metric)
        return Spread.of(values.values()) if values else None

    def measured(self, metric: Metric) -> bool:
        """Whether any contender has this figure."""
        return any(sample.metric.key == metric.key for sample in self.samples)

    def to_json(self) -> str:
        """The file's text, as drawn at the top of this module."""
        return json.dumps(
            {
                "schema": _SCHEMA,
                "environment": asdict(self.environment),
                "settings": asdict(self.settings),
                "entrants": [asdict(entrant) for entrant in self.entrants],
                "missing": [asdict(missing) for missing in self.missing],
                "samples": [
                    {
                        "round": sample.round,
                        "contender": sample.contender,
                        "metric": sample.metric.key,
                        "value": sample.value,
                    }
                    for sample in self.samples
                ],
                "failures": [asdict(failure) for failure in self.failures],
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a file back; :class:`ConfigError` where it is none, or of another schema."""
        try:
            document: Mapping[str, Any] = json.loads(text)
            if document["schema"] != _SCHEMA:
                raise ConfigError(
                    f"benchmark file has schema {document['schema']!r}, not {_SCHEMA}",
                    hint="another version of meshvpn has written it",
                )
            settings = dict(document["settings"])
            settings["workloads"] = tuple(settings["workloads"])
            return cls(
                environment=Environment(**document["environment"]),
                settings=Settings(**settings),
                entrants=tuple(Entrant(**entry) for entry in document["entrants"]),
                missing=tuple(Missing(**entry) for entry in document["missing"]),
                samples=tuple(
                    Sample(
                        entry["round"],
                        entry["contender"],
                        METRICS[entry["metric"]],
                        float(entry["value"]),
                    )
                    for entry in document["samples"]
                ),
                failures=tuple(Failure(**entry) for entry in document["failures"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"not a benchmark file: {error!r}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file written by ``--json``."""
        return cls.from_json(path.read_text(encoding="utf-8"))
