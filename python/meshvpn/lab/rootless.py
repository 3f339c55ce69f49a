"""A lab without root: the process becomes root of a user namespace of its own.

Inside it the process may create network namespaces, devices and nftables rules, none of which
reaches the real network. What changes for the process, for good:

* it sees itself as user 0, but files still belong to the real user;
* it has its own, empty network: what is not in the lab cannot be reached;
* ``/run/netns`` is private, so ``ip netns list`` in another terminal does not show the lab.

The kernel lets only a process with a single thread do this, so :func:`enter_user_namespace` belongs
at the beginning of a program. :class:`~meshvpn.lab.Lab` calls it by itself where it has to.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from meshvpn.errors import LabError, PermissionDeniedError
from meshvpn.lab import kernel
from meshvpn.lab.ownership import NETNS_DIRECTORY
from meshvpn.lab.programs import run_program

__all__ = ["enter_user_namespace", "has_privileges"]

_log = logging.getLogger(__name__)

# <linux/capability.h>
_CAP_NET_ADMIN = 1 << 12
_CAP_SYS_ADMIN = 1 << 21

# Each switch by which a system refuses user namespaces: file, refusing value, what to do.
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def has_privileges() -> bool:
    """Whether this process may build namespaces as it is (``CAP_NET_ADMIN``, ``CAP_SYS_ADMIN``)."""
    needed = _CAP_NET_ADMIN | _CAP_SYS_ADMIN
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16) & needed == needed
    return False


def enter_user_namespace() -> None:
    """Makes this process root of a new user namespace, unless it has the rights already.

    Raises:
        PermissionDeniedError: the system refuses user namespaces; the hint names the switch.
        LabError: the process has several threads.
    """
    if has_privileges():
        return
    if (threads := len([*Path("/proc/self/task").iterdir()])) > 1:
        raise LabError(
            f"cannot become root of a user namespace: this process has {threads} threads",
            hint="call meshvpn.lab.enter_user_namespace() before any thread is started, "
            "or run the program as root",
        )
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        _make_netns_directory_private()
    except OSError as refusal:
        raise PermissionDeniedError(
            f"the lab needs root or a user namespace, and the system refused: {refusal}",
            hint=_way_out(),
        ) from refusal
    run_program(["ip", "link", "set", "lo", "up"])
    _log.info("running as root of a user namespace (was user %d)", user)


def _make_netns_directory_private() -> None:
    """Puts an empty, writable directory where iproute2 keeps its names."""
    if not NETNS_DIRECTORY.is_dir():
        _copy_run_into_memory()
        NETNS_DIRECTORY.mkdir()
    kernel.mount("tmpfs", str(NETNS_DIRECTORY), "tmpfs")


def _copy_run_into_memory() -> None:
    """Replaces ``/run``, where only the real root may make directories, by a view that is ours.

    Everything in it is bound into a tmpfs, which then goes on top of it.
    """
    run = NETNS_DIRECTORY.parent.resolve()
    view = Path(tempfile.mkdtemp(prefix="meshvpn-run-"))
    kernel.mount("tmpfs", str(view), "tmpfs")
    for entry in run.iterdir():
        place = view / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
            continue
        if entry.is_dir():
            place.mkdir()
        else:
            place.touch()
        kernel.mount(str(entry), str(place), None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount(str(view), str(run), None, kernel.MS_BIND | kernel.MS_REC)


def _way_out() -> str:
    for file, refusing, command in _SWITCHES:
        switch = Path("/proc/sys", file)
        if switch.exists() and switch.read_text().strip() == refusing:
            return f"run as root, or allow user namespaces once with `sudo {command}`"
    return "run as root; the kernel or a container's seccomp profile forbids user namespaces"
