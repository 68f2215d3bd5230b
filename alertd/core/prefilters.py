r"""
What the bytes of any line must contain that a rule matches: "filter before you parse".

For a demand on fields, the text that a field must have is looked for anywhere in the line, in every
spelling that the format allows; the exact test (see ``selectors``) then reads the few lines that
are left (Palkar et al., "Filter Before You Parse", VLDB 2018).  A rule for which there is no such
text is tested on every line.

Trap: each format can spell a text in ways that do not contain it: ``\u0046atal`` in JSON,
``"Fa"tal`` in csv, ``5e2`` for 500.  Each must be among the expressions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from alertd.core.patterns import (
    REST_OF_LINE,
    Encoding,
    Superset,
    folded,
    required,
    spelled,
    superset,
)
from alertd.core.records import WHOLE_LINE
from alertd.core.rules import Pattern
from alertd.core.selectors import text_operand, values

if TYPE_CHECKING:
    from alertd.core.rules import Alternative, Condition, Selector, Source


def _odd_quoting(delimiter: str, encoding: Encoding) -> bytes:
    r"""
    Write an expression for the lines of a csv whose quotes do more than enclose a field.

    Such a line ends within quotes, or something follows a closing quote (``"Fa"tal`` is Fatal to
    csv readers).  In all other lines a field's text stands as it is, but for doubled quotes.

    Opening quotes are told from closing ones by counting.  A quote inside a field without quotes
    (``5" disk``) puts that out of step; then an opening one, behind a delimiter, is taken for one
    that closes.  So lines where a closing quote stands behind a delimiter are among these, too.
    """
    between = spelled(delimiter, encoding)
    closed = rf'^[^"\n]*"(?:[^"\n]*"(?:{between}[^"\n]*)?")*[^"\n]*'
    odd = rf'(?:"[^"{between}\r\n]|"\r[^\n]|{between}")'
    return f"{closed}{odd}{REST_OF_LINE}|{closed}$".encode("ascii")


class _Filter(NamedTuple):
    """
    Expressions of which each matching line has at least one.

    Attributes:
        expressions: Each matches once a line, at its end.
        weight: How rare lines with them are likely to be, for comparison: for all that is known
            without looking at any, long texts are.
        summary: What is looked for, for a person.
    """

    expressions: tuple[bytes, ...]
    weight: int
    summary: str


class Prefilters:
    """
    Writes what the lines of one source must contain to be worth a test.

    Args:
        source: Where the lines come from.
        sample: Some of its lines.  Where one of several texts is enough, that is looked for which
            the fewest of them have (as Sparser does, see above).

    Attributes:
        odd_quoting: The expression for a csv's lines whose quotes do more than enclose a field.
        needs: A text without which an expression cannot match, for expressions that stand for
            spellings of which most logs have none.
    """

    def __init__(self, source: Source, sample: bytes = b"") -> None:
        self._sample = sample
        self._known: dict[tuple[bytes, ...], int] = {}
        self._format = source.format
        self._delimiter = source.delimiter
        self._encoding = Encoding(source.encoding)
        self.odd_quoting = _odd_quoting(source.delimiter, self._encoding)
        self.needs = {
            self.odd_quoting: b'"',
            _line_with(_ESCAPE): b"\\u",
            _line_with(_ASCII_ESCAPE): b"\\u",
        }

    def selector(self, selector: Selector) -> Superset | None:
        """Write expressions for all lines that any of the alternatives may match, or give None."""
        parts = [self._alternative(alternative) for alternative in selector]
        expressions: dict[bytes, None] = {}
        for part in parts:
            if part is None:
                return None
            expressions.update(dict.fromkeys(part.expressions))
        summaries = dict.fromkeys(part.summary for part in parts if part)
        return Superset(tuple(expressions), " or ".join(summaries))

    def _alternative(self, alternative: Alternative) -> Superset | None:
        if isinstance(alternative, Pattern):
            return superset(alternative.regex, self._encoding, self._sample)
        if not self._encoding.is_transparent:
            return None
        supersets = []
        filters = []
        for condition in alternative.conditions:
            if condition.field == WHOLE_LINE and condition.operator == "regex":
                found = superset(str(condition.operand), self._encoding, self._sample)
                if found is not None:
                    supersets.append(found)
            elif (one := self._condition(condition)) is not None:
                filters.append(one)
        if filters:
            best = filters[0]
            if len(filters) > 1:
                best = min(filters, key=lambda one: (self._seen(one), -one.weight))
            return Superset(best.expressions, best.summary)
        return supersets[0] if supersets else None

    def _seen(self, one: _Filter) -> int:
        """Count the lines of the sample that a filter lets through."""
        seen = self._known.get(one.expressions)
        if seen is None:
            anywhere = re.compile(b"|".join(one.expressions), re.MULTILINE)
            seen = len(anywhere.findall(self._sample)) if one.expressions else 0
            self._known[one.expressions] = seen
        return seen

    def _condition(self, condition: Condition) -> _Filter | None:
        kind, field = condition.operator, condition.field
        if self._format == "plain" and field != WHOLE_LINE:
            return None
        if self._format == "syslog" and field in {"facility", "severity"}:
            # They are computed from the priority.
            return None
        if kind in {"equals", "any_of"}:
            return self._any_of(field, values(condition))
        if kind == "contains":
            return self._contains(field, str(condition.operand))
        return self._regex(field, str(condition.operand)) if kind == "regex" else None

    def _any_of(self, field: str, operands: tuple[str | float | bool, ...]) -> _Filter | None:
        parts = [part for one in operands if (part := self._equality(field, one)) is not None]
        if len(parts) < len(operands):
            return None
        return _Filter(
            tuple(dict.fromkeys(text for part in parts for text in part.expressions)),
            min(part.weight for part in parts),
            " or ".join(part.summary for part in parts),
        )

    def _equality(self, field: str, operand: str | float | bool) -> _Filter | None:  # noqa: FBT001
        text = text_operand(operand)
        if text is None:
            return self._number(field, float(operand))
        if self._format != "json" or field == WHOLE_LINE:
            return self._contains(field, text)
        quoted = f'"{self._json(text)}"'.replace('"', r"\x22")
        expressions = [_line_with(quoted), *self._escapes(text)]
        if _BARE_JSON.match(text):
            # Not only a string may have this text.
            expressions.append(_line_with(self._json(text)))
        return _Filter(tuple(expressions), len(text) + 2, f"the text '{text}'")

    def _contains(self, field: str, text: str) -> _Filter | None:
        if not text:
            return None
        if "\n" in text and (field == WHOLE_LINE or self._format in {"plain", "csv", "syslog"}):
            # Only a record of several lines can hold it, and each of those is tested.
            return _Filter((), len(text), f"the text {text!r}")
        if field == WHOLE_LINE or self._format in {"plain", "syslog"}:
            expressions: tuple[bytes, ...] = (_line_with(spelled(text, self._encoding)),)
        elif self._format == "csv":
            expressions = (_line_with(self._csv(text)), self.odd_quoting)
        else:
            expressions = (_line_with(self._json(text)), *self._escapes(text))
        return _Filter(expressions, len(text), f"the text '{text}'")

    def _json(self, text: str) -> str:
        """Write the spellings of a text without unicode escapes, for JSON and logfmt alike."""
        return "".join(_JSON_ESCAPES.get(c) or spelled(c, self._encoding) for c in text)

    def _escapes(self, text: str) -> tuple[bytes, ...]:
        return (_line_with(_ASCII_ESCAPE if text.isascii() else _ESCAPE),)

    def _csv(self, text: str) -> str:
        """Write the spellings of a text in csv, but for odd ones."""
        quotes = {'"': r"\x22{1,3}", self._delimiter: spelled(self._delimiter, self._encoding)}
        quotes[self._delimiter] += r"\x22?"
        return "".join(quotes.get(c) or spelled(c, self._encoding) for c in text)

    def _number(self, field: str, operand: float) -> _Filter | None:
        if not abs(operand) < 2**53:
            return None
        digits = repr(abs(operand)).removesuffix(".0").removeprefix("0.")
        if "e" in digits:
            return None
        expressions = [
            _line_with(spelled(digits, self._encoding)),
            _line_with(self._exponent(field)),
            # With so many digits, a number may be rounded to the operand without containing it.
            _line_with(r"[0-9.]{17}"),
        ]
        if self._format in {"json", "logfmt"}:
            expressions.append(_line_with(_ASCII_ESCAPE))
        if self._format == "csv":
            expressions.append(self.odd_quoting)
        return _Filter(tuple(expressions), len(digits) - 2, f"the number {digits}")

    def _exponent(self, field: str) -> str:
        """Write the spellings of numbers with an exponent, and of little else."""
        before = "" if self._format == "csv" and self._delimiter.isalnum() else _NUMBER_START
        # Behind a field's value in JSON something follows; a line may be a number to its end.
        behind = r"[^0-9A-Za-z_\n]" if self._format == "json" and field != WHOLE_LINE else ""
        return before + r"[0-9.]+[eE][+\x2d]?[0-9]+" + behind

    def _regex(self, field: str, regex: str) -> _Filter | None:
        plain = _PLAIN_IN[self._format] if field != WHOLE_LINE else _PLAIN_IN["plain"]
        run = required(regex, lambda c: c in plain and c != self._delimiter)
        if run is None:
            return None
        if run.is_caseless:
            either = (
                f"[{c.lower()}{c.upper()}]" if c.isalpha() else spelled(c, self._encoding)
                for c in run.text
            )
            expressions = [_line_with("".join(either)), folded(self._encoding).encode("ascii")]
        else:
            expressions = [_line_with(spelled(run.text, self._encoding))]
        if self._format in {"json", "logfmt"}:
            expressions.extend(self._escapes(run.text))
            if run.is_caseless:
                expressions.append(_line_with(_ESCAPE))
        if self._format == "csv":
            expressions.append(self.odd_quoting)
        return _Filter(tuple(expressions), len(run.text), f"the text '{run.text}'")


def _line_with(text: str) -> bytes:
    return f"(?:{text}){REST_OF_LINE}".encode("ascii")


# How JSON's escapes begin, of any character and of those in ASCII.
_ESCAPE = r"\\u"
_ASCII_ESCAPE = r"\\u00"
# Texts that a value of JSON may have that is no string.
_BARE_JSON = re.compile(r"(?:true|false|NaN|-?Infinity|-?[0-9][0-9.eE+-]*)\Z|[{\[]")
# What may stand before a number; in quotes also a tab, written as an escape.
_NUMBER_START = r"(?:^|[^0-9A-Za-z\n]|\\t)"
_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
_PLAIN_IN = {
    "plain": _PRINTABLE,
    "syslog": _PRINTABLE,
    "csv": _PRINTABLE - {'"'},
    "json": _PRINTABLE - {*'"\\/'},
    "logfmt": _PRINTABLE - {*'"\\/'},
}
_JSON_ESCAPES = {
    '"': r"\\?\x22",
    "\\": r"\\{1,2}",
    "/": r"\\?/",
    "\b": r"(?:\x08|\\b)",
    "\f": r"(?:\x0c|\\f)",
    "\n": r"\\n",
    "\r": r"(?:\r|\\r)",
    "\t": r"(?:\t|\\t)",
}
