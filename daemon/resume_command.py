"""``quietscope resume``: finishes a run, unless there is nothing left to do."""

import json
from pathlib import Path

from rich.console import Console

from quietscope.config import RunError
from quietscope.config.loader import load_settings
from quietscope.daemon.live_command import run_live
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.verification import is_finished

__all__ = ["resume_run"]


def resume_run(folder: Path, json_file: Path | None, *, follow: bool, view: bool) -> int:
    """Finish a run that ended early; one that has come to its end is left as it is.

    Parameters
    ----------
    folder
        The run folder.
    json_file
        Where the summary for machines goes.
    follow
        Go on watching the run's folder.
    view
        Open the viewer beside the run.

    Returns
    -------
    int
        0 only if received = stored = denoised + skipped and nothing went wrong.

    Raises
    ------
    quietscope.config.RunError
        If it is no run folder, the run is still going on, or the summary cannot be written.
    """
    run = RunFolder.existing(folder)
    if follow or not is_finished(run):
        settings = load_settings(run.settings)
        return run_live(settings, json_file=json_file, resume=run, follow=follow, view=view)
    text = run.summary.read_text(encoding="utf-8")
    figures = json.loads(text)
    Console().print(
        f"nothing to do: {run.root.name} has come to its end ({figures['frames_received']} frames received, "
        f"{figures['denoised']} denoised, {sum(figures['skipped'].values())} skipped). "
        f"To look at it: quietscope view {run.quoted}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    if json_file is not None:
        try:
            json_file.write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"cannot write the summary {json_file}: {error.strerror}; choose another place with --json"
            raise RunError(msg) from error
    return 0
