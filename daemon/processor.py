"""The processor: denoises frames as they come or the newest first, fills the store up afterwards, feeds the viewers.

Live run, resume, offline denoising and a restart are one code path: whatever the ledger says is missing is made.
"""

import time
from collections.abc import Sequence

from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import QuietscopeError, Settings, StoreError
from quietscope.daemon.degrading import Degrading
from quietscope.daemon.lanes import frames_at_once
from quietscope.daemon.ledger_facts import PendingFrame
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.models_live import LiveModels
from quietscope.daemon.network_threads import Denoised, NetworkThreads
from quietscope.daemon.news import News
from quietscope.daemon.parent import Parent
from quietscope.daemon.publishing import PublishingThread
from quietscope.daemon.results import Results
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.showing import Showing
from quietscope.daemon.skipping import Skipping
from quietscope.daemon.watching import Watch
from quietscope.daemon.work import Work, WorkQueue

__all__ = ["Processor"]

_STATUS_S = 0.5
_REST = 3.0  # while another channel trains, live frames take at most a quarter of the time


class Processor:
    """Runs the processor process of one run.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    parent
        The process that started this one.
    ingest, news
        Addresses of the recorder.
    """

    def __init__(self, run: RunFolder, settings: Settings, parent: Parent, *, ingest: str, news: str) -> None:
        self._settings = settings
        self._parent = parent
        self._ledger = LedgerReader(run.ledger)
        self._run = run
        self._store: StoreReader | None = None
        self._channels = 0
        self._models = LiveModels(run, settings, on_event=parent.emit)
        self._work = WorkQueue(
            lambda channels, after, limit: self._ledger.pending(channels, after=after, limit=limit)
        )
        self._client = IngestClient(
            ingest,
            sender="processor",
            budget=int(settings.processor.inflight_mb * 1e6),
            keys=settings.security.keys,
        )
        self._results = Results(self._client, self._work, parent)
        self._skipping = Skipping(self._ledger, self._results)
        self._news = News(news, settings.security.keys)
        self._publishing = PublishingThread(
            settings.publish,
            keys=settings.security.keys,
            on_trouble=lambda text: parent.say("warning", f"processor: {text}"),
        )
        self._showing = Showing(self._publishing, settings)
        self._watch = Watch(settings.drift, self._publishing, self._client, on_event=parent.emit)
        self._degrading = Degrading(settings, self._publishing, self._client, parent)
        self._network = NetworkThreads(frames_at_once(settings))
        self._went_live: frozenset[int] = frozenset()
        self._rest_until = 0.0
        self._draining = False
        self._paused = False
        self._denoise_ms = 0.0

    def run(self) -> int:
        """Denoise until everything is done or the parent is gone; the exit status of the process."""
        self._parent.emit("ready", endpoint=self._publishing.endpoint)
        status_at = 0.0
        try:
            self._meet_series()
            self._meet_models()
            while not self._parent.gone.is_set():
                busy = self._step()
                if time.monotonic() - status_at > _STATUS_S:
                    self._report_status()
                    status_at = time.monotonic()
                if not busy and self._draining and self._is_drained():
                    break
        finally:
            self._report_status()
            self._network.close()
            self._publishing.close()
            self._client.close()
            self._news.close()
            self._ledger.close()
        done = {"denoised": self._results.denoised, "published": self._showing.published}
        self._parent.emit("finished", **done, **self._parent.memory())
        return 0

    def _step(self) -> bool:
        """One round: messages, then at most one frame more is begun. True if there was work."""
        self._look()  # how late the last picture was, before it is as old as the next one takes
        self._network.wait()  # a frame chosen earlier would get as old as the one under way takes
        if self._network.is_ready() and not self._network.wants_frame():
            self._hand_out(self._network.finish())
            return True
        self._obey()
        self._hear()
        self._results.settle()
        self._look()
        if self._store is None:
            self._news.wait(50, self._network.bell)
            return False
        given_up = self._models.given_up(self._channels)
        if self._one_fresh() or self._skipping.step(given_up) or self._backfill():
            return True
        busy = self._network.busy
        if not self._network.is_ready():
            self._news.wait(20, self._network.bell)
        while self._network.is_ready():
            self._hand_out(self._network.finish())
        return busy

    def _look(self) -> None:
        self._recall(self._degrading.look(training=self._models.is_training(self._channels)))

    def _obey(self) -> None:
        command = self._parent.command()
        if command is None:
            return
        match command.get("command"):
            case "drain":
                self._draining = True
                self._pause(paused=False)  # what a pause has left out is made up for
                self._meet_models()
                self._models.give_up(str(command["untrainable"]))
                self._recall(self._degrading.end())
            case "pause" | "continue" as what:
                self._pause(paused=what == "pause" and not self._draining)
            case other:
                self._parent.say("warning", f"processor: unknown command {other!r}")

    def _pause(self, *, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            self._parent.emit("denoising", paused=paused)

    def _hear(self) -> None:
        for topic, content in self._news.heard():
            match topic:
                case "frame":
                    key = FrameKey(*content["key"])
                    self._work.announce(key, content["received_ns"], content["announced_ns"])
                case "load":
                    self._degrading.recorder_is_behind(content["behind_s"])
                case "series":
                    self._meet_series()
                case "model":
                    self._meet_models()
        for channel in self._went_live:  # viewers see the model's work at once
            self._recall(self._ledger.pending((channel,), limit=1, newest_first=True))
        self._went_live = frozenset()

    def _recall(self, frames: Sequence[Work | PendingFrame]) -> None:
        for frame in frames:
            self._work.recall(frame.key, frame.received_ns)

    def _meet_series(self) -> None:
        series = self._ledger.series()
        if series is None:
            return
        self._channels = len(series.channels)
        if self._store is None:
            self._store = StoreReader(self._run.root)
        self._publishing.start_series(series)

    def _meet_models(self) -> None:
        series = self._ledger.series()
        if series is None:
            return
        self._deliver()  # by the model that made it; and new models are tried on a machine that does nothing else
        before = self._models.live_channels
        shape = series.height, series.width
        self._models.refresh(self._ledger.verdicts(), shape)
        self._degrading.meet({c: self._models[c] for c in self._models.live_channels}, shape)
        self._went_live |= self._models.live_channels - before

    def _one_fresh(self) -> bool:
        if self._models.is_training(self._channels):
            self._deliver()  # how long it took says how long to rest
        if time.monotonic() < self._rest_until:
            return False
        work = self._work.fresh(range(self._channels))
        if work is None:
            if not self._network.busy_with_new:
                self._degrading.idle()
            return False
        channel = work.key.c
        if self._models.is_live(channel) and not self._paused and self._degrading.quality == "full":
            self._denoise(work)
            return True
        if self._paused:
            self._deliver()
            self._work.settle(work.key)
            if (raw := self._read(work)) is not None:
                self._showing.raw(work, raw)
        elif not self._models.is_live(channel):
            # No model yet: the frame stays "raw" in the ledger and is shown as a plainly labelled preview.
            self._work.settle(work.key)
            if self._showing.is_preview_due(channel) and (raw := self._read(work)) is not None:
                self._showing.preview(work, raw)
        else:
            self._deliver()  # what is cheaper runs on the same network
            self._show_below_full(work)
        self._degrading.handled(work)
        return True

    def _show_below_full(self, work: Work) -> None:
        """Show what there is time for; the frame stays "raw" in the ledger and is back-filled at full quality."""
        self._work.settle(work.key)
        model = self._models[work.key.c]
        thinned = self._degrading.denoiser(model) is None and self._settings.processor.preview_hz > 0
        if thinned and not self._showing.is_preview_due(work.key.c):
            return
        if (raw := self._read(work)) is not None:
            self._degrading.show(work, raw, model)
            self._models.note_trouble(work.key.c)

    def _backfill(self) -> bool:
        live = self._models.live_channels
        if self._paused or self._models.is_training(self._channels):
            return False  # the trainer needs the cores; the store is filled up afterwards
        if not self._degrading.may_fill:
            return False
        work = self._work.oldest(live) if live else None
        if work is None:
            return False
        self._denoise(work)
        return True

    def _denoise(self, work: Work) -> None:
        """Start a frame; those whose place it takes are delivered meanwhile."""
        raw = self._read(work)
        if raw is None:
            return
        model = self._models[work.key.c]
        done = []
        while self._network.is_ready() or not self._network.has_room(model):
            done.append(self._network.finish())
        training = self._models.is_training(self._channels)  # then frames go one after the other
        more = not work.fresh or self._work.waits(self._models.live_channels)
        self._network.start(work, raw, model, alone=training or not more)
        for frame in done:
            self._hand_out(frame)

    def _deliver(self) -> None:
        """Wait for all frames that are under way, and show, judge and store them."""
        while self._network.busy:
            self._hand_out(self._network.finish())

    def _hand_out(self, done: Denoised) -> None:
        work, model = done.work, done.model
        self._models.note_trouble(work.key.c)
        if self._models.is_training(self._channels):
            self._rest_until = time.monotonic() + _REST * done.seconds
        if done.pixels is None:
            self._results.failed(work, f"the denoiser failed: {done.error}")
        else:
            self._denoise_ms = 1e3 * done.seconds
            published_ns = self._showing.denoised(work, done.raw, done.pixels, model.model_id)
            shown = published_ns is not None
            self._watch.look_at(work, done.raw, done.pixels, model, show=shown)
            in_full = work.received_ns >= max(model.since_ns, self._degrading.full_since_ns)
            live = work.fresh and shown and in_full
            self._results.store(work, done.pixels, model.model_id, published_ns=published_ns, live=live)
        self._degrading.handled(work)

    def _read(self, work: Work) -> Pixels | None:
        assert self._store is not None
        try:
            return self._store.read("raw", work.key)
        except StoreError as error:
            self._results.failed(work, f"its raw pixels could not be read: {error}")
            return None

    def _is_drained(self) -> bool:
        return not self._network.busy and self._results.all_arrived and self._ledger.pending_count() == 0

    def _report_status(self) -> None:
        try:
            counts = self._ledger.counts()
        except QuietscopeError as error:
            self._parent.say("warning", f"processor: {error}")
            return
        self._parent.emit(
            "status",
            denoised=counts["denoised"],
            pending=counts["raw"],
            skipped=counts["skipped"],
            published=self._showing.published,
            refused=self._publishing.refused,
            denoise_ms=self._denoise_ms,
            **self._degrading.status,
            **self._parent.memory(),
        )
