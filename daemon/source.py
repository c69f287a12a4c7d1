"""Makes the source that the settings ask for."""

from quietscope.adapters.earlier import Earlier
from quietscope.adapters.protocols import Source
from quietscope.config.sources import FolderSettings, RunSourceSettings, SimulatorSettings, SourceSettings
from quietscope.daemon.runfolder import RunFolder

__all__ = ["make_source"]


def make_source(settings: SourceSettings, earlier: Earlier | None = None) -> Source | None:
    """Source for `settings`; None when frames come in over the ingest wire alone.

    Parameters
    ----------
    settings
        The section ``source``.
    earlier
        What an interrupted run has already: the source delivers the rest. Sources that cannot go back (a microscope
        that is gone, frames of another program) have none.
    """
    if isinstance(settings, SimulatorSettings) and earlier is None:
        from quietscope.adapters.simulator import Simulator

        return Simulator(settings)
    if isinstance(settings, FolderSettings):
        from quietscope.adapters.folder import FolderSource

        return FolderSource(settings, earlier=earlier)
    if isinstance(settings, RunSourceSettings):
        from quietscope.daemon.replay import Replay

        return Replay(RunFolder.existing(settings.path), earlier=earlier)
    return None
