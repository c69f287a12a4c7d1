"""Outline and nucleus of the simulated cells: where structures may lie, and where there is nothing at all."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ANGLES", "Cell", "plan_cells"]

Floats = NDArray[np.float64]

ANGLES = 720
"""Directions in which outlines are tabulated."""
MAX_CELL_UM = 48.0
BORDER_UM = 1.6
"""Structures are drawn this far beyond the field, so that its edge cuts through them, micrometres."""
COVERAGE = 0.76
"""Share of its part of the field that a cell covers with its blurred edge; the rest is empty."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A flat, spread cell: star-shaped about the centre of its nucleus.

    Parameters
    ----------
    cy, cx
        Centre of the nucleus, pixels of the frame (may lie outside of it).
    outline, nucleus
        Radius of the cell's and the nucleus' edge by angle, pixels, shape (720,) each.
    box
        Where the cell's structures are drawn, its part of the field and a border: y0, x0, y1, x1, pixels.
    """

    cy: float
    cx: float
    outline: Floats
    nucleus: Floats
    box: tuple[float, float, float, float]

    def polar(self, y: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Distance from the centre, and the two edges in the same direction; pixels, shapes of the arguments."""
        dy, dx = y - self.cy, x - self.cx
        turn = (np.arctan2(dy, dx) / (2 * math.pi) % 1.0) * ANGLES
        low = turn.astype(np.intp) % ANGLES
        high = (low + 1) % ANGLES
        part = turn - np.floor(turn)
        edge = self.outline[low] * (1 - part) + self.outline[high] * part
        core = self.nucleus[low] * (1 - part) + self.nucleus[high] * part
        return np.hypot(dy, dx), core, edge

    def depth(self, y: Floats, x: Floats) -> Floats:
        """Way from the nucleus (0) to the edge of the cell (1): negative in the nucleus, above 1 outside."""
        distance, core, edge = self.polar(y, x)
        return np.where(distance < core, distance / core - 1.0, (distance - core) / (edge - core))

    def room(self, y: Floats, x: Floats) -> Floats:
        """Distance to the edge of the cell along the ray from the nucleus, pixels; negative outside."""
        distance, _, edge = self.polar(y, x)
        return edge - distance

    def clearance(self, wanted: float) -> float:
        """Distance to keep from the edge: ``wanted`` pixels, in very small cells a tenth of their radius."""
        return min(wanted, 0.1 * float(self.outline.mean()))

    def area(self) -> float:
        """Area of the cytoplasm inside the cell's box, square pixels."""
        y0, x0, y1, x1 = self.box
        step = max(1.0, min(y1 - y0, x1 - x0) / 128)
        y, x = np.meshgrid(np.arange(y0, y1, step), np.arange(x0, x1, step), indexing="ij")
        depth = self.depth(y, x)
        return float(np.count_nonzero((depth > 0) & (depth < 1))) * step * step


def plan_cells(height: int, width: int, pixel_um: float, blur: float, rng: np.random.Generator) -> list[Cell]:
    """Lay out cells over the field, one per part of at most 48 µm, each covering three quarters of its part.

    Parameters
    ----------
    height, width
        Field, pixels.
    pixel_um
        Pixel size, micrometres.
    blur
        How far light spreads beyond the edge of a cell, pixels.
    rng
        Source of the shapes.

    Returns
    -------
    list of Cell
        At least one; between them and around them the field is empty.
    """
    rows = math.ceil(height * pixel_um / MAX_CELL_UM)
    columns = math.ceil(width * pixel_um / MAX_CELL_UM)
    high, wide = height / rows, width / columns
    return [
        _cell(
            (row * high, column * wide, (row + 1) * high, (column + 1) * wide),
            BORDER_UM / pixel_um,
            blur,
            rng,
        )
        for row in range(rows)
        for column in range(columns)
    ]


def _cell(
    part: tuple[float, float, float, float], border: float, blur: float, rng: np.random.Generator
) -> Cell:
    y0, x0, y1, x1 = part
    height, width = y1 - y0, x1 - x0
    cy = y0 + height * rng.uniform(0.44, 0.56)
    cx = x0 + width * rng.uniform(0.44, 0.56)
    angle: Floats = np.linspace(0.0, 2 * math.pi, ANGLES, endpoint=False)
    shape = 1.0 / np.sqrt((np.cos(angle) * 2 / width) ** 2 + (np.sin(angle) * 2 / height) ** 2)
    waviness = np.zeros(ANGLES)
    for k in range(2, 10):
        waviness += rng.normal(0, 0.24 / k) * np.cos(k * angle + rng.uniform(0, 2 * math.pi))
    shape *= np.exp(waviness)
    box = y0 - border, x0 - border, y1 + border, x1 + border
    grid_y, grid_x = np.meshgrid(
        np.linspace(y0, y1, 97)[:-1] + height / 192, np.linspace(x0, x1, 97)[:-1] + width / 192, indexing="ij"
    )
    nucleus = _nucleus(angle, rng)

    def scaled(size: float) -> Cell:
        edge = shape * size
        core = np.minimum(nucleus * 0.175 * min(height, width), 0.6 * edge)
        return Cell(cy, cx, edge, core, box)

    low, high = 0.2, 3.0
    for _ in range(24):
        middle = (low + high) / 2
        covered = float(np.mean(scaled(middle).room(grid_y, grid_x) > -blur))
        low, high = (middle, high) if covered < COVERAGE else (low, middle)
    return scaled(low)


def _nucleus(angle: Floats, rng: np.random.Generator) -> Floats:
    """Outline of a smooth oval of about unit radius."""
    turned = angle - rng.uniform(0, math.pi)
    ratio = rng.uniform(1.15, 1.4)
    oval = 1.0 / np.sqrt(np.cos(turned) ** 2 / ratio + np.sin(turned) ** 2 * ratio)
    return np.asarray(oval * (1 + 0.04 * np.cos(3 * angle + rng.uniform(0, 2 * math.pi))))
