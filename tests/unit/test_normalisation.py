import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quietscope.config.errors import ModelError
from quietscope.models.normalisation import Normaliser, StreamScale, estimate_stream_scale
from quietscope.models.twins import split_diagonal

BOUNDED = ("stream", "image", "patch", "published", "noise")
RULES = (*BOUNDED, "minmax")


def series(photons=20.0, count=3):
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:256, :256]
    signal = photons * (np.sin(x / 5) * np.sin(y / 7) > 0.6) * (x < 128) + 1
    return [
        (100 + 2 * rng.poisson(signal) + rng.normal(0, 3, signal.shape)).astype(np.float32)
        for _ in range(count)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_inverted_to_float_precision(rule):
    frames = series()
    patches = np.stack([frames[0][:64, :64], frames[0][64:128, 192:256]])
    offset, scale = Normaliser.calibrate(rule, frames).parameters(patches, frames[0])
    assert offset.dtype == scale.dtype == np.float32
    assert offset.shape == scale.shape == (2,)
    back = ((patches - offset[:, None, None]) / scale[:, None, None]) * scale[:, None, None] + offset[
        :, None, None
    ]
    np.testing.assert_allclose(back, patches, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("rule", BOUNDED)
def test_empty_patches_are_never_stretched_to_their_noise(rule):
    frames = series()
    normaliser = Normaliser.calibrate(rule, frames)
    empty = frames[0][:64, 180:244]
    _, scale = normaliser.parameters(empty[None], frames[0])
    # published min-max stretching gives 0.135
    assert empty.std() / scale[0] < 0.125


def test_the_rule_for_comparisons_stretches_every_patch_as_the_released_code_does():
    frames = series()
    patches = np.stack([frames[0][:64, :64], frames[0][:64, 180:244], np.full((64, 64), 7, np.float32)])
    offset, scale = Normaliser.calibrate("minmax", frames).parameters(patches, frames[0])
    stretched = (patches[:2] - offset[:2, None, None]) / scale[:2, None, None]
    assert stretched.min(axis=(1, 2)).tolist() == [0, 0]
    assert stretched.max(axis=(1, 2)) == pytest.approx(1)
    assert stretched[1].std() > 0.12
    assert offset[2] == 7
    assert scale[2] > 0


def test_noise_rule_gives_the_series_scale_to_risky_patches_only():
    frames = series(photons=200)
    normaliser = Normaliser.calibrate("noise", frames)
    patches = np.stack([frames[0][:64, :64], frames[0][:64, 180:244]])
    offset, scale = normaliser.parameters(patches, frames[0])
    assert (offset[1], scale[1]) == (
        np.float32(normaliser.stream.offset),
        np.float32(normaliser.stream.scale),
    )
    assert offset[0] != offset[1]


def test_published_rule_decides_once_for_the_series():
    dark_half = [np.pad(np.random.default_rng(k).random((256, 128)), ((0, 0), (0, 128))) for k in range(2)]
    dense = [np.random.default_rng(k).random((256, 256)) for k in range(2)]
    assert Normaliser.calibrate("published", dark_half).image_wise
    assert not Normaliser.calibrate("published", dark_half).patch_wise
    assert not Normaliser.calibrate("published", dense).image_wise
    assert Normaliser.calibrate("published", dense).patch_wise


def test_image_rule_follows_the_image_and_stream_rule_does_not():
    frames = series()
    brighter = frames[0] * 3
    patch = frames[0][None, :64, :64]
    image = Normaliser.calibrate("image", frames)
    assert image.parameters(patch, brighter)[1] == pytest.approx(
        3 * image.parameters(patch, frames[0])[1], rel=1e-3
    )
    stream = Normaliser.calibrate("stream", frames)
    assert stream.parameters(patch, brighter) == stream.parameters(patch, frames[0])
    assert image.parameters(patch) == stream.parameters(patch)


def test_twins_fit_the_scale_of_their_raw_patch():
    """The same offset and scale bring raw and twins to the same mean, so that one network serves both."""
    frames = series()
    patches = np.stack([frames[0][:64, k : k + 64] for k in (0, 64, 128)])
    for rule in RULES:
        offset, scale = Normaliser.calibrate(rule, frames).parameters(patches, frames[0])
        a, b = split_diagonal(patches)
        twins = ((a + b) / 2 - offset[:, None, None]) / scale[:, None, None]
        raw = (patches - offset[:, None, None]) / scale[:, None, None]
        np.testing.assert_allclose(twins.mean(axis=(1, 2)), raw.mean(axis=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 64), np.uint16),
        np.full((101, 77), 4095, np.uint16),
        np.full((64, 64), np.nan, np.float32),
        np.full((1, 9), -3.5, np.float32),
        np.full((64, 64), 255, np.uint8),
        np.array([[0, 65535]], np.uint16),
        np.array([[1e-7, 3e-7], [2e-7, 1e-7]], np.float32),
        np.full((16, 16), 1e-45, np.float32),
    ],
    ids=["zero", "constant", "nan", "thin", "saturated", "two pixels", "tiny values", "subnormal"],
)
def test_degenerate_series_get_a_finite_positive_scale(rule, frame):
    normaliser = Normaliser.calibrate(rule, [frame, frame])
    offset, scale = normaliser.parameters(np.zeros((2, 16, 16), np.float32), frame)
    assert np.isfinite(offset).all()
    assert np.isfinite(scale).all()
    assert (scale > 0).all()


@settings(max_examples=50, deadline=None)
@given(
    frame=arrays(np.float32, (16, 16), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)),
    rule=st.sampled_from(RULES),
)
def test_any_frame_survives_the_round_trip(frame, rule):
    offset, scale = Normaliser.calibrate(rule, [frame]).parameters(frame[None], frame)
    back = ((frame - offset) / scale) * scale + offset
    assert np.abs(back - frame).max() <= 4e-6 * max(np.abs(frame).max(), abs(float(offset[0])), 1e-30)


def test_stream_scale_is_offset_range_and_noise():
    rng = np.random.default_rng(0)
    frame = rng.normal(100, 4, (512, 512))
    frame[:100] += 400
    scale = estimate_stream_scale([frame])
    assert scale.noise_std == pytest.approx(4, rel=0.03)
    assert scale.offset == pytest.approx(100 - 2.2 * 4, abs=2)
    assert scale.offset + scale.scale == pytest.approx(np.percentile(frame, 99.9), abs=0.1)
    flat = estimate_stream_scale([frame[200:]])
    assert flat.scale == pytest.approx(8 * 4, rel=0.05)


def test_stream_scale_of_large_frames_is_that_of_all_pixels():
    frame = np.random.default_rng(0).normal(100, 4, (1024, 1024))
    frame[:100] += 400
    assert estimate_stream_scale([frame]).scale == pytest.approx(
        np.subtract(*np.percentile(frame, [99.9, 1])), rel=0.01
    )


def test_no_frame_is_an_error_with_a_mend():
    with pytest.raises(ModelError, match="at least one frame"):
        estimate_stream_scale([])


@pytest.mark.parametrize("rule", RULES)
def test_metadata_brings_back_the_same_normaliser(rule):
    normaliser = Normaliser.calibrate(rule, series(count=2))
    metadata = normaliser.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["normalisation"] == rule
    assert Normaliser.from_metadata(metadata) == normaliser


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("normalisation", "min-max"),
        ("normalisation", None),
        ("normalisation.scale", None),
        ("normalisation.scale", "0.0"),
        ("normalisation.scale", "nan"),
        ("normalisation.offset", "ten"),
    ],
)
def test_broken_metadata_is_refused_by_name(key, value):
    metadata = Normaliser("stream", StreamScale(1.0, 2.0, 0.1)).to_metadata()
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
    with pytest.raises(ModelError, match=key.rpartition(".")[2]):
        Normaliser.from_metadata(metadata)


def test_unknown_rule_is_refused():
    with pytest.raises(ModelError, match="stream, image, patch"):
        Normaliser.calibrate("global", series(count=1))
