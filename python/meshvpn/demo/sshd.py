"""An SSH server for one minute: its own keys, its own settings, nobody's account changed."""

from __future__ import annotations

import getpass
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from meshvpn.lab.programs import find_program, stop_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshvpn.demo.stage import End

__all__ = ["Login", "ssh_server"]

_PORT: Final = 22

_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")
"""Debian's sshd wants this empty directory, which otherwise its service makes."""

_SERVER_SETTINGS: Final = """
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM {use_pam}
UseDNS no
"""


class Login(NamedTuple):
    """How to log in: the beginning of a command line of ssh, up to the command to run there."""

    command: tuple[str, ...]


@contextmanager
def ssh_server(end: End, folder: Path) -> Iterator[Login]:
    """Run an SSH server on an address of the tunnel.

    Raises:
        MissingProgramError: OpenSSH is not installed.
        LabError: the server does not come up.
    """
    for name in ("host_key", "user_key"):
        _make_key(folder / name)
    settings = folder / "sshd_config"
    settings.write_text(
        _SERVER_SETTINGS.format(
            address=end.inner,
            port=_PORT,
            folder=folder,
            # Without PAM, sshd turns an account away that has no password, as root in Ubuntu.
            use_pam="yes" if _is_locked(getpass.getuser()) else "no",
        )
    )
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"{end.inner} {(folder / 'host_key.pub').read_text()}")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts),
    }
    settled = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
    with _privilege_separation(), (folder / "sshd.log").open("w") as log:
        server = end.host.popen(["sshd", "-D", "-e", "-f", settings], stdout=log, stderr=log)
        try:
            end.host.wait_listening(_PORT)
            yield Login(("ssh", "-F", "none", "-i", str(folder / "user_key"), *settled, end.inner))
        finally:
            stop_processes([server])


def _make_key(path: Path) -> None:
    subprocess.run(
        [find_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _is_locked(user: str) -> bool:
    """Whether the account's password begins with an exclamation mark (shadow(5))."""
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


@contextmanager
def _privilege_separation() -> Iterator[None]:
    if _PRIVILEGE_SEPARATION.is_dir():
        yield
        return
    _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        _PRIVILEGE_SEPARATION.rmdir()
