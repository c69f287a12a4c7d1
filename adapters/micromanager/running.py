"""Finding a quietscope run that is going on, to hand frames to it."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from quietscope.config.errors import RunError

__all__ = ["RunningRun", "demanded_keys", "find_running", "open_running"]


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A run that takes frames.

    Parameters
    ----------
    ingest
        Address of its ingest wire.
    root
        Its folder; None if only the address is known.
    publish
        Address for viewers, where known.
    keys
        Folder of the keys that it demands; None if it demands none.
    """

    ingest: str
    root: Path | None = None
    publish: str | None = None
    keys: Path | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it still goes on; True where its folder is not known."""
        return self.root is None or _running(self.root) is not None


def open_running(where: str | Path, *, keys: Path | None = None) -> RunningRun:
    """Look up a run that is going on.

    Parameters
    ----------
    where
        Address of its ingest wire, ``tcp://HOST:PORT``, or its folder.
    keys
        Folder of keys for an address that demands them; a folder's own settings name them.

    Raises
    ------
    quietscope.config.RunError
        If nothing is going on there.
    """
    if str(where).startswith("tcp://"):
        return RunningRun(str(where), keys=keys)
    root = Path(where).expanduser().resolve()
    found = _running(root)
    if found is None:
        msg = (
            f"no run is going on in {root}; give the folder of a running run, its ingest address"
            " (`ingest` in endpoints.json), or leave attach out to start a new one"
        )
        raise RunError(msg)
    return found


def find_running(out: Path) -> RunningRun | None:
    """Newest run below `out` that is going on and takes frames from other programs; None if there is none."""
    folders = sorted((file.parent for file in out.glob("*/endpoints.json")), key=_started, reverse=True)
    runs = (_running(root) for root in folders if _takes_frames(root))
    return next((run for run in runs if run is not None), None)


def _running(root: Path) -> RunningRun | None:
    try:
        content: dict[str, Any] = json.loads((root / "endpoints.json").read_text(encoding="utf-8"))
        pid = int(content["pids"]["recorder"])
        # Process numbers are used again: the recorder has its folder on its command line.
        if str(root.resolve()) not in psutil.Process(pid).cmdline():
            return None
        return RunningRun(str(content["ingest"]), root.resolve(), content.get("publish"), demanded_keys(root))
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def demanded_keys(root: Path) -> Path | None:
    """Folder of the keys that the run in `root` demands, by its effective settings; None if it demands none."""
    keys = _settings(root).get("security", {}).get("keys")
    return None if keys is None else Path(keys)


def _takes_frames(root: Path) -> bool:
    return bool(_settings(root).get("source", {}).get("kind") == "wire")


def _settings(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / "settings.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _started(root: Path) -> float:
    try:
        return (root / "endpoints.json").stat().st_mtime
    except OSError:
        return 0.0
