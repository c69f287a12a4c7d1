"""Does a runtime compute what the reference computes? Measured before it is used, within stated bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.gaussian import blur
from quietscope.models.normalisation import Normaliser

__all__ = ["Parity", "probe"]

Float32 = NDArray[np.float32]

_RMS = 2e-3
_LARGEST = 2e-2
_SLOPE = 5e-3
_SHIFT = 1e-3


@dataclass(frozen=True)
class Parity:
    """How far a runtime is from the reference, in shares of the frames' scale.

    Parameters
    ----------
    rms, largest
        Root mean square and largest difference.
    slope
        Slope of the reference on the runtime's output, minus 1.
    shift
        Difference of the means.
    """

    rms: float
    largest: float
    slope: float
    shift: float

    @classmethod
    def between(cls, reference: Float32, output: Float32) -> "Parity":
        """Compare two outputs of the same shape for the same input, normalised."""
        a, b = reference.astype(np.float64).ravel(), output.astype(np.float64).ravel()
        difference = b - a
        spread = float(np.var(b))
        slope = float(np.mean((a - a.mean()) * (b - b.mean()))) / spread - 1 if spread else 0.0
        return cls(
            rms=float(np.sqrt(np.mean(difference**2))),
            largest=float(np.abs(difference).max()),
            slope=slope,
            shift=float(difference.mean()),
        )

    @property
    def good(self) -> bool:
        """Whether all bounds hold: rms 0.2 %, largest 2 %, slope 0.5 %, shift of the mean 0.1 % of the scale.

        A picture of 42 dB is 0.8 % away from the truth; 0.2 % more, independent of that, costs it less than 0.3 dB.
        """
        return bool(
            self.rms <= _RMS
            and self.largest <= _LARGEST
            and abs(self.slope) <= _SLOPE
            and abs(self.shift) <= _SHIFT
        )

    @property
    def words(self) -> str:
        """The figures, in per cent of the scale."""
        return (
            f"rms {100 * self.rms:.2g} %, largest {100 * self.largest:.2g} %, slope {100 * self.slope:+.2g} %, "
            f"mean {100 * self.shift:+.2g} % of the scale"
        )


def probe(shape: tuple[int, int], metadata: Mapping[str, str]) -> Float32:
    """Make an image of soft spots of all heights on an empty ground, with the noise that the model was trained on.

    Parameters
    ----------
    shape
        (H, W), multiples of the network's stride.
    metadata
        The model's.

    Returns
    -------
    numpy.ndarray
        float32, shape (1, 1, H, W), normalised: from about 0 to about 1 and its noise; always the same.

    Raises
    ------
    quietscope.config.ModelError
        If the metadata do not say how the model's input is scaled.
    """
    stream = Normaliser.from_metadata(metadata).stream
    rng = np.random.default_rng(0)
    spots = blur(rng.normal(size=shape).astype(np.float32), 3.0)
    scene = np.clip(spots / max(float(np.abs(spots).max()), 1e-6), 0, None)
    noise = stream.noise_std / stream.scale
    image = scene + rng.normal(scale=noise, size=shape) * np.sqrt(0.25 + scene)
    return np.asarray(image[None, None], dtype=np.float32)
