"""The viewer's server against browsers that stall, are slow, or lie: real sockets, a real publisher."""

import contextlib
import json
import struct
import time
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from run_folder import LivePublisher, ViewCommand, make_run, plane
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from quietscope.adapters.control import Answer
from quietscope.adapters.control_server import ControlServer
from quietscope.config.system import ControlSettings

SIDE = 512


class Client:
    """A browser that acknowledges only when told to."""

    def __init__(self, url, **wanted):
        own = urlsplit(url)
        with contextlib.ExitStack() as stack:
            self.socket = stack.enter_context(
                connect(f"ws://{own.netloc}/live", origin=f"http://{own.netloc}", max_size=None, proxy=None)
            )
            self.close = stack.pop_all().close
        self.want(**wanted)

    def want(self, **wanted):
        self.socket.send(json.dumps({"type": "want", "channels": [0], **wanted}))

    def next(self, timeout=20):
        """The next message: its header, and planes if it is a picture."""
        data = self.socket.recv(timeout=timeout)
        if isinstance(data, str):
            return json.loads(data), {}
        (size,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + size])
        planes = {
            p["stream"]: np.frombuffer(
                data, p["type"], p["shape"][0] * p["shape"][1], 4 + size + p["offset"]
            ).reshape(p["shape"])
            for p in header["planes"]
        }
        return header, planes

    def picture(self, ack=True):
        """The next picture; reports on the way are acknowledged."""
        while True:
            header, planes = self.next()
            if ack or header["type"] == "report":
                self.ack(header)
            if header["type"] == "picture":
                return header, planes

    def picture_of(self, t):
        """The first picture of a time point that has been denoised."""
        while True:
            header, planes = self.picture()
            if header["key"]["t"] == t and "denoised" in planes:
                return header, planes

    def listen(self, messages):
        """Take so many messages."""
        for _ in range(messages):
            self.next()

    def ack(self, header, busy_ms=0.0):
        self.socket.send(json.dumps({"type": "ack", "number": header["number"], "busy_ms": busy_ms}))


@pytest.fixture
def closing():
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in reversed(things):
        thing.close()


def test_a_stalled_browser_costs_one_picture_and_gets_the_newest_when_it_wakes(tmp_path, closing):
    root = make_run(tmp_path / "run", side=SIDE, frames=1)
    publisher = closing(LivePublisher(root, side=SIDE))
    view = closing(ViewCommand(root))
    stalled = [closing(Client(view.url, detail="full")) for _ in range(3)]
    waking = []
    for client in stalled:
        header, _ = client.picture(ack=False)
        waking.append(header)
    publisher.publish(1, 20)
    time.sleep(1)
    before = psutil.Process(view.process.pid).memory_info().rss
    publisher.publish(20, 139)
    time.sleep(1)
    publisher.publish(139, 140)  # a burst may lose its end on the wire, a frame by itself does not
    time.sleep(1)
    grown = psutil.Process(view.process.pid).memory_info().rss - before
    assert grown < 20 * SIDE * SIDE * 2  # some 240 planes have passed
    for client, header in zip(stalled, waking, strict=True):
        client.ack(header)
        newest, planes = client.picture()
        assert newest["key"]["t"] == 139
        np.testing.assert_array_equal(planes["denoised"], plane("denoised", 139, 0, SIDE))
        np.testing.assert_array_equal(planes["raw"], plane("raw", 139, 0, SIDE))


def test_a_slow_link_gets_coarse_pictures_and_the_full_one_once_it_holds_still(tmp_path, closing):
    root = make_run(tmp_path / "run", side=SIDE, frames=3)
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, follow=False, t=0))
    header, _ = client.picture(ack=False)
    time.sleep(1.0)  # a megabyte in a second
    client.ack(header)
    client.want(follow=False, t=1)
    header, planes = client.picture()
    side = header["planes"][0]["bin"]
    assert header["key"]["t"] == 1
    assert side > 1
    means = plane("raw", 1, 0, SIDE).reshape(SIDE // side, side, SIDE // side, side).mean(axis=(1, 3))
    np.testing.assert_allclose(planes["raw"], means, atol=0.5)
    header, planes = client.picture()
    assert (header["key"]["t"], header["planes"][0]["bin"]) == (1, 1)
    np.testing.assert_array_equal(planes["raw"], plane("raw", 1, 0, SIDE))


def test_a_frame_that_is_denoised_later_is_sent_again(tmp_path, closing):
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.ome_zarr import StoreWriter
    from quietscope.config.system import StoreSettings
    from quietscope.daemon.ledger import DenoisedRow, LedgerWriter

    root = make_run(tmp_path / "run", side=64, frames=2)
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, follow=False, t=1))
    header, planes = client.picture()
    assert (set(planes), header["note"]) == ({"raw"}, "not denoised yet")
    series = Series(64, 64, "uint16", ("actin",), "test", 0.1)
    store = StoreWriter(root, series, StoreSettings(sync=False), resume=True)
    store.write("denoised", FrameKey(1), plane("denoised", 1, 0, 64))
    ledger = LedgerWriter(root / "ledger.db")
    ledger.commit([DenoisedRow(FrameKey(1), 10**18, 0, "model", None, live=False)])
    ledger.close()
    header, planes = client.picture()
    assert header["key"]["t"] == 1
    np.testing.assert_array_equal(planes["denoised"], plane("denoised", 1, 0, 64))


def test_frames_too_large_for_the_graphics_come_smaller(tmp_path, closing):
    root = make_run(tmp_path / "run", side=SIDE, frames=2)
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, follow=False, t=0, detail="full", max_side=256))
    header, planes = client.picture()
    assert header["planes"][0]["full"] == [SIDE, SIDE]
    assert planes["raw"].shape == (256, 256)


def test_a_browser_that_talks_nonsense_is_sent_away_and_the_others_stay(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=2)
    view = closing(ViewCommand(root))
    good = closing(Client(view.url, follow=False, t=0))
    good.picture()
    bad = closing(Client(view.url))
    bad.socket.send('{"type": "want", "t": "../../etc/passwd"}')
    with pytest.raises(ConnectionClosed):
        bad.listen(20)
    good.want(follow=False, t=1)
    assert good.picture()[0]["key"]["t"] == 1
    assert "Traceback" not in view.close()


def test_a_finished_run_is_shown_from_its_last_frame(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=3, channels=("a", "b"))
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, channels=[1]))
    reports, pictures = [], []
    while not (reports and pictures):
        header, planes = client.next()
        client.ack(header)
        (pictures if planes else reports).append(header)
    assert pictures[0]["key"] == {"t": 2, "c": 1, "z": 0, "p": 0}
    report = reports[0]
    assert report["running"] is False
    assert report["lengths"] == {"t": 3, "c": 2, "z": 1, "p": 1}
    assert report["timeline"] == "ddr"
    assert report["counts"] == {"raw": 2, "denoised": 4, "skipped": 0, "rejected": 0}
    assert [event["text"] for event in report["events"]] == ["a <b>word</b>"]


def test_channels_of_different_positions_are_never_laid_over_each_other(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=1, channels=("a", "b"))
    publisher = closing(LivePublisher(root, side=64, channels=("a", "b")))
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, channels=[0, 1]))
    newest = {}

    def until(*expected):
        while tuple(newest.get(c) for c in (0, 1)) != expected:
            header, planes = client.picture()
            newest[header["key"]["c"]] = (header["key"]["p"], "denoised" in planes)

    publisher.publish(3, 4)
    until((0, True), (0, True))
    publisher.publish(3, 4, p=1, channels=(1,))
    until((1, False), (1, True))  # the first channel has not come there yet
    publisher.publish(3, 4, p=1, channels=(0,))
    until((1, True), (1, True))


WITH_TRUST = ("raw", "denoised", "preview", "trust")


def test_lights_come_live_and_trust_maps_to_those_who_ask_and_nothing_comes_twice(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=1)
    publisher = closing(LivePublisher(root, side=64))
    view = closing(ViewCommand(root))
    plain = closing(Client(view.url, detail="full"))
    asking = closing(Client(view.url, detail="full", streams=WITH_TRUST))
    publisher.publish(5, 6)
    for client in (plain, asking):
        header, _ = client.picture_of(5)
        assert header["light"] is None
    publisher.publish(5, 6, kinds=("trust",))
    for client, expected in ((plain, set()), (asking, {"trust"})):
        header, planes = client.picture()
        assert (header["key"]["t"], header["adds"], set(planes)) == (5, True, expected)
        assert (header["light"], header["reason"]) == ("yellow", "doubt")
    np.testing.assert_array_equal(planes["trust"], plane("trust", 5, 0, 64))
    publisher.publish(6, 7)
    header, planes = plain.picture()
    assert (header["key"]["t"], header["adds"], header["light"]) == (6, False, None)
    assert "trust" not in planes
    # The map of an earlier frame is passed over.
    asking.picture_of(6)
    publisher.publish(5, 6, kinds=("trust",))
    publisher.publish(7, 8)
    header, planes = asking.picture()
    assert (header["key"]["t"], header["adds"]) == (7, False)
    assert "trust" not in planes


def test_stored_frames_bring_their_light_and_if_asked_their_trust_map(tmp_path, closing):
    from quietscope.adapters.frame import FrameKey, Series
    from quietscope.adapters.ome_zarr import StoreWriter
    from quietscope.config.system import StoreSettings
    from quietscope.daemon.ledger import LedgerWriter, TrustRow

    root = make_run(tmp_path / "run", side=64, frames=3)
    store = StoreWriter(
        root, Series(64, 64, "uint16", ("actin",), "test", 0.1), StoreSettings(sync=False), resume=True
    )
    store.write("trust", FrameKey(1), plane("trust", 1, 0, 64))
    ledger = LedgerWriter(root / "ledger.db")
    ledger.commit([TrustRow(FrameKey(1), "red", "its intensities are wrong", {})])
    ledger.close()
    view = closing(ViewCommand(root))
    client = closing(Client(view.url, follow=False, t=1))
    header, planes = client.picture()
    assert (header["light"], header["reason"]) == ("red", "its intensities are wrong")
    assert set(planes) == {"raw", "denoised"}
    client.want(follow=False, t=1, streams=WITH_TRUST, detail="full")
    header, planes = client.picture()
    np.testing.assert_array_equal(planes["trust"], plane("trust", 1, 0, 64))
    client.want(follow=False, t=0, streams=WITH_TRUST, detail="full")
    header, planes = client.picture()
    assert (header["light"], set(planes)) == (None, {"raw", "denoised"})


class Commanded:
    """A run's end of the control wire, in this process."""

    def __init__(self, root):
        self.requests = []
        self.server = ControlServer(ControlSettings(), keys=None, on_request=self.hear, on_rejected=print)
        endpoints = root / "endpoints.json"
        content = json.loads(endpoints.read_text()) | {"control": self.server.endpoint}
        endpoints.write_text(json.dumps(content))
        self.close = self.server.close

    def hear(self, number, request):
        self.requests.append(request)
        self.server.answer(number, Answer(ok=request.method != "fm2s", text=f"heard {request.command}"))


def next_of(client, kind, **fields):
    while True:
        header, planes = client.next()
        client.ack(header)
        if not planes and {"type": kind, **fields}.items() <= header.items():
            return header


def test_a_browser_on_this_computer_asks_the_run_and_gets_its_answer(tmp_path, closing):
    root = make_run(tmp_path / "run", side=64, frames=1)
    closing(LivePublisher(root, side=64))
    run = closing(Commanded(root))
    with (root / "log.jsonl").open("a") as log:
        log.write('{"time_ns": 1, "event": "denoising", "from": "processor", "paused": true}\n')
    view = closing(ViewCommand(root))
    client = closing(Client(view.url))
    report = next_of(client, "report", commands=True)
    assert report["paused"] is True
    client.socket.send('{"type": "ask", "request": {"command": "continue"}}')
    answer = next_of(client, "answer")
    assert (answer["ok"], answer["text"]) == (True, "heard continue")
    client.socket.send('{"type": "ask", "request": {"command": "retrain", "channel": 0, "method": "fm2s"}}')
    assert next_of(client, "answer")["ok"] is False
    assert [(r.command, r.channel, r.method) for r in run.requests] == [
        ("continue", None, None),
        ("retrain", 0, "fm2s"),
    ]
    client.socket.send('{"type": "ask", "request": {"command": "shutdown"}}')
    with pytest.raises(ConnectionClosed):
        client.listen(20)
    assert len(run.requests) == 2


def test_browsers_of_other_computers_may_only_look(tmp_path, closing):
    import asyncio

    from quietscope.adapters.control import Request
    from quietscope.adapters.viewer.commands import Commands

    root = make_run(tmp_path / "run", side=64, frames=1)
    (root / "endpoints.json").write_text("{}")
    run = closing(Commanded(root))
    commands = Commands(allowed=False, keys=None)
    commands.endpoint = run.server.endpoint
    assert not commands.possible
    answer = asyncio.run(commands.ask(Request(command="pause")))
    assert not answer.ok
    assert "view.remote_control" in answer.text
    assert run.requests == []
