"""File-system events as hints: which paths are worth a look now.

Events get lost (queues overflow, network shares send none), so nothing depends on them but the latency.
"""

import logging
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

__all__ = ["Hints"]

_LOG = logging.getLogger("quietscope.folder")
# Opening and closing for reading are left out: they would be our own.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Hints(FileSystemEventHandler):
    """Collects the paths of native file-system events, each path once.

    Parameters
    ----------
    root
        The folder.
    recursive
        Watch sub-folders as well.
    interesting
        Tells from a file name whether the file matters.
    """

    def __init__(self, root: Path, *, recursive: bool, interesting: Callable[[str], bool]) -> None:
        self.root = root
        self._recursive = recursive
        self._interesting = interesting
        self._lock = threading.Lock()
        self._paths: dict[str, bool] = {}
        self._folders_changed = False
        self._observer: BaseObserver | None = None
        self.wake = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether native events are coming."""
        return self._observer is not None and self._observer.is_alive()

    def start(self) -> bool:
        """Begin to listen; False, with a warning, if the system does not let us."""
        from watchdog.observers import Observer

        # A folder that appears while its parent is being read is registered by watchdog twice, to the same effect.
        warnings.filterwarnings(
            "ignore", message="Callback with id", category=RuntimeWarning, module=r"watchdog\."
        )
        observer = Observer()
        try:
            observer.schedule(self, str(self.root), recursive=self._recursive, event_filter=_EVENTS)
            observer.start()
        except (OSError, RuntimeError) as error:
            _LOG.warning(
                "no file-system events for %s (%s): it is scanned every poll_s seconds instead; on Linux raise "
                "fs.inotify.max_user_watches, or set polling = true",
                self.root,
                error,
            )
            return False
        self._observer = observer
        return True

    def stop(self) -> None:
        """Stop listening."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(timeout=5)

    def take(self) -> tuple[list[tuple[str, bool]], bool]:
        """Empty the collection.

        Returns
        -------
        paths : list of (str, bool)
            Paths in order of their first event; True for those whose writer has closed or renamed them.
        folders_changed : bool
            A folder appeared or moved, so that events may have been missed in it.
        """
        self.wake.clear()
        with self._lock:
            paths, self._paths = list(self._paths.items()), {}
            changed, self._folders_changed = self._folders_changed, False
        return paths, changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a path (called in watchdog's thread)."""
        path = os.fsdecode(event.dest_path if event.event_type == "moved" else event.src_path)
        with self._lock:
            if event.is_directory:
                self._folders_changed = True
            elif self._interesting(Path(path).name):
                done = isinstance(event, FileClosedEvent | FileMovedEvent)
                self._paths[path] = self._paths.get(path, False) or done
            else:
                return
        self.wake.set()
