r"""
A regex in Python's dialect → an expression for Hyperscan that matches at least the same lines.

Hyperscan reads a whole chunk of bytes at once; Python's ``re`` then decides on the few lines that
it points at.  So what is made here may match too much, but never too little: a line that is not
pointed at is lost.  User patterns are never passed through, because the dialects differ in silence
(``{,3}``, ``[[:alpha:]]``, ``\Z``, ``\s``, Unicode); they are parsed by Python's own parser and
written anew, byte by byte.

How text and bytes correspond: an ASCII character is its own byte, any other character is one to
four bytes from ``\x80`` up, and so is what stands for undecodable bytes (U+FFFD).  The text of a
line has no newline; it lacks leading NULs and one trailing carriage return that its bytes may have.

Trap: every bounded repeat, anchor and word boundary that is kept must hold for the bytes whenever
it holds for the text.  In doubt it is relaxed.
"""

from __future__ import annotations

import re
import warnings
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# What hangs below a node of Python's parse tree depends on the node; its types are not public.
Argument: TypeAlias = Any
Node: TypeAlias = tuple[object, Argument]

ASCII = range(128)
NEWLINE = 0x0A
WIDE = r"\x80-\xff"
ANY_WIDE = rf"[{WIDE}]{{1,4}}"
# Not `^\x00*`: with it, sets of patterns that begin with an option lose lines behind another match.
LINE_START = r"(?:^|\x00)"
REST_OF_LINE = r"[^\n]*$"
LINE_END = r"\r?$"
# Hyperscan keeps a counter or a copy per repetition; beyond these the exact number is Python's job.
MOST_COPIES_OF_A_CLASS = 512
MOST_COPIES_OF_A_GROUP = 16
# The characters outside ASCII that IGNORECASE takes for an ASCII letter: i, i, s, k.
FOLDED = "\u0130\u0131\u017f\u212a"


class Encoding:
    """
    How the characters of a codec lie in a line's bytes.

    Attributes:
        name: Of the Python codec.
        is_utf8: It is that one.
        is_transparent: ASCII bytes are ASCII characters and nothing else; where this does not
            hold (UTF-16, Shift-JIS), bytes cannot be searched for text at all.
    """

    __slots__ = ("is_transparent", "is_utf8", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_utf8 = name.lower().replace("_", "-") in {"utf-8", "utf8"}
        self.is_transparent = self.is_utf8 or self._is_one_byte_a_character()

    def _is_one_byte_a_character(self) -> bool:
        everything = bytes(range(256))
        try:
            text = everything.decode(self.name, "replace")
        except (LookupError, UnicodeError):
            return False
        return (
            len(text) == len(everything)
            and text[:128] == everything[:128].decode("ascii")
            and all(ord(character) not in ASCII for character in text[128:])
        )

    def spelling(self, character: str) -> str:
        """Give an expression for the bytes that may stand for a character outside ASCII."""
        if not self.is_utf8 or character == "\ufffd" or "\ud800" <= character <= "\udfff":
            return ANY_WIDE
        return "".join(f"\\x{byte:02x}" for byte in character.encode())


class Superset(NamedTuple):
    """
    What the bytes of every matching line contain.

    Attributes:
        expressions: For Hyperscan in MULTILINE mode, each matching once a line, at its end; any of
            them makes the line a candidate.  None at all: no line can match.
        summary: What is looked for, for a person.
    """

    expressions: tuple[bytes, ...]
    summary: str


class _Part(NamedTuple):
    """An expression, and the fewest bytes that it matches."""

    expression: str
    least: int


class _Never(Exception):  # noqa: N818 - it is an answer, not an error
    """What is being written cannot match within a line."""


def compiled(regex: str) -> re.Pattern[str]:
    """
    Compile a regex; its author has been told about questionable syntax by ``check``.

    Raises:
        re.error: It is not a regex.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(regex)


def _parsed(regex: str) -> tuple[list[Node], int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = parser.parse(regex)
    return list(tree), tree.state.flags


def superset(regex: str, encoding: Encoding, *, is_loose: bool = False) -> Superset | None:
    """
    Write expressions for all lines that a regex can match.

    Args:
        regex: In Python's dialect, valid.
        encoding: Of the lines.
        is_loose: Give up on all bounded repeats, for a pattern that was refused with them.

    Returns:
        None if every line is a candidate.
    """
    if not encoding.is_transparent:
        return None
    nodes, flags = _parsed(regex)
    writer = _Writer(encoding, is_loose=is_loose)
    try:
        expression = writer.line(nodes, flags)
    except _Never:
        return Superset((), "nothing")
    if expression is None:
        return None
    expressions = (expression, folded(encoding)) if writer.is_folding else (expression,)
    return Superset(tuple(text.encode("ascii") for text in expressions), _summary(regex))


def _summary(regex: str) -> str:
    run = required(regex, str.isprintable)
    if run is None or not run.text.strip():
        return "pattern on chunks"
    return f"pattern on chunks, around the text '{run.text}'"


def folded(encoding: Encoding) -> str:
    """Write an expression for lines with a character that IGNORECASE takes for an ASCII letter."""
    return f"(?:{'|'.join(dict.fromkeys(map(encoding.spelling, FOLDED)))}){REST_OF_LINE}"


def spelled(text: str, encoding: Encoding) -> str:
    """Write an expression for the bytes of a text that contains no newline."""
    return "".join(
        f"\\x{ord(character):02x}" if character.isascii() else encoding.spelling(character)
        for character in text
    )


class Run(NamedTuple):
    """
    Consecutive characters that every match of a regex contains.

    Attributes:
        text: The characters.
        is_caseless: In any case.
    """

    text: str
    is_caseless: bool


def required(regex: str, is_plain: Callable[[str], bool]) -> Run | None:
    """
    Find the longest run of characters that every match of a regex contains.

    Args:
        regex: In Python's dialect, valid.
        is_plain: Whether a character may be part of it.
    """
    runs: list[Run] = []
    nodes, flags = _parsed(regex)
    _collect_runs(nodes, flags, is_plain, runs)
    return max(runs, key=lambda run: len(run.text), default=None)


def _collect_runs(
    nodes: Iterable[Node], flags: int, is_plain: Callable[[str], bool], runs: list[Run]
) -> None:
    text = ""
    is_caseless = bool(flags & re.IGNORECASE)
    for operation, argument in nodes:
        if operation is ops.LITERAL and is_plain(chr(argument)):
            text += chr(argument)
            continue
        if text:
            runs.append(Run(text, is_caseless))
            text = ""
        if operation is ops.SUBPATTERN:
            _, added, removed, inner = argument
            _collect_runs(inner, (flags | added) & ~removed, is_plain, runs)
        elif operation is ops.ATOMIC_GROUP:
            _collect_runs(argument, flags, is_plain, runs)
        elif operation in _REPEATS and argument[0] > 0:
            _collect_runs(argument[2], flags, is_plain, runs)
    if text:
        runs.append(Run(text, is_caseless))


_REPEATS = frozenset((ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT))
_CHARACTERS = frozenset((ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN))
_STARTS = frozenset((ops.AT_BEGINNING, ops.AT_BEGINNING_STRING))
_ENDS = frozenset((ops.AT_END, ops.AT_END_STRING))
_CATEGORIES = {
    ops.CATEGORY_DIGIT: r"\d",
    ops.CATEGORY_NOT_DIGIT: r"\D",
    ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S",
    ops.CATEGORY_WORD: r"\w",
    ops.CATEGORY_NOT_WORD: r"\W",
}


class _Class(NamedTuple):
    """Which characters one place of a pattern accepts: of ASCII exactly, others or none."""

    narrow: frozenset[int]
    is_wide: bool

    @property
    def is_word(self) -> bool:
        """Whether only ASCII word characters are accepted."""
        return not self.is_wide and all(chr(c).isalnum() or chr(c) == "_" for c in self.narrow)

    @property
    def members(self) -> str:
        """The accepted bytes as they stand between brackets."""
        ranges: list[list[int]] = []
        for code in sorted(self.narrow):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
        return "".join(
            f"\\x{low:02x}" if low == high else f"\\x{low:02x}-\\x{high:02x}"
            for low, high in ranges
        )


class _Writer:
    """Writes one pattern."""

    def __init__(self, encoding: Encoding, *, is_loose: bool) -> None:
        self._encoding = encoding
        self._is_loose = is_loose
        self.is_folding = False

    def line(self, nodes: list[Node], flags: int) -> str | None:
        """Write the whole pattern so that it matches once a line, at its end."""
        suffix = REST_OF_LINE
        if nodes and nodes[-1][0] is ops.AT and nodes[-1][1] in _ENDS:
            suffix = LINE_END
        part = self._sequence(nodes, flags, is_leading=True)
        return f"(?:{part.expression}){suffix}" if part.least else None

    def _sequence(self, nodes: Sequence[Node], flags: int, *, is_leading: bool) -> _Part:
        expression, least = "", 0
        for position, node in enumerate(nodes):
            if node[0] is ops.AT:
                expression += self._boundary(nodes, position, flags, is_leading=is_leading)
                continue
            part = self._node(node, flags, is_leading=is_leading)
            expression += part.expression
            least += part.least
            is_leading = is_leading and not part.expression
        return _Part(expression, least)

    def _boundary(
        self, nodes: Sequence[Node], position: int, flags: int, *, is_leading: bool
    ) -> str:
        kind = nodes[position][1]
        if kind in _STARTS:
            return LINE_START if is_leading else ""
        if kind is ops.AT_BOUNDARY and (
            self._is_word_edge(nodes[position + 1 :], flags, 0)
            or self._is_word_edge(nodes[:position], flags, -1)
        ):
            return r"\b"
        return ""

    def _is_word_edge(self, nodes: Sequence[Node], flags: int, side: int) -> bool:
        """
        Whether a sequence surely begins (side 0) or ends (side -1) with an ASCII word character.

        Next to one, the boundaries that Hyperscan sees include those that Python sees: they differ
        only in taking letters outside ASCII for no word.
        """
        if not nodes:
            return False
        operation, argument = nodes[side]
        if operation in _CHARACTERS:
            accepted = self._class(operation, argument, flags)
            return bool(accepted.narrow) and accepted.is_word
        if operation is ops.SUBPATTERN:
            _, added, removed, inner = argument
            return self._is_word_edge(inner, (flags | added) & ~removed, side)
        if operation in _REPEATS:
            return argument[0] > 0 and self._is_word_edge(argument[2], flags, side)
        return False

    def _node(self, node: Node, flags: int, *, is_leading: bool) -> _Part:  # noqa: PLR0911 - one a kind
        operation, argument = node
        if operation in _CHARACTERS:
            return self._character(operation, argument, flags)
        if operation in _REPEATS:
            return self._repeat(argument, flags, is_leading=is_leading)
        if operation is ops.SUBPATTERN:
            _, added, removed, inner = argument
            return self._group(inner, (flags | added) & ~removed, is_leading=is_leading)
        if operation is ops.ATOMIC_GROUP:
            return self._group(argument, flags, is_leading=is_leading)
        if operation is ops.BRANCH:
            return self._branches(argument[1], flags, is_leading=is_leading)
        if operation is ops.GROUPREF_EXISTS:
            _, yes, no = argument
            return self._branches((yes, no or ()), flags, is_leading=is_leading)
        if operation is ops.GROUPREF:
            return _Part(r"[^\n]*", 0)
        # ASSERT, ASSERT_NOT and FAILURE: what they look at stays unread.
        return _Part("", 0)

    def _group(self, nodes: Sequence[Node], flags: int, *, is_leading: bool) -> _Part:
        part = self._sequence(nodes, flags, is_leading=is_leading)
        return _Part(f"(?:{part.expression})", part.least) if part.expression else part

    def _branches(
        self, branches: Iterable[Sequence[Node]], flags: int, *, is_leading: bool
    ) -> _Part:
        parts = []
        for branch in branches:
            try:
                parts.append(self._sequence(branch, flags, is_leading=is_leading))
            except _Never:
                continue
        if not parts:
            raise _Never
        if not any(part.expression for part in parts):
            return _Part("", 0)
        expressions = dict.fromkeys(part.expression for part in parts)
        return _Part(f"(?:{'|'.join(expressions)})", min(part.least for part in parts))

    def _repeat(self, argument: Argument, flags: int, *, is_leading: bool) -> _Part:
        low, high, inner = argument
        try:
            nodes = list(inner)
            if len(nodes) == 1 and nodes[0][0] in _CHARACTERS:
                operation, character = nodes[0]
                accepted = self._class(operation, character, flags)
                if accepted.is_wide or len(accepted.narrow) != 1:
                    return self._repeated_class(accepted, low, high)
            # A start of line inside a repeat holds in its first turn only.
            part = self._group(nodes, flags, is_leading=is_leading and (low, high) == (1, 1))
        except _Never:
            if low == 0:
                return _Part("", 0)
            raise
        if not part.expression:
            return part
        low, count = self._count(low, high, MOST_COPIES_OF_A_GROUP)
        return _Part(f"(?:{part.expression}){count}", part.least * low)

    def _repeated_class(self, accepted: _Class, low: int, high: int) -> _Part:
        if not accepted.narrow and not accepted.is_wide:
            raise _Never
        if accepted.is_wide and high is not ops.MAXREPEAT:
            high *= 4
        low, count = self._count(low, high, MOST_COPIES_OF_A_CLASS)
        members = accepted.members + (WIDE if accepted.is_wide else "")
        return _Part(f"[{members}]{count}", low)

    def _count(self, low: int, high: int, most: int) -> tuple[int, str]:
        low = min(low, 1 if self._is_loose else most)
        if high is ops.MAXREPEAT or high > most or (self._is_loose and high > 1):
            return low, {0: "*", 1: "+"}.get(low, f"{{{low},}}")
        return low, f"{{{low},{high}}}"

    def _character(self, operation: object, argument: Argument, flags: int) -> _Part:
        is_caseless = bool(flags & re.IGNORECASE)
        if operation is ops.LITERAL and not is_caseless and argument != NEWLINE:
            return _Part(spelled(chr(argument), self._encoding), 1)
        accepted = self._class(operation, argument, flags)
        if not accepted.is_wide:
            if not accepted.narrow:
                raise _Never
            return _Part(f"[{accepted.members}]", 1)
        if not accepted.narrow:
            return _Part(ANY_WIDE, 1)
        return _Part(f"(?:[{accepted.members}]|{ANY_WIDE})", 1)

    def _class(self, operation: object, argument: Argument, flags: int) -> _Class:
        """Ask Python which characters a place accepts."""
        if operation is ops.ANY:
            return _Class(frozenset(ASCII) - {NEWLINE}, is_wide=True)
        items = argument if operation is ops.IN else ((ops.LITERAL, argument),)
        is_negated = operation is ops.NOT_LITERAL
        is_wide = is_negated
        text = ""
        for kind, value in items:
            if kind is ops.NEGATE:
                is_negated = is_wide = True
            elif kind is ops.LITERAL:
                text += f"\\U{value:08x}"
                is_wide = is_wide or value not in ASCII
            elif kind is ops.RANGE:
                low, high = value
                text += f"\\U{low:08x}-\\U{high:08x}"
                is_wide = is_wide or high not in ASCII
            else:
                text += _CATEGORIES[value]
                # Only \d, \s and \w of ASCII stay within it.
                is_wide = is_wide or not flags & re.ASCII or _CATEGORIES[value].isupper()
        matches = re.compile(
            f"[{'^' * is_negated}{text}]", flags & (re.IGNORECASE | re.ASCII)
        ).match
        narrow = frozenset(code for code in ASCII if matches(chr(code))) - {NEWLINE}
        if not is_wide and any(map(matches, FOLDED)):
            # Such lines have an expression of their own: inside this one, an alternative of
            # another length would break every literal that Hyperscan looks for.
            self.is_folding = True
        return _Class(narrow, is_wide=is_wide)
