"""
What a table's keys may hold, and everything that is wrong with what they do hold.

A table is declared like a data class: each key with what reads its value, and with a default or, if
it must be there, an example.  Reading goes on after a mistake: what is refused is told, and
something harmless put in its place, so that the rest can be looked at, too.

It refuses to convert anything: a value is what its reader makes of it.

This is pydantic's trade; but to import it and build its schemas took a third of the time until
alertd is ready, and more memory than all of alertd's own code.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from alertd.config.errors import Finding, RefusedError, closest, show

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

Value = TypeVar("Value")
AnyTable = TypeVar("AnyTable", bound="Table")
Place = tuple[str, ...]


class Key(NamedTuple):
    """
    What one key may hold.

    Attributes:
        read: Reads the value that is given: at its place, telling the reading what is wrong.
        default: The value where the key is left out.
        example: What to write where it must not be left out; None if it may.
    """

    read: Callable[[Reading, object, Place], object]
    default: Callable[[], object]
    example: object = None


class _Refused(Exception):  # noqa: N818 - it has been told already
    """There is no value."""


class Table:
    """
    The values of a table in which every key is known.

    Attributes:
        known: The keys that it may hold, in the order in which people are told.
        given: The keys that stand there, with values that they may have.
        misspelt: The keys that others there are likely to mean, and those whose value is refused.
    """

    known: ClassVar[Mapping[str, Key]]
    given: frozenset[str]
    misspelt: frozenset[str]

    def __init_subclass__(cls) -> None:
        cls.known = {name: key for name, key in vars(cls).items() if isinstance(key, Key)}

    def __init__(
        self,
        values: Mapping[str, object],
        given: Iterable[str] = (),
        misspelt: Iterable[str] = (),
    ) -> None:
        vars(self).update(values)
        self.given = frozenset(given)
        self.misspelt = frozenset(misspelt)

    def values(self, *, without: Collection[str]) -> dict[str, Any]:
        """Give the values by key, but for some."""
        return {name: getattr(self, name) for name in self.known if name not in without}


def optional(read: Callable[[object], Value], default: Value) -> Value:
    """
    Declare a key that may be left out.

    Args:
        read: Reads a value, or raises ValueError with what is wrong and the remedy.
        default: What it is otherwise.
    """
    return cast("Value", Key(_plain(read), lambda: default))


def required(read: Callable[[object], Value], example: object) -> Value:
    """
    Declare a key that must be there.

    Args:
        read: As for ``optional``.
        example: What to write; it also stands in for the value while the rest is looked at.
    """
    return cast("Value", Key(_plain(read), lambda: read(example), example))


def section(kind: type[AnyTable], example: object = None) -> AnyTable:
    """Declare a table below; with an example, it must be there."""

    def read(reading: Reading, value: object, place: Place) -> AnyTable:
        return reading.table(kind, value, place)

    def default() -> AnyTable:
        return Reading().table(kind, example or {}, ())

    return cast("AnyTable", Key(read, default, example))


def named(kind: type[AnyTable]) -> dict[str, AnyTable]:
    """Declare tables below whose names are chosen freely."""

    def read(reading: Reading, value: object, place: Place) -> dict[str, AnyTable]:
        tables = {}
        for name, below in reading.mapping(value, place).items():
            try:
                tables[name] = reading.table(kind, below, (*place, name))
            except _Refused:
                continue
        return tables

    return cast("dict[str, AnyTable]", Key(read, dict))


def listed(kind: type[AnyTable]) -> tuple[AnyTable, ...]:
    """Declare a list of tables: ``[[…]]``."""

    def read(reading: Reading, value: object, place: Place) -> tuple[AnyTable, ...]:
        if not isinstance(value, list):
            text = f"expected a list of tables, got {show(value)}; write [[{_header(place)}]]"
            reading.refuse(place, Finding((), text))
            raise _Refused
        tables = []
        for number, below in enumerate(value, start=1):
            with suppress(_Refused):
                tables.append(reading.table(kind, below, (*place, str(number))))
        if len(tables) < len(value):
            raise _Refused
        return tuple(tables)

    return cast("tuple[AnyTable, ...]", Key(read, tuple))


def _header(place: Place) -> str:
    return ".".join(show(key)[1:-1] for key in place)


def _plain(read: Callable[[object], object]) -> Callable[[Reading, object, Place], object]:
    def read_at(reading: Reading, value: object, place: Place) -> object:
        try:
            return read(value)
        except RefusedError as error:
            inner = error.findings
        except ValueError as error:
            inner = (Finding((), str(error)),)
        reading.refuse(place, *inner)
        raise _Refused

    return read_at


class Reading:
    """
    One document on its way into tables.

    Attributes:
        findings: Everything that is wrong.
        refused: Where: the places of keys whose values were replaced.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.refused: set[Place] = set()

    def table(self, kind: type[AnyTable], value: object, place: Place) -> AnyTable:
        """
        Read a table.

        Args:
            kind: Of what kind it is.
            value: What stands there.
            place: Where it stands.
        """
        given = self.mapping(value, place)
        unknown = [name for name in given if name not in kind.known]
        meant = {name: closest(name, kind.known) for name in unknown}
        values: dict[str, object] = {}
        accepted, refused = [], []
        for name, key in kind.known.items():
            there = (*place, name)
            try:
                if name in given:
                    values[name] = key.read(self, given[name], there)
                    accepted.append(name)
                    continue
                if key.example is not None:
                    self.refused.add(there)
                    # A key that is misspelt is not missing as well.
                    if name not in meant.values():
                        self.findings.append(Finding(there, missing(name, key.example)))
            except _Refused:
                refused.append(name)
            values[name] = key.default()
        for name in unknown:
            self.refused.add((*place, name))
            text = _unknown((*place, name), meant[name], kind, given[name])
            self.findings.append(Finding(place, text))
        return kind(values, accepted, [*filter(None, meant.values()), *refused])

    def mapping(self, value: object, place: Place) -> Mapping[str, object]:
        """Insist on a table."""
        if isinstance(value, dict):
            return value
        header = _header(place)
        if place in {("rule",), ("source",)}:
            header += ".NAME"
        if place[2:3] in {("test",), ("step",)}:
            header = f"[{_header(place[:3])}]"
        self.refuse(place, Finding((), f"expected a table, got {show(value)}; write [{header}]"))
        raise _Refused

    def refuse(self, place: Place, *findings: Finding) -> None:
        """Tell what is wrong with the value at a place."""
        self.refused.add(place)
        self.findings += (Finding((*place, *inner.place), inner.text) for inner in findings)


def missing(name: str, example: object) -> str:
    """Say that a key is missing, and what to write."""
    if isinstance(example, dict):
        first, value = next(iter(example.items()))
        return f"is missing; add it, with {first} = {show(value)}"
    return f"is missing; write {name} = {show(example)}"


def _unknown(place: Place, meant: str | None, kind: type[Table], value: object) -> str:
    key = place[-1]
    what = f"unknown key {show(key)}"
    if meant:
        return f"{what}; did you mean {show(meant)}?"
    if isinstance(value, dict) and len(place) == 3:  # noqa: PLR2004 - a rule or source
        name = show(f"{place[1]}.{key}")
        return f"{what}; a name with a dot stands in quotes: [{place[0]}.{name}]"
    return f"{what}; the keys here are {', '.join(kind.known)}"
