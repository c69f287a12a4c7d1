"""What the fuzzers found: every case here once ended a reader, filled the memory, or went on for ever."""

import struct
import sys
from pathlib import Path

import hostile_ndtiff
import pytest
import tifffile

from quietscope.adapters.folder.contents import Plane, look_into
from quietscope.adapters.folder.readers import read_mm_metadata
from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.ndtiff import IndexEntry, IndexTail, read_image
from quietscope.adapters.ndtiff.unlisted import unlisted_after
from quietscope.config import FrameError, SettingsError
from quietscope.config.loader import load_settings

DEEP = "[" * 100_000
DIGITS = "9" * 5000


@pytest.fixture
def data_set(tmp_path):
    """Two images of a data set, and a way to change what the index says of the first."""

    def make(*, axes=b'{"time": 0}', name=b"cell_NDTiffStack.tif", said=None, summary=None, **numbers):
        writer = hostile_ndtiff.writers.JavaWriter(tmp_path, big_index=False)
        if summary is not None:
            writer.summary = summary
        for number, place in hostile_ndtiff.writers.images(2):
            writer.image(place, hostile_ndtiff.writers.pixels(number, size=8), {"Exposure": 5.0})
        writer.finish()
        index = tmp_path / "NDTiff.index"
        first, second = IndexTail(index).poll()
        fields = {field: getattr(first, field) for field in ("offset", "width", "height", "pixel_type")}
        fields |= {"packed": 0, "place": first.metadata_offset, "length": first.metadata_length, "too": 0}
        if said is not None:
            with (tmp_path / first.file).open("ab") as stack:
                fields |= {"place": stack.tell(), "length": len(said)}
                stack.write(said)
        head = struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
        rest = index.read_bytes()
        rest = rest[rest.index(b'{"time": 1}') - 4 :]
        index.write_bytes(head + struct.pack("<8I", *(fields | numbers).values()) + rest)
        assert second.axes == {"time": 1}
        return hostile_ndtiff.taken_from(tmp_path)

    return make


def test_an_untouched_data_set_is_taken(data_set):
    assert [tuple(frame.key) for frame in data_set().frames] == [(0, 0, 0, 0), (1, 0, 0, 0)]


@pytest.mark.parametrize("number", [4_294_967_295, -7, 10**30])
def test_a_channel_number_that_no_series_has_makes_one_channel(data_set, number):
    kept = data_set(axes=b'{"time": 0, "channel": %d}' % number)
    assert len(kept.frames) == 2
    assert len(kept.channels) <= 2


@pytest.mark.parametrize(
    "said", [DEEP.encode(), b'{"Exposure": 1%s}' % (b"0" * 400), b'{"Camera": "\\ud800"}'], ids=lambda _: ""
)
def test_what_an_image_says_of_itself_never_costs_the_image(data_set, said):
    kept = data_set(said=said)
    assert len(kept.frames) == 2
    assert [frame.metadata.get("camera", "") for frame in kept.frames] == ["", ""]


def test_a_summary_without_end_is_no_summary(data_set):
    assert len(data_set(summary=DEEP.encode()).frames) == 2


@pytest.mark.parametrize(
    "axes", [DEEP[:60_000].encode(), b'{"time": %s}' % DIGITS.encode()], ids=["deep", "digits"]
)
def test_axes_without_end_are_named_as_damage(data_set, axes):
    kept = data_set(axes=axes)
    assert "unreadable axes" in kept.rejected[-1][2]


@pytest.mark.parametrize("name", [b"a\0b.tif", b"C:x.tif", b"..\\x.tif"])
def test_a_stack_of_an_impossible_name_is_never_opened(data_set, name):
    kept = data_set(name=name)
    assert "outside the data set" in kept.rejected[-1][2]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"width": 2**31, "height": 2**31}, "bytes, 1073741824 are allowed"),
        ({"width": 2**14, "height": 2**14}, "same place"),
        ({"offset": 2**32 - 1}, "missing"),
        ({"length": 2**32 - 1}, "metadata are said to have"),
    ],
)
def test_places_and_sizes_that_no_image_has_are_refused_before_memory_is_taken(data_set, numbers, words):
    kept = data_set(**numbers)
    assert [frame.key.t for frame in kept.frames] in ([1], [])
    assert words in kept.rejected[0][2]


def test_a_size_beyond_the_end_of_the_file_is_not_read(tmp_path):
    path = tmp_path / "stack.tif"
    path.write_bytes(b"{}" + bytes(100))
    entry = IndexEntry({}, "stack.tif", 10, 2**14, 2**14, 1, 0, 2)
    with path.open("rb", buffering=0) as file, pytest.raises(FrameError, match="pixels are missing"):
        read_image(file, entry)


def test_a_chain_of_directories_that_leads_back_ends(data_set, tmp_path):
    data_set()
    index, stack = tmp_path / "NDTiff.index", tmp_path / "cell_NDTiffStack.tif"
    first, second = IndexTail(index).poll()
    content = bytearray(stack.read_bytes())
    # The second image's directory is made to speak of the first one's metadata, behind which it lies itself.
    at = content.index(struct.pack("<II", second.metadata_length, second.metadata_offset))
    content[at : at + 8] = struct.pack("<II", first.metadata_length, first.metadata_offset)
    stack.write_bytes(content)
    assert unlisted_after(tmp_path, first) == []


def test_json_of_others_fails_in_one_way():
    assert parse_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    for text in (DEEP, DEEP.encode(), "[" + DIGITS + "]", '"\\uD800"', b'"\\ud800"', "{"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the words are
            parse_json(text)


def test_a_number_of_any_length_is_no_fact():
    assert MMFacts.of({"Exposure-ms": 10**400, "ElapsedTime-ms": -(10**400)}) == MMFacts()


def test_micro_managers_tag_without_end_is_no_metadata(tmp_path):
    path = tmp_path / "hostile.tif"
    tifffile.imwrite(path, hostile_ndtiff.writers.pixels(0), extratags=[(51123, "s", 0, DEEP, True)])
    with path.open("rb", buffering=0) as file:
        for plane in look_into(file, path.name).planes:
            if isinstance(plane, Plane):
                assert read_mm_metadata(file, plane) == {}


@pytest.mark.parametrize(
    "text",
    [
        f"name = {DIGITS}",
        f"name = 0x{'f' * 5000}",
        f"name = {'[' * 5000}",
        f"name = {'[' * 100}{']' * 100}",
        f"{'.'.join('a' * 5000)} = 1",
        f"name = {'{a=' * 5000}1",
    ],
    ids=["digits", "hex", "brackets", "closed", "dots", "tables"],
)
def test_numbers_and_nesting_without_end_are_no_settings(tmp_path, text):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        load_settings(file)
    with pytest.raises(SettingsError):
        load_settings(overrides=["nothing=" + text.partition(" = ")[2]])


def test_a_text_that_cannot_be_written_is_shown_escaped():
    with pytest.raises(SettingsError) as raised:
        load_settings(overrides=["name=\udcff", "\udcff=1", ".".join("a" * 5000) + "=1"])
    assert str(raised.value).encode().count(b"KEY=VALUE") == 3


def test_a_file_that_is_larger_than_any_settings_is_not_read_to_its_end():
    if sys.platform == "win32":
        pytest.skip("has no /dev/zero")
    with pytest.raises(SettingsError, match="1048576 bytes"):
        load_settings(Path("/dev/zero"))


def test_thousands_of_unknown_keys_are_told_as_many():
    with pytest.raises(SettingsError) as raised:
        load_settings(base={"source": {f"key{n}": n for n in range(20_000)}})
    assert "mend these first" in str(raised.value)
    assert len(str(raised.value).splitlines()) < 120
