"""The newest usable frames of a channel: those to learn from, and the newest of all to judge by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import StoreError
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.training_frames import HELD_OUT, LOOK_AT
from quietscope.models.noise import unusable_reason

__all__ = ["Chosen", "NewestFrames"]

_LEAST_HELD_OUT = 2


@dataclass(frozen=True)
class Chosen:
    """Frames in order of arrival.

    Parameters
    ----------
    pixels, keys
        One for each frame.
    """

    pixels: Sequence[NDArray[Any]]
    keys: Sequence[FrameKey]


class NewestFrames:
    """Looks for the newest frames that training can use.

    Parameters
    ----------
    ledger, store
        Where frames are.
    channel
        The channel's index.
    wanted
        Frames to learn from, if there are so many.
    seen
        Frames that may not be held out: the model in use has learned them by heart and would be unfairly good on them.
    after
        Only frames with an id above this one.
    least
        With fewer frames to learn from it is too early.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        store: StoreReader,
        channel: int,
        *,
        wanted: int,
        seen: Collection[FrameKey] = (),
        after: int = 0,
        least: int = 1,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._channel = channel
        self._wanted = wanted
        self._seen = frozenset(seen)
        self._after = after
        self._least = least
        self._known: dict[FrameKey, NDArray[Any] | None] = {}

    def look(self) -> tuple[Chosen, Chosen] | None:
        """Frames to learn from and frames held out, at least two; None while there are too few."""
        most = self._wanted + HELD_OUT
        rows = self._ledger.frames(self._channel, after=self._after, limit=most + LOOK_AT, newest_first=True)
        usable: list[FrameKey] = []
        for row in rows:
            if len(usable) < most and self._read(row.key) is not None:
                usable.append(row.key)
        for key in set(self._known) - set(usable):
            self._known[key] = None  # newer ones have come: only what may still be needed is kept in memory
        unseen = next((n for n, key in enumerate(usable) if key in self._seen), len(usable))
        held = min(HELD_OUT, unseen, max(_LEAST_HELD_OUT, len(usable) - self._wanted))
        if held < _LEAST_HELD_OUT or len(usable) - held < self._least:
            return None
        return self._chosen(usable[held : held + self._wanted]), self._chosen(usable[:held])

    def _read(self, key: FrameKey) -> NDArray[Any] | None:
        """Pixels of a frame that training can use, else None; read once."""
        if key not in self._known:
            try:
                pixels = self._store.read("raw", key)
            except StoreError:
                self._known[key] = None
            else:
                self._known[key] = pixels if unusable_reason(pixels) is None else None
        return self._known[key]

    def _chosen(self, newest_first: Sequence[FrameKey]) -> Chosen:
        keys = newest_first[::-1]
        return Chosen([pixels for key in keys if (pixels := self._known[key]) is not None], keys)
