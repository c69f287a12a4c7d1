"""The face for pymmcore-plus: an output of ``run_mda``, or a listener to ``mda.events``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from quietscope.adapters.frame import Pixels
from quietscope.adapters.micromanager.handover import Note
from quietscope.adapters.micromanager.sink import FrameSink

__all__ = ["PymmcorePlusFace", "listening"]

_AXES = ("t", "c", "z", "p")
_SIGNALS = ("sequenceStarted", "frameReady", "sequencePauseToggled", "sequenceCanceled", "sequenceFinished")


class PymmcorePlusFace:
    """Has the methods by whose names pymmcore-plus calls its outputs.

    As an output it is called on a relay thread, which an exception would end; as a listener, on the acquiring thread,
    which must not wait.

    Parameters
    ----------
    sink
        Takes the frames.
    """

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink

    def sequenceStarted(self, sequence: Any, _meta: Mapping[str, Any] | None = None) -> None:  # noqa: N802
        """Begin a new acquisition."""
        try:
            sizes = {str(getattr(axis, "value", axis)): int(n) for axis, n in dict(sequence.sizes).items()}
        except Exception:  # noqa: BLE001 - a sequence that is generated as it goes has no sizes
            sizes = {}
        planned = {axis: n for axis, n in sizes.items() if axis in _AXES and n}
        self._sink.note(Note(begins=True, planned=planned))

    def frameReady(self, image: Pixels, event: Any, meta: Mapping[str, Any]) -> None:  # noqa: N802
        """Take a frame."""
        self._sink.take(image, (event, meta))

    def sequencePauseToggled(self, paused: bool) -> None:  # noqa: FBT001, N802
        """Note a pause."""
        self._sink.note(Note(f"the acquisition {'was paused' if paused else 'goes on'}"))

    def sequenceCanceled(self, _sequence: Any) -> None:  # noqa: N802
        """Note that the user has cancelled it."""
        self._sink.note(Note("the acquisition was cancelled", "warning"))

    def sequenceFinished(self, _sequence: Any) -> None:  # noqa: N802
        """Note the end."""
        self._sink.note(Note("the acquisition has ended"))


@contextmanager
def listening(events: Any, face: PymmcorePlusFace) -> Iterator[None]:
    """Connect a face to the events of every acquisition, while the context is open.

    Parameters
    ----------
    events
        ``CMMCorePlus.instance().mda.events``.
    face
        What is to be called.
    """
    connected = []
    try:
        for name in _SIGNALS:
            signal, slot = getattr(events, name), getattr(face, name)
            signal.connect(slot)
            connected.append((signal, slot))
        yield
    finally:
        for signal, slot in connected:
            signal.disconnect(slot)
