"""Sections of the report about the channels: pictures, light and noise, the gate, training."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import StoreError
from quietscope.config.science import GateSettings
from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.report.chart import Line, chart
from quietscope.daemon.report.markup import Html, paragraph, section, table, text
from quietscope.daemon.report.method_names import method_name
from quietscope.daemon.report.numbers import count, duration, percent, plain
from quietscope.daemon.report.pictures import before_and_after
from quietscope.daemon.report.run_facts import RunFacts
from quietscope.models.gate_pairs import PAIR_WORDS

__all__ = ["gate", "light", "pictures", "training"]

_MOST = 12
"""Channels with pictures."""


def pictures(run: RunFacts) -> Html:
    """Raw beside denoised, for each channel."""
    if not run.shown:
        return section("Before and after", paragraph("No frame was stored."), anchor="pictures")
    store = StoreReader(run.run.root)
    size = None if run.series is None else run.series.pixel_size_um
    parts: list[str] = []
    for channel, key in list(run.shown.items())[:_MOST]:
        done = bool(run.denoised[channel])
        place = f"time point {key.t:,}" + (f", plane {key.z}" if key.z else "")
        words = f"{run.name(channel)}, {place}{'' if done else ' (not denoised)'}."
        parts.append(Html(f"<h3>{text(run.name(channel))}</h3>"))
        try:
            parts.append(before_and_after(store, key, denoised=done, pixel_size_um=size, words=words))
        except StoreError as error:
            parts.append(paragraph(f"The picture could not be made: {error}"))
    if len(run.shown) > _MOST:
        parts.append(
            paragraph(f"{count(len(run.shown) - _MOST, 'further channel')} without pictures here.", "note")
        )
    return section("Before and after", *parts, anchor="pictures")


def light(run: RunFacts) -> Html:
    """What the first frames said about light and noise, in words and figures."""
    found = {c: v.figures for c, v in sorted(run.verdicts.items()) if "noise" in v.figures}
    if not found:
        words = "Nothing was measured, because no model that was trained in this run is in use."
        return section("Light and noise", paragraph(words), anchor="light")
    parts: list[str] = [
        paragraph(Html(f"<b>{text(run.name(c))}:</b> {text(_sentence(str(f['noise'])))}"))
        for c, f in found.items()
    ]
    rows = [(label, *(_light_figure(f, key, unit) for f in found.values())) for label, key, unit in _LIGHT]
    names = [run.name(c) for c in found]
    parts.append(table(("Measured on the first frames", *names), rows, numbers=len(names)))
    if any(not (f.get("gain_known") and f.get("offset_known")) for f in found.values()):
        parts.append(
            paragraph("Figures in brackets could not be measured well enough to be relied on.", "note")
        )
    return section("Light and noise", *parts, anchor="light")


_LIGHT = (
    ("Photons per pixel in the brightest structures", "photons", ""),
    ("Grey levels per photon (gain)", "gain", ""),
    ("Grey level without light (camera offset)", "offset", ""),
    ("Read noise", "read_noise", " grey levels"),
    ("Noise that neighbouring pixels share (0 none, 1 all)", "neighbour_correlation", ""),
    ("Hot pixels", "hot_pixels", ""),
    ("Saturated pixels", "saturated_share", "%"),
)

_NEED_GAIN = {"photons", "gain", "offset"}


def _light_figure(figures: Mapping[str, Any], key: str, unit: str) -> str:
    value = figures.get(key)
    if value is None:
        return "–"
    if key == "neighbour_correlation":
        shown = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
    else:
        shown = percent(value) if unit == "%" else plain(value) + unit
    doubtful = key in _NEED_GAIN and not (figures.get("gain_known") and figures.get("offset_known"))
    return f"({shown})" if doubtful else shown


def gate(run: RunFacts) -> Html:
    """What each model had to prove, what it showed, and the comparison with the truth where there is one."""
    parts: list[str] = [paragraph(_ASKED)]
    for channel, verdict in sorted(run.verdicts.items()):
        parts.append(Html(f"<h3>{text(run.name(channel))}: {_stamp(verdict)}</h3>"))
        if not verdict.accepted:
            parts.append(paragraph(_sentence(verdict.reason)))
        rows = list(_checks(verdict.figures, run.settings.gate))
        if rows:
            parts.append(table(("Test", "Found", "Asked for", "Result"), rows, numbers=3))
        if verdict.figures.get("held_out") is False and run.settings.training.model is None:
            parts.append(
                paragraph("There were no further frames to test on: these were the training frames.", "note")
            )
    if not run.verdicts:
        parts = [paragraph("No model was judged.")]
    quality = _against_truth(run.summary)
    if quality:
        parts += [Html("<h3>Against the truth</h3>"), paragraph(_TRUTH), quality]
    return section("Can the pictures be trusted?", *parts, anchor="gate")


_ASKED = (
    "No model goes live before it has passed these tests, if possible on frames that it did not learn from."
)

_TRUTH = (
    "This series was simulated, so the noiseless images are known. PSNR (peak signal-to-noise ratio) says how close an "
    "image is to them: 6 dB more mean half the error. A slope of 1 means that intensities are kept."
)


def _stamp(verdict: ModelVerdict) -> str:
    return '<b class="good">accepted</b>' if verdict.accepted else '<b class="bad">not accepted</b>'


def _checks(figures: Mapping[str, Any], limits: GateSettings) -> Iterator[tuple[object, ...]]:
    """Rows: test, found, asked for, tick or cross."""
    own = figures.get("pair_error_model")
    rivals = [v for k, v in figures.items() if k.startswith("pair_error_") and k != "pair_error_model"]
    best = min((v for v in rivals if v is not None), default=None)
    if best is not None:
        pairs = PAIR_WORDS.get(str(figures.get("pairs")), "another image of the same scene")
        yield (
            f"Beats smoothing: error against a second noisy image ({pairs}), mostly that image's noise",
            plain(own, 4),
            f"less than {plain(best, 4)}, the best blur's",
            _tick(passed=own is not None and own < best),
        )
    slope, error = figures.get("slope"), figures.get("slope_error") or 0.0
    if "slope" in figures:
        far = limits.max_slope_error
        yield (
            "Keeps intensities: slope of raw on denoised grey levels",
            "–" if slope is None else f"{slope:.3f} ± {error:.3f}",
            f"{1 - far:.2f} to {1 + far:.2f}",
            _tick(passed=slope is not None and abs(slope - 1) <= far),
        )
    single = (
        (
            "Keeps the mean of each frame: largest change, share of the signal range",
            "mean_shift",
            limits.max_mean_shift,
        ),
        (
            "Keeps quiet: share of pure noise (standard deviation) that comes through",
            "noise_std_ratio",
            limits.max_noise_std_ratio,
        ),
        (
            "Stored as trained: largest difference of the model file, share of the signal range",
            "parity_error",
            limits.max_parity_error,
        ),
    )
    for words, key, limit in single:
        if key in figures:
            value = figures[key]
            yield (
                words,
                percent(value),
                f"at most {percent(limit)}",
                _tick(passed=value is not None and value <= limit),
            )


def _tick(*, passed: bool) -> Html:
    return Html('<b class="good">passed</b>') if passed else Html('<b class="bad">failed</b>')


def _against_truth(summary: Mapping[str, Any]) -> Html:
    before, after, slope = (summary.get(key) or {} for key in ("psnr_raw", "psnr_denoised", "slope"))
    if not before:
        return Html("")
    rows = [
        (
            name,
            f"{before[name]:.1f} dB",
            f"{after[name]:.1f} dB",
            f"{after[name] - before[name]:+.1f} dB",
            f"{slope[name]:.3f}",
        )
        for name in before
    ]
    return table(("Channel", "Raw", "Denoised", "Gain", "Slope"), rows, numbers=4)


def training(run: RunFacts) -> Html:
    """How the models were trained, with their learning curves."""
    adopted = run.settings.training.model
    if adopted is not None:
        words = f"The models had been trained before and were taken from {adopted}."
        return section("Training", paragraph(words), anchor="training")
    rows, charts = [], []
    for channel, verdict in sorted(run.verdicts.items()):
        figures, course = verdict.figures, run.history.trainings.get(channel)
        rows.append(
            (
                run.name(channel),
                method_name(figures.get("method")),
                plain(len(figures.get("trained_on", []))),
                plain(figures.get("steps")),
                duration(figures.get("training_s")),
            )
        )
        if course is not None:
            curves = [("training frames", course.loss), ("parts held back", course.validation)]
            lines = [
                Line(name, samples["x"], samples["y"], dashed=i > 0)
                for i, (name, curve) in enumerate(curves)
                if (samples := curve.since(0, 0))["x"]
            ]
            charts.append(
                chart(
                    run.name(channel), lines, x_label="Training step", y_label="error (loss)", from_zero=False
                )
            )
    if not rows:
        return section("Training", paragraph("No model was trained."), anchor="training")
    return section(
        "Training",
        table(("Channel", "Method", "Frames", "Steps", "Time, with test"), rows, numbers=3),
        *_earlier(run),
        paragraph(_CURVES) if any(charts) else "",
        Html(f'<div class="charts">{"".join(charts)}</div>'),
        anchor="training",
    )


def _earlier(run: RunFacts) -> Iterator[Html]:
    for channel, (words, made) in sorted(run.earlier.items()):
        yield paragraph(
            f"{run.name(channel)} {words}. It passed the same tests on the first frames of this run, and "
            f"{plain(made)} of the stored frames are its work.",
            "note",
        )


_CURVES = (
    "The model learns to foresee one noisy image from another, so the curves level off at the noise and never reach "
    "zero. A dashed curve that rises while the other falls would mean that the model learns frames by heart."
)


def _sentence(words: str) -> str:
    """Words as sentences: they begin large and end with a stop."""
    parts = (part[:1].upper() + part[1:] for part in words.rstrip(".").split(". "))
    return re.sub(r"(?<![\w.])-(?=\d)", "−", ". ".join(parts).replace("-0.00", "0.00")) + "."
