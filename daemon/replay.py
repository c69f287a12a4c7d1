"""The raw frames of an earlier run as a source."""

import threading
import time

from quietscope.adapters.earlier import Earlier
from quietscope.adapters.frame import Frame
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.protocols import Sink
from quietscope.config import SourceError, StoreError
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder

__all__ = ["Replay"]


class Replay:
    """Delivers every stored raw frame of a run in order of arrival, as fast as the sink takes them.

    The time of the first recording goes into each frame's metadata as ``recorded_ns``.

    Parameters
    ----------
    run
        The earlier run; it is only read.
    earlier
        Frames that are not to be delivered once more, since an interrupted run has them.
    """

    def __init__(self, run: RunFolder, *, earlier: Earlier | None = None) -> None:
        self._run = run
        self._earlier = earlier

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver the frames.

        Raises
        ------
        quietscope.config.SourceError
            If the run holds no frame.
        quietscope.config.LedgerError, quietscope.config.StoreError
            If the run cannot be read.
        """
        known = {frame.key for frame in self._earlier.frames} if self._earlier is not None else set()
        with LedgerReader(self._run.ledger) as ledger:
            series = ledger.series()
            if series is None:
                msg = f"the run {self._run.root} holds no frame; give a run that has recorded something"
                raise SourceError(msg)
            store = StoreReader(self._run.root)
            sink.start(series)
            last = 0
            while found := ledger.all_frames(after=last):
                for stored in found:
                    if stop.is_set():
                        return
                    last = stored.id
                    if stored.key in known:
                        continue
                    exposure_ms, metadata = ledger.details(stored.id)
                    try:
                        pixels = store.read("raw", stored.key)
                    except StoreError as error:
                        sink.reject(f"raw {stored.key}", "unreadable", str(error))
                        continue
                    frame = Frame(
                        pixels=pixels,
                        key=stored.key,
                        received_ns=time.time_ns(),
                        exposure_ms=exposure_ms,
                        metadata={**metadata, "recorded_ns": metadata.get("recorded_ns", stored.received_ns)},
                    )
                    sink.submit(frame)
