"""Reads the head of Micro-Manager's ``metadata.txt``, which lies beside separate image files and grows with them.

Source: Micro-Manager's ``StorageSinglePlaneTiffSeries``: one JSON object, closed only at the end, whose first member is
``Summary``; file names number the channels, and only the summary names them.
"""

import json
from pathlib import Path

from quietscope.adapters.sharing import open_shared, read_at

__all__ = ["channel_names"]

_HEAD_BYTES = 1 << 18


def channel_names(folder: Path) -> tuple[str, ...] | None:
    """Names of the channels by number, as ``metadata.txt`` in a folder gives them.

    Parameters
    ----------
    folder
        Folder of the images.

    Returns
    -------
    tuple of str or None
        Empty if the summary names none; None if there is no whole summary (yet).
    """
    try:
        with open_shared(folder / "metadata.txt") as file:
            text = read_at(file, 0, _HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    start = text.find("{", text.find('"Summary"') + 1)
    if '"Summary"' not in text or start < 0:
        return None
    try:
        summary, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    names = summary.get("ChNames")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
