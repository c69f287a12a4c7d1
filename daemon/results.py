"""What became of frames, on its way from the processor to the recorder: denoised, skipped, failed."""

from collections import Counter
from collections.abc import Sequence

from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.ingest import IngestClient
from quietscope.daemon.parent import Parent
from quietscope.daemon.work import Work, WorkQueue

__all__ = ["Results"]

_ATTEMPTS = 2


class Results:
    """Sends results to be stored, and settles the work when the ledger knows them.

    Parameters
    ----------
    client
        The way to the recorder.
    work
        What is told when a frame is done with, or is to be tried again.
    parent
        Is told what went wrong.
    """

    def __init__(self, client: IngestClient, work: WorkQueue, parent: Parent) -> None:
        self._client = client
        self._work = work
        self._parent = parent
        self._sent: dict[int, list[FrameKey]] = {}
        self._failures: Counter[FrameKey] = Counter()
        self.denoised = 0
        """Frames sent."""

    @property
    def all_arrived(self) -> bool:
        """Whether the recorder has acknowledged everything."""
        return self._client.unacknowledged == 0

    @property
    def under_way(self) -> set[FrameKey]:
        """Frames whose result has been sent and is not in the ledger yet."""
        return {key for keys in self._sent.values() for key in keys}

    def settle(self) -> None:
        """Take in what the recorder has acknowledged."""
        for ack in self._client.poll():
            for key in self._sent.pop(ack.number, []):
                self._work.settle(key)
            if ack.status != "stored":
                self._parent.say("warning", f"processor: the recorder refused a result: {ack.reason}")

    def store(
        self, work: Work, denoised: Pixels, model_id: str, *, published_ns: int | None, live: bool
    ) -> None:
        """Have a denoised frame stored.

        Parameters
        ----------
        work, denoised
            The frame and its pixels.
        model_id
            What made it.
        published_ns
            When viewers got it, nanoseconds since the epoch; None if they did not.
        live
            Whether it counts in the latency of live frames.
        """
        number = self._client.send_frame(
            work.key,
            denoised,
            kind="denoised",
            received_ns=work.received_ns,
            model_id=model_id,
            published_ns=published_ns,
            live=live,
        )
        self._sent[number] = [work.key]
        self.denoised += 1

    def skip(self, keys: Sequence[FrameKey], reason: str) -> None:
        """Have the ledger say that frames will not be denoised, and why."""
        number = self._client.send("skip", keys=[list(key) for key in keys], reason=reason)
        self._sent[number] = list(keys)

    def failed(self, work: Work, why: str) -> None:
        """Say that a frame could not be denoised; it is tried once more and then skipped."""
        self._failures[work.key] += 1
        self._parent.say("error", f"frame {work.key} was not denoised, {why}")
        if self._failures[work.key] < _ATTEMPTS:
            self._work.settle(work.key)
        else:
            self.skip([work.key], "denoiser")
