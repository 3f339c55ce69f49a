"""The timestamp in an initiation: TAI64N (section 5.1).

A responder takes only initiations that are newer than the last from the same peer, so a recorded
one is worthless. What matters is the order alone.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final, Self, final

from meshvpn import _meshvpn
from meshvpn._values import bounded
from meshvpn.errors import ConfigError

if TYPE_CHECKING:
    from meshvpn.noise._message import Bytes

__all__ = ["Timestamp"]

_LENGTH: Final = 12
_LAST_UNIX_NS: Final = (1 << 64) - 1
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


@final
class Timestamp(bytes):
    """A moment as initiations carry it: eight bytes of seconds, four of nanoseconds, big-endian.

    Later ones compare greater. Immutable, hashable, picklable; ``bytes`` to be sealed.

    >>> moment = Timestamp.from_unix_ns(1_800_000_000_123_456_789)
    >>> print(moment)
    2027-01-15T08:00:00.123456789Z
    >>> moment.hex()
    '400000006b49d20a075bcd15'
    >>> moment.datetime
    datetime.datetime(2027, 1, 15, 8, 0, 0, 123456, tzinfo=datetime.timezone.utc)
    >>> moment < Timestamp.from_datetime(moment.datetime.replace(second=1))
    True

    Args:
        data: 12 bytes. Any will do: a peer may say what it likes, as long as it grows.

    Raises:
        ConfigError: not 12 bytes.
    """

    __slots__ = ()

    def __new__(cls, data: Bytes) -> Self:
        """Refuses what has another length."""
        timestamp = super().__new__(cls, memoryview(data))
        if len(timestamp) != _LENGTH:
            raise ConfigError(
                f"timestamp: {len(timestamp)} bytes instead of {_LENGTH}",
                hint="make one with Timestamp.now()",
            )
        return timestamp

    @classmethod
    def now(cls, *, after: Timestamp | None = None) -> Self:
        """What a device says now.

        It reads its clock coarsely, to 2²⁴ ns (about 17 ms), so as to tell little about it.

        Args:
            after: what it said last: the new one is later in any case.
        """
        last = None if after is None else bytes(after)
        return cls(_meshvpn.tai64n_after(time.time_ns(), last))

    @classmethod
    def from_unix_ns(cls, unix_ns: int) -> Self:
        """The moment so many nanoseconds after 1970 UTC, exactly.

        Raises:
            ConfigError: it is before 1970, or after the year 2554.
        """
        return cls(_meshvpn.tai64n_exactly(bounded("unix_ns", unix_ns, 0, _LAST_UNIX_NS)))

    @classmethod
    def from_datetime(cls, moment: dt.datetime) -> Self:
        """The same moment.

        Raises:
            ConfigError: it has no time zone, or is before 1970 or after the year 2554.
        """
        if moment.tzinfo is None:
            raise ConfigError(
                f"moment: {moment} has no time zone", hint="give datetime.now(tz=datetime.UTC)"
            )
        return cls.from_unix_ns((moment - _EPOCH) // _MICROSECOND * 1000)

    @property
    def unix_ns(self) -> int | None:
        """Nanoseconds since 1970 UTC; ``None`` for what is no time since then."""
        unix = _meshvpn.tai64n_unix(self)
        return None if unix is None else unix[0] * 1_000_000_000 + unix[1]

    @property
    def datetime(self) -> dt.datetime | None:
        """The same in UTC, cut to microseconds; ``None`` for what ``datetime`` cannot hold."""
        unix = _meshvpn.tai64n_unix(self)
        if unix is None:
            return None
        seconds, nanoseconds = unix
        try:
            return _EPOCH + dt.timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
        except OverflowError:  # the year 10000
            return None

    def __str__(self) -> str:
        moment, unix_ns = self.datetime, self.unix_ns
        if moment is None or unix_ns is None:
            return self.hex()
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ns % 1_000_000_000:09}Z"

    def __repr__(self) -> str:
        return f"<Timestamp {self}>"
