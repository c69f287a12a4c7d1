"""When a frame was taken, from what is known of it."""

from quietscope.adapters.micromanager.info import FrameInfo

__all__ = ["FrameTimes"]


class FrameTimes:
    """Time stamps of the frames of one acquisition.

    The core's own stamp where there is one (hardware sequences). Snapped frames have only the time since the start of
    the acquisition: the start is taken from the frame that arrived soonest after it was snapped. Else the arrival.
    """

    def __init__(self) -> None:
        self._start_ns: int | None = None

    def new_acquisition(self) -> None:
        """Forget the start."""
        self._start_ns = None

    def of(self, info: FrameInfo, arrival_ns: int) -> int:
        """Time of a frame, nanoseconds since the epoch, never later than its arrival.

        Parameters
        ----------
        info
            What is known of it.
        arrival_ns
            When it arrived here, nanoseconds since the epoch.
        """
        if info.received_ns is not None:
            return min(info.received_ns, arrival_ns)
        if info.elapsed_ms is None:
            return arrival_ns
        elapsed_ns = int(info.elapsed_ms * 1e6)
        start_ns = arrival_ns - elapsed_ns
        self._start_ns = start_ns if self._start_ns is None else min(self._start_ns, start_ns)
        return self._start_ns + elapsed_ns
