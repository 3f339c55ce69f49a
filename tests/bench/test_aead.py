"""``meshvpn bench --aead`` measures every usable backend in turns and shows what it got."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

from rich.console import Console

from meshvpn.bench import aead
from meshvpn.bench.tables import aead_table
from tests.cli.command import meshvpn

if TYPE_CHECKING:
    import pytest


def test_backends_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def measure_aead(name: str, length: int, operation: str, _seconds: float) -> float:
        order.append(name)
        return length * {"x": 1.0, "y": 2.0}[name] + (0.0 if operation == "seal" else 1.0)

    monkeypatch.setattr("meshvpn._meshvpn.measure_aead", measure_aead)
    steps: list[int] = []
    figures = aead.measure(
        ["x", "y"],
        rounds=2,
        seconds=0.0,
        lengths=[64],
        progress=lambda step, _what: steps.append(step),
    )
    assert steps == list(range(aead.step_count(["x", "y"], rounds=2, lengths=[64])))
    assert order == ["x", "y", "x", "y", "y", "x", "y", "x"]
    medians = {(one.backend, one.operation): one.nanoseconds.median for one in figures}
    assert medians == {
        ("x", "seal"): 64.0,
        ("y", "seal"): 128.0,
        ("x", "open"): 65.0,
        ("y", "open"): 129.0,
    }
    console = Console(width=100, file=io.StringIO())
    with console.capture() as capture:
        console.print(aead_table(figures))
    assert "128 (128–128)" in capture.get()


def test_the_engines_own_backends_seal_and_open() -> None:
    usable = [backend.name for backend in aead.backends() if backend.available]
    assert usable
    figures = aead.measure(usable, rounds=1, seconds=0.01, lengths=[1420])
    assert len(figures) == 2 * len(usable)
    # Between the memory's speed and that of the slowest implementation worth having.
    assert all(20 < figure.nanoseconds.median < 100_000 for figure in figures)


def test_the_command_says_how_long_it_takes_and_prints_json_alone_to_standard_output() -> None:
    done = meshvpn("bench", "--aead", "--quick", "--json")
    assert done.returncode == 0
    assert re.search(r"^this takes about \d+ seconds$", done.stderr, re.MULTILINE)
    assert "\x1b" not in done.stderr
    figures = json.loads(done.stdout)
    assert {figure["length"] for figure in figures} == set(aead.LENGTHS)
    assert all(figure["nanoseconds"]["median"] > 0 for figure in figures)
