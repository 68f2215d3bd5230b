r"""
Which named groups of a regex whoever writes text into the line can choose.

``Failed .* from (?P<ip>\S+)`` means the address that the server saw, but a user who calls himself
``x from 10.0.0.1`` puts another one there, and that one is counted (CVE-2013-2178).  A group is
safe if its place is settled by the line's beginning, or by its end: the pattern is anchored there,
and nothing between the anchor and the group can swallow text that imitates what follows.

Refuses to judge what the group itself holds: a user's name is the user's choice.

Trap: ``[^ ]+ `` and ``\d+\]`` are unbounded and still settle where they end, because they cannot
hold what comes next; ``.*`` and ``\S+`` before a letter do not.
"""

from __future__ import annotations

import re
import warnings
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What hangs below a node of Python's parse tree depends on the node; its types are not public.
Node: TypeAlias = tuple[object, Any]
Characters: TypeAlias = frozenset[str]

_SOME: Final[Characters] = frozenset(map(chr, range(128))) | {"é"}
"""Every ASCII character, and one for all others."""
_CATEGORIES: Final = {
    ops.CATEGORY_DIGIT: r"\d",
    ops.CATEGORY_NOT_DIGIT: r"\D",
    ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S",
    ops.CATEGORY_WORD: r"\w",
    ops.CATEGORY_NOT_WORD: r"\W",
}
_SINGLE: Final = frozenset({ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN})
_REPEATS: Final = frozenset({ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT})
_WIDTHLESS: Final = frozenset({ops.AT, ops.ASSERT, ops.ASSERT_NOT})
_BLANKS: Final = frozenset(one for one in _SOME if one.isspace())
_STARTS: Final = frozenset({ops.AT_BEGINNING, ops.AT_BEGINNING_STRING})
_ENDS: Final = frozenset({ops.AT_END, ops.AT_END_STRING})


class _Surroundings(NamedTuple):
    """What a group lies between; ``is_repeated`` if it may match more than once."""

    before: list[Node]
    after: list[Node]
    is_repeated: bool = False


def forgeable(regex: str, groups: Iterable[str]) -> list[str]:
    """
    Name those of some groups whose place in the line its writer can choose.

    Args:
        regex: A valid regex, searched in a line.
        groups: Names, of groups of this regex or others.
    """
    own = [group for group in groups if f"(?P<{group}>" in regex]
    if not own:
        return []  # without parsing: there may be a thousand rules
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = parser.parse(regex)
    flags = tree.state.flags
    numbers = tree.state.groupdict
    # A comment, or what is escaped, may only look like a group.
    places = {group: _around(list(tree), numbers[group]) for group in own if group in numbers}
    return [
        group
        for group, around in places.items()
        if around is not None and not _is_settled(around, flags)
    ]


def _is_settled(around: _Surroundings, flags: int) -> bool:
    if around.is_repeated:
        return False
    return any(
        _begins(nodes, anchors) and _is_rigid(nodes, flags)
        for nodes, anchors in (
            (_opened(around.before), _STARTS),
            (_mirrored(_opened(around.after)), _ENDS),
        )
    )


def _begins(nodes: Sequence[Node], anchors: frozenset[object]) -> bool:
    """Tell whether an anchor stands there, whichever branch is taken."""
    for node in nodes:
        operation, argument = node
        if operation is ops.AT and argument in anchors:
            return True
        if operation is ops.BRANCH:
            return all(_begins(way, anchors) for way in argument[1])
        if operation not in _WIDTHLESS and not _is_run_of_blanks(node):
            return False
    return False


def _is_run_of_blanks(node: Node) -> bool:
    r"""Tell whether this is a run of blanks, in which nothing can be imitated: ``\s*$``."""
    operation, argument = node
    if operation not in _REPEATS or len(argument[2]) != 1:
        return False
    return argument[2][0][0] in _SINGLE and _single(argument[2][0], 0) <= _BLANKS


def _is_rigid(nodes: Sequence[Node], flags: int) -> bool:
    """Tell whether text imitating what comes later in ``nodes`` cannot be swallowed earlier."""
    for index, node in enumerate(nodes):
        operation, argument = node
        rest = [*nodes[index + 1 :]]
        if operation is ops.BRANCH:
            return all(_is_rigid([*way, *rest], flags) for way in argument[1])
        if operation not in _REPEATS or _is_run_of_blanks(node):
            continue
        low, high, body = argument
        if high == 1:
            return _is_rigid([*body, *rest], flags) and (low == 1 or _is_rigid(rest, flags))
        if len(body) != 1 or body[0][0] not in _SINGLE:
            return False
        if low != high and _single(body[0], flags) & _first(rest, flags):
            return False
    return True


def _first(nodes: Sequence[Node], flags: int) -> Characters:
    """Return with which characters what follows may begin; with any, if a group comes first."""
    found: Characters = frozenset()
    for index, (operation, argument) in enumerate(nodes):
        if operation in _SINGLE:
            return found | _single((operation, argument), flags)
        if operation in _REPEATS:
            found |= _first(argument[2], flags)
            if argument[0]:
                return found
        elif operation is ops.BRANCH:
            # An empty way lets what comes after it be first.
            ways = [_first([*way, *nodes[index + 1 :]], flags) for way in argument[1]]
            return found.union(*ways)
        elif operation not in _WIDTHLESS:
            return _SOME
    return _SOME


def _single(node: Node, flags: int) -> Characters:
    """Return which characters a node that matches one of them matches."""
    operation, argument = node
    if operation is ops.ANY:
        return _SOME
    if operation is ops.NOT_LITERAL:
        return _SOME - _folded({chr(argument)}, flags)
    items = argument if operation is ops.IN else [node]
    is_negated = items[0][0] is ops.NEGATE
    found: set[str] = set()
    for kind, what in items[is_negated:]:
        if kind is ops.LITERAL:
            found.add(chr(what) if what < len(_SOME) - 1 else "é")
        elif kind is ops.RANGE:
            found |= {one for one in _SOME if what[0] <= ord(one) <= what[1]}
        else:
            found |= {one for one in _SOME if re.match(_CATEGORIES[what], one)}
    accepted = _folded(found, flags)
    return _SOME - accepted if is_negated else accepted


def _folded(found: set[str], flags: int) -> Characters:
    if flags & re.IGNORECASE:
        return frozenset(found).union(*({one.lower(), one.upper()} for one in found))
    return frozenset(found)


def _around(nodes: Sequence[Node], number: int) -> _Surroundings | None:
    """Return what a group lies between, as far as its own branch has it."""
    for index, (operation, argument) in enumerate(nodes):
        before, after = list(nodes[:index]), list(nodes[index + 1 :])
        inner: Sequence[Sequence[Node]] = ()
        is_repeated = False
        if operation is ops.SUBPATTERN:
            if argument[0] == number:
                return _Surroundings(before, after)
            inner = [argument[3]]
        elif operation is ops.ATOMIC_GROUP:
            inner = [argument]
        elif operation is ops.BRANCH:
            inner = argument[1]
        elif operation in _REPEATS:
            inner, is_repeated = [argument[2]], argument[1] != 1
        elif operation in {ops.ASSERT, ops.ASSERT_NOT}:
            # What is looked ahead at has no place of its own.
            inner, is_repeated = [argument[1]], True
        for way in inner:
            found = _around(way, number)
            if found is not None:
                return _Surroundings(
                    before + found.before,
                    found.after + after,
                    is_repeated or found.is_repeated,
                )
    return None


def _opened(nodes: Iterable[Node]) -> list[Node]:
    """Leave out the groups, which only hold nodes together, at every depth."""
    opened: list[Node] = []
    for operation, argument in nodes:
        if operation is ops.SUBPATTERN:
            opened += _opened(argument[3])
        elif operation is ops.ATOMIC_GROUP:
            opened += _opened(argument)
        elif operation is ops.BRANCH:
            opened.append((operation, (None, [_opened(way) for way in argument[1]])))
        elif operation in _REPEATS:
            opened.append((operation, (*argument[:2], _opened(argument[2]))))
        else:
            opened.append((operation, argument))
    return opened


def _mirrored(nodes: Sequence[Node]) -> list[Node]:
    """Turn opened nodes round, so that what stood last comes first, at every depth."""
    mirrored: list[Node] = []
    for operation, argument in reversed(nodes):
        if operation is ops.BRANCH:
            mirrored.append((operation, (None, [_mirrored(way) for way in argument[1]])))
        elif operation in _REPEATS:
            mirrored.append((operation, (*argument[:2], _mirrored(argument[2]))))
        else:
            mirrored.append((operation, argument))
    return mirrored
