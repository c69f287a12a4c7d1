"""Plans: what to acquire, as TOML or JSON in one of the two languages that Micro-Manager's Python tools speak."""

import json
import tomllib
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from quietscope.config.errors import SettingsError

__all__ = ["Plan", "read_plan"]

_USEQ_ONLY = {
    "axis_order",
    "time_plan",
    "z_plan",
    "grid_plan",
    "stage_positions",
    "autofocus_plan",
    "metadata",
    "keep_shutter_open_across",
}


@dataclass(frozen=True)
class Plan:
    """What to acquire.

    Parameters
    ----------
    sequence
        A ``useq.MDASequence``; None if the plan is in pycromanager's language.
    events
        Events in pycromanager's language, whichever the plan was written in.
    """

    sequence: Any
    events: list[dict[str, Any]]


def read_plan(file: Path) -> Plan:
    """Read and check a plan.

    Parameters
    ----------
    file
        TOML, or JSON if its name ends in ``.json``. Either keywords of pycromanager's ``multi_d_acquisition_events``
        (``num_time_points``, ``channels``, …) or fields of ``useq.MDASequence`` (``time_plan``, ``z_plan``, …).

    Raises
    ------
    quietscope.config.SettingsError
        If it cannot be read, or plans nothing.
    """
    content = _content(file)
    is_useq = bool(_USEQ_ONLY & content.keys()) or any(
        isinstance(c, dict) for c in content.get("channels", ())
    )
    plan = _of_useq(content, file) if is_useq else _of_pycromanager(content, file)
    if not any(event.get("axes") for event in plan.events):
        msg = f"the plan {file} plans no frame; give it time points, channels, z planes or positions"
        raise SettingsError(msg)
    return plan


def _content(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        content = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        msg = f"the plan {file} cannot be read: {error.strerror}; check the path"
        raise SettingsError(msg) from error
    except ValueError as error:
        msg = f"the plan {file} is not {'JSON' if file.suffix.lower() == '.json' else 'TOML'}: {error}"
        raise SettingsError(msg) from error
    if not isinstance(content, dict):
        msg = f"the plan {file} must be a table of keywords, such as num_time_points = 100"
        raise SettingsError(msg)
    return content


def _of_pycromanager(content: dict[str, Any], file: Path) -> Plan:
    from pycromanager import multi_d_acquisition_events

    known = signature(multi_d_acquisition_events).parameters
    unknown = sorted(content.keys() - known.keys())
    if unknown:
        msg = (
            f"the plan {file} has unknown keywords: {', '.join(unknown)}. Known are {', '.join(known)} of pycromanager,"
            f" or {', '.join(sorted(_USEQ_ONLY))} and channels of useq"
        )
        raise SettingsError(msg)
    try:
        return Plan(None, list(multi_d_acquisition_events(**content)))
    except Exception as error:
        msg = f"pycromanager cannot use the plan {file}: {error}"
        raise SettingsError(msg) from error


def _of_useq(content: dict[str, Any], file: Path) -> Plan:
    try:
        from useq import MDASequence
    except ImportError as error:
        msg = (
            f"the plan {file} is a useq sequence, which needs useq-schema; install it with:"
            " pip install 'quietscope[micromanager]'"
        )
        raise SettingsError(msg) from error
    try:
        sequence = MDASequence.model_validate(content)
        return Plan(sequence, [_pycromanager_event(event) for event in sequence])
    except ValueError as error:
        msg = f"useq cannot use the plan {file}: {error}"
        raise SettingsError(msg) from error


def _pycromanager_event(event: Any) -> dict[str, Any]:
    """One event of a useq sequence in pycromanager's language."""
    names = {"t": "time", "p": "position"}
    axes: dict[str, int | str] = {}
    for axis, index in dict(event.index).items():
        letter = str(getattr(axis, "value", axis))
        axes[names.get(letter, letter)] = int(index)
    found: dict[str, Any] = {"axes": axes}
    if event.channel is not None:
        axes.pop("c", None)
        axes["channel"] = event.channel.config
        found["config_group"] = [event.channel.group, event.channel.config]
    given = {
        "exposure": event.exposure,
        "min_start_time": event.min_start_time,
        "x": event.x_pos,
        "y": event.y_pos,
        "z": event.z_pos,
    }
    return found | {name: value for name, value in given.items() if value is not None}
