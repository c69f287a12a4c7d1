"""Which view of the noise the photon-transfer line is taken from."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from quietscope.models.blocks import pixels_around
from quietscope.models.first_frames import FirstFrames
from quietscope.models.noise import NoiseReport
from quietscope.models.noise_spectrum import NoiseSpectrum
from quietscope.models.photon_transfer import PhotonTransfer, photon_transfer
from quietscope.models.stillness import BLOCK, moving_blocks

__all__ = ["noise_line"]

STILL = 0.005
"""Share of moving blocks below which differences of two frames are taken pixel by pixel.

Fixed specimens measured at most 0.003, living cells more than 0.1 (`quietscope.models.stillness`).
"""

MAX_PAIRS = 3
"""Pairs of frames that the line is taken from."""


def noise_line(frames: FirstFrames, report: NoiseReport, spectrum: NoiseSpectrum) -> PhotonTransfer:
    """Take the photon-transfer line from the best view of the noise that the frames offer.

    Differences of consecutive frames that hold still, pixel by pixel, moving blocks left out: neither structure nor
    correlation of the noise can spoil them. Else third differences along both axes of the differences of consecutive
    frames, or, of a single frame or copies of one, of the frame itself; these are too small where the noise is
    correlated, which is made up for.

    Parameters
    ----------
    frames
        The frames.
    report, spectrum
        What is known about their noise.

    Returns
    -------
    PhotonTransfer
        The line; in the error of a single frame's slope is what structure adds to it.
    """
    factor = min(spectrum.fine_share, 1.0) if spectrum.genuine else 1.0
    planes, places = frames.planes, frames.places
    floor, ceiling = frames.ends
    below = [(plane <= floor).astype(np.float32) for plane in planes]
    above = [(plane >= ceiling).astype(np.float32) for plane in planes]
    pairs = [
        (a, b)
        for a, b in pairwise(range(len(planes)))
        if places[b] == places[a] + 1 and not np.array_equal(planes[a], planes[b])
    ]
    if not pairs:
        line, coarser = (
            photon_transfer(
                frames.stack(planes[:1]),
                frames.stack(planes[:1]),
                order=order,
                excluded=frames.stack(frames.unusable[:1]),
                lowest=frames.stack(below[:1]),
                highest=frames.stack(above[:1]),
                floor=floor,
            )
            for order in (3, 2)
        )
        # structure shrinks from order to order: as much as went from the last one may still be there
        structure = max(0.0, coarser.slope / factor ** (8 / 9) - line.slope / factor)
        line = _scaled(line, factor)
        return replace(line, slope_error=float(np.hypot(line.slope_error, structure)))
    moving = {
        (a, b): moving_blocks(planes[a], planes[b], correlation_factor=report.coarse_null) for a, b in pairs
    }
    still = [pair for pair in pairs if moving[pair].mean() < STILL]
    chosen = (still or pairs)[:MAX_PAIRS]
    excluded = [frames.unusable[a] | frames.unusable[b] for a, b in chosen]
    if still:
        excluded = [
            mask | pixels_around(moving[pair], BLOCK, mask.shape)
            for mask, pair in zip(excluded, chosen, strict=True)
        ]
    half = np.float32(0.5)
    line = photon_transfer(
        frames.stack([(planes[b] - planes[a]) * np.float32(0.5**0.5) for a, b in chosen]),
        frames.stack([(planes[a] + planes[b]) * half for a, b in chosen]),
        order=0 if still else 3,
        excluded=frames.stack(excluded),
        lowest=frames.stack([(below[a] + below[b]) * half for a, b in chosen]),
        highest=frames.stack([(above[a] + above[b]) * half for a, b in chosen]),
        floor=floor,
    )
    return line if still else _scaled(line, factor)


def _scaled(line: PhotonTransfer, factor: float) -> PhotonTransfer:
    """Line of a noise whose variance was measured too small by `factor`."""
    return replace(
        line,
        slope=line.slope / factor,
        intercept=line.intercept / factor,
        slope_error=line.slope_error / factor,
        variances=line.variances / factor,
    )
