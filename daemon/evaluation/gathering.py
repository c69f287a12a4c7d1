"""Reads stored images for an evaluation, through the sources that a run has."""

import threading
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import Frame, Series, channel_name
from quietscope.config import RunError
from quietscope.config.loader import load_settings
from quietscope.daemon.offline import offline_source
from quietscope.daemon.source import make_source

__all__ = ["gather"]


class _Keeper:
    """A `quietscope.adapters.protocols.Sink` that keeps the first frames of every channel."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._series: Series | None = None
        self.channels: dict[str, list[NDArray[Any]]] = {}
        self.rejected: list[str] = []

    def start(self, series: Series) -> None:
        """Learn the channels."""
        self._series = series

    def submit(self, frame: Frame) -> bool:
        """Keep the frame while there is room."""
        assert self._series is not None
        name = channel_name(self._series.channels, frame.key.c)
        frames = self.channels.setdefault(name, [])
        if frames and frames[0].shape != frame.pixels.shape:
            self.reject(str(frame.key), "shape", f"{frame.pixels.shape}, and the first is {frames[0].shape}")
            return False
        if len(frames) < self._most:
            frames.append(frame.pixels)
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:
        """Remember what was left out."""
        self.rejected.append(f"{name} ({reason}): {detail}")


def gather(path: Path, most: int) -> dict[str, list[NDArray[Any]]]:
    """Read an image file, a folder of images, or the raw frames of a run.

    Parameters
    ----------
    path
        What to read.
    most
        Frames to keep of each channel.

    Returns
    -------
    dict
        Channel name → frames (Y, X) in time order.

    Raises
    ------
    quietscope.config.RunError
        If there is no readable frame, or a file is left out.
    quietscope.config.SourceError
        If there is nothing at `path`.
    """
    source = make_source(load_settings(base={"source": offline_source(path)}).source)
    assert source is not None
    keeper = _Keeper(most)
    source.run(keeper, threading.Event())
    if keeper.rejected:
        msg = f"{path}: {keeper.rejected[0]}; take such files away, since images and references go by their order"
        raise RunError(msg)
    if not keeper.channels:
        raise RunError(f"{path} holds no readable frame; give a file, folder or run with images in it")
    return keeper.channels
