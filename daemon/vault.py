"""From a frame in memory to a committed row: ring, spool, writer threads, ledger.

A raw frame is announced only after its pixels are synced and its row is committed. Denoised frames take the same
way. A disk that refuses is asked again a bounded number of times; then the run ends loudly.
"""

import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quietscope.adapters.frame import Frame, FrameKey
from quietscope.adapters.ome_zarr import Kind, StoreWriter
from quietscope.config import StoreError
from quietscope.config.system import RecorderSettings
from quietscope.daemon.committer import Committer
from quietscope.daemon.ledger import DenoisedRow, RawRow, TrustRow
from quietscope.daemon.ring import ByteRing
from quietscope.daemon.spool import Spool

__all__ = ["Deposit", "Judged", "Provenance", "Vault"]

_FLUSH_S = 30.0
_AGAIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a denoised frame, and when it was shown.

    Parameters
    ----------
    model_id
        The model.
    published_ns
        Time of publication, nanoseconds since the epoch, or None if it was not published.
    live
        Whether the frame was denoised as it came, not back-filled.
    """

    model_id: str
    published_ns: int | None
    live: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What a trust map comes with.

    Parameters
    ----------
    light, reason
        The traffic light, and why.
    figures
        What was measured.
    """

    light: str
    reason: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Deposit:
    """A frame on its way into the store.

    Parameters
    ----------
    frame
        The pixels and their key.
    provenance
        None for a raw frame; `Judged` for a trust map.
    then
        Called from the committer's thread once the frame is safe.
    """

    frame: Frame
    provenance: Provenance | Judged | None = None
    then: Callable[[], None] | None = None

    @property
    def nbytes(self) -> int:
        """Size of the pixels in bytes."""
        return self.frame.nbytes


class Vault:
    """Takes frames and keeps them.

    Parameters
    ----------
    settings
        Bounds and number of writers.
    spool
        Where raw frames wait when the ring is full and the source cannot wait.
    committer
        Writes the ledger.
    on_fatal
        Called with words when a frame cannot be kept in spite of retries.
    on_trouble
        Called with words when the disk refuses and will be asked again.
    """

    def __init__(
        self,
        settings: RecorderSettings,
        spool: Spool,
        committer: Committer,
        *,
        on_fatal: Callable[[str], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._ring: ByteRing[Deposit] = ByteRing(int(settings.ring_mb * 1e6))
        self._spool = spool
        self._committer = committer
        self._on_fatal = on_fatal
        self._on_trouble = on_trouble
        self._retries = settings.retries
        self._store: StoreWriter | None = None
        self._raw_then: Callable[[Frame], None] = lambda _frame: None
        self._told_at = float("-inf")
        self._stopping = threading.Event()
        self._spooled_then: dict[FrameKey, Callable[[], None]] = {}
        self._busy = 0
        self._stored = 0
        self._quiet = threading.Condition()
        self._threads = [
            threading.Thread(target=self._write_loop, name=f"writer-{i}") for i in range(settings.writers)
        ]

    @property
    def ring(self) -> ByteRing[Deposit]:
        """The frames in memory."""
        return self._ring

    @property
    def spooled(self) -> int:
        """Frames that ever went through the spool."""
        return self._spool.total

    @property
    def stored(self) -> int:
        """Raw frames that have become safe since the start of this process."""
        return self._stored

    def open(self, store: StoreWriter, *, announce: Callable[[Frame], None]) -> None:
        """Begin to write into `store`; `announce` is called for every raw frame that is safe."""
        self._store = store
        self._raw_then = announce
        for thread in self._threads:
            thread.start()

    def deposit(self, deposit: Deposit, *, timeout_s: float, again: bool = False) -> bool:
        """Put a frame into the ring; False if there was no room within `timeout_s` seconds. See `ByteRing.offer`."""
        return self._ring.offer(deposit, timeout_s=timeout_s, again=again)

    def spool(self, deposit: Deposit) -> None:
        """Put a raw frame on disk to wait for the writers.

        Raises
        ------
        quietscope.config.StoreError
            If the spool is full or the disk refuses.
        """
        if deposit.then is not None:
            self._spooled_then[deposit.frame.key] = deposit.then
        self._spool.append(deposit.frame)

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._stopping.is_set()

    def drain(self, timeout_s: float) -> bool:
        """Wait until every frame taken so far is in the ledger; False if that took too long."""
        deadline = time.monotonic() + timeout_s
        with self._quiet:
            empty = self._quiet.wait_for(
                lambda: self._ring.nbytes == 0 and len(self._spool) == 0 and self._busy == 0, timeout_s
            )
        return empty and self._committer.flush(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End the writers when they have written what is there."""
        self._stopping.set()
        self._ring.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._committer.flush(_FLUSH_S)
        self._spool.close()

    def _write_loop(self) -> None:
        while True:
            deposit = self._ring.take(timeout_s=0.0 if len(self._spool) else 0.05)
            if deposit is not None:
                try:
                    self._write(deposit)
                finally:
                    self._ring.release(deposit.nbytes)
            elif not self._from_spool() and self._stopping.is_set():
                return
            with self._quiet:
                self._quiet.notify_all()

    def _from_spool(self) -> bool:
        with self._quiet:
            self._busy += 1
        try:
            frame = self._spool.pop()
            if frame is None:
                return False
            self._write(Deposit(frame, then=self._when_safe(self._spooled_then.pop(frame.key, None))))
        except StoreError as error:
            self._on_fatal(str(error))
        finally:
            with self._quiet:
                self._busy -= 1
        return True

    def _when_safe(self, then: Callable[[], None] | None) -> Callable[[], None]:
        def done() -> None:
            self._spool.release()
            if then is not None:
                then()

        return done

    def _write(self, deposit: Deposit) -> None:
        assert self._store is not None
        frame, provenance = deposit.frame, deposit.provenance
        kind: Kind = (
            "raw" if provenance is None else "trust" if isinstance(provenance, Judged) else "denoised"
        )
        pixels = np.ascontiguousarray(frame.pixels)
        for attempt in range(self._retries):
            try:
                self._store.write(kind, frame.key, pixels)
                break
            except StoreError as error:
                if attempt == self._retries - 1 or self._stopping.is_set():
                    self._on_fatal(f"{kind} frame {frame.key} could not be stored: {error}")
                    return
                self._tell(f"{kind} frame {frame.key} not stored yet, trying again: {error}")
                self._stopping.wait(0.1 * 2**attempt)
            except Exception as error:  # noqa: BLE001 - a writer that dies in silence would stop the recording
                self._on_fatal(f"{kind} frame {frame.key} could not be stored: {error!r}")
                return
        checksum = zlib.crc32(pixels.data)
        now = time.time_ns()
        if provenance is None:
            row = RawRow(frame.key, frame.received_ns, now, checksum, frame.exposure_ms, frame.metadata)
            self._committer.put(row, lambda: self._announce(deposit))
        elif isinstance(provenance, Judged):
            judged = TrustRow(frame.key, provenance.light, provenance.reason, provenance.figures)
            self._committer.put(judged, deposit.then)
        else:
            entry = DenoisedRow(
                frame.key, now, checksum, provenance.model_id, provenance.published_ns, provenance.live
            )
            self._committer.put(entry, deposit.then)

    def _tell(self, trouble: str) -> None:
        """Tell of trouble, but not again and again of the same disk."""
        now = time.monotonic()
        if now - self._told_at >= _AGAIN_S:
            self._told_at = now
            self._on_trouble(trouble)

    def _announce(self, deposit: Deposit) -> None:
        self._stored += 1
        self._raw_then(deposit.frame)
        if deposit.then is not None:
            deposit.then()
