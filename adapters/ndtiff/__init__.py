"""Follows Micro-Manager's NDTiff data sets on disk while they are being written, and reads finished ones.

`DataSets` is what the folder source uses. `Follower` follows a single data set; `IndexTail` and `read_image` are useful
on their own, for instance to read an image safely while it is being acquired.
"""

from quietscope.adapters.ndtiff.axes import AxisMap
from quietscope.adapters.ndtiff.data_sets import DataSets
from quietscope.adapters.ndtiff.follower import INDEX_NAME, Follower
from quietscope.adapters.ndtiff.index import IndexEntry, IndexTail
from quietscope.adapters.ndtiff.planes import read_image
from quietscope.adapters.ndtiff.stacks import is_stack

__all__ = [
    "INDEX_NAME",
    "AxisMap",
    "DataSets",
    "Follower",
    "IndexEntry",
    "IndexTail",
    "is_stack",
    "read_image",
]
