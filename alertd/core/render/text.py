"""
The plain part of a mail about one alert, for a phone at three in the morning.

What happened comes first and what to do next; nothing needs colours, columns or a wide screen.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from alertd.core.render.story import Excerpt

if TYPE_CHECKING:
    from alertd.core.render.story import Chart, Story

_WIDTH = 72
_BLOCKS = "▁▂▃▄▅▆▇█"


def text_part(story: Story) -> str:
    r"""Lay out a story as plain text, its lines ended by ``\n``."""
    paragraphs = [story.headline]
    if story.delay:
        paragraphs.append(_wrapped(story.delay))
    paragraphs.append("\n".join(_wrapped(line) for line in (story.measure, story.hidden) if line))
    if story.advice:
        paragraphs.append("\n".join(["What to do:", *(f"  {line}" for line in story.advice)]))
    if story.chart is not None:
        paragraphs.append(_chart(story.chart))
    width = max(len(name) for name, _ in story.facts)
    paragraphs.append("\n".join(f"{name:<{width}}  {value}" for name, value in story.facts))
    paragraphs.extend(_excerpt(excerpt) for excerpt in story.excerpts)
    paragraphs.append("-- \n" + "\n".join(_wrapped(line) for line in story.footer))
    return "\n\n".join(paragraphs) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _chart(chart: Chart) -> str:
    highest = max(chart.bars)
    bars = "".join(
        # An empty slice stays empty, one event is seen, only the highest is full.
        _BLOCKS[(count * len(_BLOCKS) - 1) // highest] if count else " "
        for count in chart.bars
    )
    return f"{chart.begin} |{bars}| {chart.end}\n{chart.caption}"


def _excerpt(excerpt: Excerpt | str) -> str:
    if not isinstance(excerpt, Excerpt):
        return f"    ... {excerpt} ..."
    match = f"»{excerpt.match}«" if excerpt.match else ""
    return f"[{excerpt.title}]\n{excerpt.before}{match}{excerpt.after}"
