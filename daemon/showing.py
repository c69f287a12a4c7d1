"""What viewers get of a frame: its raw pixels, a preview while there is no model, the denoised picture."""

import time

from quietscope.adapters.frame import Pixels
from quietscope.config import Settings
from quietscope.daemon.publishing import Publication, PublishingThread
from quietscope.daemon.work import Work
from quietscope.models.preview import preview

__all__ = ["Showing"]


class Showing:
    """Shows frames at full quality; what is shown below it is the degrade ladder's (`quietscope.daemon.degrading`).

    Parameters
    ----------
    publishing
        The way to the viewers.
    settings
        What viewers get, and how often previews are made.
    """

    def __init__(self, publishing: PublishingThread, settings: Settings) -> None:
        self._publishing = publishing
        self._raw = settings.publish.raw
        self._backfill = settings.publish.backfill
        self._preview_hz = settings.processor.preview_hz
        self._preview_at: dict[int, float] = {}
        self.published = 0
        """Denoised frames that viewers could see."""

    def is_preview_due(self, channel: int) -> bool:
        """Whether it is time for the next preview of a channel; it counts as made then."""
        now = time.monotonic()
        if self._preview_hz <= 0 or now - self._preview_at.get(channel, 0.0) < 1 / self._preview_hz:
            return False
        self._preview_at[channel] = now
        return True

    def raw(self, work: Work, raw: Pixels) -> None:
        """Show raw pixels, if viewers get any."""
        if self._raw:
            self._publishing.publish(Publication("raw", work.key, raw, work.received_ns))

    def preview(self, work: Work, raw: Pixels) -> None:
        """Show raw pixels and what a classical filter makes of them."""
        self.raw(work, raw)
        self._publishing.publish(Publication("preview", work.key, preview(raw), work.received_ns))

    def denoised(self, work: Work, raw: Pixels, denoised: Pixels, model_id: str) -> int | None:
        """Show what a model has made of a frame, with its raw pixels if it is new.

        Returns
        -------
        int or None
            When, in nanoseconds since the epoch; None if viewers did not get it.
        """
        if not work.fresh and not self._backfill:
            return None
        if work.fresh:
            self.raw(work, raw)
        stamp = self._publishing.publish(
            Publication("denoised", work.key, denoised, work.received_ns, model_id)
        )
        self.published += stamp is not None
        return stamp
