"""Watches what the processor delivers: judges every denoised frame, shows and stores the verdict, notices drift."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from quietscope.adapters.frame import Pixels
from quietscope.adapters.ingest import IngestClient
from quietscope.config.science import DriftSettings
from quietscope.daemon.models_live import LiveModel
from quietscope.daemon.publishing import Publication, PublishingThread
from quietscope.daemon.work import Work

__all__ = ["Watch"]

_AGAIN_S = 10.0
"""Time between two events about a drift that lasts."""


class Watch:
    """Judges frames.

    Parameters
    ----------
    settings
        What is done about drift.
    publishing
        Where trust maps are shown.
    client
        Where they are stored.
    on_event
        Called with an event name and fields.
    """

    def __init__(
        self,
        settings: DriftSettings,
        publishing: PublishingThread,
        client: IngestClient,
        *,
        on_event: Callable[..., None],
    ) -> None:
        self._settings = settings
        self._publishing = publishing
        self._client = client
        self._on_event = on_event
        self._drifted: Counter[int] = Counter()
        self._drift_told: dict[str, float] = {}
        self._told: set[str] = set()

    def look_at(self, work: Work, raw: Pixels, denoised: Pixels, model: LiveModel, *, show: bool) -> None:
        """Judge a frame, if its model has a judge; a judge that fails costs the judgement and not the frame.

        Parameters
        ----------
        work
            The frame.
        raw, denoised
            Its pixels.
        model
            What made it.
        show
            Whether viewers have got the denoised frame.
        """
        if model.judge is None:
            return
        try:
            trust = model.judge.judge(raw, denoised)
        except Exception as error:  # noqa: BLE001 - the frame is good without its judgement
            self._tell_once(f"judge {model.model_id}", f"frame {work.key} could not be judged: {error!r}")
            return
        if show:
            self._publishing.publish(
                Publication(
                    "trust", work.key, trust.map, work.received_ns, model.model_id, trust.light, trust.reason
                )
            )
        self._client.send_frame(
            work.key,
            trust.map,
            kind="trust",
            received_ns=work.received_ns,
            light=trust.light,
            reason=trust.reason,
            figures=dict(trust.figures),
        )
        if work.fresh and self._settings.retrain != "off":
            self._follow_drift(work.key.c, model, trust.drift)

    def _follow_drift(self, channel: int, model: LiveModel, drift: str) -> None:
        self._drifted[channel] = self._drifted[channel] + 1 if drift else 0
        if self._drifted[channel] < self._settings.frames:
            return
        now = time.monotonic()
        if now - self._drift_told.get(model.model_id, float("-inf")) < _AGAIN_S:
            return
        self._drift_told[model.model_id] = now
        self._event("drift", channel=channel, model_id=model.model_id, text=drift)

    def _tell_once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._event("log", level="warning", text=text)

    def _event(self, name: str, **fields: Any) -> None:
        self._on_event(name, **fields)
