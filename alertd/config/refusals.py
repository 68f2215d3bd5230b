"""
What pydantic refused, in words for a person, and in a shape that it accepts.

pydantic collects what is wrong; it does not know what somebody who edits a TOML file should do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alertd.config.errors import Finding, RefusedError, show, suggestion
from alertd.config.schema import SECTIONS, Document, RuleTable, SourceTable, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

_KEYED: dict[str, type[Table]] = {"rule": RuleTable, "source": SourceTable}
_MEANT = re.compile(r"unknown key .*; did you mean \"(\w+)\"\?")


def findings(details: Sequence[ErrorDetails]) -> list[Finding]:
    """Put pydantic's errors in our words."""
    found = [finding for detail in details for finding in _findings(detail)]
    # A key that is misspelt is not missing as well.
    meant = {
        (*finding.place, misspelt[1])
        for finding in found
        if (misspelt := _MEANT.fullmatch(finding.text))
    }
    return [
        finding
        for finding in found
        if not (finding.place in meant and finding.text.startswith("is missing"))
    ]


def mend(data: dict[str, Any], place: tuple[str, ...]) -> None:
    """Put something harmless where a value was refused."""
    table = data
    for key in place[:-1]:
        table = table[key]
    table.pop(place[-1], None)
    model = _table(place)
    field = model.model_fields.get(place[-1]) if model else None
    if field is not None and field.is_required():
        table[place[-1]] = (field.examples or [None])[0]


def _table(place: tuple[str, ...]) -> type[Table] | None:
    """Tell which table a place's last key is in, if it is a key of a table."""
    depth, section = len(place), place[0]
    if section in _KEYED:
        return _KEYED[section] if depth == 3 else Document if depth == 1 else None  # noqa: PLR2004
    return Document if depth == 1 else SECTIONS.get(section) if depth == 2 else None  # noqa: PLR2004


def _findings(detail: ErrorDetails) -> list[Finding]:
    place = tuple(str(key) for key in detail["loc"])
    table = _table(place)
    known = table.model_fields if table else {}
    match detail["type"]:
        case "extra_forbidden":
            return [Finding(place[:-1], _unknown_key(place, known, detail["input"]))]
        case "missing":
            example = (known[place[-1]].examples or [""])[0]
            text = f"is missing; write {place[-1]} = {show(example)}"
            if isinstance(example, dict):
                text = 'is missing; add it, with host = "smtp.example.com"'
        case "value_error":
            error = detail["ctx"]["error"]
            if isinstance(error, RefusedError):
                return [Finding((*place, *inner.place), inner.text) for inner in error.findings]
            text = str(error)
        case "model_type" | "dict_type":
            header = ".".join(show(key)[1:-1] for key in place)
            if place in {("rule",), ("source",)}:
                header += ".NAME"
            text = f"expected a table, got {show(detail['input'])}; write [{header}]"
        case _:
            text = f"{detail['msg']}; see config.example.toml"
    return [Finding(place, text)]


def _unknown_key(place: tuple[str, ...], known: Iterable[str], value: object) -> str:
    key = place[-1]
    what = f"unknown key {show(key)}"
    close = suggestion(key, known)
    if close:
        return what + close
    if isinstance(value, dict) and place[0] in _KEYED:
        name = show(f"{place[1]}.{key}")
        return f"{what}; a name with a dot stands in quotes: [{place[0]}.{name}]"
    return f"{what}; the keys here are {', '.join(known)}"
