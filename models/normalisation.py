"""Scale of the numbers a network sees: risk-aware adaptive normalisation, always bounded and always inverted.

This is the *only* component that decides by which offset and scale a patch goes into the network and comes
back out of it. The same two numbers serve a raw patch and both of its twins, so that what is learnt on twins
holds for raw frames, and the map is affine, so that intensities survive: grey levels = normalised·scale +
offset.

The scale of every rule but one, which is kept for comparisons, is bounded from below, by the noise and by a share of
the series' own scale, so that an empty patch is never stretched until its noise looks like signal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.noise import NoiseReport, clean, cut_patches, measure_noise, noise_std
from quietscope.models.risk import Risk, classify_noise, classify_published, unit_range
from quietscope.models.row_quantiles import row_quantiles
from quietscope.models.twin_statistics import TwinStatistics, twin_statistics

__all__ = ["Normaliser", "Rule", "StreamScale", "estimate_stream_scale"]

Rule = Literal["stream", "image", "patch", "published", "noise", "minmax"]
"""How the scale of a patch is found; see `Normaliser`."""

LOW, HIGH = 1.0, 99.9
"""Percentiles between which the range of an image or a series is taken."""

STREAM_NOISE_MULTIPLE = 8.0
"""Least scale of a series or an image, in noise standard deviations."""

PATCH_NOISE_MULTIPLE = 14.2
"""Least scale of a patch in noise standard deviations: twice the range that the noise of 64×64 pixels has by
itself."""

PATCH_SCALE_SHARE = 0.05
"""Least scale of a patch or an image as a share of the series' scale."""

PUBLISHED_SHARE = 0.1
"""Share of high-risk patches above which the published rule takes the image-wise scale for the series."""

PUBLISHED_PATCH = 64
"""Side and stride of the patches that the published rule judges, pixels."""

SMALLEST = 1e-30
"""A scale below it vanishes in float32 arithmetic."""

PREFIX = "normalisation"
"""First word of the keys in a model's metadata."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class StreamScale:
    """One affine scale for a whole series, in grey levels.

    Parameters
    ----------
    offset
        Low percentile of the first frames.
    scale
        99.9 percentile minus offset, bounded from below by a multiple of the noise; finite and > 0.
    noise_std
        Robust standard deviation of the noise; finite and ≥ 0.
    """

    offset: float
    scale: float
    noise_std: float


def estimate_stream_scale(frames: Sequence[NDArray[Any]]) -> StreamScale:
    """Estimate the scale of a series from its first frames.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel, real dtype; at least one. Values that are not finite are ignored.

    Returns
    -------
    StreamScale
        Finite for every input, constant and empty frames included.

    Raises
    ------
    quietscope.config.ModelError
        If there is no frame.
    """
    if not frames:
        raise ModelError(
            "the scale of a series needs at least one frame, and there is none; wait for the first frame"
        )
    cleaned = [clean(frame) for frame in frames]
    offset, span = _range(np.concatenate([_thinned(frame) for frame in cleaned]))
    sigma = noise_std(cleaned)
    return StreamScale(offset, _positive(max(span, STREAM_NOISE_MULTIPLE * sigma), offset), sigma)


@dataclass(frozen=True)
class Normaliser:
    """Gives each patch its offset and scale.

    Parameters
    ----------
    rule
        ``stream``: one affine map for the series. ``image``: the range of each image. ``patch``: the range of
        each patch. ``published``: image-wise or patch-wise, decided once for the series by the released
        thresholds. ``noise``: patch-wise, but the series' scale for patches at risk relative to the measured
        noise. ``minmax``: smallest to largest value of each patch, without the bounds of the others: what the released
        code does to empty patches, for comparisons.
    stream
        Scale of the series.
    noise
        Noise of the series, the null of rule ``noise``.
    image_wise
        Decision of rule ``published``: True for the image-wise scale.
    """

    rule: Rule
    stream: StreamScale
    noise: NoiseReport = field(default_factory=lambda: NoiseReport(0.0, 0.0, 0.0))
    image_wise: bool = False

    @classmethod
    def calibrate(cls, rule: Rule, frames: Sequence[NDArray[Any]]) -> "Normaliser":
        """Learn what `rule` needs to know from the first frames.

        Parameters
        ----------
        rule
            One of `Rule`.
        frames
            Frames (Y, X) of one channel in time order, real dtype; at least one.

        Raises
        ------
        quietscope.config.ModelError
            If the rule is unknown or there is no frame.
        """
        _check_rule(rule)
        stream = estimate_stream_scale(frames)
        noise = measure_noise(frames) if rule == "noise" else NoiseReport(stream.noise_std, 0.0, 0.0)
        image_wise = rule == "published" and _high_risk_share(frames) > PUBLISHED_SHARE
        return cls(rule, stream, noise, image_wise)

    @property
    def patch_wise(self) -> bool:
        """Whether patches of one frame may have different scales."""
        return self.rule in {"patch", "noise", "minmax"} or (self.rule == "published" and not self.image_wise)

    def parameters(
        self,
        patches: NDArray[Any],
        image: NDArray[Any] | None = None,
        statistics: TwinStatistics | None = None,
    ) -> tuple[Float32, Float32]:
        """Offset and scale of each patch; use the same for the patch's twins.

        Parameters
        ----------
        patches
            Raw patches, shape (N, h, w), finite, grey levels.
        image
            The whole frame (Y, X) that the patches come from; without it the series' scale stands for the
            image's.
        statistics
            `twin_statistics(patches)` if the caller already has it.

        Returns
        -------
        offset, scale : numpy.ndarray
            Grey levels, float32, shape (N,) each; finite, and scale > 0.
        """
        count = len(patches)
        if self.patch_wise and count:
            return self._patch_parameters(np.asarray(patches, dtype=np.float32), statistics)
        return self._image_parameters(count, None if self.rule == "stream" else image)

    def shared(self, offset: Float32, scale: Float32) -> NDArray[np.bool_]:
        """Which of these patches go by the one scale of the series.

        Parameters
        ----------
        offset, scale
            As `parameters` returns them, shape (N,).

        Returns
        -------
        numpy.ndarray
            bool, shape (N,).
        """
        same = (offset == np.float32(self.stream.offset)) & (scale == np.float32(self.stream.scale))
        return np.asarray(same, dtype=np.bool_)

    def to_metadata(self) -> dict[str, str]:
        """Everything needed to build this normaliser again, as text for a model file; see `from_metadata`."""
        stream = {f"{PREFIX}.{key}": repr(float(value)) for key, value in asdict(self.stream).items()}
        noise = {
            f"{PREFIX}.background.{key}": repr(float(value)) for key, value in asdict(self.noise).items()
        }
        image_wise = "true" if self.image_wise else "false"
        return {PREFIX: self.rule, **stream, **noise, f"{PREFIX}.image_wise": image_wise}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Normaliser":
        """Build the normaliser that `to_metadata` described.

        Raises
        ------
        quietscope.config.ModelError
            If an entry is missing or is not what it should be.
        """
        rule = _check_rule(metadata.get(PREFIX))
        stream = StreamScale(*(_number(metadata, f"{PREFIX}.{entry.name}") for entry in fields(StreamScale)))
        if stream.scale <= 0:
            raise ModelError(
                f"model metadata: {PREFIX}.scale is {stream.scale}, not > 0; export the model again"
            )
        noise = NoiseReport(
            *(_number(metadata, f"{PREFIX}.background.{entry.name}") for entry in fields(NoiseReport))
        )
        return cls(rule, stream, noise, metadata.get(f"{PREFIX}.image_wise") == "true")

    def _image_parameters(self, count: int, image: NDArray[Any] | None) -> tuple[Float32, Float32]:
        if image is None:
            return _filled(count, self.stream.offset), _filled(count, self.stream.scale)
        offset, span = _range(_thinned(clean(image)))
        least = max(STREAM_NOISE_MULTIPLE * self.stream.noise_std, PATCH_SCALE_SHARE * self.stream.scale)
        return _filled(count, offset), _filled(count, max(span, least))

    def _patch_parameters(
        self, patches: Float32, statistics: TwinStatistics | None
    ) -> tuple[Float32, Float32]:
        if self.rule == "minmax":
            lowest, highest = patches.min(axis=(1, 2)), patches.max(axis=(1, 2))
            return lowest, np.maximum(highest - lowest, np.float32(1e-6 * self.stream.scale))
        known = twin_statistics(patches) if statistics is None else statistics
        offset, scale = self._image_parameters(len(patches), None)
        own = np.arange(len(patches))
        if self.rule == "noise":
            own = np.flatnonzero(classify_noise(patches, self.noise, known) == Risk.LOW)
        low, top = row_quantiles(patches[own].reshape(len(own), patches[0].size), (0.001, HIGH / 100))
        least = np.maximum(
            PATCH_NOISE_MULTIPLE * np.sqrt(known.variance[own]), PATCH_SCALE_SHARE * self.stream.scale
        )
        offset[own] = low
        scale[own] = np.maximum(top - low, least)
        return offset, scale


def _check_rule(rule: object) -> Rule:
    if rule not in get_args(Rule):
        raise ModelError(f"normalisation rule {rule!r} is unknown; take one of {', '.join(get_args(Rule))}")
    return cast("Rule", rule)


def _number(metadata: Mapping[str, str], key: str) -> float:
    text = metadata.get(key)
    try:
        value = float("nan" if text is None else text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ModelError(f"model metadata: {key} is {text!r}, not a finite number; export the model again")
    return value


def _filled(count: int, value: float) -> Float32:
    return np.full(count, value, np.float32)


def _thinned(image: Float32, most: int = 1 << 18) -> Float32:
    """Take every k-th pixel of each axis, about `most` in all: percentiles of large frames need no more."""
    step = max(1, int(np.ceil((image.size / most) ** 0.5)))
    return image[::step, ::step].ravel()


def _range(values: Float32) -> tuple[float, float]:
    """Low percentile, and the distance from it to the high one."""
    low, high = np.percentile(values, [LOW, HIGH])
    return float(low), float(high - low)


def _positive(scale: float, offset: float) -> float:
    """Keep the scale above what float32 resolves beside `offset`; 1 grey level for a series of nothing but zeros."""
    resolved = max(scale, 1e-5 * abs(offset))
    return resolved if resolved > SMALLEST else 1.0


def _high_risk_share(frames: Sequence[NDArray[Any]]) -> float:
    """Share of the patches of all frames that the published thresholds call high-risk."""
    classes = [classify_published(cut_patches(unit_range(clean(frame)), PUBLISHED_PATCH)) for frame in frames]
    return float(np.mean(np.concatenate(classes) != Risk.LOW))
