"""What a browser asks for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from quietscope.adapters.control import Request
from quietscope.config.errors import WireError

__all__ = ["Acknowledged", "Asked", "Wanted", "from_browser"]

_Name = Annotated[str, Field(max_length=40)]
_Index = Annotated[int, Field(ge=0, le=2**31)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Wanted(_Strict):
    """Which pictures a browser wants."""

    type: Literal["want"] = "want"
    follow: bool = True
    """The newest time point, whenever there is one."""

    t: _Index = 0
    """Time point, where it does not follow."""

    z: _Index | None = None
    """Only this z plane; None takes whichever is newest."""

    p: _Index | None = None
    """Only this position; None takes whichever is newest."""

    channels: tuple[_Index, ...] = Field(default=(), max_length=64)
    streams: tuple[_Name, ...] = Field(default=("raw", "denoised", "preview"), max_length=8)
    detail: Literal["auto", "full"] = "auto"
    """``auto`` sends coarser pictures over a slow link."""

    max_side: int = Field(default=8192, ge=256, le=65536)
    """Longest side that the browser's graphics can take, pixels."""


class Acknowledged(_Strict):
    """A message has arrived and, if it is a picture, is on the screen."""

    type: Literal["ack"] = "ack"
    number: int = Field(ge=0)
    busy_ms: float = Field(default=0.0, ge=0)
    """Time from arrival to acknowledgement, milliseconds: not the link's fault."""


class Asked(_Strict):
    """Something is to be done."""

    type: Literal["ask"] = "ask"
    request: Request


_FROM_BROWSER: TypeAdapter[Wanted | Acknowledged | Asked] = TypeAdapter(
    Annotated[Wanted | Acknowledged | Asked, Field(discriminator="type")]
)


def from_browser(text: str) -> Wanted | Acknowledged | Asked:
    """Understand a message of a browser.

    Raises
    ------
    quietscope.config.WireError
        If it is none.
    """
    try:
        return _FROM_BROWSER.validate_json(text)
    except ValidationError as error:
        msg = (
            f"A browser sent what no page of this version sends: {error.errors()[0]['msg']}. Reload the page."
        )
        raise WireError(msg) from error
