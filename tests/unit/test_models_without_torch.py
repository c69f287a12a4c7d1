"""Denoising needs no torch: the processor of a running series must stay small."""

import subprocess
import sys

import pytest

LIGHT = (
    "normalisation",
    "risk",
    "noise",
    "tiling",
    "runtime",
    "denoiser",
    "gate",
    "gaussian",
    "preview",
    "quality",
    "trust",
)


@pytest.mark.parametrize("heavy", ["torch", "scipy", "skimage"])
def test_importing_the_inference_side_pulls_in_nothing_heavy(heavy):
    imports = "; ".join(f"import quietscope.models.{name}" for name in LIGHT)
    code = f"import sys; {imports}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
