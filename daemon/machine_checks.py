"""What must hold of the machine, whatever is recorded: folder, addresses, clock, software, memory, graphics card."""

import importlib.metadata
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from quietscope.config import Settings
from quietscope.daemon.check import Check

__all__ = ["existing", "machine_probes"]

_EARLIEST = 1_735_689_600  # 2025-01-01: an earlier clock was never set
_PROCESSES_MB = 1000.0
"""Recorder, processor and trainer, 2,000 frames of 512x512: 132, 236 and 600 MB at their highest (docs/results.md)."""


def machine_probes(settings: Settings, *, quick: bool) -> list[tuple[str, Callable[[], Check]]]:
    """What is looked at of the machine, by name.

    Parameters
    ----------
    settings
        Effective settings.
    quick
        Only what takes no noticeable time.
    """
    probes: list[tuple[str, Callable[[], Check]]] = [
        ("permissions", lambda: _permissions(settings)),
        ("ports", lambda: _ports(settings)),
        ("clock", _clock),
        ("versions", _versions),
        ("memory", lambda: _memory(settings)),
    ]
    return probes if quick else [*probes, ("graphics card", lambda: _graphics_card(settings))]


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there already."""
    folder = folder.expanduser().absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _permissions(settings: Settings) -> Check:
    folder = existing(settings.out)
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            "permissions", "no-go", f"cannot write into {folder} ({error.strerror}); choose another --out"
        )
    return Check("permissions", "go", f"{folder} can be written")


def _ports(settings: Settings) -> Check:
    for setting, endpoint in (
        ("publish.endpoint", settings.publish.endpoint),
        ("recorder.endpoint", settings.recorder.endpoint),
        ("control.endpoint", settings.control.endpoint),
        ("monitoring.port", f"tcp://127.0.0.1:{settings.monitoring.port or 0}"),
    ):
        parts = urlsplit(endpoint)
        try:
            host, port = parts.hostname or "", parts.port or 0
        except ValueError as error:
            return Check("ports", "no-go", f"{setting} = {endpoint} is no address: {error}")
        with socket.socket() as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                words = f"{setting} = {endpoint} cannot be opened ({error.strerror}); set another port, or 0"
                return Check("ports", "no-go", words)
        open_to_all = not host.startswith("127.") and host != "localhost"
        if open_to_all and settings.security.keys is None:
            words = f"{setting} = {endpoint} can be reached by others; make keys: quietscope keys new FOLDER"
            return Check("ports", "no-go", words)
    return Check("ports", "go", "all addresses can be opened")


def _clock() -> Check:
    if time.time() < _EARLIEST:
        words = f"the clock says {time.strftime('%Y-%m-%d')}; set it, or times in the ledger will be wrong"
        return Check("clock", "caution", words)
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.05)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if drift > 0.02:
        return Check("clock", "caution", f"the clock moved by {1e3 * drift:.0f} ms while it was looked at")
    return Check("clock", "go", f"{time.strftime('%Y-%m-%d %H:%M:%S')}, runs evenly")


def _versions() -> Check:
    installed = {
        name.lower() for dist in importlib.metadata.distributions() if (name := dist.metadata["Name"])
    }
    both = sorted({"onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"} & installed)
    if len(both) > 1:
        words = f"{' and '.join(both)} overwrite each other; uninstall all of them, then install one"
        return Check("versions", "no-go", words)
    words = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "zarr", "torch", *both)
    )
    return Check("versions", "go", words)


def _memory(settings: Settings) -> Check:
    free = psutil.virtual_memory().available
    needed = 1e6 * (_PROCESSES_MB + settings.recorder.ring_mb)
    words = f"{free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB needed"
    if free < needed:
        return Check("memory", "caution", f"{words}; close other programs, or set a smaller recorder.ring_mb")
    return Check("memory", "go", words)


def _graphics_card(settings: Settings) -> Check:
    from quietscope.models.hardware import choose_device
    from quietscope.models.onnx_runtime import MENDS, nvidia_device_present, onnx_providers

    usable = onnx_providers()[0]
    training = choose_device(settings.training.device).type
    words = f"denoising may use {usable}, training {training}"
    if nvidia_device_present() and usable != "cuda":
        return Check("graphics card", "caution", f"an NVIDIA card is there, and {words}; {MENDS['cuda']}")
    return Check("graphics card", "go", words)
