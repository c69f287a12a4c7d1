"""The folder source: takes the images that another program writes into a folder, each exactly once."""

import logging
import os
import threading
import time
from collections.abc import Iterable

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.earlier import Earlier, EarlierFrame
from quietscope.adapters.folder.file_record import FileRecord
from quietscope.adapters.folder.hints import Hints
from quietscope.adapters.folder.inventory import Inventory
from quietscope.adapters.folder.keys import KeyMaker
from quietscope.adapters.folder.naming import NameReader, natural_key
from quietscope.adapters.folder.taker import Taker
from quietscope.adapters.folder.waiting import Waiting
from quietscope.adapters.ndtiff import INDEX_NAME, AxisMap, DataSets
from quietscope.adapters.protocols import Sink
from quietscope.adapters.timeline import Timeline
from quietscope.config.errors import SourceError
from quietscope.config.sources import FolderSettings

__all__ = ["FolderSource"]

_LOG = logging.getLogger("quietscope.folder")
_STOP_CHECK_S = 0.1
_SHORTEST_DELAY_S = 0.005


class FolderSource:
    """Watches a folder and delivers every complete image in it once.

    File-system events only shorten the way; a scan every ``poll_s`` seconds finds what they miss. Files are opened
    for reading, never locked, changed or deleted. Files that are there at the start come first, in natural order of
    their names; later ones in order of their completion.

    Parameters
    ----------
    settings
        The folder and how to read it.
    earlier
        What an interrupted run has already; only the rest is delivered, and counts go on behind it.

    Raises
    ------
    SettingsError
        If ``pattern`` is no regular expression with groups ``t``, ``c``, ``z``, ``p``.
    """

    def __init__(self, settings: FolderSettings, *, earlier: Earlier | None = None) -> None:
        self.settings = settings
        root = settings.path.expanduser().resolve()
        self._names = NameReader(settings.pattern)
        self._earlier = earlier
        self._channels: list[str] = [] if earlier is None else list(earlier.series.channels)
        self._timeline = Timeline()
        self._keys = KeyMaker(self._names, settings.first_index, self._channels)
        self._data_sets = DataSets(
            root,
            AxisMap(self._channels, self._timeline),
            poll_s=settings.poll_s,
            settle_s=settings.settle_s,
        )
        self._inventory = Inventory(root, settings.include, recursive=settings.recursive)
        self._waiting = Waiting(self._inventory, settings.include, recursive=settings.recursive)
        self._pending: dict[FileRecord, None] = {}
        self._root_id: tuple[int, int] | None = None
        self._next_scan_s = 0.0
        self._scanned_s = 0.0
        self._away = False
        self._met: set[str] = set()

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver frames until `stop` is set, or once where it shall not follow; then what is complete, and return.

        Parameters
        ----------
        sink
            Takes the frames.
        stop
            Ends the watch.

        Raises
        ------
        SourceError
            If the folder is not there or cannot be read.
        """
        self._check_folder()
        delivery = Delivery(
            sink,
            f"folder {self._inventory.root}",
            self._channels,
            self._timeline,
            pixel_size_um=self.settings.pixel_size_um,
            series=None if self._earlier is None else self._earlier.series,
        )
        taker = Taker(self.settings, self._inventory, self._keys, delivery, self._restore())
        hints = Hints(
            self._inventory.root, recursive=self.settings.recursive, interesting=self._is_interesting
        )
        try:
            follow = self.settings.follow
            listening = follow and not self.settings.polling and hints.start()
            self._take_present(taker)
            while follow and not stop.is_set():
                listening = self._follow(taker, hints, listening=listening)
                self._data_sets.look(delivery, ending=stop.is_set)
                hints.wake.wait(self._pause())
            self._finish(taker)
            self._data_sets.finish(delivery, ending=stop.is_set)
        finally:
            hints.stop()

    def _check_folder(self) -> None:
        root = self._inventory.root
        try:
            with os.scandir(root):
                self._root_id = self._identity()
        except FileNotFoundError as error:
            message = (
                f"the folder {root} does not exist; create it (mkdir -p '{root}') or correct source.path"
            )
            raise SourceError(message) from error
        except NotADirectoryError as error:
            raise SourceError(f"{root} is a file, not a folder; give the folder that holds it") from error
        except OSError as error:
            message = (
                f"the folder {root} cannot be read ({error.strerror}); allow quietscope to list and read it"
            )
            raise SourceError(message) from error

    def _restore(self) -> dict[str, dict[int, EarlierFrame]]:
        """Learn what an interrupted run has; returns its planes by file name and page."""
        planes: dict[str, dict[int, EarlierFrame]] = {}
        for frame in () if self._earlier is None else self._earlier.frames:
            if "data_set" in frame.metadata:
                self._data_sets.restore(frame.key, frame.metadata)
            elif "name" in frame.metadata:
                self._timeline.restore("", frame.key.t, frame.key.t)
                planes.setdefault(str(frame.metadata["name"]), {})[frame.metadata.get("page", 0)] = frame
        if planes:
            self._names.decide(planes)
        for name, frames in planes.items():
            for frame in frames.values():
                self._keys.remember(name, frame.key)
            # A file that was written again under its name has only what came with its new first plane.
            began_ns = frames[0].received_ns if 0 in frames else 0
            planes[name] = {page: frame for page, frame in frames.items() if frame.received_ns >= began_ns}
        return planes

    def _is_interesting(self, file_name: str) -> bool:
        return (
            self._inventory.interesting(file_name)
            or file_name == INDEX_NAME
            or self._inventory.is_data_set(file_name)
        )

    def _identity(self) -> tuple[int, int] | None:
        try:
            state = self._inventory.root.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def _take_present(self, taker: Taker) -> None:
        """Take what is there at the start, in natural order."""
        found = sorted(self._scan(), key=lambda record: (not taker.knows(record), natural_key(record.name)))
        self._names.decide(record.name for record in found)
        self._look(taker, found)

    def _follow(self, taker: Taker, hints: Hints, *, listening: bool) -> bool:
        """Look once at everything that may have changed; returns whether events are still coming."""
        if listening and not hints.alive:
            _LOG.warning(
                "file-system events for %s have ceased: it is scanned every poll_s seconds", hints.root
            )
            listening = False
        paths, folders_changed = hints.take()
        now = time.monotonic()
        for path, closed in paths:
            name = self._inventory.relative(path)
            if name is not None and not self._inventory.interesting(name.rpartition("/")[2]):
                self._meet_data_set(name)
                continue
            record = None if name is None else self._inventory.meet(name)
            if name is not None and record is None and closed:
                record = self._inventory.known(name)
                record = record if record in self._pending else None
            if record is not None:
                self._pending[record] = None
                if closed:
                    record.next_look_s = now
        self._look(taker, [record for record in self._pending if record.next_look_s <= now])
        if folders_changed or time.monotonic() >= self._next_scan_s:
            found = self._scan()
            if self._earlier is None:
                self._waiting.look()
            if listening and not self._away and self._identity() != self._root_id:
                self._root_id = self._identity()
                hints.stop()
                listening = hints.start()
            self._look(taker, sorted(found, key=lambda record: (record.mtime_ns, natural_key(record.name))))
            self._settle(taker)
        return listening

    def _meet_data_set(self, name: str) -> None:
        folder, _, file = name.rpartition("/")
        if folder in self._inventory.data_sets or self._inventory.is_data_set(file):
            self._inventory.data_sets.add(folder)
            self._data_sets.meet(folder)

    def _scan(self) -> list[FileRecord]:
        """New and changed files; none, with one warning, while the folder is away."""
        began = time.monotonic()
        try:
            found = self._inventory.scan()
        except OSError as error:
            if not self._away:
                _LOG.warning(
                    "the folder %s is away (%s); waiting for it to come back", self._inventory.root, error
                )
            self._away, self._root_id = True, None
            found = []
        else:
            if self._away:
                _LOG.warning("the folder %s is back", self._inventory.root)
            self._away = False
            self._scanned_s = began
            for folder in sorted(self._inventory.data_sets - self._met, key=natural_key):
                self._data_sets.meet(folder)
            self._met = set(self._inventory.data_sets)
        self._next_scan_s = time.monotonic() + self.settings.poll_s
        return found

    def _look(self, taker: Taker, records: Iterable[FileRecord], *, last: bool = False) -> None:
        for record in records:
            now = time.monotonic()
            give_up = last or now - record.changed_s > self.settings.settle_s
            if taker.look(record, give_up=give_up):
                self._pending.pop(record, None)
            else:
                self._pending[record] = None
            record.delay_s = min(max(2 * record.delay_s, _SHORTEST_DELAY_S), self.settings.poll_s)
            record.next_look_s = time.monotonic() + record.delay_s

    def _settle(self, taker: Taker) -> None:
        """Name files that were gone before they were complete and did not turn up under another name."""
        for record in list(self._pending):
            if record.vanished_s is not None and record.vanished_s < self._scanned_s:
                taker.vanished(record)
                del self._pending[record]

    def _pause(self) -> float:
        now = time.monotonic()
        due = min((record.next_look_s for record in self._pending), default=self._next_scan_s)
        return max(0.0, min(due - now, self._data_sets.due_s - now, self._next_scan_s - now, _STOP_CHECK_S))

    def _finish(self, taker: Taker) -> None:
        """Take what is complete, and name what is not."""
        found = sorted(self._scan(), key=lambda record: (record.mtime_ns, natural_key(record.name)))
        self._look(taker, dict.fromkeys([*self._pending, *found]), last=True)
        for record in list(self._pending):
            if not self._away:
                taker.vanished(record)
