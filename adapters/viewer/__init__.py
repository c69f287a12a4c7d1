"""The browser viewer: a client of the viewers' wire and of the store that serves pages to browsers."""

from quietscope.adapters.viewer.archive import Archive, Snapshot
from quietscope.adapters.viewer.server import ViewerServer

__all__ = ["Archive", "Snapshot", "ViewerServer"]
