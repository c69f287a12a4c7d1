"""Pictures below full quality: everybody who looks is told, and the ledger knows."""

import contextlib
import io
import json
import sqlite3
import threading
import time

import numpy as np
import pytest
import zmq
from rich.console import Console
from run_folder import make_run

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.publisher import Publisher
from quietscope.adapters.viewer.hub import Hub
from quietscope.adapters.viewer.light import LightMeter
from quietscope.adapters.viewer.reporting import Report
from quietscope.config.errors import WireError
from quietscope.config.system import PublishSettings
from quietscope.daemon.display import Display
from quietscope.daemon.ingest_fields import rows as rows_of
from quietscope.daemon.ledger import DenoisedRow, LedgerWriter, LostDenoisedRow, RawRow, ShownRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.metrics import Metrics
from quietscope.daemon.report.writing import write_report
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.viewing import RunArchive

SERIES = Series(8, 8, "uint8", ("GFP",), "test")
PIXELS = np.zeros((8, 8), "uint8")
STEP = {
    "event": "quality",
    "from": "processor",
    "time_ns": 10**18,
    "level": "warning",
    "text": "the machine is behind: pictures are 4.0 s late",
    "quality": "preview",
    "words": "simple previews",
    "behind_s": 4.0,
}
BACK = {**STEP, "level": "info", "text": "in time again", "quality": "full", "words": "full quality"}


def rows(path) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(
            "SELECT t, state, shown_quality, shown_ns, published_ns FROM frame ORDER BY t"
        ).fetchall()


def test_the_ledger_keeps_the_quality_that_each_frame_was_first_shown_at(tmp_path):
    path = tmp_path / "ledger.db"
    writer = LedgerWriter(path)
    writer.commit([RawRow(FrameKey(t), 1, 2, 3, None, {}) for t in range(4)])
    writer.commit([ShownRow(FrameKey(t), "preview", 7 + t) for t in (0, 1)])
    made = [(0, None), (1, 20), (2, 21), (3, None)]
    writer.commit([DenoisedRow(FrameKey(t), 9, 1, "m", shown, live=False) for t, shown in made])
    writer.commit([ShownRow(FrameKey(2), "raw", 99), LostDenoisedRow(FrameKey(0))])
    writer.close()
    assert rows(path) == [
        (0, "raw", "preview", 7, None),
        (1, "denoised", "preview", 8, 20),
        (2, "denoised", "full", 21, 21),
        (3, "denoised", None, None, None),
    ]
    with LedgerReader(path) as reader:
        assert reader.shown_below_full() == {"preview": 2}


def test_a_ledger_of_a_version_without_shown_frames_is_read_and_brought_up_to_date(tmp_path):
    path = tmp_path / "ledger.db"
    writer = LedgerWriter(path)
    writer.commit([RawRow(FrameKey(0), 1, 2, 3, None, {})])
    writer.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        for column in ("shown_quality", "shown_ns"):
            db.execute(f"ALTER TABLE frame DROP COLUMN {column}")
    with LedgerReader(path) as reader:
        assert reader.shown_below_full() == {}
    writer = LedgerWriter(path)
    writer.commit([ShownRow(FrameKey(0), "raw", 5)])
    writer.close()
    assert rows(path) == [(0, "raw", "raw", 5, None)]


@pytest.mark.parametrize(
    "nonsense", [{"quality": "best"}, {"quality": ["raw"]}, {"key": [1, 2]}, {"shown_ns": 2**70}]
)
def test_what_cannot_have_been_shown_is_refused(nonsense):
    header = {"type": "shown", "key": [1, 0, 0, 0], "quality": "raw", "shown_ns": 5}
    assert rows_of(header) == [ShownRow(FrameKey(1), "raw", 5)]
    with pytest.raises(WireError):
        rows_of({**header, **nonsense})


def test_viewers_hear_of_a_step_at_once_with_every_heartbeat_and_with_every_frame():
    with (
        Publisher(PublishSettings(heartbeat_s=0.2), SERIES) as publisher,
        zmq.Context() as context,
        context.socket(zmq.SUB) as viewer,
    ):
        viewer.setsockopt(zmq.SUBSCRIBE, b"")
        viewer.connect(publisher.endpoint)

        def heard(message: str) -> dict:
            for _ in range(500):
                publisher.poll()
                if viewer.poll(10):
                    header = json.loads(viewer.recv_multipart()[1])
                    if header["message"] == message and not header["repeat"]:
                        return header
            raise AssertionError(f"no {message}")

        assert heard("heartbeat")["quality"] == "full"
        publisher.update_quality("raw", "4 s late")
        for _ in range(2):
            told = heard("heartbeat")
            assert (told["quality"], told["reason"]) == ("raw", "4 s late")
        publisher.publish("raw", FrameKey(0), PIXELS, received_ns=0, quality="raw")
        assert heard("frame")["quality"] == "raw"
        publisher.publish("raw", FrameKey(1), PIXELS, received_ns=0)
        assert heard("frame")["quality"] == "full"


@pytest.mark.parametrize(("quality", "shown"), [("raw", [0, 1]), ("full", [0])])
def test_the_viewer_shows_a_raw_frame_at_once_where_nothing_will_be_made_of_it(quality, shown):
    pictures, came = [], threading.Condition()

    def take(picture) -> None:
        with came:
            pictures.append(picture)
            came.notify_all()

    hub = Hub(take)
    try:
        with Publisher(PublishSettings(), SERIES) as publisher:
            hub.connect(publisher.endpoint)
            deadline = time.monotonic() + 20
            while not pictures and time.monotonic() < deadline:
                publisher.publish("denoised", FrameKey(0), PIXELS, received_ns=1, quality=quality)
                with came:
                    came.wait(0.1)
            publisher.publish("raw", FrameKey(1), PIXELS, received_ns=2, quality=quality)
            publisher.publish("denoised", FrameKey(9), PIXELS, received_ns=9, quality=quality)
            with came:
                assert came.wait_for(lambda: pictures[-1].key.t == 9, 20)
    finally:
        hub.close()
    assert sorted({picture.key.t for picture in pictures} - {9}) == shown
    assert {picture.quality for picture in pictures} == {quality}


def test_terminal_viewer_figures_and_report_say_what_viewers_get(tmp_path):
    out = io.StringIO()
    display, metrics = Display(Console(file=out, width=200)), Metrics()
    root = make_run(tmp_path / "run", side=16, frames=3)
    archive = RunArchive(RunFolder(root))
    report = Report(LightMeter())
    status = {"event": "status", "from": "processor", "pending": 1, "quality_step": 3, "behind_s": 4.0}

    def tell(event) -> None:
        display.event(event)
        metrics.event(event)
        with (root / "log.jsonl").open("a") as log:
            log.write(json.dumps(event) + "\n")

    try:
        assert report.news(archive.look())["behind"] == ""
        tell(STEP)
        tell(status)
        assert "4.0 s late" in out.getvalue()
        assert "behind: viewers get simple previews" in display._line()
        assert report.news(archive.look())["behind"] == "simple previews"
        assert "quietscope_quality_step 3\n" in metrics.render()
        assert "quietscope_behind_seconds 4\n" in metrics.render()
        tell(BACK)
        assert "behind" not in display._line()
        assert report.news(archive.look())["behind"] == ""
    finally:
        archive.close()
    ledger = LedgerWriter(root / "ledger.db")
    ledger.commit([ShownRow(FrameKey(t), "preview", 1) for t in (0, 2)])
    ledger.close()
    page = write_report(RunFolder(root)).read_text(encoding="utf-8")
    assert "first shown as a simple preview" in page
    assert "to be stored at full quality all the same" in page, "one frame is not denoised yet"
