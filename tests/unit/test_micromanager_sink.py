"""The sink behind every face: it never waits and never raises, and says each fault once."""

import json
import logging

import numpy as np
import pytest

from quietscope.adapters.micromanager.handover import Arrival, HandOver, Note
from quietscope.adapters.micromanager.messages import Messages
from quietscope.adapters.micromanager.pycromanager_faces import PycromanagerFaces
from quietscope.adapters.micromanager.report import Journal
from quietscope.adapters.micromanager.running import RunningRun
from quietscope.adapters.micromanager.sender import Sender
from quietscope.adapters.micromanager.sink import FrameSink

TAGS = {"Axes": {"time": 0}, "Camera": "Camera"}


def frame(value: int = 7, shape=(8, 8), dtype="uint16") -> np.ndarray:
    return np.full(shape, value, dtype)


def parts(memory: int = 1_000_000) -> tuple[HandOver, Journal, FrameSink]:
    handover, journal = HandOver(memory), Journal()
    return handover, journal, FrameSink(handover, journal)


def messages(journal: Journal, *items: Arrival | Note, **run) -> list:
    made = Messages(journal, run)
    return [message for item in items for message in made.of(item)]


def test_micro_managers_array_is_copied_and_goes_on_unchanged():
    handover, _, sink = parts()
    image, tags = frame(), dict(TAGS)
    answer = PycromanagerFaces(sink, store="micro-manager").image_process_fn(image, tags)
    assert answer is not None
    assert answer[0] is image
    assert answer[1] is tags
    image[:] = 0
    assert isinstance(handover.take(), Note)
    arrival = handover.take()
    assert isinstance(arrival, Arrival)
    assert np.all(arrival.pixels == 7)


def test_frames_left_to_quietscope_go_back_to_micro_manager_when_it_cannot_take_them():
    handover, journal, sink = parts(memory=12_000)
    face = PycromanagerFaces(sink, store="quietscope")
    answers = [face.image_process_fn(frame(), dict(TAGS)) is None for _ in range(4)]
    assert answers == [True, False, False, False]
    assert journal.report.lost == 3
    assert len(journal.report.faults) == 1
    sink.close()
    assert face.image_process_fn(frame(), dict(TAGS)) is not None
    assert journal.report.late == 1
    assert len(handover) == 2


@pytest.mark.parametrize("image", [None, object(), frame(shape=(0,)), "no image"])
def test_nothing_that_comes_makes_the_hook_raise(image, caplog):
    _, journal, sink = parts()
    face = PycromanagerFaces(sink, store="micro-manager")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert face.image_process_fn(image, TAGS) == (image, TAGS)
            face.image_saved_fn({"time": 0}, None)
    assert journal.report.seen + journal.report.lost >= 5
    assert len(caplog.records) == len(journal.report.faults) == len(set(journal.report.faults))


def test_memory_is_bounded_by_bytes():
    handover, journal, sink = parts(memory=100_000)
    for _ in range(50):
        sink.take(frame(shape=(64, 64)), TAGS)
    assert handover.peak_nbytes <= 100_000
    assert journal.report.lost == 50 - len(handover) > 0


def test_a_colour_frame_is_three_planes_in_either_order():
    handover, journal, sink = parts()
    colours = np.stack([frame(n, dtype="uint8") for n in (1, 2, 3)], axis=-1)
    sink.take(colours, TAGS, colours=("blue", "green", "red"))
    found = messages(journal, handover.take())
    planes = {m.fields["key"][1]: int(m.pixels[0, 0]) for m in found if m.type == "frame"}
    names = [m for m in found if m.type == "series"][-1].fields["series"]["channels"]
    assert {names[c]: value for c, value in planes.items()} == {
        "Camera blue": 1,
        "Camera green": 2,
        "Camera red": 3,
    }


@pytest.mark.parametrize(
    ("image", "reason"),
    [(frame(dtype="uint32"), "dtype"), (frame(shape=(4, 8, 8)), "dtype"), (frame(shape=(9, 8)), "shape")],
)
def test_what_does_not_belong_is_refused_by_name(image, reason):
    handover, journal, sink = parts()
    sink.take(frame(), TAGS)
    sink.take(image, {"Axes": {"time": 1}})
    found = messages(journal, handover.take(), handover.take())
    assert [m.type for m in found] == ["series", "frame", "reject"]
    assert found[-1].fields["reason"] == reason
    assert journal.report.rejected == len(journal.report.faults) == 1


def test_a_run_that_is_going_on_is_not_mixed_with_another_size():
    handover, journal, sink = parts()
    sink.take(frame(), TAGS)
    found = messages(journal, handover.take(), shape=[16, 16], dtype="uint16", channels=["GFP"], next_t=4)
    assert [m.type for m in found] == ["reject"]
    assert "16 × 16" in journal.report.faults[0]


def test_messages_are_plain_json():
    handover, journal, sink = parts()
    sink.note(Note("paused"))
    sink.take(frame(), TAGS)
    found = messages(journal, handover.take(), handover.take())
    assert [m.type for m in found] == ["event", "series", "frame"]
    assert json.loads(json.dumps([dict(m.fields) for m in found]))[2]["key"] == [0, 0, 0, 0]


def test_frames_for_a_run_that_never_answers_are_counted_as_lost():
    handover, journal, sink = parts()
    sender = Sender(
        RunningRun("tcp://127.0.0.1:9"), handover, journal, sink=sink, why_gone=lambda: None, spill_bytes=0
    )
    sender.start()
    assert sink.take(frame(), TAGS)
    assert sink.take(frame(), TAGS)
    sender.finish(end_run=True, timeout_s=0.1)
    assert (journal.report.seen, journal.report.lost) == (2, 2)
    assert "never answered" in journal.report.faults[0]
