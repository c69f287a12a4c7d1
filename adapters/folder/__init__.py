"""Watches a folder into which another program writes images, and delivers each complete frame exactly once.

`FolderSource` is all that the daemon needs. `look_into` and `read_plane` are useful on their own: they tell which
planes of a TIFF or PNG are complete while it is still being written, and read them.
"""

from quietscope.adapters.folder.contents import Contents, Plane, Refusal, look_into
from quietscope.adapters.folder.readers import read_plane
from quietscope.adapters.folder.source import FolderSource

__all__ = ["Contents", "FolderSource", "Plane", "Refusal", "look_into", "read_plane"]
