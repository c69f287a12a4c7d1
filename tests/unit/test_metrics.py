"""Measures of an evaluation: each on images whose figure is known."""

import sys

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from quietscope.config.errors import ModelError
from quietscope.models.gaussian import blur
from quietscope.models.metrics.empty_area import empty_area
from quietscope.models.metrics.flicker import flicker
from quietscope.models.metrics.library import skimage
from quietscope.models.metrics.ring_correlation import ring_correlation
from quietscope.models.metrics.seams import seams
from quietscope.models.metrics.similarity import similarity
from quietscope.models.metrics.skeleton import skeleton


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_similarity_of_an_image_with_known_errors(rng):
    truth = rng.integers(0, 200, (64, 64)).astype(np.uint8)
    found = similarity(truth, truth, 255)
    assert (found.psnr, found.ssim, found.nrmse) == (np.inf, 1, 0)
    assert found.pearson == pytest.approx(1)
    shifted = similarity(truth, truth + np.uint8(10), 255)
    assert shifted.psnr == pytest.approx(20 * np.log10(25.5))
    assert shifted.nrmse == pytest.approx(10 / truth.std())
    assert shifted.pearson == pytest.approx(1)
    other = rng.integers(0, 200, (64, 64)).astype(np.uint8)
    assert similarity(truth, other, 255).ssim == pytest.approx(structural_similarity(truth, other))
    assert similarity(truth, 200 - truth, 255).pearson == pytest.approx(-1)


def test_similarity_is_measured_in_raw_units(rng):
    truth = rng.random((32, 32)) * 100
    assert similarity(truth, 2 * truth, 100).psnr < 10
    assert similarity(truth, 2 * truth, 100).pearson == pytest.approx(1)


def test_similarity_of_images_that_do_not_vary_or_are_tiny():
    flat = similarity(np.ones((8, 8)), np.full((8, 8), 3.0), 1)
    assert np.isnan(flat.nrmse)
    assert np.isnan(flat.pearson)
    assert np.isnan(similarity(np.eye(4), np.eye(4), 1).ssim)
    with pytest.raises(ModelError, match="shapes"):
        similarity(np.ones((8, 8)), np.ones((9, 9)), 1)


def test_an_empty_area_tells_residue_and_invented_foreground(rng):
    truth = np.full((100, 100), 50.0)
    truth[:, :20] = 250
    empty = np.zeros((100, 100), bool)
    empty[:, 60:] = True
    clean = empty_area(truth, truth, empty)
    assert (clean.residue_std, clean.residue_max, clean.otsu_share) == (0, 0, 0)
    image = truth.copy()
    image[:, 60:] += rng.normal(0, 4, (100, 40))
    image[:10, 60:80] = 230
    found = empty_area(truth, image, empty)
    assert found.residue_max == pytest.approx(180 / 200)
    assert found.otsu_share == pytest.approx(200 / 4000)
    image[:10, 60:80] = 50
    assert empty_area(truth, image, empty).residue_std == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("truth", "empty", "message"),
    [
        (np.ones((4, 4)), np.ones((3, 3), bool), "differ"),
        (np.eye(4), np.zeros((4, 4), bool), "no pixel"),
        (np.ones((4, 4)), np.ones((4, 4), bool), "no signal"),
    ],
)
def test_an_empty_area_that_means_nothing_is_refused(truth, empty, message):
    with pytest.raises(ModelError, match=message):
        empty_area(truth, truth, empty)


def test_a_skeleton_counts_pieces_and_measures_their_length():
    image = np.zeros((120, 120))
    image[20:23, 10:61] = 5
    diagonal = np.arange(30, 90)
    for shift in (-1, 0, 1):
        image[diagonal, diagonal + shift] = 5
    found = skeleton(image, 2)
    assert found.fragments == 2
    assert found.length == pytest.approx(50 + 59 * np.sqrt(2), abs=5)
    torn = image.copy()
    torn[:, 35] = 0
    assert skeleton(torn, 2).fragments == 4
    nothing = skeleton(image, 10)
    assert (nothing.fragments, nothing.length) == (0, 0)


def test_ring_correlation_finds_the_size_below_which_there_is_only_noise(rng):
    scene = blur(rng.normal(size=(256, 256)).astype(np.float32), 2)
    same = ring_correlation(scene, scene)
    assert same.resolution == 2
    assert same.correlation == pytest.approx(1)
    apart = [scene + blur(rng.normal(size=scene.shape).astype(np.float32), 0.7) * 0.1 for _ in range(2)]
    found = ring_correlation(*apart)
    assert 4 < found.resolution < 10
    assert found.correlation[found.frequency < 0.05].min() > 0.9
    worse = [scene + rng.normal(size=scene.shape) for _ in range(2)]
    assert ring_correlation(*worse).resolution > found.resolution
    assert np.abs(ring_correlation(*rng.normal(size=(2, 256, 256))).correlation).mean() < 0.1
    with pytest.raises(ModelError, match="two captures"):
        ring_correlation(scene, scene[:100])


def _errors(rng, step, count=2, pitch=92):
    """Smooth noise, with a level of its own in every tile."""
    found = []
    for _ in range(count):
        error = blur(rng.normal(size=(512, 512)).astype(np.float32), 1.5)
        for top in range(0, 512, pitch):
            for left in range(0, 512, pitch):
                error[top : top + pitch, left : left + pitch] += step * error.std() * rng.normal()
        found.append(error)
    return found


def test_seams_stand_out_of_the_noise_floor_only_where_there_are_any(rng):
    assert seams(_errors(rng, 1.0), (92, 92)) > 3
    heights = [seams(_errors(rng, 0.0), (92, 92)) for _ in range(30)]
    assert np.mean(heights) == pytest.approx(0, abs=0.6)
    assert np.std(heights) < 1.5
    assert np.isnan(seams(_errors(rng, 1.0), (0, 300)))
    with pytest.raises(ModelError, match="no frame"):
        seams([], (92, 92))


def test_flicker_is_the_largest_distance_from_the_mean():
    frames = [np.full((4, 4), level, np.uint16) for level in (1100, 1110, 1090)]
    assert flicker(frames, dark=100) == pytest.approx(0.01)
    assert flicker(frames) == pytest.approx(10 / 1100)
    assert flicker([frames[0]] * 2) == 0
    with pytest.raises(ModelError, match="at least two"):
        flicker(frames[:1])
    assert np.isnan(flicker(frames, dark=2000))


def test_without_scikit_image_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ModelError, match=r"quietscope\[evaluate\]"):
        skimage("metrics")
