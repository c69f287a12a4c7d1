"""Cost of one 512×512 frame: quietscope's default model against the published configuration.

Published: the 17.27-million-weight U-Net of SN2N and Adaptive-SN2N, 64-pixel tiles, stride 32, one at a time. Both
networks have random weights (which do not change the cost), and both run on the same onnxruntime provider with the same
threads. Processor time is given beside elapsed time: it hardly depends on what else the machine does.

Run ``python tests/benchmarks/bench_frame_cost.py [threads]``.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietscope.config import Settings
from quietscope.config.science import AdaptiveSN2NSettings, RuntimeSettings, TilingSettings
from quietscope.daemon.bench.networks import write_default, write_published
from quietscope.models.denoiser import Denoiser
from quietscope.models.networks import DenoisingUNet, count_weights

SIDE = 512
GOAL = 30.0


@dataclass(frozen=True)
class FrameCost:
    """Best elapsed and processor times of a 512×512 frame, milliseconds, and the provider in use."""

    ours_ms: float
    published_ms: float
    ours_cpu_ms: float
    published_cpu_ms: float
    provider: str

    @property
    def ratio(self) -> float:
        """How many times cheaper ours is, elapsed time."""
        return self.published_ms / self.ours_ms

    @property
    def cpu_ratio(self) -> float:
        """How many times cheaper ours is, processor time."""
        return self.published_cpu_ms / self.ours_cpu_ms


def measure(threads: int = 0, repeats: int = 5) -> FrameCost:
    """Measure both configurations in turn.

    Parameters
    ----------
    threads
        CPU threads of onnxruntime; 0 means all.
    repeats
        Frames of ours per frame of the published configuration, which is timed twice.
    """
    runtime = RuntimeSettings(provider="cpu", threads=threads)
    frame = np.random.default_rng(0).poisson(20, (SIDE, SIDE)).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "ours.onnx", Path(folder) / "published.onnx"
        write_default(Settings(), paths[0])
        write_published(paths[1])
        ours = Denoiser(paths[0], TilingSettings(), runtime)
        tiles = TilingSettings(tile=64, overlap=0.5, batch=1, adaptive=False)
        published = Denoiser(paths[1], tiles, runtime)
        _time(ours, frame)
        # the load of the machine drifts: in turn, and the best of each
        rounds = [([_time(ours, frame) for _ in range(repeats)], _time(published, frame)) for _ in range(2)]
    our_times = np.min([times for times, _ in rounds], axis=(0, 1))
    published_times = np.min([times for _, times in rounds], axis=0)
    return FrameCost(
        ours_ms=float(our_times[0]),
        published_ms=float(published_times[0]),
        ours_cpu_ms=float(our_times[1]),
        published_cpu_ms=float(published_times[1]),
        provider=ours.provider,
    )


def _time(denoiser: Denoiser, frame: np.ndarray) -> tuple[float, float]:
    """Elapsed and processor time of one frame, milliseconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    denoiser.denoise(frame)
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - start_cpu)


def main() -> int:
    """Print both costs; 0 if the goal is met."""
    cost = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    options = AdaptiveSN2NSettings()
    weights = count_weights(DenoisingUNet(options.base_channels, options.levels, options.stem))
    lines = (
        f"provider {cost.provider}, frame {SIDE}x{SIDE}: elapsed (processor) time",
        f"ours       {cost.ours_ms:9.1f} ({cost.ours_cpu_ms:9.1f}) ms   {weights:,} weights, one pass",
        f"published  {cost.published_ms:9.1f} ({cost.published_cpu_ms:9.1f}) ms   17,266,241 weights, tiles of 64",
        f"ratio      {cost.ratio:9.1f} ({cost.cpu_ratio:9.1f})      goal {GOAL:g}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if cost.ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
