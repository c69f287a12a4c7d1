"""The threads for the network: frames end in their order, and nothing that goes wrong in them is lost."""

import select
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.daemon.network_threads import NetworkThreads
from quietscope.daemon.work import Work
from quietscope.models.denoiser import Denoiser

WORK = Work(FrameKey(3), 0, announced_ns=1)
RAW = np.full((4, 6), 7, np.uint16)


@pytest.fixture
def network():
    threads = NetworkThreads(2)
    yield threads
    threads.close()


def _denoiser(denoise):
    return SimpleNamespace(denoise=denoise, cast=Denoiser.cast, trouble="")


def _model(denoise, lanes=()):
    beside = tuple(_denoiser(lane) for lane in lanes)
    return SimpleNamespace(denoiser=_denoiser(denoise), lanes=beside, model_id=f"m{id(denoise)}")


def _rings(network, seconds=0):
    return bool(select.select([network.bell], [], [], seconds)[0])


def test_a_frame_comes_back_denoised_from_another_thread(network):
    threads = []

    def denoise(raw):
        threads.append(threading.current_thread())
        return raw + np.float32(1.4)

    model = _model(denoise)
    assert network.has_room(model)
    network.start(WORK, RAW, model, alone=True)
    assert network.busy
    done = network.finish()
    assert not network.busy
    assert threads[0] is not threading.current_thread()
    assert (done.work, done.error) == (WORK, "")
    assert done.pixels.dtype == np.uint16
    assert np.all(done.pixels == 8)


def test_the_caller_goes_on_meanwhile_and_is_called_when_a_frame_is_done(network):
    go = threading.Event()
    network.start(WORK, RAW, _model(lambda raw: raw.astype(np.float32) if go.wait(10) else None), alone=True)
    assert not network.is_ready()
    assert not network.wants_frame()
    assert not _rings(network)
    go.set()
    assert _rings(network, seconds=10)
    assert network.is_ready()
    assert network.finish().pixels is not None
    assert not _rings(network)


def test_the_bell_is_silent_after_a_frame_that_was_waited_for(network):
    network.start(WORK, RAW, _model(lambda raw: time.sleep(0.05) or raw.astype(np.float32)), alone=True)
    network.finish()
    assert _rings(network, seconds=10), "it was rung after `finish` had the frame"
    assert not network.is_ready()
    assert not _rings(network)


def test_a_failure_is_told_with_its_frame(network):
    network.start(WORK, RAW, _model(lambda _: 1 // 0), alone=True)
    done = network.finish()
    assert (done.work, done.pixels) == (WORK, None)
    assert "ZeroDivisionError" in done.error
    network.start(WORK, RAW, _model(lambda raw: raw.astype(np.float32)), alone=True)
    assert network.finish().error == ""


def test_a_frame_that_waits_alone_has_all_cores_and_others_share_them(network):
    used = []

    def used_by(name):
        return lambda raw: used.append(name) or raw.astype(np.float32)

    model = _model(used_by("all"), [used_by("share"), used_by("share")])
    network.start(WORK, RAW, model, alone=True)
    network.finish()
    network.start(WORK, RAW, model, alone=False)
    network.start(WORK, RAW, model, alone=True)
    network.finish()
    network.finish()
    assert used == ["all", "share", "share"]


def test_frames_are_denoised_at_the_same_time_on_a_network_each_and_end_in_their_order(network):
    together = threading.Barrier(3)
    last_first = threading.Event()

    def denoise(raw):
        together.wait(10)  # both are under way, on networks that are not the same
        if raw[0, 0] == 0:
            assert last_first.wait(10)
        else:
            last_first.set()
        return raw.astype(np.float32)

    model = _model(lambda _: pytest.fail("not alone"), [denoise, denoise])
    for t in range(2):
        network.start(Work(FrameKey(t), 0, announced_ns=1), np.full((2, 2), t, np.uint16), model, alone=False)
    assert network.has_room(model), "one more, so that no network waits for its next frame"
    assert not network.has_room(_model(lambda raw: raw)), "a network without lanes is alone on its cores"
    together.wait(10)
    done = [network.finish(), network.finish()]
    assert [(one.work.key.t, one.error) for one in done] == [(0, ""), (1, "")]


def test_each_thread_has_a_network_of_its_own(network):
    inside = [threading.Lock(), threading.Lock()]

    def lane(number):
        def denoise(raw):
            assert inside[number].acquire(blocking=False), "two threads in one network"
            threading.Event().wait(0.001)
            inside[number].release()
            return raw.astype(np.float32)

        return denoise

    model = _model(lambda _: pytest.fail("not alone"), [lane(0), lane(1)])
    errors = []
    for t in range(40):
        while not network.has_room(model):
            errors.append(network.finish().error)
        network.start(Work(FrameKey(t), 0, announced_ns=1), RAW, model, alone=False)
    while network.busy:
        errors.append(network.finish().error)
    assert errors == [""] * 40


def test_no_frame_is_wanted_before_a_slow_network_is_about_to_be_free(network, monkeypatch):
    monkeypatch.setattr("quietscope.daemon.network_threads._AHEAD_S", 0.4)
    slow = _model(lambda raw: raw.astype(np.float32), [lambda raw: time.sleep(0.8) or raw] * 2)
    assert network.wants_frame()
    network.start(WORK, RAW, slow, alone=False)
    assert network.wants_frame(), "the other lane is idle"
    network.start(WORK, RAW, slow, alone=False)
    assert not network.wants_frame()
    network.wait()
    assert network.is_ready(), "nobody knew how long it takes"
    network.finish()
    network.finish()
    network.start(WORK, RAW, slow, alone=False)
    network.start(WORK, RAW, slow, alone=False)
    assert not network.wants_frame()
    network.wait()
    assert network.wants_frame()
    assert not network.is_ready(), "shortly before it is done"


def test_done_frames_that_wait_for_a_slow_one_are_not_piled_up(network):
    go = threading.Event()
    first = iter([True])

    def lane(raw):
        if next(first, False):
            go.wait(10)
        return raw.astype(np.float32)

    model = _model(lambda _: pytest.fail("not alone"), [lane] * 2)
    for t in range(5):
        deadline = time.monotonic() + 10
        while not (network.wants_frame() and network.has_room(model)):
            assert time.monotonic() < deadline
        network.start(Work(FrameKey(t), 0, announced_ns=1), RAW, model, alone=False)
    time.sleep(0.1)
    assert not network.wants_frame(), "the other network is idle, and four frames wait for the first"
    go.set()
    assert [network.finish().work.key.t for _ in range(5)] == list(range(5))


def test_a_model_one_of_whose_lanes_has_failed_is_taken_one_after_the_other(network):
    used = []
    model = _model(lambda raw: used.append("all") or raw.astype(np.float32), [lambda raw: raw] * 2)
    network.start(WORK, RAW, model, alone=False)
    assert used == []
    model.lanes[1].trouble = "openvino failed"
    network.finish()
    network.start(WORK, RAW, model, alone=False)
    network.finish()
    assert used == ["all"]
