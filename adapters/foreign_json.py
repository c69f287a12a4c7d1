"""Reads JSON that somebody else wrote, so that whatever is wrong with it is one kind of error."""

import json
from typing import Any

__all__ = ["parse_json"]


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Parameters
    ----------
    text
        The text; bytes are UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        If it is no JSON, is nested too deeply to be read, or holds half a character (a lone surrogate), which can
        neither be written to a file nor be sent.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise ValueError(msg) from error
    escaped = b"\\u" in text if isinstance(text, bytes) else "\\u" in text
    if escaped and not _is_text(found):
        msg = "it holds half a character (a lone surrogate), which is no text; write names as UTF-8"
        raise ValueError(msg)
    return found


def _is_text(found: object) -> bool:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
