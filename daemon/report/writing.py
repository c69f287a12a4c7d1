"""Writing the report of a run."""

import os
from pathlib import Path

from quietscope.config import RunError
from quietscope.daemon.report.page import page
from quietscope.daemon.report.run_facts import gather
from quietscope.daemon.runfolder import RunFolder

__all__ = ["write_report"]


def write_report(run: RunFolder) -> Path:
    """Write ``report.html`` into the run folder, in place of an earlier one; the file.

    Parameters
    ----------
    run
        The run; it may still go on.

    Raises
    ------
    quietscope.config.QuietscopeError
        If ledger, settings or store cannot be read, or the file cannot be written.
    """
    text = page(gather(run))
    new = run.report.with_suffix(".tmp")
    try:
        new.write_text(text, encoding="utf-8")
        os.replace(new, run.report)
    except OSError as error:
        msg = f"cannot write the report {run.report}: {error.strerror}; free some disk space, or check the folder"
        raise RunError(msg) from error
    return run.report
