"""What a path on the command line means as a source: a run, a folder of images, a data set, or one image file."""

import glob
from pathlib import Path
from typing import Any

from quietscope.adapters.ndtiff import INDEX_NAME, is_stack
from quietscope.config import SourceError

__all__ = ["offline_source"]


def offline_source(path: Path) -> dict[str, Any]:
    """Settings of the source that delivers what lies at `path` and ends.

    Parameters
    ----------
    path
        A run folder, a folder of images or of NDTiff data sets, a file of such a data set, or an image file.

    Returns
    -------
    dict
        The section ``source``.

    Raises
    ------
    quietscope.config.SourceError
        If there is nothing at `path`.
    """
    whole = path.expanduser().absolute()
    if whole.is_file() and (whole.name == INDEX_NAME or is_stack(whole.name)):
        whole = whole.parent
    if whole.is_file():
        return {
            "kind": "folder",
            "path": str(whole.parent),
            "include": [glob.escape(whole.name)],
            "recursive": False,
            "follow": False,
            "polling": True,
        }
    if (whole / "ledger.db").is_file():
        return {"kind": "run", "path": str(whole)}
    if whole.is_dir():
        return {"kind": "folder", "path": str(whole), "follow": False, "polling": True}
    msg = f"there is nothing at {whole}; give an image file, a folder of images or the folder of a run"
    raise SourceError(msg)
