"""What Micro-Manager says of a frame, by back-end and path, as it was recorded there."""

import datetime as dt
from enum import StrEnum
from types import SimpleNamespace

import pytest

from quietscope.adapters.micromanager.info import read_event, read_tags
from quietscope.adapters.micromanager.times import FrameTimes

RECEIVED = "2026-11-20 19:21:22.009309"
RECEIVED_NS = (
    int(dt.datetime.strptime(RECEIVED, "%Y-%m-%d %H:%M:%S.%f").astimezone().timestamp() * 1e6) * 1000
)
ARRIVAL_NS = RECEIVED_NS + 5_000_000

AXES = {"time": 3, "channel": "DAPI", "z": 1}
PYTHON_SNAP = {
    "Camera": "Camera",
    "Height": 512,
    "Width": 512,
    "PixelType": None,
    "CameraChannelIndex": 0,
    "PixelSize_um": 0.1,
    "ElapsedTime-ms": 12.5,
    "Time": "2026-11-20 19:21:22 -",
    "Axes": AXES,
    "ZPosition_um_Intended": 4.5,
    "Exposure": 8.0,
}
PYTHON_SEQUENCE = {
    "Binning": "1",
    "Camera": "Camera",
    "ElapsedTime-ms": 0.0,
    "Height": "512",
    "ImageNumber": "3",
    "PixelType": "GRAY16",
    "TimeReceivedByCore": RECEIVED,
    "Width": "512",
    "PixelSize_um": 0.1,
    "Axes": AXES,
    "Exposure": 8.0,
}
JAVA_SNAP = {
    "Core-Camera": "Camera",
    "Height": 512,
    "Width": 512,
    "PixelType": "GRAY16",
    "PixelSizeUm": 0.1,
    "PixelSize_um": 1,
    "ElapsedTime-ms": 12,
    "Axes": AXES,
    "Channel": "DAPI",
    "Exposure": 8,
    "Camera-Gain": "0",
}
JAVA_SEQUENCE = JAVA_SNAP | {
    "Camera": "Camera",
    "ImageNumber": "3",
    "TimeReceivedByCore": RECEIVED,
    "PixelSizeUm": "0.1",
}


@pytest.mark.parametrize("tags", [PYTHON_SNAP, PYTHON_SEQUENCE, JAVA_SNAP, JAVA_SEQUENCE])
def test_both_back_ends_and_both_paths_say_the_same(tags):
    info = read_tags(tags, ARRIVAL_NS)
    assert dict(info.axes) == {"time": 3, "z": 1}
    assert info.channel == "DAPI"
    assert info.camera == "Camera"
    assert info.camera_index == 0
    assert info.exposure_ms == 8.0
    assert info.pixel_size_um == 0.1
    assert info.image_number is None
    in_sequence = "TimeReceivedByCore" in tags
    assert info.received_ns == (RECEIVED_NS if in_sequence else None)
    assert (info.elapsed_ms is None) == in_sequence


@pytest.mark.parametrize(
    ("tags", "camera", "index", "number"),
    [
        ({"Camera": "Both", "CameraChannelIndex": 1}, "Both", 1, None),
        ({"Camera": "Second", "Both-CameraChannelIndex": "1", "ImageNumber": "7"}, "Both", 1, 7),
        (
            {"Camera": "Second", "Multi Camera-CameraChannelIndex": "0", "ImageNumber": 7},
            "Multi Camera",
            0,
            7,
        ),
    ],
)
def test_the_cameras_of_a_multi_camera_device(tags, camera, index, number):
    info = read_tags(tags | {"Axes": {"time": 0}}, ARRIVAL_NS)
    assert (info.camera, info.camera_index, info.image_number) == (camera, index, number)


def test_channel_indices_of_the_gui_take_their_name_from_the_tags():
    info = read_tags({"Axes": {"channel": 1, "time": 0}, "Channel": "FITC"}, ARRIVAL_NS)
    assert info.channel == "FITC"
    assert "channel" not in info.axes


@pytest.mark.parametrize(
    "tags", [{}, {"Axes": None, "Exposure": "Undefined", "PixelSize_um": "?", "Width": None}]
)
def test_what_is_missing_or_unreadable_is_left_out(tags):
    info = read_tags(tags, ARRIVAL_NS)
    assert (dict(info.axes), info.exposure_ms, info.pixel_size_um, info.received_ns) == ({}, None, None, None)


def test_an_uncalibrated_objective_has_no_pixel_size():
    assert read_tags({"PixelSize_um": 0.0}, ARRIVAL_NS).pixel_size_um is None


def test_metadata_kept_with_a_frame_is_plain():
    import json

    kept = json.loads(json.dumps(read_tags(PYTHON_SNAP, ARRIVAL_NS).metadata))
    assert kept["axes"] == {"time": 3, "z": 1}
    assert kept["stage_um"] == {"z": 4.5}


class Axis(StrEnum):
    T = "t"
    C = "c"
    Z = "z"


def test_pymmcore_plus_with_keys_of_both_kinds():
    event = SimpleNamespace(
        index={Axis.T: 2, Axis.C: 1, Axis.Z: 4, "p": 3, "cam": 1},
        channel=SimpleNamespace(config="FITC", group="Channel"),
        x_pos=1.0, y_pos=None, z_pos=-2.0,
    )  # fmt: skip
    meta = {
        "runner_time_ms": 55.0,
        "exposure_ms": 8.0,
        "pixel_size_um": 0.2,
        "camera_metadata": {"TimeReceivedByCore": RECEIVED},
    }
    info = read_event(event, meta, ARRIVAL_NS)
    assert dict(info.axes) == {"time": 2, "z": 4, "position": 3}
    assert (info.channel, info.camera_index, info.received_ns) == ("FITC", 1, RECEIVED_NS)
    assert dict(info.stage_um) == {"x": 1.0, "z": -2.0}


def test_the_hour_that_happens_twice_is_told_by_the_arrival(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for utc_hour in (0, 1):  # 02:30 local time, before and after the clocks are set back
            moment = dt.datetime(2026, 10, 25, utc_hour, 30, tzinfo=dt.UTC)
            tags = {"TimeReceivedByCore": "2026-10-25 02:30:00.000000"}
            arrival_ns = int(moment.timestamp() * 1e9) + 3_000_000
            assert read_tags(tags, arrival_ns).received_ns == arrival_ns - 3_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_of_snapped_frames_do_not_wait_for_a_slow_hook():
    times = FrameTimes()
    start_ns = 10**18
    delays_ms = [30, 2, 400, 5]
    found = [
        times.of(read_tags({"ElapsedTime-ms": 100.0 * n}, 0), start_ns + int((100 * n + delay) * 1e6))
        for n, delay in enumerate(delays_ms)
    ]
    assert found[0] == start_ns + 30_000_000
    assert [stamp - start_ns for stamp in found[1:]] == [102_000_000, 202_000_000, 302_000_000]


def test_times_are_never_after_the_arrival():
    times = FrameTimes()
    assert (
        times.of(read_tags({"TimeReceivedByCore": RECEIVED}, RECEIVED_NS), RECEIVED_NS - 7) == RECEIVED_NS - 7
    )
    assert times.of(read_tags({}, 5), 5) == 5
