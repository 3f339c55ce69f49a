"""The course of the demonstration."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshvpn.demo.scenes import SCENES
from meshvpn.demo.stage import Stage
from meshvpn.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshvpn.demo.audience import Audience
    from meshvpn.lab import Host

__all__ = ["play"]

_CURTAIN: Final = "Everything gone"


def play(audience: Audience, *, pause: float = 0.0) -> None:
    """Play it once, for an audience.

    However it ends, hosts, devices, programs and threads are gone when it has.

    Args:
        audience: whom to tell.
        pause: seconds between scenes, for people.

    Raises:
        MeshError: something did not work; the audience has been told.
    """
    audience.announce([*(scene.title for scene in SCENES), _CURTAIN])
    title = SCENES[0].title
    try:
        with Stage() as stage:
            namespaces = _Namespaces(end.host for end in stage.ends)
            for title, perform in SCENES:
                audience.begin(title)
                audience.finish(title, perform(stage, audience))
                time.sleep(pause)
            title = _CURTAIN
            audience.begin(title)
        audience.finish(title, namespaces.check_gone())
    except Exception as error:
        audience.fail(title, str(error).splitlines()[0])
        raise


class _Namespaces:
    """The namespaces of some hosts, which are known by their numbers when their names are gone."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._files = {host.path: host.path.stat().st_ino for host in hosts}

    def check_gone(self) -> str:
        """Say that they are.

        Raises:
            LabError: a name is left, or a process in one of them.
        """
        left = [str(path) for path in self._files if path.exists()]
        links = {f"net:[{number}]" for number in self._files.values()}
        inside = [process.name for process in _processes() if _namespace_of(process) in links]
        if left or inside:
            raise LabError(f"left behind: {', '.join(left)} processes {', '.join(inside)}")
        return "no namespace, no device, no process is left"


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _namespace_of(process: Path) -> str | None:
    try:
        return str((process / "ns/net").readlink())
    except OSError:  # it has ended
        return None
