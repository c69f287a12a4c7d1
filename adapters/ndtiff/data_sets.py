"""All NDTiff data sets below a watched folder: met as they appear, each followed at a pace of its own."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ndtiff.axes import AxisMap
from quietscope.adapters.ndtiff.follower import Follower

__all__ = ["DataSets"]

_SHORTEST_DELAY_S = 0.01
_IDLE_SHARE = 0.05
_LONGEST_DELAY_S = 30.0
_PYRAMID = re.compile(r"Downsampled_x\d+")


class DataSets:
    """The data sets of a source.

    Parameters
    ----------
    root
        The watched folder.
    axes
        Makes the keys.
    poll_s
        Longest time between two looks at a data set that grows, seconds; one that has been left alone for long is
        looked at more rarely.
    settle_s
        An image that is still not whole after so many seconds is given up.
    """

    def __init__(self, root: Path, axes: AxisMap, *, poll_s: float, settle_s: float) -> None:
        self._root = root
        self._axes = axes
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._followers: dict[str, _Paced] = {}
        self._earlier: dict[str, dict[str, dict[tuple[str, int], FrameKey]]] = {}

    def __len__(self) -> int:
        return len(self._followers)

    def meet(self, folder: str) -> None:
        """Follow the data set in a folder from now on, and look at it soon.

        Parameters
        ----------
        folder
            Its name relative to the watched folder, with ``/``; empty for that itself.
        """
        if folder in self._followers:
            self._followers[folder].wake()
        elif not _PYRAMID.fullmatch(folder.rpartition("/")[2]):
            follower = Follower(
                self._root / folder,
                folder,
                self._axes,
                settle_s=self._settle_s,
                earlier=self._earlier.pop(folder, None),
            )
            self._followers[folder] = _Paced(follower, self._poll_s)

    def restore(self, key: FrameKey, metadata: Mapping[str, Any]) -> None:
        """Note an image that an earlier run has, from the metadata it was delivered with.

        Raises
        ------
        FrameError
            If the metadata are not this source's.
        """
        folder, _, file = str(metadata["name"]).rpartition("/")
        stamp = str(metadata["data_set"])
        known = self._earlier.setdefault(folder, {}).setdefault(stamp, {})
        known[file, int(metadata["offset"])] = key
        self._axes.restore(f"{folder}/{stamp}", metadata["axes"], int(metadata.get("camera_channel", 0)), key)

    def look(self, delivery: Delivery, *, ending: Callable[[], bool] = lambda: False) -> None:
        """Look at the data sets that are due, and take what is new."""
        for paced in self._followers.values():
            if paced.next_look_s <= time.monotonic():
                taken = paced.follower.look(delivery, ending=ending)
                paced.looked(found=taken or paced.follower.look_ahead(delivery))

    def finish(self, delivery: Delivery, *, ending: Callable[[], bool] = lambda: False) -> None:
        """Take what is there, and name what is missing."""
        for paced in self._followers.values():
            paced.follower.finish(delivery, ending=ending)

    @property
    def due_s(self) -> float:
        """Monotonic time of the next look."""
        return min((paced.next_look_s for paced in self._followers.values()), default=float("inf"))


class _Paced:
    """A follower and when to look at it again."""

    def __init__(self, follower: Follower, poll_s: float) -> None:
        self.follower = follower
        self.next_look_s = 0.0
        self._poll_s = poll_s
        self._delay_s = _SHORTEST_DELAY_S
        self._changed_s = time.monotonic()

    def wake(self) -> None:
        self.next_look_s, self._delay_s = 0.0, _SHORTEST_DELAY_S

    def looked(self, *, found: bool) -> None:
        now = time.monotonic()
        if found:
            self._changed_s, self._delay_s = now, _SHORTEST_DELAY_S
        else:
            rarely_s = min(_IDLE_SHARE * (now - self._changed_s), _LONGEST_DELAY_S)
            self._delay_s = min(2 * self._delay_s, max(self._poll_s, rarely_s))
        self.next_look_s = now + self._delay_s
