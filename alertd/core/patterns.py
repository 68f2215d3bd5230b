r"""
A regex in Python's dialect → an expression for Hyperscan that matches at least the same lines.

Hyperscan reads a whole chunk of bytes at once; Python's ``re`` then decides on the few lines that
it points at.  So what is made here may match too much, but never too little: a line that is not
pointed at is lost.  User patterns are never passed through, because the dialects differ in silence
(``{,3}``, ``[[:alpha:]]``, ``\Z``, ``\s``, Unicode); they are parsed by Python's own parser, and of
what every match must contain, the most telling text is looked for, with what follows it as far as
that is bounded or ends at the next blank.

How text and bytes correspond: an ASCII character is its own byte, any other character is one to
four bytes from ``\x80`` up, and so is what stands for undecodable bytes (U+FFFD).  The text of a
line has no newline; it lacks leading NULs and one trailing carriage return that its bytes may have.

Trap: Hyperscan as packaged (Vectorscan 5.4.12) loses lines where an expression has anchors, repeats
or choices before its text, or unbounded repeats behind it: one in fifteen random sets of patterns
did.  So an expression begins with a text, and nothing in it is unbounded but the rest of the line
and runs of characters without blanks.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# What hangs below a node of Python's parse tree depends on the node; its types are not public.
Argument: TypeAlias = Any
Node: TypeAlias = tuple[object, Argument]

ASCII = range(128)
NEWLINE = 0x0A
BLANK = 0x20
WIDE = r"\x80-\xff"
ANY_WIDE = rf"[{WIDE}]{{1,4}}"
REST_OF_LINE = r"[^\n]*$"
# Beyond these, the exact number is Python's job.
MOST_COPIES = 8
MOST_CHOICES = 64
LONGEST_TAIL = 32
# A text that is once in so many bytes of a sample is good enough.
RARE = 16384
# Texts that a person is told.
MOST_SHOWN = 4
# Among texts with so many characters, others matter more than their length.
LONG = 6
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


class _Never(Exception):  # noqa: N818 - it is an answer, not an error
    """What is being written cannot match within a line."""


@lru_cache(maxsize=4096)
def compiled(regex: str) -> re.Pattern[str]:
    """
    Compile a regex; its author has been told about questionable syntax by ``check``.

    A regex is needed to validate its rule, to warn about it and to confirm its matches.  Python
    itself remembers 512, and so would compile each of a thousand anew each time.

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


def superset(regex: str, encoding: Encoding, sample: bytes = b"") -> Superset | None:
    """
    Write expressions for all lines that a regex can match.

    Args:
        regex: In Python's dialect, valid.
        encoding: Of the lines.
        sample: Some of the lines.  Where there are several texts to look for, it is the one that
            the fewest of these have; without any, a long one.

    Returns:
        None if every line is a candidate.
    """
    if not encoding.is_transparent:
        return None
    nodes, flags = _parsed(regex)
    writer = _Writer(encoding, sample)
    try:
        choice = writer.choice(nodes, flags)
    except _Never:
        return Superset((), "nothing, as no line can match its regex")
    if choice is None:
        return None
    expressions = [f"(?:{'|'.join(choice.expressions)}){REST_OF_LINE}"]
    if writer.is_folding:
        expressions.append(folded(encoding))
    return Superset(tuple(text.encode("ascii") for text in expressions), _summary(choice))


def _summary(choice: _Choice) -> str:
    """Say what is looked for: with what text it begins, and whether that is all of it."""
    texts = [*dict.fromkeys(choice.texts)]
    if not all(text.strip() for text in texts):
        return "a pattern without a telling text"
    shown = [f"'{text}'" for text in texts[:MOST_SHOWN]] + ["others"] * (len(texts) > MOST_SHOWN)
    listed = " or ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
    case = " in any case" if choice.is_caseless else ""
    return f"the text {listed}{case}" if choice.is_text else f"a pattern from {listed}{case} on"


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


class _Item(NamedTuple):
    """
    One place of a pattern, or a gap of any length.

    Attributes:
        expression: For its bytes; empty for a gap.
        is_literal: One character, perhaps in either case.
        character: That one.
        is_class: One of several characters, all in ASCII.
        choices: What stands in the gap, if something does.
    """

    expression: str
    is_literal: bool = False
    character: str = ""
    is_class: bool = False
    choices: _Choice | None = None


class _Choice(NamedTuple):
    """
    What every match of a part contains.

    Attributes:
        rank: How well it tells lines apart.
        expressions: Of which one is contained.
        texts: With what each begins; empty for a class.
        is_text: They are nothing but that.
        is_caseless: Some of it in any case.
    """

    rank: tuple[int, int]
    expressions: tuple[str, ...]
    texts: tuple[str, ...]
    is_text: bool
    is_caseless: bool


_GAP = _Item("")


class _Writer:
    """Writes one pattern."""

    def __init__(self, encoding: Encoding, sample: bytes) -> None:
        self._encoding = encoding
        self._sample = sample
        self.is_folding = False

    def choice(self, nodes: Iterable[Node], flags: int) -> _Choice | None:
        """Choose what tells the lines that a sequence matches best from others."""
        items = [*self._items(nodes, flags)]
        found = [item.choices for item in items if item.choices is not None]
        for start, item in enumerate(items):
            if item.is_literal and not (start and items[start - 1].is_literal):
                found.append(_from_text(items[start:]))
            elif item.is_class:
                # Next to nothing, but better than a look at every line.
                found.append(
                    _Choice((0, 0), (item.expression,), ("",), is_text=False, is_caseless=False)
                )
        found.sort(key=lambda one: one.rank, reverse=True)
        if len(found) < 2 or self._is_rare(found[0]):  # noqa: PLR2004 - nothing to choose from
            return next(iter(found), None)
        return min(found, key=self._seen)

    def _is_rare(self, choice: _Choice) -> bool:
        """Tell cheaply, for most regexes, that there is no need to look for anything better."""
        if choice.is_caseless or not all(choice.texts):
            return not self._sample
        texts = (text.encode(self._encoding.name, "replace") for text in choice.texts)
        return sum(map(self._sample.count, texts)) <= len(self._sample) // RARE

    def _seen(self, choice: _Choice) -> int:
        """Count the lines of the sample that would be candidates."""
        anywhere = f"(?:{'|'.join(choice.expressions)}){REST_OF_LINE}".encode("ascii")
        return len(re.compile(anywhere, re.MULTILINE).findall(self._sample))

    def _items(self, nodes: Iterable[Node], flags: int) -> Iterator[_Item]:
        for operation, argument in nodes:
            if operation in _CHARACTERS:
                yield self._character(operation, argument, flags)
            elif operation in _REPEATS:
                yield from self._repeat(argument, flags)
            elif operation is ops.SUBPATTERN:
                _, added, removed, inner = argument
                yield from self._items(inner, (flags | added) & ~removed)
            elif operation is ops.ATOMIC_GROUP:
                yield from self._items(argument, flags)
            elif operation is ops.BRANCH:
                yield self._branches(argument[1], flags)
            elif operation is ops.GROUPREF_EXISTS:
                _, yes, no = argument
                yield self._branches((yes, no or ()), flags)
            elif operation is ops.GROUPREF:
                yield _GAP
            # Anchors, boundaries and assertions take no room, and stay unread.

    def _branches(self, branches: Iterable[Sequence[Node]], flags: int) -> _Item:
        choices = []
        for branch in branches:
            try:
                choices.append(self.choice(branch, flags))
            except _Never:
                continue
        if not choices:
            raise _Never
        known = [choice for choice in choices if choice is not None]
        expressions = tuple(dict.fromkeys(text for one in known for text in one.expressions))
        if len(known) < len(choices) or len(expressions) > MOST_CHOICES:
            return _GAP
        together = _Choice(
            rank=min(one.rank for one in known),
            expressions=expressions,
            texts=tuple(text for one in known for text in one.texts),
            is_text=all(one.is_text for one in known),
            is_caseless=any(one.is_caseless for one in known),
        )
        return _Item("", choices=together)

    def _repeat(self, argument: Argument, flags: int) -> Iterator[_Item]:
        low, high, inner = argument
        nodes = list(inner)
        try:
            items = [*self._items(nodes, flags)]
        except _Never:
            if low:
                raise
            yield _GAP
            return
        if len(items) == 1 and items[0].expression:
            (item,) = items
            if low == high <= MOST_COPIES:
                yield from items * low
            elif high <= MOST_COPIES:
                yield from items * low
                yield _Item(f"(?:{item.expression}){{0,{high - low}}}")
            else:
                yield from items * min(low, MOST_COPIES)
                yield self._unbounded(nodes[0], flags)
            return
        if low:
            yield from items
        yield _GAP

    def _unbounded(self, node: Node, flags: int) -> _Item:
        """Write a run of characters that ends at the next blank, if that is what it is."""
        operation, argument = node
        if operation not in _CHARACTERS:
            return _GAP
        accepted = self._class(operation, argument, flags)
        if BLANK in accepted.narrow:
            return _GAP
        return _Item(f"[{accepted.members}{WIDE if accepted.is_wide else ''}]*")

    def _character(self, operation: object, argument: Argument, flags: int) -> _Item:
        is_caseless = bool(flags & re.IGNORECASE)
        if operation is ops.LITERAL and not is_caseless and argument != NEWLINE:
            expression = spelled(chr(argument), self._encoding)
            return _Item(expression, is_literal=expression != ANY_WIDE, character=chr(argument))
        accepted = self._class(operation, argument, flags)
        if accepted.is_wide:
            members = f"[{accepted.members}]|" if accepted.narrow else ""
            return _Item(f"(?:{members}{ANY_WIDE})")
        if not accepted.narrow:
            raise _Never
        is_literal = operation is ops.LITERAL
        character = chr(argument) if is_literal else ""
        return _Item(
            f"[{accepted.members}]",
            is_literal=is_literal,
            character=character,
            is_class=not is_literal,
        )

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


def _from_text(items: Sequence[_Item]) -> _Choice:
    """Write what begins with a text and goes on as far as no gap follows."""
    run = next((at for at, item in enumerate(items) if not item.is_literal), len(items))
    bounded = next((at for at, item in enumerate(items) if not item.expression), len(items))
    kept = items[: min(bounded, run + LONGEST_TAIL)]
    return _Choice(
        rank=(min(run, LONG), sum(item.is_literal for item in kept)),
        expressions=("".join(item.expression for item in kept),),
        texts=("".join(item.character for item in kept[:run]),),
        is_text=len(kept) == run,
        is_caseless=any(item.expression.startswith("[") for item in kept[:run]),
    )
