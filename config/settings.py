"""The whole validated, frozen settings tree of a run."""

from pathlib import Path

from pydantic import Field

from quietscope.config.base import Section
from quietscope.config.methods import FM2SSettings, Method, Noise2SRSettings, Poisson2VoidSettings
from quietscope.config.patterns import NAME
from quietscope.config.science import (
    AdaptiveSN2NSettings,
    DriftSettings,
    GateSettings,
    RuntimeSettings,
    TilingSettings,
    TrainingSettings,
    TrustSettings,
)
from quietscope.config.shelf import ModelsSettings
from quietscope.config.sources import SimulatorSettings, SourceSettings
from quietscope.config.system import (
    ControlSettings,
    DegradeSettings,
    MonitoringSettings,
    ProcessorSettings,
    PublishSettings,
    RecorderSettings,
    SecuritySettings,
    StopSettings,
    StoreSettings,
    ViewSettings,
)

__all__ = ["Settings"]


class Settings(Section):
    """Everything a run needs to know."""

    out: Path = Path("quietscope-runs")
    """Folder that holds the run folders."""

    name: str | None = Field(default=None, pattern=NAME)
    """Name of the run folder; none takes date and time. An existing run is never overwritten."""

    method: Method = "adaptive-sn2n"
    """Denoising method; each has a section of its own."""

    source: SourceSettings = SimulatorSettings()
    """Where frames come from."""

    adaptive_sn2n: AdaptiveSN2NSettings = AdaptiveSN2NSettings()
    """Options of the method ``adaptive-sn2n``."""

    fm2s: FM2SSettings = FM2SSettings()
    """Options of the method ``fm2s``."""

    noise2sr: Noise2SRSettings = Noise2SRSettings()
    """Options of the method ``noise2sr``."""

    poisson2void: Poisson2VoidSettings = Poisson2VoidSettings()
    """Options of the method ``poisson2void``."""

    training: TrainingSettings = TrainingSettings()
    """When and how long to train."""

    models: ModelsSettings = ModelsSettings()
    """What becomes of accepted models."""

    gate: GateSettings = GateSettings()
    """What a model must prove before it goes live."""

    trust: TrustSettings = TrustSettings()
    """How far denoised frames are trusted."""

    drift: DriftSettings = DriftSettings()
    """What is done when the pictures change."""

    tiling: TilingSettings = TilingSettings()
    """Tiles."""

    runtime: RuntimeSettings = RuntimeSettings()
    """How the network is run."""

    recorder: RecorderSettings = RecorderSettings()
    """The recorder process."""

    processor: ProcessorSettings = ProcessorSettings()
    """The processor process."""

    degrade: DegradeSettings = DegradeSettings()
    """What viewers get when the machine is behind."""

    store: StoreSettings = StoreSettings()
    """The OME-Zarr store."""

    publish: PublishSettings = PublishSettings()
    """The viewers' wire."""

    control: ControlSettings = ControlSettings()
    """Commands to a running daemon."""

    security: SecuritySettings = SecuritySettings()
    """Keys and limits of the wires."""

    monitoring: MonitoringSettings = MonitoringSettings()
    """Watching a run from outside."""

    view: ViewSettings = ViewSettings()
    """The browser viewer."""

    stop: StopSettings = StopSettings()
    """When a run ends by itself."""
