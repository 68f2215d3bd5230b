"""How a user's ``timestamp_format`` is checked and read."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.timestamps import Stamp, TimestampReader, check_format

REFERENCE = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
NOON = datetime(2026, 11, 24, 10, 11, 12, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0

FORMS = [
    ("%d/%m/%Y %H:%M:%S", "24/11/2026 10:11:12", NOON),
    ("%m/%d/%Y %I:%M:%S %p", "11/24/2026 10:11:12 am", NOON),
    ("%m/%d/%Y %I:%M:%S %p", "11/24/2026 10:11:12 P.M.", NOON + 12 * HOUR),
    ("%m/%d/%Y %l:%M %p", "11/24/2026  9:11 PM", NOON - 12 + 11 * HOUR),
    ("%y%m%d %k:%M:%S", "261124 10:11:12", NOON),
    ("%Y%m%d%H%M%S", "20261124101112", NOON),
    ("%Y%m%d%H%M%S%f", "20261124101112123", NOON + 0.123),
    ("%Y-%m-%dT%H:%M:%S.%f%z", "2026-11-24T10:11:12.123456789+01:00", NOON - HOUR + 0.123456789),
    ("%F %T %z", "2026-11-24 10:11:12 Z", NOON),
    ("%F %T %z", "2026-11-24 10:11:12 -0530", NOON + 5.5 * HOUR),
    ("%F %T %z", "2026-11-24 10:11:12 +9900", None),
    ("%F %T %Z", "2026-11-24 10:11:12 GMT", NOON),
    ("%F %T %Z", "2026-11-24 10:11:12 PDT", NOON),
    ("%F %R", "2026-11-24 10:11", NOON - 12),
    ("%D %R", "11/24/26 10:11", NOON - 12),
    ("%c", "Tue Nov 24 10:11:12 2026", NOON),
    ("%x %X", "11/24/26 10:11:12", NOON),
    ("%A, %e. %B %Y %H:%M:%S", "Tuesday, 24. November 2026 10:11:12", NOON),
    ("%b %d %H:%M:%S", "nov 24 10:11:12", NOON),
    ("%h %e %H:%M:%S", "Nov  4 10:11:12", NOON - 20 * DAY),
    ("%d.%m. %H.%M Uhr", "24.11. 10.11 Uhr", NOON - 12),
    ("%H:%M:%S", "10:11:12", NOON),
    ("%d.%m.%Y", "24.11.2026", NOON - 10 * HOUR - 672),
    ("100%% %F %T", "100% 2026-11-24 10:11:12", NOON),
    ("%s", "1490349000", 1490349000.0),
    ("%s", "1490349000123", 1490349000.123),
    ("%s.%f", "1490349000.25", 1490349000.25),
    ("%F %T", "2026-02-30 10:11:12", None),
    ("%F %T", "2026-11-24 25:11:12", None),
    ("%F %I:%M %p", "2026-11-24 13:11 PM", None),
    ("%F %T", "9999-11-24 10:11:12", None),
]


@pytest.mark.parametrize(("layout", "text", "time"), FORMS)
def test_form_is_found_in_a_line_and_read_as_a_value(
    layout: str, text: str, time: float | None
) -> None:
    """With a format, that form counts anywhere in a line, and a value must be it."""
    reader = TimestampReader(timezone=UTC, format=layout)
    expected = None if time is None else Stamp(time, None)

    assert check_format(layout) is None
    assert expected == reader.read(text, REFERENCE)
    assert expected == reader.read(f" {text} ", REFERENCE)
    assert expected == reader.find(f"host [{text}] 17 failures", REFERENCE)
    assert reader.read(f"{text} x", REFERENCE) is None


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("%Q", "unknown directive %Q; known are %Y, %y, %m,"),
        ("%Y-%m-%d %", "it ends with a single %"),
        ("", "there is neither a date nor a time of day in it"),
        ("at", "there is neither a date nor a time of day in it"),
        ("100%%", "there is neither a date nor a time of day in it"),
        ("%Y-%m", "%Y needs %d beside it"),
        ("%H:%M %d", "%d needs %m or %b beside it"),
        ("%F %M", "%M needs %H or %I beside it"),
        ("%F %H.%f", "%f needs %S or %s beside it"),
        ("%F %I:%M", "%I needs %p beside it"),
        ("%F %T %H", "%H is given more than once, perhaps by another name"),
        ("%y-%Y-%m-%d", "%Y is given more than once, perhaps by another name"),
        ("%F %T %I %p", "%H and %I both tell the hour"),
        ("%F %b", "%m and %b both tell the month"),
        ("%s %H", "%s is the whole time; %H cannot stand beside it"),
    ],
)
def test_format_that_cannot_be_read_in_one_way_is_refused(layout: str, reason: str) -> None:
    """What strptime would guess or reject line by line is refused once, with the reason."""
    refusal = check_format(layout)

    assert refusal is not None
    assert refusal.startswith(reason)


def test_format_finds_no_part_of_a_longer_number() -> None:
    """`2026-11-24 10:11:123` has no second 12; and a later date may be one."""
    reader = TimestampReader(timezone=UTC, format="%F %T")

    assert reader.find("x2026-11-24 10:11:12", REFERENCE) is None
    assert reader.find("2026-11-24 10:11:123", REFERENCE) is None
    assert Stamp(NOON, None) == reader.find("2026-13-24 10:11:12 2026-11-24 10:11:12", REFERENCE)
    assert Stamp(NOON, None) == reader.find("2026-02-31 10:11:12 2026-11-24 10:11:12", REFERENCE)


def test_format_that_begins_with_a_mark_may_follow_a_word() -> None:
    """Only a format that begins or ends with a word needs the word to be whole."""
    reader = TimestampReader(timezone=UTC, format="[%F %T]")

    assert Stamp(NOON, None) == reader.find("x[2026-11-24 10:11:12]y", REFERENCE)


def test_format_is_looked_for_where_lines_begin() -> None:
    """A timestamp that begins beyond the first 1,024 characters is data."""
    reader = TimestampReader(timezone=UTC, format="%F %T")

    assert Stamp(NOON, None) == reader.find(" " * 1024 + "2026-11-24 10:11:12", REFERENCE)
    assert reader.find(" " * 1025 + "2026-11-24 10:11:12", REFERENCE) is None
    assert reader.find("2026-13-24 10:11:12 " * 60, REFERENCE) is None


def test_format_without_year_or_zone_uses_reference_and_source() -> None:
    """The rules for years and for clocks that are set back are the same as without a format."""
    reader = TimestampReader(timezone=ZoneInfo("Europe/Berlin"), format="%d.%m. %H:%M")

    assert Stamp(NOON - HOUR - 12, None) == reader.find("24.11. 10:11", REFERENCE)
    twice = reader.find("25.10. 02:30", REFERENCE)
    assert twice is not None
    assert HOUR == (twice.later or 0) - twice.time


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["24.11. 10:11", "29.02. 10:11", "25.10. 02:30", "1.1. 0:00", "x"]),
            st.sampled_from([REFERENCE, 1.3e9, 4.2e9]),
        )
    )
)
def test_what_a_format_read_before_never_changes_an_answer(
    lines: list[tuple[str, float]],
) -> None:
    """A reader that has seen much answers as one that has seen nothing."""
    zone, layout = ZoneInfo("Europe/Berlin"), "%d.%m. %H:%M"
    warm = TimestampReader(timezone=zone, format=layout)

    for line, reference in lines:
        cold = TimestampReader(timezone=zone, format=layout)
        assert cold.find(line, reference) == warm.find(line, reference)
        assert cold.read(line, reference) == warm.read(line, reference)


def test_memory_of_a_format_is_bounded() -> None:
    """It remembers a bounded number of timestamps, and reads all others as well."""
    reader = TimestampReader(timezone=UTC, format="%s")

    for second in range(3000):
        assert Stamp(1.5e9 + second, None) == reader.find(f"{1_500_000_000 + second}", REFERENCE)
    assert reader._layout is not None
    assert len(reader._layout._remembered) <= 1024
