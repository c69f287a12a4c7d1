"""The camera process: drives Micro-Manager, and hands its frames to the recorder like any other program would."""

import os
import sys
import threading

from quietscope.adapters.micromanager import Live, Store
from quietscope.adapters.micromanager.acquire import acquire
from quietscope.adapters.micromanager.running import RunningRun
from quietscope.config import QuietscopeError, RunError, Settings
from quietscope.config.micromanager import MicroManagerSettings
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder

__all__ = ["run_camera"]

_STATUS_S = 1.0


def run_camera(run: RunFolder, settings: Settings, parent: Parent, *, ingest: str) -> int:
    """Acquire what the settings' source says.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    parent
        The process that started this one; its ``stop`` aborts the acquisition.
    ingest
        Address of the recorder.

    Returns
    -------
    int
        Exit status; the process has ended by then, since pycromanager may leave threads that never end.

    Raises
    ------
    quietscope.config.RunError
        If the source is no Micro-Manager.
    """
    source = settings.source
    if not isinstance(source, MicroManagerSettings):
        msg = f"source.kind is {source.kind!r}, and only 'micromanager' has a camera process"
        raise RunError(msg)
    stop, over = threading.Event(), threading.Event()
    threading.Thread(target=_obey, args=(parent, stop, over), name="obey", daemon=True).start()
    store: Store = "quietscope" if source.save is None else "micro-manager"
    to = RunningRun(ingest, run.root, keys=settings.security.keys)
    live = Live(to, store=store, memory_mb=source.memory_mb)
    status = 0
    try:
        acquire(source, live, stop)
    except QuietscopeError as error:
        status = _failed(parent, str(error))
    except Exception as error:  # noqa: BLE001 - whatever Micro-Manager raises, what it delivered is kept
        status = _failed(parent, f"Micro-Manager: {error!r}")
    live.close(end_run=True)
    report = live.report
    for fault in report.faults:
        parent.say("error" if report.lost else "warning", fault)
    if report.missed:
        parent.say("warning", f"live mode passed over at least {report.missed} frames; it is not lossless")
    if report.lost:
        status = _failed(parent, f"{report.lost} frames did not reach the recorder")
    over.set()
    sys.stderr.flush()
    os._exit(status)


def _failed(parent: Parent, text: str) -> int:
    parent.say("error", text)
    print(text, file=sys.stderr)  # noqa: T201 - collected into the run's logs
    return 1


def _obey(parent: Parent, stop: threading.Event, over: threading.Event) -> None:
    while not over.is_set():
        command = parent.command(timeout_s=_STATUS_S)
        if parent.gone.is_set() or (command is not None and command.get("command") == "stop"):
            stop.set()
        parent.emit("status", **parent.memory())
