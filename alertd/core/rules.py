"""
What to look for, where, and how much is too much.

Plain values, already validated (see ``alertd.config``): the core never refuses a rule.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import tzinfo

    from alertd.core.daily import Daily

Format: TypeAlias = Literal["plain", "csv", "json", "logfmt", "syslog"]
Severity: TypeAlias = Literal["info", "warning", "critical"]
Operator: TypeAlias = Literal[
    "equals",
    "any_of",
    "regex",
    "contains",
    "at_least",
    "at_most",
    "more_than",
    "less_than",
    "not",
    "exists",
]


@dataclass(frozen=True, slots=True)
class Source:
    """
    Files that share a format.

    Attributes:
        name: Unique among the sources.
        paths: Absolute globs.
        exclude: Globs of paths that are left out.
        format: How a line is split into fields.
        delimiter: Between the fields of a csv record, one character.
        columns: Names of a csv's fields; empty when the file's first line has them.
        multiline: A quoted csv field may contain newlines.
        timestamp: A field's name, ``"auto"`` (found in the line) or ``"none"`` (time of reading).
        timestamp_format: strptime format for the timestamp, if it is given.
        timezone: For timestamps without one.
        start_at: Where to begin in files that are there when a glob is first used.
        max_line: Bytes of a line that are looked at; the rest of a longer one is skipped.
        max_gz_bytes: Unpacked bytes of a compressed rotation that are read; the rest is not.
        encoding: A Python codec name, normalised (``utf-8``, ``cp1252``).
        max_skew: Seconds by which a timestamp may be ahead of the clock.
        lateness: Seconds by which a line may come later than a newer one.
    """

    name: str
    paths: tuple[str, ...]
    timezone: tzinfo
    exclude: tuple[str, ...] = ()
    format: Format = "plain"
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    multiline: bool = False
    timestamp: str = "auto"
    timestamp_format: str | None = None
    start_at: Literal["end", "beginning"] = "end"
    max_line: int = 65536
    max_gz_bytes: int = 16 << 30
    encoding: str = "utf-8"
    max_skew: float = 60.0
    lateness: float = 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One demand on one field.

    A field is text; ``line`` is the whole line.  Where the operand is a number, the field's text
    is read as one, and a field that is not a number does not fulfil the condition.  A missing
    field fulfils only ``not`` and ``exists = false``.

    Attributes:
        field: The field's name, for json a dotted path.
        operator: What is demanded.
        operand: ``str``, ``float`` or ``bool`` for ``equals``; a tuple of those for ``any_of``;
            a regex's text for ``regex``; text for ``contains``; a float for the four comparisons;
            a ``bool`` for ``exists``; for ``not``, the conditions of which not all may hold.
    """

    field: str
    operator: Operator
    operand: str | float | bool | tuple[str | float | bool, ...] | tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regex in Python's dialect, searched in the whole line; its named groups become fields."""

    regex: str


@dataclass(frozen=True, slots=True)
class Conjunction:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]


Kind: TypeAlias = Literal[
    "threshold",
    "match",
    "distinct",
    "new_value",
    "change",
    "ratio",
    "metric",
    "sequence",
    "absence",
    "spike",
    "alerts",
]
Metric: TypeAlias = Literal["min", "max", "avg", "sum", "count", "p50", "p90", "p95", "p99"]
Alternative: TypeAlias = Pattern | Conjunction
Selector: TypeAlias = tuple[Alternative, ...]
"""Any of these; the first alternative that holds gives the fields of its named groups."""

ON_GRID: frozenset[Kind] = frozenset({"ratio", "metric", "spike"})
"""The kinds whose window slides by slices (see ``grid``)."""

HIT, MISS = "1", "0"
"""What stands behind a ratio's key: whether the line is one of those whose share is asked."""

LONGEST_KEY = 256
"""Characters of a value in a key."""

STEPS = "123456789"
"""What may stand behind a sequence's key: the numbers of the steps for which the line will do."""


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of a sequence.

    Attributes:
        match: The lines that will do.
        unless: Those of them that will not.
        count: How many are needed.
        is_absent: None may come; only for the last step.
    """

    match: Selector
    unless: Selector = ()
    count: int = 1
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What to look for, and how much is too much.

    Attributes:
        name: Unique among the rules.
        sources: Names of the sources whose lines it sees.
        match: What it looks for; for a sequence, what any of its steps does.
        unless: What it leaves out all the same.
        group_by: Fields whose values make the key; every key has a window of its own.
        kind: How events are judged; see ``detectors``.
        more_than: The greatest number of events, or of values, that is not yet too much; for an
            absence, the greatest that is too few.
        within: The window's length in seconds; 0 for kinds without one.
        value: The field whose values are judged; empty for kinds that judge none.
        of: For a ratio, the lines of which a share is asked; empty for all lines.
        share: For a ratio, the greatest that is not yet too much: a numerator and a denominator,
            exactly what was written.
        steps: Those of a sequence, at least two; ``unless`` leaves lines out of each.
        metric: What is measured of the values, for a metric.
        bound: The number that it must not pass.
        is_below: It must not be less; else it must not be more.
        times: For a spike, the greatest multiple that is not yet too much: a numerator and a
            denominator, exactly what was written.
        baseline: How many earlier days it is compared with; 0 for the window before.
        min_total: Events (of a ratio, those of which a share is asked) below which nothing is said.
        by: For an absence, the time of day by which lines must have come, if there is one.
        expect: For an absence, the keys of which lines must come; empty for any that has come.
        learn: Seconds from a key's first event in which what is new is only remembered.
        max_values: Values that a key remembers.
        cooldown: Seconds between two alerts of one key.
        resolve: Whether it says when it is over; see ``detectors.incident``.
        watches: The rules whose alerts it counts; empty for rules that see lines.
        max_keys: Keys remembered at the same time.
        recipients: Mail addresses.
        severity: How urgent it is.
        description: What the person who gets the mail should do.
    """

    name: str
    sources: tuple[str, ...]
    match: Selector
    more_than: int
    within: float
    cooldown: float
    recipients: tuple[str, ...]
    unless: Selector = ()
    group_by: tuple[str, ...] = ()
    kind: Kind = "threshold"
    value: str = ""
    of: Selector = ()
    share: tuple[int, int] = (0, 100)
    steps: tuple[Step, ...] = ()
    metric: Metric | Literal[""] = ""
    bound: float = 0.0
    is_below: bool = False
    times: tuple[int, int] = (1, 1)
    baseline: int = 0
    min_total: int = 1
    by: Daily | None = None
    expect: tuple[tuple[str, ...], ...] = ()
    learn: float = 0.0
    max_values: int = 1_000
    max_keys: int = 10_000
    severity: Severity = "critical"
    description: str = ""
    resolve: bool = False
    watches: tuple[str, ...] = ()

    @property
    def keyed_by(self) -> tuple[str, ...]:
        """The fields whose values a match's key holds: those of the group, and the judged one."""
        return (*self.group_by, self.value) if self.value else self.group_by

    @property
    def is_judged(self) -> bool:
        """Whether a match's key holds more than the values of the group."""
        return bool(self.value) or self.is_marked

    @property
    def is_marked(self) -> bool:
        """Whether behind a match's key stands for what the line will do."""
        return self.kind in {"ratio", "sequence"}

    @property
    def is_on_grid(self) -> bool:
        """Whether its window slides by slices (see ``grid``)."""
        return self.kind in ON_GRID

    @property
    def counted(self) -> str:
        """What it counts, in a word."""
        return "alert" if self.watches else "line"

    @property
    def is_least_worst(self) -> bool:
        """Whether of what is measured the least is the worst; a percentile's measure is a share."""
        return self.is_below and not self.metric.startswith("p")

    @property
    def seen(self) -> Selector:
        """The lines that take part; empty for all lines."""
        return self.of if self.kind == "ratio" else self.match

    @property
    def identity(self) -> str:
        """
        What the meaning of this rule's counts depends on, as a digest.

        Windows outlive a reload as long as this stays the same.
        """
        meaning: tuple[object, ...] = (
            self.kind,
            sorted(self.sources),
            self.match,
            self.unless,
            self.keyed_by,
        )
        if self.is_on_grid:
            # Sums say nothing about another grid or bound.
            meaning += (self.of, self.within, self.metric, self.bound, self.is_below)
        if self.steps:
            meaning += (self.steps,)
        if self.kind == "absence":
            # Keys that were not expected have not been counted.
            meaning += (str(self.by), sorted(self.expect))
        if self.kind == "spike":
            meaning += (self.baseline,)
        if self.watches:
            meaning += (self.watches,)
        return hashlib.blake2b(repr(meaning).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class RuleTest:
    """
    Lines, and the alerts of a rule that they should raise.

    Attributes:
        rule: The name of the rule.
        number: Its position among the rule's tests, from 1.
        source: The name of the source whose lines they are.
        lines: Each without its line end.
        alerts: How many alerts there should be.
        keys: What each of them should be about, pairs of ``group_by`` field and value in any order;
            empty if that does not matter.
        counts: The count of each; empty if that does not matter.
        header: The first line of a csv without ``columns``, else empty.
        every: Seconds between two lines where none has a time.
    """

    rule: str
    number: int
    source: str
    lines: tuple[str, ...]
    alerts: int
    keys: tuple[tuple[tuple[str, str], ...], ...] = ()
    counts: tuple[int, ...] = ()
    header: str = ""
    every: float = 1.0


def key_value(text: str) -> str:
    """Shorten a key so that it stays itself: the digest keeps apart what begins alike."""
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[:200]}…{digest}"
