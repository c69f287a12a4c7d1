"""The thread for the network: one frame at a time, and nothing that goes wrong in it is lost."""

import threading
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
    thread = NetworkThreads()
    yield thread
    thread.close()


def _model(denoise):
    return SimpleNamespace(denoiser=SimpleNamespace(denoise=denoise, cast=Denoiser.cast))


def test_a_frame_comes_back_denoised_from_another_thread(network):
    threads = []

    def denoise(raw):
        threads.append(threading.current_thread())
        return raw + np.float32(1.4)

    assert network.finish() is None
    network.start(WORK, RAW, _model(denoise))
    assert network.busy
    done = network.finish()
    assert not network.busy
    assert threads[0] is not threading.current_thread()
    assert (done.work, done.error) == (WORK, "")
    assert done.pixels.dtype == np.uint16
    assert np.all(done.pixels == 8)


def test_the_caller_goes_on_meanwhile(network):
    go = threading.Event()
    network.start(WORK, RAW, _model(lambda raw: raw.astype(np.float32) if go.wait(10) else None))
    go.set()
    assert network.finish().pixels is not None


def test_a_failure_is_told_with_its_frame(network):
    network.start(WORK, RAW, _model(lambda _: 1 // 0))
    done = network.finish()
    assert (done.work, done.pixels) == (WORK, None)
    assert "ZeroDivisionError" in done.error
    network.start(WORK, RAW, _model(lambda raw: raw.astype(np.float32)))
    assert network.finish().error == ""
