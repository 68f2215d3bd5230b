"""
Rules and log files put together by chance, so that most of the rules find something.

A rule is made together with a line that it asks for: the texts that fields must have.  The line is
then written as its format allows, in one of many spellings, and sometimes spoiled.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from core.examples import rule
from core.regexes import WORDS, spoiled, written

from alertd.core.rules import Condition, Conjunction, Pattern, Step

if TYPE_CHECKING:
    import random

    from alertd.core.rules import Alternative, Format, Operator, Rule, Source

FIELDS: dict[Format, tuple[str, ...]] = {
    "plain": ("line", "line", "line", "line", "f"),
    "csv": ("f", "g", "h"),
    "json": ("f", "g", "h", "ctx.h"),
    "logfmt": ("f", "g", "h"),
    "syslog": ("message", "program", "pid", "host", "severity"),
}
NUMBERS = (0.0, 0.5, 1.0, 7.0, 500.0, -3.0, 1e20, 12345678901234567.0)
VALUES = (
    "true",
    "false",
    "null",
    "",
    "{",
    "NaN",
    "[]",
    "5e2",
    "x\ny",
    'a"b',
    "a,b",
    "a/b",
    "\\u0046",
)
JUNK = (b"\xff", b"\xc3", b"\xe2\x82", b"\0", b"\xef\xbf\xbd", b'"', b",", b"\r", b"{", b"\\")
TIMES = (
    *("", "", "2026-11-24T10:00:0", "2026-11-24 10:00:05 ", "Nov 24 10:00:01 "),
    *("2026-10-25 02:30:00 ", "2026-10-25 02:10:00 "),
)
# The texts of some fields, and what the whole line contains.
Wanted = tuple[dict[str, str], str]


class File(NamedTuple):
    """What rules are held against."""

    rules: list[Rule]
    content: bytes


def file(chance: random.Random, source: Source, *, rules: int, lines: int) -> File:
    """
    Put a file and its rules together.

    Args:
        chance: What chooses.
        source: Its format, encoding and columns.
        rules: At most.
        lines: At most.
    """
    wanted: list[Wanted] = []
    made = []
    for number in range(chance.randint(1, rules)):
        match = [_alternative(chance, source, wanted) for _ in range(chance.choice((1, 1, 2)))]
        unless = [_alternative(chance, source, [])] if chance.random() < 0.15 else []
        keys = chance.choice(((), (), (), (), ("f",), ("f", "g"), ("line",), ("g0",)))
        made.append(rule(f"r{number}", match=tuple(match), unless=tuple(unless), group_by=keys))
    ending = chance.choice((b"\n", b"\n", b"\r\n"))
    written_lines = [
        _line(chance, source, wanted) for _ in range(chance.randint(lines // 2, lines))
    ]
    content = chance.choice((b"", b"", b"\xef\xbb\xbf"))
    if source.format == "csv" and (not source.columns or chance.random() < 0.3):
        content += b"f,g,h" + ending
    content += ending.join(written_lines) + chance.choice((b"", ending))
    for number in range(1, len(made)):
        if chance.random() < 0.2:
            made[number] = _in_order(made[number], made[number - 1])
    return File(made, content)


def _in_order(one: Rule, other: Rule) -> Rule:
    """Make a sequence of what two rules look for; one of them may be a sequence already."""
    steps = (Step(one.match, other.unless, count=2), Step(other.match))
    return replace(one, kind="sequence", steps=steps, match=(*one.match, *other.match))


def _alternative(chance: random.Random, source: Source, wanted: list[Wanted]) -> Alternative:
    if chance.random() < 0.35:
        part, _ = written(chance)
        wanted.append(({}, part.text))
        return Pattern(part.regex)
    fields: dict[str, str] = {}
    conditions = []
    for _ in range(chance.choice((1, 1, 2))):
        name = "line" if chance.random() < 0.1 else chance.choice(FIELDS[source.format])
        if name in fields:
            continue
        one, fields[name] = _condition(chance, name)
        if chance.random() < 0.08:
            one = Condition(one.field, "not", (one,))
        conditions.append(one)
    wanted.append((fields, fields.pop("line", "")))
    return Conjunction(tuple(conditions))


def _condition(chance: random.Random, field: str) -> tuple[Condition, str]:
    """Demand something of a field, and say what fulfils it."""
    kind = chance.randint(0, 6)
    if kind <= 1:
        part, _ = written(chance)
        return Condition(field, "regex", part.regex), part.text
    if kind == 2:
        operators: tuple[Operator, ...] = ("at_least", "at_most", "more_than", "less_than")
        number = chance.choice(NUMBERS)
        near = number + chance.choice((-1, 0, 0, 1))
        return Condition(field, chance.choice(operators), number), _spelled_number(chance, near)
    operand, text = _operand(chance)
    if kind == 3:
        return Condition(field, "equals", operand), text
    if kind == 4:
        return Condition(field, "any_of", (_operand(chance)[0], operand)), text
    if kind == 5:
        text = _text(chance)
        return Condition(field, "contains", text), chance.choice(WORDS) + text
    return Condition(field, "exists", chance.random() < 0.7), text


def _operand(chance: random.Random) -> tuple[str | float | bool, str]:
    """Give what a field is compared with, and a text that equals it."""
    kind = chance.random()
    if kind < 0.4:
        number = chance.choice(NUMBERS)
        return number, _spelled_number(chance, number)
    if kind < 0.5:
        return (True, "true") if kind < 0.45 else (False, "false")
    text = _text(chance)
    return text, text


def _text(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(VALUES)
    return "".join(chance.choice(WORDS) for _ in range(chance.randint(1, 3)))


def _spelled_number(chance: random.Random, number: float) -> str:
    ways = [repr(number), f"{number:.3f}", f"{number:e}", f"{number:E}", f" {number!r}\t"]
    ways += [f"+{number!r}" if number >= 0 else repr(number), repr(number).removeprefix("0")]
    ways += [repr(int(number)) + "." + "0" * 25, repr(int(number)), f"0{abs(number)!r}"]
    ways += [f"{number / 100!r}e2", f"{number * 10!r}e-1", "499.99999999999999999999", "1e400"]
    return chance.choice(ways)


def _line(chance: random.Random, source: Source, wanted: list[Wanted]) -> bytes:
    if chance.random() < 0.05:
        return chance.choice((b"", b"\0", b"\r", b" ", b"\xff"))
    fields: dict[str, str] = {}
    line = ""
    for some, text in chance.sample(wanted, min(len(wanted), chance.choice((1, 1, 1, 1, 2)))):
        fields.update(some)
        line += text
    if chance.random() < 0.2:
        name = chance.choice(FIELDS[source.format])
        fields[name] = spoiled(chance, fields.get(name) or _text(chance))
    if chance.random() < 0.2:
        line = spoiled(chance, line)
    if fields or chance.random() < 0.1:
        spelled = _SPELLERS[source.format](chance, fields)
        line = chance.choice((spelled + line, spelled + line, line + " " + spelled))
    raw = (chance.choice(TIMES) * (chance.random() < 0.2) + line).encode(source.encoding, "replace")
    if not (source.multiline and chance.random() < 0.7):
        raw = raw.replace(b"\n", b"")
    if chance.random() < 0.1:
        at = chance.randint(0, len(raw))
        raw = raw[:at] + chance.choice(JUNK) + raw[at:]
    return b"\0" * chance.choice((0, 0, 0, 0, 2)) + raw


def _json(chance: random.Random, fields: dict[str, str]) -> str:
    pairs = []
    for name, text in fields.items():
        value = _json_value(chance, text)
        if name == "ctx.h" and chance.random() < 0.8:
            pairs.append(f'"ctx":{{"h":{value}}}')
            continue
        if chance.random() < 0.1:
            # The last one of a name counts.
            pairs.append(f'"{name}":{_json_value(chance, _text(chance))}')
        shown = f"\\u{ord(name[0]):04x}{name[1:]}" if chance.random() < 0.1 else name
        pairs.append(f'"{shown}"{chance.choice(("", " "))}:{chance.choice(("", " "))}{value}')
    if chance.random() < 0.3:
        pairs.append('"ts":"2026-11-24T10:00:00Z"')
    return "{" + chance.choice((",", ", ")).join(pairs) + "}"


def _json_value(chance: random.Random, text: str) -> str:
    try:
        if chance.random() < 0.7 and not isinstance(json.loads(text), dict | list | str):
            return text
    except ValueError:
        pass
    return '"' + "".join(_json_character(chance, character) for character in text) + '"'


def _json_character(chance: random.Random, character: str) -> str:
    if chance.random() < 0.1:
        units = character.encode("utf-16-be").hex()
        spelled = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        return spelled.upper().replace("U", "u") if chance.random() < 0.3 else spelled
    if character == "/" and chance.random() < 0.5:
        return "\\/"
    if character in '"\\' or (character < " " and chance.random() < 0.9):
        return json.dumps(character)[1:-1]
    return character


def _csv(chance: random.Random, fields: dict[str, str]) -> str:
    return ",".join(_csv_value(chance, fields.get(name, "")) for name in ("f", "g", "h"))


def _csv_value(chance: random.Random, text: str) -> str:
    kind = chance.random()
    if kind < 0.15:
        return text
    if kind < 0.35:
        # A reader puts up with what follows the closing quote.
        at = chance.randint(0, len(text))
        return '"' + text[:at].replace('"', '""') + '"' + text[at:]
    if kind < 0.6 or any(character in text for character in ',"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _logfmt(chance: random.Random, fields: dict[str, str]) -> str:
    pairs = []
    for name, text in fields.items():
        if chance.random() < 0.5 and text.isalnum():
            pairs.append(f"{name}={text}")
        else:
            value = "".join(_json_character(chance, character) for character in text)
            pairs.append(f'{name}="{value}"')
    return " ".join(pairs)


def _syslog(chance: random.Random, fields: dict[str, str]) -> str:
    host, program = fields.get("host", "f"), fields.get("program", "a")
    pid, message = fields.get("pid", "7"), fields.get("message", "Fatal")
    priority = chance.choice(("<34>", "<0>", "<999>"))
    if chance.random() < 0.4:
        extra = chance.choice(("-", '[x y="]"]', "[z]"))
        return f"{priority}1 2026-11-24T10:00:00Z {host} {program} {pid} - {extra} {message}"
    time = chance.choice(("Nov 24 10:00:01", "2026-11-24T10:00:00.5+01:00"))
    tag = chance.choice((f"{program}[{pid}]: ", f"{program}: ", ""))
    return f"{chance.choice(('', priority))}{time} {host} {tag}{message}"


def _plain(_: random.Random, fields: dict[str, str]) -> str:
    return " ".join(fields.values())


_SPELLERS = {
    "plain": _plain,
    "csv": _csv,
    "json": _json,
    "logfmt": _logfmt,
    "syslog": _syslog,
}
