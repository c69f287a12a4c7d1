"""The same network several times, each on a share of the cores, for frames that are denoised at the same time.

A network that runs on all cores divides each of its layers among them and waits for the slowest; where recorder, judge
and wire take their turns on the same cores, it waits often. Frames on cores of their own wait for nobody.
"""

from pathlib import Path

import psutil

from quietscope.config import Settings
from quietscope.config.machine import usable_cpus
from quietscope.daemon.ready_denoiser import ReadyDenoiser
from quietscope.models.denoiser import Denoiser

__all__ = ["frames_at_once", "lanes"]

MOST_BYTES = 80_000_000
"""Memory that another network may take: twice what the default takes at 1024×1024 pixels, half of Poisson2Void."""


def lanes(
    path: Path, ready: ReadyDenoiser, settings: Settings, shape: tuple[int, int]
) -> tuple[Denoiser, ...]:
    """Load a model once more for each frame that may be under way at the same time.

    Parameters
    ----------
    path
        ONNX file.
    ready
        The model on all cores.
    settings
        Effective settings.
    shape
        (Y, X) of the frames.

    Returns
    -------
    tuple of Denoiser
        Warmed up; empty where frames are taken one after the other: on a GPU, on a single core, where another network
        takes more than `MOST_BYTES`, and on onnxruntime, which takes 70 (512×512) to 250 MB (2048×2048) for another
        one of the default form; OpenVINO takes 20 to 50.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded again.
    """
    number = frames_at_once(settings)
    if number < 2 or ready.runtime.provider != "openvino":
        return ()
    found: list[Denoiser] = []
    process = psutil.Process()
    for n in range(number):
        before = process.memory_info().rss
        threads = (_cores(settings) + n) // number  # an odd core goes to the last
        share = ready.runtime.model_copy(update={"threads": threads})
        found.append(Denoiser(path, settings.tiling, share))
        found[-1].warm_up(shape)
        if process.memory_info().rss - before > MOST_BYTES:
            return ()
    # one that has failed has taken refuge elsewhere
    return tuple(found) if all(lane.provider == ready.denoiser.provider for lane in found) else ()


def frames_at_once(settings: Settings) -> int:
    """Frames that may be denoised at the same time, at most one for each core."""
    return min(settings.processor.frames_at_once, _cores(settings))


def _cores(settings: Settings) -> int:
    return settings.runtime.threads or usable_cpus()
