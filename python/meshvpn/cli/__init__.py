"""The command ``meshvpn``: what it prints, and how it ends.

Data goes to standard output, everything else to standard error. The exit status is 0, 1 when
something went wrong, which one line then says (``error: …``, and ``hint: …`` where there is a way
out), or 2 for a command line that makes no sense. Ctrl-C, where it is not a command's ordinary end,
gives 130, and a reader of the output that leaves early 1, both without a word. With
``MESHVPN_DEBUG=1`` in the environment, or ``-v`` where a command has it, an error also shows its
traceback.

Each command is a module of this package with an ``app``; :mod:`meshvpn.cli.commands` names them.
"""

from __future__ import annotations

import os
import sys

from meshvpn.cli.interrupt import end_at_once

TYPE_CHECKING = False  # typing is not loaded yet: see main
if TYPE_CHECKING:
    from collections.abc import Callable

    from meshvpn.cli.reader import Settings

__all__ = ["main"]

_EXTRA = ("typer", "rich")
"""What the extra ``cli`` brings; the library itself does without."""


def main() -> int:
    """Run the command line in ``sys.argv`` and return the exit status."""
    # What takes time to load is loaded from here on, when Ctrl-C is no traceback any more.
    end_at_once()
    from meshvpn.cli.streams import give_up_output, open_what_is_closed  # noqa: PLC0415
    from meshvpn.errors import MeshError  # noqa: PLC0415

    open_what_is_closed()
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us, such as `head`, has seen enough
        give_up_output()
    except MeshError as error:
        _show_traceback()
        _complain(error.message, error.hint)
    except OSError as error:  # the system's own words, such as: Permission denied: 'trace.pcapng'
        _show_traceback()
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    else:
        return status
    finally:
        end_at_once()
    return 1


def _run() -> int:
    if sys.argv[1:2] == ["wg"]:  # wg-quick waits for it, which would wait for typer
        from meshvpn.cli import wg  # noqa: PLC0415, see main

        return wg.run("meshvpn wg", sys.argv[2:])
    if sys.argv[1:2] != ["tunnel"]:
        return _run_command()
    from meshvpn.cli.reader import run_tunnel  # noqa: PLC0415, see main

    return run_tunnel(_run_command)


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
    from meshvpn.cli.paint import paint  # noqa: PLC0415, see main

    sys.stderr.write(f"{paint('error:', 'bold red', sys.stderr)} {message}\n")
    if hint is not None:
        sys.stderr.write(f"{paint('hint:', 'bold', sys.stderr)} {hint}\n")


def _show_traceback() -> None:
    import logging  # noqa: PLC0415, see main
    import traceback  # noqa: PLC0415

    if os.environ.get("MESHVPN_DEBUG") or logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exc()
