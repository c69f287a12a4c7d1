"""Section of the report about the traffic lights: how far each denoised frame can be trusted, over time."""

from collections import Counter
from collections.abc import Sequence

from quietscope.daemon.report.markup import Html, paragraph, section, table, text
from quietscope.daemon.report.numbers import count, percent
from quietscope.daemon.report.run_facts import RunFacts

__all__ = ["trust"]

_LIGHTS = ("green", "yellow", "red")
_PARTS = 240
_DOUBTS = 30

_MEANING = (
    "Every denoised frame was compared with its raw frame. Green: what was taken out is noise and nothing else. "
    "Yellow: look at the raw frame before you measure there. Red: do not measure on this frame."
)


def trust(run: RunFacts) -> Html:
    """Lights of each channel over time, and what was doubted."""
    if not run.judgements:
        return section(
            "Doubts", paragraph("No frame was compared with its raw frame in this run."), anchor="trust"
        )
    channels = sorted({channel for _, channel, _, _ in run.judgements})
    length = 1 + max(t for t, _, _, _ in run.judgements)
    rows, strips = [], []
    for channel in channels:
        lights = [(t, light) for t, c, light, _ in run.judgements if c == channel]
        found = Counter(light for _, light in lights)
        shares = (f"{found[light]:,} ({percent(found[light] / len(lights))})" for light in _LIGHTS)
        rows.append((run.name(channel), *shares))
        strips.append(_strip(run.name(channel), lights, length))
    doubts = [row for row in run.judgements if row[2] != "green"]
    parts = [
        paragraph(_MEANING),
        table(("Channel", *(light.capitalize() for light in _LIGHTS)), rows, numbers=len(_LIGHTS)),
        *strips,
        paragraph(
            f"From left to right: time points 0 to {length - 1:,}, counted as in the viewer and the image file. "
            "Gaps were not denoised.",
            "note",
        ),
    ]
    if doubts:
        listed = [(f"{t:,}", run.name(c), _lamp(light), reason) for t, c, light, reason in doubts[:_DOUBTS]]
        parts.append(table(("Time point", "Channel", "Light", "Why"), listed))
    if len(doubts) > _DOUBTS:
        parts.append(paragraph(f"{count(len(doubts) - _DOUBTS, 'further frame')} in the ledger.", "note"))
    return section("Doubts", *parts, anchor="trust")


def _lamp(light: str) -> Html:
    return Html(f'<b class="{ {"green": "good", "yellow": "warn"}.get(light, "bad") }">{text(light)}</b>')


def _strip(name: str, lights: Sequence[tuple[int, str]], length: int) -> Html:
    """A bar along time, coloured by the worst light of each part."""
    parts = min(length, _PARTS)
    worst: dict[int, int] = {}
    for t, light in lights:
        part = t * parts // length
        worst[part] = max(worst.get(part, 0), _LIGHTS.index(light) if light in _LIGHTS else 0)
    cells = "".join(
        f'<rect class="{_LIGHTS[level]}" x="{part}" y="0" width="1" height="1"/>'
        for part, level in sorted(worst.items())
    )
    return Html(
        f'<figure class="strip"><figcaption>{text(name)}</figcaption><svg viewBox="0 0 {parts} 1" '
        f'preserveAspectRatio="none" role="img" aria-label="{text(name)}: lights over time">{cells}</svg></figure>'
    )
