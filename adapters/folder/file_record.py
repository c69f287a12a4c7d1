"""What is known of one file in the folder: who it is, how much of it was taken, when to look again."""

import os
from dataclasses import dataclass, field

from quietscope.adapters.folder.contents import Plane
from quietscope.adapters.folder.stack_axes import StackInfo
from quietscope.adapters.folder.tiff_pages import TiffCursor

__all__ = ["FileRecord"]


@dataclass(slots=True, eq=False)
class FileRecord:
    """One file.

    Parameters
    ----------
    name
        Path relative to the folder, with ``/``.
    identity
        Device and inode, or None where the system has none.
    size, mtime_ns
        As of the last time it was asked.
    changed_s
        Monotonic time of the last change seen.
    taken
        Planes dealt with, from the first on.
    skipped
        Planes before `taken` that were given up and may still come.
    problem, reason
        What is missing, in words and as key of the ``rejected`` table.
    named
        It has been named as bad already.
    next_look_s, delay_s
        Monotonic time of the next look while something is missing, and the pause before the one after it.
    info, cursor
        What the file says of its planes, and where the last walk through it stopped.
    times
        Time point of the series for each time point of the stack.
    first, digest
        The first plane taken, and a checksum of its pixels.
    suspect
        It changed without growing since: it may have been written again.
    refusals
        Reasons for which planes of it have been refused; each is named once.
    vanished_s
        Monotonic time at which it was found gone, or None.
    """

    name: str
    identity: tuple[int, int] | None = None
    size: int = -1
    mtime_ns: int = -1
    changed_s: float = 0.0
    taken: int = 0
    skipped: set[int] = field(default_factory=set)
    problem: str = ""
    reason: str = "truncated"
    named: bool = False
    next_look_s: float = 0.0
    delay_s: float = 0.0
    info: StackInfo | None = None
    cursor: TiffCursor | None = None
    times: dict[int, int] = field(default_factory=dict)
    first: Plane | None = None
    digest: int = 0
    suspect: bool = False
    refusals: set[str] = field(default_factory=set)
    vanished_s: float | None = None

    @property
    def shown(self) -> str:
        """The name in characters that can be printed and stored anywhere."""
        return os.fsencode(self.name).decode("utf-8", "replace")

    def forget(self) -> None:
        """Begin anew: the file has been written again under its name."""
        self.taken, self.named, self.suspect = 0, False, False
        self.skipped, self.times, self.refusals = set(), {}, set()
        self.first = self.info = self.cursor = None

    def pass_over(self, end: int) -> None:
        """Give up the planes that are left before `end`; they may still come."""
        self.skipped.update(range(self.taken, end))
        self.taken = max(self.taken, end)

    def take(self, index: int) -> None:
        """Note that a plane was dealt with, and that those before it are left."""
        self.pass_over(index)
        self.taken = max(self.taken, index + 1)
        self.skipped.discard(index)
