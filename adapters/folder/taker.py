"""Takes the complete planes of one file, each once, and hands them over with their keys."""

import logging
import time
import zlib
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.earlier import EarlierFrame
from quietscope.adapters.folder.contents import Contents, Plane, Refusal, look_into
from quietscope.adapters.folder.file_record import FileRecord
from quietscope.adapters.folder.inventory import Inventory
from quietscope.adapters.folder.keys import KeyMaker
from quietscope.adapters.folder.mm_summary import channel_names
from quietscope.adapters.folder.readers import read_mm_metadata, read_plane
from quietscope.adapters.folder.stack_axes import StackInfo, plain_stack
from quietscope.adapters.frame import Frame, Pixels
from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.sharing import open_shared
from quietscope.config.errors import FrameError
from quietscope.config.sources import FolderSettings

__all__ = ["Taker"]

_RETRIED = {"truncated", "unreadable", "unwritten"}
_LOG = logging.getLogger("quietscope.folder")


class Taker:
    """Takes planes out of files.

    Parameters
    ----------
    settings
        The folder's settings.
    inventory
        What is known of the files.
    keys
        Makes the keys.
    delivery
        Takes the frames.
    earlier
        Planes that an interrupted run has already: name of the file → page → frame.
    """

    def __init__(
        self,
        settings: FolderSettings,
        inventory: Inventory,
        keys: KeyMaker,
        delivery: Delivery,
        earlier: dict[str, dict[int, EarlierFrame]] | None = None,
    ) -> None:
        self._settings = settings
        self._inventory = inventory
        self._keys = keys
        self._delivery = delivery
        self._earlier = earlier or {}
        self._channels: dict[str, tuple[str, ...]] = {}

    def knows(self, record: FileRecord) -> bool:
        """Whether an interrupted run has taken something of a file."""
        return record.shown in self._earlier

    def look(self, record: FileRecord, *, give_up: bool = False) -> bool:
        """Take what is complete of a file.

        Parameters
        ----------
        record
            The file.
        give_up
            Nothing more is expected: name what is missing, and take what lies behind it.

        Returns
        -------
        bool
            True if there is nothing to come back for before the file changes.
        """
        try:
            file = open_shared(self._inventory.path(record))
        except OSError as error:
            return self._unopened(record, error, give_up=give_up)
        with file:
            waiting = self._take(record, file, give_up=give_up)
        if record.problem and give_up:
            self._name(record)
        elif not record.problem and not waiting and record.named and record.taken:
            record.named = False
            _LOG.info("%s had been given up and is complete now: taken after all", record.shown)
        return give_up or not (record.problem or waiting)

    def vanished(self, record: FileRecord) -> None:
        """Name a file that disappeared before it could be taken."""
        if record.named:
            return
        record.named = True
        taken = record.taken - len(record.skipped)
        detail = (
            f"it disappeared before it could be taken whole ({taken} of its planes were); keep it in place"
        )
        self._delivery.reject(record.shown, "vanished", detail)

    def _unopened(self, record: FileRecord, error: OSError, *, give_up: bool) -> bool:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            record.vanished_s = record.vanished_s or time.monotonic()
            record.problem, record.reason = "it has disappeared", "vanished"
            return False
        record.problem = f"it cannot be read ({error.strerror or error}); allow quietscope to read it"
        record.reason = "unreadable"
        if give_up:
            self._name(record)
        # A file that is allowed later looks no different: it has to be tried again and again.
        return False

    def _name(self, record: FileRecord) -> None:
        if record.named:
            return
        record.named = True
        taken = record.taken - len(record.skipped)
        detail = (
            f"{record.problem}; {taken} of its planes were taken; it will be taken once it becomes complete"
        )
        self._delivery.reject(record.shown, record.reason, detail)

    def _refuse(self, record: FileRecord, index: int | None, reason: str, detail: str) -> None:
        if index is not None:
            record.taken = max(record.taken, index + 1)
            record.skipped.discard(index)
        if reason not in record.refusals:
            record.refusals.add(reason)
            self._delivery.reject(record.shown, reason, detail if not index else f"page {index}: {detail}")

    def _look_into(self, record: FileRecord, file: BinaryIO) -> Contents:
        name = self._keys.name_key(record)
        resumable = record.taken > 1 and not record.skipped
        return look_into(
            file,
            record.name.rpartition("/")[2],
            wanted=min(record.skipped, default=record.taken),
            cursor=record.cursor if resumable else None,
            known=record.info,
            free_axis=next((axis for axis in "tzcp" if axis not in name.axes), "t"),
            stack_axes=self._settings.stack_axes,
        )

    def _take(self, record: FileRecord, file: BinaryIO, *, give_up: bool) -> bool:
        """Take planes; True if complete planes were left for later."""
        record.vanished_s = None
        if record.suspect and self._is_same(record, file) is None:
            return False
        before = record.taken
        waiting = self._take_new(record, file, give_up=give_up)
        if record.first is None or record.problem or waiting or not before or record.taken > before:
            return waiting
        # It has changed without bringing anything new: it was written again, and was larger or not yet whole before.
        return self._is_same(record, file) is False and self._take_new(record, file, give_up=give_up)

    def _take_new(self, record: FileRecord, file: BinaryIO, *, give_up: bool) -> bool:
        try:
            contents = self._look_into(record, file)
        except FrameError as error:
            record.problem = ""
            self._refuse(record, None, error.reason, str(error))
            return False
        except OSError as error:
            record.problem, record.reason = f"it cannot be read ({error.strerror or error})", "unreadable"
            return False
        record.problem, record.reason = contents.problem, "truncated"
        record.cursor = contents.cursor
        if contents.info is not None and (record.info is None or record.taken < 2):
            record.info = self._with_channels(record, contents.info)
        for found in (*contents.planes, *(contents.beyond if give_up else ())):
            if not self._take_one(record, file, found, give_up=give_up):
                break
        return bool(contents.beyond) and not give_up

    def _is_same(self, record: FileRecord, file: BinaryIO) -> bool | None:
        """Whether what was taken of a file is still in it; None while that cannot be told.

        A file that was written again is forgotten, so that it is taken anew.
        """
        same = True
        if record.first is not None:
            try:
                same = _digest(self._first_plane(record, file)) == record.digest
            except (FrameError, OSError):
                record.problem, record.reason, record.suspect = "it is being written again", "truncated", True
                return None
        if not same:
            _LOG.info("%s has been written again under its name: taken as new", record.shown)
            record.forget()
        record.suspect = False
        return same

    def _first_plane(self, record: FileRecord, file: BinaryIO) -> Pixels:
        """Pixels that are now where those of the first plane were, which may lie elsewhere by now."""
        assert record.first is not None
        try:
            return read_plane(file, record.first)
        except FrameError:
            name = record.name.rpartition("/")[2]
            again = look_into(file, name, wanted=record.first.index, stack_axes=self._settings.stack_axes)
            first = next(iter(again.planes), None)
            if not isinstance(first, Plane):
                raise
            return read_plane(file, first)

    def _take_one(self, record: FileRecord, file: BinaryIO, found: Plane | Refusal, *, give_up: bool) -> bool:
        """Deal with one plane; False if it has to be tried again."""
        index = found.index
        if index is not None and index < record.taken and index not in record.skipped:
            return True
        if isinstance(found, Refusal):
            self._refuse(record, index, found.reason, found.detail)
            return True
        received_ns = time.time_ns()
        try:
            said = self._said(file, found)
            info = record.info or plain_stack()
            if self._has_earlier(record, file, found, info, said):
                return True
            pixels = read_plane(file, found)
            key = self._keys.key(record, info, found.index, said)
            key = key._replace(t=self._delivery.timeline.place("", key.t))
        except (FrameError, OSError) as error:
            reason = error.reason if isinstance(error, FrameError) else "unreadable"
            if reason not in _RETRIED:
                self._refuse(record, index, reason, str(error))
                return True
            record.problem, record.reason = f"page {found.index}: {error}", reason
            record.cursor = None
            if give_up:
                record.pass_over(found.index + 1)
            return give_up
        if record.first is None:
            record.first, record.digest = found, _digest(pixels)
        record.take(found.index)
        facts = MMFacts.of(said)
        metadata = {"name": record.shown, "page": found.index, **facts.metadata()}
        frame = Frame(pixels, key, received_ns, facts.exposure_ms or info.exposure_ms, metadata)
        pixel_um = facts.pixel_size_um or info.pixel_size_um
        self._delivery.submit(frame, pixel_size_um=pixel_um, planned=info.planned)
        return True

    def _said(self, file: BinaryIO, plane: Plane) -> dict[str, Any]:
        """Micro-Manager's metadata of a plane; other programs' words in the same place mean nothing."""
        own_tag = plane.mm_metadata is not None and plane.mm_metadata[2] == "utf-8"
        return read_mm_metadata(file, plane) if own_tag or self._keys.by_micro_manager else {}

    def _with_channels(self, record: FileRecord, info: StackInfo) -> StackInfo:
        """Take channel names from beside the file where it has none."""
        folder = record.name.rpartition("/")[0]
        if info.channels or not self._keys.by_micro_manager:
            return info
        if folder not in self._channels:
            names = channel_names(self._inventory.root / folder)
            if names is None:
                return info
            self._channels[folder] = names
        return replace(info, channels=self._channels[folder])

    def _has_earlier(
        self, record: FileRecord, file: BinaryIO, found: Plane, info: StackInfo, said: dict[str, Any]
    ) -> bool:
        """Whether an interrupted run has this plane; a file written again since then is new."""
        if self._earlier and found.index == 0 and record.shown not in self._earlier:
            self._find_renamed(record, read_plane(file, found))
        frame = self._earlier.get(record.shown, {}).get(found.index)
        if frame is None:
            return False
        if record.first is None:
            written_since = record.mtime_ns >= frame.received_ns
            if written_since and _digest(read_plane(file, found)) != frame.crc32:
                del self._earlier[record.shown]
                return False
            record.first, record.digest = found, frame.crc32
        self._keys.restore(record, info, found.index, said, frame.key)
        record.take(found.index)
        return True

    def _find_renamed(self, record: FileRecord, pixels: Pixels) -> None:
        """Give a file that holds what an interrupted run took from a file that is gone the place of that one."""
        crc32 = _digest(pixels)
        for name, frames in self._earlier.items():
            same = 0 in frames and frames[0].crc32 == crc32
            if same and not (self._inventory.root / name).exists():
                self._earlier[record.shown] = self._earlier.pop(name)
                return


def _digest(pixels: Pixels) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).data)
