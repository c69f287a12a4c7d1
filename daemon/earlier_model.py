"""Starting from the shelf: a model of an earlier run serves a channel until this run has trained its own.

It is never trusted blindly. It has to pass the gate on the first frames of this run, and they have to look like what
it was made for; when the run's own model has been trained, both are judged on the same frames, and the worse one goes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.config import ModelError, QuietscopeError, Settings
from quietscope.daemon.fingerprint import Fingerprint
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.shelf import Shelf, ShelvedModel

if TYPE_CHECKING:
    from quietscope.daemon.training_job import TrainingJob

__all__ = ["EarlierModels"]

_FRAMES = 3
"""Frames that an earlier model is judged on: fewer say too little about this run's noise, more would cost time."""

Frames = Sequence[NDArray[Any]]
Keys = Sequence[FrameKey]


class EarlierModels:
    """Brings models from the shelf into a run, and those of the run onto the shelf.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    ledger
        What is known of the frames.
    emit
        Called with an event name and fields.
    """

    def __init__(
        self, run: RunFolder, settings: Settings, ledger: LedgerReader, *, emit: Callable[..., None]
    ) -> None:
        self._run = run
        self._settings = settings
        self._ledger = ledger
        self._emit = emit
        self._shelf = Shelf.of(settings.models) if settings.training.model is None else None
        verdicts = ledger.verdicts()
        self._tried = set(verdicts)
        self._serving = {c: run.root / v.path for c, v in verdicts.items() if v.provisional and v.path}

    def wants(self, channel: int, frames: int) -> bool:
        """Whether it is time to look for a model of a channel that has so many usable frames."""
        starts = self._shelf is not None and self._settings.models.start
        return starts and frames >= _FRAMES and channel not in self._tried

    def serves(self, channel: int) -> bool:
        """Whether an earlier model denoises the channel until its own is trained."""
        return channel in self._serving

    def start(
        self, job: "TrainingJob", channel: int, name: str, frames: Frames, keys: Keys
    ) -> Judgement | None:
        """Look for a model on the shelf and judge it.

        Parameters
        ----------
        job
            Judges.
        channel, name
            The channel.
        frames, keys
            Its first usable frames.

        Returns
        -------
        Judgement or None
            That of a model that may serve; None where there is none.
        """
        assert self._shelf is not None
        self._tried.add(channel)
        fingerprint = self._fingerprint(channel, name)
        model = None if fingerprint is None else self._shelf.last(fingerprint)
        if fingerprint is None or model is None:
            return None
        path = self._run.models / f"c{channel}-earlier.onnx"
        try:
            self._shelf.take(model, path)
            judgement = job.judge(path, None, frames[:_FRAMES], keys[:_FRAMES], held_out=True)
            fault = "" if judgement.accepted else judgement.reason
            fault = fault or self._unlike(model, path, frames[:_FRAMES])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an old file, the run does without it
            judgement, fault = None, str(error) or repr(error)
        if judgement is None or fault:
            path.unlink(missing_ok=True)
            self._say(channel, name, f"the earlier model {model.words} is not used: {fault}", accepted=False)
            return None
        self._serving[channel] = path
        unknown = f"; not known of both: {', '.join(fingerprint.unknown)}" if fingerprint.unknown else ""
        words = f"started from the earlier model {model.words} ({fingerprint.words}{unknown})"
        self._say(channel, name, f"{words}; it serves until this run's own model is trained", accepted=True)
        earlier = {"words": words, "run": model.run, "kept": model.kept}
        figures = {**judgement.figures, "earlier": earlier, "trust": model.figures["trust"]}
        return replace(judgement, reason=f"{words}; {judgement.reason}", figures=figures)

    def compare(
        self,
        job: "TrainingJob",
        channel: int,
        own: Judgement,
        frames: Frames,
        keys: Keys,
        *,
        held_out: bool,
    ) -> Judgement:
        """Decide whether the run's own model takes the place of the earlier one.

        Parameters
        ----------
        job
            Judges.
        channel
            The channel.
        own
            What the gate says of the run's own model.
        frames, keys, held_out
            What it was judged on.

        Returns
        -------
        Judgement
            That of the own model, refused if it is worse than the earlier one on the same frames. If neither passes,
            its figures say ``withdrawn``, and the channel is left without a model.
        """
        path = self._serving.pop(channel, None)
        if path is None or len(frames) < _FRAMES:
            return own
        earlier = job.judge(path, None, frames, keys, held_out=held_out)
        if not earlier.accepted:
            if own.accepted:
                return own
            reason = f"{own.reason}; the earlier model does not pass any more either: {earlier.reason}"
            return replace(own, reason=reason, figures={**own.figures, "withdrawn": earlier.model_id})
        mine, theirs = (j.figures.get("pair_error_model") for j in (own, earlier))
        if not own.accepted or mine is None or theirs is None or mine <= theirs:
            return own
        reason = (
            "it is worse than the earlier model on the same frames (mean squared error "
            f"{mine:.6g} against {theirs:.6g})"
        )
        return replace(own, accepted=False, reason=reason)

    def keep(self, channel: int, name: str, path: Path, figures: Mapping[str, Any]) -> None:
        """Put an accepted model on the shelf; one that cannot be put there is no reason to stop.

        Parameters
        ----------
        channel, name
            The channel.
        path
            The model.
        figures
            The gate's, with ``trust``: a model without a record of what its frames looked like is not kept.
        """
        fingerprint = self._fingerprint(channel, name)
        if self._shelf is None or fingerprint is None or "trust" not in figures:
            return
        try:
            self._shelf.keep(path, fingerprint, run=self._run.root, figures=figures)
        except QuietscopeError as error:
            self._emit("log", level="warning", text=f"{name}: {error}")

    def _fingerprint(self, channel: int, name: str) -> Fingerprint | None:
        series, first = self._ledger.series(), self._ledger.frames(channel, limit=1)
        if series is None or not first:
            return None
        exposure_ms, metadata = self._ledger.details(first[0].id)
        return Fingerprint.of(series, name, self._settings, exposure_ms=exposure_ms, metadata=metadata)

    def _unlike(self, model: ShelvedModel, path: Path, frames: Frames) -> str:
        """In words why the frames are not like those that the model was made for; empty if they are.

        The judge of single frames holds them against what was usual when the model was accepted in its own run.
        """
        from quietscope.models.denoiser import Denoiser
        from quietscope.models.trust import Light, TrustJudge
        from quietscope.models.trust_reference import TrustReference

        if "trust" not in model.figures:
            raise ModelError("it comes without a record of what its frames looked like")
        denoiser = Denoiser(path, self._settings.tiling, self._settings.runtime)
        judge = TrustJudge(
            TrustReference.from_figures(model.figures["trust"]),
            trust=self._settings.trust,
            drift=self._settings.drift,
            hot=denoiser.hot_pixels,
        )
        for frame in frames:
            trust = judge.judge(frame, denoiser.cast(denoiser.denoise(frame), frame.dtype))
            if trust.light is Light.RED or trust.drift:
                return trust.reason
        return ""

    def _say(self, channel: int, name: str, words: str, *, accepted: bool) -> None:
        level = "good" if accepted else "warning"
        self._emit("earlier_model", channel=channel, name=name, level=level, text=f"{name}: {words}")
