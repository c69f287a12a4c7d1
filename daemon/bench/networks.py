"""Networks with random weights, written as model files: weights do not change what a frame costs."""

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from quietscope.config import Settings

if TYPE_CHECKING:
    import torch

__all__ = ["write_default", "write_n2v", "write_published"]


def write_default(settings: Settings, path: Path) -> float:
    """Write an untrained network of the default method as the settings size it.

    Returns
    -------
    float
        Operations for one pixel, two for each multiplication with its addition.
    """
    from quietscope.daemon.evaluation.costs import giga_macs
    from quietscope.models.export import export_onnx
    from quietscope.models.networks import DenoisingUNet
    from quietscope.models.normalisation import Normaliser, StreamScale
    from quietscope.models.training import TrainedModel

    sizes = settings.adaptive_sn2n
    network = DenoisingUNet(
        sizes.base_channels, sizes.levels, sizes.stem, filtered=sizes.residual == "filter"
    ).eval()
    untrained = TrainedModel(
        network=network,
        normaliser=Normaliser("stream", StreamScale(0.0, 100.0, 4.0)),
        method="adaptive-sn2n",
        pairs="none",
        examples=np.zeros((0, sizes.patch, sizes.patch), np.float32),
        figures={},
        frames_sha256="",
        tile=settings.tiling.tile,
        hot_pixels=np.zeros((1, 1), bool),
    )
    export_onnx(untrained, path)
    side = 8 * network.stride
    return 2e9 * giga_macs(network, (side, side)) / side**2


def write_published(path: Path) -> None:
    """Write the published 17,266,241-weight network of SN2N and Adaptive-SN2N."""
    from quietscope.models.networks import published_unet

    _write(published_unet(), 16, path)


def write_n2v(path: Path) -> bool:
    """Write the network that CAREamics takes for N2V unless told otherwise.

    Returns
    -------
    bool
        False where CAREamics is not installed, or cannot be imported, which is logged.
    """
    if importlib.util.find_spec("careamics") is None:
        return False
    try:
        from careamics.config.factories.n2v_factory import create_n2v_config
        from careamics.models import model_factory
    except (
        ImportError,
        RuntimeError,
    ) as error:  # PyTorch raises the latter for a torchvision of another version
        logging.getLogger(__name__).warning("N2V is left out, since careamics cannot be imported: %s", error)
        return False
    usual = create_n2v_config("bench", data_type="array", axes="YX", patch_size=[64, 64], batch_size=16)
    model = usual.algorithm_config.model
    _write(model_factory(model), 2**model.depth, path)
    return True


def _write(network: "torch.nn.Module", stride: int, path: Path) -> None:
    import onnx
    import torch

    from quietscope.models.normalisation import Normaliser, StreamScale

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
    metadata = Normaliser("stream", StreamScale(0.0, 100.0, 4.0)).to_metadata()
    onnx.helper.set_model_props(model, {**metadata, "stride": str(stride)})
    onnx.save(model, path)
