"""`quietscope control`: asks a run that is going on, and says what it answers."""

from pathlib import Path
from typing import Any

from rich.console import Console

from quietscope.adapters.control import Answer, Command, ControlClient
from quietscope.adapters.endpoints import local_endpoint
from quietscope.config import RunError
from quietscope.config.loader import load_settings
from quietscope.config.methods import Method
from quietscope.daemon.runfolder import RunFolder

__all__ = ["control_run"]


def control_run(
    folder: Path, command: Command, *, channel: str | None, method: Method | None, json_file: Path | None
) -> int:
    """Send a command to a run and print the answer.

    Parameters
    ----------
    folder
        The run folder.
    command, channel, method
        What is asked.
    json_file
        Where the answer for machines goes.

    Returns
    -------
    int
        0 if the command is obeyed.

    Raises
    ------
    quietscope.config.QuietscopeError
        If the run is not going on or does not answer.
    """
    run = RunFolder.to_look_at(folder)
    endpoint = run.addresses().get("control")
    if endpoint is None or "recorder" not in run.alive():
        msg = (
            f"the run {run.root} is not going on, so that nothing can be asked of it; if it ended early, `quietscope "
            "resume` finishes it"
        )
        raise RunError(msg)
    keys = load_settings(run.settings).security.keys
    answer = ControlClient(local_endpoint(endpoint), keys=keys).ask(command, channel=channel, method=method)
    if json_file is not None:
        json_file.write_text(answer.model_dump_json(indent=1) + "\n", encoding="utf-8")
    console = Console(stderr=not answer.ok)
    console.print(
        answer.text, style=None if answer.ok else "yellow", markup=False, highlight=False, soft_wrap=True
    )
    if command == "status":
        for line in _lines(answer):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if answer.ok else 1


def _lines(answer: Answer) -> list[str]:
    status = answer.status
    counts = [f"{name} {status.get(name, 0)}" for name in ("received", "stored", "denoised", "waiting")]
    found = [
        ", ".join(counts),
        "denoising is paused" if status.get("paused") else "denoising is not paused",
        *(_channel(channel) for channel in status.get("channels", [])),
    ]
    training = status.get("retraining")
    if training:
        found.append(f"{training['name']} is trained again ({training['method']}), {training['used']:.0%}")
    return found


def _channel(channel: dict[str, Any]) -> str:
    model = "no model" if channel["model"] is None else f"model {channel['model']}"
    return f"channel {channel['index']} ({channel['name']}): {model}"
