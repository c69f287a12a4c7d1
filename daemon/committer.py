"""One thread that owns the ledger: entries are committed in groups, and whoever waits is told afterwards."""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from quietscope.config import LedgerError
from quietscope.daemon.ledger import Entry, LedgerWriter

__all__ = ["Committer"]

_Item = tuple[Entry, Callable[[], None] | None]
_GROUP = 512
_RETRIES = 6


class Committer:
    """Commits entries to the ledger in groups.

    Parameters
    ----------
    path
        The ledger.
    wait_s
        Longest wait for further entries before a commit, seconds.
    on_fatal
        Called with words when the ledger cannot be written in spite of retries.
    """

    def __init__(self, path: Path, *, wait_s: float, on_fatal: Callable[[str], None]) -> None:
        self._path = path
        self._wait_s = wait_s
        self._on_fatal = on_fatal
        self._queue: queue.Queue[_Item | None] = queue.Queue()
        self._opened = threading.Event()
        self._error: LedgerError | None = None
        self._idle = threading.Condition()
        self._open_items = 0
        self._thread = threading.Thread(target=self._run, name="committer")
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error

    def put(self, entry: Entry, then: Callable[[], None] | None = None) -> None:
        """Have `entry` committed; `then` is called in the committer's thread once it is on disk."""
        with self._idle:
            self._open_items += 1
        self._queue.put((entry, then))

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything put so far is on disk; False if that took too long."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open_items == 0, timeout_s)

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            ledger = LedgerWriter(self._path)
        except LedgerError as error:
            self._error = error
            return
        finally:
            self._opened.set()
        ended = False
        while not ended:
            group, ended = self._group()
            if group:
                self._commit(ledger, group)
        ledger.close()

    def _group(self) -> tuple[list[_Item], bool]:
        group: list[_Item] = []
        deadline: float | None = None
        while len(group) < _GROUP:
            try:
                timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
                item = self._queue.get(timeout=timeout)
            except queue.Empty:
                break
            if item is None:
                return group, True
            group.append(item)
            deadline = deadline or time.monotonic() + self._wait_s
        return group, False

    def _commit(self, ledger: LedgerWriter, group: list[_Item]) -> None:
        for attempt in range(_RETRIES):
            try:
                ledger.commit(entry for entry, _ in group)
                break
            except LedgerError as error:
                if attempt == _RETRIES - 1:
                    self._on_fatal(str(error))
                    with self._idle:
                        self._open_items -= len(group)
                        self._idle.notify_all()
                    return
                time.sleep(0.1 * 2**attempt)
        for _, then in group:
            if then is not None:
                self._tell(then)
        with self._idle:
            self._open_items -= len(group)
            self._idle.notify_all()

    def _tell(self, then: Callable[[], None]) -> None:
        try:
            then()
        except Exception as error:  # noqa: BLE001 - this thread serves all the others
            self._on_fatal(f"something that waited for the ledger failed: {error!r}")
