"""Carries the engine's log records to :mod:`logging`, on a thread of its own.

The engine never waits for Python: its threads queue records, and the thread here hands them to the
loggers ``meshvpn.tunnel``, ``meshvpn.dataplane`` and so on. It starts with the first device or
tunnel, not at import.
"""

from __future__ import annotations

import atexit
import logging
import threading

from meshvpn import _meshvpn

_NAME = "meshvpn-log"
_start_lock = threading.Lock()


def start() -> None:
    """Start carrying records, if that was not done before."""
    with _start_lock:
        # At once, and not by the thread: what is started next has something to say already.
        _meshvpn.start_logging()
        if not any(thread.name == _NAME for thread in threading.enumerate()):
            thread = threading.Thread(target=_carry, name=_NAME, daemon=True)
            thread.start()
            atexit.register(_stop, thread)


def _carry() -> None:
    while (record := _meshvpn.next_log_record()) is not None:
        level, name, message = record
        logging.getLogger(name).log(level, "%s", message)


def _stop(thread: threading.Thread) -> None:
    # What is queued by now still goes out; a thread inside the interpreter's end would not.
    _meshvpn.stop_logging()
    thread.join(timeout=1)
