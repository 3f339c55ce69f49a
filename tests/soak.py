"""A tunnel under everything at once, for a long time: nothing leaks and nothing arrives corrupted.

``make soak``, or ``python tests/soak.py --minutes 10`` as root. Between two hosts of a lab, over a
path whose MTU changes, runs a pre-shared-key tunnel. Through it go TCP both ways, UDP and pings,
over IPv4 and IPv6, checked for their contents. Meanwhile one side starts again every few seconds,
the path goes away now and then, and an attacker sends random datagrams and repeats real ones. The
tunnel is in a process of its own, so that what that holds is what a tunnel holds.

It ends with a report, and with status 1 when

* a transfer arrived changed, or none arrived for a whole minute,
* descriptors or threads are more in the second half than in the first (medians, after a warm-up of
  a minute, or a third of a short run),
* memory grew by more than 5 MB an hour, measured as the slope of a line through the resident size
  (after the warm-up, and never less than 4 MB in all: the allocator needs some room to move in).
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if __name__ == "__main__":
    # As a program it is started by its path; its neighbours are in the package `tests`.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from meshvpn import MeshError
from meshvpn.lab import Lab
from tests.tunnel.keeper import PORT, Keeper
from tests.tunnel.pair import Place, Version, transfer
from tests.tunnel.processes import Held
from tests.tunnel.wire import Capture, Injector

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.lab import NarrowPath

SAMPLE_SECONDS = 2.0
RESTART_SECONDS = (3.0, 12.0)
PATH_SECONDS = (4.0, 15.0)
PATH_MTUS = (1500, 1400, 1280, 1124)
# How long the path may be away: long enough for the tunnel to notice.
AWAY_SECONDS = 4.0
# The first minute fills buffers, caches and the allocator's arenas; less in short runs.
WARM_UP_SECONDS = 60.0
MEMORY_SLACK_KILOBYTES = 4096
MEMORY_KILOBYTES_PER_HOUR = 5120
# A transfer that takes longer has met a restart, which ends nothing, and is tried again.
STALL_SECONDS = 60.0


@dataclass
class Seen:
    """What happened so far; every number has one thread that writes it."""

    bytes_moved: Counter[str] = field(default_factory=Counter)
    transfers: Counter[str] = field(default_factory=Counter)
    unfinished: Counter[str] = field(default_factory=Counter)
    corrupted: list[str] = field(default_factory=list)
    restarts: int = 0
    path_changes: int = 0
    hostile: int = 0
    samples: list[tuple[float, Held]] = field(default_factory=list)
    last_success: float = field(default_factory=time.monotonic)
    longest_stall: float = 0.0

    def succeed(self, what: str, size: int) -> None:
        """Notes something that arrived as it was sent."""
        self.bytes_moved[what] += size
        self.transfers[what] += 1
        now = time.monotonic()
        self.longest_stall = max(self.longest_stall, now - self.last_success)
        self.last_success = now


class Soak:
    """The network, the tunnel, and the threads that use and abuse it."""

    def __init__(self, path: NarrowPath, seed: int) -> None:
        self.path = path
        self.seen = Seen()
        self.keeper = Keeper(path.a, path.b)
        self.ends = Place(path.a, "10.9.0.1", "fd09::1"), Place(path.b, "10.9.0.2", "fd09::2")
        self.stopping = threading.Event()
        self._seed = seed

    def run(self, seconds: float, tick: Callable[[], None]) -> None:
        """Runs everything for a time, and samples what the process holds."""
        jobs: list[Callable[[random.Random], None]] = [
            lambda dice: self._carry(dice, 0, 1, 4),
            lambda dice: self._carry(dice, 1, 0, 6),
            self._send_datagrams,
            self._ping,
            self._restart,
            self._change_path,
            self._attack,
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(job, random.Random(self._seed + number)))
            for number, job in enumerate(jobs)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.seen.corrupted:
            self.seen.samples.append((time.monotonic(), self.keeper.held()))
            tick()
            self.stopping.wait(SAMPLE_SECONDS)
        self.stopping.set()
        for thread in threads:
            thread.join()
        self.keeper.close()

    def _repeat(self, job: Callable[[random.Random], None], dice: random.Random) -> None:
        while not self.stopping.is_set():
            try:
                job(dice)
            except AssertionError as problem:
                self.seen.corrupted.append(str(problem) or repr(problem))
            except (OSError, MeshError) as problem:
                # A restart or a path that is away ends connections: tried again, but counted.
                self.seen.unfinished[type(problem).__name__] += 1
                self.stopping.wait(0.2)

    # --- use ---

    def _carry(self, dice: random.Random, sender: int, receiver: int, version: Version) -> None:
        size = dice.choice([10_000, 1 << 20, 8 << 20])
        transfer(self.ends[sender], self.ends[receiver], version, size=size)
        self.seen.succeed(f"TCP over IPv{version}", size)

    def _send_datagrams(self, dice: random.Random) -> None:
        a, b = self.ends
        with (
            b.host.socket(bind=(b.ipv4, 0)) as server,
            a.host.socket() as client,
        ):
            server.settimeout(0.5)
            for _ in range(200):
                content = dice.randbytes(dice.randrange(8, 3000))
                client.sendto(hashlib.sha256(content).digest() + content, server.getsockname())
                try:
                    arrived = server.recv(65536)
                except TimeoutError:
                    self.seen.unfinished["UDP lost"] += 1
                    continue
                # One that was late may come instead; whole it must be.
                assert hashlib.sha256(arrived[32:]).digest() == arrived[:32], "UDP arrived changed"
                self.seen.succeed("UDP", len(arrived))

    def _ping(self, dice: random.Random) -> None:
        a, b = self.ends
        version: Version = dice.choice([4, 6])
        size = dice.randrange(0, 3000)
        options = ["-n", "-q", "-i", "0.01", "-c", "20", "-W", "1", "-s", str(size)]
        shown = a.host.run(["ping", *options, b.inside(version)], check=False, timeout=120).stdout
        replies = int(shown.split(" received")[0].rsplit(" ", 1)[-1]) if " received" in shown else 0
        self.seen.unfinished["pings unanswered"] += 20 - replies
        if replies:
            self.seen.succeed("ping", replies * size)

    # --- abuse ---

    def _restart(self, dice: random.Random) -> None:
        self.stopping.wait(dice.uniform(*RESTART_SECONDS))
        self.keeper.restart(dice.randrange(2))
        self.seen.restarts += 1

    def _change_path(self, dice: random.Random) -> None:
        self.stopping.wait(dice.uniform(*PATH_SECONDS))
        if dice.random() < 0.2:
            with self.path.middle.set_loss(1):
                self.stopping.wait(dice.uniform(0, AWAY_SECONDS))
        elif dice.random() < 0.3:
            with self.path.middle.set_loss(0.02), self.path.block_icmp():
                self.stopping.wait(AWAY_SECONDS)
        else:
            self.path.set_mtu(dice.choice(PATH_MTUS))
        self.seen.path_changes += 1

    def _attack(self, dice: random.Random) -> None:
        a, b = self.path.a, self.path.b
        source, to = (a.ipv4, PORT), (b.ipv4, PORT)
        with Capture(self.path.right, "eth1", limit=1000) as wire:
            self.stopping.wait(0.5)
        recorded = [datagram for datagram in wire.datagrams(a.ipv4) if len(datagram) < 1400]
        with Injector(self.path.right) as injector:
            for datagram in recorded:
                at = dice.randrange(len(datagram)) if datagram else 0
                changed = datagram[:at] + dice.randbytes(1) + datagram[at + 1 :]
                noise = dice.randbytes(dice.randrange(1400))
                for hostile in (datagram, changed, datagram[:at], noise):
                    injector.send(hostile, source, to)
                    self.seen.hostile += 1
        with self.path.right.socket() as sender:
            for length in range(0, 65508, 4099):
                sender.sendto(dice.randbytes(length), to)
                self.seen.hostile += 1


def problems(seen: Seen) -> list[str]:
    """What must not have happened."""
    found = [f"corrupted: {what}" for what in seen.corrupted]
    stall = max(seen.longest_stall, time.monotonic() - seen.last_success)
    if stall > STALL_SECONDS:
        found.append(f"nothing arrived for {stall:.0f} s")
    first, last = seen.samples[0][0], seen.samples[-1][0]
    warm = first + min(WARM_UP_SECONDS, (last - first) / 3)
    samples = [(at / 3600, held) for at, held in seen.samples if at >= warm]
    if len(samples) < 4:
        return [*found, "too short to judge what it holds"]
    # In the middle of the run's halves: while an end is replaced, what it holds is missing.
    half = len(samples) // 2
    before, after = (
        Held(*map(statistics.median_low, zip(*(held for _, held in part), strict=True)))
        for part in (samples[:half], samples[half:])
    )
    if after.descriptors > before.descriptors:
        found.append(f"descriptors grew from {before.descriptors} to {after.descriptors}")
    if after.threads > before.threads:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    hours = samples[-1][0] - samples[0][0]
    line = statistics.linear_regression(
        [at for at, _ in samples], [float(held.kilobytes) for _, held in samples]
    )
    if line.slope * hours > MEMORY_SLACK_KILOBYTES + MEMORY_KILOBYTES_PER_HOUR * hours:
        grown = f"{line.slope * hours:.0f} kB in {hours * 60:.1f} minutes"
        found.append(f"memory grew by {grown}")
    return found


def report(console: Console, soak: Soak) -> None:
    """Shows what was seen."""
    seen = soak.seen
    table = Table("what", "how much", title="soak", title_justify="left")
    for what, count in sorted(seen.transfers.items()):
        table.add_row(what, f"{count:,} times, {seen.bytes_moved[what] / 1e6:,.1f} MB, intact")
    for what, count in sorted(seen.unfinished.items()):
        table.add_row(what, f"{count:,} (restarts, loss, MTU changes)")
    table.add_row("restarts, path changes", f"{seen.restarts:,}, {seen.path_changes:,}")
    table.add_row("hostile datagrams", f"{seen.hostile:,}")
    table.add_row("longest time without success", f"{seen.longest_stall:.1f} s")
    for title, counts in (("dropped", soak.keeper.drops), ("events", soak.keeper.events)):
        shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
        table.add_row(title, shown or "none")
    step = max(1, len(seen.samples) // 10)
    held = [held for _, held in seen.samples[::step]]
    memory = " ".join(f"{moment.kilobytes / 1024:.1f}" for moment in held)
    table.add_row("memory over time", f"{memory} MB")
    for what in ("descriptors", "threads"):
        table.add_row(f"{what} over time", " ".join(str(getattr(at, what)) for at in held))
    console.print(table)


def main() -> int:
    """Runs the soak; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (default: 1)")
    options = parser.parse_args()
    # A peer that does not answer is what the soak is about.
    logging.basicConfig(level=logging.ERROR)
    console = Console()
    columns = (
        TextColumn("soak"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Lab() as lab, Progress(*columns, console=console) as progress:
        soak = Soak(lab.narrow_path(1500), options.seed)
        task = progress.add_task("soak", total=options.minutes * 60, now="")

        def tick() -> None:
            seen, (at, held) = soak.seen, soak.seen.samples[-1]
            now = (
                f"{sum(seen.bytes_moved.values()) / 1e6:,.0f} MB, {seen.restarts} restarts, "
                f"{held.kilobytes / 1024:.1f} MB resident, {held.descriptors} descriptors"
            )
            progress.update(task, completed=at - seen.samples[0][0], now=now)

        soak.run(options.minutes * 60, tick)
    report(console, soak)
    found = problems(soak.seen)
    for problem in found:
        console.print(f"[red]{problem}")
    console.print("failed" if found else "nothing leaked, nothing was corrupted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
