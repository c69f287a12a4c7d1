"""The faces for pycromanager: functions to be given to its ``Acquisition``."""

from collections.abc import Callable, Mapping
from typing import Any

from quietscope.adapters.frame import Pixels
from quietscope.adapters.micromanager.handover import Note
from quietscope.adapters.micromanager.saved import read_saved
from quietscope.adapters.micromanager.sink import FrameSink

__all__ = ["ImageProcessFn", "ImageSavedFn", "PycromanagerFaces"]

ImageProcessFn = Callable[[Pixels, dict[str, Any]], tuple[Pixels, dict[str, Any]] | None]
"""What pycromanager calls with every frame and its metadata."""

ImageSavedFn = Callable[[Mapping[str, int | str], Any], None]
"""What pycromanager calls with the axes of every frame that has been saved, and its data set."""


class PycromanagerFaces:
    """``image_process_fn`` and ``image_saved_fn`` of one sink, for one acquisition.

    pycromanager inspects the signatures: both take exactly two arguments. It never says that an acquisition begins; so
    the first frame of these faces does.

    Parameters
    ----------
    sink
        Takes the frames.
    store
        ``micro-manager``: frames go on to Micro-Manager's own storage, unchanged. ``quietscope``: they do not, so
        Micro-Manager needs no disk and no memory for them; if quietscope cannot take a frame, Micro-Manager gets it.
    """

    def __init__(self, sink: FrameSink, *, store: str) -> None:
        self._sink = sink
        self._keep = store == "micro-manager"
        self._begun = False

    def image_process_fn(
        self, image: Pixels, metadata: dict[str, Any]
    ) -> tuple[Pixels, dict[str, Any]] | None:
        """Take a frame on its way from the camera to the storage."""
        self._begin()
        # Micro-Manager's Java side delivers the colours in the order of Windows bitmaps.
        taken = self._sink.take(image, dict(metadata), colours=("blue", "green", "red"), owned=not self._keep)
        return None if taken and not self._keep else (image, metadata)

    def image_saved_fn(self, axes: Mapping[str, int | str], dataset: Any) -> None:
        """Take a frame that has been saved."""
        self._begin()
        try:
            pixels, metadata = read_saved(dataset, axes)
        except Exception as error:  # noqa: BLE001 - an exception would end pycromanager's thread, and hang it
            self._sink.failed("reading a saved frame back", error)
            return
        self._sink.take(pixels, {**metadata, "Axes": dict(axes)})

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._sink.note(Note(begins=True))
