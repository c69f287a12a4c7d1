"""Writing settings as TOML that a person can read, edit and load again."""

import re
import textwrap
from collections.abc import Iterator, Mapping

import tomli_w

from quietscope.config.keys import lookup
from quietscope.config.settings import Settings

__all__ = ["settings_to_toml"]

_TABLE = re.compile(r"^\[(?P<table>[^\[\]]+)\]$")
_KEY = re.compile(r"^(?P<key>[A-Za-z0-9_-]+) = ")


def settings_to_toml(settings: Settings) -> str:
    """Write settings as TOML, with the meaning and the allowed values above each key.

    Keys whose value is none are left out, since TOML has no such value. Loading the text again gives equal
    settings. Write it to a file with ``encoding="utf-8"``.
    """
    plain = tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))
    choices = {"source.kind": settings.source.kind}
    return "\n".join(_with_comments(plain, choices)) + "\n"


def _with_comments(plain: str, choices: Mapping[str, str]) -> Iterator[str]:
    prefix = ""
    for line in plain.rstrip("\n").split("\n"):  # TOML knows no other line end, str.splitlines() does
        table = _TABLE.match(line)
        key = _KEY.match(line)
        if table is not None:
            prefix = f"{table['table']}."
        if key is not None:
            info = lookup(prefix + key["key"], choices)
            if info is not None:
                yield from textwrap.wrap(
                    f"{info.meaning} Allowed: {info.allowed}.".strip(),
                    width=100,
                    initial_indent="# ",
                    subsequent_indent="# ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        yield line
