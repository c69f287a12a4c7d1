"""The viewer as a command, and as a process beside a live run."""

import contextlib
import queue
import threading
import time
import webbrowser
from types import TracebackType
from typing import Self

from rich.console import Console

from quietscope.adapters.viewer import ViewerServer
from quietscope.config import Settings
from quietscope.daemon.child import Child, Event
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.viewing import RunArchive

__all__ = ["ViewerProcess", "run_viewer_child", "view_run"]


def view_run(run: RunFolder, settings: Settings) -> int:
    """Serve the viewer of a run until Ctrl-C.

    Parameters
    ----------
    run
        The run; it may be going on.
    settings
        Effective settings.

    Returns
    -------
    int
        Exit status.
    """
    server = ViewerServer(RunArchive(run), settings.view, keys=settings.security.keys)
    Console().print(f"viewer: {server.url}  (Ctrl-C ends it)", highlight=False, soft_wrap=True)
    if settings.view.open_browser:
        webbrowser.open(server.url)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return 0


def run_viewer_child(run: RunFolder, settings: Settings, parent: Parent) -> int:
    """Serve the viewer of a run until the parent is gone; the exit status of the process."""
    server = ViewerServer(RunArchive(run), settings.view, keys=settings.security.keys)

    def watch_parent() -> None:
        parent.gone.wait()
        server.stop()

    threading.Thread(target=watch_parent, name="watch-parent", daemon=True).start()
    parent.emit("ready", url=server.url)
    if settings.view.open_browser:
        webbrowser.open(server.url)
    server.run()
    return 0


class ViewerProcess:
    """The viewer beside a live run, in a process of its own: whatever happens to it, the run goes on.

    Parameters
    ----------
    run
        The run folder.
    console
        Where to say the address.
    """

    def __init__(self, run: RunFolder, console: Console) -> None:
        self._console = console
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._errors = run.child_errors("viewer")
        self._child = Child("viewer", ["viewer", str(run.root)], self._events, self._errors)
        self._thread = threading.Thread(target=self._tell, name="viewer", daemon=True)
        self._thread.start()

    def stay(self) -> None:
        """Keep the viewer open until the user presses Ctrl-C, where there is a user."""
        if not (self._console.is_terminal and self._child.is_alive):
            return
        self._console.print("The viewer stays open; Ctrl-C ends it.")
        try:
            while self._child.is_alive:
                time.sleep(0.2)
        except KeyboardInterrupt:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.end(5.0)
        self._thread.join(timeout=5)

    def _tell(self) -> None:
        while True:
            event = self._events.get()
            if event["event"] == "ready":
                self._console.print(f"viewer: {event['url']}", highlight=False, soft_wrap=True)
            if event["event"] == "exit":
                if event["status"]:
                    self._console.print(
                        f"[yellow]the viewer has ended (see {self._errors}); the run goes on[/]",
                        soft_wrap=True,
                    )
                return
