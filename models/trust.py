"""How far a denoised frame can be trusted: a traffic light, a reason in words, a map, and figures.

This is the *only* component that judges single frames. It needs no truth: it looks at what denoising has taken out of
the frame, which must be noise and nothing else (`quietscope.models.residual`), and holds it against what is usual
(`quietscope.models.trust_reference`). Every limit follows from the share of faultless frames that may be doubted,
divided among all tests and all windows (Bonferroni), and from what matters at all: deviations that do not
are no fault, however certain they are.

Green: nothing speaks against the frame. Yellow: places in it are doubtful, or the specimen has changed since training.
Red: the frame as a whole is, since intensities are wrong or structure is taken away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.science import DriftSettings, TrustSettings
from quietscope.models.doubtful_places import Place, doubtful_places, pixel_map
from quietscope.models.noise import NoiseReport, cut_patches
from quietscope.models.residual import WINDOW, ResidualStatistics, residual_statistics
from quietscope.models.risk import Risk, classify_noise
from quietscope.models.scene import describe
from quietscope.models.trust_reference import STATISTICS, TrustReference

__all__ = ["Light", "Trust", "TrustJudge"]

TESTS = 6
"""Tests that share the false alarms: local mean, variance and correlation; light, spread and kinship of the frame."""

MATERIAL = 0.1
"""Change of a frame's residual variance, or covariance of neighbours, that does not matter, as a share of the noise
variance that the model leaves in the picture anyway."""

STRONGER = 0.1
"""Share by which the noise itself may be stronger than it was during training: lamps and detectors drift by a few
per cent (50 captures of a confocal field: 3 %). What neighbours do not share is noise, not what the model has done."""

LIGHT = 0.01
"""Share of a frame's light that may get lost or be added: far less than makes two measurements differ."""

PATCH = 32
"""Side of the patches whose risk is told, pixels."""

SAME_FIELD = 0.5
"""Correlation with the training frames below which a frame shows another field: half of its variance is new."""

Float32 = NDArray[np.float32]


class Light(StrEnum):
    """The traffic light of a frame."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True)
class Trust:
    """The judgement of one frame.

    Parameters
    ----------
    light
        The traffic light.
    reason
        In words.
    map
        uint8, shape (Y, X): 255 where raw and denoised agree as well as can be, 0 where they differ more than chance
        allows.
    figures
        What was measured, JSON-able.
    places
        Doubtful places, the most doubtful first.
    drift
        In words how the specimen, or the model's fit to it, has changed since training; empty while it has not.
    """

    light: Light
    reason: str
    map: NDArray[np.uint8]
    figures: Mapping[str, float]
    places: tuple[Place, ...]
    drift: str


class TrustJudge:
    """Judges the frames of one channel.

    Parameters
    ----------
    reference
        What is usual.
    trust, drift
        Share of false alarms; limits of drift.
    hot
        Hot pixels of the camera, shape (Y, X).
    """

    def __init__(
        self,
        reference: TrustReference,
        *,
        trust: TrustSettings,
        drift: DriftSettings,
        hot: NDArray[np.bool_] | None = None,
    ) -> None:
        self._reference = reference
        self._alpha = trust.false_alarms / TESTS
        self._certain = NormalDist().inv_cdf(1 - self._alpha / 2)
        self._drift = drift
        self._hot = hot

    def judge(self, raw: NDArray[Any], denoised: NDArray[Any]) -> Trust:
        """Judge a frame.

        Parameters
        ----------
        raw, denoised
            Shape (Y, X), native dtype, grey levels.

        Returns
        -------
        Trust
        """
        statistics = residual_statistics(raw, denoised, self._reference.noise, self._hot)
        scores = self._scores(statistics)
        worst = np.abs(scores).max(axis=0)
        risk = _risk(raw, self._reference)
        places = doubtful_places(scores, risk, PATCH, (raw.shape[0], raw.shape[1]))
        figures = self._figures(statistics, worst, risk)
        alarms = list(self._intensities(statistics, figures))
        misfit, words = self._fit(statistics, figures)
        drift = "; ".join([*([words] if words else []), *self._changes(denoised, figures)])
        doubtful = Light.YELLOW if places or drift else Light.GREEN
        light = Light.RED if alarms or misfit > 0 else doubtful
        reasons = [*alarms, *_in_words(places), *([drift] if drift else [])]
        return Trust(
            light,
            "; ".join(reasons) or "what denoising has taken out is noise and nothing else",
            pixel_map(worst, statistics.judged, (raw.shape[0], raw.shape[1])),
            figures,
            places,
            drift,
        )

    def _scores(self, statistics: ResidualStatistics) -> Float32:
        """Deviation of each window from what is usual, in units of what chance allows: (3, rows, columns)."""
        reference = self._reference
        windows = max(1, int(np.count_nonzero(statistics.judged)))
        limit = NormalDist().inv_cdf(1 - self._alpha / (2 * windows))
        stratum = np.searchsorted(reference.borders, statistics.brightness)
        scale = np.sqrt(statistics.pixels) / WINDOW * statistics.judged
        scores = np.empty((len(STATISTICS), *stratum.shape), np.float32)
        for n, name in enumerate(STATISTICS):
            centre, scatter, skewness = (
                np.array([getattr(part, field)[n] for part in reference.strata])[stratum]
                for field in ("centre", "scatter", "skewness")
            )
            deviation = (getattr(statistics, name) - centre) / scatter * scale
            # Cornish and Fisher: limits of a distribution that is not quite normal
            skew = np.clip((limit**2 - 1) / 6 * skewness, -limit / 2, limit / 2)
            scores[n] = deviation / np.where(deviation > 0, limit + skew, limit - skew)
        return scores

    def _figures(
        self, statistics: ResidualStatistics, worst: Float32, risk: NDArray[np.uint8]
    ) -> dict[str, float]:
        reference = self._reference
        shares = np.bincount(risk.ravel(), minlength=3) / max(risk.size, 1)
        return {
            "light_ratio": statistics.light / reference.light,
            "residual_variance": statistics.spread,
            "residual_variance_change": statistics.spread - reference.spread,
            "residual_correlation": statistics.kinship,
            "residual_correlation_change": statistics.kinship - reference.kinship,
            "structure_lost": reference.lost + statistics.kinship - reference.kinship,
            "worst_window": float(worst.max()),
            "doubtful_share": float(np.count_nonzero(worst > 1)) / worst.size,
            "empty_share": float(shares[Risk.HIGH_BACKGROUND]),
            "sparse_share": float(shares[Risk.HIGH_SPARSE]),
            "dense_share": float(shares[Risk.LOW]),
        }

    def _intensities(self, statistics: ResidualStatistics, figures: Mapping[str, float]) -> Iterator[str]:
        """Whether light got lost or was added, in words."""
        error = max(statistics.light_error, self._reference.light_scatter)
        if abs(figures["light_ratio"] - 1) > self._certain * error + LIGHT:
            ratio = 1 / max(figures["light_ratio"], 1e-6)
            yield f"intensities are not conserved: the denoised frame holds {ratio:.1%} of the light"

    def _fit(self, statistics: ResidualStatistics, figures: Mapping[str, float]) -> tuple[float, str]:
        """How the model does not fit the frame: positive if it takes away structure, negative if it leaves noise."""
        reference = self._reference
        side, material = statistics.size**0.5, MATERIAL * reference.passed
        lost = figures["structure_lost"]
        spread, kinship = figures["residual_variance_change"], figures["residual_correlation_change"]
        error = max(reference.noise_spread_error / side, reference.spread_scatter)
        stronger = abs(spread) > self._certain * error + material
        error = max(reference.noise_kinship_error / side, reference.kinship_scatter)
        alike = abs(kinship) > self._certain * error + material
        if stronger and not alike and 0 < spread < STRONGER:
            stronger = False
        change = spread if stronger else kinship
        if (stronger or alike) and change > 0:
            return change, f"the model takes out more than noise from this frame ({_percent(change)})"
        if stronger or alike:
            return change, f"the model leaves more noise in than it did during training ({_percent(change)})"
        if lost > reference.passed + self._certain * reference.noise_kinship_error / side:
            return lost, f"the model takes away more structure than it leaves noise ({_percent(lost)})"
        return 0.0, ""

    def _changes(self, denoised: NDArray[Any], figures: dict[str, float]) -> Iterator[str]:
        """How the specimen has changed since training, where beyond the limits, in words; completes `figures`."""
        reference = self._reference
        before = reference.scene
        scene = describe(denoised, reference.noise, passed=reference.passed, rough=reference.rough)
        figures |= {
            "brightness": _over(scene.brightness, before.brightness),
            "sharpness": _over(scene.sharpness, before.sharpness),
            "likeness": scene.likeness(before),
        }
        brightness, limits = figures["brightness"], self._drift
        if not 1 / limits.brightness <= brightness <= limits.brightness:
            yield f"the light is {brightness:.0%} of what it was during training"
        least, most = (_over(value, before.sharpness) for value in scene.sharpness_range)
        if most < 1 / limits.sharpness or least > limits.sharpness:
            words = "blurred" if most < 1 else "sharper"
            field = ", and the field is another one" if figures["likeness"] < SAME_FIELD else ""
            yield f"the picture is {words}: sharpness {figures['sharpness']:.0%} of what it was during training{field}"


def _percent(share: float) -> str:
    return f"{abs(share):.1%} of the noise variance"


def _over(now: float, then: float) -> float:
    """A figure over what it was during training; 1 where there was none."""
    return max(now, 0.0) / then if then > 0 else 1.0


def _risk(raw: NDArray[Any], reference: TrustReference) -> NDArray[np.uint8]:
    """Risk class of the patches of a frame, by rows and columns."""
    rows, columns = (max(side // PATCH, 1) for side in raw.shape)
    noise = NoiseReport(0.0, 0.0, 0.0, reference.fine_null, reference.coarse_null)
    return classify_noise(cut_patches(raw, PATCH), noise).reshape(rows, columns)


def _in_words(places: tuple[Place, ...]) -> Iterator[str]:
    """The most doubtful place, and how many others there are."""
    if places:
        more = f" and at {len(places) - 1} more places" if len(places) > 1 else ""
        yield f"{places[0].words}{more}"
