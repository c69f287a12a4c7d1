"""The files of a folder: which are new, which have changed, which are old acquaintances.

A file is known by its name and, where the system has them, device and inode, so that a renamed or moved file is no
second frame.
"""

import fnmatch
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from quietscope.adapters.folder.file_record import FileRecord
from quietscope.adapters.ndtiff import is_stack

__all__ = ["Inventory"]

_LOG = logging.getLogger("quietscope.folder")
_FRESH_S = 60.0
_FULL_SCAN_S = 30.0
_FULL_SCAN_SHARE = 0.02
_MAX_DEPTH = 64
_EXAMPLES = 3


class Inventory:
    """The files of one watched folder.

    Parameters
    ----------
    root
        The folder.
    include
        File-name patterns, case-insensitive. Names that begin with a dot are never taken (temporary files of
        copying programs, companions that macOS leaves on shares).
    recursive
        Look into sub-folders.
    """

    def __init__(self, root: Path, include: tuple[str, ...], *, recursive: bool) -> None:
        self.root = root
        self._prefix = str(root).rstrip(os.sep) + os.sep
        self._include = re.compile(
            "|".join(fnmatch.translate(pattern.lower()) for pattern in include) or r"(?!)"
        )
        self._recursive = recursive
        self._records: dict[str, FileRecord] = {}
        self._by_identity: dict[tuple[int, int], FileRecord] = {}
        self._next_full_s = 0.0
        # Folders, relative, in which there is an NDTiff data set.
        self.data_sets: set[str] = set()
        # A few files that are not taken, as of the last scan.
        self.others: set[str] = set()
        self._warned: set[str] = set()

    def __len__(self) -> int:
        return len(self._records)

    def interesting(self, file_name: str) -> bool:
        """Whether a file of this name is to be taken."""
        return self._is_included(file_name) and not is_stack(file_name)

    def _is_included(self, file_name: str) -> bool:
        return not file_name.startswith(".") and self._include.match(file_name.lower()) is not None

    def is_data_set(self, file_name: str) -> bool:
        """Whether a file of this name shows that its folder is an NDTiff data set."""
        return is_stack(file_name) and self._is_included(file_name)

    def relative(self, path: str) -> str | None:
        """Name of a path inside the folder, or None for one outside."""
        return path[len(self._prefix) :].replace(os.sep, "/") if path.startswith(self._prefix) else None

    def known(self, name: str) -> FileRecord | None:
        """The record of a name, if it has one."""
        return self._records.get(name)

    def path(self, record: FileRecord) -> str:
        """Full path of a file."""
        return self._prefix + record.name

    def scan(self) -> list[FileRecord]:
        """Find new and changed files.

        Every scan lists all names. Files that have been left alone for a minute are asked for size and time only
        now and then, so that a scan stays cheap with tens of thousands of them.

        Returns
        -------
        list of FileRecord
            Files worth a look.

        Raises
        ------
        OSError
            If the folder itself cannot be listed.
        """
        began = time.monotonic()
        full = began >= self._next_full_s
        found = []
        for name, inode in self._names():
            record = self._records.get(name)
            if record is not None and not full and began - record.changed_s > _FRESH_S:
                identity = record.identity
                if not inode or identity is None or identity[1] == inode:
                    continue
            record = self.meet(name)
            if record is not None:
                found.append(record)
        if full:
            spent = time.monotonic() - began
            self._next_full_s = began + max(_FULL_SCAN_S, spent / _FULL_SCAN_SHARE)
        return found

    def meet(self, name: str) -> FileRecord | None:
        """Compare a file with what is known of it.

        Parameters
        ----------
        name
            Path relative to the folder, with ``/``.

        Returns
        -------
        FileRecord or None
            The record if the file is new or has changed, else None.
        """
        try:
            state = Path(self._prefix + name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return self._unseen(name, error)
        if not stat.S_ISREG(state.st_mode):
            return None
        identity = (state.st_dev, state.st_ino) if state.st_ino else None
        stamp = (state.st_size, state.st_mtime_ns)
        record = self._records.get(name)
        if record is None or record.identity != identity:
            record = self._identify(name, record, identity, stamp)
        if (record.size, record.mtime_ns) == stamp:
            return None
        record.suspect = record.suspect or stamp[0] <= record.size
        record.size, record.mtime_ns = stamp
        record.changed_s = time.monotonic()
        record.delay_s = 0.0
        return record

    def _unseen(self, name: str, error: OSError) -> FileRecord | None:
        if name in self._records:
            return None
        record = self._records[name] = FileRecord(name, changed_s=time.monotonic())
        record.problem, record.reason = str(error), "unreadable"
        return record

    def _identify(
        self, name: str, record: FileRecord | None, identity: tuple[int, int] | None, stamp: tuple[int, int]
    ) -> FileRecord:
        """Find out whether a file whose name or inode is new is an old acquaintance."""
        if record is not None and ((record.size, record.mtime_ns) == stamp or record.size < 0):
            # Shares may give other inode numbers after they were mounted again.
            known: FileRecord | None = record
        else:
            known = self._by_identity.get(identity) if identity is not None else None
            if known is not None and known.name != name and not self._is_at(known.name, identity):
                # Its old name is gone: moved, unless the system has given the inode to a new file, as its pixels will
                # tell. Size and time do not: they may have been read before its writer was done.
                self._records.pop(known.name, None)
                known.name, known.suspect = name, True
            elif known is not None and known.name == name and record is not known:
                known = None
        known = known or FileRecord(name)
        known.identity = identity
        self._records[name] = known
        if identity is not None:
            self._by_identity[identity] = known
        return known

    def _is_at(self, name: str, identity: tuple[int, int] | None) -> bool:
        try:
            state = Path(self._prefix + name).stat()
        except OSError:
            return False
        return (state.st_dev, state.st_ino) == identity

    def _names(self) -> Iterator[tuple[str, int]]:
        """Names and inodes of all interesting entries; folders reached through links are visited once."""
        visited: set[str] = set()
        self.others.clear()
        folders = [("", 0)]
        while folders:
            prefix, depth = folders.pop()
            try:
                entries = os.scandir(self._prefix + prefix)
            except OSError as error:
                if not prefix:
                    raise
                self._warn_once(prefix, error)
                continue
            with entries:
                for entry in entries:
                    name = prefix + entry.name
                    if self.is_data_set(entry.name):
                        self.data_sets.add(prefix.rstrip("/"))
                    elif name in self._records or (self.interesting(entry.name) and not self._is_dir(entry)):
                        yield name, entry.inode()
                    elif self._recursive and depth < _MAX_DEPTH and self._is_dir(entry):
                        if entry.is_symlink():
                            real = os.path.realpath(entry.path)
                            if (real + os.sep).startswith(self._prefix) or real in visited:
                                continue
                            visited.add(real)
                        folders.append((name + "/", depth + 1))
                    elif len(self.others) < _EXAMPLES and not entry.name.startswith("."):
                        self.others.update(() if self._is_dir(entry) else (name,))

    @staticmethod
    def _is_dir(entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir()
        except OSError:
            return False

    def _warn_once(self, prefix: str, error: OSError) -> None:
        if prefix not in self._warned:
            self._warned.add(prefix)
            _LOG.warning(
                "sub-folder %s cannot be read (%s); its files are not taken until it can be", prefix, error
            )
