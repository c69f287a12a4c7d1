"""How much of a frame's own noise passes a denoiser, so that a frame can be compared with its own denoised image.

The noise that passes is in both, which makes the line of raw on denoised too steep. By Stein's lemma the covariance
of a frame's noise with the denoised frame is the noise variance times the denoiser's own derivative, and one small
random perturbation measures that for any denoiser (Ramani, Blu and Unser, IEEE Trans. Image Process. 17, 1540, 2008).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.twins import split_diagonal

__all__ = ["local_noise_std", "passed_noise"]

Float32 = NDArray[np.float32]

_PROBE = 0.1
"""Strength of the probe over the noise's own: small, so that the denoiser answers linearly, and large against
float32's rounding."""


def local_noise_std(images: NDArray[Any]) -> Float32:
    """Noise standard deviation of every pixel, from the diagonal twins of the 3×3 blocks of 2×2 pixels around it.

    Parameters
    ----------
    images
        Shape (..., Y, X) with Y and X at least 2.

    Returns
    -------
    numpy.ndarray
        float32, the shape of `images`.
    """
    first, second = split_diagonal(images)
    edge = [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)]
    squares = np.pad((first - second) ** 2, edge, mode="symmetric")
    rows, columns = first.shape[-2:]
    variance = sum(
        squares[..., i : i + rows, j : j + columns] for i in range(3) for j in range(3)
    ) / np.float32(9)
    std = np.sqrt(variance).repeat(2, axis=-2).repeat(2, axis=-1)
    grow = [(0, whole - part) for whole, part in zip(images.shape, std.shape, strict=True)]
    return np.asarray(np.pad(std, grow, mode="edge"), dtype=np.float32)


def passed_noise(
    denoise: Callable[[NDArray[Any]], NDArray[Any]],
    image: NDArray[Any],
    denoised: NDArray[Any],
    rng: np.random.Generator,
    shared: SharedNoise | None = None,
) -> NDArray[np.float64]:
    """Product of the noise in `image` with its own part in `denoised`, pixel by pixel; only its mean is meaningful.

    Parameters
    ----------
    denoise
        The denoiser; it takes and gives arrays of the shape of `image`.
    image, denoised
        A noisy image (..., Y, X) and what the denoiser makes of it.
    rng
        Source of the probe.
    shared
        Correlation of the noise, which the probe must have as well; None for independent noise.
    """
    strength = local_noise_std(image)
    if shared is None:
        field = rng.choice(np.array([-1, 1], dtype=np.float32), size=image.shape)
    else:
        # local_noise_std is that of the twins' difference, which knows only a part of shared noise
        field = shared.draw(image.shape, rng) / np.float32(shared.twin_difference)
    probe = np.float32(_PROBE) * strength * field
    answer = denoise((image + probe).astype(np.float32)) - denoised
    passed: NDArray[np.float64] = probe.astype(np.float64) * answer / _PROBE**2
    return passed
