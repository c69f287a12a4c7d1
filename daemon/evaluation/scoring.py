"""All figures of one denoiser on one case."""

import time
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.workshop import Tool
from quietscope.models.denoiser import Denoiser
from quietscope.models.metrics.empty_area import empty_area
from quietscope.models.metrics.flicker import flicker
from quietscope.models.metrics.library import skimage
from quietscope.models.metrics.ring_correlation import ring_correlation
from quietscope.models.metrics.seams import seams
from quietscope.models.metrics.similarity import similarity
from quietscope.models.metrics.skeleton import skeleton
from quietscope.models.quality import Line, psnr

__all__ = ["score"]

Image = NDArray[Any]

_SEAM_FRAMES = 4
"""Frames whose errors are kept to look for seams."""


def score(case: Case, tool: Tool) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Denoise the frames of a case and measure the result.

    Parameters
    ----------
    case
        The frames.
    tool
        The denoiser.

    Returns
    -------
    figures : dict
        By the names of the table's columns; what the case does not allow is missing.
    image : numpy.ndarray
        The first denoised frame.

    Raises
    ------
    quietscope.config.QuietscopeError
        If denoising fails or images do not fit together.
    """
    first = tool.denoise(case.frames[0])  # also warms up
    figures = {"frames": float(len(case.frames)), **tool.figures}
    scores = _Scores(case, tool)
    seconds = []
    denoised: list[NDArray[np.float32]] = []
    for index, frame in enumerate(case.frames):
        started = time.perf_counter()
        image = tool.denoise(frame)
        seconds.append(time.perf_counter() - started)
        if case.static:
            denoised.append(image)
        if case.references is not None:
            scores.add(case.references[index], frame, image)
    figures["ms_per_frame"] = 1e3 * float(np.median(seconds))
    figures |= scores.figures()
    if case.static and len(denoised) > 1:
        figures["flicker"] = flicker(denoised, case.dark)
        figures["frc_px"] = ring_correlation(denoised[0], denoised[1]).resolution
    return figures, first


class _Scores:
    """Sums over the frames of a case whose truth is known."""

    def __init__(self, case: Case, tool: Tool) -> None:
        self._case = case
        self._tool = tool
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._line, self._reverse = Line("truth on denoised"), Line("denoised on truth")
        self._errors: list[NDArray[np.float64]] = []
        references = case.references or ()
        eight_bit = any(reference.dtype == np.uint8 for reference in references)
        self._range = 255.0 if eight_bit else max((float(np.ptp(truth)) for truth in references), default=1.0)

    def add(self, truth: Image, noisy: Image, image: NDArray[np.float32]) -> None:
        """Add a frame."""
        stored = Denoiser.cast(image, truth.dtype)
        found = similarity(truth, stored, self._range)
        self._note(psnr=found.psnr, ssim=found.ssim, nrmse=found.nrmse, pearson=found.pearson)
        self._note(psnr_raw=psnr(truth, noisy, self._range))
        if self._case.zero_shot and self._tool.without_line is not None:
            bare = Denoiser.cast(self._tool.without_line(image), truth.dtype)
            self._note(psnr_bare=psnr(truth, bare, self._range))
        self._line.add(image, truth)
        self._reverse.add(truth, image)
        if len(self._errors) < _SEAM_FRAMES:
            self._errors.append(np.subtract(image, truth, dtype=np.float64))
        if self._case.empty is not None and self._case.empty.any():
            area = empty_area(truth, image, self._case.empty)
            self._note(residue_std=area.residue_std, residue_max=area.residue_max, otsu_share=area.otsu_share)
        if self._case.network:
            threshold = float(skimage("filters").threshold_otsu(truth))
            true, seen = skeleton(truth, threshold), skeleton(image, threshold)
            self._note(
                fragments=seen.fragments,
                true_fragments=true.fragments,
                fragment_ratio=seen.fragments / max(true.fragments, 1),
                length_ratio=seen.length / max(true.length, 1.0),
            )

    def _note(self, **values: float) -> None:
        for name, value in values.items():
            self._values[name].append(value)

    def figures(self) -> dict[str, float]:
        """Means over the frames; lines are pooled, and the largest residue is that of all frames."""
        if not self._values:
            return {}
        means = {name: float(np.mean(values)) for name, values in self._values.items()}
        if "residue_max" in self._values:
            means["residue_max"] = max(self._values["residue_max"])
        height, width = self._errors[0].shape
        seam = seams(self._errors, self._tool.pitch((height, width)))
        return {
            **means,
            "slope": self._line.slope,
            "offset": self._line.intercept,
            "slope_reverse": self._reverse.slope,
            **({} if np.isnan(seam) else {"seams": seam}),
        }
