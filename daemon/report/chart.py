"""Line charts as inline SVG, whose colours follow the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quietscope.daemon.report.markup import Html, text

__all__ = ["Band", "Line", "chart", "time_axis"]

_WIDTH, _HEIGHT = 560.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 14.0, 10.0, 44.0


@dataclass(frozen=True)
class Line:
    """A curve.

    Parameters
    ----------
    name
        What it is, for the legend.
    x, y
        Coordinates, of one length, `x` ascending.
    dashed
        Drawn with dashes, so that it is told apart without colours.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True)
class Band:
    """The area between two curves.

    Parameters
    ----------
    name
        What it is, for the legend.
    x, low, high
        Coordinates, of one length.
    """

    name: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def time_axis(longest_s: float) -> tuple[float, str]:
    """Seconds in the unit in which so long a time is best told, and its name."""
    if longest_s <= 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if longest_s <= 4 * 3600 else (3600.0, "hours")


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    band: Band | None = None,
    from_zero: bool = True,
    at_least: float | None = None,
    until: float = 0.0,
    marks: Sequence[float] = (),
) -> Html:
    """Draw curves over a common axis.

    Parameters
    ----------
    title
        Heading.
    lines
        Curves; those without points are left out.
    x_label, y_label
        What the axes say, with units.
    band
        An area behind the curves.
    from_zero
        Whether the vertical axis begins at 0.
    at_least
        What the vertical axis reaches up to at least, so that next to nothing looks like it.
    until
        What the horizontal axis reaches up to at least.
    marks
        Places on the horizontal axis to mark with a dotted line.

    Returns
    -------
    Html
        A figure, empty without points.
    """
    lines = [line for line in lines if len(line.x)]
    if not lines:
        return Html("")
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in line.y] + ([*band.low, *band.high] if band else [])
    ys += [] if at_least is None else [at_least]
    across = _Axis(min(0.0, *xs), max(until, *xs), _LEFT, _WIDTH - _RIGHT)
    up = _Axis(0.0 if from_zero else min(ys), max(ys), _HEIGHT - _BOTTOM, _TOP, widen=True)
    parts = [*_grid(across, up), *(_mark(across.place(x)) for x in marks if across.low <= x <= across.high)]
    if band:
        outline = [*zip(band.x, band.high, strict=True), *reversed(list(zip(band.x, band.low, strict=True)))]
        parts.append(f'<path class="band" d="{_path(outline, across, up)}Z"/>')
    for i, line in enumerate(lines):
        points = list(zip(line.x, line.y, strict=True))
        kind = f"line s{i}{' dashed' if line.dashed else ''}"
        if len(points) == 1:
            x, y = across.place(points[0][0]), up.place(points[0][1])
            parts.append(f'<circle class="dot s{i}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        else:
            parts.append(f'<path class="{kind}" d="{_path(points, across, up)}"/>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 6:.0f}" class="middle">{text(x_label)}</text>'
        f'<text transform="translate(13 {middle:.0f}) rotate(-90)" class="middle">{text(y_label)}</text>'
    )
    keys = [
        f'<span><i class="s{i}{" dashed" if line.dashed else ""}"></i>{text(line.name)}</span>'
        for i, line in enumerate(lines)
    ]
    if band:
        keys.append(f'<span><i class="area"></i>{text(band.name)}</span>')
    size = f"{_WIDTH:.0f} {_HEIGHT:.0f}"
    return Html(
        f'<figure class="chart"><figcaption><b>{text(title)}</b>{"".join(keys)}</figcaption>'
        f'<svg viewBox="0 0 {size}" role="img" aria-label="{text(title)}">{"".join(parts)}</svg></figure>'
    )


class _Axis:
    """Values to places, and round values to label."""

    def __init__(self, low: float, high: float, start: float, end: float, *, widen: bool = False) -> None:
        if high <= low:
            low, high = (low, low + 1.0) if low >= 0 else (low - 0.5, low + 0.5)
        step = _round_step((high - low) / 5)
        if widen:
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        self.low, self.high = low, high
        self._start, self._end = start, end
        first = math.ceil(low / step - 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        places = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
        self.ticks = [(value, f"{value:,.{decimals}f}".replace("-", "−")) for value in places]

    def place(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least * (1 - 1e-9))


def _grid(across: _Axis, up: _Axis) -> list[str]:
    parts = []
    for value, label in up.ticks:
        y = up.place(value)
        parts.append(f'<path class="grid" d="M{_LEFT:.0f} {y:.1f}H{_WIDTH - _RIGHT:.0f}"/>')
        parts.append(f'<text x="{_LEFT - 7:.0f}" y="{y + 4:.1f}" class="end">{label}</text>')
    for value, label in across.ticks:
        x = across.place(value)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 17:.0f}" class="middle">{label}</text>')
    return parts


def _mark(x: float) -> str:
    return f'<path class="mark" d="M{x:.1f} {_TOP:.0f}V{_HEIGHT - _BOTTOM:.0f}"/>'


def _path(points: Sequence[tuple[float, float]], across: _Axis, up: _Axis) -> str:
    return "M" + "L".join(f"{across.place(x):.1f} {up.place(y):.1f}" for x, y in points)
