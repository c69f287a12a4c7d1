"""Reading TOML, with errors that name file, line and column."""

import re
import tomllib
from pathlib import Path
from typing import Any

from quietscope.config.errors import SettingsError

__all__ = ["parse_toml", "read_toml"]

_MOST_BYTES = 1 << 20
_DEEPEST = 32
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
        If the file cannot be read, is larger than any settings (1 MiB), is not UTF-8, or is not TOML.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        msg = f"the settings file {file} cannot be read: {error.strerror}; check the path, or leave it out"
        raise SettingsError(msg) from error
    if len(content) > _MOST_BYTES:
        msg = f"the settings file {file} has more than {_MOST_BYTES} bytes; give a file of settings (TOML)"
        raise SettingsError(msg)
    try:
        text = content.decode("utf-8-sig")
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
        With name, line and column, if it is not TOML; with name, if it holds a number of more than 64 bits or tables
        and lists inside one another that no settings have.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_explain(str(error), text, name)) from error
    except (ValueError, RecursionError) as error:  # digits and brackets without end
        raise SettingsError(_impossible(name)) from error
    _check_size(found, name)
    return found


def _impossible(name: str) -> str:
    return f"{name}: holds a number of more than 64 bits, or more than {_DEEPEST} brackets inside one another"


def _check_size(found: object, name: str) -> None:
    """Refuse what could neither be walked through nor be written: dotted keys are nested without being recursive."""
    level = [found]
    for _ in range(_DEEPEST):
        if any(isinstance(value, int) and value.bit_length() > 64 for value in level):
            break
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise SettingsError(_impossible(name))


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
