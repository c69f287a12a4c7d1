"""The door of the recorder: checks every frame, names and counts the bad ones, never loses a good one."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from typing import Any

from quietscope.adapters.frame import SUPPORTED_DTYPES, Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config import FrameError, StoreError
from quietscope.config.system import StopSettings
from quietscope.daemon.committer import Committer
from quietscope.daemon.ledger import MetaRow, RejectedRow
from quietscope.daemon.seen_keys import SeenKeys
from quietscope.daemon.vault import Deposit, Vault

__all__ = ["Intake"]

_LIMITS = (100_000_000, 64, 100_000, 10_000)


class Intake:
    """Implements `quietscope.adapters.protocols.Sink` for every source of the recorder.

    Parameters
    ----------
    vault
        Keeps the frames.
    committer
        Writes the ledger.
    make_store
        Makes the image store for a series.
    announce, announce_series
        Called when a raw frame is safe, and when the series is known or has grown.
    stop
        When intake ends by itself.
    block
        Whether sources wait when the ring is full (else frames are spooled).
    on_fatal
        Called with words when a good frame cannot be kept.
    on_reject
        Called with name, reason and detail of everything that is no valid frame.
    known, known_rejected
        Frames that a resumed run has already, and name and reason of what it has rejected.
    """

    def __init__(
        self,
        vault: Vault,
        committer: Committer,
        make_store: Callable[[Series], StoreWriter],
        *,
        announce: Callable[[Frame], None],
        announce_series: Callable[[Series], None],
        stop: StopSettings,
        block: bool,
        on_fatal: Callable[[str], None],
        on_reject: Callable[[str, str, str], None],
        known: Collection[FrameKey] = (),
        known_rejected: Collection[tuple[str, str]] = (),
    ) -> None:
        self._vault = vault
        self._committer = committer
        self._make_store = make_store
        self._announce = announce
        self._announce_series = announce_series
        self._stop = stop
        self._block = block
        self._on_fatal = on_fatal
        self._on_reject = on_reject
        self._lock = threading.Lock()
        self._seen = SeenKeys(known)
        self._known_rejected = frozenset(known_rejected)
        self._extent: dict[int, int] = {}
        for key in known:
            self._extent[key.p] = max(self._extent.get(key.p, -1), key.t)
        self._times: list[tuple[int, int]] = []
        self._ended = threading.Event()
        self.series: Series | None = None
        self.store: StoreWriter | None = None
        self.rejected: Counter[str] = Counter()
        self.received = len(self._seen)
        self.disordered = 0
        self._latest: dict[tuple[int, int, int], int] = {}
        self.last_arrival: float | None = time.monotonic() if self._seen else None
        if stop.frames is not None and self.received >= stop.frames:
            self._ended.set()

    @property
    def ended(self) -> threading.Event:
        """Set when no further frame is taken."""
        return self._ended

    @property
    def extent(self) -> dict[int, int]:
        """Position → last time point."""
        return dict(self._extent)

    @property
    def known(self) -> dict[str, Any]:
        """What a further sender must know: the first free time point, and what the frames have in common."""
        with self._lock:
            found: dict[str, Any] = {"next_t": max(self._extent.values(), default=-1) + 1}
            if self.series is not None:
                found["channels"] = list(self.series.channels)
                found["shape"] = [self.series.height, self.series.width]
                found["dtype"] = self.series.dtype
            return found

    @property
    def interval_s(self) -> float | None:
        """Mean time between two time points, seconds, or None if it is not known yet."""
        with self._lock:
            if len(self._times) < 2:
                return None
            (t0, ns0), (t1, ns1) = self._times
        return (ns1 - ns0) / 1e9 / (t1 - t0) if t1 > t0 and ns1 > ns0 else None

    def start(self, series: Series) -> None:
        """Learn what the frames have in common; makes the store the first time.

        Raises
        ------
        quietscope.config.FrameError
            If the pixel type is not supported, or size or type contradict the series that is being recorded.
        quietscope.config.StoreError
            If the store cannot be made.
        """
        with self._lock:
            if series.dtype not in SUPPORTED_DTYPES:
                msg = (
                    f"pixels of type {series.dtype} from {series.source} are not supported;"
                    f" supported are {', '.join(SUPPORTED_DTYPES)}"
                )
                raise FrameError("dtype", msg)
            if self.series is not None and not _same_frames(series, self.series):
                msg = (
                    f"the series is {_frames(self.series)}, and {series.source} now sends {_frames(series)};"
                    " start a new run for it"
                )
                raise FrameError("series", msg)
            if self.series is None:
                self.store = self._make_store(series)
                self._vault.open(self.store, announce=self._announce)
            elif series.channels != self.series.channels and self.store is not None:
                self.store.set_channels(series.channels)
            self.series = series
        self._committer.put(MetaRow("series", asdict(series)), lambda: self._announce_series(series))

    def submit(self, frame: Frame) -> bool:
        """Take a frame; False if it was rejected or intake has ended."""
        return self.take(Deposit(frame))

    def take(self, deposit: Deposit) -> bool:
        """Take a raw frame together with what is to be done once it is safe."""
        frame = deposit.frame
        with self._lock:
            if self._ended.is_set():
                return False
            fault = self._fault(frame)
            if fault is None:
                self._meet_channel(frame.key.c)
                self._seen.add(frame.key)
                place = frame.key[1:]
                self.disordered += frame.key.t < self._latest.get(place, 0)
                self._latest[place] = max(frame.key.t, self._latest.get(place, 0))
                self._extent[frame.key.p] = max(self._extent.get(frame.key.p, -1), frame.key.t)
                self._times[1:] = [(frame.key.t, frame.received_ns)]
                self.received += 1
                self.last_arrival = time.monotonic()
                if self._stop.frames is not None and self.received >= self._stop.frames:
                    self._ended.set()
        if fault is not None:
            name = str(frame.metadata.get("name", frame.key))
            self.reject(name, *fault)
            return False
        return self._keep(deposit)

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Count something that is no valid frame; once, though a resumed run may meet it again."""
        # names of files need not be text; ledger and screen take nothing else
        name, detail = (text.encode("utf-8", "backslashreplace").decode() for text in (name, detail))
        if (name, reason) in self._known_rejected:
            return
        with self._lock:
            self.rejected[reason] += 1
        self._committer.put(RejectedRow(name, reason, detail))
        self._on_reject(name, reason, detail)

    def end(self) -> None:
        """Take no further frame."""
        with self._lock:
            self._ended.set()

    def _keep(self, deposit: Deposit) -> bool:
        wait_s = 0.2 if self._block else 0.0
        while not self._vault.deposit(deposit, timeout_s=wait_s):
            if self._vault.closed:
                return False
            if self._block:
                continue
            try:
                self._vault.spool(deposit)
            except StoreError as error:
                self._on_fatal(f"frame {deposit.frame.key} could not be kept: {error}")
                return False
            break
        return True

    def _meet_channel(self, channel: int) -> None:
        """Give a channel that the series did not name a name of its own."""
        series = self.series
        if series is None or channel < len(series.channels):
            return
        names = series.channels + tuple(f"channel {i}" for i in range(len(series.channels), channel + 1))
        grown = replace(series, channels=names)
        if self.store is not None:
            # Only the name is at stake: the image grows with the frame, and names are written again at the end.
            with contextlib.suppress(StoreError):
                self.store.set_channels(names)
        self.series = grown
        self._committer.put(MetaRow("series", asdict(grown)), lambda: self._announce_series(grown))

    def _fault(self, frame: Frame) -> tuple[str, str] | None:
        series = self.series
        if series is None:
            return (
                "no-series",
                "the source sent a frame before it said what its frames are; this is a fault of the source",
            )
        shape = frame.pixels.shape
        if shape != (series.height, series.width):
            return "shape", (
                f"frame is {' × '.join(map(str, shape))} but the series is {series.height} × {series.width};"
                " start a new run for another frame size"
            )
        if frame.pixels.dtype.name != series.dtype:
            return "dtype", (
                f"frame is {frame.pixels.dtype.name} but the series is {series.dtype};"
                " start a new run for another pixel type"
            )
        if any(not 0 <= index < limit for index, limit in zip(frame.key, _LIMITS, strict=True)):
            return "key", f"key {frame.key} is outside 0 … {FrameKey(*_LIMITS)}; indices count from 0"
        if frame.key in self._seen:
            return "duplicate", f"a frame {frame.key} has been received already; the first one is kept"
        return None


def _same_frames(one: Series, other: Series) -> bool:
    return (one.height, one.width, one.dtype) == (other.height, other.width, other.dtype)


def _frames(series: Series) -> str:
    return f"{series.height} × {series.width} {series.dtype}"
