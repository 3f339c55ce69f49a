"""The command ``meshvpn``: what it prints, and how it ends.

Data goes to standard output, everything else to standard error. The exit status is 0, 1 when
something went wrong, which one line then says (``error: …``, and ``hint: …`` where there is a way
out), or 2 for a command line that makes no sense. With ``MESHVPN_DEBUG=1`` in the environment, or
``-v`` where a command has it, an error also shows its traceback.

Each command is a module of this package with an ``app``; :mod:`meshvpn.cli.commands` names them.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING

from meshvpn.cli.paint import paint
from meshvpn.cli.reader import run_tunnel
from meshvpn.errors import MeshError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.cli.reader import Settings

__all__ = ["main"]

_EXTRA = ("typer", "rich")
"""What the extra ``cli`` brings; the library itself does without."""

_INTERRUPTED = 130
"""Exit status of a program ended by Ctrl-C: 128 + SIGINT, as shells have it."""


def main() -> int:
    """Run the command line in ``sys.argv`` and return the exit status."""
    try:
        return run_tunnel(_run_command) if sys.argv[1:2] == ["tunnel"] else _run_command()
    except MeshError as error:
        _show_traceback()
        _complain(error.message, error.hint)
    except OSError as error:  # the system's own words, such as: Permission denied: 'trace.pcapng'
        _show_traceback()
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:  # before a command could say what else Ctrl-C should do
        return _INTERRUPTED
    return 1


def _run_command(start_tunnel: Callable[[Settings], None] | None = None) -> int:
    try:
        # Imported here, since the package is installed without the extra as well.
        from meshvpn.cli.commands import command_tree  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        _complain(
            f"the command line needs the Python package {missing.name!r}",
            "install the extra: pip install 'meshvpn-engine[cli]'",
        )
        return 1
    try:
        command_tree()(prog_name="meshvpn", obj=start_tunnel)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _complain(message: str, hint: str | None = None) -> None:
    sys.stderr.write(f"{paint('error:', 'bold red', sys.stderr)} {message}\n")
    if hint is not None:
        sys.stderr.write(f"{paint('hint:', 'bold', sys.stderr)} {hint}\n")


def _show_traceback() -> None:
    if os.environ.get("MESHVPN_DEBUG") or logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exc()
