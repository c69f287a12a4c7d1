"""What a training process tells when it is done: the recorder, which keeps it, and its parent, which shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.ingest import IngestClient
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder

__all__ = ["deliver_verdict", "plain", "record_verdict"]

_FLUSH_S = 30.0


def deliver_verdict(
    judgement: Judgement,
    figures: Mapping[str, Any],
    channel: int,
    run: RunFolder,
    *,
    client: IngestClient,
    parent: Parent,
    again: bool = False,
) -> None:
    """Send the gate's verdict on a channel's model, and wait until it is in the ledger.

    Parameters
    ----------
    judgement
        The verdict.
    figures
        What was measured, and ``channel_name``.
    channel
        The channel's index.
    run, client, parent
        The run folder, the way to the recorder, and the parent process.
    again
        Whether the channel has a model already, which goes on if this one is refused.
    """
    record_verdict(judgement, figures, channel, run, client)
    parent.emit(
        "verdict",
        channel=channel,
        name=figures["channel_name"],
        accepted=judgement.accepted,
        again=again,
        reason=judgement.reason,
        figures=plain(figures),
    )


def record_verdict(
    judgement: Judgement, figures: Mapping[str, Any], channel: int, run: RunFolder, client: IngestClient
) -> None:
    """Send a verdict to the recorder only, and wait until it is in the ledger; see `deliver_verdict`."""
    client.send(
        "model",
        model_id=judgement.model_id,
        channel=channel,
        accepted=judgement.accepted,
        path=None if judgement.path is None else _relative(judgement.path, run.root),
        reason=judgement.reason,
        figures=plain(figures),
    )
    client.flush(_FLUSH_S)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, at any depth."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
