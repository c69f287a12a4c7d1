"""The thread that takes frames from the hand-over to the recorder, and learns what becomes of them."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable

from quietscope.adapters.ingest import Ack, IngestClient
from quietscope.adapters.micromanager.handover import Arrival, HandOver
from quietscope.adapters.micromanager.messages import Message, Messages
from quietscope.adapters.micromanager.report import Journal
from quietscope.adapters.micromanager.running import RunningRun
from quietscope.adapters.micromanager.sink import FrameSink
from quietscope.adapters.micromanager.spill import Spill
from quietscope.config.quoting import quoted

__all__ = ["Sender"]

_AWAKE_S = 0.005
_ASLEEP_S = 0.05
_SLEEPY_AFTER_S = 1.0
_LOOK_S = 1.0
_SILENCE_S = 30.0
_BUDGET = 64_000_000


class Sender:
    """Sends frames over the ingest wire, from a thread of its own.

    The newest frames go first. While the recorder takes none, what exceeds a quarter of the hand-over waits on disk.

    Parameters
    ----------
    run
        Where to.
    handover
        Where the frames come from.
    journal
        Where the answers are counted and faults are said.
    sink
        Is closed when the run has gone.
    why_gone
        Words for the end of the run; None while it goes on.
    spill_bytes
        Bound of the frames that wait on disk.
    """

    def __init__(
        self,
        run: RunningRun,
        handover: HandOver,
        journal: Journal,
        *,
        sink: FrameSink,
        why_gone: Callable[[], str | None],
        spill_bytes: int,
    ) -> None:
        self._to = run
        self._handover = handover
        self._journal = journal
        self._sink = sink
        self._why_gone = why_gone
        self._messages: Messages | None = None
        self._spill = Spill(run.root, spill_bytes)
        self._spill_refuses = False
        self._waiting: deque[Message] = deque()
        self._sent: dict[int, Message] = {}
        self._heard_s = self._looked_s = time.monotonic()
        self._finish = threading.Event()
        self._cut = threading.Event()
        self._ended = threading.Event()
        self._end_run = False
        self._thread = threading.Thread(target=self._main, name="quietscope-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def finish(self, *, end_run: bool, timeout_s: float) -> None:
        """Send what is there and stop.

        Parameters
        ----------
        end_run
            Tell the recorder that nothing more will come.
        timeout_s
            Longest wait for its answers, seconds.
        """
        self._end_run = end_run
        self._finish.set()
        self._ended.wait(timeout_s)
        self._cut.set()
        self._thread.join(10.0)

    def _main(self) -> None:
        try:
            budget = min(_BUDGET, self._handover.capacity // 4)
            to = self._to
            with IngestClient(to.ingest, sender="Micro-Manager", budget=budget, keys=to.keys) as client:
                self._greet(client)
                self._serve(client)
        except Exception as error:  # noqa: BLE001 - the end of this thread must not stay unnoticed
            self._lost_run("sender", f"frames can no longer be sent to quietscope ({error!r})")
        self._sink.close("frames came after the session had ended; they were not taken")
        self._keep_what_is_left()
        self._ended.set()

    def _greet(self, client: IngestClient) -> None:
        """Learn what the run has; frames wait in the hand-over meanwhile."""
        client.send("hello")
        while not self._cut.is_set() and self._messages is None:
            for ack in client.poll(timeout_s=0.1):
                known = json.loads(ack.reason) if ack.reason else {}
                self._messages = Messages(self._journal, known)
            if self._is_gone(client):
                return

    def _serve(self, client: IngestClient) -> None:
        busy_s = time.monotonic()
        while not self._cut.is_set():
            moved = self._send_some(client) or self._spill_some(client)
            now = time.monotonic()
            if moved:
                busy_s = now
            pause_s = _AWAKE_S if now - busy_s < _SLEEPY_AFTER_S else _ASLEEP_S
            for ack in client.poll(timeout_s=0.0 if moved else pause_s):
                self._settle(ack)
            if self._is_gone(client):
                return
            if self._finish.is_set() and not (moved or self._handover or self._waiting or self._spill):
                if self._end_run:
                    self._end_run = False
                    self._waiting.append(Message("end"))
                elif not client.unacknowledged:
                    return

    def _send_some(self, client: IngestClient) -> bool:
        moved = False
        while client.has_room and not self._cut.is_set():
            if self._waiting:
                if not client.unacknowledged:
                    self._heard_s = time.monotonic()
                message = self._waiting.popleft()
                number = client.send(message.type, pixels=message.pixels, **message.fields)
                self._sent[number] = message
            elif not self._take():
                frame = self._spill.pop()
                if frame is None:
                    break
                self._spill_refuses = False
                self._waiting.append(frame)
            moved = True
        return moved

    def _take(self) -> bool:
        item = None if self._messages is None else self._handover.take()
        if item is None or self._messages is None:
            return False
        self._waiting.extend(self._messages.of(item))
        return True

    def _spill_some(self, client: IngestClient) -> bool:
        if self._spill_refuses:
            return False
        moved = False
        while not client.has_room and self._handover.is_filling and self._take():
            moved = True
            frames = [message for message in self._waiting if message.type == "frame"]
            others = [message for message in self._waiting if message.type != "frame"]
            refused = [frame for frame in frames if not self._spill.append(frame)]
            self._waiting = deque([*others, *refused])
            if refused:
                self._spill_refuses = True
                self._journal.fault(
                    "spill",
                    f"frames can no longer wait in {self._spill.path}: its disk is full, or spill_mb reached",
                )
                break
        return moved

    def _settle(self, ack: Ack) -> None:
        self._heard_s = time.monotonic()
        message = self._sent.pop(ack.number, None)
        is_frame = message is not None and message.type == "frame"
        if ack.status == "stored":
            self._journal.count(stored=is_frame)
        elif ack.status == "closed":
            self._journal.count(late=is_frame)
            self._lost_run("closed", "quietscope takes no further frames, since its run has been ended")
        elif message is not None:
            what = f"frame {message.fields['key']}" if is_frame else message.type
            self._journal.count(rejected=is_frame)
            self._journal.fault("refused by the run", f"quietscope refused {what}: {ack.reason}")

    def _is_gone(self, client: IngestClient) -> bool:
        now = time.monotonic()
        if now - self._looked_s < _LOOK_S:
            return False
        self._looked_s = now
        words = self._why_gone()
        if words is not None:
            if client.unacknowledged or not self._finish.is_set():
                self._lost_run("gone", words)
            return True
        if client.unacknowledged and now - self._heard_s > _SILENCE_S:
            self._journal.fault(
                "silence",
                f"quietscope has answered nothing for {_SILENCE_S:g} s; frames wait for it in memory as long as there"
                " is room. Is its computer busy, or its disk full?",
            )
        return False

    def _lost_run(self, kind: str, words: str) -> None:
        self._sink.close()
        self._journal.fault(kind, f"{words}. Micro-Manager goes on without it")

    def _keep_what_is_left(self) -> None:
        """Write frames that the run has not acknowledged where ``quietscope resume`` finds them."""
        while self._take():
            pass
        unnamed = 0
        while (item := self._handover.take()) is not None:  # of a run that has never answered
            unnamed += isinstance(item, Arrival)
        if unnamed:
            self._journal.count(lost=unnamed)
            self._journal.fault(
                "no answer",
                f"quietscope at {self._to.ingest} has never answered; {unnamed} frames are lost to it. Is the address"
                " right, and does the run go on?",
            )
        left = [m for m in (*self._sent.values(), *self._waiting) if m.type == "frame"]
        lost = sum(not self._spill.append(frame) for frame in left)
        self._journal.count(lost=lost)
        kept = self._spill.held if left or self._spill else 0
        self._spill.close(keep=kept > 0)
        if kept:
            mend = (
                ""
                if self._to.root is None
                else f"; finish it with: quietscope resume {quoted(self._to.root)}"
            )
            self._journal.fault(
                "rescued",
                f"{kept} frames that the run may not have stored are kept in {self._spill.path}{mend}",
            )
