"""How a run stands, from the events of its processes: what the control wire tells whoever asks."""

from typing import Any

from quietscope.adapters.frame import channel_name
from quietscope.config import RunError
from quietscope.daemon.child import Event

__all__ = ["Standing"]

_RECORDER = ("received", "stored")
_PROCESSOR = {"denoised": "denoised", "pending": "waiting", "published": "published"}


class Standing:
    """Remembers what matters of the events."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: tuple[str, ...] = ()
        self._models: dict[int, str] = {}
        self._verdicts: dict[int, str] = {}
        self._judged: set[int] = set()
        self.paused = False

    def take(self, event: Event) -> None:
        """Take an event of the engine or of one of its processes."""
        match event["event"], event.get("from"):
            case "series", _:
                self._names = tuple(event["channels"])
            case "status", "recorder":
                self._counts |= {name: int(event[name]) for name in _RECORDER}
            case "status", "processor":
                self._counts |= {said: int(event[name]) for name, said in _PROCESSOR.items()}
            case "model_live", _:
                self._models[event["channel"]] = event["model_id"]
                if not event.get(
                    "provisional"
                ):  # a model of an earlier run serves while the first is trained
                    self._judged.add(event["channel"])
            case "verdict", _:
                self._verdicts[event["channel"]] = "accepted" if event["accepted"] else "refused"
            case "denoising", _:
                self.paused = bool(event["paused"])
            case _:
                pass

    def name(self, channel: int) -> str:
        """What a channel is called."""
        return channel_name(self._names, channel)

    def channels(self, wanted: int | str | None) -> list[int]:
        """Indices of the channels that somebody means by an index, a name, or None for all.

        Raises
        ------
        quietscope.config.RunError
            If there is none.
        """
        if not self._names:
            raise RunError("no frame has come yet, so there is no channel; wait for the first frame")
        if wanted is None:
            return list(range(len(self._names)))
        found = [index for index, name in enumerate(self._names) if wanted in (index, name)]
        found = found or [index for index in range(len(self._names)) if wanted == str(index)]
        if not found:
            known = ", ".join(f"{index} ({name})" for index, name in enumerate(self._names))
            msg = f"there is no channel {wanted!r}; the run has {known}"
            raise RunError(msg)
        return found

    def is_judged(self, channel: int) -> bool:
        """Whether the channel's first training has ended."""
        return channel in self._verdicts or channel in self._judged

    @property
    def figures(self) -> dict[str, Any]:
        """Counts, channels and whether denoising is paused; JSON-able."""
        channels = [
            {
                "index": index,
                "name": name,
                "model": self._models.get(index),
                "last_verdict": self._verdicts.get(index),
            }
            for index, name in enumerate(self._names)
        ]
        return {**self._counts, "paused": self.paused, "channels": channels}
