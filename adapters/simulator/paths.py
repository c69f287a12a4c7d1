"""Rest shapes of mitochondria: persistent random walks through the cytoplasm that keep out of each other's way."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.cell import ANGLES, Cell

__all__ = ["TubulePath", "grow_paths"]

Floats = NDArray[np.float64]

STEP_UM = 0.13
DENSITY_PER_UM = 0.8
"""Length of tubules per area of cytoplasm, 1/µm."""
LENGTH_UM = (0.6, 14.0)
MEDIAN_UM = 3.6
BRANCHED = 0.16
"""Share of paths that start as a branch of another one."""
CROSSING = 0.2
"""Share of paths that pass over others instead of ending there."""
CLEAR_UM = 0.7
"""Paths keep this distance from the edge of the cell, micrometres."""
GRID_UM = 0.2
AHEAD_STEPS = 6


@dataclass(frozen=True, eq=False)
class TubulePath:
    """A path at rest.

    Parameters
    ----------
    y, x
        Places, pixels, shape (points,).
    body
        Number of the tubule, counted in the cell, that it belongs to; branches share their tubule's.
    branch
        Whether it starts on another path.
    """

    y: Floats
    x: Floats
    body: int
    branch: bool


class _Walker:
    """Grows paths in one cell, one after the other."""

    def __init__(self, cell: Cell, pixel_um: float, rng: np.random.Generator) -> None:
        self._cell = cell
        self._outline: list[float] = cell.outline.tolist()
        self._nucleus: list[float] = cell.nucleus.tolist()
        self._rng = rng
        self._step = STEP_UM / pixel_um
        self._clear = cell.clearance(CLEAR_UM / pixel_um)
        self._cells_per_px = pixel_um / GRID_UM
        self._taken: dict[tuple[int, int], int] = {}

    def _square(self, y: float, x: float) -> tuple[int, int]:
        return math.floor(y * self._cells_per_px), math.floor(x * self._cells_per_px)

    def _free(self, y: float, x: float, body: int) -> bool:
        row, column = self._square(y, x)
        return all(
            self._taken.get((row + i, column + j), body) == body for i in (-1, 0, 1) for j in (-1, 0, 1)
        )

    def _allowed(self, y: float, x: float) -> tuple[bool, float, float]:
        """Whether a place is well inside the cytoplasm, its depth, and the direction from the nucleus.

        The scalar twin of `Cell.depth`, with the nearest of the tabulated angles: it is asked for every step.
        """
        dy, dx = y - self._cell.cy, x - self._cell.cx
        outward = math.atan2(dy, dx)
        angle = round(outward * ANGLES / (2 * math.pi)) % ANGLES
        distance, edge, core = math.hypot(dy, dx), self._outline[angle], self._nucleus[angle]
        depth = (distance - core) / (edge - core)
        return depth > 0.03 and edge - distance > self._clear, depth, outward

    def _passable(self, y: float, x: float, body: int, *, over: bool) -> tuple[bool, float, float]:
        allowed, depth, outward = self._allowed(y, x)
        return allowed and (over or self._free(y, x, body)), depth, outward

    def _evasion(self, y: float, x: float, heading: float, body: int, *, over: bool) -> float:
        """Turn to make now because something is ahead; 0 if the way is free."""
        ahead = AHEAD_STEPS * self._step
        for turn in (0.0, 0.5, -0.5, 1.0, -1.0):
            there = y + ahead * math.sin(heading + turn), x + ahead * math.cos(heading + turn)
            if self._passable(*there, body, over=over)[0]:
                return turn / AHEAD_STEPS
        return 0.0

    def walk(
        self, y: float, x: float, heading: float, length: float, body: int, *, over: bool
    ) -> list[tuple[float, float]]:
        """Walk until ``length`` pixels are made, or the edge of the cytoplasm or another body is in the way."""
        points = [(y, x)]
        curvature = 0.0
        for _ in range(int(length / self._step)):
            y += self._step * math.sin(heading)
            x += self._step * math.cos(heading)
            passable, depth, outward = self._passable(y, x, body, over=over)
            if not passable:
                break
            points.append((y, x))
            # Near the nucleus tubules run around it, further out along the microtubules towards the edge.
            wanted = outward if depth > 0.25 else outward + math.pi / 2
            steer = 0.03 * math.sin(2 * (wanted - heading))
            curvature = 0.88 * curvature + self._rng.normal(0, 0.034)
            heading += curvature + steer + self._evasion(y, x, heading, body, over=over)
        return points

    def claim(self, points: list[tuple[float, float]], body: int) -> None:
        for y, x in points:
            self._taken.setdefault(self._square(y, x), body)

    def seed_point(self) -> tuple[float, float] | None:
        """A free place in the cytoplasm, more likely near the nucleus; None if there is hardly any."""
        y0, x0, y1, x1 = self._cell.box
        for _ in range(200):
            y, x = self._rng.uniform(y0, y1), self._rng.uniform(x0, x1)
            allowed, depth, _ = self._allowed(y, x)
            if allowed and self._rng.random() < (1 - 0.85 * depth) and self._free(y, x, -1):
                return y, x
        return None


def grow_paths(cell: Cell, pixel_um: float, rng: np.random.Generator) -> list[TubulePath]:
    """Fill the cytoplasm of a cell with tubules of realistic length and density.

    Parameters
    ----------
    cell
        The cell.
    pixel_um
        Pixel size, micrometres.
    rng
        Source of the shapes.

    Returns
    -------
    list of TubulePath
        In the order in which they were grown; empty if the cell is too small for any.
    """
    walker = _Walker(cell, pixel_um, rng)
    wanted = DENSITY_PER_UM * cell.area() * pixel_um  # µm⁻¹ · px² · µm/px = px
    paths: list[TubulePath] = []
    made, bodies, failures = 0.0, 0, 0
    shortest = LENGTH_UM[0] / pixel_um
    while made < wanted and failures < 500:
        length = float(np.clip(MEDIAN_UM * math.exp(rng.normal(0, 0.85)), *LENGTH_UM)) / pixel_um
        branch = bool(paths) and rng.random() < BRANCHED
        if branch:
            stem = paths[int(rng.integers(len(paths)))]
            start = int(rng.integers(stem.y.size))
            y, x, body = float(stem.y[start]), float(stem.x[start]), stem.body
            after, before = min(start + 1, stem.y.size - 1), max(start - 1, 0)
            heading = math.atan2(stem.y[after] - stem.y[before], stem.x[after] - stem.x[before])
            heading += float(rng.choice([-1, 1])) * rng.uniform(0.7, 1.4)
        else:
            place = walker.seed_point()
            if place is None:
                break
            (y, x), body = place, bodies
            heading = rng.uniform(0, 2 * math.pi)
        points = walker.walk(y, x, heading, length, body, over=bool(rng.random() < CROSSING))
        size = (len(points) - 1) * STEP_UM / pixel_um
        if size < (2 * shortest if branch else shortest):
            failures += 1
            continue
        walker.claim(points, body)
        bodies += not branch
        made += size
        line = np.array(points)
        paths.append(TubulePath(line[:, 0], line[:, 1], body, branch))
    return paths
