"""What the commands log, and where: ``time level message`` on standard error."""

from __future__ import annotations

import logging

__all__ = ["log_to_stderr"]


def log_to_stderr(*, verbose: bool) -> None:
    """Show the package's log records from "info" on, or with ``verbose`` from "debug" on."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
