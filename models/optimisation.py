"""The training loop: draws pairs, lowers the loss, keeps the state that did best on held-out pairs."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quietscope.config.errors import ModelError
from quietscope.models.pairs import PairBatch, PairSource
from quietscope.models.protocols import Budget, Progress, ProgressCallback

__all__ = ["Fit", "FitOptions", "choose_device", "fit", "multiplies_bfloat16", "thread_limit"]

_WARM_UP = 0.05
"""Share of the budget in which the learning rate rises."""

_EVALUATIONS = 20
"""Most evaluations on held-out pairs in a whole budget."""

_LEAST_GAP = 20
"""Least number of steps between two evaluations: they cost as much as a few steps."""

_REPORT_EVERY = 10
"""Steps between two reports of progress."""


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Parameters
    ----------
    batch
        Pairs per step.
    learning_rate
        Peak learning rate of Adam.
    loss
        Distance of a prediction from its target.
    self_consistency
        Weight of the distance between both twins' predictions.
    seed
        Seed of patches and orientations.
    bfloat16
        Multiply in bfloat16.
    """

    batch: int
    learning_rate: float
    loss: Literal["l2", "l1"]
    self_consistency: float
    seed: int
    bfloat16: bool


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Parameters
    ----------
    steps
        Steps done, those before a restart included.
    loss
        Smoothed training loss at the end, normalised units.
    validation
        Loss on held-out pairs of the state that was kept, normalised units.
    restarts
        Restarts after a divergence.
    """

    steps: int
    loss: float
    validation: float
    restarts: int


class _DivergedError(Exception):
    def __init__(self, step: int) -> None:
        super().__init__(f"diverged at step {step}")
        self.step = step


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


def fit(
    network: nn.Module,
    pairs: PairSource,
    options: FitOptions,
    budget: Budget,
    progress: ProgressCallback | None = None,
) -> Fit:
    """Train `network` in place; it ends in the state that did best on held-out pairs.

    Parameters
    ----------
    network
        (N, 1, P, P) -> (N, 1, P, P), float32, on its device.
    pairs
        What to train and to validate on.
    options
        How.
    budget
        Drives the learning rate and ends the training.
    progress
        Told every few steps.

    Returns
    -------
    Fit
        How it went.

    Raises
    ------
    ModelError
        If the loss is no longer finite, and was not with a quarter of the learning rate either.

    Notes
    -----
    Adam with a rate that rises linearly and falls along a cosine to nothing at the end of the budget. A
    divergence starts anew, once, with a quarter of the rate and what is left of the budget.
    """
    fresh = deepcopy(network.state_dict())
    try:
        return _Loop(network, pairs, options, budget, progress).run(0)
    except _DivergedError as diverged:
        network.load_state_dict(fresh)
        slower = FitOptions(**{**vars(options), "learning_rate": options.learning_rate / 4})
        try:
            done = _Loop(network, pairs, slower, budget, progress).run(diverged.step)
        except _DivergedError as again:
            msg = (
                f"training diverged twice, last at step {again.step} with a learning rate of "
                f"{slower.learning_rate:g}; set adaptive_sn2n.learning_rate below that or "
                "training.precision = 'float32'"
            )
            raise ModelError(msg) from None
        return Fit(done.steps, done.loss, done.validation, 1)


class _Loop:
    """One attempt."""

    def __init__(
        self,
        network: nn.Module,
        pairs: PairSource,
        options: FitOptions,
        budget: Budget,
        progress: ProgressCallback | None,
    ) -> None:
        self._network = network
        self._pairs = pairs
        self._options = options
        self._budget = budget
        self._progress = progress
        self._device = next(network.parameters()).device
        self._held_out = self._tensors(pairs.held_out())
        self._best = math.inf
        self._best_state = deepcopy(network.state_dict())
        self._validation: float | None = None

    def run(self, first: int) -> Fit:
        """Train from step `first` until the budget is used up."""
        options = self._options
        rng = np.random.default_rng([options.seed, first])
        optimiser = torch.optim.AdamW(
            self._network.parameters(),
            lr=options.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=0.0,
            fused=True,
        )
        begin = self._budget.used(first)
        left = max(1e-9, 1 - begin)
        step, loss, evaluated, next_evaluation = first, math.nan, first, 1 / _EVALUATIONS
        while (used := self._budget.used(step)) < 1:
            share = (used - begin) / left
            for group in optimiser.param_groups:
                group["lr"] = options.learning_rate * _rate(share)
            value = self._step(self._tensors(self._pairs.sample(max(1, options.batch // 2), rng)), optimiser)
            step += 1
            if step % _REPORT_EVERY == 0 or step == first + 1:
                current = float(value)
                if not math.isfinite(current):
                    raise _DivergedError(step)
                loss = current if math.isnan(loss) else 0.8 * loss + 0.2 * current
                self._report(step, used, loss)
            if share >= next_evaluation and step >= evaluated + _LEAST_GAP:
                evaluated, next_evaluation = step, share + 1 / _EVALUATIONS
                self._evaluate(step)
        self._evaluate(step)
        self._network.load_state_dict(self._best_state)
        self._report(step, 1.0, loss)
        return Fit(step, loss, self._best, 0)

    def _step(self, batch: tuple[Tensor, Tensor, Tensor], optimiser: torch.optim.Optimizer) -> Tensor:
        inputs, targets, weights = batch
        prediction = self._predict(inputs)
        loss = self._distance(prediction, targets, weights)
        if self._options.self_consistency:
            first, second = prediction.chunk(2)
            agreement = self._distance(first, second, weights[: len(first)])
            loss = (2 * loss + self._options.self_consistency * agreement) / (
                2 + self._options.self_consistency
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        optimiser.step()
        return loss.detach()

    def _predict(self, inputs: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16) if self._options.bfloat16 else nullcontext():
            prediction: Tensor = self._network(inputs)
        return prediction.float()

    def _distance(self, prediction: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        difference = prediction - target
        return (weights * (difference.square() if self._options.loss == "l2" else difference.abs())).mean()

    @torch.no_grad()
    def _evaluate(self, step: int) -> None:
        total = 0.0
        inputs, targets, weights = self._held_out
        for part in zip(*(torch.split(t, 32) for t in (inputs, targets, weights)), strict=True):
            total += float(self._distance(self._predict(part[0]), part[1], part[2])) * len(part[0])
        self._validation = total / len(inputs)
        if not math.isfinite(self._validation):
            raise _DivergedError(step)
        if self._validation < self._best:
            self._best = self._validation
            self._best_state = deepcopy(self._network.state_dict())

    def _report(self, step: int, used: float, loss: float) -> None:
        if self._progress is not None:
            self._progress(Progress(step, min(used, 1.0), loss, self._validation))

    def _tensors(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        def tensor(values: NDArray[np.float32]) -> Tensor:
            moved = torch.from_numpy(np.ascontiguousarray(values))[:, None]
            return moved.to(self._device, memory_format=torch.channels_last)

        return tensor(batch.inputs), tensor(batch.targets), tensor(batch.weights)


def _rate(share: float) -> float:
    """Learning rate over its peak when `share` of the budget is used."""
    if share < _WARM_UP:
        return max(0.05, share / _WARM_UP)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - _WARM_UP) / (1 - _WARM_UP))))
