"""Merging layers of settings (profile, file, ``--set``) and remembering where each value came from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quietscope.config.errors import SettingsError
from quietscope.config.keys import KeyInfo, describe
from quietscope.config.tomlfile import parse_toml

__all__ = ["Layers", "flatten", "parse_overrides"]

_DEEPEST_KEY = 16


class Layers:
    """Settings merged so far, and the origin of every value.

    Later layers win key by key. A layer that changes the kind of a choice (``source.kind``) drops what
    earlier layers said of the former kind, since a folder has no use for a simulator's photons.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._tags = tuple({info.when.partition(" = ")[0]: info for info in describe() if info.when})
        self._defaults = {info.key: info.default for info in describe() if info.key in self._tags}

    def add(self, layer: Mapping[str, Any], origin: str) -> None:
        """Merge one layer over the former ones.

        Parameters
        ----------
        layer
            Nested mapping as TOML gives it.
        origin
            Where it comes from, in words.
        """
        for tag in self._tags:
            wanted = self._get(layer, tag)
            if wanted is not None and wanted != self.choice(tag):
                self._drop(tag.rpartition(".")[0])
        self._merge(self.values, layer, "", origin)

    def choice(self, tag: str) -> object:
        """Value of a key that decides which others exist, or its default."""
        value = self._get(self.values, tag)
        return self._defaults[tag] if value is None else value

    def choices(self) -> dict[str, object]:
        """Values of all keys that decide which others exist."""
        return {tag: self.choice(tag) for tag in self._tags}

    def complete(self) -> dict[str, Any]:
        """All values, ready to be validated.

        The default kind is filled in where only other keys of its section are given; so are default paths,
        which strict validation of JSON would refuse since they are no text.
        """
        for tag in self._tags:
            section, _, name = tag.rpartition(".")
            table = self._get(self.values, section)
            if isinstance(table, dict):
                table.setdefault(name, self._defaults[tag])
        for info in describe():
            if info.kind == "path" and not info.when and info.default is not None:
                self._set_default(info.key, info.default)
        return self.values

    def origins(self, key: str) -> tuple[str, ...]:
        """Where the value of a key, or of the keys below it, came from."""
        below = [where for name, where in self._origins.items() if name == key or name.startswith(f"{key}.")]
        return tuple(dict.fromkeys(below))

    def _drop(self, section: str) -> None:
        parent, _, name = section.rpartition(".")
        table = self._get(self.values, parent) if parent else self.values
        if isinstance(table, dict):
            table.pop(name, None)
        self._origins = {
            key: where
            for key, where in self._origins.items()
            if key != section and not key.startswith(f"{section}.")
        }

    def _set_default(self, key: str, value: object) -> None:
        *parents, name = key.split(".")
        table: Any = self.values
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                return
        table.setdefault(name, value)

    def _merge(self, into: dict[str, Any], layer: Mapping[str, Any], prefix: str, origin: str) -> None:
        for name, value in layer.items():
            key = prefix + name
            if isinstance(value, Mapping):
                table = into.get(name)
                if not isinstance(table, dict):
                    self._origins.pop(key, None)
                    table = into[name] = {}
                self._merge(table, value, f"{key}.", origin)
                if not value:
                    self._origins[key] = origin
            else:
                if isinstance(into.get(name), dict):
                    self._drop(key)
                into[name] = value
                self._origins[key] = origin

    @staticmethod
    def _get(values: Mapping[str, Any], key: str) -> object:
        found: object = values
        for name in key.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        return found


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a nested mapping; an empty table counts as a value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def parse_overrides(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    r"""Turn ``KEY=VALUE`` texts into one nested layer.

    A value is read as TOML (``10``, ``true``, ``["er"]``) and otherwise taken as it stands, so
    ``out=C:\data`` needs no quotes. For keys that hold text the value is always text (``name=2024``); for
    keys that hold a list, text is split at commas; ``none`` takes back the value of a key that may be none.

    Returns
    -------
    layer : dict
        Nested mapping; of two overrides of one key the later wins.
    problems : list of str
        One sentence for every override that is not of the form ``KEY=VALUE``.
    """
    layer: dict[str, Any] = {}
    problems = []
    by_key: dict[str, KeyInfo] = {info.key: info for info in describe()}
    for text in overrides:
        key, equals, value = (part.strip() for part in text.partition("="))
        names = key.split(".")
        if not equals or not all(names) or len(names) > _DEEPEST_KEY or not _is_text(text):
            problems.append(f"--set {text!r} is not KEY=VALUE; write for example --set training.frames=20")
            continue
        table = layer
        for name in names[:-1]:
            inner = table.get(name)
            if not isinstance(inner, dict):
                inner = table[name] = {}
            table = inner
        table[names[-1]] = _read_value(value, by_key.get(key))
    return layer, problems


def _is_text(text: str) -> bool:
    """Whether it can be written: bytes of an argument that are not UTF-8 come as half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_value(text: str, info: KeyInfo | None) -> object:
    if info is not None and info.optional and text == "none":
        return None
    try:
        parsed = parse_toml(f"value = {text}", "--set")
    except SettingsError:
        parsed = {}
    value: object = parsed["value"] if set(parsed) == {"value"} else text
    if info is None:
        return value
    if info.kind in {"text", "path"} and not isinstance(value, str):
        return text
    if info.kind == "list" and not isinstance(value, list | dict):
        return [part.strip() for part in str(value).split(",")]
    return value
