"""Shows viewers cheaper pictures while the machine is behind, and says so everywhere: log, ledger, viewers' wire."""

import time
from collections.abc import Mapping
from typing import Any

from quietscope.adapters.frame import Pixels
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.wire_headers import QUALITIES, FrameKind, Quality
from quietscope.config import Settings
from quietscope.daemon.ladder import Ladder
from quietscope.daemon.models_live import LiveModel
from quietscope.daemon.parent import Parent
from quietscope.daemon.publishing import Publication, PublishingThread
from quietscope.daemon.work import Work
from quietscope.models.denoiser import Denoiser
from quietscope.models.preview import preview
from quietscope.models.thrift import thrift

__all__ = ["Degrading"]

_WORDS: Mapping[Quality, str] = {
    "full": "full quality",
    "less-overlap": "tiles with less overlap",
    "larger-tiles": "larger tiles without overlap",
    "preview": "simple previews",
    "raw": "raw frames only",
}


class Degrading:
    """Where on the degrade ladder the processor is.

    Nothing that is made below full quality is stored: the frame stays "raw" in the ledger, hence is back-filled.

    Parameters
    ----------
    settings
        Effective settings.
    publishing
        Where pictures are shown.
    client
        Takes what the ledger is to know.
    parent
        Takes events.
    """

    def __init__(
        self, settings: Settings, publishing: PublishingThread, client: IngestClient, parent: Parent
    ) -> None:
        self._settings = settings
        self._publishing = publishing
        self._client = client
        self._parent = parent
        self._ladder = Ladder(settings.degrade, ("full", "preview", "raw"))
        self._enabled = settings.degrade.enabled
        self._cheaper: dict[str, dict[Quality, Denoiser]] = {}
        self._recorder_s = 0.0
        self._own_s = 0.0
        self._last: dict[int, Work] = {}
        self.full_since_ns = 0
        """When full quality was reached last, nanoseconds since the epoch."""

    @property
    def quality(self) -> Quality:
        """What viewers get."""
        return self._ladder.quality

    @property
    def status(self) -> dict[str, Any]:
        """Quality, its number from 0, and seconds from the arrival of the newest frame to its picture."""
        step = QUALITIES.index(self.quality)
        return {"quality": self.quality, "quality_step": step, "behind_s": self._behind_s}

    @property
    def _behind_s(self) -> float:
        return self._recorder_s + self._own_s

    @property
    def may_fill(self) -> bool:
        """Whether there is time for frames that are not new."""
        return self.quality == "full" and self._ladder.in_time

    def denoiser(self, model: LiveModel) -> Denoiser | None:
        """The model as it runs now; None where the network is not to run."""
        if self.quality in ("preview", "raw"):
            return None
        return self._cheaper.get(model.model_id, {}).get(self.quality, model.denoiser)

    def meet(self, models: Mapping[int, LiveModel], shape: tuple[int, int]) -> None:
        """Find out what is cheaper with the models that are live, for frames of one shape (Y, X)."""
        known, self._cheaper = self._cheaper, {}
        for model in models.values():
            found = known.get(model.model_id)
            self._cheaper[model.model_id] = self._cheaper_ways(model, shape) if found is None else found
        useful = {"full", "preview", "raw"}.union(*self._cheaper.values())
        self._ladder.offer([quality for quality in QUALITIES if quality in useful])

    def recorder_is_behind(self, seconds: float) -> None:
        """The recorder has told how far it is behind."""
        self._recorder_s = seconds

    def handled(self, work: Work) -> None:
        """A frame has been shown, or passed over; one that is back-filled says nothing about the delay."""
        if work.fresh:
            self._own_s = max(0.0, (time.time_ns() - work.announced_ns) / 1e9)

    def idle(self) -> None:
        """No new frame waits in the processor, and no new one is under way."""
        self._own_s = 0.0

    def look(self, *, training: bool) -> list[Work]:
        """Decide about a step.

        Parameters
        ----------
        training
            A channel waits for its first model: pictures are late because the trainer has the cores.

        Returns
        -------
        list of Work
            What is to be shown once more, since full quality has just been reached again.
        """
        if not self._enabled:
            return []
        if training:
            self._ladder.hold()
            return []
        behind_s = self._behind_s
        step = self._ladder.observe(time.monotonic(), behind_s)
        if step > 0:
            self._say("warning", f"the machine is behind: pictures are {behind_s:.1f} s late. {self._down()}")
        elif step < 0:
            self._say("info", f"pictures are in time again: viewers get {_WORDS[self.quality]} from now on")
        return self._shown_last()

    def end(self) -> list[Work]:
        """Nothing new will come: back to full quality; see `look`."""
        self._enabled = False
        degraded = self.quality != "full"
        self._ladder.reset()
        if degraded:
            self._say(
                "info",
                "the recording has ended: frames that were shown below full quality are denoised in full now",
            )
        return self._shown_last()

    def show(self, work: Work, raw: Pixels, model: LiveModel) -> None:
        """Show a frame below full quality, and have the ledger know it; one that cannot be made is told of.

        Parameters
        ----------
        work
            The frame.
        raw
            Its pixels.
        model
            The model of its channel.
        """
        picture = self._picture(work, raw, model)
        if picture is None:
            return
        kind, quality = _KINDS[self.quality], self.quality
        if kind != "raw" and self._settings.publish.raw:
            self._publishing.publish(Publication("raw", work.key, raw, work.received_ns, quality=quality))
        model_id = model.model_id if kind == "denoised" else None
        shown_ns = self._publishing.publish(
            Publication(kind, work.key, picture, work.received_ns, model_id, quality=quality)
        )
        if shown_ns is not None:
            self._last[work.key.c] = work
            self._client.send("shown", key=list(work.key), quality=quality, shown_ns=shown_ns)

    def _picture(self, work: Work, raw: Pixels, model: LiveModel) -> Pixels | None:
        """What there is time for: denoised with cheaper tiles, a preview, or `raw` itself; None if that failed."""
        denoiser = self.denoiser(model)
        if denoiser is None:
            return preview(raw) if self.quality == "preview" else raw
        try:
            return denoiser.cast(denoiser.denoise(raw), raw.dtype)
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises, the frame is stored all the same
            self._parent.say("warning", f"{work.key} is not shown, since cheaper tiles failed: {error!r}")
            return None

    def _shown_last(self) -> list[Work]:
        """The last frame of each channel, once it may be shown at full quality."""
        if self.quality != "full":
            return []
        found, self._last = list(self._last.values()), {}
        return found

    def _down(self) -> str:
        left_out = [_WORDS[q] for q in self._left_out()]
        why = f" ({' and '.join(left_out)} would save nothing with this model)" if left_out else ""
        return (
            f"Viewers get {_WORDS[self.quality]} from now on{why}; every frame is denoised in full afterwards"
        )

    def _left_out(self) -> list[Quality]:
        """Steps above this one that the models gain nothing from."""
        useful = {quality for ways in self._cheaper.values() for quality in ways}
        above = QUALITIES[1 : min(3, QUALITIES.index(self.quality))]
        return [quality for quality in above if quality not in useful]

    def _say(self, level: str, text: str) -> None:
        if self.quality == "full":
            self.full_since_ns = time.time_ns()
        fields: dict[str, Any] = {"quality": self.quality, "words": _WORDS[self.quality]}
        self._parent.emit("quality", level=level, text=text, behind_s=self._behind_s, **fields)
        self._client.send("event", level="info", text=text)
        self._publishing.change_quality(self.quality, "" if self.quality == "full" else text)

    def _cheaper_ways(self, model: LiveModel, shape: tuple[int, int]) -> dict[Quality, Denoiser]:
        found = thrift(model.denoiser, self._settings.tiling, shape)
        ways: dict[Quality, Denoiser] = {}
        if found.less_overlap is not None:
            ways["less-overlap"] = model.denoiser.retiled(found.less_overlap)
        if found.larger_tiles is not None:
            ways["larger-tiles"] = model.denoiser.retiled(found.larger_tiles)
        for denoiser in ways.values():
            denoiser.warm_up(shape)
        return ways


_KINDS: Mapping[Quality, FrameKind] = {
    "full": "denoised",
    "less-overlap": "denoised",
    "larger-tiles": "denoised",
    "preview": "preview",
    "raw": "raw",
}
"""What viewers get of a frame besides its raw pixels."""
