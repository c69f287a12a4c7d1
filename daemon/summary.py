"""The end of a run in figures: reconciliation, speed, and quality where the truth is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.frame import FrameKey, channel_name
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.protocols import TruthSource
from quietscope.config.quoting import quoted
from quietscope.daemon.ending import Ending
from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.models.quality import psnr, slope

__all__ = ["Summary", "summarise"]

_SCORED = 100


@dataclass(frozen=True)
class Summary:
    """Figures of a finished run.

    Parameters
    ----------
    figures
        The keys of ``--json``, see `docs/architecture.md`.
    faults
        Why the run is not good, in words; empty for a good run.
    """

    figures: Mapping[str, Any]
    faults: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether no frame was lost: received = stored = denoised + skipped."""
        return not self.faults

    @property
    def advice(self) -> str:
        """What to do about frames that no model was good enough for; empty if there are none."""
        refused = self.figures["skipped"].get("gate", 0)
        if not refused:
            return ""
        run = quoted(Path(self.figures["store"]).parent)
        return (
            f"{refused} frames have no denoised picture, since no model of their channel was good enough; their raw "
            f"pixels are safe. To try again with more training: quietscope denoise {run} --set training.budget_s=180"
        )


def summarise(run: RunFolder, ending: Ending, truth: TruthSource | None) -> Summary:
    """Read a finished run's ledger and store.

    Parameters
    ----------
    run
        The run.
    ending
        How the engine ended it.
    truth
        Where the noiseless frames come from, if anywhere.

    Raises
    ------
    quietscope.config.LedgerError
        If the ledger cannot be read.
    """
    with LedgerReader(run.ledger) as ledger:
        counts = ledger.counts()
        skipped = ledger.skipped()
        stored, first, last = ledger.arrivals()
        received = ledger.meta("received")
        published, first_publication = ledger.publications()
        latencies = ledger.live_latencies_ms()
        verdicts = ledger.verdicts()
        series = ledger.series()
        names = () if series is None else series.channels
        seconds = (last - first) / 1e9
        figures: dict[str, Any] = {
            "frames_received": stored if received is None else int(received),
            "raw_stored": stored,
            "denoised": counts["denoised"],
            "skipped": skipped,
            "rejected": ledger.rejected(),
            "trust": ledger.lights(),
            "shown_below_full": ledger.shown_below_full(),
            "published": published,
            "time_to_first_denoised_s": None
            if first_publication is None
            else (first_publication - first) / 1e9,
            "fps": stored / seconds if seconds > 0 else None,
            "latency_ms": {
                "p50": float(np.percentile(latencies, 50)) if latencies else None,
                "p99": float(np.percentile(latencies, 99)) if latencies else None,
            },
            "training_s": sum(v.figures.get("training_s", 0.0) for v in verdicts.values()),
            "models": {channel_name(names, c): _origin(v) for c, v in verdicts.items()},
            "earlier_models": {
                channel_name(names, c): {"model": words, "frames": count}
                for c, (words, count) in ledger.earlier_models().items()
            },
            "noise": {
                v.figures.get("channel_name", f"channel {c}"): v.figures["noise"]
                for c, v in verdicts.items()
                if "noise" in v.figures
            },
            "provider": next(
                (v.figures["provider"] for v in verdicts.values() if "provider" in v.figures), None
            ),
            "store": str(run.store),
            "exit_reason": ending.reason,
        }
        if truth is not None and stored:
            figures |= _quality(run, ledger, truth)
    faults = _faults(figures, counts, ending)
    return Summary({**figures, "faults": faults}, tuple(faults))


def _origin(verdict: ModelVerdict) -> str:
    """Where the model of a channel comes from, in words."""
    if not verdict.accepted:
        return "none was good enough" if verdict.path is not None else "none"
    if "earlier" in verdict.figures:
        return f"taken from the shelf (run {Path(verdict.figures['earlier']['run']).name})"
    if "taken_from" in verdict.figures:
        return f"taken from {verdict.figures['taken_from']}"
    return "trained in this run"


def _faults(figures: Mapping[str, Any], counts: Mapping[str, int], ending: Ending) -> list[str]:
    faults = list(dict.fromkeys(ending.faults))
    missing = figures["frames_received"] - figures["raw_stored"]
    if missing:
        faults.append(f"{missing} of {figures['frames_received']} received frames are not in the store")
    if counts["raw"]:
        faults.append(f"{counts['raw']} stored frames are neither denoised nor skipped")
    return faults


def _quality(run: RunFolder, ledger: LedgerReader, truth: TruthSource) -> dict[str, dict[str, float]]:
    series = ledger.series()
    names = () if series is None else series.channels
    store = StoreReader(run.root)
    found: dict[str, dict[str, float]] = {"psnr_raw": {}, "psnr_denoised": {}, "slope": {}}
    for channel, verdict in ledger.verdicts().items():
        trained_on = {FrameKey(*key) for key in verdict.figures.get("trained_on", [])}
        last = max((key.t for key in trained_on), default=-1)
        keys = [key for key in ledger.denoised_keys(channel) if key.t > last]
        keys = keys[:: max(1, len(keys) // _SCORED)]
        if not keys:
            continue
        raw_db, denoised_db, truths, images = [], [], [], []
        for key in keys:
            true = truth.truth(key)
            data_range = (
                255.0 if series is not None and series.dtype == "uint8" else float(true.max() - true.min())
            )
            raw, denoised = store.read("raw", key), store.read("denoised", key)
            raw_db.append(psnr(true, raw, data_range))
            denoised_db.append(psnr(true, denoised, data_range))
            truths.append(true[::2, ::2])
            images.append(denoised[::2, ::2])
        name = channel_name(names, channel)
        found["psnr_raw"][name] = float(np.mean(raw_db))
        found["psnr_denoised"][name] = float(np.mean(denoised_db))
        found["slope"][name] = slope(np.stack(truths), np.stack(images))
    return found
