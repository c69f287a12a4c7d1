"""Entry points of the child processes; each imports only what its process needs."""

import faulthandler
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from quietscope.config import QuietscopeError, Settings
from quietscope.config.loader import load_settings
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.warnings_told import warnings_told

__all__ = ["CHILDREN", "run_child"]

CHILDREN = ("recorder", "processor", "trainer", "retrainer", "camera", "viewer")


def run_child(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - a table
    """Run one of `CHILDREN`.

    Parameters
    ----------
    arguments
        Name of the child, run folder, then pairs: ``--ingest``, ``--news`` and ``--publish`` with an address,
        ``--resume``, ``--follow`` and ``--fresh`` with 0 or 1, ``--channel`` with a number, ``--method`` with a name.

    Returns
    -------
    int
        Exit status of the process.
    """
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name, root, *rest = arguments
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    parent = Parent(name)
    run = RunFolder(Path(root))
    try:
        settings = load_settings(run.settings)
        if name == "recorder":
            from quietscope.daemon.recorder import Recorder

            resume, follow = (options.get(name) == "1" for name in ("--resume", "--follow"))
            with warnings_told(parent):
                return Recorder(run, settings, parent, resume=resume, follow=follow).run()
        if name == "processor":
            from quietscope.daemon.processor import Processor

            if "--publish" in options:
                publish = settings.publish.model_copy(update={"endpoint": options["--publish"]})
                settings = settings.model_copy(update={"publish": publish})
            return Processor(run, settings, parent, ingest=options["--ingest"], news=options["--news"]).run()
        if name == "camera":
            from quietscope.daemon.camera import run_camera

            return run_camera(run, settings, parent, ingest=options["--ingest"])
        if name == "viewer":
            from quietscope.daemon.view_command import run_viewer_child

            return run_viewer_child(run, settings, parent)
        if name == "retrainer":
            return _retrainer(run, settings, parent, options)
        from quietscope.daemon.trainer import Trainer

        return Trainer(run, settings, parent, ingest=options["--ingest"]).run()
    except QuietscopeError as error:
        print(error, file=sys.stderr)  # noqa: T201 - collected into the run's logs
        return 2


def _retrainer(run: RunFolder, settings: Settings, parent: Parent, options: Mapping[str, str]) -> int:
    from quietscope.daemon.retrainer import Retrainer

    changed = settings.model_copy(update={"method": options["--method"]})
    channel, fresh = int(options["--channel"]), options["--fresh"] == "1"
    return Retrainer(run, changed, parent, ingest=options["--ingest"], channel=channel, fresh=fresh).run()
