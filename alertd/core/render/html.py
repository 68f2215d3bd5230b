"""
The HTML part of a mail about one alert.

Tables with inline styles, because that is what mail clients agree on (Outlook lays out with Word);
the chart is made of coloured cells, because images are not loaded.  Nothing in it refers to
anything outside: no link, no image, no script, no font.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from alertd.core.render.story import Excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.render.story import Chart, Story

_COLOURS = {"critical": "#b3261e", "warning": "#a15c00", "info": "#1f5fa8", "resolved": "#1e6b3a"}
_OTHER_COLOUR = "#444a52"
_CHART_HEIGHT = 72
_SANS = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"

_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
@media (prefers-color-scheme: dark) {{
  .page {{ background: #111315 !important; }}
  .card {{ background: #1c1f23 !important; border-color: #34393f !important; }}
  .ink {{ color: #e8eaed !important; }}
  .dim {{ color: #a3abb5 !important; }}
  .well {{ background: #26292e !important; border-color: #34393f !important; }}
  mark {{ background: #6b5200 !important; color: #ffffff !important; }}
}}
</style>
</head>
"""


def html_part(story: Story) -> str:
    """Lay out a story as one self-contained HTML document."""
    colour = _COLOURS.get(story.severity, _OTHER_COLOUR)
    what = story.headline.removeprefix(f"{story.rule}: ")
    rows = [_banner(story.severity, story.rule, what)]
    if story.delay:
        rows.append(_row(_paragraph(story.delay, "font-weight:600")))
    rows.append(_row(_measure(story)))
    if story.advice:
        rows.append(_row(_advice(story, colour)))
    if story.chart is not None:
        rows.append(_row(_chart(story.chart, colour)))
    rows.append(_row(_facts(story)))
    rows.append(_row("\n".join(_excerpt(excerpt) for excerpt in story.excerpts)))
    rows.append(_row("\n".join(_small(line) for line in story.footer), bottom=20))
    return _page(story.subject, "\n".join(rows))


def list_page(
    title: str,
    severity: str,
    rest: str,
    paragraphs: Sequence[str],
    entries: Sequence[tuple[str, str]],
) -> str:
    """
    Lay out a few paragraphs, and perhaps a list, as one self-contained HTML document.

    Each entry is two lines, what and when, because six columns do not fit a phone.
    """
    text = "".join(_paragraph(line, "padding-bottom:6px") for line in paragraphs)
    rows = [_banner(severity, title, rest), _row(text, bottom=14)]
    if entries:
        items = "".join(
            f'<div style="border-top:1px solid #8a939c;padding:7px 0">{_paragraph(what)}'
            f"{_small(details)}</div>"
            for what, details in entries
        )
        rows.append(_row(items, bottom=14))
    return _page(title, "\n".join(rows))


def _page(title: str, rows: str) -> str:
    """Put rows of a card on a page."""
    return (
        _HEAD.format(title=escape(title))
        + f"""\
<body class="page" style="margin:0;padding:0;background:#eef0f2">
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" \
bgcolor="#eef0f2" style="background:#eef0f2"><tr><td align="center" style="padding:12px 8px">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" \
bgcolor="#ffffff" style="max-width:680px;background:#ffffff;border:1px solid #d9dde1;\
border-radius:8px;overflow:hidden;text-align:left;{_SANS}">
{rows}
</table>
</td></tr></table>
</body>
</html>
"""
    )


def _banner(severity: str, headline: str, rest: str) -> str:
    """Say what happened, in the colour of its urgency."""
    colour = _COLOURS.get(severity, _OTHER_COLOUR)
    return (
        f'<tr><td bgcolor="{colour}" style="background:{colour};padding:16px 20px;color:#ffffff">'
        '<div style="font-size:12px;line-height:16px;letter-spacing:.06em;'
        f'text-transform:uppercase;color:#ffffff">{escape(severity)}</div>'
        '<div style="font-size:20px;line-height:26px;font-weight:700;color:#ffffff;'
        f'word-break:break-word">{escape(headline)}</div>'
        '<div style="font-size:15px;line-height:21px;color:#ffffff;word-break:break-word">'
        f"{escape(rest)}</div></td></tr>"
    )


def _row(content: str, *, bottom: int = 0) -> str:
    return f'<tr><td style="padding:16px 20px {bottom}px">{content}</td></tr>'


def _paragraph(text: str, style: str = "") -> str:
    return (
        '<div class="ink" style="font-size:15px;line-height:22px;color:#1d2126;'
        f'word-break:break-word;{style}">{escape(text)}</div>'
    )


def _small(text: str) -> str:
    return (
        '<div class="dim" style="font-size:12px;line-height:17px;color:#5c6670;'
        f'word-break:break-word">{escape(text)}</div>'
    )


def _measure(story: Story) -> str:
    first = _paragraph(story.measure, "font-weight:600")
    return first + (_paragraph(story.hidden) if story.hidden else "")


def _advice(story: Story, colour: str) -> str:
    lines = "".join(_paragraph(line, "white-space:pre-wrap") for line in story.advice)
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td width="4" bgcolor="{colour}" style="background:{colour};font-size:1px">&nbsp;</td>'
        '<td class="well" bgcolor="#f5f6f8" style="background:#f5f6f8;padding:10px 14px">'
        f"{_small('What to do')}{lines}</td></tr></table>"
    )


def _chart(chart: Chart, colour: str) -> str:
    highest = max(chart.bars)
    share = 100 / len(chart.bars)
    # A cell's height counts in every client, also Outlook's, if its text is a pixel high.
    bars = "".join(
        f'<td width="{share:.2f}%" height="{_CHART_HEIGHT}" valign="bottom" '
        f'style="width:{share:.2f}%;vertical-align:bottom;padding:0 1px 0 0">{_bar(height, colour)}'
        "</td>"
        for height in (round(count * _CHART_HEIGHT / highest) for count in chart.bars)
    )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        f'style="table-layout:fixed;border-bottom:1px solid #8a939c"><tr>{bars}</tr></table>'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        f"<td>{_small(chart.begin)}</td>"
        f'<td align="right" style="text-align:right">{_small(chart.end)}</td></tr></table>'
        f"{_small(chart.caption)}"
    )


def _bar(height: int, colour: str) -> str:
    if not height:
        return '<div style="font-size:1px;line-height:1px">&nbsp;</div>'
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td height="{height}" bgcolor="{colour}" style="height:{height}px;background:{colour};'
        'font-size:1px;line-height:1px;mso-line-height-rule:exactly">&nbsp;</td></tr></table>'
    )


def _facts(story: Story) -> str:
    rows = "".join(
        '<tr><td class="dim" valign="top" style="padding:3px 14px 3px 0;font-size:13px;'
        f'line-height:19px;color:#5c6670;white-space:nowrap">{escape(name)}</td>'
        '<td class="ink" valign="top" width="100%" style="padding:3px 0;font-size:14px;'
        f'line-height:19px;color:#1d2126;word-break:break-word">{escape(value)}</td></tr>'
        for name, value in story.facts
    )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
        f"{rows}</table>"
    )


def _excerpt(excerpt: Excerpt | str) -> str:
    if not isinstance(excerpt, Excerpt):
        return (
            '<div class="dim" style="font-size:12px;line-height:17px;color:#5c6670;'
            f'padding:0 0 10px 12px">… {escape(excerpt)} …</div>'
        )
    mark = (
        '<mark style="background:#ffe08a;color:#1d2126;border-radius:2px">'
        f"{escape(excerpt.match)}</mark>"
        if excerpt.match
        else ""
    )
    return (
        f"{_small(excerpt.title)}"
        '<div class="well ink" style="background:#f5f6f8;border:1px solid #e2e5e9;color:#1d2126;'
        f"padding:8px 10px;margin:2px 0 10px;font-size:12px;line-height:17px;{_MONO};"
        f'white-space:pre-wrap;word-break:break-word;overflow-wrap:anywhere">'
        f"{escape(excerpt.before)}{mark}{escape(excerpt.after)}</div>"
    )
