"""What the events of a run say to people."""

from typing import NamedTuple

import numpy as np

from quietscope.daemon.child import Event

__all__ = ["Words", "words_of"]


class Words(NamedTuple):
    """An event in words."""

    level: str
    """``info``, ``good``, ``warning`` or ``error``."""

    text: str


_PAUSED = Words("warning", "denoising is paused; raw frames are recorded, and denoised afterwards")
_GOES_ON = Words("good", "denoising goes on; frames of the pause are filled in")


def words_of(event: Event) -> Words | None:  # noqa: PLR0911 - a table
    """Words for an event, or None for one that is no news to people.

    Parameters
    ----------
    event
        As a process of the run has sent it.
    """
    match event["event"], event.get("from"):
        case "log" | "quality" | "earlier_model", _:
            return Words(event["level"], event["text"])
        case "series", _:
            height, width = event["shape"]
            names = ", ".join(event["channels"])
            bits = 8 * np.dtype(event["dtype"]).itemsize
            return Words("info", f"series: {width} × {height} pixels, {bits} bit, channels {names}")
        case "ready", "processor":
            return Words("info", f"viewers connect to {event['endpoint']}")
        case "training", _ if event["used"] == 0.0:
            return Words("info", f"training {event['name']} on {event['frames']} frames")
        case "verdict", _:
            return _verdict(event)
        case "model_live", _:
            name = event.get("name", f"channel {event['channel']}")
            return Words("good", f"{name}: its model is live, on {event['provider']}")
        case "denoising", _:
            return _PAUSED if event["paused"] else _GOES_ON
        case "rejected", _:
            return Words("warning", f"rejected {event['name']} ({event['reason']}): {event['detail']}")
        case "intake_ended", _:
            count = f"{event['received']} frames received"
            more = "" if event["reason"] == count else f"; {count}"
            return Words("info", f"intake ended: {event['reason']}{more}")
        case "fatal", _:
            return Words("error", event["text"])
        case "stop", _:
            then = (
                "stopping at once"
                if event.get("at_once")
                else "finishing what is there (once more to stop at once)"
            )
            return Words("info", f"{event['reason']}: {then}")
        case _:
            return None


def _verdict(event: Event) -> Words:
    taken_from, seconds = event["figures"].get("taken_from"), event["figures"].get("training_s", 0.0)
    what, spent = "model", f" after {seconds:.0f} s"
    if taken_from is not None:
        what, spent = f"the model taken from {taken_from} is", ""
    if event["accepted"]:
        new = "new " if event.get("again") else ""
        return Words("good", f"{event['name']}: {new}{what} accepted{spent}. {event['reason']}")
    then = "its old model goes on" if event.get("again") else "the channel stays on preview"
    return Words("warning", f"{event['name']}: {what} NOT accepted, {then}. {event['reason']}")
