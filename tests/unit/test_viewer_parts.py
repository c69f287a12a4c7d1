"""The viewer's parts that need no browser."""

import json
import struct

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.viewer.curve import Curve
from quietscope.adapters.viewer.light import LightMeter
from quietscope.adapters.viewer.link import Link
from quietscope.adapters.viewer.pictures import Picture, binned, encode_picture, plane_nbytes
from quietscope.adapters.viewer.wanted import Wanted, from_browser
from quietscope.config import WireError
from quietscope.daemon.log_tail import LogTail


def decode(data):
    (size,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + size])
    start = 4 + size
    assert start % 8 == 0
    planes = {}
    for entry in header["planes"]:
        shape = entry["shape"]
        dtype = np.dtype(entry["type"]).newbyteorder("<")
        at = start + entry["offset"]
        assert at % 8 == 0
        planes[entry["stream"]] = np.frombuffer(data, dtype, shape[0] * shape[1], at).reshape(shape)
    return header, planes


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", ">u2"])
@pytest.mark.parametrize("shape", [(5, 7), (64, 33)])
def test_a_picture_arrives_at_full_depth(dtype, shape):
    raw = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    other = raw[::-1]  # not contiguous
    picture = Picture(FrameKey(3, 1), {"raw": raw, "denoised": other}, live=True, published_ns=2_500_000)
    header, planes = decode(encode_picture(picture, 9))
    np.testing.assert_array_equal(planes["raw"], raw)
    np.testing.assert_array_equal(planes["denoised"], other)
    assert header["key"] == {"t": 3, "c": 1, "z": 0, "p": 0}
    assert (header["number"], header["published_ms"], header["live"]) == (9, 2.5, True)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_coarse_picture_holds_the_means_and_says_its_full_size(factor):
    raw = np.random.default_rng(1).integers(0, 60_000, (50, 37), dtype=np.uint16)
    header, planes = decode(encode_picture(Picture(FrameKey(0), {"raw": raw}), 0, factor))
    (entry,) = header["planes"]
    assert (entry["bin"], entry["full"]) == (factor, [50, 37])
    whole = raw[: 50 // factor * factor, : 37 // factor * factor].astype(float)
    means = whole.reshape(50 // factor, factor, 37 // factor, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(planes["raw"][: 50 // factor, : 37 // factor], means, atol=0.5)
    assert planes["raw"].shape == (-(-50 // factor), -(-37 // factor))
    assert plane_nbytes(Picture(FrameKey(0), {"raw": raw}), factor) == planes["raw"].nbytes


def test_means_of_floats_are_not_rounded():
    assert binned(np.array([[0, 1], [0, 0]], "float32"), 2).tolist() == [[0.25]]


def test_a_fast_link_gets_everything_and_a_slow_one_what_fits():
    link = Link()
    assert link.factor(1_048_576) == 1
    assert link.factor(16_777_216) == 4  # nothing is known of it yet
    for _ in range(20):
        link.measured(16_000_000, 0.05)
    assert link.factor(16_000_000) == 1
    for _ in range(20):
        link.measured(1_000_000, 0.5)  # 2 MB/s: a quarter of a second carries 500 kB
    assert link.factor(16_000_000) == 8
    assert link.factor(1_000_000) == 2
    link.measured(100, 10.0, alone=False)  # a small message behind a picture says nothing about the link
    link.measured(1_000_000, 0.5)
    assert link.factor(1_000_000) == 2
    for _ in range(20):
        link.measured(4_000_000, 0.02)
    assert link.factor(16_000_000) == 1


def test_a_busy_computer_is_not_taken_for_a_slow_link():
    link = Link()
    for hiccup in (0.3, 0.0, 0.9, 0.0, 0.0, 0.4):
        link.measured(300, 0.4)
        link.measured(1_000_000, 0.42 + hiccup)
        assert link.factor(1_000_000) <= 2
    assert link.factor(1_000_000) == 1


def test_a_curve_is_thinned_and_its_readers_are_told():
    curve = Curve(longest=8)
    for i in range(8):
        curve.add(i, i)
    told = curve.since(0, 0)
    curve.add(8, 8)
    new = curve.since(told["epoch"], len(told["x"]))
    assert new["start"] == 0
    assert new["x"] == new["y"] == [0.5, 2.5, 4.5, 6.5, 8]
    for i in range(9, 10_000):
        curve.add(i, i)
    assert len(curve) <= 8


def test_the_light_meter_covers_the_series_evenly_and_stays_small():
    meter = LightMeter()
    length = 5000
    while (t := meter.wanted(0, length)) is not None:
        meter.add(0, t, np.full((8, 8), t, np.uint16))
    times, means = meter.means(0)
    assert times == means
    assert 200 <= len(times) <= 1024
    assert max(np.diff(times)) <= length / 100


def test_a_missing_frame_is_not_measured_again_and_not_shown():
    meter = LightMeter()
    meter.miss(0, 0)
    assert meter.wanted(0, 2) is None
    assert meter.means(0) == ([], [])


def test_messages_of_browsers_are_understood_or_refused():
    wanted = from_browser(
        '{"type": "want", "follow": false, "t": 3, "z": null, "channels": [0, 1], "max_side": 4096}'
    )
    assert isinstance(wanted, Wanted)
    assert (wanted.t, wanted.channels) == (3, (0, 1))
    for text in (
        "",
        "{}",
        '{"type": "want", "t": -1}',
        '{"type": "ack"}',
        '{"type": "want", "path": "/etc"}',
    ):
        with pytest.raises(WireError, match="Reload"):
            from_browser(text)


def test_the_log_is_read_line_by_line_as_it_grows(tmp_path):
    path = tmp_path / "log.jsonl"
    tail = LogTail(path)
    assert tail.new_events() == []
    path.write_text('{"event": "a"}\n{"event": "b"}\n{"eve')
    assert [event["event"] for event in tail.new_events()] == ["a", "b"]
    with path.open("a") as file:
        file.write('nt": "c"}\nnot json\n[1]\n')
    assert [event["event"] for event in tail.new_events()] == ["c"]
    assert tail.new_events() == []
