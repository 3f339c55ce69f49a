"""Foreign judges: ``dig`` asks, ``dnsmasq`` is asked."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.lab import Host

_HEADER = re.compile(r"status: (\w+), id: \d+\n;; flags: ([a-z ]*);")


@dataclass(frozen=True)
class Reply:
    """What ``dig`` understood.

    Attributes:
        status: ``NOERROR``, ``NXDOMAIN`` …
        flags: ``aa``, ``tc`` …
        answers: records without their TTL: ``("laptop.", "A", "100.64.0.1")``.
        authority: names of the SOA records of a "no", with their type.
        text: everything.
    """

    status: str
    flags: frozenset[str]
    answers: tuple[tuple[str, str, str], ...]
    authority: tuple[tuple[str, str], ...]
    text: str

    @property
    def data(self) -> set[str]:
        """The answers alone."""
        return {data for _, _, data in self.answers}


def dig(host: Host, server: str, *words: str, port: int = 53) -> Reply:
    """Runs ``dig`` on a host; ``words`` are names, types and options of it."""
    command = ["dig", f"@{server}", "-p", str(port), "+tries=1", "+timeout=6", *words]
    text = host.run(command, check=False).stdout
    found = _HEADER.search(text)
    assert found, text
    answers = tuple(
        (name, kind, data)
        for name, _, _, kind, data in (line.split(None, 4) for line in _section(text, "ANSWER"))
    )
    authority = tuple((line.split()[0], line.split()[3]) for line in _section(text, "AUTHORITY"))
    return Reply(found[1], frozenset(found[2].split()), answers, authority, text)


def _section(text: str, name: str) -> list[str]:
    _, _, rest = text.partition(f";; {name} SECTION:\n")
    return rest.partition("\n\n")[0].splitlines() if rest else []


@contextlib.contextmanager
def dnsmasq(host: Host, address: str, *options: str) -> Iterator[None]:
    """A name server on a host, which knows ``example.com`` and what else ``options`` say."""
    command = [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"),
        *(
            "--bind-interfaces",
            f"--listen-address={address}",
            "--except-interface=lo",
            "--pid-file",
        ),
        *("--user=root", "--log-facility=-", "--local-ttl=77"),
        *("--address=/example.com/198.51.100.7", "--address=/example.com/2001:db8::7"),
        *("--ptr-record=7.100.51.198.in-addr.arpa,www.example.com", *options),
    ]
    process = host.popen(command)
    try:
        host.wait_listening(53)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)
