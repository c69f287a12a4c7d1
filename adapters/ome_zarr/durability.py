"""Files and folders that survive a crash of the process and of the machine."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from quietscope.config.faultpoints import reach

__all__ = ["sync_folders", "write_json"]

_REPLACE_ATTEMPTS = 50
_REPLACE_PAUSE_S = 0.02


def write_json(path: Path, document: Mapping[str, Any], *, sync: bool) -> None:
    """Replace the file `path` by `document` in one step.

    Parameters
    ----------
    path
        File to write; its folder exists.
    document
        JSON-able content.
    sync
        Wait for the disk.

    Raises
    ------
    OSError
        If the disk does.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        _replace(temporary, path)
        if sync:
            sync_folders([path.parent])
    finally:
        temporary.unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            reach("store.rename")
            temporary.replace(path)
        except PermissionError:
            # Windows refuses while a reader holds the file open.
            if attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return


def sync_folders(folders: Iterable[Path]) -> None:
    """Wait until the entries of `folders` are on the disk; Windows has no such call and needs none.

    A synced file whose folder is new can still vanish with the folder in a power cut.
    """
    if os.name == "nt":
        return
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
