"""The index of a data set in every state in which a reader may find it."""

import itertools
import struct

import ndtiff_writer as writers
import pytest

from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.ndtiff import IndexTail, is_stack
from quietscope.adapters.ndtiff.stacks import next_stack
from quietscope.adapters.timeline import Timeline


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A whole index with sixty entries, one of which lies on the border of two pages."""
    folder = tmp_path_factory.mktemp("set")
    writer = writers.JavaWriter(folder, big_index=False)
    for number, axes in writers.images(60, channels=2):
        writer.image(axes, writers.pixels(number, size=8), {"Axes": axes, "said": 700 * "x"})
    writer.finish()
    return (folder / "NDTiff.index").read_bytes()


def test_every_entry_once_while_the_file_grows_byte_by_byte(tmp_path, index):
    path = tmp_path / "NDTiff.index"
    path.write_bytes(index)
    expected = IndexTail(path).poll()
    assert [dict(entry.axes) for entry in expected] == [axes for _, axes in writers.images(60, channels=2)]
    path.unlink()
    tail, found = IndexTail(path), []
    with pytest.raises(FileNotFoundError):
        tail.poll()
    for end in [*range(180), *range(180, len(index), 61), len(index)]:
        path.write_bytes(index[:end])
        found += tail.poll()
        assert "byte" not in tail.problem
        assert not tail.preallocated
    assert found == expected
    assert tail.poll() == []


def test_every_entry_once_among_zeros_though_a_page_comes_late(tmp_path, index):
    path = tmp_path / "NDTiff.index"
    path.write_bytes(index)
    expected = IndexTail(path).poll()
    zeros = bytes(2 * len(index))
    starts = [0]
    while starts[-1] < len(index):
        (axes,) = struct.unpack_from("<I", index, starts[-1])
        (name,) = struct.unpack_from("<I", index, starts[-1] + 4 + axes)
        starts.append(starts[-1] + 8 + axes + name + 32)
    start, stop = max((a, b) for a, b in itertools.pairwise(starts) if b <= 4096)
    # The border of the pages lies at every place of one entry in turn.
    for shift in [*range(4096 - stop + 1, 4096 - stop + 34), *range(4096 - stop + 34, 4096 - start, 9)]:
        whole = _longer_first_name(index, shift)
        tail, found = IndexTail(path), []
        for until in (start + shift, 4096, stop + shift, stop + shift, len(whole)):
            path.write_bytes(whole[:until] + zeros)
            found += tail.poll()
            assert tail.preallocated
        assert [entry.offset for entry in found] == [entry.offset for entry in expected]
        assert [entry.metadata_length for entry in found] == [entry.metadata_length for entry in expected]


def _longer_first_name(index, by):
    """The index with a longer first file name, so that everything behind it moves."""
    (axes,) = struct.unpack_from("<I", index)
    (name,) = struct.unpack_from("<I", index, 4 + axes)
    head, rest = index[: 4 + axes], index[8 + axes :]
    return head + struct.pack("<I", name + by) + b"x" * by + rest


def test_a_damaged_entry_is_named_with_its_place(tmp_path, index):
    path = tmp_path / "NDTiff.index"
    path.write_bytes(index + b"\xff\xff\xff\xff")
    tail = IndexTail(path)
    assert len(tail.poll()) == 60
    assert f"at byte {len(index)}" in tail.problem
    path.write_bytes(index.replace(b"cell_", b"../x_"))
    tail = IndexTail(path)
    assert tail.poll() == []
    assert "outside the data set" in tail.problem


def test_names_of_stacks():
    assert is_stack("NDTiffStack.tif")
    assert is_stack("a_b_NDTiffStack_12.tif")
    assert not is_stack("NDTiffStackx.tif")
    assert not is_stack("cellNDTiffStack.tif")
    assert next_stack("cell_NDTiffStack.tif") == "cell_NDTiffStack_1.tif"
    assert next_stack("NDTiffStack_9.tif") == "NDTiffStack_10.tif"


def test_time_points_of_several_origins_never_meet():
    timeline = Timeline()
    assert [timeline.place("a", t) for t in (0, 1, 2)] == [0, 1, 2]
    assert [timeline.place("b", t) for t in (0, 1, 0)] == [3, 4, 3]
    assert timeline.place("a", 3) == 5
    assert timeline.place("b", 2) == 6
    again = Timeline()
    for origin, t, place in (("a", 0, 0), ("b", 0, 3), ("b", 1, 4), ("a", 3, 5)):
        again.restore(origin, t, place)
    assert again.place("b", 1) == 4
    assert len({again.place(origin, t) for origin in "ab" for t in range(8)}) == 16


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ({}, MMFacts()),
        (
            {"Exposure": "10.5", "PixelSizeUm": 0, "PixelSize_um": 1},
            MMFacts(exposure_ms=10.5, pixel_size_um=1.0),
        ),
        ({"Core-Camera": "A", "Camera": ""}, MMFacts(camera="A")),
        ({"Multi-CameraChannelIndex": "1"}, MMFacts(camera_channel=1)),
        (
            {
                "Camera": "A",
                "A-Binning": "2",
                "Binning": "1",
                "A-Gain": 3,
                "B-Gain": 4,
                "TINosePiece-Label": "60x",
            },
            MMFacts(camera="A", mode={"binning": "2", "gain": "3", "objective": "60x"}),
        ),
        ({"Binning": "1", "Objective-Label": "Undefined"}, MMFacts(mode={"binning": "1"})),
        ({"ElapsedTime-ms": 0, "Channel": "DAPI"}, MMFacts(elapsed_ms=0.0, channel="DAPI")),
        ({"Time": "2016-02-11 09:00:16 -0800"}, MMFacts(taken_ns=1455210016 * 10**9)),
        ({"Time": "2022-08-21 13:21:41 -", "ReceivedTime": "nonsense", "Exposure": "nan"}, MMFacts()),
    ],
)
def test_what_micro_manager_says_in_its_many_words(said, facts):
    assert MMFacts.of(said) == facts
