"""The simulator as a source: schedule, stop, and faults that can be reconciled exactly."""

import itertools
import threading
import time
from collections import Counter

import numpy as np
import pytest

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.simulator import Simulator
from quietscope.config.sources import FaultBoxSettings, SimulatorSettings


class Recorder:
    """Keeps what it gets, as a sink must: a bad frame is refused, never raised."""

    def __init__(self) -> None:
        self.series: list[Series] = []
        self.frames: list[Frame] = []
        self.times: list[float] = []
        self.pause_at: dict[FrameKey, float] = {}

    def start(self, series: Series) -> None:
        assert not self.frames
        self.series.append(series)

    def submit(self, frame: Frame) -> bool:
        self.frames.append(frame)
        self.times.append(time.monotonic())
        time.sleep(self.pause_at.get(frame.key, 0))
        return frame.pixels.shape == (self.series[0].height, self.series[0].width)

    def reject(self, name: str, reason: str, detail: str) -> None:
        raise AssertionError(f"{name}: {reason}, {detail}")


def simulator(frames: int = 30, rate_hz: float = 0.0, **faults: float) -> Simulator:
    return Simulator(
        SimulatorSettings(
            height=32, width=40, frames=frames, rate_hz=rate_hz, seed=3, faults=FaultBoxSettings(**faults)
        )
    )


def record(source: Simulator) -> Recorder:
    sink = Recorder()
    source.run(sink, threading.Event())
    return sink


def keys(frames: int) -> list[FrameKey]:
    return [FrameKey(t=t, c=c) for t in range(frames) for c in (0, 1)]


def test_a_series_without_faults_is_delivered_in_order_and_complete():
    source = simulator(frames=6)
    before = time.time_ns()
    sink = record(source)
    after = time.time_ns()
    (series,) = sink.series
    assert (series.height, series.width, series.dtype) == (32, 40, "uint16")
    assert series.channels == ("mitochondria", "er")
    assert series.planned == {"t": 6, "c": 2}
    assert series.pixel_size_um == 0.065
    assert [f.key for f in sink.frames] == keys(6)
    stamps = [f.received_ns for f in sink.frames]
    assert before <= stamps[0]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= after
    for frame in sink.frames:
        np.testing.assert_array_equal(frame.pixels, source.pixels(frame.key))
        assert frame.exposure_ms == 50
        assert frame.metadata["channel"] == series.channels[frame.key.c]
    assert source.faults == {"drop": 0, "duplicate": 0, "reorder": 0, "corrupt": 0, "stall": 0}


def test_faults_reconcile_exactly_with_what_arrives():
    frames = 150
    source = simulator(frames, drop=0.1, duplicate=0.15, reorder=0.2, corrupt=0.12, stall=0.05, stall_s=0.0)
    sink = record(source)
    good = [f for f in sink.frames if f.pixels.shape == (32, 40)]
    bad = [f for f in sink.frames if f.pixels.shape != (32, 40)]
    seen = Counter(f.key for f in good)
    missing = set(keys(frames)) - set(seen)
    faults = source.faults
    assert all(faults.values())
    assert len(missing) == faults["drop"]
    assert sum(seen.values()) - len(seen) == faults["duplicate"]
    assert set(seen.values()) == {1, 2}
    assert len(bad) == faults["corrupt"]
    # Nothing good is lost by a corrupt message: the good frame comes right after it.
    for number, frame in enumerate(sink.frames):
        if frame.pixels.shape != (32, 40):
            assert sink.frames[number + 1].key == frame.key
            assert sink.frames[number + 1].pixels.shape == (32, 40)
    inversions = 0
    for c in (0, 1):
        times = list(dict.fromkeys(f.key.t for f in good if f.key.c == c))
        inversions += sum(b < a for a, b in itertools.pairwise(times))
    assert inversions == faults["reorder"]
    for frame in good[::10]:
        np.testing.assert_array_equal(frame.pixels, source.pixels(frame.key))


def test_faults_are_the_same_in_every_run_and_counted_anew():
    source = simulator(60, drop=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1)
    first = record(source)
    counts = source.faults
    second = record(source)
    assert source.faults == counts
    assert [(f.key, f.pixels.shape) for f in first.frames] == [(f.key, f.pixels.shape) for f in second.frames]


def test_fault_rates_are_the_ones_asked_for():
    frames = 800
    source = Simulator(
        SimulatorSettings(
            height=16, width=16, frames=frames, rate_hz=0, faults=FaultBoxSettings(drop=0.1, corrupt=0.3)
        )
    )
    record(source)
    total = 2 * frames
    assert abs(source.faults["drop"] - 0.1 * total) < 4 * np.sqrt(total * 0.1 * 0.9)
    kept = total - source.faults["drop"]
    assert abs(source.faults["corrupt"] - 0.3 * kept) < 4 * np.sqrt(kept * 0.3 * 0.7)


def test_a_camera_that_drops_everything_delivers_nothing():
    source = simulator(5, drop=1.0)
    sink = record(source)
    assert len(sink.series) == 1
    assert sink.frames == []
    assert source.faults["drop"] == 10


def test_a_camera_that_reorders_everything_swaps_pairs_and_loses_nothing():
    source = simulator(5, reorder=1.0)
    sink = record(source)
    assert [f.key.t for f in sink.frames if f.key.c == 0] == [1, 0, 3, 2, 4]
    assert sorted(f.key for f in sink.frames) == sorted(keys(5))
    assert source.faults["reorder"] == 4


def test_a_held_frame_is_delivered_when_the_run_is_stopped():
    source = simulator(50, rate_hz=0.1, reorder=1.0)
    sink, stop = Recorder(), threading.Event()
    thread = threading.Thread(target=source.run, args=(sink, stop))
    thread.start()
    while source._faults._held.keys() != {0, 1}:
        time.sleep(0.005)
    stop.set()
    thread.join(timeout=5)
    assert [f.key for f in sink.frames] == [FrameKey(0, 0), FrameKey(0, 1)]
    assert source.faults["reorder"] == 0


@pytest.mark.parametrize("faults", [{}, {"stall": 1.0, "stall_s": 600.0}])
def test_stop_interrupts_every_wait_at_once(faults):
    source = simulator(50, rate_hz=0.05, **faults)
    sink, stop = Recorder(), threading.Event()
    thread = threading.Thread(target=source.run, args=(sink, stop))
    thread.start()
    deadline = time.monotonic() + 5
    while len(sink.frames) < 2 and not source.faults["stall"] and time.monotonic() < deadline:
        time.sleep(0.005)
    stop.set()
    began = time.monotonic()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 0.2


def test_stop_ends_a_series_that_runs_as_fast_as_possible():
    source = simulator(1_000_000)
    stop = threading.Event()
    sink = Recorder()
    thread = threading.Thread(target=source.run, args=(sink, stop))
    thread.start()
    while len(sink.frames) < 10:
        time.sleep(0.005)
    stop.set()
    began = time.monotonic()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 0.2


def test_schedule_is_absolute_and_frames_are_never_early():
    source = simulator(6, rate_hz=10.0)
    sink = Recorder()
    sink.pause_at = {FrameKey(t=1, c=0): 0.25}
    began = time.monotonic()
    source.run(sink, threading.Event())
    arrived = dict(zip([f.key for f in sink.frames], sink.times, strict=True))
    for key, when in arrived.items():
        assert when - began >= key.t * 0.1 + key.c * 0.05
    # A schedule that drifts would bring the last frame 0.25 s late, at 0.8 s.
    assert arrived[FrameKey(t=5, c=1)] - began < 0.7


def test_a_stall_delays_frames_without_losing_any():
    source = simulator(4, stall=1.0, stall_s=0.02)
    began = time.monotonic()
    sink = record(source)
    assert time.monotonic() - began >= 8 * 0.02
    assert [f.key for f in sink.frames] == keys(4)
    assert source.faults["stall"] == 8
