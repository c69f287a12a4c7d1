"""Movement is found where there is any, and not where there is none."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from quietscope.models.gaussian import blur
from quietscope.models.stillness import BLOCK, moving_blocks, moving_share


def _scene(shift=0.0):
    rows, columns = np.mgrid[:256, :256]
    image = np.full((256, 256), 2.0)
    for y, x in ((60, 70), (130, 180), (200, 60)):
        image += 20 * np.exp(-((rows - y) ** 2 + (columns - x - shift) ** 2) / (2 * 6.0**2))
    return image


@pytest.mark.parametrize("level", [0.5, 3.0, 100.0])
def test_noise_alone_does_not_move(level):
    rng = np.random.default_rng(0)
    shares = [moving_blocks(*rng.poisson(level, (2, 512, 512))).mean() for _ in range(4)]
    assert np.mean(shares) < 5e-4


def test_a_moved_spot_is_found_where_it_is():
    rng = np.random.default_rng(0)
    moving = moving_blocks(rng.poisson(_scene()), rng.poisson(_scene(shift=3.0)))
    found = np.argwhere(moving) * BLOCK + BLOCK / 2
    assert len(found) >= 12
    spots = np.array([(60, 71), (130, 181), (200, 61)])
    assert (np.abs(found[:, None] - spots[None]).max(axis=2).min(axis=1) < 20).all()


def test_correlated_noise_is_allowed_for():
    rng = np.random.default_rng(0)
    first, second = (blur(rng.standard_normal((256, 256), dtype=np.float32), 1.0) for _ in range(2))
    assert moving_blocks(first, second).mean() > 0.1
    # white noise blurred by a Gaussian: Var(8x8 mean) against Var(A - B), measured on the difference itself
    a_minus_b = (first - second)[0::2, 0::2] + (first - second)[1::2, 1::2]
    a_minus_b = (a_minus_b - (first - second)[0::2, 1::2] - (first - second)[1::2, 0::2]) / 2
    means = (first - second).reshape(32, 8, 32, 8).mean(axis=(1, 3))
    factor = float(64 * means.var() / a_minus_b.var())
    assert moving_blocks(first, second, correlation_factor=factor).mean() < 5e-3


def test_slow_drift_and_short_events_both_count():
    rng = np.random.default_rng(0)
    still = [rng.poisson(_scene()) for _ in range(10)]
    drift = [rng.poisson(_scene(shift=0.4 * t)) for t in range(10)]
    event = [rng.poisson(_scene(shift=8.0 if t == 6 else 0.0)) for t in range(10)]
    # 1024 blocks, one test of the halves: one block by chance is 0.001
    assert moving_share(still) < 0.003
    assert moving_share(drift) > 0.01
    assert moving_share(event) > 0.002


def test_odd_sizes():
    rng = np.random.default_rng(0)
    assert moving_blocks(*rng.poisson(9, (2, 33, 50))).shape == (5, 7)


@pytest.mark.realdata
def test_fixed_and_living_cells_are_told_apart(data_dir):
    captures = sorted((data_dir / "fmd_50captures" / "raw").glob("*.png"))
    fixed = [
        moving_share([np.asarray(Image.open(p)) for p in captures[i : i + 10]]) for i in range(0, 50, 10)
    ]
    assert max(fixed) < 0.003
    living = tifffile.imread(data_dir / "nuclei_timelapse" / "cancer_cell_migration_crop.tif")
    assert moving_share(list(living[:10])) > 0.1
