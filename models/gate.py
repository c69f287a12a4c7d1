"""The gate: what a model must prove on frames it has not been trained on before anybody is shown its output.

This is the *only* component that decides whether a model may go live. It needs no truth: it compares with
what the noise itself cannot fake, pairs of images of the same thing with independent noise.

Which pairs these are follows from the measured noise (`quietscope.models.gate_pairs`). Every rival (the input
itself, four Gaussian blurs) gets the same input and is compared with the same target.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.science import GateSettings
from quietscope.models.calibration import Calibration, calibrate
from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.gate_pairs import PAIR_WORDS, Pair, choose_kind, make_pairs
from quietscope.models.gaussian import blur
from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.noise import NoiseReport, clean
from quietscope.models.normalisation import estimate_stream_scale
from quietscope.models.passed_noise import passed_noise
from quietscope.models.quality import Line

__all__ = ["Verdict", "judge"]

Float32 = NDArray[np.float32]
Denoise = Callable[[NDArray[Any]], Float32]

RIVALS = (0.7, 1.0, 1.5, 2.0)
"""Gaussian blurs that a model must beat, standard deviations in pixels."""

MARGIN = 8
"""Pixels at the edge left out of the comparison, where interpolation and blurs rest on mirrored pixels."""


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Parameters
    ----------
    accepted
        Whether the model may go live.
    reasons
        In words: every check that failed, or that all were passed.
    figures
        What was measured; JSON-able, None where it could not be.
    """

    accepted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, float | str | None]


def judge(
    denoise: Denoise,
    held_out: Sequence[NDArray[Any]],
    *,
    settings: GateSettings,
    parity_error: float | None,
    indices: Sequence[int] | None = None,
    calibration: Calibration | None = None,
    seed: int = 0,
) -> Verdict:
    """Judge a model.

    Parameters
    ----------
    denoise
        Turns a frame (Y, X) into float32 (Y, X) in grey levels, as the model will do it live.
    held_out
        Frames (Y, X) of one channel in time order, one shape, native dtype, not trained on; at least one.
    settings
        Limits.
    parity_error
        Largest |ONNX − PyTorch| over the scale of the frames; None for a model that comes as ONNX.
    indices
        Time index of each frame; None means that they are consecutive.
    calibration
        What is known of the channel's noise; None measures it on the held-out frames.
    seed
        Seed of the pure noise that is put in.

    Returns
    -------
    Verdict

    Raises
    ------
    quietscope.config.ModelError
        If there is no frame to judge on.
    """
    if not held_out:
        raise ModelError("a model cannot be judged without a held-out frame; wait for the next frame")
    calibration = calibration or calibrate(held_out)
    noise = calibration.noise
    scale = estimate_stream_scale(held_out).scale
    times = range(len(held_out)) if indices is None else indices
    kind = choose_kind(calibration, times, settings.max_twin_correlation)
    hot = find_hot_pixels([clean(frame) for frame in held_out])
    errors = _pair_errors(denoise, make_pairs(kind, held_out, times, hot, calibration, seed=seed))
    shared = SharedNoise.of(calibration, settings.max_twin_correlation)
    fidelity = _fidelity(denoise, held_out, hot, shared, seed)
    residue = _noise_residue(denoise, held_out[0].shape, noise, shared, seed)
    figures: dict[str, float | None] = {
        **({} if parity_error is None else {"parity_error": parity_error}),
        "twin_correlation": noise.twin_correlation,
        "neighbour_correlation": noise.neighbour_correlation,
        "noise_std": noise.std,
        **{f"pair_error_{name}": value for name, value in errors.items()},
        "slope": fidelity.slope,
        "slope_error": fidelity.slope_error,
        "intercept": fidelity.intercept,
        "mean_shift": fidelity.mean_shift / scale,
        "noise_std_ratio": residue,
    }
    plain = {
        name: value if value is not None and np.isfinite(value) else None for name, value in figures.items()
    }
    reasons = tuple(_objections(plain, errors, kind, settings))
    if reasons:
        return Verdict(accepted=False, reasons=reasons, figures={"pairs": kind, **plain})
    frames = "1 frame" if len(held_out) == 1 else f"{len(held_out)} frames"
    passed = f"all checks passed on {frames} (compared: {PAIR_WORDS[kind]})"
    return Verdict(accepted=True, reasons=(passed,), figures={"pairs": kind, **plain})


@dataclass(frozen=True)
class _Fidelity:
    """Whether intensities stay what they are; `mean_shift` is that of the worst frame, grey levels."""

    slope: float
    slope_error: float
    intercept: float
    mean_shift: float


def _objections(
    figures: Mapping[str, float | None], errors: Mapping[str, float], kind: str, settings: GateSettings
) -> Iterator[str]:
    """Put every check that fails into words."""
    parity = figures.get("parity_error", 0.0)
    if parity is None or parity > settings.max_parity_error:
        yield (
            f"the exported model differs from the trained one by {_show(parity)} of the scale, "
            f"allowed {settings.max_parity_error:g}"
        )
    if not errors:
        yield (
            "neighbouring pixels share their noise, and there are no two consecutive frames that are new to the model: "
            "nothing proves that it removes noise"
        )
    else:
        yield from _rivals_that_win(figures, errors, kind)
    slope = figures["slope"]
    if slope is None or abs(slope - 1) > settings.max_slope_error:
        yield (
            f"intensities would be wrong: the slope of raw on denoised is {_show(slope)}, "
            f"allowed 1 ± {settings.max_slope_error:g}"
        )
    shift = figures["mean_shift"]
    if shift is None or shift > settings.max_mean_shift:
        yield (
            f"the mean of a frame moves by {_show(shift)} of the signal range, allowed {settings.max_mean_shift:g}"
        )
    residue = figures["noise_std_ratio"]
    if residue is None or residue > settings.max_noise_std_ratio:
        yield (
            f"of pure noise {_show(residue)} of its standard deviation comes through as structure, allowed "
            f"{settings.max_noise_std_ratio:g}"
        )


def _rivals_that_win(
    figures: Mapping[str, float | None], errors: Mapping[str, float], kind: str
) -> Iterator[str]:
    own = figures["pair_error_model"]
    if own is None:
        yield "the model's output is not finite"
        return
    best = min((name for name in errors if name != "model"), key=lambda name: errors[name])
    if own >= errors[best]:
        words = (
            "the noisy input" if best == "identity" else f"a Gaussian blur of σ = {best.split('_')[1]} pixels"
        )
        yield (
            f"{words} does as well as the model or better (mean squared error {errors[best]:.6g} against the model's "
            f"{own:.6g}; compared: {PAIR_WORDS[kind]})"
        )


def _show(value: float | None) -> str:
    return "not a finite number" if value is None else f"{value:.3g}"


def _pair_errors(denoise: Denoise, pairs: Iterable[Pair]) -> dict[str, float]:
    """Mean squared error of the model and its rivals over all pairs; empty if there is no pair."""
    sums: dict[str, float] = {}
    count = 0
    for image, onto_targets, targets in pairs:
        count += len(targets)
        candidates = {"model": denoise(image), "identity": image}
        candidates |= {f"gaussian_{sigma:g}": blur(image, sigma) for sigma in RIVALS}
        for name, candidate in candidates.items():
            for predicted, target in zip(onto_targets(candidate), targets, strict=True):
                margin = min(MARGIN, (min(target.shape) - 1) // 4)
                inside = (slice(margin, target.shape[0] - margin), slice(margin, target.shape[1] - margin))
                difference = (predicted - target)[inside].astype(np.float64)
                sums[name] = sums.get(name, 0.0) + float(np.mean(difference * difference))
    return {name: total / count for name, total in sums.items()}


def _fidelity(
    denoise: Denoise,
    frames: Sequence[NDArray[Any]],
    hot: NDArray[np.bool_],
    shared: SharedNoise | None,
    seed: int,
) -> _Fidelity:
    """Regress raw on denoised, pooled over the frames, and find the largest change of a frame's mean.

    What passes of a frame's own noise is in both and is taken out of the regression.
    """
    line = Line("raw on denoised")
    rng = np.random.default_rng(seed)
    shifts = []
    for frame in frames:
        image = repair(clean(frame), hot)
        whole = denoise(image)
        common = float(passed_noise(denoise, image, whole, rng, shared)[~hot].sum())
        raw, denoised = image[~hot], whole[~hot]
        line.add(denoised, raw, shared=common)
        shifts.append(abs(float(np.mean(denoised, dtype=np.float64) - np.mean(raw, dtype=np.float64))))
    return _Fidelity(line.slope, line.slope_error, line.intercept, max(shifts))


def _noise_residue(
    denoise: Denoise,
    shape: tuple[int, ...],
    noise: NoiseReport,
    shared: SharedNoise | None,
    seed: int,
) -> float:
    """Standard deviation that comes out over the one that goes in, for noise as measured on an empty field.

    The noise has the strength, the level and the correlations found where the frames hold no structure.
    """
    if noise.std <= 0:
        return 0.0
    rng = np.random.default_rng(seed)
    field = rng.standard_normal(shape, dtype=np.float32) if shared is None else shared.draw(shape, rng)
    field *= np.float32(noise.std) / max(float(field.std()), 1e-12)
    out = denoise(field + np.float32(noise.level))
    return float(np.std(out, dtype=np.float64)) / noise.std
