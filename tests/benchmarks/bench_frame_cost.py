"""Cost of one 512×512 frame: quietscope's default model and tiles against the published configuration.

Published: the 17.27-million-weight U-Net of SN2N and Adaptive-SN2N, 64-pixel tiles, stride 32, one at a time. Both
networks have random weights (which do not change the cost), and both run on the same onnxruntime provider with the same
threads. Processor time is given beside elapsed time: it hardly depends on what else the machine does.

Run ``python tests/benchmarks/bench_frame_cost.py [threads]``.
"""

import logging
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn

from quietscope.config.science import AdaptiveSN2NSettings, RuntimeSettings, TilingSettings
from quietscope.models.denoiser import Denoiser
from quietscope.models.networks import DenoisingUNet, count_weights, published_unet
from quietscope.models.normalisation import Normaliser, StreamScale

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
    options = AdaptiveSN2NSettings()
    network = DenoisingUNet(options.base_channels, options.levels, options.stem)
    frame = np.random.default_rng(0).poisson(20, (SIDE, SIDE)).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        ours = Denoiser(
            _exported(network, network.stride, Path(folder) / "ours.onnx"), TilingSettings(), runtime
        )
        published = Denoiser(
            _exported(published_unet(), 16, Path(folder) / "published.onnx"),
            TilingSettings(tile=64, overlap=0.5, batch=1),
            runtime,
        )
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


def _exported(network: nn.Module, stride: int, path: Path) -> Path:
    """Write an untrained network with the metadata that a denoiser needs."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 1, 64, 64),),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
        )
    model = onnx.load(path)
    metadata = Normaliser("stream", StreamScale(0.0, 50.0, 4.0)).to_metadata()
    helper.set_model_props(model, {**metadata, "stride": str(stride)})
    onnx.save(model, path)
    return path


def main() -> int:
    """Print both costs; 0 if the goal is met."""
    cost = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    options = AdaptiveSN2NSettings()
    weights = count_weights(DenoisingUNet(options.base_channels, options.levels, options.stem))
    tile = TilingSettings().tile
    lines = (
        f"provider {cost.provider}, frame {SIDE}x{SIDE}: elapsed (processor) time",
        f"ours       {cost.ours_ms:9.1f} ({cost.ours_cpu_ms:9.1f}) ms   {weights:,} weights, tiles of {tile}",
        f"published  {cost.published_ms:9.1f} ({cost.published_cpu_ms:9.1f}) ms   17,266,241 weights, tiles of 64",
        f"ratio      {cost.ratio:9.1f} ({cost.cpu_ratio:9.1f})      goal {GOAL:g}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if cost.ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
