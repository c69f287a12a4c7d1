"""The watched folder on Micro-Manager's image files."""

import gzip
import io
import json
import time

import numpy as np
import pytest
import tifffile
from watched_folder import once, watching

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(1, 5000, (12, 48, 64)).astype(np.uint16)


def save_as_micro_manager(path, image, said, byteorder=">"):
    """Micro-Manager's separate image files go through ImageJ's FileSaver: metadata as info text, pixels last."""
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, image, imagej=True, byteorder=byteorder, metadata={"Info": json.dumps(said)})


@pytest.mark.parametrize("byteorder", [">", "<"])
def test_micro_manager_2_image_files_tell_all_they_know(tmp_path, byteorder):
    """Channel names come from metadata.txt, which is open until the end; the rest from the images themselves."""
    folder = tmp_path / "run_1" / "Pos0"
    said = {
        "PixelSizeUm": 0.11,
        "Exposure-ms": 20,
        "Camera": "Andor",
        "ReceivedTime": "2026-11-20 19:21:22.009 +0100",
        "ElapsedTime-ms": 1500.5,
    }
    with watching(tmp_path) as sink:
        folder.mkdir(parents=True)
        summary = json.dumps({"ChNames": ["DAPI", "FITC"], "Slices": 1}, indent=2)
        (folder / "metadata.txt").write_text('{\n"Summary": ' + summary + ',\n"Coords-img": {')
        for number in range(6):
            t, c = divmod(number, 2)
            name = f"img_channel{c:03d}_position000_time{t:09d}_z000.tif"
            save_as_micro_manager(folder / name, FRAMES[number], said, byteorder)
            sink.wait_frames(number + 1)
    assert sink.keys == [(t, c, 0, 0) for t in range(3) for c in range(2)]
    assert sink.series[-1].channels == ("DAPI", "FITC")
    assert sink.series[0].pixel_size_um == 0.11
    frame = sink.frames[3]
    np.testing.assert_array_equal(frame.pixels, FRAMES[3])
    assert frame.exposure_ms == 20
    assert frame.metadata["camera"] == "Andor"
    assert frame.metadata["elapsed_ms"] == 1500.5
    assert frame.metadata["taken_ns"] == 1795198882009000000
    assert not sink.rejected


def test_micro_manager_14_image_files_tell_all_they_know(tmp_path):
    said = {"PixelSizeUm": 0.5, "Exposure-ms": 7, "Channel": "Cy5", "FrameIndex": 9, "SliceIndex": 9}
    for position in ("1-Pos_000_000", "1-Pos_000_001"):
        for t in range(2):
            path = tmp_path / position / f"img_{t:09d}_Cy5_000.tif"
            save_as_micro_manager(path, FRAMES[t], said)
    sink = once(tmp_path)
    assert sink.keys == [(t, 0, 0, p) for p in range(2) for t in range(2)]
    assert sink.series[0].channels == ("Cy5",)
    assert sink.series[0].pixel_size_um == 0.5
    assert sink.frames[0].exposure_ms == 7


def test_info_of_other_programs_means_nothing(tmp_path):
    save_as_micro_manager(
        tmp_path / "cell.tif", FRAMES[0], {"FrameIndex": 3, "Exposure-ms": 7, "Axes": {"q": 3}}
    )
    save_as_micro_manager(tmp_path / "stack.tif", FRAMES[1:4], {"FrameIndex": 3})
    sink = once(tmp_path)
    assert sink.keys == [(0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 2, 0, 0)]
    assert sink.frames[0].exposure_ms is None


@pytest.mark.realdata
def test_micro_manager_stacks_replayed_as_they_are_written(tmp_path, data_dir):
    """A preallocated stack, page by page: each image counts once its metadata, written last, are there."""
    packed = data_dir / "micromanager" / "MM14_ometiff_4pos_T2Z2C2"
    names = sorted(path.name.removesuffix(".gz") for path in packed.glob("*.gz"))
    data = {name: gzip.decompress((packed / f"{name}.gz").read_bytes()) for name in names}
    pages = {}
    for name in names:
        with tifffile.TiffFile(io.BytesIO(data[name])) as tif:
            pages[name] = [
                (p.offset, p.tags[51123].valueoffset + p.tags[51123].count, p.asarray()) for p in tif.pages
            ]
    with watching(tmp_path) as sink:
        done = 0
        for name in names[:2]:
            with (tmp_path / name).open("wb", buffering=0) as file:
                # Until the stack is closed, the link of its last page leads to zeros.
                file.truncate(len(data[name]))
                file.write(data[name][: pages[name][0][0]])
                for number, (start, end, _) in enumerate(pages[name]):
                    middle = (start + end) // 2
                    file.seek(start)
                    file.write(data[name][start:middle])
                    time.sleep(0.03)
                    assert len(sink.frames) == done
                    file.write(data[name][middle:end])
                    done += 1
                    sink.wait_frames(done)
                    assert sink.frames[-1].metadata["page"] == number
                file.seek(0)
                file.write(data[name])
        time.sleep(0.3)
    assert len(sink.frames) == done == len(set(sink.keys))
    for frame in sink.frames:
        np.testing.assert_array_equal(frame.pixels, pages[frame.metadata["name"]][frame.metadata["page"]][2])
    assert {key[:3] for key in sink.keys} == {(t, c, z) for t in range(2) for c in range(2) for z in range(2)}
    assert sink.series[-1].channels == ("Cy5", "DAPI")
    assert sink.frames[0].exposure_ms == 25
    assert not sink.rejected
