"""Loading settings: defaults, then profile, then file, then ``--set``; every problem is reported at once."""

import difflib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from quietscope.config.errors import SettingsError
from quietscope.config.keys import KeyInfo, describe
from quietscope.config.layers import Layers, flatten, parse_overrides
from quietscope.config.problems import explain, show_value
from quietscope.config.settings import Settings
from quietscope.config.tomlfile import parse_toml, read_toml
from quietscope.config.writing import settings_to_toml

__all__ = ["KeyInfo", "describe", "load_settings", "profile_names", "settings_to_toml"]


def load_settings(
    file: Path | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
) -> Settings:
    r"""Merge defaults < base < profile < file < overrides < options, key by key, and validate the result.

    A layer that changes ``source.kind`` drops what lower layers said of the other kind of source. Values are
    validated strictly: the text ``"10"`` is no number and 1 is no truth value.

    Parameters
    ----------
    file
        Settings file (TOML, UTF-8).
    profile
        Name of a shipped profile, see `profile_names`.
    overrides
        Texts ``KEY=VALUE`` with a dotted key and a TOML value. What is not TOML is taken as text, so
        ``out=C:\data`` works; keys that hold text or paths take any value as text (``name=2024``); keys that
        hold a list take text split at commas; ``none`` takes back a value that may be none. Of two texts for
        one key the later wins.
    base
        Nested values that a command brings along, under everything the user says.
    options
        Options of their own for a setting, such as ``--frames``, each with its text ``KEY=VALUE``.

    Raises
    ------
    SettingsError
        Listing every problem: key, value, what is allowed, and where the value came from; for an unknown key
        the nearest known one; for TOML that cannot be read, file, line and column.
    """
    layers = Layers()
    if base:
        layers.add(base, "from the command")
    if profile is not None:
        layers.add(_read_profile(profile), f"from profile {profile}")
    if file is not None:
        layers.add(read_toml(file), f"from {file}")
    last, problems = parse_overrides(overrides)
    layers.add(last, "from --set")
    for option, text in (options or {}).items():
        layer, wrong = parse_overrides([text])
        layers.add(layer, f"from {option}")
        problems += wrong
    values = layers.complete()
    problems += _control_characters(layers)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        problems += explain(error, layers)
    if settings is None or problems:
        raise SettingsError(_message(problems))
    return settings


def profile_names() -> tuple[str, ...]:
    """Names of the shipped profiles, in alphabetical order."""
    folder = resources.files("quietscope.config").joinpath("profiles")
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    )


def _read_profile(name: str) -> dict[str, Any]:
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        msg = f"there is no profile {name!r}; {meant}the profiles are {', '.join(names)}"
        raise SettingsError(msg)
    text = (
        resources.files("quietscope.config").joinpath("profiles", f"{name}.toml").read_text(encoding="utf-8")
    )
    return parse_toml(text, f"profile {name}")


def _control_characters(layers: Layers) -> list[str]:
    r"""Refuse paths such as ``"C:\new"``, in which TOML's double quotes have made ``\n`` a line feed."""
    paths = {info.key for info in describe() if info.kind == "path"}
    return [
        f"{key} = {show_value(value)} ({', '.join(layers.origins(key))}): the path holds a control "
        "character; write Windows paths in single quotes, for example 'C:\\new'"
        for key, value in flatten(layers.values)
        if key in paths and isinstance(value, str) and any(unicodedata.category(c) == "Cc" for c in value)
    ]


def _message(problems: Sequence[str]) -> str:
    count = "1 setting cannot be used" if len(problems) == 1 else f"{len(problems)} settings cannot be used"
    lines = "".join(f"\n  {problem}" for problem in problems)
    return f"{count}:{lines}\n`quietscope config keys` lists every key with what is allowed"
