"""Columns of an evaluation's tables."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["COLUMNS", "Column", "present"]


@dataclass(frozen=True)
class Column:
    """One figure of a row.

    Parameters
    ----------
    key
        Name in CSV and JSON.
    head
        Heading in Markdown.
    digits
        Python's format.
    words
        What it means.
    factor
        Multiplies the figure in Markdown: 100 for percent.
    """

    key: str
    head: str
    digits: str
    words: str
    factor: float = 1.0

    def text(self, value: float | None) -> str:
        """The figure as printed; a dash where there is none."""
        return "–" if value is None or math.isnan(value) else f"{value * self.factor:{self.digits}}"


COLUMNS = (
    Column("frames", "frames", ".0f", "frames scored"),
    Column("psnr_raw", "noisy, dB", ".2f", "PSNR of the noisy frames"),
    Column(
        "psnr",
        "PSNR, dB",
        ".2f",
        "in raw units; data range 255 for uint8, else maximum − minimum of the truth",
    ),
    Column("psnr_bare", "without line, dB", ".2f", "PSNR before the line that makes intensities true"),
    Column("ssim", "SSIM", ".4f", "scikit-image's defaults, the same data range"),
    Column("nrmse", "NRMSE", ".4f", "root mean squared error over the standard deviation of the reference"),
    Column("pearson", "Pearson", ".4f", "correlation with the reference"),
    Column("slope", "slope", ".3f", "truth regressed on denoised, pooled over the frames"),
    Column("offset", "offset", ".2f", "its intercept, grey levels"),
    Column("slope_reverse", "reverse slope", ".3f", "denoised regressed on truth"),
    Column(
        "residue_std",
        "blank std, %",
        ".2f",
        "standard deviation in the known-empty area over the signal's amplitude (p99.9 − background)",
        100,
    ),
    Column("residue_max", "blank max, %", ".1f", "largest residue there over the amplitude", 100),
    Column(
        "otsu_share",
        "Otsu in blank, %",
        ".3f",
        "share of the known-empty area that Otsu's threshold calls foreground",
        100,
    ),
    Column("fragments", "fragments", ".0f", "pieces of the skeleton above the reference's Otsu threshold"),
    Column("fragment_ratio", "fragments ×", ".2f", "the same over the reference's"),
    Column("length_ratio", "length ×", ".2f", "length of the skeleton over the reference's"),
    Column(
        "frc_px", "FRC, px", ".2f", "Fourier ring correlation of two independent captures falls below 1/7"
    ),
    Column(
        "seams",
        "seams, σ",
        ".1f",
        "spectral peak at the tile pitch above the noise floor; beyond 3 there are seams",
    ),
    Column("flicker", "flicker, %", ".3f", "largest distance of a frame's mean from the mean of all", 100),
    Column("train_s", "training, s", ".1f", "seconds to train"),
    Column("train_cpu_s", "training, CPU s", ".0f", "CPU seconds of all threads for it"),
    Column("steps", "steps", ".0f", "training steps"),
    Column("ms_per_frame", "ms/frame", ".0f", "median time of one frame"),
    Column("weights", "weights", ",.0f", "trained weights"),
    Column("gmac", "GMAC", ".2f", "10⁹ multiplications with their additions for one frame in one piece"),
    Column("memory_mb", "memory, MB", ".0f", "growth of resident memory while training"),
)
"""All there are, in order of printing."""


def present(rows: Iterable[Mapping[str, float]]) -> list[Column]:
    """Columns that at least one row has a figure for."""
    keys = {key for row in rows for key in row}
    return [column for column in COLUMNS if column.key in keys]
