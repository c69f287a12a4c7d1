"""Fields of messages to the recorder, checked before anything is done with them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.wire_headers import QUALITIES
from quietscope.config import WireError
from quietscope.daemon.ledger import ShownRow, SkippedRow
from quietscope.daemon.vault import Judged, Provenance

__all__ = ["check_model_path", "judged", "key", "provenance", "rows", "whole"]

_LEAST, _MOST = -(2**63), 2**63 - 1


def key(values: Sequence[int]) -> FrameKey:
    """Key of a frame.

    Raises
    ------
    quietscope.config.WireError
        If it is not four integers.
    """
    if len(values) != 4 or any(type(n) is not int for n in values):
        msg = f"key {values!r} must be four integers [t, c, z, p]"
        raise WireError(msg)
    return FrameKey(*map(whole, values))


def whole(value: int) -> int:
    """Whole number that the ledger can hold.

    Raises
    ------
    quietscope.config.WireError
        If it needs more than 64 bits.
    """
    number = int(value)
    if not _LEAST <= number <= _MOST:
        msg = f"{str(value)[:40]} is no number of 64 bits"
        raise WireError(msg)
    return number


def judged(header: Mapping[str, Any]) -> Judged:
    """Judgement that comes with a trust map.

    Raises
    ------
    quietscope.config.WireError
        If the light is none.
    """
    light = header["light"]
    if light not in ("green", "yellow", "red"):
        msg = f"light {light!r} is not 'green', 'yellow' or 'red'"
        raise WireError(msg)
    return Judged(light, str(header["reason"]), dict(header["figures"]))


def check_model_path(path: object) -> None:
    """Refuse a model file that does not lie in the run's folder of models.

    Raises
    ------
    quietscope.config.WireError
        If it does not.
    """
    if path is not None and not (
        isinstance(path, str) and re.fullmatch(r"models/[A-Za-z0-9][A-Za-z0-9._-]*", path)
    ):
        msg = f"the model's path is {path!r}; a run takes models from its own folder only: models/NAME.onnx"
        raise WireError(msg)


def provenance(header: Mapping[str, Any]) -> Provenance:
    """How a denoised frame was made."""
    published = header.get("published_ns")
    return Provenance(
        str(header["model_id"]), None if published is None else whole(published), bool(header.get("live"))
    )


def rows(header: Mapping[str, Any]) -> list[SkippedRow] | list[ShownRow]:
    """What ``skip`` and ``shown`` say about frames that are in the ledger already.

    Raises
    ------
    quietscope.config.WireError
        If a key is none, or the quality.
    """
    if header["type"] == "skip":
        return [SkippedRow(key(values), str(header["reason"])) for values in header["keys"]]
    quality = header["quality"]
    if quality not in QUALITIES:
        msg = f"quality {quality!r} is not one of {', '.join(QUALITIES)}"
        raise WireError(msg)
    return [ShownRow(key(header["key"]), quality, whole(header["shown_ns"]))]
