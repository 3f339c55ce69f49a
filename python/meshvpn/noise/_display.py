"""Messages and states as text for terminals and as coloured bytes and tables for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from meshvpn._display import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshvpn.noise._message import Message, MessageField
    from meshvpn.noise.states import TokenState

__all__ = ["html", "states_html", "states_table", "tree"]

_LONGEST_TEXT = 44
"""Characters of a value in a line; the rest is in the message's bytes."""


def tree(message: Message) -> str:
    """The message's name, then a line for each field."""
    fields = message.fields()
    width = max(len(field.name) for field in fields)
    lines = [
        f"  {_span(field, 3):<9} {field.name:<{width}}  {_shortened(field.text)}"
        for field in fields
    ]
    return Text("\n".join([_title(message), *lines]))


def states_table(states: Sequence[TokenState]) -> str:
    """A line for each token, with the beginnings of hash and chaining key."""
    lines = [f"{'message':<10}  {'token':<8}  {'hash':<16}   {'chaining key':<16}   rule"]
    for state in states:
        digests = f"{state.hash.hex()[:16]}…  {state.chaining_key.hex()[:16]}…"
        lines.append(f"{state.message:<10}  {state.token:<8}  {digests}  {state.rule}")
    return Text("\n".join(lines))


# Colours come from the notebook's theme, light or dark, with a tint for each field; everything is
# scoped to one class.
_STYLE = """
.meshvpn-noise {font-family: monospace; font-size: 0.9em}
.meshvpn-noise .line {font-weight: bold; padding: 0.2em 0}
.meshvpn-noise .span, .meshvpn-noise .meaning {opacity: 0.6}
.meshvpn-noise table {border-collapse: collapse; margin: 0 0 0.5em 0}
.meshvpn-noise td, .meshvpn-noise th {text-align: left; padding: 0 1.5em 0 0.3em; border: 0}
.meshvpn-noise summary {cursor: pointer}
.meshvpn-noise pre {margin: 0}
""".strip()

_HUES = (210, 0, 30, 60, 120, 175, 280, 320)
_BYTES_A_LINE = 16


def html(message: Message) -> str:
    """The message as one ``<div>`` that needs nothing else."""
    return "".join(_html_parts(message))


def states_html(states: Sequence[TokenState]) -> str:
    """The states as one ``<div>`` that needs nothing else."""
    head = "".join(
        f"<th>{name}</th>" for name in ("message", "token", "hash, chaining key", "rule")
    )
    rows = (
        f"<tr><td>{escape(state.message)}</td><td>{escape(state.token)}</td>"
        f"<td>{state.hash.hex()}<br>{state.chaining_key.hex()}</td>"
        f'<td class="meaning">{escape(state.rule)}</td></tr>'
        for state in states
    )
    return f"{_begin()}<table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _html_parts(message: Message) -> Iterator[str]:
    fields = message.fields()
    yield f'{_begin()}<div class="line">{escape(_title(message))}</div><table>'
    for number, field in enumerate(fields):
        yield f'<tr><td style="{_tint(number)}">{escape(field.name)}</td>'
        yield f'<td class="span">{_span(field)}</td><td>{escape(_shortened(field.text))}</td>'
        yield f'<td class="meaning">{escape(field.meaning)}</td></tr>'
    yield "</table><details open><summary>Bytes</summary><pre>"
    tints = [_tint(number) for number, field in enumerate(fields) for _ in range(*field[1:3])]
    for start in range(0, len(message), _BYTES_A_LINE):
        line = range(start, min(start + _BYTES_A_LINE, len(message)))
        cells = (f'<span style="{tints[at]}"> {message[at]:02x}</span>' for at in line)
        yield f'<span class="span">{start:04x} </span>{"".join(cells)}\n'
    yield "</pre></details></div>"


def _begin() -> str:
    return f'<div class="meshvpn-noise"><style>{_STYLE}</style>'


def _title(message: Message) -> str:
    return f"{type(message).__name__}, {len(message)} bytes"


def _span(field: MessageField, width: int = 0) -> str:
    last = field.stop - 1
    return f"{field.start:>{width}}" + (f"–{last}" if last > field.start else "")


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2 - 2
    return f"{text[:half]}…{text[-half:]}"


def _tint(number: int) -> str:
    return f"background: hsl({_HUES[number % len(_HUES)]} 70% 50% / 0.25)"
