"""Paths in commands that a message proposes."""

from pathlib import Path

__all__ = ["quoted"]


def quoted(path: Path) -> str:
    """The path as it can be pasted into a command line, of Windows as well: in quotation marks if it has spaces.

    Parameters
    ----------
    path
        Any path.
    """
    text = str(path)
    return f'"{text}"' if any(map(str.isspace, text)) else text
