"""Which frames of a series have been received, in memory that does not grow with the series."""

from bisect import bisect_right
from collections.abc import Iterable

from quietscope.adapters.frame import FrameKey

__all__ = ["SeenKeys"]


class SeenKeys:
    """A set of frame keys that keeps, for each channel, plane and position, runs of time points.

    A set of keys took 180 bytes for each frame, 6 MB in ten minutes at 60 frames per second. Time points that come one
    after the other, in whatever order, make a single run.

    Parameters
    ----------
    keys
        Keys that are in it from the beginning.

    Examples
    --------
    >>> seen = SeenKeys([FrameKey(0), FrameKey(2)])
    >>> seen.add(FrameKey(1))
    >>> FrameKey(1) in seen, FrameKey(3) in seen, FrameKey(1, c=1) in seen, len(seen)
    (True, False, False, 3)
    """

    def __init__(self, keys: Iterable[FrameKey] = ()) -> None:
        # First and one behind the last time point of each run, in order: [3, 7, 9, 10] are 3 to 6, and 9.
        self._bounds: dict[tuple[int, int, int], list[int]] = {}
        self._count = 0
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: FrameKey) -> bool:
        return bisect_right(self._bounds.get(key[1:], []), key.t) % 2 == 1

    def add(self, key: FrameKey) -> None:
        """Put a key in; one that is in already changes nothing."""
        if key in self:
            return
        bounds = self._bounds.setdefault(key[1:], [])
        at = bisect_right(bounds, key.t)
        begins = at > 0 and bounds[at - 1] == key.t
        ends = at < len(bounds) and bounds[at] == key.t + 1
        bounds[at - begins : at + ends] = [*([] if begins else [key.t]), *([] if ends else [key.t + 1])]
        self._count += 1
