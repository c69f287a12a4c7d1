"""What the methods are called in print, and where they come from."""

from collections.abc import Mapping

from quietscope.config.methods import METHOD_NAMES

__all__ = ["SOURCES", "method_name"]

_BLIND_SPOT = (
    "Laine, Karras, Lehtinen and Aila. High-quality self-supervised deep image denoising. NeurIPS 2019."
)

SOURCES: Mapping[str, tuple[str, ...]] = {
    "adaptive-sn2n": (
        "Qu, L. et al. Nature Methods 21, 1895 (2024).",
        "Adaptive-SN2N. PhotoniX Life (2026). doi:10.3724/PXLIFE.2025-0010.",
    ),
    "fm2s": ("Liu, Teng, Ma and Jiang. FM2S. arXiv:2412.10031.",),
    "noise2sr": ("Tian et al. Noise2SR. MICCAI 2022. arXiv:2209.06411.",),
    "poisson2void": ("Rao, Ventura and Hagen. Poisson2Void.", _BLIND_SPOT),
}
"""Setting ``method`` → what to cite, as the module of the method says."""


def method_name(method: str | None) -> str:
    """What the authors of a method call it; an en dash for None."""
    return (
        "–" if method is None else next((name for key, name in METHOD_NAMES.items() if key == method), method)
    )
