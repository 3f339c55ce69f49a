"""Timestamps are moments, and grow."""

from __future__ import annotations

import datetime as dt
import itertools
import pickle
import time

import pytest

from meshvpn import ConfigError
from meshvpn.noise import Timestamp


def test_the_epoch_is_that_of_tai64() -> None:
    # TAI was 10 s ahead of UTC in 1970; 2**62 is 1970 TAI (https://cr.yp.to/libtai/tai64.html).
    assert Timestamp.from_unix_ns(0).hex() == "400000000000000a00000000"
    assert Timestamp.from_unix_ns(1_500_000_000).hex() == "400000000000000b1dcd6500"


def test_now_is_now_by_a_coarse_clock() -> None:
    before = time.time_ns()
    now = Timestamp.now().unix_ns
    assert now is not None
    assert before - (1 << 24) < now <= time.time_ns()
    assert now % 1_000_000_000 % (1 << 24) == 0


def test_the_next_one_is_later_even_when_the_clock_is_not() -> None:
    last = Timestamp.from_unix_ns(time.time_ns() + 3600 * 1_000_000_000)
    for _ in range(5):
        following = Timestamp.now(after=last)
        assert following > last
        last = following


@pytest.mark.parametrize("unix_ns", [0, 1, 999_999_999, 1_800_000_000_123_456_789, (1 << 64) - 1])
def test_nanoseconds_come_back(unix_ns: int) -> None:
    assert Timestamp.from_unix_ns(unix_ns).unix_ns == unix_ns


def test_datetimes_come_back_and_keep_their_order() -> None:
    moments = [
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        dt.datetime(2500, 1, 1, tzinfo=dt.UTC),
    ]
    stamps = [Timestamp.from_datetime(moment) for moment in moments]
    assert [stamp.datetime for stamp in stamps] == moments
    assert all(early < late for early, late in itertools.pairwise(stamps))


def test_any_twelve_bytes_are_one_but_not_all_are_times() -> None:
    for data, text in [
        (bytes(12), "00" * 12),
        (bytes.fromhex("40000000000000ff3b9aca00"), "40000000000000ff3b9aca00"),
        (b"\xff" * 12, "ff" * 12),
    ]:
        stamp = Timestamp(data)
        assert (stamp.unix_ns, stamp.datetime, str(stamp)) == (None, None, text)
    far = Timestamp(b"\x7f" + bytes(11))
    assert far.unix_ns is not None
    assert far.datetime is None
    assert str(far) == far.hex()


def test_is_a_value() -> None:
    stamp = Timestamp.from_unix_ns(1_800_000_000_000_000_001)
    assert repr(stamp) == "<Timestamp 2027-01-15T08:00:00.000000001Z>"
    assert pickle.loads(pickle.dumps(stamp)) == stamp
    assert type(pickle.loads(pickle.dumps(stamp))) is Timestamp
    assert len({stamp, Timestamp(bytes(stamp))}) == 1


def test_wrong_values_are_named() -> None:
    for data in (b"", bytes(11), bytes(13)):
        with pytest.raises(ConfigError, match=f"timestamp: {len(data)} bytes"):
            Timestamp(data)
    with pytest.raises(TypeError):
        Timestamp(12)  # type: ignore[arg-type] # it must fail
    for unix_ns in (-1, 1 << 64):
        with pytest.raises(ConfigError, match="unix_ns"):
            Timestamp.from_unix_ns(unix_ns)
    with pytest.raises(ConfigError, match="no time zone"):
        Timestamp.from_datetime(dt.datetime(2026, 1, 1))  # noqa: DTZ001 # it must fail
