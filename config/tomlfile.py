"""Reading TOML, with errors that name file, line and column."""

import re
import tomllib
from pathlib import Path
from typing import Any

from quietscope.config.errors import SettingsError

__all__ = ["parse_toml", "read_toml"]

_PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    file
        UTF-8 text, with or without the byte-order mark that Windows editors write.

    Raises
    ------
    SettingsError
        If the file cannot be read, is not UTF-8, or is not TOML.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        msg = f"the settings file {file} cannot be read: {error.strerror}; check the path, or leave it out"
        raise SettingsError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"the settings file {file} is not UTF-8 text (byte {error.start}); save it again as UTF-8"
        raise SettingsError(msg) from error
    return parse_toml(text, str(file))


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML.

    Parameters
    ----------
    text
        The document.
    name
        What to call it in an error message.

    Raises
    ------
    SettingsError
        With name, line and column, if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_explain(str(error), text, name)) from error


def _explain(message: str, text: str, name: str) -> str:
    lines = text.split("\n")
    place = _PLACE.search(message)
    if place is not None and place["line"]:
        line, column = int(place["line"]), int(place["column"])
    else:
        line, column = len(lines), len(lines[-1]) + 1
    what = _PLACE.sub("", message)
    shown = lines[min(line, len(lines)) - 1].strip()
    hint = "; write Windows paths in single quotes: out = 'C:\\data'" if "\\" in shown else ""
    return f"{name}, line {line}, column {column}: not valid TOML: {what}, in: {shown}{hint}"
