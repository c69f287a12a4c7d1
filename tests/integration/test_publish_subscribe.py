"""Viewers of every kind on real sockets, in real processes."""

import itertools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq

from quietscope.adapters.endpoints import bind
from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.publisher import Publisher
from quietscope.adapters.subscriber import Subscriber
from quietscope.config import WireError, WireTimeoutError
from quietscope.config.system import PublishSettings

ROOT = Path(__file__).resolve().parents[2]

PUBLISHER = """
    import select, sys, time
    import numpy as np
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.publisher import Publisher
    from quietscope.config.system import PublishSettings

    settings = PublishSettings(endpoint=sys.argv[1], high_water_mark=int(sys.argv[2]), heartbeat_s=0.1)
    series = Series(8, 12, "uint16", tuple(f"channel {c}" for c in range(12)), "test", 0.065)
    pixels = np.zeros((8, 12), "uint16")
    with Publisher(settings, series, series_id=sys.argv[3]) as publisher:
        print(publisher.endpoint, flush=True)
        while True:
            publisher.poll()
            if not select.select([sys.stdin], [], [], 0.005)[0]:
                continue
            command, *words = sys.stdin.readline().split()
            if command == "publish":
                kind, channel, first, stop = words[0], *map(int, words[1:])
                for t in range(first, stop):
                    # Overwritten at once: what is sent must be a copy.
                    pixels[:] = t
                    publisher.publish(kind, FrameKey(t, channel), pixels, received_ns=time.time_ns(), model="m")
                    pixels[:] = 9999
            elif command == "end":
                publisher.end("idle")
            elif command == "quit":
                break
            print("done", flush=True)
"""


class RemotePublisher:
    """A publisher in a process of its own, which does what it is told."""

    def __init__(self, endpoint="tcp://127.0.0.1:0", high_water_mark=100, series="s"):
        command = [sys.executable, "-c", textwrap.dedent(PUBLISHER), endpoint, str(high_water_mark), series]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.endpoint = self.process.stdout.readline().strip()

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        assert self.process.stdout.readline() == "done\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.communicate("quit\n", timeout=20)


def test_a_late_subscriber_gets_start_and_the_last_frame_of_each_topic_within_a_second():
    with RemotePublisher(high_water_mark=2) as publisher:
        for kind in ("raw", "denoised"):
            for channel in range(3):
                publisher.tell(f"publish {kind} {channel} 0 5")
        begin = time.perf_counter()
        with Subscriber(publisher.endpoint, timeout=5) as frames:
            got = [frames.receive() for _ in range(6)]
            assert frames.series.channels[:2] == ("channel 0", "channel 1")
        assert time.perf_counter() - begin < 1
    assert {(frame.kind, frame.key) for frame in got} == {
        (kind, FrameKey(4, channel)) for kind in ("raw", "denoised") for channel in range(3)
    }
    assert all(frame.header.repeat and frame.header.sequence == 4 and frame.gap == 0 for frame in got)
    assert all((frame.pixels == 4).all() for frame in got)
    # What matters most comes first.
    assert [frame.kind for frame in got] == ["denoised"] * 3 + ["raw"] * 3


def test_those_who_were_there_before_do_not_see_the_repeats():
    with RemotePublisher() as publisher, Subscriber(publisher.endpoint, mode="every", timeout=5) as early:
        publisher.tell("publish raw 0 0 1")
        assert early.receive().key == FrameKey(0)
        with Subscriber(publisher.endpoint, timeout=5) as late:
            assert late.receive().header.repeat
        publisher.tell("publish raw 0 1 2")
        frame = early.receive()
        assert (frame.key, frame.header.repeat, frame.gap) == (FrameKey(1), False, 0)


def test_every_frame_arrives_in_order_with_all_it_says():
    with RemotePublisher() as publisher, Subscriber(publisher.endpoint, mode="every", timeout=5) as frames:
        publisher.tell("publish denoised 1 0 1")
        first = frames.receive()
        publisher.tell("publish denoised 1 1 50")
        rest = [frames.receive() for _ in range(49)]
    assert [frame.header.sequence for frame in rest] == list(range(1, 50))
    assert all((frame.pixels == frame.key.t).all() and frame.gap == frame.skipped == 0 for frame in rest)
    header = first.header
    assert (header.channel, header.model, header.pixel_size_um) == ("channel 1", "m", 0.065)
    assert (header.scale, header.frame, header.series) == ((0.065, 0.065), 0, "s")
    assert 0 <= header.published_ns - header.received_ns < 60e9
    with pytest.raises(ValueError, match="read-only"):
        first.pixels[0, 0] = 1


def test_newest_wins_and_says_what_it_passed_over():
    with RemotePublisher() as publisher, Subscriber(publisher.endpoint, timeout=5) as frames:
        publisher.tell("publish raw 0 0 1")
        assert frames.receive().key == FrameKey(0)
        publisher.tell("publish raw 0 1 31")
        publisher.tell("publish denoised 0 0 4")
        time.sleep(0.3)
        got = {}
        passed = 0
        while "raw" not in got or got["raw"].key.t < 30 or "denoised" not in got or got["denoised"].key.t < 3:
            frame = frames.receive()
            got[frame.kind] = frame
            passed += frame.gap + frame.skipped
        assert passed >= 20
        assert frame.header.sequence == frame.key.t


def test_only_the_wanted_channels_come_and_10_is_not_1():
    with (
        RemotePublisher() as publisher,
        Subscriber(publisher.endpoint, kinds=("raw",), channels=(1,), mode="every", timeout=5) as frames,
    ):
        publisher.tell("publish raw 1 0 1")
        assert frames.receive().key == FrameKey(0, 1)
        for channel in (10, 11, 2, 1):
            publisher.tell(f"publish raw {channel} 1 2")
        publisher.tell("publish denoised 1 2 3")
        publisher.tell("publish raw 1 3 4")
        assert [frames.receive().key for _ in range(2)] == [FrameKey(1, 1), FrameKey(3, 1)]


def test_the_end_ends_the_iteration_also_for_those_who_come_after_it():
    with RemotePublisher() as publisher:
        with Subscriber(publisher.endpoint, mode="every", timeout=5) as frames:
            publisher.tell("publish raw 0 0 1")
            first = frames.receive()
            publisher.tell("publish raw 0 1 3")
            publisher.tell("end")
            assert [first.key.t, *(frame.key.t for frame in frames)] == [0, 1, 2]
            assert frames.ended
        with Subscriber(publisher.endpoint, timeout=5) as late:
            assert [frame.key.t for frame in late] == [2]


def test_a_subscriber_survives_the_publisher_being_killed_and_restarted():
    with (
        RemotePublisher(series="one") as first,
        Subscriber(first.endpoint, mode="every", timeout=20) as frames,
    ):
        first.tell("publish raw 0 0 1")
        assert frames.receive().header.series == "one"
        first.tell("publish raw 0 1 6")
        assert [frames.receive().key.t for _ in range(5)] == [1, 2, 3, 4, 5]
        first.kill()
        with RemotePublisher(first.endpoint, series="two") as second:
            assert second.endpoint == first.endpoint
            second.tell("publish raw 0 100 103")
            frame = frames.receive()
            assert (frame.header.series, frame.gap) == ("two", 0)
            while frame.key.t < 102:
                frame = frames.receive()
            second.tell("publish raw 0 103 104")
            frame = frames.receive()
            assert (frame.header.sequence, frame.key.t, frame.gap) == (3, 103, 0)


def test_heartbeats_keep_a_subscriber_waiting_and_silence_is_told():
    with RemotePublisher() as publisher, Subscriber(publisher.endpoint, timeout=0.8) as frames:
        publisher.tell("publish raw 0 0 1")
        assert frames.receive().key == FrameKey(0)
        begin = time.perf_counter()
        # Nothing but heartbeats for longer than the time-out.
        speaker = threading.Timer(1.6, publisher.tell, ["publish raw 0 1 2"])
        speaker.start()
        assert frames.receive().key == FrameKey(1)
        assert time.perf_counter() - begin > 1.5
        speaker.join()
        publisher.kill()
        begin = time.perf_counter()
        with pytest.raises(WireTimeoutError, match=rf"{publisher.endpoint} for 0\.8 s"):
            frames.receive()
        assert 0.7 < time.perf_counter() - begin < 3


SLEEPER = """
    import sys
    from quietscope.adapters.subscriber import Subscriber

    with Subscriber(sys.argv[1], mode="every", timeout=20) as frames:
        for frame in frames:
            print(frame.key.t, frame.gap, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGSTOP")
def test_a_stopped_viewer_never_slows_the_publisher_and_sees_its_gaps():
    series = Series(1024, 1024, "uint16", ("a",), "test")
    pixels = np.zeros((1024, 1024), "uint16")

    def publish(times):
        took = []
        for t in times:
            begin = time.perf_counter()
            publisher.publish("raw", FrameKey(t), pixels, received_ns=0)
            took.append(time.perf_counter() - begin)
            publisher.poll()
            time.sleep(0.002)
        return np.array(took)

    with Publisher(PublishSettings(high_water_mark=4), series) as publisher:
        alone = publish(range(100))
        command = [sys.executable, "-c", textwrap.dedent(SLEEPER), publisher.endpoint]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sleeper:
            try:
                joined = first_line(publisher, sleeper)
                assert joined == [99, 0]
                os.kill(sleeper.pid, signal.SIGSTOP)
                before = psutil.Process().memory_info().rss
                asleep = publish(range(100, 300))
                grown = psutil.Process().memory_info().rss - before
                os.kill(sleeper.pid, signal.SIGCONT)
                deadline = time.monotonic() + 20
                t = 300
                seen = [joined]
                os.set_blocking(sleeper.stdout.fileno(), False)
                text = ""
                # Until it has caught up with what is published now.
                while time.monotonic() < deadline and seen[-1][0] < 320:
                    publish([t])
                    t += 1
                    text += os.read(sleeper.stdout.fileno(), 65536).decode() if readable(sleeper) else ""
                    seen = [joined] + [list(map(int, line.split())) for line in text.splitlines()[:-1]]
            finally:
                sleeper.kill()
    assert seen[-1][0] >= 320
    # 200 frames of 2 MB were published; a handful are kept for the sleeper.
    assert grown < 60e6
    assert np.median(asleep) < 3 * np.median(alone) + 1e-3
    assert np.sort(asleep)[-5] < 0.1
    assert sum(gap for _, gap in seen) > 100
    for (last, _), (now, gap) in itertools.pairwise(seen):
        assert now - last - 1 == gap


def readable(process) -> bool:
    return bool(select.select([process.stdout], [], [], 0)[0])


def first_line(publisher, process) -> list[int]:
    """Serve the publisher until the process has printed its first line."""
    deadline = time.monotonic() + 20
    while not readable(process):
        assert time.monotonic() < deadline
        publisher.poll()
        time.sleep(0.005)
    return list(map(int, process.stdout.readline().split()))


def test_the_documented_viewer_of_pyzmq_and_numpy_alone_works():
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[0]
    assert "quietscope" not in example
    assert len([line for line in example.splitlines() if line]) <= 20
    with RemotePublisher() as publisher:
        publisher.tell("publish denoised 0 0 3")
        viewer = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", example, publisher.endpoint],
            stdout=subprocess.PIPE,
            text=True,
        )
        # A second viewer makes the publisher repeat, which the first must not take for news.
        first = viewer.stdout.readline()
        with Subscriber(publisher.endpoint, timeout=5) as other:
            assert other.receive().key == FrameKey(2)
        publisher.tell("publish raw 0 0 3")
        publisher.tell("publish denoised 0 3 5")
        publisher.tell("end")
        rest, _ = viewer.communicate(timeout=20)
    assert viewer.returncode == 0
    place = "'c': 0, 'z': 0, 'p': 0} (8, 12)"
    assert [first.strip(), *rest.splitlines()] == [
        f"denoised {{'t': {t}, {place} mean {t}.00 missed 0" for t in (2, 3, 4)
    ]


def test_further_channels_are_announced():
    series = Series(8, 12, "uint16", ("a",), "test")
    with (
        Publisher(PublishSettings(), series) as publisher,
        Subscriber(publisher.endpoint, timeout=5) as frames,
    ):
        publisher.update_series(Series(8, 12, "uint16", ("a", "b"), "test"))
        publisher.publish("raw", FrameKey(0, 1), np.zeros((8, 12), "uint16"), received_ns=0)
        deadline = time.monotonic() + 5
        while frames.series is None or not frames._waiting:
            assert time.monotonic() < deadline
            publisher.poll()
            frames._drain()
        assert frames.series.channels == ("a", "b")
        assert frames.receive().header.channel == "b"
        assert publisher.published == {"raw": 1}


def test_another_program_on_the_port_is_told_apart():
    with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}", timeout=5) as frames:
            deadline = time.monotonic() + 5
            with pytest.raises(WireError, match="has 3 parts"):  # noqa: PT012
                while time.monotonic() < deadline:
                    stranger.send_multipart([b"info", b"hello"])
                    time.sleep(0.01)
                    frames._drain()
        stranger.close(linger=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "*", "microscope"])  # noqa: S104
def test_an_address_that_others_can_reach_is_refused(host):
    settings = PublishSettings(endpoint=f"tcp://{host}:5555")
    with pytest.raises(WireError, match=r"publish\.endpoint.*CURVE keys.*quietscope keys new"):
        Publisher(settings, Series(8, 12, "uint16", ("a",), "test"))


def test_a_port_in_use_is_named_with_the_setting():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(WireError, match=rf"Port {port} of publish\.endpoint .* is in use"):
            Publisher(
                PublishSettings(endpoint=f"tcp://127.0.0.1:{port}"), Series(8, 12, "uint16", ("a",), "test")
            )


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:99999", "tcp://127.0.0.1", "ipc:///tmp/x", "5555"])
def test_what_is_no_address_is_refused(endpoint):
    with (
        zmq.Context() as context,
        context.socket(zmq.PUB) as publisher,
        pytest.raises(WireError, match=r"here = .* is no address; write tcp://HOST:PORT|is no address: Port"),
    ):
        bind(publisher, endpoint, "here")
    with pytest.raises(WireError, match="Cannot connect"):
        Subscriber("nowhere")


def test_a_trust_map_comes_with_its_light_and_reason():
    series = Series(6, 8, "uint16", ("GFP",), "test")
    trust = np.full((6, 8), 200, np.uint8)
    with (
        Publisher(PublishSettings(), series) as publisher,
        Subscriber(publisher.endpoint, kinds=("trust",), timeout=5) as frames,
    ):
        words = {"light": "yellow", "reason": "structure was added"}
        publisher.publish("trust", FrameKey(3), trust, received_ns=1, model="m", **words)
        # a subscription that was not there yet gets the frame as a repeat
        for _ in range(50):
            publisher.poll()
            time.sleep(0.01)
        frame = frames.receive()
    assert (frame.kind, frame.key, frame.pixels.dtype) == ("trust", FrameKey(3), np.uint8)
    assert np.array_equal(frame.pixels, trust)
    assert (frame.header.light, frame.header.reason) == ("yellow", "structure was added")
