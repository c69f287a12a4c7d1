"""What the residual of a model looks like where nothing is wrong: the null distribution that frames are held against.

It is measured when a model has been trained, on frames that it is known to fit, in two ways.

*Real frames* say what the model leaves of them, window by window of equal brightness: the calibration's small errors
and the model's own small bias are in it and do not count as faults later.

*Synthetic frames*, made of the denoised ones and fresh noise of the calibrated strength and correlation, say what pure
noise does to sums over windows (their scatter and skewness), how much noise the model lets through, and what its
residual would look like if the specimen held nothing but what the model shows (a parametric bootstrap: Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993). A real residual more alike from pixel to pixel than that one
holds structure that the model has taken away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.calibration import Calibration
from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.noise import clean
from quietscope.models.residual import BOUND, WINDOW, NoiseModel, ResidualStatistics, residual_statistics
from quietscope.models.scene import APART, Scene, describe

__all__ = ["Stratum", "TrustReference", "measure_reference"]

BORDERS = (0.25, 0.5, 0.75, 0.9, 0.98)
"""Quantiles of brightness that windows are sorted by; narrow where it is bright, where what passes changes most."""

STATISTICS = ("mean", "variance", "correlation")

Denoise = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Stratum:
    """Windows of similar brightness: for each of the local mean, variance and correlation what is usual.

    Parameters
    ----------
    centre
        Mean over real frames.
    scatter
        Standard deviation: that of noise alone, or that of real frames if it is larger.
    skewness
        Of noise alone.
    """

    centre: tuple[float, float, float]
    scatter: tuple[float, float, float]
    skewness: tuple[float, float, float]


_WHITE = Stratum((0.0, 1.0, 0.0), (1 / WINDOW, 2**0.5 / WINDOW, 0.5**0.5 / WINDOW), (0.0, 0.0, 0.0))
"""Windows of independent noise, for frames too small to be cut into windows."""


@dataclass(frozen=True)
class TrustReference:
    """The null distribution of a channel's residual statistics.

    Parameters
    ----------
    noise
        The camera's noise.
    fine_null, coarse_null
        Structure relative to the noise that pure noise has, see `quietscope.models.twin_statistics`.
    borders
        Grey levels between the strata, ascending.
    strata
        Darkest first, one more than `borders`.
    light, light_scatter
        Light in raw over light in denoised: mean and standard deviation over frames.
    spread, spread_scatter
        Mean square of the residual: mean and standard deviation over frames.
    kinship, kinship_scatter
        Mean product of neighbours: mean and standard deviation over frames.
    noise_spread_error, noise_kinship_error
        Standard errors of these for noise alone, times the square root of the number of pixels.
    lost
        Structure that the model has taken away: real minus synthetic kinship, in units of the noise variance.
    passed
        Noise variance that the model lets through, in units of the noise variance.
    rough
        Mean square difference of that noise in rows a few pixels apart, in the same units.
    scene
        What the frames look like.
    frames
        Number of frames that were measured.
    """

    noise: NoiseModel
    fine_null: float
    coarse_null: float
    borders: tuple[float, ...]
    strata: tuple[Stratum, ...]
    light: float
    light_scatter: float
    spread: float
    spread_scatter: float
    kinship: float
    kinship_scatter: float
    noise_spread_error: float
    noise_kinship_error: float
    lost: float
    passed: float
    rough: float
    scene: Scene
    frames: int

    @property
    def figures(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return asdict(self)

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> "TrustReference":
        """Take a reference from its `figures`.

        Raises
        ------
        quietscope.config.ModelError
            If they are not what this version writes.
        """
        try:
            strata = tuple(
                Stratum(*(tuple(part[name]) for name in ("centre", "scatter", "skewness")))
                for part in figures["strata"]
            )
            parts = {
                "noise": NoiseModel(**figures["noise"]),
                "borders": tuple(figures["borders"]),
                "strata": strata,
                "scene": Scene.from_figures(figures["scene"]),
            }
            return cls(**{**figures, **parts})
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the trust reference of a model cannot be read ({error!r}); train the channel again"
            raise ModelError(msg) from error


def measure_reference(
    denoise: Denoise,
    frames: Sequence[NDArray[Any]],
    calibration: Calibration,
    *,
    hot: NDArray[np.bool_] | None = None,
    max_twin_correlation: float,
    seed: int = 0,
) -> TrustReference:
    """Measure what a model's residual looks like where nothing is wrong.

    Parameters
    ----------
    denoise
        Turns a frame (Y, X) into a denoised one of the same dtype, as it will be delivered.
    frames
        Frames (Y, X) of one channel that the model is known to fit, one shape, native dtype; at least one.
    calibration
        Of the channel.
    hot
        Hot pixels, which the model bridges; shape (Y, X).
    max_twin_correlation
        Twin correlation above which noise counts as shared by neighbours.
    seed
        Of the synthetic noise.

    Returns
    -------
    TrustReference

    Raises
    ------
    quietscope.config.ModelError
        If there is no frame.
    """
    if not frames:
        raise ModelError(
            "trust cannot be calibrated without a frame; wait for the first frames of the series"
        )
    noise = NoiseModel.of(calibration)
    shared = SharedNoise.of(calibration, max_twin_correlation)
    rng = np.random.default_rng(seed)
    real, pure, synthetic, passed, rough, delivered = [], [], [], [], [], []
    for frame in frames:
        denoised = denoise(frame)
        made = _synthetic(denoised, frame.dtype, noise, shared, rng)
        again = denoise(made)
        real.append(residual_statistics(frame, denoised, noise, hot))
        pure.append(residual_statistics(made, denoised, noise))
        synthetic.append(residual_statistics(made, again, noise))
        through = (clean(again) - clean(denoised)) / np.sqrt(noise.variance(denoised))
        np.clip(through, -BOUND, BOUND, out=through)
        passed.append(float(np.mean(through * through, dtype=np.float64)))
        rough.append(
            float(np.mean(np.square(through[APART:] - through[:-APART]))) if len(through) > APART else 0.0
        )
        delivered.append(denoised)
    bright = np.concatenate([s.brightness[s.judged] for s in real])
    borders = tuple(float(level) for level in np.quantile(bright, BORDERS)) if bright.size else ()
    kinship = _mean([s.kinship for s in real])
    return TrustReference(
        noise=noise,
        fine_null=calibration.noise.fine_null,
        coarse_null=calibration.noise.coarse_null,
        borders=borders,
        strata=_strata(real, pure, borders),
        light=_mean([s.light for s in real]),
        light_scatter=_scatter([s.light for s in real]),
        spread=_mean([s.spread for s in real]),
        spread_scatter=_scatter([s.spread for s in real]),
        kinship=kinship,
        kinship_scatter=_scatter([s.kinship for s in real]),
        noise_spread_error=_block_error(pure, "variance"),
        noise_kinship_error=_block_error(pure, "correlation"),
        lost=kinship - _mean([s.kinship for s in synthetic]),
        passed=_mean(passed),
        rough=_mean(rough),
        scene=Scene.mean(
            [describe(image, noise, passed=_mean(passed), rough=_mean(rough)) for image in delivered]
        ),
        frames=len(frames),
    )


def _synthetic(
    denoised: NDArray[Any],
    dtype: np.dtype[Any],
    noise: NoiseModel,
    shared: SharedNoise | None,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """The denoised frame with fresh noise, as the camera would deliver it."""
    levels = clean(denoised)
    if shared is None and noise.slope > 0:
        photons = rng.poisson(np.maximum(levels - noise.offset, 0) / noise.slope)
        made = noise.offset + noise.slope * photons + noise.dark**0.5 * rng.standard_normal(levels.shape)
    else:
        field = rng.standard_normal(levels.shape) if shared is None else shared.draw(levels.shape, rng)
        made = levels + np.sqrt(noise.variance(levels)) * field
    if dtype.kind == "f":
        return np.asarray(made, dtype=dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(made), limits.min, limits.max), dtype=dtype)


def _strata(
    real: Sequence[ResidualStatistics], pure: Sequence[ResidualStatistics], borders: tuple[float, ...]
) -> tuple[Stratum, ...]:
    strata: list[Stratum] = []
    places = [np.searchsorted(borders, s.brightness[s.judged]) for s in real]
    number = np.concatenate(places)
    values = [
        [np.concatenate([getattr(s, name)[s.judged] for s in kind]) for name in STATISTICS]
        for kind in (real, pure)
    ]
    if number.size == 0:
        return (_WHITE,)
    for n in range(len(borders) + 1):
        inside = number == n
        if np.count_nonzero(inside) < 2:
            inside = np.ones_like(inside)
        found, chance = ([value[inside].astype(np.float64) for value in kind] for kind in values)
        both = zip(found, chance, strict=True)
        strata.append(
            Stratum(
                centre=_three([float(v.mean()) for v in found]),
                scatter=_three([max(float(v.std()), float(w.std()), 1e-6) for v, w in both]),
                skewness=_three([_skewness(v) for v in chance]),
            )
        )
    return tuple(strata)


def _three(values: list[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _block_error(statistics: Sequence[ResidualStatistics], name: str) -> float:
    """Standard error of a frame's mean times √pixels, from the scatter of windows that do not overlap."""
    values = np.concatenate(
        [(getattr(s, name) * np.sqrt(s.pixels))[::2, ::2][s.judged[::2, ::2]] for s in statistics]
    )
    return float(values.std()) if values.size > 1 else 1.0


def _skewness(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    std = float(np.sqrt(np.mean(centred**2)))
    return float(np.mean(centred**3)) / std**3 if std > 0 else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _scatter(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
