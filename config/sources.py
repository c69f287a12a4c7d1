"""Settings of the sources of frames."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from quietscope.config.base import Section
from quietscope.config.micromanager import MicroManagerSettings
from quietscope.config.patterns import AXES

__all__ = [
    "FaultBoxSettings",
    "FolderSettings",
    "RunSourceSettings",
    "SimulatorSettings",
    "SourceSettings",
    "WireSourceSettings",
]

WhenFull = Literal["block", "spool"]

SIM_PIXEL_UM = 0.09
"""Largest pixel that samples what an objective of NA 1.4 resolves at 525 nm, λ/(4 NA) = 0.094 µm."""


class FaultBoxSettings(Section):
    """Faults the simulated microscope makes on request, as probabilities per frame."""

    drop: float = Field(default=0.0, ge=0, le=1)
    """The camera never delivers the frame."""

    duplicate: float = Field(default=0.0, ge=0, le=1)
    """The frame is delivered twice."""

    reorder: float = Field(default=0.0, ge=0, le=1)
    """The frame is delivered after its successor."""

    corrupt: float = Field(default=0.0, ge=0, le=1)
    """The frame arrives with the wrong shape."""

    stall: float = Field(default=0.0, ge=0, le=1)
    """The camera pauses before the frame."""

    stall_s: float = Field(default=1.0, ge=0, le=600)
    """Length of a pause, seconds."""


class SimulatorSettings(Section):
    """An embedded simulated microscope with known truth."""

    kind: Literal["simulator"] = "simulator"
    """Marks this source."""

    modality: Literal["sd-sim", "sim", "confocal", "wide-field"] = "sd-sim"
    """Microscope and camera. ``confocal`` and ``sd-sim`` (1.6 times sharper) take one exposure. ``sim`` reconstructs
    each frame from nine exposures under stripes of light, three angles by three phases: its noise is correlated
    between neighbours and shows as a honeycomb. ``wide-field`` has an out-of-focus haze, and a camera with four times
    the read noise that interpolates its pixels: its noise is correlated by 0.6 between neighbours."""

    frames: int = Field(default=60, ge=1, le=10_000_000)
    """Time points; each has one frame per channel."""

    height: int = Field(default=512, ge=16, le=16384)
    """Frame height, pixels."""

    width: int = Field(default=512, ge=16, le=16384)
    """Frame width, pixels."""

    rate_hz: float = Field(default=1.0, ge=0, le=10_000)
    """Time points per second; 0 delivers as fast as possible."""

    photons: float = Field(default=20.0, gt=0, le=1e6)
    """Photo-electrons per pixel in bright structures; with ``sim`` in all nine exposures together."""

    channels: tuple[Literal["mitochondria", "er"], ...] = Field(default=("mitochondria", "er"), min_length=1)
    """Labelled structures, one channel each."""

    gain: float = Field(default=2.2, gt=0, le=100)
    """Camera gain, grey levels per photo-electron."""

    offset: float = Field(default=100.0, ge=0, le=10_000)
    """Camera offset, grey levels. Frames of ``sim`` contain it nine times, which leaves room for negative values."""

    read_noise: float = Field(default=1.6, ge=0, le=1000)
    """sCMOS read noise, photo-electrons (standard deviation), in each exposure; four times as much with
    ``wide-field``."""

    hot_pixels: float = Field(default=2e-5, ge=0, le=0.01)
    """Share of hot pixels."""

    bleach_per_frame: float = Field(default=0.001, ge=0, le=0.5)
    """Share of the fluorescence lost per time point."""

    pixel_size_um: float = Field(default=0.065, ge=0.02, le=0.15)
    """Pixel size, micrometres; beyond this range cells could not be drawn. ``sim`` needs 0.09 or less."""

    exposure_ms: float = Field(default=50.0, gt=0)
    """Exposure written into the metadata, milliseconds."""

    seed: int = Field(default=0, ge=0)
    """Seed of specimen, noise and faults."""

    when_full: WhenFull = "spool"
    """A camera cannot wait: what the ring cannot hold is spooled to disk."""

    faults: FaultBoxSettings = FaultBoxSettings()
    """The fault box."""

    @model_validator(mode="after")
    def _sampled(self) -> "SimulatorSettings":
        if self.modality == "sim" and self.pixel_size_um > SIM_PIXEL_UM:
            msg = (
                f"pixel_size_um must be {SIM_PIXEL_UM:g} or less with modality 'sim', since larger pixels cannot "
                "record what the lens resolves"
            )
            raise ValueError(msg)
        return self


class FolderSettings(Section):
    """A folder into which another program writes images."""

    kind: Literal["folder"] = "folder"
    """Marks this source."""

    path: Path
    """The folder to watch."""

    pattern: str | None = None
    """Regular expression with named groups ``t``, ``c``, ``z``, ``p`` applied to the file's path relative to
    the folder; none tries Micro-Manager's names, and otherwise counts arrivals as t."""

    include: tuple[str, ...] = ("*.tif", "*.tiff", "*.png")
    """File-name patterns (case-insensitive) that are taken."""

    recursive: bool = True
    """Look into sub-folders as well."""

    follow: bool = True
    """Go on watching; ``false`` takes what is there and ends."""

    polling: bool = False
    """Never rely on file-system events: for network shares."""

    poll_s: float = Field(default=1.0, gt=0, le=3600)
    """Longest time between two scans of the folder, seconds."""

    settle_s: float = Field(default=30.0, gt=0, le=86400)
    """An incomplete file that has not changed for so long is given up, named and counted."""

    first_index: Literal[0, 1] = 0
    """Number that means the first one in file names read by ``pattern``."""

    stack_axes: str | None = Field(default=None, pattern=AXES)
    """Meaning of the extra axes of stacks, slowest first, e.g. ``tc2``: with lengths where a file says only how
    many pages it has. None believes the file's metadata, else means t (z where the file's name gives t)."""

    pixel_size_um: float | None = Field(default=None, gt=0)
    """Pixel size, micrometres, where the files do not say it."""

    when_full: WhenFull = "block"
    """A folder can wait."""


class WireSourceSettings(Section):
    """Frames come in over the ingest wire from other programs only."""

    kind: Literal["wire"] = "wire"
    """Marks this source."""

    when_full: WhenFull = "spool"
    """Senders hold a bounded number of bytes; what the ring cannot hold is spooled to disk."""

    @model_validator(mode="after")
    def _spool_only(self) -> "WireSourceSettings":
        if self.when_full != "spool":
            msg = "when_full must be 'spool' for a wire source, since a remote camera cannot wait"
            raise ValueError(msg)
        return self


class RunSourceSettings(Section):
    """The raw frames of an earlier run, to be denoised once more into a new run."""

    kind: Literal["run"] = "run"
    """Marks this source."""

    path: Path
    """The run folder; it is only read."""

    when_full: WhenFull = "block"
    """Stored frames can wait."""


SourceSettings = Annotated[
    SimulatorSettings | FolderSettings | WireSourceSettings | RunSourceSettings | MicroManagerSettings,
    Field(discriminator="kind"),
]
