"""A host of the lab: a network namespace, the programs in it, and a way in for Python.

A socket keeps the namespace of the thread that opened it, and a program that of the thread that
started it. So one Python process can play every host of the lab:

    with alice.enter():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)   # alice's, for all its life
"""

from __future__ import annotations

import itertools
import re
import socket
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path
from typing import IO, TYPE_CHECKING

from meshvpn._values import LARGEST_PORT, bounded, timeout_seconds
from meshvpn.errors import ConfigError, LabError
from meshvpn.lab import kernel
from meshvpn.lab.addresses import Addressed, parse_address, parse_network
from meshvpn.lab.ownership import NETNS_DIRECTORY
from meshvpn.lab.programs import find_program, run_program, stop_processes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from meshvpn.lab.addresses import InterfaceAddress
    from meshvpn.lab.link import Interface

__all__ = ["Host"]

# Linux gives the first namespace's IPv4 settings to each new one; the lab must not depend on them.
# IPv6 addresses work at once without duplicate address detection, and nobody advertises routes.
_HOST_SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/all/forwarding": "0",
}

# What the kernel takes, without what `ip` and `nft` would read as syntax.
_DEVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")

# <net/tcp_states.h>: the state column of /proc/net/tcp, and of udp for a socket without a peer.
_LISTENING = {"tcp": "0A", "udp": "07"}


class Host(Addressed):
    """One machine of the lab. Made by :meth:`Lab.host`; lives as long as its lab.

    Attributes:
        name: its name within the lab.
        netns: the name of its namespace under ``/var/run/netns``, for ``ip netns exec`` and for
            every ``netns=`` parameter of meshvpn.
        interfaces: its network devices by name, without ``lo``.
    """

    def __init__(self, name: str, netns: str) -> None:
        self.name = name
        self.netns = netns
        self.interfaces: dict[str, Interface] = {}
        self._routes: list[tuple[str, str]] = []
        self._processes: list[subprocess.Popen[str]] = []
        self.ip("link set lo up")
        self.sysctl(_HOST_SYSCTLS)

    @property
    def path(self) -> Path:
        """The file that stands for the namespace."""
        return NETNS_DIRECTORY / self.netns

    # --- Python inside the host ---

    def enter(self) -> AbstractContextManager[None]:
        """Puts the calling thread, and no other, into the host for the body of a ``with``.

        Do not ``await`` in the body: other tasks of the thread would be in the host as well.

        Raises:
            LabError: the lab has been closed.
        """
        if not self.path.exists():
            raise LabError(f"host {self.name!r} is gone: its lab has been closed")
        return kernel.enter_namespace(str(self.path))

    def socket(
        self,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_DGRAM,
        *,
        bind: tuple[str, int] | None = None,
    ) -> socket.socket:
        """A socket of this host (UDP over IPv4 unless told otherwise), bound where asked.

        Raises:
            ConfigError: the port to bind is none.
            OSError: the system refuses it.
        """
        if bind is not None:
            bounded("bind port", bind[1], 0, LARGEST_PORT)
        with self.enter():
            opened = socket.socket(family, kind)
        try:
            if bind is not None:
                opened.bind(bind)
        except OSError:
            opened.close()
            raise
        return opened

    # --- programs inside the host ---

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        timeout: float = 60.0,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in the host to its end.

        Args:
            command: program and arguments.
            check: raise when it fails.
            timeout: seconds after which it is killed.
            input_text: what it reads from its standard input.
            env: its environment; by default this process's.

        Returns:
            Exit status and output as text.

        Raises:
            ConfigError: ``timeout`` is no time, or ``command`` one text instead of words.
            MissingProgramError: it is not installed.
            LabError: it failed or took too long; the message holds what it printed.
        """
        timeout_seconds(timeout)
        process = self.popen(command, stdin=subprocess.PIPE if input_text else None, env=env)
        arguments = " ".join(map(str, command))
        try:
            out, err = process.communicate(input_text, timeout)
        except subprocess.TimeoutExpired as expired:
            raise LabError(f"{arguments!r} on {self.name} took over {timeout:g} s") from expired
        finally:
            stop_processes([process])
            self._processes.remove(process)
        if check and process.returncode != 0:
            status = process.returncode
            raise LabError(
                f"{arguments!r} on {self.name} ended with {status}:\n{out}{err}".rstrip()
            )
        return subprocess.CompletedProcess(list(command), process.returncode, out, err)

    def popen(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[str] | None = None,
        stdout: int | IO[str] | None = subprocess.PIPE,
        stderr: int | IO[str] | None = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a program in the host. The lab's end ends it and its children, and closes pipes.

        Standard input is empty and the outputs are pipes of text unless told otherwise (files and
        the constants of :mod:`subprocess` as there). Redirect the outputs of a talkative program
        that nobody reads: it stops when 64 KiB wait in the pipe.

        Raises:
            ConfigError: ``command`` is one text instead of words.
            MissingProgramError: it is not installed.
        """
        if isinstance(command, str) or not command:
            raise ConfigError(
                f"command: {command!r} is not a list of words",
                hint='write ["ping", "-c", "1", address]',
            )
        program, *arguments = map(str, command)
        with self.enter():
            process = subprocess.Popen(
                [find_program(program), *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=stderr,
                env=env,
                text=True,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def wait_listening(self, port: int, *, protocol: str = "tcp", timeout: float = 5.0) -> None:
        """Waits until something in the host listens on a port, without connecting to it.

        Raises:
            ConfigError: there is no such port or protocol, or ``timeout`` is no time.
            LabError: nothing does after ``timeout`` seconds.
        """
        bounded("port", port, 1, LARGEST_PORT)
        if protocol not in _LISTENING:
            raise ConfigError(f"protocol: {protocol!r} is neither 'tcp' nor 'udp'")
        timeout_seconds(timeout)
        end = time.monotonic() + timeout
        while not self._listens(port, protocol):
            if time.monotonic() > end:
                raise LabError(f"nothing listens on {protocol} port {port} of host {self.name!r}")
            time.sleep(0.01)

    def _listens(self, port: int, protocol: str) -> bool:
        wanted = f":{port:04X}", _LISTENING[protocol]
        with self.enter():
            tables = [Path(f"/proc/thread-self/net/{protocol}{version}") for version in ("", "6")]
            rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
        return any(row[1].endswith(wanted[0]) and row[3] == wanted[1] for row in rows)

    # --- configuration ---

    def add_route(self, destination: str, *, via: str) -> None:
        """Sends packets for ``destination`` (a network or ``default``) to the router ``via``.

        The route comes back by itself after the device was down or changed its address.

        Raises:
            ConfigError: one of them cannot be read, or they differ in IP version.
            LabError: the kernel refuses it: ``via`` is in none of the host's networks.
        """
        router = parse_address("via", via)
        if destination != "default":
            parse_network("destination", destination, version=router.version)
        self.ip(_route_command(destination, via))
        self._routes.append((destination, via))

    def ip(self, *commands: str, tolerate_failure: bool = False) -> str:
        """Runs ``ip`` commands in the host, in one process: ``host.ip("addr add … dev eth0")``."""
        force = ["-force"] if tolerate_failure else []
        with self.enter():
            return run_program(
                ["ip", *force, "-batch", "-"],
                text="\n".join(commands),
                tolerate_failure=tolerate_failure,
            )

    def nft(self, ruleset: str) -> None:
        """Loads nftables rules into the host."""
        with self.enter():
            run_program(["nft", "-f", "-"], text=ruleset)

    def sysctl(self, values: Mapping[str, str]) -> None:
        """Sets kernel parameters of the host, named as paths: ``net/ipv4/ip_forward``.

        Raises:
            LabError: a parameter does not exist or refuses the value.
        """
        with self.enter():
            for name, value in values.items():
                try:
                    Path("/proc/sys", name).write_text(value)
                except OSError as refusal:
                    problem = f"cannot set {name} to {value!r} on {self.name}: {refusal}"
                    raise LabError(problem) from refusal

    def check_device_name(self, name: str) -> None:
        """Makes sure that a device of that name can be added.

        Raises:
            ConfigError: it cannot, or there is one.
        """
        if not _DEVICE_NAME.fullmatch(name):
            raise ConfigError(
                f"not a device name: {name!r}",
                hint="use up to 15 letters, digits, dots, hyphens and underscores",
            )
        if name in self._device_names():
            raise ConfigError(f"host {self.name!r} already has a device {name!r}")

    def free_device_name(self, *, besides: str | None = None) -> str:
        """The next free ``ethN``."""
        taken = self._device_names() | {besides}
        return next(name for n in itertools.count() if (name := f"eth{n}") not in taken)

    def _device_names(self) -> set[str]:
        """Also of devices that the lab did not make, such as a tunnel's."""
        with self.enter():
            return {name for _, name in socket.if_nameindex()}

    def forget(self, interface: Interface) -> None:
        """Drops what the lab remembers of a removed device: itself and the routes through it."""
        self.interfaces.pop(interface.name, None)
        gone = [at.network for at in interface.addresses]
        self._routes = [
            (to, via) for to, via in self._routes if not any(ip_address(via) in net for net in gone)
        ]

    def restore(self) -> None:
        """Brings addresses and routes back that the kernel dropped with a device or an address."""
        addresses = [
            command for device in self.interfaces.values() for command in device.commands()
        ]
        routes = [_route_command(destination, via) for destination, via in self._routes]
        self.ip(*addresses, *routes, tolerate_failure=True)

    def stop_processes(self) -> None:
        """Ends every program started by :meth:`popen`."""
        stop_processes(self._processes)

    def _own_addresses(self) -> Iterable[InterfaceAddress]:
        return (address for device in self.interfaces.values() for address in device.addresses)

    def _title(self) -> str:
        return f"host {self.name!r}"

    def __repr__(self) -> str:
        devices = ", ".join(str(device) for device in self.interfaces.values())
        return f"<{type(self).__name__} {self.name}: {devices or 'not linked'}>"


def _route_command(destination: str, via: str) -> str:
    # To `ip`, "default" alone means IPv4, even with an IPv6 router.
    if destination == "default" and ":" in via:
        destination = "::/0"
    return f"route replace {destination} via {via}"
