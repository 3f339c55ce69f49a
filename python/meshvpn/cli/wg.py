"""``meshvpn wg`` and ``meshvpn-wg``: a WireGuard device for ``wg`` and ``wg-quick`` to configure.

It creates the device without keys, addresses and peers, and ends when the device or its socket in
/var/run/wireguard is removed, or when it is told to. Unless it stays in the foreground, it goes to
the background when the device is ready: the command succeeds only then. ``LOG_LEVEL`` is "silent",
"error" (as if it were not set) or "verbose".

``wg-quick`` waits for this, so nothing is loaded that a device does not need.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress

from meshvpn import _meshvpn
from meshvpn.cli.stopping import until_stopped
from meshvpn.cli.streams import open_what_is_closed

TYPE_CHECKING = False  # typing costs as much time as all the rest here
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main", "run"]

_HELP = """\
Usage: {program} [-f] INTERFACE

A WireGuard device in user space, for wg and wg-quick to configure:

    sudo WG_QUICK_USERSPACE_IMPLEMENTATION=meshvpn-wg wg-quick up wg0

It goes to the background when the device is ready, and ends when the device
or /var/run/wireguard/INTERFACE.sock is removed.

  -f, --foreground        Stay in the foreground, until Ctrl-C.
      --aead NAME         The AEAD implementation: aws-lc, ipsec-mb or portable.
      --capture FILE      Write what goes over the network to a pcapng file.
      --capture-secrets   And the keys that decrypt it: for Wireshark, and for
                          everyone else who has the file.
      --version           Print the version and exit.
  -h, --help              Print this and exit.

LOG_LEVEL in the environment is silent, error (the default) or verbose.
"""

_LEVELS = {"silent": None, "error": "WARNING", "verbose": "DEBUG", "debug": "DEBUG"}
"""Levels of wireguard-go, and Python's."""

_READY = b"ready"


class _Settings:
    """A command line."""

    name = ""
    aead: str | None = None
    capture: str | None = None
    secrets = False
    stays = False


def main() -> int:
    """Run the command line of ``meshvpn-wg`` and return the exit status."""
    return run("meshvpn-wg", sys.argv[1:])


def run(program: str, arguments: list[str]) -> int:
    """Run a command line and return the exit status.

    Args:
        program: how it was called, for the help.
        arguments: what stood behind that.
    """
    open_what_is_closed()
    settings = _Settings()
    rest = iter(arguments)
    for argument in rest:
        if argument in {"-h", "--help"}:
            sys.stdout.write(_HELP.format(program=program))
            return 0
        if argument == "--version":
            sys.stdout.write(f"{_meshvpn.__version__}\n")
            return 0
        if argument in {"-f", "--foreground"}:
            settings.stays = True
        elif argument == "--capture-secrets":
            settings.secrets = True
        elif argument.partition("=")[0] in {"--aead", "--capture"}:
            option, equals, value = argument.partition("=")
            setattr(settings, option.removeprefix("--"), value if equals else next(rest, ""))
        elif argument.startswith("-") or settings.name:
            return _refuse(program, f"{argument!r} makes no sense here")
        else:
            settings.name = argument
    if complaint := _complaint_about(settings):
        return _refuse(program, complaint)
    return _serve_here(settings) if settings.stays else _serve_in_background(settings)


def _complaint_about(settings: _Settings) -> str | None:
    if not settings.name:
        return "the name of the device to create is missing"
    if settings.capture == "" or (settings.secrets and settings.capture is None):
        return "the file of the capture is missing: --capture FILE"
    level = os.environ.get("LOG_LEVEL", "error")
    if level not in _LEVELS:
        return f"LOG_LEVEL: {level!r} is none of {', '.join(_LEVELS)}"
    return None


def _refuse(program: str, complaint: str) -> int:
    sys.stderr.write(f"error: {complaint}\nhint: see {program} --help\n")
    return 2


def _serve_here(settings: _Settings) -> int:
    try:
        _serve(settings, lambda: None, logs=True)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is for the user to read)
        sys.stderr.write(_complaint(error))
        return 1
    return 0


def _serve_in_background(settings: _Settings) -> int:
    """Fork before there is any thread, and wait for the child's word that the device is ready."""
    receiving, sending = os.pipe()
    if os.fork() == 0:
        os.close(receiving)
        _serve_and_exit(settings, sending)
    os.close(sending)
    said = b""
    while piece := os.read(receiving, 65536):
        said += piece
    if said == _READY:
        return 0
    text = said.decode(errors="replace")
    sys.stderr.write(text or f"error: {settings.name}: it ended without a word\n")
    return 1


def _serve_and_exit(settings: _Settings, sending: int) -> None:
    is_ready = False

    def ready() -> None:
        nonlocal is_ready
        is_ready = True
        _leave_terminal()
        _tell(sending, _READY)

    status = 1
    try:
        os.setsid()
        _drop_descriptors(besides=sending)
        _serve(settings, ready, logs="LOG_LEVEL" in os.environ)
        status = 0
    except Exception as error:  # noqa: BLE001 (the parent shows it; nobody else would)
        if not is_ready:
            _tell(sending, _complaint(error).encode())
    finally:
        # Not sys.exit: the parent's caller is not ours to return to.
        os._exit(status)


def _drop_descriptors(*, besides: int) -> None:
    """Close what the caller left open, such as locks and pipes: nobody shall wait for a daemon."""
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 (pathlib is slow to load)
        if number > 2 and number != besides:
            with suppress(OSError):  # the listing's own is closed already
                os.close(number)


def _tell(sending: int, word: bytes) -> None:
    with suppress(BrokenPipeError):  # whoever waited has ended; the device is there all the same
        os.write(sending, word)
    os.close(sending)


def _leave_terminal() -> None:
    """Hold on to no directory, and to the terminal only for logs that were asked for."""
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    kept = os.environ.get("LOG_LEVEL", "silent") != "silent"
    for descriptor in (0,) if kept else (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _serve(settings: _Settings, ready: Callable[[], None], *, logs: bool) -> None:
    """Run the device to its end; ``ready`` is called when ``wg`` may connect."""
    level = _LEVELS[os.environ.get("LOG_LEVEL", "error")]
    if logs and level is not None:
        _log(level)
    capture = None
    with until_stopped():
        device = _meshvpn.WireGuard(
            settings.name,
            change="",
            addresses=[],
            routes=[],
            mtu=None,
            is_up=False,
            has_uapi=True,
            netns=None,
            aead=settings.aead,
        )
        try:
            if settings.capture is not None:
                capture = device.capture(settings.capture, secrets=settings.secrets)
            ready()
            _wait_until_closed(device)
        finally:
            device.close()  # which ends the capture
    if capture is not None:
        capture.close()  # says so if it is not complete


def _wait_until_closed(device: _meshvpn.WireGuard) -> None:
    # Not wait_until_closed, which wakes up to look for signals: this sleeps until there is one.
    poll = select.poll()
    poll.register(device.fileno(), select.POLLIN)
    while device.snapshot().phase != "closed":
        poll.poll()
        while device.next_event(0) is not None:
            pass


def _log(level: str) -> None:
    import logging  # noqa: PLC0415 (in the background it is not needed)

    from meshvpn import _logging  # noqa: PLC0415, as above

    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    _logging.start()


def _complaint(error: Exception) -> str:
    message, hint = getattr(error, "message", str(error)), getattr(error, "hint", None)
    return f"error: {message}\n" + (f"hint: {hint}\n" if hint else "")
