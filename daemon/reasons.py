"""Why frames were not taken, or not denoised, in words."""

from collections.abc import Mapping

__all__ = ["REJECTED", "SKIPPED", "in_words"]

SKIPPED: Mapping[str, str] = {
    "gate": "no model passed the tests, so frames are left as recorded",
    "training": "no model could be trained",
    "model": "the model could not be run",
    "denoiser": "the model failed on this frame",
}
"""Reasons of frames that were left out on purpose."""

REJECTED: Mapping[str, str] = {
    "shape": "another size than the series",
    "dtype": "another pixel type than the series",
    "duplicate": "its place in the series was taken already",
    "truncated": "not complete",
    "unreadable": "not readable",
    "vanished": "disappeared before it could be read",
    "oversized": "larger than the wire allows",
    "wire": "not as the wire's protocol says",
}
"""Reasons of frames that were not taken."""


def in_words(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """How many frames for which reasons, each in words where they are known.

    Examples
    --------
    >>> in_words({"truncated": 2, "dtype": 1}, REJECTED)
    '2 (not complete), 1 (another pixel type than the series)'
    >>> in_words({}, SKIPPED)
    '0'
    """
    return ", ".join(f"{n:,} ({words.get(reason, reason)})" for reason, n in counts.items()) or "0"
