"""The training loop: lowers an objective within a budget and keeps the state that does best on what is held out."""

import math
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from quietscope.config.errors import ModelError
from quietscope.models.method import Preparation
from quietscope.models.protocols import Budget, Progress, ProgressCallback

__all__ = ["Fit", "fit"]

_EVALUATIONS = 20
"""Most evaluations on held-out pairs in a whole budget."""

_LEAST_GAP = 20
"""Least number of steps between two evaluations: they cost as much as a few steps."""

_REPORT_EVERY = 10
"""Steps between two reports of progress."""


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
        Loss on what is held out of the state that was kept, normalised units; None where nothing is.
    restarts
        Restarts after a divergence.
    """

    steps: int
    loss: float
    validation: float | None
    restarts: int


class _DivergedError(Exception):
    def __init__(self, step: int) -> None:
        super().__init__(f"diverged at step {step}")
        self.step = step


def fit(prepared: Preparation, *, seed: int, budget: Budget, progress: ProgressCallback | None = None) -> Fit:
    """Train the prepared network in place; it ends in the state that did best on what is held out.

    Parameters
    ----------
    prepared
        Network, objective and learning rate.
    seed
        Seed of the batches.
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
    Adam, its rate driven by the share of the budget used. A divergence starts anew, once, with a quarter of the
    rate and what is left of the budget. Where nothing is held out, the last state is kept.
    """
    fresh = deepcopy(prepared.network.state_dict())
    try:
        return _Loop(prepared, seed, budget, progress).run(0)
    except _DivergedError as diverged:
        prepared.network.load_state_dict(fresh)
        slower = replace(prepared, learning_rate=prepared.learning_rate / 4)
        try:
            done = _Loop(slower, seed, budget, progress).run(diverged.step)
        except _DivergedError as again:
            msg = (
                f"training diverged twice, last at step {again.step} with a learning rate of "
                f"{slower.learning_rate:g}; set {prepared.setting} below that or "
                "training.precision = 'float32'"
            )
            raise ModelError(msg) from None
        return replace(done, restarts=1)


class _Loop:
    """One attempt."""

    def __init__(
        self, prepared: Preparation, seed: int, budget: Budget, progress: ProgressCallback | None
    ) -> None:
        self._prepared = prepared
        self._network = prepared.network
        self._seed = seed
        self._budget = budget
        self._progress = progress
        self._best = math.inf
        self._best_state = deepcopy(self._network.state_dict())
        self._validation: float | None = None

    def run(self, first: int) -> Fit:
        """Train from step `first` until the budget is used up."""
        prepared = self._prepared
        rng = np.random.default_rng([self._seed, first])
        optimiser = torch.optim.AdamW(
            self._network.parameters(),
            lr=prepared.learning_rate,
            betas=prepared.betas,
            weight_decay=0.0,
            fused=True,
        )
        begin = self._budget.used(first)
        left = max(1e-9, 1 - begin)
        step, loss, evaluated, next_evaluation = first, math.nan, first, 1 / _EVALUATIONS
        while (used := self._budget.used(step)) < 1:
            share = (used - begin) / left
            for group in optimiser.param_groups:
                group["lr"] = prepared.learning_rate * prepared.rate(share)
            value = prepared.objective.loss(rng)
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._network.parameters(), prepared.largest_gradient)
            optimiser.step()
            step += 1
            if step % _REPORT_EVERY == 0 or step == first + 1:
                current = float(value.detach())
                if not math.isfinite(current):
                    raise _DivergedError(step)
                loss = current if math.isnan(loss) else 0.8 * loss + 0.2 * current
                self._report(step, used, loss)
            if share >= next_evaluation and step >= evaluated + _LEAST_GAP:
                evaluated, next_evaluation = step, share + 1 / _EVALUATIONS
                self._evaluate(step)
        self._evaluate(step)
        if self._validation is not None:
            self._network.load_state_dict(self._best_state)
        self._report(step, 1.0, loss)
        return Fit(step, loss, None if self._validation is None else self._best, 0)

    @torch.no_grad()
    def _evaluate(self, step: int) -> None:
        self._validation = self._prepared.objective.validate()
        if self._validation is None:
            return
        if not math.isfinite(self._validation):
            raise _DivergedError(step)
        if self._validation < self._best:
            self._best = self._validation
            self._best_state = deepcopy(self._network.state_dict())

    def _report(self, step: int, used: float, loss: float) -> None:
        if self._progress is not None:
            self._progress(Progress(step, min(used, 1.0), loss, self._validation))
