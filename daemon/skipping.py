"""Frames of channels that will have no model: the ledger is told that they are not denoised, and why."""

import time
from collections.abc import Mapping

from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.results import Results

__all__ = ["Skipping"]

_BATCH = 256
_EVERY_S = 0.1


class Skipping:
    """Skips what cannot be denoised, a batch at a time.

    Parameters
    ----------
    ledger
        Says which frames are pending.
    results
        Takes them to the recorder.
    """

    def __init__(self, ledger: LedgerReader, results: Results) -> None:
        self._ledger = ledger
        self._results = results
        self._looked_at: dict[int, float] = {}

    def step(self, given_up: Mapping[int, str]) -> bool:
        """Skip one batch of one channel.

        Parameters
        ----------
        given_up
            Channel → reason.

        Returns
        -------
        bool
            Whether there was anything to skip.
        """
        for channel, reason in given_up.items():
            pending = self._ledger.pending((channel,), limit=_BATCH) if self._due(channel) else []
            under_way = self._results.under_way
            keys = [frame.key for frame in pending if frame.key not in under_way]
            if keys:
                self._results.skip(keys, reason)
                return True
        return False

    def _due(self, channel: int) -> bool:
        now = time.monotonic()
        if now - self._looked_at.get(channel, 0.0) < _EVERY_S:
            return False
        self._looked_at[channel] = now
        return True
