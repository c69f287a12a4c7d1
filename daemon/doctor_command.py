"""``quietscope doctor`` and the pre-flight of every run: the same checks, one screen, go or no-go."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quietscope.config import RunError, Settings
from quietscope.daemon.checks import Check, run_checks

__all__ = ["doctor", "preflight"]

_COLOURS = {"go": "green", "caution": "yellow", "no-go": "bold red"}


def doctor(settings: Settings, json_file: Path | None) -> int:
    """Check everything, print it, and say whether a run can begin.

    Returns
    -------
    int
        0 for go (also with cautions), 1 for no-go.
    """
    console = Console()
    with console.status("looking at this machine …"):
        checks = list(run_checks(settings))
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
