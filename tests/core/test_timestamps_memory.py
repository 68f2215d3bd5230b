"""Whatever a reader has seen, it answers as one that has seen nothing."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.timestamps import TimestampReader

BERLIN = ZoneInfo("Europe/Berlin")

# A date with its month's name and number; around them years, seasons and clocks change.
DATES = [
    ("2025-12-31", "Dec 31", "31/Dec/2025", "31.12.2025"),
    ("2026-01-01", "Jan  1", "01/Jan/2026", "01.01.2026"),
    ("2026-10-25", "Oct 25", "25/Oct/2026", "25.10.2026"),
    ("2026-03-29", "Mar 29", "29/Mar/2026", "29.03.2026"),
    ("2024-02-29", "Feb 29", "29/Feb/2024", "29.02.2024"),
    ("2026-02-30", "Feb 30", "30/Feb/2026", "30.02.2026"),
]
SHAPES = [
    "{iso}T{clock}{fraction}{zone}{after}",
    "{iso} {clock}{fraction}{zone}{after}",
    "{iso} {clock},123 {after}",
    "{syslog} {clock} host{after}",
    "<13>{syslog} {clock} host{after}",
    "host {iso} {clock}{zone}{after}",
    "10.0.0.{n} - - [{clf}:{clock} {offset}]{after}",
    "10.0.0.{n} {iso} - [{clf}:{clock} {offset}]{after}",
    "::{n} - - [{clf}:{clock}{zone}]{after}",
    "{epoch}{fraction}{after}",
    "[{epoch}]{after}",
    "{epoch}123",
    "0{epoch}",
    "{{epoch}}",
    "{dotted} {clock}{fraction}{zone}{after}",
    "job {dotted} {clock}{fraction}{after}",
]
FORMATS = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%b %d %H:%M:%S",
    "%H:%M:%S",
    "%S:%M:%H %d.%m.%Y",
    "%Y-%m-%d %I:%M:%S %p",
    "%d/%b/%Y:%H:%M:%S %z",
    "%s",
    "%s.%f",
]
CLOCKS = [
    *("00:00:00", "00:00:01", "02:30:00", "02:30:59", "02:59:60", "02:30:61", "02:60:00"),
    *("23:59:59", "24:00:00", "2:30:00", "02:3٣:00", "02:30:0٣", "02:30:7", "02:30", "02:30:00:1"),
    *("02:31:00", "02:31:59", "12:30:00 PM", "12:30:00 AM", "02:30:00 pm"),
]
FRACTIONS = ["", ".1", ".123", ".124", ".123456", ".12٣", ".1_3", ". 12", ".+12", ",123", ".", ":1"]
ZONES = [
    *("", "Z", "Zx", " Z", "z", "+01:00", "+01:00:", "+01:001", "+0100", "-0100", " +0100", "+01"),
    *("+01:", "+01:60", "+15:00", " UTC", " UTC+1", " 2020", "_", "+01:00x", "+01:00Z"),
]
AFTERS = ["", " ", " x", "] x", "x", ": x", "1", ":1", " 2020", " -1", " +01:00", ".5", "é", "٣"]
YEARS = [2024, 2025, 2026, 2027, 2032]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A line or a value that begins, or nearly begins, with a time."""
    iso, syslog, clf, dotted = draw(st.sampled_from(DATES))
    return draw(st.sampled_from(SHAPES)).format(
        iso=iso,
        syslog=syslog,
        clf=clf,
        dotted=dotted,
        clock=draw(st.sampled_from(CLOCKS)),
        fraction=draw(st.sampled_from(FRACTIONS)),
        zone=draw(st.sampled_from(ZONES)),
        offset=draw(st.sampled_from(["+0000", "-0330", "+0160", "0000"])),
        after=draw(st.sampled_from(AFTERS)),
        epoch=draw(st.sampled_from(["1767582245", "1767582246", "7258118400", "17675822٣5"])),
        n=draw(st.integers(0, 3)),
    )


def references() -> st.SearchStrategy[float]:
    """Times of reading: around the turns of years, and around the days above."""
    days = [(1, 1), (1, 2), (10, 25), (10, 26), (12, 31)]
    return st.sampled_from(
        [
            datetime(year, month, day, 1, 30, tzinfo=UTC).timestamp()
            for year in YEARS
            for month, day in days
        ]
    )


# Few texts, read again and again in any order, so that most are known by heart.
PROGRAMS = st.lists(st.tuples(texts(), references()), min_size=1, max_size=6).flatmap(
    lambda known: st.lists(st.sampled_from(known), min_size=2, max_size=24)
)


def check(program: list[tuple[str, float]], zone: tzinfo, layout: str | None) -> None:
    """Hold a reader that has seen all that comes before against a fresh one."""
    warm = TimestampReader(timezone=zone, format=layout)
    for text, reference in program:
        cold = TimestampReader(timezone=zone, format=layout)
        found, value = cold.find(text, reference), cold.read(text, reference)

        assert found == warm.find(text, reference), text
        assert value == warm.read(text, reference), text


@given(PROGRAMS, st.sampled_from([UTC, BERLIN]))
@settings(max_examples=100, deadline=None)
def test_what_was_found_before_changes_no_answer(
    program: list[tuple[str, float]], zone: tzinfo
) -> None:
    """Years and clocks that change, files that alternate, digits that are none."""
    check(program, zone, None)


@given(PROGRAMS, st.sampled_from([UTC, BERLIN]), st.sampled_from(FORMATS))
@settings(max_examples=100, deadline=None)
def test_what_was_found_before_changes_no_answer_with_a_format(
    program: list[tuple[str, float]], zone: tzinfo, layout: str
) -> None:
    """The same where the user says how times are written."""
    check(program, zone, layout)


@pytest.mark.parametrize("layout", [None, *FORMATS])
@pytest.mark.parametrize("clock", CLOCKS)
def test_every_clock_after_every_other(layout: str | None, clock: str) -> None:
    """Exhaustively, because the times that differ in one character are the ones to be confused."""
    date = "25.10.2026 " if layout is None or "%d.%m" in layout else "2026-10-25 "
    program = [
        (f"{date}{each}{fraction} x", 1_793_000_000.0)
        for fraction in ("", ".123")
        for other in CLOCKS
        for each in (clock, other)
    ]

    check(program, BERLIN, layout)


def test_a_reader_serves_files_that_alternate() -> None:
    """Lines of several files of one source come in turns, each in a shape of its own."""
    reader = TimestampReader(timezone=UTC)
    lines = [
        ("Oct 25 02:30:00 host x", 1792895400.0),
        ("2026-10-25T02:30:01Z x", 1792895401.0),
        ("2026-10-25T02:30:02.250+00:00 x", 1792895402.25),
        ("10.0.0.1 - - [25/Oct/2026:02:30:03 +0000] x", 1792895403.0),
        ("1792895404 x", 1792895404.0),
        ("25.10.2026 02:30:05 x", 1792895405.0),
    ]

    for line, expected in lines * 5:
        stamp = reader.find(line, 1_793_000_000.0)

        assert stamp is not None
        assert expected == stamp.time


def test_what_is_remembered_is_bounded_and_forgetting_harms_nothing() -> None:
    """More clients before a bracket, minutes, and days in a format than are remembered."""
    logs = TimestampReader(timezone=UTC)
    custom = TimestampReader(timezone=UTC, format="%d.%m.%Y %H-%M-%S")
    reference = 1_793_000_000.0
    for number in range(2200):
        moment = datetime.fromtimestamp(1_700_000_000 + number * 3600, UTC)
        line = f"10.0.{number // 250}.{number % 250} - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] x"

        for _ in range(2):
            found = (
                logs.find(line, reference),
                custom.find(f"{moment:%d.%m.%Y %H-%M-%S}", reference),
            )

            assert [moment.timestamp()] * 2 == [stamp and stamp.time for stamp in found]
    for number in range(2400):
        value = f"2026-10-25T02:30:{number % 60:02}+{number // 240:02}:{number // 60 % 60:02}"

        for _ in range(2):
            stamp = logs.read(value, reference)

            assert datetime.fromisoformat(value).timestamp() == (stamp and stamp.time)


def test_an_hour_of_a_format_without_a_year_is_read_anew_in_another_year() -> None:
    """What is remembered of an hour holds as long as the reference is in the same year."""
    reader = TimestampReader(timezone=UTC, format="%b %d %H:%M:%S")
    for year in (2025, 2026, 2025, 2024):
        expected = datetime(year, 10, 25, 2, 30, tzinfo=UTC).timestamp()

        for _ in range(2):
            stamp = reader.find("Oct 25 02:30:00 x", expected + 60)

            assert expected == (stamp and stamp.time)


@pytest.mark.parametrize("digits", ["1²3", "1_3", "+12", "12٣", " 12"])
def test_what_python_takes_for_a_number_is_no_fraction(digits: str) -> None:
    """``int`` reads more than logs mean."""
    check(
        [("2026-10-25T02:30:00.123 x", 0.0)] * 3 + [(f"2026-10-25T02:30:00.{digits} x", 0.0)],
        UTC,
        None,
    )
