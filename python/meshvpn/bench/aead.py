"""How fast each AEAD backend is by itself: ``meshvpn bench --aead``.

One thread seals or opens one packet over and over; the figure is nanoseconds a packet. 64 bytes
shows the fixed cost, 1420 is a full WireGuard segment, 16 kB what the cipher does when nothing else
counts. Backends take turns in rounds, as the tunnels do, because the machine drifts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from meshvpn import _meshvpn
from meshvpn.bench.paired import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "LENGTHS",
    "OPERATIONS",
    "AeadFigure",
    "Backend",
    "Operation",
    "backends",
    "measure",
    "step_count",
]

Operation = Literal["seal", "open"]

OPERATIONS: Final[tuple[Operation, ...]] = ("seal", "open")
LENGTHS: Final = (64, 1420, 16384)
"""Bytes of plaintext."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An implementation of ChaCha20-Poly1305; ``why`` says what it is or why it cannot be used."""

    name: str
    available: bool
    why: str


@dataclass(frozen=True, slots=True)
class AeadFigure:
    """Nanoseconds a packet of one backend, operation and length over the rounds."""

    backend: str
    operation: Operation
    length: int
    nanoseconds: Spread

    @property
    def gbit_per_s(self) -> float:
        """Plaintext a second on one core, from the median."""
        return self.length * 8 / self.nanoseconds.median

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return asdict(self) | {"gbit_per_s": self.gbit_per_s}


def backends() -> tuple[Backend, ...]:
    """All backends that this build knows, those that cannot be used here included."""
    return tuple(Backend(*entry) for entry in _meshvpn.aead_backends())


def step_count(names: Sequence[str], *, rounds: int, lengths: Sequence[int] = LENGTHS) -> int:
    """How many measurements :func:`measure` makes."""
    return rounds * len(lengths) * len(OPERATIONS) * len(names)


def measure(
    names: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    lengths: Sequence[int] = LENGTHS,
    progress: Callable[[int, str], None] = lambda _step, _what: None,
) -> list[AeadFigure]:
    """Measure the named backends, ``seconds`` each time.

    ``progress`` hears of each measurement before it: its number, from 0, and what it is.
    """
    samples: dict[tuple[str, Operation, int], list[float]] = {}
    step = 0
    for turn in range(rounds):
        for length in lengths:
            for operation in OPERATIONS:
                for place in range(len(names)):
                    name = names[(turn + place) % len(names)]
                    progress(step, f"{name} {operation} {length} B")
                    samples.setdefault((name, operation, length), []).append(
                        _meshvpn.measure_aead(name, length, operation, seconds)
                    )
                    step += 1
    return [
        AeadFigure(name, operation, length, Spread.of(values))
        for (name, operation, length), values in samples.items()
    ]
