"""What was measured on this machine about runtimes, kept between runs."""

import contextlib
import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

from quietscope.config.science import RuntimeSettings
from quietscope.daemon.cache_folder import cache_folder

__all__ = ["recall", "remember"]

_FILE = "runtimes.json"
_MOST = 200


def _place(structure: str, shape: tuple[int, int], settings: RuntimeSettings) -> str:
    """Key of a measurement: machine, versions, network, size, and what the settings allow."""
    versions = []
    for name in ("onnxruntime", "onnxruntime-gpu", "openvino"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = (platform.node(), platform.machine(), platform.processor(), os.cpu_count(), versions)
    what = (structure, shape, settings.model_dump_json())
    return hashlib.sha256(repr((machine, what)).encode()).hexdigest()[:24]


def recall(structure: str, shape: tuple[int, int], settings: RuntimeSettings) -> dict[str, float] | None:
    """Milliseconds for each provider, as measured before with this machine, network and size; None if never.

    Parameters
    ----------
    structure
        Of the network; see `quietscope.models.model_file.ModelFile`.
    shape
        (H, W) of what goes through the network at a time.
    settings
        What was asked for.
    """
    entry = _read().get(_place(structure, shape, settings))
    try:
        return {str(name): float(value) for name, value in entry["ms"].items()} if entry else None
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def remember(
    structure: str, shape: tuple[int, int], settings: RuntimeSettings, milliseconds: Mapping[str, float]
) -> None:
    """Keep a measurement for later runs; a cache that cannot be written is no reason to stop."""
    entries = _read()
    key = _place(structure, shape, settings)
    entries.pop(key, None)
    entries[key] = {
        "ms": dict(milliseconds),
        "measured": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    kept = dict(list(entries.items())[-_MOST:])
    folder = cache_folder()
    temporary = folder / f".{_FILE}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, folder / _FILE)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _read() -> dict[str, Any]:
    try:
        content = json.loads((cache_folder() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
