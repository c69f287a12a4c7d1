"""The network of Poisson2Void: a blind-spot network's prior, joined with the pixel's own photo-electrons."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from quietscope.models.blind_spot import BlindSpotNet
from quietscope.models.method import TrueOutput
from quietscope.models.poisson_posterior import LEAST_BEND

__all__ = ["Estimate", "PoissonNetwork"]

Estimate = Literal["posterior", "map", "prior"]
"""Mean of the posterior, most probable intensity, mean of the prior; see `quietscope.models.poisson_posterior`."""


class PoissonNetwork(TrueOutput):
    """Gives one of three estimates of the intensity, (N, 1, H, W) -> (N, 1, H, W), normalised.

    Parameters
    ----------
    levels
        Intensities that are told apart, photo-electrons, shape (K,); see
        `quietscope.models.poisson_posterior.poisson_levels`.
    usual
        Mean and standard deviation of the frames' square roots of photo-electrons.
    electrons_per_unit, electrons_at_zero
        Photo-electrons = ``electrons_per_unit * normalised + electrons_at_zero``.
    estimate
        What `forward` gives.
    width
        Feature maps of the blind-spot network.
    """

    _log_levels: Tensor
    _less_levels: Tensor
    _roots: Tensor
    _normalised_levels: Tensor

    def __init__(
        self,
        levels: NDArray[Any],
        usual: tuple[float, float],
        *,
        electrons_per_unit: float,
        electrons_at_zero: float,
        estimate: Estimate = "posterior",
        width: int = 32,
    ) -> None:
        super().__init__()
        self.estimate: Estimate = estimate
        self.blind_spot = BlindSpotNet(len(levels) + 2, width)
        self._per_unit = electrons_per_unit
        self._at_zero = electrons_at_zero
        self._lowest, self._highest = float(levels[0]), float(levels[-1])
        self._root = float(np.sqrt(levels[0]))
        self._step = float(np.sqrt(levels[1]) - np.sqrt(levels[0]))
        self._mean_root, self._std_root = usual[0], max(usual[1], self._step)
        bias = self.blind_spot.head.bias
        assert bias is not None
        with torch.no_grad():
            bias[-1] = 1.0
        column = np.asarray(levels, dtype=np.float64).reshape(1, -1, 1, 1)
        # relative to the highest level, which keeps the terms small where many photo-electrons were counted
        for name, values in {
            "log_levels": np.log(column / column.max()),
            "less_levels": column.max() - column,
            "roots": (np.sqrt(column) - self._mean_root) / self._std_root,
            "normalised_levels": (column - electrons_at_zero) / electrons_per_unit,
        }.items():
            self.register_buffer(f"_{name}", torch.from_numpy(values.astype(np.float32)), persistent=False)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return self.blind_spot.stride

    def electrons(self, image: Tensor) -> Tensor:
        """Photo-electrons of a normalised image, of any shape."""
        return image * self._per_unit + self._at_zero

    def log_likelihood(self, electrons: Tensor) -> Tensor:
        """Logarithm of each level's likelihood, (...) -> (..., K), relative to the best level there is."""
        q = electrons.unsqueeze(-1)
        best = q.clamp(self._lowest, self._highest)
        return (q * self._log_levels.flatten() + self._less_levels.flatten()) - (
            q * torch.log(best / self._highest) + (self._highest - best)
        )

    def prior(self, electrons: Tensor) -> Tensor:
        """Unnormalised logarithm of the prior from the surroundings of each pixel, (N, 1, H, W) -> (N, K, H, W).

        The blind-spot network is given square roots, in which the noise is the same everywhere. It answers with a
        normal distribution of the square root, its centre and its precision, and with what each level's logarithm
        differs from that: levels alone were measured to be learnt five times as slowly.
        """
        features: Tensor = self.blind_spot((electrons.clamp(min=0).sqrt() - self._mean_root) / self._std_root)
        centre, precision = features[:, -2:-1].float(), functional.softplus(features[:, -1:].float())
        logits: Tensor = features[:, :-2].float() - 0.5 * ((self._roots - centre) * precision).square()
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of normalised images."""
        return self.true(self.estimates(image, self.estimate))

    def estimates(self, image: Tensor, estimate: Estimate) -> Tensor:
        """Estimate intensities, normalised, before the line that makes them true.

        Parameters
        ----------
        image
            (N, 1, H, W), normalised.
        estimate
            Which of the three.

        Returns
        -------
        Tensor
            (N, 1, H, W).
        """
        electrons = self.electrons(image)
        logits = self.prior(electrons)
        if estimate == "prior":
            return self._mean(logits)
        logits = logits + electrons * self._log_levels + self._less_levels
        chosen = self._mean(logits) if estimate == "posterior" else self._peak(logits)
        return chosen + functional.relu(electrons - self._highest) / self._per_unit

    def _mean(self, logits: Tensor) -> Tensor:
        return functional.conv2d(torch.softmax(logits, dim=1), self._normalised_levels)

    def _peak(self, logits: Tensor) -> Tensor:
        last = logits.shape[1] - 1
        index = logits.argmax(dim=1, keepdim=True)
        middle, left, right = (torch.gather(logits, 1, (index + step).clamp(0, last)) for step in (0, -1, 1))
        bend = (2 * middle - left - right).clamp(min=LEAST_BEND)
        place = (index + (right - left) / (2 * bend)).clamp(0, last)
        return ((self._root + place * self._step).square() - self._at_zero) / self._per_unit
