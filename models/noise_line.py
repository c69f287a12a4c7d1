"""Which view of the noise the photon-transfer line is taken from."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quietscope.models.blocks import blocks_of, pixels_around
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

HALF = np.float32(0.5)
ROOT_HALF = np.float32(0.5**0.5)


def noise_line(frames: FirstFrames, report: NoiseReport, spectrum: NoiseSpectrum) -> PhotonTransfer:
    """Take the photon-transfer line from the best view of the noise that the frames offer.

    Of several frames: third differences along both axes of differences of consecutive frames; where these hold still,
    also differences pixel by pixel, moving blocks left out, which are more precise and know nothing of correlation,
    unless what moves unnoticed makes them larger. Of a single frame, or copies of one: its third differences. These
    are too small where the noise is correlated, which is made up for.

    Parameters
    ----------
    frames
        The frames.
    report, spectrum
        What is known about their noise.

    Returns
    -------
    PhotonTransfer
        The line; in its slope's error is what structure and movement seem to add.
    """
    factor = min(spectrum.fine_share, 1.0) if spectrum.genuine else 1.0
    planes, unusable = frames.planes, frames.unusable
    pairs = [
        (a, b)
        for a, b in pairwise(range(len(planes)))
        if frames.places[b] == frames.places[a] + 1 and not np.array_equal(planes[a], planes[b])
    ]
    if not pairs:
        alone = View(planes[:1], planes[:1], unusable[:1])
        line, coarser = (_line(frames, alone, [(0, 0)], order) for order in (3, 2))
        # structure shrinks from order to order: as much as went from the last one may still be there
        return _scaled(line, factor, more=coarser.slope / factor ** (8 / 9) - line.slope / factor)
    first, last = pairs[0], pairs[-1]
    chosen = [first, last] if first != last else [first]
    noise = [(planes[b] - planes[a]) * ROOT_HALF for a, b in chosen]
    middle = [(planes[a] + planes[b]) * HALF for a, b in chosen]
    masks = [unusable[a] | unusable[b] for a, b in chosen]
    line = _scaled(_line(frames, View(noise, middle, masks), chosen, 3), factor)
    moving = [
        moving_blocks(planes[a], planes[b], correlation_factor=report.coarse_null) & ~blocks_of(mask, BLOCK)
        for (a, b), mask in zip(chosen, masks, strict=True)
    ]
    if np.mean(moving) > STILL:
        return line
    still = [
        mask | pixels_around(blocks, BLOCK, mask.shape) for mask, blocks in zip(masks, moving, strict=True)
    ]
    pixelwise = _line(frames, View(noise, middle, still), chosen, 0)
    pixelwise = _scaled(pixelwise, 1.0, more=pixelwise.slope - line.slope)
    return min(line, pixelwise, key=lambda candidate: candidate.slope_error)


class View(NamedTuple):
    """Planes (Y, X) with the noise, planes with the brightness, and pixels that must not be used."""

    noise: list[NDArray[np.float32]]
    planes: list[NDArray[np.float32]]
    excluded: list[NDArray[np.bool_]]


def _line(frames: FirstFrames, view: View, pairs: list[tuple[int, int]], order: int) -> PhotonTransfer:
    """Photon-transfer line of a view of frames, whose places are `pairs`."""
    floor, ceiling = frames.ends
    planes = frames.planes

    def at_end(test: Callable[[NDArray[np.float32]], NDArray[np.bool_]]) -> NDArray[np.float32]:
        shares = [(test(planes[a]).astype(np.float32) + test(planes[b])) * HALF for a, b in pairs]
        return frames.stack(shares)

    return photon_transfer(
        frames.stack(view.noise),
        frames.stack(view.planes),
        order=order,
        excluded=frames.stack(view.excluded),
        lowest=at_end(lambda plane: plane <= floor),
        highest=at_end(lambda plane: plane >= ceiling),
        floor=floor,
    )


def _scaled(line: PhotonTransfer, factor: float, *, more: float = 0.0) -> PhotonTransfer:
    """Line of a noise whose variance was measured too small by `factor`; `more` is what may be too much of it."""
    return replace(
        line,
        slope=line.slope / factor,
        intercept=line.intercept / factor,
        slope_error=float(np.hypot(line.slope_error / factor, max(0.0, more))),
        variances=line.variances / factor,
    )
