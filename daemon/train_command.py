"""``quietscope train``: models from stored frames, without a run."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from quietscope.adapters.frame import Series, channel_name
from quietscope.config import RunError, Settings
from quietscope.daemon.collecting import Collected, Collector
from quietscope.daemon.display import Display
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.source import make_source
from quietscope.daemon.training_frames import HELD_OUT
from quietscope.daemon.training_job import TrainingJob, model_name

__all__ = ["train_offline"]


def train_offline(settings: Settings, out: Path) -> int:
    """Train a model for each channel of a source and write it.

    Parameters
    ----------
    settings
        Effective settings; the source must end by itself.
    out
        Folder for ``c0.onnx``, … and ``models.json`` with the verdicts; made where missing. Models that are there
        already are never overwritten.

    Returns
    -------
    int
        0 if the gate has accepted a model for every channel.

    Raises
    ------
    quietscope.config.QuietscopeError
        If the source holds no frame, `out` holds models already, or training fails.
    """
    console = Console()
    _make(out)
    series, channels = _collect(settings, console)
    accepted = []
    verdicts: dict[str, Any] = {}
    with Display(console) as display:
        for channel, held in sorted(channels.items()):
            name = channel_name(series.channels, channel)
            if not held.frames:
                reasons = "; ".join(f"{n} frames: {reason}" for reason, n in held.refused.most_common(3))
                console.print(
                    f"no frame of channel {name} can be trained on ({reasons}); record with other settings",
                    highlight=False,
                    soft_wrap=True,
                )
                accepted.append(False)
                continue
            judgement = _train(settings, out, display, held, channel=channel, name=name)
            accepted.append(judgement.accepted)
            verdicts[model_name(channel)] = {
                "channel": name,
                "accepted": judgement.accepted,
                "reason": judgement.reason,
                "model_id": judgement.model_id,
                "trained_on": [list(key) for key in held.keys[: settings.training.frames]],
                "figures": dict(judgement.figures),
            }
            (out / "models.json").write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")
    console.print(f"models: {out.resolve()}", highlight=False, soft_wrap=True)
    return 0 if all(accepted) else 1


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = sorted(out.glob("c*.onnx"))
    except OSError as error:
        msg = f"cannot make the folder {out}: {error.strerror}; choose another one with --out"
        raise RunError(msg) from error
    if there:
        msg = f"{there[0]} exists already and is never overwritten; choose another folder with --out"
        raise RunError(msg)


def _collect(settings: Settings, console: Console) -> tuple[Series, dict[int, Collected]]:
    source = make_source(settings.source)
    if source is None:
        raise RunError("there is nothing to train on without a source; give a file, a folder or a run folder")
    stop = threading.Event()
    collector = Collector(settings.training.frames + HELD_OUT, stop)
    source.run(collector, stop)
    for words in collector.rejected[:20]:
        console.print(f"left out: {words}", highlight=False, soft_wrap=True)
    if len(collector.rejected) > 20:
        console.print(f"left out: {len(collector.rejected) - 20} more", highlight=False)
    if collector.series is None or not collector.channels:
        raise RunError("the source holds no readable frame; give a file, folder or run with images in it")
    return collector.series, collector.channels


def _train(
    settings: Settings, out: Path, display: Display, held: Collected, *, channel: int, name: str
) -> Judgement:
    def emit(event: str, **fields: Any) -> None:
        display.event({"event": event, "from": "trainer", **fields})

    job = TrainingJob(out, settings, emit, channel, name)
    wanted = settings.training.frames
    started = time.monotonic()
    path, trained = job.train(held.frames[:wanted], held.keys[:wanted])
    unseen = len(held.frames) - wanted >= 2
    judged = slice(wanted, None) if unseen else slice(-HELD_OUT, None)
    judgement = job.judge(path, trained, held.frames[judged], held.keys[judged], held_out=unseen)
    seconds = {"training_s": time.monotonic() - started}
    emit(
        "verdict",
        channel=channel,
        name=name,
        accepted=judgement.accepted,
        reason=judgement.reason,
        figures={**judgement.figures, **seconds},
    )
    return judgement
