"""Settings of the running system: recorder, store, wires, ending."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from quietscope.config.base import Section
from quietscope.config.patterns import ADDRESS

__all__ = [
    "ControlSettings",
    "DegradeSettings",
    "MonitoringSettings",
    "ProcessorSettings",
    "PublishSettings",
    "RecorderSettings",
    "SecuritySettings",
    "StopSettings",
    "StoreSettings",
    "ViewSettings",
]


class RecorderSettings(Section):
    """The process that receives and stores frames."""

    ring_mb: float = Field(default=256.0, gt=0, le=1_000_000)
    """Bound of the frames held in memory, megabytes (10⁶ bytes)."""

    spool_mb: float = Field(default=100_000.0, ge=0, le=100_000_000)
    """Bound of the frames spooled to disk when the ring is full, megabytes."""

    writers: int = Field(default=2, ge=1, le=64)
    """Writer threads."""

    commit_ms: float = Field(default=5.0, ge=0, le=100)
    """Longest wait for further frames before a ledger commit, milliseconds. Viewers wait as well; where a commit takes
    long, those that come meanwhile share the next."""

    endpoint: str = Field(default="tcp://127.0.0.1:0", pattern=ADDRESS)
    """Address of the ingest wire; port 0 takes a free one."""

    retries: int = Field(default=8, ge=1, le=16)
    """How often a disk that refuses a plane is asked before the run ends: after 0.1, 0.2, 0.4, … seconds."""

    sender_mb: float = Field(default=64.0, gt=0, le=100_000)
    """Bytes that one sender may have under way without acknowledgement, megabytes."""


class StoreSettings(Section):
    """The OME-Zarr store."""

    chunk: int = Field(default=512, ge=32, le=8192, multiple_of=32)
    """Side of a chunk, pixels."""

    codec: Literal["blosc-zstd", "blosc-lz4", "none"] = "blosc-zstd"
    """Compression of the chunks."""

    sync: bool = True
    """Wait for the disk (fsync) before a frame is acknowledged."""


class ProcessorSettings(Section):
    """The process that denoises."""

    inflight_mb: float = Field(default=64.0, gt=0, le=100_000)
    """Denoised frames under way to the recorder, megabytes."""

    frames_at_once: int = Field(default=2, ge=1, le=16)
    """Frames that are denoised at the same time while several wait, each on a share of the cores (one at least), which
    gets more done; one that waits alone has all cores. 1 takes one after the other, and less memory. OpenVINO only."""

    preview_hz: float = Field(default=4.0, ge=0, le=1000)
    """Highest rate of classical previews per second before a model is live; 0 switches them off."""

    max_restarts: int = Field(default=1, ge=0, le=100)
    """How often a dead processor is started again."""


class DegradeSettings(Section):
    """What is done when live pictures come late: they get cheaper, step by step, until they are in time again.

    The store gets full quality all the same, afterwards.
    """

    enabled: bool = True
    """Off: every picture that is shown is of full quality, however late it is."""

    late_s: float = Field(default=2.0, gt=0, le=3600)
    """Pictures that viewers get later than so many seconds after their arrival are late; below half of it they are in
    time."""

    patience_s: float = Field(default=3.0, gt=0, le=3600)
    """Seconds for which pictures must have been late, and not less and less so, before there is a step down."""

    retry_s: float = Field(default=10.0, gt=0, le=3600)
    """Seconds for which pictures must have been in time before there is a step up. Twice as many after each step up
    that did not last, up to 32 times as many."""


class PublishSettings(Section):
    """The viewers' wire."""

    endpoint: str = Field(default="tcp://127.0.0.1:0", pattern=ADDRESS)
    """Address viewers connect to; port 0 takes a free one."""

    raw: bool = True
    """Publish raw frames as well."""

    backfill: bool = False
    """Publish frames that were denoised late as well."""

    high_water_mark: int = Field(default=8, ge=1, le=1000)
    """Messages kept for a viewer that does not keep up; raw, denoised and trust of two channels are six at once."""

    heartbeat_s: float = Field(default=1.0, gt=0, le=60)
    """Time between two heartbeats, seconds."""


class ControlSettings(Section):
    """Commands to a running daemon."""

    endpoint: str = Field(default="tcp://127.0.0.1:0", pattern=ADDRESS)
    """Address of the control wire; port 0 takes a free one."""


class MonitoringSettings(Section):
    """Watching a run from outside."""

    port: int | None = Field(default=None, ge=0, le=65535)
    """TCP port on this computer for Prometheus' ``/metrics`` and for ``/healthz``; 0 takes a free one, none serves
    nothing."""


class SecuritySettings(Section):
    """Who may connect, and with how much."""

    keys: Path | None = None
    """Folder of CURVE keys (``quietscope keys new FOLDER``). With keys all wires demand them, also on this computer;
    without, addresses that other computers can reach are refused."""

    max_message_mb: float = Field(default=1074.0, gt=0, le=1074.0)
    """Largest message taken in over the ingest wire, megabytes; the default holds the largest frame there is."""


class ViewSettings(Section):
    """The browser viewer."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    """Address the viewer's web server listens on; anything but this computer's own needs a token, which is printed."""

    port: int = Field(default=0, ge=0, le=65535)
    """Port of the web server; 0 takes a free one."""

    open_browser: bool = True
    """Open the page in the default browser."""

    remote_control: bool = False
    """Let browsers on other computers pause denoising and train again, as those on this computer may."""


class StopSettings(Section):
    """When a run ends by itself."""

    frames: int | None = Field(default=None, ge=1)
    """Planes over all channels after which intake ends."""

    idle_s: float | None = Field(default=None, gt=0)
    """Seconds without a new frame after which intake ends; the clock starts with the first frame."""
