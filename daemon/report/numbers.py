"""Figures as people read them."""

import math

__all__ = ["count", "duration", "megabytes", "percent", "plain"]

_MINUTE = 60
_HOUR = 3600


def plain(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits and thousands separated; an en dash for None.

    Examples
    --------
    >>> plain(1234.56), plain(0.98765), plain(12), plain(3e-7), plain(None)
    ('1,235', '0.988', '12', '3 × 10⁻⁷', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4:
        mantissa = value / 10.0**exponent
        return f"{mantissa:.{max(0, digits - 2)}g} × 10{str(exponent).translate(_RAISED)}"
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(number: int, thing: str) -> str:
    """A number of things.

    Examples
    --------
    >>> count(1, "frame"), count(2000, "frame")
    ('1 frame', '2,000 frames')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share in per cent.

    Examples
    --------
    >>> percent(0.145), percent(1.0), percent(0.00028), percent(3e-7)
    ('14 %', '100 %', '0.028 %', 'below 0.001 %')
    """
    if share is not None and 0 < share < 1e-5:
        return "below 0.001 %"
    return "–" if share is None else f"{plain(100 * share, digits)} %"


def duration(seconds: float | None) -> str:
    """A length of time in the units people use.

    Examples
    --------
    >>> duration(0.1973), duration(8.26), duration(111), duration(7500)
    ('197 ms', '8.3 s', '1 min 51 s', '2 h 5 min')
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def megabytes(nbytes: float) -> str:
    """A size on disk or in memory.

    Examples
    --------
    >>> megabytes(2_345_678), megabytes(12_000_000_000)
    ('2 MB', '12.0 GB')
    """
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.0f} MB"
