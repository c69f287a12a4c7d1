"""What a viewer that joins late gets at once: the last message of each topic it asks for."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from quietscope.adapters.frame import Pixels
from quietscope.adapters.wire_headers import EndHeader, FrameHeader, StartHeader

__all__ = ["LateViewers", "Message"]

_ORDER = {"info": 0, "denoised": 1, "preview": 2, "raw": 3, "trust": 4}
"""Order in which a late viewer gets what it missed."""


class Message(NamedTuple):
    """A message that is worth repeating."""

    header: StartHeader | FrameHeader | EndHeader
    pixels: Pixels | None = None

    def again(self) -> "Message":
        """The same message, marked as a repeat: other viewers have seen it already."""
        return Message(self.header.model_copy(update={"repeat": True}), self.pixels)


class LateViewers:
    """Keeps the last message of each topic, and knows which of them somebody waits for."""

    def __init__(self) -> None:
        self._last: dict[bytes, Message] = {}
        self._due: dict[bytes, None] = {}
        self._end: Message | None = None

    @property
    def waiting(self) -> bool:
        """Whether a viewer waits for a repeat."""
        return bool(self._due)

    def keep(self, topic: bytes, message: Message) -> None:
        """Keep the newest message of a topic, which everybody gets now: nobody waits for the one before."""
        self._last[topic] = message
        self._due.pop(topic, None)

    def keep_end(self, message: Message) -> None:
        """Keep the message that says that the series is over."""
        self._end = message

    def join(self, prefixes: Iterable[bytes]) -> None:
        """Note what viewers have just subscribed to."""
        asked = tuple(prefixes)
        wanted = [topic for topic in self._last if topic.startswith(asked)]
        for topic in sorted(wanted, key=lambda topic: _ORDER[topic.decode().partition("/")[0]]):
            self._due[topic] = None

    def repeats(self, most: int) -> Iterator[Message]:
        """At most so many topics' messages that somebody waits for; behind the last one, that the series is over."""
        for topic in list(self._due)[:most]:
            del self._due[topic]
            yield self._last[topic].again()
            if not self._due and self._end is not None:
                # Last, so that a viewer that stops at the end has seen the frames.
                yield self._end.again()
