"""Handshakes: how many a WireGuard device answers, and what a flood of them costs its peers.

*Answering*: a thousand further peers shake hands with the far device at once, each from an address
of its own, and heed the cookies that it asks for. What counts is responses for a second of the
daemon's CPU time, in user and kernel mode, on whatever cores it spends that; the caller's work is
done before.

*Flooded*: one TCP stream of a peer that has a session, without and with strangers who know no more
than the device's public key: their initiations have a right mac1 and say nothing. The rate is one
that nobody can answer by computing (one initiation costs most of 100 µs, so 10,000 of them a core),
and that a single host can easily send. Calm and flood alternate (calm, flood, flood, calm), so that
a drift of the machine cancels. The flood's sender shares the cores with everything else, so the
stream pays for that too; how much it is, the report says.
"""

from __future__ import annotations

import base64
import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from meshvpn import _meshvpn
from meshvpn.bench import metrics
from meshvpn.bench.contenders.wireguard import PORT
from meshvpn.bench.iperf import TcpOutcome, run_iperf
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshvpn.bench.contenders import Link
    from meshvpn.bench.workload import Figures, Pace

__all__ = ["FLOOD_PER_SECOND", "answering", "answering_length", "flooded", "flooded_length"]

PEERS: Final = 1000
"""Callers. Busy devices take 20 handshakes a second from one address, so these could make 20,000,
more than a core of anybody answers."""

CALLS_PER_SECOND_OF_PACE: Final = 2
"""Handshakes of each caller, so that at the usual pace some 10,000 are counted."""

FLOOD_PER_SECOND: Final = 10_000
"""Initiations of strangers."""

_ORDER: Final = (False, True, True, False)
"""Is there a flood?"""


def answering(link: Link, pace: Pace) -> Figures:
    """Let a thousand peers shake hands with the far device as fast as it answers."""
    with link.crowd.host.enter():
        crowd = _meshvpn.HandshakeCrowd(*_called(link), PEERS)
    _add_peers(link, crowd.public_keys())
    # Once beforehand: some devices make room for a peer when they first hear of it.
    crowd.prepare(1)
    crowd.call()
    crowd.prepare(CALLS_PER_SECOND_OF_PACE * pace.seconds)
    daemon = link.daemons[-1]
    before = daemon.cpu_seconds()
    tally = crowd.call()
    spent = daemon.cpu_seconds() - before
    if not tally.responses or not spent:
        raise LabError(f"{tally.sent} initiations, {tally.cookies} cookies, no response")
    return {
        metrics.HANDSHAKES: tally.responses / tally.seconds,
        metrics.HANDSHAKES_CPU: tally.responses / spent,
    }


def answering_length(pace: Pace) -> float:
    """Seconds that :func:`answering` takes, with making the calls ready."""
    return 1 + 0.6 * pace.seconds


def flooded(link: Link, pace: Pace) -> Figures:
    """Hold a TCP stream in a flood of handshakes against the same in calm."""
    throughput: dict[bool, list[float]] = {False: [], True: []}
    floods: list[_Flood] = []
    for is_flooded in _ORDER:
        with ExitStack() as stack:
            if is_flooded:
                stack.enter_context(_flood(link, floods))
            outcome = TcpOutcome.parse(run_iperf(link, _part(pace)))
        throughput[is_flooded].append(outcome.gbit_per_s)
    return {
        metrics.CALM: statistics.fmean(throughput[False]),
        metrics.FLOODED: statistics.fmean(throughput[True]),
        metrics.COOKIES: statistics.fmean(flood.cookies_per_second for flood in floods),
        metrics.FLOOD_SENDER: statistics.fmean(flood.sender_percent for flood in floods),
    }


def flooded_length(pace: Pace) -> float:
    """Seconds that :func:`flooded` takes."""
    return len(_ORDER) * _part(pace)


def _part(pace: Pace) -> int:
    return max(1, pace.seconds // 2)


@dataclass(frozen=True, slots=True)
class _Flood:
    """What one flood got, and what it cost its sender."""

    cookies_per_second: float
    sender_percent: float


@contextmanager
def _flood(link: Link, floods: list[_Flood]) -> Iterator[None]:
    """A flood for as long as the block runs; what became of it is added to ``floods``."""
    with link.crowd.host.enter():
        flood = _meshvpn.HandshakeFlood(*_called(link), FLOOD_PER_SECOND)
    # All that this process does meanwhile: the programs that it waits for are other processes.
    before = time.process_time()
    try:
        yield
    finally:
        spent = time.process_time() - before
        tally = flood.stop()
    if tally is not None:
        seconds = tally.seconds
        floods.append(_Flood(tally.cookies / seconds, 100 * spent / seconds))


def _called(link: Link) -> tuple[bytes, str, str]:
    """The far device's public key and endpoint, and the first caller's address."""
    crowd = link.crowd
    return base64.b64decode(link.public_key), f"{crowd.target}:{PORT}", crowd.first


def _add_peers(link: Link, public_keys: Iterable[bytes]) -> None:
    sections = (
        f"[Peer]\nPublicKey = {base64.b64encode(key).decode('ascii')}\n" for key in public_keys
    )
    with TemporaryDirectory(prefix="meshvpn-peers-") as folder:
        file = Path(folder) / "peers.conf"
        file.write_text("".join(sections), encoding="ascii")
        link.far.host.run(("wg", "addconf", link.far.device, str(file)))
