"""Makes the source that the settings ask for."""

from quietscope.adapters.protocols import Source
from quietscope.config.sources import FolderSettings, RunSourceSettings, SimulatorSettings, SourceSettings
from quietscope.daemon.runfolder import RunFolder

__all__ = ["make_source"]


def make_source(settings: SourceSettings) -> Source | None:
    """Source for `settings`; None when frames come in over the ingest wire alone."""
    if isinstance(settings, SimulatorSettings):
        from quietscope.adapters.simulator import Simulator

        return Simulator(settings)
    if isinstance(settings, FolderSettings):
        from quietscope.adapters.folder import FolderSource

        return FolderSource(settings)
    if isinstance(settings, RunSourceSettings):
        from quietscope.daemon.replay import Replay

        return Replay(RunFolder.existing(settings.path))
    return None
