"""The table of every settings key: the *only* component that reads the shape of the settings tree.

It turns the JSON Schema of `quietscope.config.settings.Settings` into one `KeyInfo` per key, in words a
person understands. Error messages, written settings files and ``quietscope config show`` all use it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from quietscope.config.patterns import WORDS
from quietscope.config.settings import Settings

__all__ = ["KeyInfo", "describe", "known_keys", "lookup"]

Kind = Literal["whole number", "number", "true or false", "text", "path", "list", "choice"]

_KINDS: Mapping[str, Kind] = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "array": "list",
}


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One settings key.

    Parameters
    ----------
    key
        Dotted key, for example ``training.frames``.
    kind
        What the value is, in words.
    allowed
        Allowed values in words, for example ``a whole number, 1 to 1000``.
    default
        Default value as TOML would hold it (paths as text); None where there is none.
    required
        Whether the key has to be given.
    optional
        Whether ``none`` is an allowed value.
    when
        Condition under which the key exists, for example ``source.kind = "folder"``; empty means always.
    meaning
        What the key is for.
    """

    key: str
    kind: Kind
    allowed: str
    default: Any
    required: bool
    optional: bool
    when: str
    meaning: str


@cache
def describe() -> tuple[KeyInfo, ...]:
    """Every settings key in the order of the settings tree.

    A key that exists for several kinds of source (``source.when_full``) is listed once for each.
    """
    schema = Settings.model_json_schema()
    return tuple(_walk(schema, schema.get("$defs", {}), prefix="", when=""))


def known_keys() -> tuple[str, ...]:
    """Every dotted key once, in the order of the settings tree."""
    return tuple(dict.fromkeys(info.key for info in describe()))


def lookup(key: str, choices: Mapping[str, Any]) -> KeyInfo | None:
    """Find what is known of a key.

    Parameters
    ----------
    key
        Dotted key.
    choices
        Current values of keys that decide which others exist, for example ``{"source.kind": "folder"}``.

    Returns
    -------
    KeyInfo or None
        None if there is no such key under these choices.
    """
    valid = {_condition(name, value) for name, value in choices.items()} | {""}
    return next((info for info in describe() if info.key == key and info.when in valid), None)


def _condition(key: str, value: object) -> str:
    return f'{key} = "{value}"'


def _walk(schema: Mapping[str, Any], defs: Mapping[str, Any], prefix: str, when: str) -> Iterator[KeyInfo]:
    required = set(schema.get("required", ()))
    for name, prop in schema["properties"].items():
        key = prefix + name
        if "$ref" in prop:
            yield from _walk(_resolve(prop, defs), defs, f"{key}.", when)
        elif "discriminator" in prop:
            yield from _walk_variants(key, prop, defs, when)
        else:
            yield _leaf(key, prop, when, required=name in required)


def _walk_variants(
    key: str, prop: Mapping[str, Any], defs: Mapping[str, Any], when: str
) -> Iterator[KeyInfo]:
    tag: str = prop["discriminator"]["propertyName"]
    variants: Mapping[str, str] = prop["discriminator"]["mapping"]
    default = prop.get("default", {}).get(tag)
    choice = {"enum": list(variants), "default": default, "description": prop.get("description", "")}
    yield _leaf(f"{key}.{tag}", choice, when, required=default is None)
    for value, ref in variants.items():
        for info in _walk(_resolve({"$ref": ref}, defs), defs, f"{key}.", _condition(f"{key}.{tag}", value)):
            if info.key != f"{key}.{tag}":
                yield info


def _resolve(prop: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = defs[str(prop["$ref"]).removeprefix("#/$defs/")]
    return found


def _leaf(key: str, prop: Mapping[str, Any], when: str, *, required: bool) -> KeyInfo:
    value, optional = _without_null(prop)
    allowed = _allowed(value)
    return KeyInfo(
        key=key,
        kind=_kind(value),
        allowed=f"{allowed}, or none" if optional else allowed,
        default=prop.get("default"),
        required=required,
        optional=optional,
        when=when,
        meaning=" ".join(str(prop.get("description", "")).split()),
    )


def _without_null(prop: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    branches = [branch for branch in prop.get("anyOf", ()) if branch.get("type") != "null"]
    if not branches:
        return prop, False
    return branches[0], len(branches) < len(prop["anyOf"])


def _kind(value: Mapping[str, Any]) -> Kind:
    if "enum" in value or "const" in value:
        return "choice"
    if value.get("format") == "path":
        return "path"
    return _KINDS[value["type"]]


def _allowed(value: Mapping[str, Any]) -> str:
    kind = _kind(value)
    if kind == "choice":
        options = [_quote(option) for option in value.get("enum", [value.get("const")])]
        return options[0] if len(options) == 1 else f"one of {', '.join(options)}"
    if kind in {"whole number", "number"}:
        parts = [f"a {kind}", *_bounds(value)]
        return ", ".join(parts)
    if kind == "list":
        least = value.get("minItems")
        each = _allowed(value.get("items", {"type": "string"}))
        return f"a list{f' of at least {least}' if least else ''}, each {each}"
    if kind == "text":
        return WORDS[value["pattern"]] if "pattern" in value else "text"
    return "a path" if kind == "path" else kind


def _bounds(value: Mapping[str, Any]) -> list[str]:
    words = []
    if "minimum" in value and "maximum" in value:
        words.append(f"{_figure(value['minimum'])} to {_figure(value['maximum'])}")
    else:
        for name, text in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        ):
            if name in value:
                words.append(f"{text} {_figure(value[name])}")
    if "multipleOf" in value:
        words.append(f"a multiple of {_figure(value['multipleOf'])}")
    return words


def _figure(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _quote(option: object) -> str:
    return f'"{option}"' if isinstance(option, str) else str(option)
