import numpy as np
import pytest
from scipy.ndimage import convolve

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models.denoiser import Denoiser
from quietscope.models.normalisation import Normaliser, StreamScale

RUNTIME = RuntimeSettings(provider="cpu", threads=1)
MEAN = np.full((3, 3), 1 / 9)
TILES = TilingSettings(tile=64, overlap=0.5)
SIZES = [(128, 128), (101, 77), (1, 90), (90, 1), (1, 1), (7, 7), (64, 65), (200, 333)]


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("rule", ["stream", "image", "patch", "noise", "published"])
def test_an_identity_network_gives_every_frame_back(filter_model, rng, shape, rule):
    """Normalisation is inverted, tiles are blended, sizes are kept: nothing is left of all that."""
    frame = rng.poisson(20, shape).astype(np.uint16) + 100
    denoiser = Denoiser(filter_model(rule=rule), TILES, RUNTIME)
    result = denoiser.denoise(frame)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, frame, rtol=2e-6, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_frames_of_every_dtype_stay_on_their_scale(filter_model, rng, dtype):
    frame = rng.integers(0, 100, (96, 96)).astype(dtype)
    denoiser = Denoiser(filter_model(MEAN), TILES, RUNTIME)
    expected = convolve(frame.astype(np.float64), MEAN, mode="reflect")
    np.testing.assert_allclose(denoiser.denoise(frame)[9:-9, 9:-9], expected[9:-9, 9:-9], atol=8)
    inner = (slice(20, 28), slice(20, 28))
    np.testing.assert_allclose(denoiser.denoise(frame)[inner], expected[inner], rtol=1e-5)


@pytest.mark.parametrize("batch", [0, 1, 3, 50])
def test_the_batch_size_does_not_change_the_result(filter_model, rng, batch):
    frame = rng.normal(100, 10, (200, 150)).astype(np.float32)
    path = filter_model(MEAN)
    reference = Denoiser(path, TILES, RUNTIME).denoise(frame)
    tiling = TilingSettings(tile=64, overlap=0.5, batch=batch)
    np.testing.assert_allclose(Denoiser(path, tiling, RUNTIME).denoise(frame), reference, atol=1e-4)


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_frame_stays_constant(filter_model, value):
    frame = np.full((130, 70), value, np.uint8)
    np.testing.assert_allclose(Denoiser(filter_model(), TILES, RUNTIME).denoise(frame), value, atol=1e-4)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("rule", ["stream", "image", "patch", "noise"])
def test_one_pass_and_tiles_of_an_identity_give_every_frame_back(filter_model, rng, shape, rule):
    """Whatever goes through in one pass and whatever is tiled: together it is the whole picture, once."""
    frame = rng.poisson(20, shape).astype(np.uint16) + 100
    frame[: shape[0] // 2] *= 3
    denoiser = Denoiser(filter_model(rule=rule, receptive_field=0), TILES, RUNTIME)
    np.testing.assert_allclose(denoiser.denoise(frame), frame, rtol=2e-6, atol=1e-4)


@pytest.mark.parametrize("shape", [(101, 177), (200, 333)])
def test_windows_give_what_one_piece_gives(filter_model, rng, shape, monkeypatch):
    frame = rng.normal(100, 10, shape).astype(np.float32)
    kernel = rng.normal(0, 0.2, (9, 9))
    path = filter_model(kernel, receptive_field=4)
    whole = Denoiser(path, TILES, RUNTIME).denoise(frame)
    monkeypatch.setattr("quietscope.models.denoiser.WINDOW", 64 * 64)
    cut = Denoiser(path, TILES, RUNTIME)
    assert np.prod(cut.network_shape(shape)) < np.prod(cut.layout(shape).padded)
    np.testing.assert_allclose(cut.denoise(frame), whole, atol=1e-4)
    too_near = Denoiser(filter_model(kernel, receptive_field=0, name="near.onnx"), TILES, RUNTIME)
    assert np.abs(too_near.denoise(frame) - whole).max() > 1


def _scene(rng, occupied):
    """Empty background, with structure in the first `occupied` columns."""
    y, x = np.indices((512, occupied))
    light = np.full((512, 512), 100.0)
    light[:, :occupied] += 400 * (1 + np.sin(x / 5) * np.sin(y / 5))
    return rng.poisson(light).astype(np.float32)


@pytest.mark.parametrize(
    ("occupied", "least", "most"),
    [(0, 3.0, 9.0), (64, 2.0, 4.0), (512, 1.0, 1.0)],
    ids=["empty", "sparse", "dense"],
)
def test_adaptive_compute_costs_less_and_changes_nothing_that_counts(
    filter_model, rng, occupied, least, most
):
    """All-tiled over adaptive, in pixels that the network computes; difference at most 0.1 % of the scale, rms."""
    frame = _scene(rng, occupied)
    normaliser = Normaliser.calibrate("noise", [_scene(rng, 128) for _ in range(3)])
    metadata = {**normaliser.to_metadata(), "stride": "8", "receptive_field": "8"}
    kernel = np.full((3, 3), 0.05)
    kernel[1, 1] = 0.6
    path = filter_model(kernel, metadata=metadata)
    computed = []
    found = []
    for adaptive in (True, False):
        denoiser = Denoiser(path, TilingSettings(tile=64, overlap=0.5, adaptive=adaptive), RUNTIME)
        run = denoiser._runtime.run
        sizes = []
        denoiser._runtime.run = lambda batch, run=run, sizes=sizes: (sizes.append(batch.size), run(batch))[1]
        found.append(denoiser.denoise(frame))
        computed.append(sum(sizes))
    assert least <= computed[1] / computed[0] <= most
    assert np.sqrt(np.mean((found[0] - found[1]) ** 2)) <= 1e-3 * normaliser.stream.scale


@pytest.mark.parametrize("text", ["-3", "wide", "1.5"])
def test_an_impossible_receptive_field_is_refused(filter_model, text):
    metadata = {**Denoiser(filter_model(), TILES, RUNTIME).metadata, "receptive_field": text}
    with pytest.raises(ModelError, match="receptive_field"):
        Denoiser(filter_model(metadata=metadata), TILES, RUNTIME)


def test_stages_are_told_in_order(filter_model, rng):
    stages = []
    denoiser = Denoiser(filter_model(receptive_field=0), TILES, RUNTIME, stages.append)
    denoiser.warm_up((64, 64))
    assert stages == []
    denoiser.denoise(rng.normal(100, 10, (64, 64)).astype(np.float32))
    assert stages == ["normalise", "network", "assemble", "assemble"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("rule", ["stream", "image", "patch", "noise"])
def test_a_bad_pixel_does_not_spread(filter_model, rng, bad, rule):
    frame = rng.normal(100, 10, (128, 128)).astype(np.float32)
    denoiser = Denoiser(filter_model(MEAN, rule=rule), TILES, RUNTIME)
    reference = denoiser.denoise(frame)
    frame[40, 50] = bad
    result = denoiser.denoise(frame)
    assert np.isfinite(result).all()
    if rule == "stream":
        far = np.ones(frame.shape, bool)
        far[38:43, 48:53] = False
        np.testing.assert_allclose(result[far], reference[far], atol=1e-3)
    if not np.isfinite(bad) and rule == "stream":
        assert abs(result[40, 50] - 100) < 15


def test_a_frame_without_one_finite_pixel_gives_finite_output(filter_model):
    result = Denoiser(filter_model(MEAN), TILES, RUNTIME).denoise(np.full((64, 64), np.nan, np.float32))
    assert np.isfinite(result).all()


def test_the_frame_itself_is_not_changed(filter_model, rng):
    frame = rng.normal(100, 10, (128, 128)).astype(np.float32)
    copy = frame.copy()
    frame.flags.writeable = False
    Denoiser(filter_model(MEAN), TILES, RUNTIME).denoise(frame)
    np.testing.assert_array_equal(frame, copy)


def test_non_contiguous_and_byte_swapped_frames(filter_model, rng):
    frame = rng.integers(0, 1000, (128, 128)).astype(np.uint16)
    denoiser = Denoiser(filter_model(MEAN), TILES, RUNTIME)
    np.testing.assert_allclose(denoiser.denoise(frame[::2].T), denoiser.denoise(frame[::2].T.copy()))
    np.testing.assert_allclose(denoiser.denoise(frame.astype(">u2")), denoiser.denoise(frame))


def test_cast_rounds_and_clips():
    image = np.array([[-3.0, 0.4, 0.6, 254.6, 300.0]], np.float32)
    np.testing.assert_array_equal(Denoiser.cast(image, np.uint8), np.array([[0, 0, 1, 255, 255]], np.uint8))
    np.testing.assert_array_equal(Denoiser.cast(image, "int16"), np.array([[-3, 0, 1, 255, 300]], np.int16))
    assert Denoiser.cast(image, np.float32) is image
    assert Denoiser.cast(np.array([[7e4]], np.float32), np.uint16)[0, 0] == 65535


def test_what_the_model_file_says_is_passed_on(filter_model):
    denoiser = Denoiser(filter_model(stream=StreamScale(7.0, 3.0, 0.5)), TILES, RUNTIME)
    assert denoiser.provider == "cpu"
    assert len(denoiser.model_id) == 12
    assert denoiser.normaliser.stream == StreamScale(7.0, 3.0, 0.5)
    assert denoiser.metadata["normalisation"] == "stream"


@pytest.mark.parametrize("stride", ["0", "eight", ""])
def test_a_model_without_stride_or_scale_is_refused(filter_model, stride):
    with pytest.raises(ModelError, match=r"model\.onnx.*normalisation"):
        Denoiser(filter_model(metadata={}), TILES, RUNTIME)
    metadata = {**Denoiser(filter_model(), TILES, RUNTIME).metadata, "stride": stride}
    with pytest.raises(ModelError, match="stride"):
        Denoiser(filter_model(metadata=metadata), TILES, RUNTIME)


def test_a_volume_is_refused(filter_model):
    with pytest.raises(ModelError, match="plane by plane"):
        Denoiser(filter_model(), TILES, RUNTIME).denoise(np.zeros((3, 64, 64), np.uint8))
