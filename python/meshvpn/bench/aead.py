"""How fast each AEAD backend is by itself: ``meshvpn bench --aead``.

One thread seals or opens one packet over and over; the figure is nanoseconds a packet. 64 bytes
shows the fixed cost, 1420 is a full WireGuard segment, 16 kB what the cipher does when nothing else
counts. Backends take turns in rounds, as the tunnels do, because the machine drifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from meshvpn import _meshvpn
from meshvpn.bench.paired import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["LENGTHS", "OPERATIONS", "AeadFigure", "Backend", "Operation", "backends", "measure"]

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


def backends() -> tuple[Backend, ...]:
    """All backends that this build knows, those that cannot be used here included."""
    return tuple(Backend(*entry) for entry in _meshvpn.aead_backends())


def measure(
    names: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    lengths: Sequence[int] = LENGTHS,
    progress: Callable[[str], None] = lambda _what: None,
) -> Iterator[AeadFigure]:
    """Measure the named backends, ``seconds`` each time; ``progress`` hears of each before it."""
    samples: dict[tuple[str, Operation, int], list[float]] = {}
    for turn in range(rounds):
        for length in lengths:
            for operation in OPERATIONS:
                for place in range(len(names)):
                    name = names[(turn + place) % len(names)]
                    progress(f"{name} {operation} {length} B")
                    samples.setdefault((name, operation, length), []).append(
                        _meshvpn.measure_aead(name, length, operation, seconds)
                    )
    for (name, operation, length), values in samples.items():
        yield AeadFigure(name, operation, length, Spread.of(values))
