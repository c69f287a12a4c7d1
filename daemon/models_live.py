"""Which model serves which channel: loaded, warmed up and swapped in only when the gate has accepted it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quietscope.config import ModelError, Settings
from quietscope.daemon.lanes import lanes
from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.ready_denoiser import ready_denoiser
from quietscope.daemon.runfolder import RunFolder
from quietscope.models.denoiser import Denoiser
from quietscope.models.trust import TrustJudge
from quietscope.models.trust_reference import TrustReference

__all__ = ["LiveModel", "LiveModels"]


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that serves a channel.

    Parameters
    ----------
    denoiser
        Runs the network.
    model_id
        Identity, written beside every frame the model makes.
    since_ns
        When it went live, nanoseconds since the epoch.
    judge
        Judges its frames; None where there is nothing to judge by.
    lanes
        The same network on a share of the cores each, for frames that are denoised at the same time; empty where they
        are taken one after the other.
    """

    denoiser: Denoiser
    model_id: str
    since_ns: int
    judge: TrustJudge | None = None
    lanes: tuple[Denoiser, ...] = ()

    @property
    def trouble(self) -> str:
        """What had to be given up because a device failed, in words; see `Denoiser.trouble`."""
        return next((one.trouble for one in (self.denoiser, *self.lanes) if one.trouble), "")


class LiveModels:
    """The models of a run, by channel.

    Parameters
    ----------
    run
        Where the models lie.
    settings
        Tiles and runtime.
    on_event
        Called with an event name and fields when a model goes live or cannot be loaded.
    """

    def __init__(self, run: RunFolder, settings: Settings, *, on_event: Callable[..., None]) -> None:
        self._run = run
        self._settings = settings
        self._on_event = on_event
        self._live: dict[int, LiveModel] = {}
        self._provisional: set[int] = set()
        self._given_up: dict[int, str] = {}
        self._troubles: dict[int, str] = {}
        self._all_given_up: str | None = None

    def __getitem__(self, channel: int) -> LiveModel:
        return self._live[channel]

    @property
    def live_channels(self) -> frozenset[int]:
        """Channels that have a model."""
        return frozenset(self._live)

    def is_live(self, channel: int) -> bool:
        """Whether the channel has a model."""
        return channel in self._live

    def is_training(self, channels: int) -> bool:
        """Whether one of the first `channels` channels still waits for the verdict on its own model."""
        if self._all_given_up is not None:
            return False
        return any(
            c in self._provisional or (c not in self._live and c not in self._given_up)
            for c in range(channels)
        )

    def given_up(self, channels: int) -> dict[int, str]:
        """Channel → reason, of those of the first `channels` channels that will have no model."""
        found = {c: reason for c, reason in self._given_up.items() if c not in self._live}
        if self._all_given_up is not None:
            found |= {
                c: self._all_given_up for c in range(channels) if c not in self._live and c not in found
            }
        return found

    def give_up(self, reason: str) -> None:
        """No further model will come: channels without a verdict are skipped for `reason`."""
        self._all_given_up = reason

    def note_trouble(self, channel: int) -> None:
        """Say it, once, when the device under a channel's model has failed."""
        model = self._live[channel]
        if (trouble := model.trouble) != self._troubles.get(channel, ""):
            self._troubles[channel] = trouble
            self._on_event("log", level="warning", text=f"channel {channel}: {trouble}")
            self._on_event("provider", channel=channel, provider=model.denoiser.provider)

    def refresh(self, verdicts: Mapping[int, ModelVerdict], shape: tuple[int, int]) -> None:
        """Bring in what the gate has decided since the last time."""
        self._provisional = {channel for channel, verdict in verdicts.items() if verdict.provisional}
        for channel, verdict in verdicts.items():
            if not verdict.accepted:
                self._given_up[channel] = "gate" if verdict.path is not None else "training"
                self._live.pop(channel, None)
            elif channel not in self._live or self._live[channel].model_id != verdict.model_id:
                self._load(channel, verdict, shape)

    def _load(self, channel: int, verdict: ModelVerdict, shape: tuple[int, int]) -> None:
        assert verdict.path is not None
        name = verdict.figures.get("channel_name", f"channel {channel}")
        try:
            path = self._run.root / verdict.path
            ready = ready_denoiser(
                path,
                self._settings,
                shape,
                lambda level, text: self._on_event("log", level=level, text=f"{name}: {text}"),
            )
        except ModelError as error:
            if not verdict.provisional:
                self._given_up[channel] = "model"
            self._on_event("log", level="error", text=f"{name}: the accepted model cannot be run: {error}")
            return
        denoiser = ready.denoiser
        try:
            beside = lanes(path, ready, self._settings, shape)
        except ModelError as error:
            beside = ()
            self._on_event("log", level="warning", text=f"{name}: frames go one after the other: {error}")
        judge = self._judge(name, verdict, denoiser)
        self._live[channel] = LiveModel(denoiser, verdict.model_id, time.time_ns(), judge, beside)
        self._given_up.pop(channel, None)
        self._troubles.pop(channel, None)
        fields: dict[str, Any] = {
            "channel": channel,
            "name": name,
            "model_id": verdict.model_id,
            "provider": denoiser.provider,
            "provisional": verdict.provisional,
        }
        self._on_event("model_live", **fields)

    def _judge(self, name: str, verdict: ModelVerdict, denoiser: Denoiser) -> TrustJudge | None:
        settings, figures = self._settings, verdict.figures.get("trust")
        if not settings.trust.enabled or figures is None:
            return None
        try:
            reference = TrustReference.from_figures(figures)
        except ModelError as error:
            self._on_event("log", level="warning", text=f"{name}: frames are not judged: {error}")
            return None
        return TrustJudge(
            reference,
            trust=settings.trust,
            drift=settings.drift,
            hot=denoiser.hot_pixels,
        )
