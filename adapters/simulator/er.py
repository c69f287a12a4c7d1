"""Endoplasmic reticulum: a network of thin tubules with three-way junctions, sheets and the nuclear envelope."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.canvas import splat
from quietscope.adapters.simulator.cell import ANGLES, Cell
from quietscope.adapters.simulator.mesh import polygon_mesh
from quietscope.adapters.simulator.motion import Events, Waves

__all__ = ["Reticulum"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SPACING = 0.75
POLYGON_UM = 0.95
"""Typical size of the network's meshes, micrometres."""
TUBULE_FWHM_UM = 0.13
"""Apparent width of a tubule: its lumen of 0.1 µm and its trembling during the exposure, micrometres."""
CLEAR_UM = 0.45
"""Junctions keep this distance from the edge of the cell, micrometres."""
FLOW_UM = 0.16
"""Displacement of the whole network, micrometres."""
TREMBLE_UM = 0.11
"""Displacement of each junction, micrometres."""
RESTLESS = 0.12
"""Share of tubules that withdraw and grow back."""
SHEET_DEPTH = 0.3
"""Sheets fade out on the way from the nucleus to here (`Cell.depth`)."""
SHEET_SPACING = 1.4
"""Distance of neighbouring points of a sheet, pixels."""


@dataclass(frozen=True, eq=False)
class _Network:
    """Junctions and the tubules between them; pixels of the frame."""

    y: Floats
    x: Floats
    start: Ints
    end: Ints
    light: Floats


class Reticulum:
    """The endoplasmic reticulum of all cells, in closed form in time.

    Parameters
    ----------
    cells
        Where it lives.
    pixel_um
        Pixel size, micrometres.
    rng
        Source of its shape and movement.
    """

    def __init__(self, cells: list[Cell], pixel_um: float, rng: np.random.Generator) -> None:
        self._pixel_um = pixel_um
        networks = [self._network(cell, rng) for cell in cells]
        offsets = np.cumsum([0] + [n.y.size for n in networks])[:-1]
        self._y = np.concatenate([n.y for n in networks])
        self._x = np.concatenate([n.x for n in networks])
        start = np.concatenate([n.start + o for n, o in zip(networks, offsets, strict=True)])
        end = np.concatenate([n.end + o for n, o in zip(networks, offsets, strict=True)])
        light = np.concatenate([n.light for n in networks])
        self._lay_out(start, end, light, rng)
        sheets = [self._sheet(cell, rng) for cell in cells]
        self._sheet_y, self._sheet_x, self._sheet_light = (
            np.concatenate([s[k] for s in sheets]) for k in range(3)
        )
        self._flow = Waves.random(
            rng,
            np.array([FLOW_UM / pixel_um]),
            wavelength=(5 / pixel_um, 14 / pixel_um),
            period=(60, 200),
            waves=5,
        )
        self._tremble = Waves.random(
            rng,
            np.full(self._y.size, TREMBLE_UM / pixel_um),
            wavelength=(1e6, 2e6),
            period=(25, 110),
            waves=2,
        )

    def _network(self, cell: Cell, rng: np.random.Generator) -> _Network:
        y, x, start, end = polygon_mesh(cell, POLYGON_UM / self._pixel_um, rng)
        depth = cell.depth(y, x)
        good = (depth > 0.0) & (cell.room(y, x) > cell.clearance(CLEAR_UM / self._pixel_um))
        keep = good[start] & good[end]
        # Towards the edge of the cell the network has gaps and loose ends.
        keep &= rng.random(start.size) > 0.05 + 0.2 * np.clip(depth[start], 0, 1)
        start, end = start[keep], end[keep]
        middle = np.clip(depth[start], 0, 1)
        light = np.exp(rng.normal(0, 0.28, start.size)) * (1.2 - 0.6 * middle)
        return _Network(y, x, start, end, light)

    def _lay_out(self, start: Ints, end: Ints, light: Floats, rng: np.random.Generator) -> None:
        """Put points on the tubules: each knows its two junctions and its place between them."""
        length = np.hypot(self._y[end] - self._y[start], self._x[end] - self._x[start])
        number = np.maximum(np.ceil(length / SPACING), 1).astype(np.intp)
        edge = np.repeat(np.arange(start.size), number)
        first = np.repeat(np.cumsum(number) - number, number)
        part = (np.arange(edge.size) - first + 0.5) / number[edge]
        texture = 1 + 0.18 * np.sin(part * length[edge] * rng.uniform(0.25, 0.8, start.size)[edge] + edge)
        # Junctions are small triangles of membrane, brighter than the tubules.
        knot = np.exp(-np.square(np.minimum(part, 1 - part) * length[edge] / 2.0))
        self._start, self._end, self._edge = start[edge], end[edge], edge
        self._part = part
        self._bow = (rng.normal(0, 0.11, start.size)[edge]) * 4 * part * (1 - part)
        self._light = light[edge] * (length / number)[edge] * texture * (1 + 0.45 * knot)
        self._restless = np.flatnonzero(rng.random(start.size) < RESTLESS)
        self._events = Events.random(rng, self._restless.size, period=(50, 160), likely=0.7)

    def _sheet(self, cell: Cell, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Points of the sheets around the nucleus, and of the nuclear envelope."""
        y0, x0, y1, x1 = cell.box
        y, x = (
            g.ravel()
            for g in np.meshgrid(
                np.arange(y0, y1, SHEET_SPACING), np.arange(x0, x1, SHEET_SPACING), indexing="ij"
            )
        )
        depth = cell.depth(y, x)
        near = (depth > 0) & (depth < 1.4 * SHEET_DEPTH)
        y, x, depth = y[near], x[near], depth[near]
        # Patches and fenestrations: a few random waves, thresholded softly.
        field = np.zeros(y.size)
        for wavelength_um, size in ((6.0, 0.5), (3.0, 0.5), (1.6, 0.35), (0.9, 0.3), (0.7, 0.25)):
            for _ in range(3):
                heading = rng.uniform(0, 2 * math.pi)
                wave = 2 * math.pi * self._pixel_um / (wavelength_um * rng.uniform(0.8, 1.25))
                field += size * np.sin(
                    wave * (y * math.sin(heading) + x * math.cos(heading)) + rng.uniform(0, 6)
                )
        level = np.clip(0.55 + 0.5 * field - 2.2 * depth / SHEET_DEPTH + 0.9, 0, 1)
        light = 0.22 * level * SHEET_SPACING**2
        lit = light > 0
        turn = np.arange(0, ANGLES, 0.25)
        radius = np.interp(turn, np.arange(ANGLES + 1), np.append(cell.nucleus, cell.nucleus[0]))
        angle = turn * (2 * math.pi / ANGLES)
        rim_y, rim_x = cell.cy + radius * np.sin(angle), cell.cx + radius * np.cos(angle)
        rim_light = radius * (angle[1] - angle[0]) * (1.05 + 0.2 * np.sin(3 * angle + rng.uniform(0, 6)))
        return (
            np.concatenate((y[lit], rim_y)),
            np.concatenate((x[lit], rim_x)),
            np.concatenate((light[lit], rim_light)),
        )

    def render(self, t: float, border: int, within: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Draw the network, not yet blurred.

        Parameters
        ----------
        t
            Time point; need not be whole.
        border
            Pixels of canvas before the frame's first row and column.
        within
            Canvas: the cells, bool, shape (Y, X).

        Returns
        -------
        numpy.ndarray
            Light, float32, shape (Y, X), arbitrary units.
        """
        node = np.arange(self._y.size)
        same = np.zeros(self._y.size, dtype=np.intp)
        node_y, node_x = self._flow.moved(self._y, self._x, same, t)
        node_y, node_x = self._tremble.moved(node_y, node_x, node, t)
        y0, x0 = node_y[self._start], node_x[self._start]
        dy, dx = node_y[self._end] - y0, node_x[self._end] - x0
        y = y0 + self._part * dy + self._bow * dx
        x = x0 + self._part * dx - self._bow * dy
        # Restless tubules withdraw towards the junction they grow from, and come back.
        reach = np.full(int(self._edge[-1]) + 1 if self._edge.size else 0, 2.0)
        reach[self._restless] = 1.1 - 1.1 * self._events.open(t)
        light = self._light * np.clip((reach[self._edge] - self._part) * 8, 0, 1)
        sheet_y, sheet_x = self._flow.moved(
            self._sheet_y, self._sheet_x, np.zeros(self._sheet_y.size, dtype=np.intp), t
        )
        return splat(
            np.concatenate((y, sheet_y)) + border,
            np.concatenate((x, sheet_x)) + border,
            np.concatenate((light, self._sheet_light)),
            within,
        )
