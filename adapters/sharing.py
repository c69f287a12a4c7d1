"""Opening a file that another program may be writing, without standing in its way."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

__all__ = ["is_written", "open_shared", "read_at"]


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _GENERIC_READ = 0x80000000
    _SHARE_ALL = 0x1 | 0x2 | 0x4  # others may read, write, and rename or delete
    _OPEN_EXISTING = 3
    _INVALID_HANDLE = wintypes.HANDLE(-1).value
    _create_file = ctypes.WinDLL("kernel32", use_last_error=True).CreateFileW
    _create_file.restype = wintypes.HANDLE
    _create_file.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    ]

    def _opener(path: str, flags: int) -> int:
        # os.open() forbids others to rename the file while it is open, which would break a writer that
        # renames its temporary file into place.
        handle = _create_file(path, _GENERIC_READ, _SHARE_ALL, None, _OPEN_EXISTING, 0x80, None)
        if handle is None or handle == _INVALID_HANDLE:
            raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, flags | os.O_BINARY)

else:

    def _opener(path: str, flags: int) -> int:
        # A FIFO named like an image must not hold the watch up.
        return os.open(path, flags | os.O_NONBLOCK)


def open_shared(path: str | Path) -> BinaryIO:
    """Open a file for reading so that its writer may go on writing, renaming and deleting it.

    Unbuffered: a buffer would serve stale bytes of a file that grows.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        If the file cannot be opened (gone, no permission, held by another program).
    """
    return open(path, "rb", buffering=0, opener=_opener)


def read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    """Read up to `count` bytes at `offset`; fewer only where the file ends.

    Raises
    ------
    OSError
        If reading fails.
    """
    file.seek(offset)
    data = file.read(count)
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    return data


def is_written(file: BinaryIO, offset: int, count: int) -> bool:
    """Whether a stretch of a file has been written, as far as the system can tell.

    Writers that set the size of a file beforehand (memory maps) leave holes where nothing has been written yet. Systems
    that do not tell of holes answer True.

    Parameters
    ----------
    file
        The file, open for reading without a buffer.
    offset, count
        The stretch, bytes.

    Raises
    ------
    OSError
        If the file cannot be asked.
    """
    if sys.platform == "win32":
        return True
    state = os.fstat(file.fileno())
    if state.st_blocks * 512 >= state.st_size:
        return True
    try:
        return os.lseek(file.fileno(), offset, os.SEEK_HOLE) >= offset + count
    except OSError as error:
        if error.errno == errno.EINVAL:
            return True
        raise
