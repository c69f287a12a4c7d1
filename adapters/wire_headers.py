"""Headers of the viewers' wire: the fields of every message, validated."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.config.errors import WireError

__all__ = [
    "MAX_PIXELS_NBYTES",
    "PROTOCOL",
    "QUALITIES",
    "EndHeader",
    "FrameHeader",
    "FrameKind",
    "Header",
    "HeartbeatHeader",
    "Quality",
    "StartHeader",
    "explain",
]

PROTOCOL: Literal["quietscope/1"] = "quietscope/1"
"""Name and version of the protocol; a reader refuses any other."""

MAX_PIXELS_NBYTES = 1 << 30
"""Largest frame, bytes."""

FrameKind = Literal["raw", "denoised", "preview", "trust"]
"""What a frame is: straight from the camera, denoised by an accepted model, a classical preview, or a trust map."""

Quality = Literal["full", "less-overlap", "larger-tiles", "preview", "raw"]
"""Steps of the degrade ladder: how good the pictures are that viewers get while the machine is behind."""

QUALITIES: tuple[Quality, ...] = get_args(Quality)
"""All of them, the best one first."""

_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Side = Annotated[int, Field(ge=1, le=2**20)]
_Name = Annotated[str, Field(max_length=1000)]
_PixelType = Literal["uint8", "uint16", "int16", "float32"]
_PixelSize = Annotated[float, Field(gt=0)]

_LITTLE_ENDIAN = {"uint8": "|u1", "uint16": "<u2", "int16": "<i2", "float32": "<f4"}


def explain(error: ValidationError) -> str:
    """Say in one line what is wrong with a header."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "text"
    return f"The header's {where} is not as {PROTOCOL} says: {first['msg']}"


class _Strict(BaseModel):
    """Exact types, no infinities; unknown fields are ignored, so that a later version may add some."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def made(cls, fields: Mapping[str, Any]) -> Self:
        """Build a header from our own values.

        Raises
        ------
        quietscope.config.WireError
            If a value is not as the protocol says.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise WireError(explain(error)) from error


class _Common(_Strict):
    """Fields of every header."""

    protocol: Literal["quietscope/1"] = PROTOCOL
    """Name and version of the protocol."""

    publisher: _Name
    """Identity of the publishing process; changes when it restarts."""

    series: _Name
    """Identity of the series."""

    sequence: _Count
    """Counts the messages of this publisher on this topic, from 0."""

    published_ns: _Count
    """Time of publication, nanoseconds since the epoch."""

    repeat: bool = False
    """True if the message was sent before and is repeated for a viewer that joined late."""


class _Info(_Common):
    """Fields of every header without pixels."""

    htype: Literal["quietscope-info-1.0"] = "quietscope-info-1.0"
    """Tells readers of ``array-1.0`` that there is no array."""


class StartHeader(_Info):
    """Says what the frames of the series have in common; comes first and again when channels are added."""

    message: Literal["start"] = "start"
    height: _Side
    width: _Side
    type: _PixelType
    channels: tuple[_Name, ...]
    source: _Name
    pixel_size_um: _PixelSize | None = None
    planned: dict[_Name, _Count] = {}

    @classmethod
    def of(cls, series: Series, *, publisher: str, series_id: str, sequence: int, published_ns: int) -> Self:
        """Header for `series`."""
        return cls.made(
            {
                "publisher": publisher,
                "series": series_id,
                "sequence": sequence,
                "published_ns": published_ns,
                "height": series.height,
                "width": series.width,
                "type": series.dtype,
                "channels": series.channels,
                "source": series.source,
                "pixel_size_um": series.pixel_size_um,
                "planned": dict(series.planned),
            }
        )

    def to_series(self) -> Series:
        """Give the series as the publisher knows it."""
        return Series(
            height=self.height,
            width=self.width,
            dtype=self.type,
            channels=self.channels,
            source=self.source,
            pixel_size_um=self.pixel_size_um,
            planned=dict(self.planned),
        )


class HeartbeatHeader(_Info):
    """Says that the publisher lives, and how far each topic is."""

    message: Literal["heartbeat"] = "heartbeat"
    topics: dict[_Name, _Count] = {}
    """Sequence number of the last frame of each topic."""

    quality: Quality = "full"
    """How good the newest pictures are; below ``full`` the machine is behind."""

    reason: _Name = ""
    """Why they are not of full quality, in words."""


class EndHeader(_Info):
    """Says that the series is over."""

    message: Literal["end"] = "end"
    reason: _Name = ""
    topics: dict[_Name, _Count] = {}
    """Sequence number of the last frame of each topic."""


class _KeyFields(_Strict):
    t: _Count
    c: _Count = 0
    z: _Count = 0
    p: _Count = 0


class FrameHeader(_Common):
    """Describes one plane of pixels."""

    htype: Literal["array-1.0"] = "array-1.0"
    message: Literal["frame"] = "frame"
    shape: tuple[_Side, _Side]
    """Y, X."""

    type: _PixelType
    dtype: str
    """`type` in NumPy's notation with byte order, such as ``<u2``."""

    encoding: Literal["raw"] = "raw"
    frame: _Count
    """The time point again, where readers of ``array-1.0`` look for it."""

    kind: FrameKind
    key_fields: _KeyFields = Field(alias="key")
    channel: _Name = ""
    """Name of the channel."""

    received_ns: _Count = 0
    """Time of arrival of the raw frame, nanoseconds since the epoch."""

    model: _Name | None = None
    """Model that made a denoised frame."""

    light: Literal["green", "yellow", "red"] | None = None
    """Traffic light of the denoised frame that a trust map belongs to."""

    reason: _Name = ""
    """Why, in words."""

    quality: Quality = "full"
    """What viewers get of this frame while it is new; below ``full`` the machine is behind."""

    pixel_size_um: _PixelSize | None = None
    scale: tuple[_PixelSize, _PixelSize] = (1.0, 1.0)
    """Pixel size along Y and X, micrometres; 1 where unknown."""

    @classmethod
    def of(
        cls,
        pixels: Pixels,
        *,
        kind: FrameKind,
        key: FrameKey,
        publisher: str,
        series: str,
        sequence: int,
        published_ns: int,
        received_ns: int = 0,
        channel: str = "",
        model: str | None = None,
        light: str | None = None,
        reason: str = "",
        quality: Quality = "full",
        pixel_size_um: float | None = None,
    ) -> Self:
        """Header for `pixels`, shape (Y, X)."""
        if pixels.ndim != 2 or pixels.dtype.name not in _LITTLE_ENDIAN:
            kinds = ", ".join(_LITTLE_ENDIAN)
            msg = f"{kind} {key} is {pixels.shape} {pixels.dtype}; the wire carries 2-D frames of {kinds}"
            raise WireError(msg)
        size = 1.0 if pixel_size_um is None else pixel_size_um
        return cls.made(
            {
                "publisher": publisher,
                "series": series,
                "sequence": sequence,
                "published_ns": published_ns,
                "shape": pixels.shape,
                "type": pixels.dtype.name,
                "dtype": _LITTLE_ENDIAN[pixels.dtype.name],
                "frame": key.t,
                "kind": kind,
                "key": key._asdict(),
                "channel": channel,
                "received_ns": received_ns,
                "model": model,
                "light": light,
                "reason": reason,
                "quality": quality,
                "pixel_size_um": pixel_size_um,
                "scale": (size, size),
            }
        )

    @property
    def key(self) -> FrameKey:
        """Place of the frame in its series."""
        return FrameKey(self.key_fields.t, self.key_fields.c, self.key_fields.z, self.key_fields.p)

    @property
    def nbytes(self) -> int:
        """Size of the pixels, bytes."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.dtype != _LITTLE_ENDIAN[self.type]:
            msg = f"dtype {self.dtype!r} is not {_LITTLE_ENDIAN[self.type]!r}, which type {self.type!r} means"
            raise ValueError(msg)
        if self.frame != self.key_fields.t:
            msg = f"frame {self.frame} is not the time point {self.key_fields.t} of the key"
            raise ValueError(msg)
        if self.nbytes > MAX_PIXELS_NBYTES:
            msg = f"a frame of {self.nbytes} bytes is larger than {MAX_PIXELS_NBYTES}"
            raise ValueError(msg)
        return self


Header = StartHeader | FrameHeader | EndHeader | HeartbeatHeader
"""Any header."""
