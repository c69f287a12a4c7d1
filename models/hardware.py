"""What the machine trains on: device, arithmetic, threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch
from torch import nn

from quietscope.config.errors import ModelError

__all__ = ["choose_device", "move", "multiplies_bfloat16", "thread_limit", "trains_in_bfloat16"]

Network = TypeVar("Network", bound=nn.Module)


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device to train on.

    Raises
    ------
    ModelError
        If a GPU is asked for and PyTorch sees none.
    """
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        msg = (
            "training.device is 'cuda', and PyTorch sees no CUDA device; install a CUDA build of torch or "
            "set training.device = 'auto'"
        )
        raise ModelError(msg)
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether `device` multiplies bfloat16 natively; emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10 nothing public tells
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def trains_in_bfloat16(precision: Literal["auto", "bfloat16", "float32"], device: torch.device) -> bool:
    """Tell whether convolutions multiply in bfloat16: if it is asked for, or if ``"auto"`` gains by it."""
    return precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device))


def move(network: Network, device: torch.device) -> Network:
    """Move a network to a device, its weights in the order in which convolutions are fastest."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let PyTorch use `threads` CPU threads inside the block; 0 leaves its choice alone."""
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
