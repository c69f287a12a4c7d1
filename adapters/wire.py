"""Messages of the viewers' wire: the only component that knows how they look as bytes.

A message has three parts: topic, JSON header, and the pixels as a little-endian C-order buffer (empty unless
the message is a frame). The header is a superset of the ``array-1.0`` convention, so that simple readers need
not know quietscope. ``docs/protocol.md`` specifies it. Nothing is ever unpickled.

Examples
--------
>>> import numpy as np
>>> from quietscope.adapters.frame import FrameKey
>>> from quietscope.adapters.wire import decode, encode
>>> from quietscope.adapters.wire_headers import FrameHeader
>>> pixels = np.zeros((4, 6), "uint16")
>>> header = FrameHeader.of(
...     pixels, kind="raw", key=FrameKey(3), publisher="a", series="b", sequence=0, published_ns=2
... )
>>> topic, text, buffer = encode(header, pixels)
>>> topic
b'raw/c0'
>>> decode([topic, text, buffer]).header == header
True
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from quietscope.adapters.frame import Pixels
from quietscope.adapters.wire_headers import PROTOCOL, FrameHeader, FrameKind, Header, explain
from quietscope.config.errors import WireError

__all__ = ["INFO_TOPIC", "MAX_HEADER_NBYTES", "Buffer", "Decoded", "decode", "encode", "frame_topic"]

INFO_TOPIC = b"info"
"""Topic of everything that is not a frame."""

MAX_HEADER_NBYTES = 65_536
"""Longest header, bytes."""

Buffer = bytes | bytearray | memoryview
"""One part of a message."""

_HEADERS: TypeAdapter[Header] = TypeAdapter(Annotated[Header, Field(discriminator="message")])


def frame_topic(kind: FrameKind, channel: int) -> bytes:
    """Topic of the frames of one kind and channel, such as ``b"denoised/c0"``."""
    return f"{kind}/c{channel}".encode()


class Decoded(NamedTuple):
    """A message taken apart."""

    header: Header
    """What it says."""

    pixels: Pixels | None
    """Read-only array (Y, X) over the received buffer, or None where the message is no frame."""


def encode(header: Header, pixels: Pixels | None = None) -> list[Buffer]:
    """Turn a message into its three parts.

    Parameters
    ----------
    header
        What it says.
    pixels
        Shape and dtype as a `FrameHeader` says; None for other messages. The third part shares their memory
        where they are C-contiguous and little-endian already.

    Returns
    -------
    list of buffers
        Topic, JSON header, pixels.

    Raises
    ------
    quietscope.config.WireError
        If pixels and header do not belong together.
    """
    text = header.model_dump_json(by_alias=True).encode()
    if not isinstance(header, FrameHeader):
        return [INFO_TOPIC, text, b""]
    if pixels is None or pixels.shape != header.shape or pixels.dtype.name != header.type:
        got = "no pixels" if pixels is None else f"{pixels.shape} {pixels.dtype}"
        msg = (
            f"The header of {header.kind} {header.key} says {header.shape} {header.type}, and there are {got}"
        )
        raise WireError(msg)
    plane = np.ascontiguousarray(pixels, dtype=header.dtype)
    return [frame_topic(header.kind, header.key.c), text, plane.data.cast("B")]


def decode(parts: Sequence[Buffer]) -> Decoded:
    """Take a message apart, trusting nothing in it.

    Parameters
    ----------
    parts
        Topic, JSON header, pixels.

    Returns
    -------
    Decoded
        Header and pixels; the pixels share the memory of the third part.

    Raises
    ------
    quietscope.config.WireError
        If anything is not as the protocol says.
    """
    if len(parts) != 3:
        msg = (
            f"A message of {PROTOCOL} has 3 parts, and this one has {len(parts)}; is it from another program?"
        )
        raise WireError(msg)
    _, text, buffer = parts
    if len(text) > MAX_HEADER_NBYTES:
        msg = f"The header has {len(text)} bytes, and {MAX_HEADER_NBYTES} are allowed"
        raise WireError(msg)
    try:
        header = _HEADERS.validate_json(bytes(text))
    except ValidationError as error:
        raise WireError(explain(error)) from error
    if not isinstance(header, FrameHeader):
        _check(parts, INFO_TOPIC, 0)
        return Decoded(header, None)
    _check(parts, frame_topic(header.kind, header.key.c), header.nbytes)
    pixels = np.frombuffer(buffer, dtype=header.dtype).reshape(header.shape)
    pixels.flags.writeable = False
    return Decoded(header, pixels)


def _check(parts: Sequence[Buffer], topic: bytes, nbytes: int) -> None:
    """Refuse a message whose topic or size is not what its header says."""
    if bytes(parts[0][: len(topic) + 1]) != topic:
        msg = f"The message is for topic {topic.decode()!r}, and came under {bytes(parts[0][:100])!r}"
        raise WireError(msg)
    if len(parts[2]) != nbytes:
        msg = f"The header promises {nbytes} bytes of pixels, and {len(parts[2])} came"
        raise WireError(msg)
