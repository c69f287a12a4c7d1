"""One count of time points for all that a source delivers."""

__all__ = ["Timeline"]


class Timeline:
    """Gives every time point of every origin a time point of the series.

    An origin (a data set, or all single images together) counts its time points from 0, and keeps its own numbers
    where nobody else has them. A second data set follows behind the first.

    Examples
    --------
    >>> timeline = Timeline()
    >>> [timeline.place("monday", t) for t in (0, 1)], [timeline.place("tuesday", t) for t in (0, 1)]
    ([0, 1], [2, 3])
    """

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}
        self._given: dict[str, dict[int, int]] = {}
        self._shift: dict[str, int] = {}
        self._end = 0

    def place(self, origin: str, t: int) -> int:
        """Time point of the series for the origin's own time point `t`."""
        given = self._given.setdefault(origin, {})
        if t not in given:
            found = t + self._shift.get(origin, 0)
            if self._owners.get(found, origin) != origin or found < 0:
                self._shift[origin] = self._end - t
                found = self._end
            self.restore(origin, t, found)
        return given[t]

    def restore(self, origin: str, t: int, place: int) -> None:
        """Note what an earlier run has given."""
        given = self._given.setdefault(origin, {})
        if not given and place != t:
            self._shift[origin] = place - t
        given[t] = place
        self._owners[place] = origin
        self._end = max(self._end, place + 1)
