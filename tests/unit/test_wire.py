"""Messages of the viewers' wire: nothing is lost in them, and nothing strange gets through."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from quietscope.adapters.frame import SUPPORTED_DTYPES, FrameKey, Series
from quietscope.adapters.wire import INFO_TOPIC, MAX_HEADER_NBYTES, decode, encode, frame_topic
from quietscope.adapters.wire_headers import EndHeader, FrameHeader, HeartbeatHeader, StartHeader
from quietscope.config import WireError

count = st.integers(0, 2**63 - 1)
name = st.text(max_size=40)
size = st.none() | st.floats(1e-6, 1e6)
keys = st.builds(FrameKey, count, count, count, count)
planes = st.sampled_from(SUPPORTED_DTYPES).flatmap(
    lambda dtype: stn.arrays(dtype, stn.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))
)
common = {"publisher": name, "sequence": count, "published_ns": count}


@st.composite
def frames(draw):
    pixels = draw(planes)
    header = FrameHeader.of(
        pixels,
        kind=draw(st.sampled_from(["raw", "denoised", "preview"])),
        key=draw(keys),
        series=draw(name),
        received_ns=draw(count),
        channel=draw(name),
        model=draw(st.none() | name),
        pixel_size_um=draw(size),
        **{field: draw(strategy) for field, strategy in common.items()},
    )
    return header, pixels


infos = st.one_of(
    st.builds(
        StartHeader.of,
        st.builds(
            Series,
            st.integers(1, 2**20),
            st.integers(1, 2**20),
            st.sampled_from(SUPPORTED_DTYPES),
            st.lists(name, max_size=4).map(tuple),
            name,
            size,
            st.dictionaries(st.sampled_from("tczp"), count),
        ),
        series_id=name,
        **common,
    ),
    st.builds(HeartbeatHeader, series=name, topics=st.dictionaries(name, count), **common),
    st.builds(EndHeader, series=name, reason=name, topics=st.dictionaries(name, count), **common),
)


def example(**changes) -> list[bytes]:
    """A good message, or one that `changes` have spoilt."""
    pixels = np.arange(12, dtype="uint16").reshape(3, 4)
    header = FrameHeader.of(
        pixels, kind="raw", key=FrameKey(7, 1), publisher="p", series="s", sequence=5, published_ns=9
    )
    topic, text, buffer = encode(header, pixels)
    return [topic, json.dumps(json.loads(text) | changes).encode(), bytes(buffer)]


@given(frames())
def test_frames_come_out_as_they_went_in(message):
    header, pixels = message
    decoded = decode([bytes(part) for part in encode(header, pixels)])
    assert decoded.header == header
    assert decoded.header.key == header.key
    assert decoded.pixels.dtype == pixels.dtype
    assert decoded.pixels.tobytes() == pixels.tobytes()
    assert not decoded.pixels.flags.writeable


@given(infos)
def test_other_messages_come_out_as_they_went_in(header):
    topic, text, buffer = encode(header)
    assert topic == INFO_TOPIC
    assert decode([topic, text, buffer]) == (header, None)


@given(infos)
def test_a_series_survives_the_wire(header):
    if isinstance(header, StartHeader):
        again = StartHeader.of(
            header.to_series(),
            publisher=header.publisher,
            series_id=header.series,
            sequence=header.sequence,
            published_ns=header.published_ns,
        )
        assert again == header


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_are_refused_as_wire_errors(parts):
    with pytest.raises(WireError):
        decode(parts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_header_with_any_field_spoilt_gives_a_message_or_a_wire_error(data):
    parts = example()
    fields = json.loads(parts[1])
    field = data.draw(st.sampled_from(sorted(fields)))
    fields[field] = data.draw(json_values)
    parts[1] = json.dumps(fields).encode()
    try:
        decoded = decode(parts)
    except WireError:
        return
    assert decoded.header.model_dump(by_alias=True, mode="json").get(field) == fields[field]


@settings(max_examples=300)
@given(st.data())
def test_a_message_with_bytes_flipped_gives_a_message_or_a_wire_error(data):
    parts = [bytearray(part) for part in example()]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode([bytes(p) for p in parts])
    except WireError:
        return
    assert decoded.pixels.shape == decoded.header.shape


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "quietscope/2"}, "protocol"),
        ({"message": "stop"}, "start"),
        ({"htype": "array-2.0"}, "htype"),
        ({"encoding": "blosc2-lz4"}, "encoding"),
        ({"type": "float64", "dtype": "<f8"}, "type"),
        ({"type": "object", "dtype": "|O"}, "type"),
        ({"dtype": ">u2"}, "'<u2'"),
        ({"type": "uint8"}, "'|u1'"),
        ({"shape": [4, 4]}, "promises 32 bytes of pixels, and 24 came"),
        ({"shape": [12]}, "shape"),
        ({"shape": [3, 4, 1]}, "shape"),
        ({"shape": [-3, -4]}, "shape"),
        ({"shape": [0, 4]}, "shape"),
        ({"shape": [2**20, 2**20]}, "larger than"),
        ({"shape": [3.0, 4.0]}, "shape"),
        ({"sequence": -1}, "sequence"),
        ({"sequence": 2**63}, "sequence"),
        ({"sequence": True}, "sequence"),
        ({"sequence": "5"}, "sequence"),
        ({"key": {"t": -1}}, "key"),
        ({"key": {"t": 7, "c": 2}}, "topic 'raw/c2'"),
        ({"key": None}, "key"),
        ({"frame": 8}, "time point 7"),
        ({"kind": "truth"}, "kind"),
        ({"kind": "denoised"}, "topic 'denoised/c1'"),
        ({"pixel_size_um": 0}, "pixel_size_um"),
        ({"publisher": "x" * 2000}, "publisher"),
    ],
)
def test_a_wrong_field_is_named(changes, words):
    with pytest.raises(WireError) as caught:
        decode(example(**changes))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"9" * 60_000,
        b'{"protocol": NaN}',
        pickle.dumps({"protocol": "quietscope/1"}),
    ],
    ids=str,
)
def test_what_is_no_header_is_refused(text):
    with pytest.raises(WireError, match="header"):
        decode([b"raw/c0", text, b""])


def test_a_header_of_more_than_64_kib_is_not_even_parsed():
    parts = example(note="x" * MAX_HEADER_NBYTES)
    with pytest.raises(WireError, match=f"{MAX_HEADER_NBYTES} are allowed"):
        decode(parts)


def test_unknown_fields_are_ignored_so_that_a_later_version_may_add_some():
    assert decode(example(exposure_ms=50, focus={"um": 3})).header == decode(example()).header


@pytest.mark.parametrize("parts", [[], [b"raw/c1"], example()[:2], [*example(), b""]])
def test_the_number_of_parts_is_checked(parts):
    with pytest.raises(WireError, match="3 parts"):
        decode(parts)


def test_a_message_that_is_no_frame_has_no_pixels():
    topic, text, _ = encode(EndHeader(publisher="p", series="s", sequence=0, published_ns=0))
    with pytest.raises(WireError, match="promises 0 bytes"):
        decode([topic, text, b"\0\0"])
    with pytest.raises(WireError, match="topic 'info'"):
        decode([b"raw/c0", text, b""])


@pytest.mark.parametrize("source", [">u2", "<u2"])
def test_the_buffer_is_little_endian_and_c_ordered_whatever_comes_in(source):
    pixels = np.arange(12).reshape(4, 3).astype(source).T
    header = FrameHeader.of(
        pixels, kind="raw", key=FrameKey(0), publisher="p", series="s", sequence=0, published_ns=0
    )
    topic, text, buffer = encode(header, pixels)
    fields = json.loads(text)
    assert (fields["shape"], fields["type"], fields["dtype"]) == ([3, 4], "uint16", "<u2")
    assert bytes(buffer) == np.ascontiguousarray(pixels).astype("<u2").tobytes()
    assert np.array_equal(decode([topic, text, buffer]).pixels, pixels)


def test_pixels_are_not_copied_where_they_need_not_be():
    pixels = np.zeros((3, 4), "uint16")
    header = FrameHeader.of(
        pixels, kind="raw", key=FrameKey(0), publisher="p", series="s", sequence=0, published_ns=0
    )
    parts = encode(header, pixels)
    assert np.shares_memory(np.frombuffer(parts[2], "uint16"), pixels)
    assert np.shares_memory(decode(parts).pixels, pixels)


def test_a_header_for_other_pixels_is_refused():
    pixels = np.zeros((3, 4), "uint16")
    fields = {"kind": "raw", "key": FrameKey(0), "publisher": "p", "series": "s", "sequence": 0}
    header = FrameHeader.of(pixels, published_ns=0, **fields)
    for wrong in (None, pixels.T, pixels.astype("int16")):
        with pytest.raises(WireError, match=r"\(3, 4\) uint16"):
            encode(header, wrong)
    with pytest.raises(WireError, match="2-D frames"):
        FrameHeader.of(np.zeros((2, 3, 4), "uint16"), published_ns=0, **fields)
    with pytest.raises(WireError, match="2-D frames"):
        FrameHeader.of(np.zeros((3, 4), "float64"), published_ns=0, **fields)
    with pytest.raises(WireError, match="published_ns"):
        FrameHeader.of(pixels, published_ns=-1, **fields)


def test_topics_are_as_documented():
    assert frame_topic("denoised", 12) == b"denoised/c12"
    assert example()[0] == b"raw/c1"
