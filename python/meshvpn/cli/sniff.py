"""``meshvpn sniff``: create a TUN device and print what the kernel routes into it.

A line a packet, in the order in which they come::

    [mesh0] 192.168.1.100 -> 8.8.8.8 | ICMP Echo Request | 64 bytes

Fragments have their own lines, and when the last one is there the whole they make has one more. The
device is a black hole, unless ``--answer-ping`` makes every address behind it answer.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from meshvpn.capture import PcapngWriter
from meshvpn.cli.options import (
    Addresses,
    DeviceName,
    Mtu,
    Namespace,
    Routes,
    Verbose,
    whole_number,
)
from meshvpn.cli.paint import has_color, packet_line
from meshvpn.cli.stopping import until_stopped
from meshvpn.cli.streams import give_up_output
from meshvpn.cli.tracing import log_to_stderr
from meshvpn.packet import Packet, Reassembler
from meshvpn.tun import Tun

__all__ = ["app", "sniff"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def sniff(
    name: DeviceName,
    *,
    address: Addresses = None,
    route: Routes = None,
    mtu: Mtu = None,
    netns: Namespace = None,
    count: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(1, sys.maxsize),
            metavar="N",
            help="Stop after N packets routed into it; answers do not count.",
        ),
    ] = None,
    answer_ping: Annotated[
        bool, typer.Option("--answer-ping", help="Answer echo requests, whatever their address.")
    ] = False,
    hex_dump: Annotated[
        bool, typer.Option("--hex", help="Show each packet's bytes below its line.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, with every field.")
    ] = False,
    pcap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also record the packets as pcapng.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Create a TUN device and print every packet that is routed into it, until Ctrl-C."""
    if hex_dump and as_json:
        raise typer.BadParameter("--json has the bytes already: leave --hex out")
    log_to_stderr(verbose=verbose)
    with ExitStack() as stack:
        stack.enter_context(until_stopped())
        tun = stack.enter_context(
            Tun(name, address=address or (), route=route or (), mtu=mtu, netns=netns)
        )
        # After the device: what cannot be sniffed must not cost an older capture.
        record = stack.enter_context(PcapngWriter(pcap)).write if pcap else _forget
        typer.echo(_introduction(tun, route or ()), err=True)
        sniffer = _Sniffer(tun, _format(hex_dump=hex_dump, as_json=as_json), record)
        stack.callback(sniffer.sum_up)
        try:
            sniffer.run(count, answer_ping=answer_ping)
        except BrokenPipeError:  # whoever read us, such as `head`, has seen enough
            give_up_output()


class _Sniffer:
    """Reads packets from a device, and shows, records, reassembles, answers and counts them."""

    def __init__(
        self, tun: Tun, to_text: Callable[[Packet], str], record: Callable[[Packet], object]
    ) -> None:
        self._tun = tun
        self._to_text = to_text
        self._record = record
        self._reassembler = Reassembler()
        self._started = time.monotonic()
        self._protocols: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()

    def run(self, count: int | None, *, answer_ping: bool) -> None:
        """Work until ``count`` packets were read or the device is gone."""
        for packet in self._tun:
            self._count(packet)
            self._record(packet)
            self._show(packet)
            whole = self._reassembler.feed(packet)
            if whole is not None:
                self._show(whole)
                self._remarks["reassembled"] += 1
            if answer_ping:
                self._answer(whole or packet)
            if self._protocols.total() == count:
                return

    def sum_up(self) -> None:
        """Say on standard error how many packets of what kind there were."""
        total = self._protocols.total()
        seconds = time.monotonic() - self._started
        line = f"{self._tun.name}: {total} packet{'' if total == 1 else 's'} in {seconds:.1f} s"
        for counted in (self._protocols, self._remarks):
            if counted:
                line += "; " + ", ".join(f"{n} {what}" for what, n in counted.most_common())
        typer.echo(line, err=True)

    def _answer(self, request: Packet) -> None:
        reply = request.echo_reply()
        if reply is not None:
            self._tun.send(reply)
            self._show(reply)
            self._record(reply)
            self._remarks["answered"] += 1

    def _show(self, packet: Packet) -> None:
        # Whoever reads a pipe wants the line now, not when a buffer is full.
        sys.stdout.write(self._to_text(packet) + "\n")
        sys.stdout.flush()

    def _count(self, packet: Packet) -> None:
        self._protocols[packet.protocol_name or "not IP"] += 1
        if packet.fragment_kind is not None:
            self._remarks["fragments"] += 1
        if packet.is_malformed:
            self._remarks["malformed"] += 1


def _introduction(tun: Tun, routes: list[str] | tuple[()]) -> str:
    parts = [", ".join(map(str, tun.addresses)) or "no address", f"MTU {tun.mtu}"]
    if routes:
        parts.append("routes " + ", ".join(routes))
    return f"{tun.name}: {'; '.join(parts)}; Ctrl-C ends"


def _format(*, hex_dump: bool, as_json: bool) -> Callable[[Packet], str]:
    if as_json:
        return lambda packet: json.dumps(packet.to_dict())
    to_line = packet_line if has_color(sys.stdout) else str
    if hex_dump:
        return lambda packet: f"{to_line(packet)}\n{packet.hexdump()}"
    return to_line


def _forget(_packet: Packet) -> None:
    """Record nothing."""
