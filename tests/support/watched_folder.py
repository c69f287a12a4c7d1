"""A folder that is watched, and a sink that keeps what comes."""

import contextlib
import threading

from quietscope.adapters.folder import FolderSource
from quietscope.config.sources import FolderSettings

__all__ = ["Taken", "once", "watching"]

PATIENCE_S = 60.0


class Taken:
    """A sink that keeps everything."""

    def __init__(self):
        self.series, self.frames, self.rejected = [], [], []
        self.changed = threading.Condition()

    def start(self, series):
        self.series.append(series)

    def submit(self, frame):
        assert self.series, "a frame came before its series"
        with self.changed:
            self.frames.append(frame)
            self.changed.notify_all()
        return True

    def reject(self, name, reason, detail):
        with self.changed:
            self.rejected.append((name, reason, detail))
            self.changed.notify_all()

    def wait(self, condition, timeout=PATIENCE_S):
        with self.changed:
            assert self.changed.wait_for(condition, timeout), (len(self.frames), self.rejected)

    def wait_frames(self, count, timeout=PATIENCE_S):
        self.wait(lambda: len(self.frames) >= count, timeout)

    @property
    def keys(self):
        return [tuple(frame.key) for frame in self.frames]

    @property
    def names(self):
        return [frame.metadata["name"] for frame in self.frames]


@contextlib.contextmanager
def watching(folder, **settings):
    """Watch a folder in a thread until the block ends."""
    sink, stop, errors = Taken(), threading.Event(), []
    source = FolderSource(FolderSettings(path=folder, **{"poll_s": 0.2, **settings}))

    def run():
        try:
            source.run(sink, stop)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sink
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the source does not stop"
    assert not errors, errors


def once(folder, *, earlier=None, **settings):
    """Take what is in a folder."""
    sink = Taken()
    settings = FolderSettings(path=folder, **{"follow": False, **settings})
    FolderSource(settings, earlier=earlier).run(sink, threading.Event())
    return sink
