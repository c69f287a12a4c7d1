"""``quietscope verify`` and ``quietscope repair``."""

import json
from pathlib import Path

from rich.console import Console

from quietscope.config import RunError
from quietscope.config.loader import load_settings
from quietscope.daemon.live_command import run_live
from quietscope.daemon.repairing import repair
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.verification import Verification, verify

__all__ = ["repair_run", "verify_run"]

_SHOWN = 50


def verify_run(folder: Path, json_file: Path | None) -> int:
    """Verify a run and print what is wrong.

    Returns
    -------
    int
        0 if nothing is wrong, else 1.
    """
    run = RunFolder.existing(folder)
    found = verify(run)
    console = Console()
    _print(console, run, found)
    _write(found, json_file)
    return 0 if found.is_good else 1


def repair_run(folder: Path, json_file: Path | None) -> int:
    """Rebuild what can be rebuilt, finish the run, verify it, and print what remains wrong.

    Returns
    -------
    int
        0 if nothing is wrong any more, else 1.
    """
    run = RunFolder.existing(folder)
    settings = load_settings(run.settings)
    console = Console()
    with RunLock(run):
        found = verify(run)
        for words in repair(run, settings, found):
            console.print(words, highlight=False, soft_wrap=True)
        if found.of("denoised", "unfinished", "litter", "orphan", "report"):
            run_live(settings, json_file=None, resume=run)
        found = verify(run)
    _print(console, run, found)
    _write(found, json_file)
    return 0 if found.is_good else 1


def _print(console: Console, run: RunFolder, found: Verification) -> None:
    for finding in found.findings[:_SHOWN]:
        console.print(f"[bold red]{finding.kind}:[/] ", end="", highlight=False)
        console.print(finding.text, highlight=False, soft_wrap=True, markup=False)
    if len(found.findings) > _SHOWN:
        console.print(
            f"… and {len(found.findings) - _SHOWN} more; all of them with --json FILE", highlight=False
        )
    planes = ", ".join(f"{n} {kind}" for kind, n in found.planes.items())
    count = len(found.findings)
    verdict = (
        "nothing is wrong"
        if found.is_good
        else "1 thing is wrong"
        if count == 1
        else f"{count} things are wrong"
    )
    console.print(
        f"{run.root}: {planes} planes read and compared; {verdict}", highlight=False, soft_wrap=True
    )


def _write(found: Verification, json_file: Path | None) -> None:
    if json_file is None:
        return
    content = {
        "good": found.is_good,
        "planes": dict(found.planes),
        "findings": [
            {"kind": one.kind, "text": one.text, "key": None if one.key is None else list(one.key)}
            for one in found.findings
        ],
    }
    try:
        json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {json_file}: {error.strerror}; choose another place with --json"
        raise RunError(msg) from error
