"""Settings files and ``--set`` texts that are torn, damaged or made up, and what the loader may make of them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from mutation import mutated

from quietscope.config import Settings, SettingsError
from quietscope.config.keys import describe
from quietscope.config.layers import flatten
from quietscope.config.loader import load_settings, profile_names, settings_to_toml

__all__ = ["check_settings"]

VALUES = (
    *("none", "true", "0", "-1", "1e999", "nan", "-inf", "1_000", "0x" + "f" * 5000, "9" * 5000, "1" * 400),
    *('""', "''", '"\\u0000"', '"C:\\new"', "'C:\\new'", '"\\U0010FFFF"', '"' + "x" * 5000 + '"', "'''\n'''"),
    *(
        "[]",
        "[[]]",
        "[" * 3000,
        "[" * 3000 + "]" * 3000,
        "{a=" * 2000 + "1" + "}" * 2000,
        "{}",
        "{kind='wire'}",
    ),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "['er', 'er']", "[1, 'a', {}]", '"folder"', "'run'"),
)
KEYS = (
    *("source", "source.kind", "source.path", "training", "a.b.c", "." * 50, "", "''", "=", "name", "out"),
    *("x" * 3000, ".".join("a" * 2000), "source.kind.kind", "training.frames.x", "__proto__", "é", "\udcff"),
)


def _sources() -> list[str]:
    shown = [settings_to_toml(load_settings(profile=name)) for name in profile_names()]
    folder = settings_to_toml(load_settings(overrides=["source.kind=folder", "source.path=in"]))
    wire = settings_to_toml(load_settings(overrides=["source.kind=wire"]))
    return [*shown, folder, wire]


_TEXTS = _sources()
_KNOWN = [info.key for info in describe()]


def check_settings(seed: int, path: Path) -> str:
    """One file and up to three ``--set`` texts; ``refused``, ``taken``, or what is wrong."""
    rng = np.random.default_rng([seed, 6])
    text = _TEXTS[int(rng.integers(len(_TEXTS)))]
    match int(rng.integers(4)):
        case 0:
            content = mutated(text.encode(), rng)
        case 1:
            content = text.encode()[: int(rng.integers(len(text)))]
        case 2:
            content = _shuffled(text, rng).encode()
        case _:
            content = text.encode()
    path.write_bytes(content)
    overrides = [_override(rng) for _ in range(int(rng.integers(3)) if rng.random() < 0.3 else 0)]
    try:
        settings = load_settings(path, overrides=overrides)
    except SettingsError as error:
        str(error).encode()
        return "refused"
    if load_again(settings, path) != settings:
        return "written and loaded again it is another one"
    return "taken" if overrides else _differs(content, settings) or "taken"


def load_again(settings: Settings, path: Path) -> Settings:
    """The settings after a way through a file."""
    path.write_text(settings_to_toml(settings), encoding="utf-8")
    return load_settings(path)


def _shuffled(text: str, rng: np.random.Generator) -> str:
    """Lines left out, doubled, exchanged, or with another value."""
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    for _ in range(int(rng.integers(1, 4))):
        at, other = (int(n) for n in rng.integers(len(lines), size=2))
        match int(rng.integers(4)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3 if rng.random() < 0.02:
                lines[at:at] = [f"key{n} = {n}" for n in range(3000)]
            case _:
                key = lines[at].partition(" = ")[0] or "name"
                lines[at] = f"{key} = {VALUES[int(rng.integers(len(VALUES)))]}"
    return "\n".join(lines)


def _override(rng: np.random.Generator) -> str:
    keys = KEYS if rng.random() < 0.3 else _KNOWN
    text = f"{keys[int(rng.integers(len(keys)))]}={VALUES[int(rng.integers(len(VALUES)))]}"
    return (
        mutated(text.encode("utf-8", "surrogateescape"), rng).decode("utf-8", "surrogateescape")
        if rng.random() < 0.2
        else text
    )


def _differs(content: bytes, settings: Settings) -> str:
    """The first key that says something else than the file; empty if there is none."""
    said = dict(flatten(tomllib.loads(content.decode("utf-8-sig"))))
    taken = dict(flatten(settings.model_dump(mode="json")))
    for key, value in said.items():
        if isinstance(value, dict):
            continue
        if key not in taken or not _same(value, taken[key]):
            return f"{key}: {json.dumps(value, default=str)} became {taken.get(key)!r}"
    return ""


def _same(said: Any, taken: Any) -> bool:
    if isinstance(taken, str):
        return str(said) == taken or str(Path(str(said))) == taken
    return said == taken and isinstance(said, bool) == isinstance(taken, bool)
