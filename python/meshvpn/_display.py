"""A packet as a tree for terminals and as a table for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.packet import Field, Layer, Packet

__all__ = ["Text", "html", "tree"]


class Text(str):
    """Lines that a prompt shows as lines, not as a string with escapes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def tree(packet: Packet) -> str:
    """The packet's line, then each layer with its fields."""
    return Text("\n".join(_tree_lines(packet)))


def _tree_lines(packet: Packet) -> Iterator[str]:
    yield str(packet)
    for defect in packet.defects:
        yield f"! {defect}"
    layers = packet.layers()
    for layer in layers:
        branch, bar = ("└─ ", "   ") if layer is layers[-1] else ("├─ ", "│  ")
        yield f"{branch}{layer.name}, {_span(layer)}"
        width = max(len(field.label) for field in layer.fields)
        for field in layer.fields:
            yield f"{bar}  {field.label:<{width}}  {_value(field)}"


def _span(layer: Layer) -> str:
    if layer.stop == layer.start:
        return "no bytes"
    return f"bytes {layer.start}–{layer.stop - 1}"


def _value(field: Field) -> str:
    return f"{field.text} ({field.meaning})" if field.meaning else field.text


# Colours come from the notebook's theme, light or dark; everything is scoped to one class.
_STYLE = """
.meshvpn-packet {font-family: monospace; font-size: 0.9em}
.meshvpn-packet summary {cursor: pointer}
.meshvpn-packet .line {font-weight: bold; padding: 0.2em 0}
.meshvpn-packet .defect {color: #d33}
.meshvpn-packet .span, .meshvpn-packet .meaning {opacity: 0.6}
.meshvpn-packet table {border-collapse: collapse; margin: 0 0 0.5em 1.5em}
.meshvpn-packet td {text-align: left; padding: 0 1.5em 0 0; border: 0}
.meshvpn-packet pre {margin: 0 0 0.5em 1.5em}
""".strip()


def html(packet: Packet) -> str:
    """The packet as one ``<div>`` that needs nothing else: layers and bytes fold away."""
    return "".join(_html_parts(packet))


def _html_parts(packet: Packet) -> Iterator[str]:
    yield f'<div class="meshvpn-packet"><style>{_STYLE}</style>'
    yield f'<div class="line">{escape(str(packet))}</div>'
    for defect in packet.defects:
        yield f'<div class="defect">{escape(defect)}</div>'
    for layer in packet.layers():
        yield f"<details><summary>{escape(layer.name)}"
        yield f' <span class="span">{_span(layer)}</span></summary><table>'
        for field in layer.fields:
            meaning = f'<td class="meaning">{escape(field.meaning or "")}</td>'
            yield f"<tr><td>{escape(field.label)}</td><td>{escape(field.text)}</td>{meaning}</tr>"
        yield "</table></details>"
    yield f"<details><summary>Bytes</summary><pre>{escape(packet.hexdump())}</pre></details></div>"
