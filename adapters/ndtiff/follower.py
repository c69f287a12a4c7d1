"""Follows one NDTiff data set and hands over each of its images once, in the order in which they were written."""

import contextlib
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.frame import Frame, FrameKey
from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.ndtiff.axes import AxisMap
from quietscope.adapters.ndtiff.index import IndexEntry, IndexTail
from quietscope.adapters.ndtiff.planes import read_image
from quietscope.adapters.ndtiff.summary import Summary, read_summary
from quietscope.adapters.ndtiff.unlisted import unlisted_after
from quietscope.adapters.sharing import open_shared, read_at
from quietscope.config.errors import FrameError

__all__ = ["INDEX_NAME", "Follower"]

INDEX_NAME = "NDTiff.index"
_LOG = logging.getLogger("quietscope.ndtiff")
_INCOMPLETE = {"truncated", "unwritten", "unreadable"}
_DEAF = 8
_STAMP_BYTES = 4096


class Follower:
    """Follows one data set.

    Parameters
    ----------
    folder
        The folder of the index.
    name
        The folder's name relative to what is watched, for messages and metadata; empty for that itself.
    axes
        Makes the keys.
    settle_s
        An image that is still not whole after so many seconds is given up, named and counted.
    earlier
        Keys of images that an earlier run has: stamp of the data set → (stack, offset) → key.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        axes: AxisMap,
        *,
        settle_s: float,
        earlier: dict[str, dict[tuple[str, int], FrameKey]] | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self._axes = axes
        self._settle_s = settle_s
        self._earlier = earlier or {}
        self._tail = IndexTail(folder / INDEX_NAME)
        self._held: list[IndexEntry] = []
        self._in_doubt = False
        self._waiting: deque[IndexEntry] = deque()
        self._first: IndexEntry | None = None
        self._last: IndexEntry | None = None
        self._reached: dict[str, int] = {}
        self._stamp = ""
        self._summary = Summary()
        self._stuck_s: float | None = None
        self._patience_s = settle_s
        self._problem = ""
        self._refused_in_a_row = 0

    def look(self, delivery: Delivery, *, ending: Callable[[], bool] = lambda: False) -> bool:
        """Take what is new and whole.

        Parameters
        ----------
        delivery
            Takes the frames.
        ending
            Whether the source is being stopped: then nothing more is read once nothing is taken any longer.

        Returns
        -------
        bool
            Whether there was anything new.
        """
        found = False
        with contextlib.ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            while self._refill():
                while self._waiting:
                    if ending() and self._refused_in_a_row >= _DEAF:
                        return found
                    entry = self._waiting[0]
                    if not self._take(entry, files, stack, delivery):
                        return found
                    self._waiting.popleft()
                    found = True
        return found

    def finish(self, delivery: Delivery, *, ending: Callable[[], bool] = lambda: False) -> None:
        """Take what is there, whole or not listed yet, and name what is missing."""
        self._settle_s = self._patience_s = 0.0
        self.look(delivery, ending=ending)
        if ending() and self._refused_in_a_row >= _DEAF:
            return
        self.look_ahead(delivery)
        if self._problem:
            delivery.reject(self._shown(self.folder.name), "truncated", self._problem)
        elif self._tail.problem and "byte" in self._tail.problem:
            detail = f"{self._tail.problem}; what lies behind cannot be found"
            delivery.reject(self._shown(INDEX_NAME), "unreadable", detail)

    def look_ahead(self, delivery: Delivery) -> bool:
        """Take whole images that are in the stack but not in the index yet; True if there were any.

        The Python writer's index comes in pieces of 8 KiB, which may be minutes of a slow acquisition, and the last
        piece never comes if the writer dies. Micro-Manager itself lists each image at once.
        """
        if self._waiting or self._in_doubt or self._tail.preallocated:
            return False
        try:
            ahead = unlisted_after(self.folder, self._last)
        except OSError as error:
            _LOG.debug("nothing could be read ahead in %s: %s", self.folder, error)
            return False
        if not ahead:
            return False
        self._waiting.extend(ahead)
        with contextlib.ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            while self._waiting and self._take(self._waiting[0], files, stack, delivery):
                self._waiting.popleft()
        # Whatever could not be taken is listed sooner or later.
        self._waiting.clear()
        return True

    def _refill(self) -> bool:
        """Read on in the index; False if nothing is waiting."""
        if self._waiting:
            return True
        try:
            self._held = self._held or self._tail.poll()
            self._in_doubt = self._in_doubt or self._tail.changed
            if self._in_doubt and self._first is not None and self._stamp_of(self._first) != self._stamp:
                _LOG.info("%s has been written again under its name: taken as new", self.folder)
                self._first, self._last, self._stamp, self._reached = None, None, "", {}
                self._tail.restart()
                self._held = self._tail.poll()
        except FileNotFoundError:
            self._in_doubt = True
            self._problem = (
                f"there is no {INDEX_NAME}; keep it beside the stacks" if self._first is None else ""
            )
            return False
        except OSError as error:
            self._problem = f"it cannot be read ({error.strerror or error}); allow quietscope to read it"
            return False
        self._problem, self._in_doubt = "", False
        self._waiting.extend(self._held)
        self._held = []
        return bool(self._waiting)

    def _stamp_of(self, entry: IndexEntry) -> str:
        """Tells a data set from another one of its name: checksum of the first image's head and of what is said of it.

        Neither size nor inode do: a new index is filled with zeros to the same size, and may get the old inode.
        """
        with open_shared(self.folder / entry.file) as file:
            said = read_at(file, entry.metadata_offset, entry.metadata_length)
            return f"{zlib.crc32(read_at(file, entry.offset, _STAMP_BYTES), zlib.crc32(said)):08x}"

    def _begin(self, entry: IndexEntry) -> None:
        """Learn from the first image, which must be whole, which data set this is."""
        with open_shared(self.folder / entry.file) as file:
            read_image(file, entry)
            self._summary = read_summary(file)
        self._stamp, self._first = self._stamp_of(entry), entry

    def _take(
        self, entry: IndexEntry, files: dict[str, BinaryIO], stack: contextlib.ExitStack, delivery: Delivery
    ) -> bool:
        """Deal with one image; False if it has to be tried again."""
        try:
            if not self._stamp and entry.pixel_type in {0, 1, 3, 4, 5, 6}:
                self._begin(entry)
            if entry.offset <= self._reached.get(entry.file, -1):
                return True
            if self._is_known(entry):
                self._pass(entry)
                return True
            if entry.file not in files:
                files[entry.file] = stack.enter_context(open_shared(self.folder / entry.file))
            received_ns = time.time_ns()
            pixels, said = read_image(files[entry.file], entry)
            facts = MMFacts.of(said)
            key = self._axes.key(self.origin, entry.axes, facts, self._summary.channels)
        except FrameError as error:
            return self._failed(entry, error.reason, str(error), delivery)
        except OSError as error:
            detail = f"it cannot be read ({error.strerror or error}); keep all stacks beside {INDEX_NAME}"
            return self._failed(entry, "unreadable", detail, delivery)
        self._pass(entry)
        self._patience_s = self._settle_s
        metadata = {
            "name": self._shown(entry.file),
            "offset": entry.offset,
            "data_set": self._stamp,
            "axes": dict(entry.axes),
            **facts.metadata(),
        }
        frame = Frame(pixels, key, received_ns, facts.exposure_ms, metadata)
        pixel_um = facts.pixel_size_um or self._summary.pixel_size_um
        taken = delivery.submit(frame, pixel_size_um=pixel_um, planned=self._summary.planned)
        self._refused_in_a_row = 0 if taken else self._refused_in_a_row + 1
        return True

    @property
    def origin(self) -> str:
        """Name of the data set in the count of time points."""
        return f"{self.name}/{self._stamp}"

    def _shown(self, file: str) -> str:
        return f"{self.name}/{file}" if self.name else file

    def _is_known(self, entry: IndexEntry) -> bool:
        return (entry.file, entry.offset) in self._earlier.get(self._stamp, {})

    def _pass(self, entry: IndexEntry) -> None:
        self._reached[entry.file] = max(entry.offset, self._reached.get(entry.file, -1))
        self._last = entry
        self._stuck_s = None

    def _failed(self, entry: IndexEntry, reason: str, detail: str, delivery: Delivery) -> bool:
        now = time.monotonic()
        self._stuck_s = self._stuck_s or now
        if reason in _INCOMPLETE and now - self._stuck_s < self._patience_s:
            return False
        if reason in _INCOMPLETE:
            # Where one image has been waited for in vain, the next ones are not waited for before one is whole.
            self._patience_s = 0.0
        place = ", ".join(f"{axis} {position}" for axis, position in entry.axes.items())
        delivery.reject(f"{self._shown(entry.file)} ({place or entry.offset})", reason, detail)
        self._pass(entry)
        return True
