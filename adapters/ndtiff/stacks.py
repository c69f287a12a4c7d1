"""Names of the stacks of an NDTiff data set.

``cell_NDTiffStack.tif`` is followed by ``cell_NDTiffStack_1.tif``, and so on; the name in front may be missing.
"""

import re
from pathlib import Path

__all__ = ["first_stack", "is_stack", "next_stack"]

_STACK = re.compile(r"((?:.*_)?NDTiffStack)(?:_(\d+))?\.tif")


def is_stack(file_name: str) -> bool:
    """Whether a file of this name belongs to a data set."""
    return _STACK.fullmatch(file_name) is not None


def first_stack(folder: Path) -> str | None:
    """Name of the first stack in a folder, or None."""
    names = [path.name for path in folder.glob("*NDTiffStack.tif") if is_stack(path.name)]
    return min(names, default=None)


def next_stack(name: str) -> str | None:
    """Name of the stack that follows a stack."""
    found = _STACK.fullmatch(name)
    return f"{found[1]}_{int(found[2] or 0) + 1}.tif" if found else None
