"""``quietscope doctor`` and the pre-flight of every run: the same checks, one screen, go or no-go."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quietscope.config import RunError, Settings
from quietscope.daemon.check import Check
from quietscope.daemon.checks import run_checks

__all__ = ["doctor", "preflight"]

_COLOURS = {"go": "green", "caution": "yellow", "no-go": "bold red"}

_MACHINE_ONLY = (
    "This is about the machine alone. To check it for a recording, name that: quietscope doctor --watch FOLDER, or "
    "quietscope doctor SETTINGS.toml"
)


def doctor(settings: Settings, json_file: Path | None, *, source: bool = True) -> int:
    """Check everything, print it, and say whether a run can begin.

    Parameters
    ----------
    settings
        Effective settings.
    json_file
        Where the result for machines goes.
    source
        Also whether the machine is up to the settings' source; else only the machine.

    Returns
    -------
    int
        0 for go (also with cautions), 1 for no-go.
    """
    console = Console()
    if not source:
        console.print(Text(_MACHINE_ONLY), soft_wrap=True)
    with console.status("looking at this machine …"):
        checks = list(run_checks(settings, source=source))
    table = Table(show_header=False, show_edge=False)
    for check in checks:
        table.add_row(Text(check.state, style=_COLOURS[check.state]), check.name, Text(check.words))
    console.print(table)
    bad = _bad(checks)
    verdict = f"NO-GO: {', '.join(check.name for check in bad)}" if bad else "GO"
    console.print(Text(verdict, style="bold red" if bad else "bold green"))
    if json_file is not None:
        content = {"go": not bad, "checks": [asdict(check) for check in checks]}
        try:
            json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            msg = f"cannot write {json_file}: {error.strerror}; choose another place with --json"
            raise RunError(msg) from error
    return 1 if bad else 0


def preflight(settings: Settings, console: Console) -> None:
    """Do the quick checks before a run; print what is worth a word.

    Raises
    ------
    quietscope.config.RunError
        If the run could not go well.
    """
    checks = list(run_checks(settings, quick=True))
    for check in checks:
        if check.state == "caution":
            console.print(Text(f"{check.name}: {check.words}", style="yellow"), soft_wrap=True)
    bad = _bad(checks)
    if bad:
        told = "; ".join(f"{check.name}: {check.words}" for check in bad)
        msg = f"the run does not begin. {told} (more with: quietscope doctor)"
        raise RunError(msg)


def _bad(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if check.state == "no-go"]
