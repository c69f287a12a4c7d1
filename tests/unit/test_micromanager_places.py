"""From axes to keys: every frame has a place of its own."""

import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.micromanager.info import FrameInfo
from quietscope.adapters.micromanager.places import Places


def info(channel: str = "", camera: str = "Camera", camera_index: int = 0, number: int | None = None, **axes):
    return FrameInfo(axes, channel, camera, camera_index, image_number=number)


def test_axes_become_keys_and_presets_channels_in_order_of_appearance():
    places = Places()
    assert places.place(info("FITC", time=0, z=2, position=1)) == FrameKey(0, 0, 2, 1)
    assert places.place(info("DAPI", time=0, z=2, position=1)) == FrameKey(0, 1, 2, 1)
    assert places.place(info("FITC", time=4)) == FrameKey(4, 0, 0, 0)
    assert places.channels == ("FITC", "DAPI")


def test_identical_axes_of_two_cameras_are_two_channels_in_the_cameras_order():
    places = Places()
    keys = [places.place(info("DAPI", "Both", index, time=0)) for index in (1, 0)]
    assert keys == [FrameKey(0, 1), FrameKey(0, 0)]
    assert places.channels == ("DAPI", "DAPI camera 2")


def test_time_points_of_two_cameras_in_a_sequence_come_from_their_image_numbers():
    # pycromanager deals time indices out by order of arrival: 0, 0, 1, 1, … whichever camera it was.
    arrivals = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2)]
    places = Places()
    places.place(info("", "Both", 0, time=0))
    keys = [places.place(info("", "Both", c, n, time=5 + i // 2)) for i, (c, n) in enumerate(arrivals)]
    assert keys == [FrameKey(5 + n, c) for c, n in arrivals]


def test_a_second_sequence_of_two_cameras_begins_at_its_own_time():
    places = Places()
    for first in (0, 3):
        for n in range(3):
            for camera in (0, 1):
                assert places.place(info("", "Both", camera, n, time=first + n)) == FrameKey(
                    first + n, camera
                )


def test_sequences_of_two_cameras_over_z_keep_their_axes():
    places = Places()
    keys = [places.place(info("", "Both", c, z, time=0, z=z)) for z in range(3) for c in (0, 1)]
    assert keys == [FrameKey(0, c, z) for z in range(3) for c in (0, 1)]


def test_an_occupied_place_begins_a_new_acquisition():
    places = Places()
    first = [places.place(info(time=t)) for t in range(3)]
    again = [places.place(info(time=t)) for t in range(3)]
    assert [key.t for key in first + again] == [0, 1, 2, 3, 4, 5]


def test_a_new_acquisition_follows_on_the_former_ones_time():
    places = Places()
    places.place(info("DAPI", time=7))
    places.new_acquisition()
    assert places.place(info("FITC", time=0)) == FrameKey(8, 1)


def test_a_further_session_goes_on_where_the_run_is():
    places = Places(first_t=10, channels=("DAPI", "FITC"))
    assert places.place(info("FITC", time=0)) == FrameKey(10, 1)
    assert places.place(info("Cy5", time=0)) == FrameKey(10, 2)
    assert places.channels == ("DAPI", "FITC", "Cy5")


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([{"position": "left"}, {"position": "right"}, {"position": "left", "time": 1}], [0, 1, 0]),
        ([{"row": 0, "column": 0}, {"row": 0, "column": 1}], [0, 1]),
        ([{"position": 2}, {"position": "left"}], [2, 0]),
    ],
)
def test_labels_and_further_axes_are_positions(axes, expected):
    places = Places()
    assert [places.place(info(**one)).p for one in axes] == expected


def test_planes_below_the_first_are_not_lost():
    places = Places()
    keys = {places.place(info(time=0, z=z)) for z in (-1, 0, 1)}
    assert len(keys) == 3
    assert all(key.z >= 0 for key in keys)


def test_colours_are_channels():
    places = Places()
    assert [places.place(info("", time=0), colour).c for colour in ("red", "green", "blue")] == [0, 1, 2]
    assert places.channels == ("Camera red", "Camera green", "Camera blue")
