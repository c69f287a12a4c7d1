"""The store: layout, durability, growth, metadata, and what outside readers make of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaozarrs
import zarr

from quietscope.adapters.frame import SUPPORTED_DTYPES, FrameKey, Series
from quietscope.adapters.ome_zarr import KINDS, StoreReader, StoreWriter, image_path
from quietscope.adapters.ome_zarr.layout import level_sizes
from quietscope.adapters.ome_zarr.pyramid import halve
from quietscope.config import FrameError, StoreError
from quietscope.config.system import StoreSettings


def series(height=40, width=56, dtype="uint16", channels=("GFP",), **more) -> Series:
    return Series(height, width, dtype, channels, "test", **more)


def plane(seed: int, height=40, width=56, dtype="uint16") -> np.ndarray:
    counts = np.random.default_rng(seed).poisson(100, (height, width))
    return counts.astype(dtype) if dtype != "float32" else (counts + 0.25).astype(dtype)


def root(path: Path) -> dict:
    return json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
@pytest.mark.parametrize(
    ("height", "width"),
    [
        (40, 56),  # one chunk per plane
        (512, 512),  # exactly one chunk
        (513, 700),  # odd sides, shard larger than the plane
        (33, 1100),  # long and thin
    ],
)
def test_written_planes_read_back_equal_here_and_in_zarr_python(tmp_path, dtype, height, width):
    writer = StoreWriter(tmp_path, series(height, width, dtype), StoreSettings(sync=False))
    reader = StoreReader(tmp_path)
    planes = [plane(seed, height, width, dtype) for seed in range(3)]
    for t, pixels in enumerate(planes):
        writer.write("raw", FrameKey(t), pixels)
        writer.write("denoised", FrameKey(t), pixels[::-1].copy())
        assert np.array_equal(reader.read("raw", FrameKey(t)), pixels)
    writer.finish(2)
    group = zarr.open_group(writer.path, mode="r")
    for t, pixels in enumerate(planes):
        assert np.array_equal(group["raw/0"][t, 0, 0], pixels)
        assert np.array_equal(group["denoised/0"][t, 0, 0], pixels[::-1])
    assert group["raw/0"].dtype == np.dtype(dtype)
    assert group["raw/0"].metadata.dimension_names == ("t", "c", "z", "y", "x")
    levels = level_sizes(height, width)
    assert sorted(group["raw"].array_keys()) == [str(level) for level in range(len(levels))]
    for level in range(1, len(levels)):
        coarse = halve(group[f"raw/{level - 1}"][2, 0, 0])
        assert coarse.shape == levels[level]
        assert np.array_equal(group[f"raw/{level}"][2, 0, 0], coarse)


@pytest.mark.parametrize(("side", "shards"), [(512, False), (600, True)])
def test_a_plane_is_one_file_and_has_a_shard_only_if_it_needs_one(tmp_path, side, shards):
    writer = StoreWriter(tmp_path, series(side, side), StoreSettings(sync=False))
    for t in range(5):
        writer.write("raw", FrameKey(t), plane(t, side, side))
    assert len(files_below(writer.path / "raw" / "0" / "c")) == 5
    codecs = json.loads((writer.path / "raw" / "0" / "zarr.json").read_text())["codecs"]
    assert (codecs[0]["name"] == "sharding_indexed") is shards
    inner = codecs[0]["configuration"]["codecs"] if shards else codecs
    assert inner[1]["configuration"] | {"typesize": 2} == {
        "cname": "zstd",
        "clevel": 1,
        "shuffle": "bitshuffle",
        "typesize": 2,
        "blocksize": 0,
    }


@pytest.mark.parametrize("codec", ["blosc-zstd", "blosc-lz4", "none"])
def test_every_codec_is_lossless(tmp_path, codec):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False, codec=codec))
    writer.write("raw", FrameKey(0), plane(0))
    assert np.array_equal(zarr.open_group(writer.path, mode="r")["raw/0"][0, 0, 0], plane(0))


def test_store_validates_at_every_moment_of_a_run(tmp_path):
    writer = StoreWriter(tmp_path, series(600, 520, pixel_size_um=0.065), StoreSettings(sync=False))
    yaozarrs.validate_zarr_store(str(writer.path))
    keys = [
        FrameKey(0),
        FrameKey(1),
        FrameKey(1, c=1),
        FrameKey(70),
        FrameKey(71, c=2, z=1),
        FrameKey(0, p=1),
    ]
    for key in keys:
        writer.write("raw", key, plane(key.t, 600, 520))
        yaozarrs.validate_zarr_store(str(writer.path))
    writer.write("denoised", FrameKey(0), plane(0, 600, 520))
    writer.set_channels(("GFP", "RFP", "DAPI", "later"))
    yaozarrs.validate_zarr_store(str(writer.path))
    writer.finish({0: 71, 1: 0}, interval_s=1.5)
    for image in (writer.path, image_path(tmp_path, 1)):
        yaozarrs.validate_zarr_store(str(image))
        for kind in KINDS:
            yaozarrs.validate_zarr_store(str(image / kind))
    group = zarr.open_group(writer.path, mode="r")
    assert group["raw/0"].shape == group["denoised/0"].shape == (72, 4, 2, 600, 520)
    assert group["raw/1"].shape == (72, 4, 2, 300, 260)
    assert zarr.open_group(image_path(tmp_path, 1), mode="r")["raw/0"].shape[0] == 1


def test_an_empty_store_validates(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings())
    writer.finish(-1)
    yaozarrs.validate_zarr_store(str(writer.path))
    assert zarr.open_group(writer.path, mode="r")["raw/0"].shape == (0, 1, 1, 40, 56)


def test_metadata_say_names_sizes_times_and_display_ranges(tmp_path):
    writer = StoreWriter(
        tmp_path, series(600, 520, channels=("GFP", "RFP"), pixel_size_um=0.065), StoreSettings(sync=False)
    )
    pixels = np.full((600, 520), 100, "uint16")
    pixels[:300] = 300
    writer.write("raw", FrameKey(0, c=1), pixels)
    writer.write("raw", FrameKey(1, c=1), pixels * 3)
    assert root(writer.path)["quietscope"]["complete"] is False
    writer.finish(1, interval_s=2.5)
    attributes = root(writer.path)
    assert attributes["quietscope"]["complete"] is True
    ome = attributes["ome"]
    assert [scale["name"] for scale in ome["multiscales"]] == ["raw", "denoised"]
    assert [dataset["path"] for dataset in ome["multiscales"][1]["datasets"]] == ["denoised/0", "denoised/1"]
    units = [axis.get("unit") for axis in ome["multiscales"][0]["axes"]]
    assert units == ["second", None, None, "micrometer", "micrometer"]
    fine, coarse = (d["coordinateTransformations"] for d in ome["multiscales"][0]["datasets"])
    assert fine == [{"type": "scale", "scale": [2.5, 1.0, 1.0, 0.065, 0.065]}]
    assert coarse[0]["scale"] == [2.5, 1.0, 1.0, 0.13, 0.13]
    assert coarse[1] == {"type": "translation", "translation": [0.0, 0.0, 0.0, 0.0325, 0.0325]}
    first, second = ome["omero"]["channels"]
    assert (first["label"], second["label"]) == ("GFP", "RFP")
    assert first["color"] != second["color"]
    assert first["window"] == {"min": 0.0, "max": 65535.0, "start": 0.0, "end": 65535.0}
    # The first frame of a channel sets its range, later frames do not change it.
    assert (second["window"]["start"], second["window"]["end"]) == (100.0, 300.0)


def test_unknown_sizes_have_no_unit(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    scale = root(writer.path)["ome"]["multiscales"][0]
    assert all("unit" not in axis for axis in scale["axes"])
    assert scale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0] * 5


def test_planned_lengths_shape_the_images_from_the_start(tmp_path):
    writer = StoreWriter(tmp_path, series(planned={"t": 100, "c": 2, "z": 3}), StoreSettings(sync=False))

    def shape():
        return zarr.open_group(writer.path, mode="r")["raw/0"].shape[:3]

    assert shape() == (64, 2, 3)
    writer.write("raw", FrameKey(64), plane(0))
    assert shape() == (100, 2, 3)
    writer.write("raw", FrameKey(100), plane(0))
    assert shape() == (128, 2, 3)


def test_threads_write_at_once_while_the_images_grow(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    reader = StoreReader(tmp_path)
    keys = [FrameKey(t, c, 0, p) for t in range(0, 200, 3) for c in range(3) for p in range(2)]

    def write(item):
        number, key = item
        writer.write("raw", key, plane(number))
        return np.array_equal(reader.read("raw", key), plane(number))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, enumerate(keys)))
    assert all(np.array_equal(StoreReader(tmp_path).read("raw", k), plane(n)) for n, k in enumerate(keys))


def test_a_plane_that_was_never_written_is_told_from_a_black_one(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    reader = StoreReader(tmp_path)
    writer.write("raw", FrameKey(1), np.zeros((40, 56), "uint16"))
    assert not reader.read("raw", FrameKey(1)).any()
    for key in (FrameKey(0), FrameKey(500), FrameKey(1, c=3), FrameKey(1, p=1), FrameKey(-1)):
        with pytest.raises(StoreError, match=f"raw {key} is not in the store"):
            reader.read("raw", key)
    with pytest.raises(StoreError, match="denoised t1 c0 z0 p0 is not in the store"):
        reader.read("denoised", FrameKey(1))
    writer.write("raw", FrameKey(0), plane(0))
    assert np.array_equal(reader.read("raw", FrameKey(0)), plane(0))


def test_a_store_is_never_overwritten_and_none_is_made_up(tmp_path):
    with pytest.raises(StoreError, match="no image store"):
        StoreReader(tmp_path)
    with pytest.raises(StoreError, match="no image store"):
        StoreWriter(tmp_path, series(), StoreSettings(), resume=True)
    StoreWriter(tmp_path, series(), StoreSettings())
    with pytest.raises(StoreError, match=r"exists already.*--name"):
        StoreWriter(tmp_path, series(), StoreSettings())


def test_a_store_is_resumed_with_all_it_knew(tmp_path):
    first = StoreWriter(tmp_path, series(channels=("GFP", "RFP")), StoreSettings(sync=False))
    for key in (FrameKey(0), FrameKey(70, c=2), FrameKey(3, p=1)):
        first.write("raw", key, plane(key.t))
    before = root(first.path)["ome"]
    first.finish({0: 70, 1: 3})
    second = StoreWriter(tmp_path, series(channels=("GFP", "RFP")), StoreSettings(sync=False), resume=True)
    assert root(second.path)["ome"] == before
    assert root(second.path)["quietscope"]["complete"] is False
    second.write("denoised", FrameKey(70, c=2), plane(5))
    second.write("denoised", FrameKey(3, p=1), plane(6))
    second.write("raw", FrameKey(80), plane(80))
    second.finish(80)
    reader = StoreReader(tmp_path)
    assert np.array_equal(reader.read("raw", FrameKey(70, c=2)), plane(70))
    assert np.array_equal(reader.read("denoised", FrameKey(70, c=2)), plane(5))
    assert np.array_equal(reader.read("denoised", FrameKey(3, p=1)), plane(6))
    yaozarrs.validate_zarr_store(str(second.path))


def test_what_a_crash_left_of_an_unfinished_image_is_no_obstacle(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    writer.write("raw", FrameKey(0, p=2), plane(2))
    left = tmp_path / ".image_p001.ome.zarr.partial"
    (left / "raw").mkdir(parents=True)
    resumed = StoreWriter(tmp_path, series(), StoreSettings(sync=False), resume=True)
    assert sorted(path.name for path in tmp_path.glob("image*")) == ["image.ome.zarr", "image_p002.ome.zarr"]
    resumed.write("raw", FrameKey(0, p=1), plane(1))
    assert not left.exists()
    for position in (1, 2):
        assert np.array_equal(StoreReader(tmp_path).read("raw", FrameKey(0, p=position)), plane(position))


def test_wrong_planes_are_refused(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    with pytest.raises(FrameError, match=r"\(56, 40\)") as caught:
        writer.write("raw", FrameKey(0), np.zeros((56, 40), "uint16"))
    assert caught.value.reason == "shape"
    with pytest.raises(FrameError, match="float64") as caught:
        writer.write("raw", FrameKey(0), np.zeros((40, 56)))
    assert caught.value.reason == "dtype"
    with pytest.raises(StoreError, match="negative"):
        writer.write("raw", FrameKey(-1), plane(0))
    with pytest.raises(StoreError, match="'preview'"):
        writer.write("preview", FrameKey(0), plane(0))
    assert files_below(writer.path / "raw" / "0") == [writer.path / "raw" / "0" / "zarr.json"]


FILL_A_SMALL_DISK = """
    import errno, sys
    from pathlib import Path
    import numpy as np
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.ome_zarr import StoreReader, StoreWriter
    from quietscope.config import StoreError
    from quietscope.config.system import StoreSettings

    run = Path(sys.argv[1])
    writer = StoreWriter(run, Series(256, 256, "uint16", ("a",), "test"), StoreSettings(codec="none"))
    try:
        for t in range(100):
            writer.write("raw", FrameKey(t), np.full((256, 256), t, "uint16"))
    except StoreError as error:
        assert error.errno == errno.ENOSPC, error
        for s in range(t):
            assert (StoreReader(run).read("raw", FrameKey(s)) == s).all()
        print(t, error)
"""


def test_a_full_disk_is_named_with_what_is_free_and_spoils_nothing(tmp_path):
    # A disk of 2 MB, mounted where only this child sees it.
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"', str(tmp_path)]
    if (
        not shutil.which("unshare")
        or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a file system (unshare)")
    command = [*mount, sys.executable, "-c", textwrap.dedent(FILL_A_SMALL_DISK), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stored, message = done.stdout.split(maxsplit=1)
    # 131 kB each, and the metadata.
    assert 10 <= int(stored) <= 15
    assert re.search(r"Cannot write raw t\d+ c0 z0 p0: the disk of .* is full \(0\.\d MB free\)", message)
    assert "Errno" not in message
    assert "--out" in message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="writable"):
        StoreWriter(tmp_path, series(), StoreSettings())


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "run").write_text("a file where the run folder should be")
    with pytest.raises(StoreError, match=r"Cannot create the image in .*run"):
        StoreWriter(tmp_path / "run", series(), StoreSettings())


@pytest.mark.parametrize(
    ("block", "dtype", "mean"),
    [
        ([[1, 2], [2, 1]], "uint8", 2),  # 1.5 up
        ([[255, 255], [255, 255]], "uint8", 255),  # no overflow
        ([[65535, 65535], [65535, 65534]], "uint16", 65535),
        ([[-1, -2], [-2, -1]], "int16", -1),  # -1.5 up
        ([[-32768, -32768], [-32768, -32768]], "int16", -32768),
        ([[1, 2], [2, 1]], "float32", 1.5),
    ],
)
def test_halving_rounds_half_up_and_never_overflows(block, dtype, mean):
    result = halve(np.array(block, dtype))
    assert result.dtype == np.dtype(dtype)
    assert result.tolist() == [[mean]]


@pytest.mark.parametrize("height", [41, 201])  # one band and several
def test_halving_is_the_mean_of_blocks_and_leaves_out_an_odd_edge(height):
    pixels = plane(0, height, 57, "float32")
    blocks = pixels[: height - 1, :56].astype(float).reshape(-1, 2, 28, 2).mean(axis=(1, 3))
    assert np.allclose(halve(pixels), blocks, rtol=1e-6, atol=0)


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_that_fails_fails_the_plane_which_can_be_written_again(tmp_path, level):
    writer = StoreWriter(tmp_path, series(600, 40), StoreSettings(sync=False))
    pixels = plane(0, 600, 40)
    in_the_way = writer.path / "raw" / str(level) / "c"
    in_the_way.write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"Cannot write raw t0 c0 z0 p0"):
        writer.write("raw", FrameKey(0), pixels)
    in_the_way.unlink()
    writer.write("raw", FrameKey(0), pixels)
    reader = StoreReader(tmp_path)
    assert np.array_equal(reader.read("raw", FrameKey(0)), pixels)
    assert np.array_equal(reader.read("raw", FrameKey(0), 1), halve(pixels))


@pytest.mark.parametrize(
    ("size", "levels"),
    [((512, 512), 1), ((513, 4), 2), ((2048, 2048), 3), ((1, 4000), 1), ((3, 4000), 2), ((40, 56), 1)],
)
def test_levels_end_when_the_longer_side_is_512_or_the_shorter_is_gone(size, levels):
    assert len(level_sizes(*size)) == levels


WRITE_UNTIL_KILLED = """
    import sys, threading
    from pathlib import Path
    import numpy as np
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.ome_zarr import StoreWriter
    from quietscope.config.system import StoreSettings

    side = int(sys.argv[2])
    writer = StoreWriter(Path(sys.argv[1]), Series(side, side, "uint16", ("a",), "test"), StoreSettings())

    def write(c):
        for t in range(100_000):
            pixels = np.random.default_rng([t, c]).integers(0, 4000, (side, side), "uint16")
            writer.write("raw", FrameKey(t, c), pixels)
            sys.stdout.write(f"{t} {c}\\n")
            sys.stdout.flush()

    for c in range(2):
        threading.Thread(target=write, args=(c,), daemon=True).start()
    threading.Event().wait()
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize(("side", "count"), [(64, 150), (700, 12)])
def test_kill_9_in_mid_write_loses_no_plane_that_was_returned(tmp_path, side, count):
    command = [sys.executable, "-c", textwrap.dedent(WRITE_UNTIL_KILLED), str(tmp_path), str(side)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(count)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    keys = [tuple(map(int, line.split())) for line in lines if len(line.split()) == 2]
    assert len(keys) >= count - 1
    yaozarrs.validate_zarr_store(str(image_path(tmp_path)))
    reader = StoreReader(tmp_path)
    for t, c in keys:
        expected = np.random.default_rng([t, c]).integers(0, 4000, (side, side), "uint16")
        assert np.array_equal(reader.read("raw", FrameKey(t, c)), expected)
    # The run goes on where it was.
    resumed = StoreWriter(
        tmp_path, Series(side, side, "uint16", ("a",), "test"), StoreSettings(sync=False), resume=True
    )
    resumed.finish(max(t for t, _ in keys))
    yaozarrs.validate_zarr_store(str(resumed.path))


def test_memory_does_not_grow_with_the_number_of_planes(tmp_path):
    writer = StoreWriter(tmp_path, series(256, 256), StoreSettings(sync=False))
    reader = StoreReader(tmp_path)
    pixels = plane(0, 256, 256)

    def work(times):
        for t in times:
            writer.write("raw", FrameKey(t), pixels)
            reader.read("raw", FrameKey(t))
        return psutil.Process().memory_info().rss

    before = work(range(100))
    # 600 further planes are 79 MB, and reading them as much again.
    assert work(range(100, 700)) - before < 20e6


def test_no_thread_of_ours_is_left(tmp_path):
    before = threading.active_count()
    writer = StoreWriter(tmp_path, series(), StoreSettings())
    writer.write("raw", FrameKey(0), plane(0))
    assert threading.active_count() == before


OPEN_IN_NAPARI = """
    import sys
    from napari_ome_zarr import napari_get_reader
    for path in sys.argv[1:]:
        [(data, meta, kind)] = napari_get_reader(path)(path)
        levels = [level.shape for level in data]
        print("layers", kind, levels, meta["name"], int(data[0][1, 0, 0].sum().compute()), meta["contrast_limits"])
"""


def test_napari_opens_the_store_during_and_after_a_run(tmp_path):
    python = os.environ.get("QUIETSCOPE_NAPARI_PYTHON", sys.executable)
    probe = subprocess.run([python, "-c", "import napari_ome_zarr"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"napari-ome-zarr is not installed for {python} (set QUIETSCOPE_NAPARI_PYTHON)")
    writer = StoreWriter(tmp_path, series(600, 520, channels=("GFP", "RFP")), StoreSettings(sync=False))
    pixels = np.full((600, 520), 100, "uint16")
    pixels[0] = 1
    for t in range(2):
        writer.write("raw", FrameKey(t), pixels)
        writer.write("denoised", FrameKey(t), pixels + 1)

    def layers():
        paths = [str(writer.path), str(writer.path / "raw"), str(writer.path / "denoised")]
        command = [python, "-c", textwrap.dedent(OPEN_IN_NAPARI), *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line.startswith("layers")]

    total, ranges = int(pixels.sum()), "[[1.0, 100.0], [0.0, 65535.0]]"
    for length in (64, 2):
        levels = f"image [({length}, 2, 1, 600, 520), ({length}, 2, 1, 300, 260)]"
        raw = f"layers {levels} ['raw: GFP', 'raw: RFP'] {total} {ranges}"
        denoised = f"layers {levels} ['denoised: GFP', 'denoised: RFP'] {total + 600 * 520} {ranges}"
        assert layers() == [raw, raw, denoised]
        writer.finish(1)


def test_trust_maps_are_an_image_beside_the_others(tmp_path):
    writer = StoreWriter(tmp_path, series(600, 520), StoreSettings(sync=False))
    reader = StoreReader(tmp_path)
    writer.write("raw", FrameKey(0), plane(0, 600, 520))
    assert not (writer.path / "trust").exists()
    trust = plane(1, 600, 520, "uint8")
    writer.write("trust", FrameKey(0), trust)
    writer.write("trust", FrameKey(70, 1), trust)
    writer.finish(70)
    assert np.array_equal(reader.read("trust", FrameKey(0)), trust)
    assert np.array_equal(reader.read("trust", FrameKey(70, 1), 1), halve(trust))
    group = zarr.open_group(writer.path, mode="r")
    assert group["trust/0"].dtype == np.uint8
    assert group["trust/0"].shape == group["raw/0"].shape == (71, 2, 1, 600, 520)
    yaozarrs.validate_zarr_store(str(writer.path))
    yaozarrs.validate_zarr_store(str(writer.path / "trust"))
    with pytest.raises(FrameError, match="uint8"):
        writer.write("trust", FrameKey(1), plane(1, 600, 520))


def test_trust_goes_on_in_a_store_that_is_opened_again(tmp_path):
    writer = StoreWriter(tmp_path, series(), StoreSettings(sync=False))
    writer.write("raw", FrameKey(0), plane(0))
    half_made = writer.path / ".trust.partial"
    (half_made / "0").mkdir(parents=True)
    again = StoreWriter(tmp_path, series(), StoreSettings(sync=False), resume=True)
    again.write("trust", FrameKey(0), plane(1, dtype="uint8"))
    assert not half_made.exists()
    last = StoreWriter(tmp_path, series(), StoreSettings(sync=False), resume=True)
    last.write("trust", FrameKey(1), plane(2, dtype="uint8"))
    last.finish(1)
    reader = StoreReader(tmp_path)
    assert np.array_equal(reader.read("trust", FrameKey(0)), plane(1, dtype="uint8"))
    assert np.array_equal(reader.read("trust", FrameKey(1)), plane(2, dtype="uint8"))
