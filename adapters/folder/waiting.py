"""What a watched folder without a single image waits for, in words, so that nobody waits in vain."""

import logging
import time

from quietscope.adapters.folder.file_record import FileRecord
from quietscope.adapters.folder.inventory import Inventory

__all__ = ["Waiting"]

_LOG = logging.getLogger("quietscope.folder")
_PATIENCE_S = 5.0


class Waiting:
    """Says once that no image is there yet, and once that what is there is not taken.

    Parameters
    ----------
    inventory
        What is known of the folder.
    include
        File-name patterns that are taken.
    recursive
        Whether sub-folders count.
    """

    def __init__(self, inventory: Inventory, include: tuple[str, ...], *, recursive: bool) -> None:
        self._inventory = inventory
        self._kinds = ", ".join(include)
        self._below = " and its sub-folders" if recursive else ""
        self._began = time.monotonic()
        self._said: set[str] = set()

    def look(self) -> None:
        """Say what is worth saying; call it after each scan of the folder."""
        inventory = self._inventory
        if len(inventory) or inventory.data_sets or time.monotonic() - self._began < _PATIENCE_S:
            return
        if inventory.others:
            names = ", ".join(sorted(FileRecord(name).shown for name in inventory.others))
            self._once(
                "others",
                f"still waiting for images in {inventory.root}{self._below}: what is there ({names}) is not taken, "
                f"since only files named {self._kinds} are; save the images as TIFF or PNG, or correct the folder or "
                "source.include",
            )
        else:
            self._once(
                "nothing",
                f"waiting for images in {inventory.root}{self._below}: there is none yet; files named {self._kinds} "
                "are taken",
            )

    def _once(self, what: str, words: str) -> None:
        if what not in self._said:
            self._said.add(what)
            _LOG.warning("%s", words)
