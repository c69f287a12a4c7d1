import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from quietscope.config.errors import ModelError
from quietscope.config.science import GateSettings
from quietscope.models.gate import judge
from quietscope.models.gaussian import blur
from quietscope.models.noise import measure_noise
from quietscope.models.quality import fit_line

OFFSET, NOISE = 100.0, 12.0
SIZE = 256


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(8)
    points = np.zeros((SIZE, SIZE))
    points[rng.integers(0, SIZE, 60), rng.integers(0, SIZE - 90, 60)] = 6000
    return (OFFSET + gaussian_filter(points, 3.0)).astype(np.float32)


@pytest.fixture(scope="module")
def frames(truth):
    rng = np.random.default_rng(9)
    return [rng.normal(truth, NOISE).astype(np.float32) for _ in range(3)]


@pytest.fixture(scope="module")
def correlated(truth):
    rng = np.random.default_rng(10)
    noise = [gaussian_filter(rng.normal(0, 1, truth.shape), 0.8) for _ in range(3)]
    return [(truth + NOISE * field / field.std()).astype(np.float32) for field in noise]


def wiener(truth):
    """The best linear denoiser for this specimen and white noise, from its own spectrum: knows no frame."""
    power = np.abs(np.fft.fft2(truth - truth.mean())) ** 2
    smooth = gaussian_filter(power, 6, mode="wrap")
    gain = smooth / (smooth + NOISE**2 * truth.size)

    def denoise(frame):
        image = np.asarray(frame, np.float64)
        middle = image.mean()
        return (np.fft.ifft2(np.fft.fft2(image - middle) * gain).real + middle).astype(np.float32)

    return denoise


def lookup(truth):
    """A better denoiser: blurs more where there is nothing."""
    linear = wiener(truth)

    def denoise(frame):
        smooth = linear(frame)
        background = np.abs(blur(smooth, 2.0) - OFFSET) < 0.5 * NOISE
        return np.where(background, blur(smooth, 3.0), smooth).astype(np.float32)

    return denoise


def ask(denoise, frames, **keywords):
    return judge(
        denoise, frames, settings=GateSettings(), parity_error=keywords.pop("parity_error", 1e-6), **keywords
    )


@pytest.fixture(scope="module")
def good(truth):
    """With the line of raw on denoised applied, as training does it, from frames of its own."""
    rng = np.random.default_rng(11)
    denoise = lookup(truth)
    raw = np.stack([rng.normal(truth, NOISE) for _ in range(4)])
    gain, intercept = fit_line(np.stack([denoise(frame) for frame in raw]), raw)
    return lambda frame: (gain * denoise(frame) + intercept).astype(np.float32)


def test_a_good_denoiser_goes_live(good, frames):
    verdict = ask(good, frames)
    assert verdict.accepted, verdict
    assert "all checks passed" in verdict.reasons[0]
    assert verdict.figures["pairs"] == "spatial"
    json.dumps(dict(verdict.figures), allow_nan=False)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda _: lambda f: np.asarray(f, np.float32), "Gaussian blur"),
        (lambda _: lambda f: blur(np.asarray(f, np.float32), 6.0), "Gaussian blur"),
        (lambda _: lambda f: blur(np.asarray(f, np.float32), 1.5), "Gaussian blur"),
        (lambda good: lambda f: OFFSET + 1.05 * (good(f) - OFFSET), "slope"),
        (lambda good: lambda f: OFFSET + 0.95 * (good(f) - OFFSET), "slope"),
        (lambda good: lambda f: good(f) + 0.02 * 250, "mean"),
        (lambda good: lambda f: 0.55 * good(f) + 0.45 * np.asarray(f, np.float32), "pure noise"),
        (lambda _: lambda f: np.full(f.shape, np.nan, np.float32), "not finite"),
        (lambda _: lambda f: np.full(f.shape, OFFSET, np.float32), "slope"),
    ],
    ids=[
        "identity",
        "over-blur",
        "rival blur",
        "gain +5 %",
        "gain -5 %",
        "shift",
        "passes noise",
        "nan",
        "constant",
    ],
)
def test_a_bad_denoiser_is_refused_in_words(good, frames, spoil, words):
    verdict = ask(spoil(good), frames)
    assert not verdict.accepted
    assert any(words in reason for reason in verdict.reasons), verdict.reasons
    json.dumps(dict(verdict.figures), allow_nan=False)


def test_a_denoiser_that_invents_structure_in_noise_is_refused(good, frames):
    """Sharpens every chance heap of noise into a blob, as patch-wise scaling does."""

    def inventive(frame):
        smooth = good(frame)
        heaps = blur(np.asarray(frame, np.float32), 2.0) - OFFSET
        return (smooth + np.where(heaps > 0.2 * NOISE, 1.2 * NOISE, 0)).astype(np.float32)

    verdict = ask(inventive, frames)
    assert not verdict.accepted
    assert any("pure noise" in reason for reason in verdict.reasons), verdict.reasons


def test_an_inexact_export_is_refused(good, frames):
    verdict = ask(good, frames, parity_error=2e-4)
    assert verdict.reasons == (
        "the exported model differs from the trained one by 0.0002 of the scale, allowed 0.0001",
    )
    assert not ask(good, frames, parity_error=float("nan")).accepted


def test_correlated_noise_is_judged_on_consecutive_frames(good, truth, correlated):
    assert measure_noise(correlated).twin_correlation > 0.3

    def copies_shared_noise(frame):
        return blur(np.asarray(frame, np.float32), 0.3)

    verdict = ask(copies_shared_noise, correlated)
    assert verdict.figures["pairs"] == "temporal"
    assert not verdict.accepted
    assert any("consecutive frames" in reason for reason in verdict.reasons)

    def sees_the_specimen(frame):
        there = np.corrcoef(np.ravel(frame), truth.ravel())[0, 1] > 0.3
        return truth.copy() if there else np.full_like(truth, np.mean(frame))

    assert ask(sees_the_specimen, correlated).accepted, ask(sees_the_specimen, correlated)


def test_correlated_noise_without_consecutive_frames_is_judged_on_phases(good, correlated):
    for verdict in (ask(good, correlated[:1]), ask(good, correlated, indices=[0, 2, 4])):
        assert verdict.figures["pairs"] == "phase"

    def copies(frame):
        return blur(np.asarray(frame, np.float32), 0.3)

    assert any(
        "pixels of the same frame that lie apart" in reason for reason in ask(copies, correlated[:1]).reasons
    )


def test_noise_correlated_over_long_distances_without_consecutive_frames_proves_nothing(good, truth):
    rng = np.random.default_rng(5)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    ring = np.abs(frequency - 0.22) < 0.06  # rings, as reconstructions leave them
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((256, 256))) * ring, s=(256, 256))
    frame = (truth + 30 * noise / noise.std()).astype(np.float32)
    verdict = ask(good, [frame])
    assert not verdict.accepted
    assert any("nothing proves" in reason for reason in verdict.reasons)


def test_hot_pixels_do_not_decide(good, frames, truth):
    """A persistent hot pixel rewards whoever copies it; it must not condemn a good model."""
    hot = [frame.copy() for frame in frames]
    for frame in hot:
        frame[::37, ::41] += 3000

    def mends(frame):
        return good(np.where(np.asarray(frame) > OFFSET + 2500, truth, frame))

    assert ask(mends, hot).accepted, ask(mends, hot)


def test_an_empty_series_cannot_be_judged(good):
    empty = [np.full((64, 64), 100, np.uint16)] * 2
    verdict = ask(lambda f: np.asarray(f, np.float32), empty)
    assert not verdict.accepted


def test_no_frame_is_an_error():
    with pytest.raises(ModelError, match="held-out"):
        ask(lambda f: f, [])
