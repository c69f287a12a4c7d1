"""Validation errors in sentences that name the key, the value, what is allowed and where it came from."""

import difflib
import itertools
import json
from collections.abc import Iterator

from pydantic import ValidationError

from quietscope.config.keys import describe, known_keys, lookup
from quietscope.config.layers import Layers, flatten

__all__ = ["explain", "show_value"]

_LONGEST_VALUE = 80
_MOST_TOLD = 100


def explain(error: ValidationError, layers: Layers) -> list[str]:
    """One sentence for every problem, in the order of the settings tree; no more than a person would read.

    Parameters
    ----------
    error
        What pydantic found.
    layers
        What was validated, and where it came from.
    """
    details = error.errors(include_url=False, include_context=False)
    # A list whose elements are wrong is reported as too short as well: the elements say it better.
    lists = {detail["loc"][:-1] for detail in details if detail["loc"] and isinstance(detail["loc"][-1], int)}
    texts = (
        text
        for detail in details
        if detail["loc"] not in lists
        for text in _sentences(detail["type"], detail["loc"], detail["input"], detail["msg"], layers)
    )
    told = list(itertools.islice(texts, _MOST_TOLD + 1))
    return [*told[:_MOST_TOLD], "and more: mend these first"] if len(told) > _MOST_TOLD else told


def show_value(value: object) -> str:
    """Write a value as a person would in TOML, shortened."""
    text = "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _sentences(
    kind: str, loc: tuple[int | str, ...], value: object, message: str, layers: Layers
) -> Iterator[str]:
    key, index = _key_of(loc, layers)
    if kind == "extra_forbidden":
        for name, found in flatten({key: value}) if isinstance(value, dict) else [(key, value)]:
            yield f"{name} = {show_value(found)}{_from(name, layers)}: {_unknown(name, layers)}"
    elif kind == "value_error":
        yield f"{key or 'settings'}{_from(key, layers)}: {message.removeprefix('Value error, ')}"
    elif kind.startswith("union_tag"):
        tag = next(info.key for info in describe() if info.key.rpartition(".")[0] == key and not info.when)
        yield _wrong(tag, "", layers.choice(tag), layers)
    elif kind == "missing":
        yield f"{key} is missing: {_allowed(key, layers)}{_reason(key, layers)}"
    elif lookup(key, layers.choices()) is None:
        keys = ", ".join(name for name in _possible_keys(layers) if name.startswith(f"{key}."))
        yield f"{key} = {show_value(value)}{_from(key, layers)}: is a section; its keys are {keys}"
    else:
        yield _wrong(key, index, value, layers)


def _wrong(key: str, index: str, value: object, layers: Layers) -> str:
    return f"{key}{index} = {show_value(value)}{_from(key, layers)}: {_allowed(key, layers)}"


def _key_of(loc: tuple[int | str, ...], layers: Layers) -> tuple[str, str]:
    """Dotted key and list index of a pydantic location, from which the kinds of choices are left out."""
    sections = {tag.rpartition(".")[0] for tag in layers.choices()}
    names: list[str] = []
    skip = False
    for part in loc:
        if isinstance(part, int):
            return ".".join(names), f"[{part}]"
        if skip:
            skip = False
            continue
        names.append(part)
        skip = ".".join(names) in sections
    return ".".join(names), ""


def _from(key: str, layers: Layers) -> str:
    origins = layers.origins(key)
    return f" ({', '.join(origins)})" if origins else ""


def _allowed(key: str, layers: Layers) -> str:
    info = lookup(key, layers.choices())
    return f"must be {info.allowed}" if info is not None else "is not possible"


def _reason(key: str, layers: Layers) -> str:
    info = lookup(key, layers.choices())
    return f", needed where {info.when}" if info is not None and info.when else ""


def _unknown(key: str, layers: Layers) -> str:
    elsewhere = [info.when for info in describe() if info.key == key and info.when]
    if elsewhere:
        tag = elsewhere[0].partition(" = ")[0]
        now = show_value(layers.choice(tag))
        return f"exists only where {' or '.join(elsewhere)}, and {tag} is {now}"
    near = _nearest(key, _possible_keys(layers))
    return f"unknown key; did you mean {' or '.join(near)}?" if near else "unknown key"


def _possible_keys(layers: Layers) -> list[str]:
    choices = layers.choices()
    return [key for key in known_keys() if lookup(key, choices) is not None]


def _nearest(key: str, known: list[str]) -> list[str]:
    """Known keys a person may have meant: spelt alike, or of the same name in whatever section."""
    if "." in key and (near := difflib.get_close_matches(key, known, n=1)):
        return near
    names = {name: name.rpartition(".")[2] for name in known}
    wanted = difflib.get_close_matches(key.rpartition(".")[2], set(names.values()), n=1)
    return [name for name, last in names.items() if last in wanted]
