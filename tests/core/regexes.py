r"""
Regexes put together by chance, each with a text that it was made with.

A test of matching is worth what it matches: a random regex finds next to nothing in a random line.
So every part of a regex brings the text that it stands for, and most texts fulfil their regex.

What chooses is a ``random.Random``: a seeded one, or Hypothesis's own, which can shrink.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

WORDS = (
    *(
        "a",
        "ab",
        "k",
        "S",
        "i",
        "foo",
        "Fatal",
        "é",
        "ß",
        "\u0130",
        "\u017f",
        "\u212a",
        "€",
        "😀",
        "\ufffd",
    ),
    *("5", "22", "500", "::", ".", "[", "]", "(", "|", "^", "$", " ", "\t", "=", ",", '"', "\\"),
    *("/", "#", "-", "_", "\r", "\x0b", "\x85", "\u2028"),
)
CLASSES = {
    r"\d": "07٣",
    r"\D": "aé \r",
    r"\s": " \t\xa0\r\x1c\u2028",
    r"\S": "aé1:",
    r"\w": "bé_1ß",
    r"\W": " -€\r",
    ".": "b é:\r\u2028",
    "[a-c]": "abc",
    "[^a]": "bé\r",
    r"[^\s:]": "abé",
    r"[\s,]": " ,\xa0",
    r"[^\W\d_]": "aéß",
    "[ks]": "ks",
    "[é-ü€]": "éü€",
    "[]x]": "]x",
    "[^]x]": "aé",
    "[[:alpha:]": "[:alph",
    "[+--]": "+,-",
    r"[\x00-\x7f]": "a\x01:",
    "(?s:.)": "b\r",
    r"(?a:\w)": "b_1",
    r"(?a:\W)": "é -",
    "(?i:[ks])": "kKS\u017f\u212a",
    "(?i:[^k])": "aé",
    "(?i:é)": "éÉ",
    "(?:b|é)": "bé",
    "(?:a$|b)": "b",
    "(?:^|b)": "b",
}
# A quantifier, and how many texts it takes.
REPEATS = (
    *(("?", 0, 1), ("*", 0, 3), ("+", 1, 3), ("{2}", 2, 2), ("{,3}", 0, 3), ("{1,9}", 1, 9)),
    *(("{2,}", 2, 4), ("{9}", 9, 9), ("{0}", 0, 0), ("{3,20}", 3, 12), ("{,}", 0, 2)),
)
STARTS = ("", "", "", "^", r"\A", r"(?:^|\s)", r"^\s*", r"^(?:\[\w*\])? ?", "(?m:^)", r"\b")
ENDS = ("", "", "", "$", r"\Z", r"\s*$", r"(?:\s|$)", ".*$", "(?m:$)", r"\b", "(?!x)", r"\r?$")
NOTHING = (
    "",
    r"\b",
    r"\B",
    "(?=)",
    "(?!z{3})",
    "(?<!z)",
    "(?#note)",
    "(?:)",
    "(?:|z)",
    "a*",
    "z*?",
)


class Part(NamedTuple):
    """A regex, and a text that it was made with."""

    regex: str
    text: str


class Writer:
    """Writes one regex; names of groups must differ in it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._names = iter(["f", "g", *(f"g{number}" for number in range(1000))])

    def whole(self) -> Part:
        """Write a regex from its first anchor to its last."""
        chance = self._chance
        inner = self.sequence(2)
        start, end = chance.choice(STARTS), chance.choice(ENDS)
        regex, text = f"{start}(?:{inner.regex}){end}", inner.text
        if chance.random() < 0.2:
            flags = chance.choice(("i", "i", "i", "a", "ai", "m", "s"))
            return Part(f"(?{flags}){regex}", self._recased(text) if "i" in flags else text)
        return Part(regex, text)

    def sequence(self, depth: int) -> Part:
        """Write several pieces in a row."""
        parts = [self._piece(depth) for _ in range(self._chance.randint(1, 4))]
        return Part("".join(one.regex for one in parts), "".join(one.text for one in parts))

    def _piece(self, depth: int) -> Part:
        kinds: tuple[Callable[[int], Part], ...] = (
            *(self._word, self._word, self._word, self._class, self._repeat),
            *((self._choice, self._group, self._odd) if depth else ()),
        )
        return self._chance.choice(kinds)(depth - 1)

    def _word(self, _: int) -> Part:
        chance = self._chance
        word = "".join(chance.choice(WORDS) for _ in range(chance.randint(1, 3)))
        kind = chance.random()
        if kind < 0.1:
            return Part("".join(f"\\U{ord(character):08x}" for character in word), word)
        if kind < 0.2:
            return Part(f"(?i:{re.escape(word)})", self._recased(word))
        return Part(re.escape(word), word)

    def _class(self, _: int) -> Part:
        written = self._chance.choice([*CLASSES])
        return Part(written, self._chance.choice(CLASSES[written]))

    def _repeat(self, depth: int) -> Part:
        chance = self._chance
        quantifier, low, high = chance.choice(REPEATS)
        greed = chance.choice(("", "", "", "?", "+"))
        count = chance.randint(low, high)
        if depth > 0 and chance.random() < 0.3:
            # No repeat in a repeat: it might take for ever.
            inner = chance.choice((self._word, self._class))(0)
            return Part(f"(?:{inner.regex}){quantifier}{greed}", inner.text * count)
        if chance.random() < 0.3:
            character = chance.choice([word for word in WORDS if len(word) == 1])
            return Part(f"{re.escape(character)}{quantifier}{greed}", character * count)
        written = chance.choice([*CLASSES])
        text = "".join(chance.choice(CLASSES[written]) for _ in range(count))
        return Part(f"{written}{quantifier}{greed}", text)

    def _choice(self, depth: int) -> Part:
        chance = self._chance
        parts = [self.sequence(depth) for _ in range(chance.randint(1, 4))]
        if chance.random() < 0.15:
            parts.append(Part("", ""))
        opening = chance.choice(("(?:", "(?:", "(", "(?>"))
        regex = opening + "|".join(one.regex for one in parts) + ")"
        return Part(regex, chance.choice(parts).text)

    def _group(self, depth: int) -> Part:
        """Write a group, and perhaps what refers to it."""
        chance, name = self._chance, next(self._names)
        inner, other = self.sequence(depth), self.sequence(0)
        group = f"(?P<{name}>{inner.regex})"
        kind = chance.random()
        if kind < 0.4:
            return Part(group, inner.text)
        if kind < 0.6:
            return Part(f"{group}{other.regex}(?P={name})", inner.text + other.text + inner.text)
        third = self.sequence(0)
        regex = f"{group}?(?({name}){other.regex}|{third.regex})"
        return Part(regex, chance.choice((inner.text + other.text, third.text)))

    def _odd(self, depth: int) -> Part:  # noqa: PLR0911 - one for each kind
        """Write what only Python knows, or what takes no room."""
        chance, inner = self._chance, self.sequence(depth)
        regex, text = inner
        kind = chance.randint(0, 7)
        if kind == 0:
            return Part(chance.choice(NOTHING) + regex, text)
        if kind == 1:
            return Part(f"(?={regex}){regex}", text)
        if kind == 2:
            word = chance.choice(WORDS)
            return Part(f"{re.escape(word)}(?<={re.escape(word)}){regex}", word + text)
        if kind == 3:
            return Part(f"(?!{re.escape(chance.choice(WORDS))}){regex}", text)
        if kind == 4:
            flags = chance.choice(("i", "a", "s", "m", "-i", "i-s"))
            return Part(f"(?{flags}:{regex})", self._recased(text) if flags[0] == "i" else text)
        if kind == 5:
            return Part(f"(?x: {re.escape('a b')} # note\n c )", "a bc")
        if kind == 6:
            newline = chance.choice((r"\n", r"[\n]", r"(?:\n|\r\n)", r"\n?", r"[\n]*", "\n"))
            return Part(f"(?:{newline}|{regex})", text)
        return Part(f"{regex}(?={re.escape(word := chance.choice(WORDS))}|)", text + word)

    def _recased(self, text: str) -> str:
        """Change case as IGNORECASE allows, also where it leads out of ASCII."""
        folds = {"k": "K\u212a", "s": "S\u017f", "i": "I\u0130\u0131", "ß": "\u1e9e"}
        others = (folds.get(c.lower(), c.swapcase()[:1]) + c for c in text)
        return "".join(self._chance.choice(choices) for choices in others)


def written(chance: random.Random) -> tuple[Part, re.Pattern[str]]:
    """Write a regex that Python accepts: few are not, such as a reference to what is still open."""
    while True:
        part = Writer(chance).whole()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return part, re.compile(part.regex)
        except re.error:
            continue


def spoiled(chance: random.Random, text: str) -> str:
    """Leave a text as it is, or change one of its characters."""
    at = chance.randint(0, 2 * len(text))
    return text[:at] + chance.choice(("", *WORDS)) + text[at + 1 :] if at < len(text) else text
