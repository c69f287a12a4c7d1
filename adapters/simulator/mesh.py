"""A planar network of polygons that meet in three-way junctions: the edges of a Voronoi diagram."""

import math

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.cell import Cell

__all__ = ["polygon_mesh"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FINE = 16
"""Samples per polygon size in the raster on which the diagram is found."""
REACH = 2
"""Neighbouring squares, each way, in which the nearest seed is looked for."""


def polygon_mesh(cell: Cell, size: float, rng: np.random.Generator) -> tuple[Floats, Floats, Ints, Ints]:
    """Cover a cell's box with polygons.

    Seeds lie on a jittered square grid; those far from the nucleus are thinned out, so that polygons are small
    near the nucleus and large and uneven at the edge. Junctions are where three seeds are equally near.

    Parameters
    ----------
    cell
        The cell.
    size
        Typical size of a polygon near the nucleus, pixels.
    rng
        Source of the seeds.

    Returns
    -------
    y, x : numpy.ndarray
        Junctions, pixels, shape (junctions,).
    start, end : numpy.ndarray
        Numbers of the junctions at the two ends of each edge, shape (edges,).
    """
    y0, x0, y1, x1 = cell.box
    rows = math.ceil((y1 - y0) / size) + 2 * REACH
    columns = math.ceil((x1 - x0) / size) + 2 * REACH
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    # In units of polygons, with the box's corner at (REACH, REACH).
    seed_y = row + rng.uniform(0.02, 0.98, row.shape)
    seed_x = column + rng.uniform(0.02, 0.98, row.shape)
    depth = cell.depth((seed_y - REACH) * size + y0, (seed_x - REACH) * size + x0)
    gone = rng.random(row.shape) < 0.4 * np.clip(depth, 0, 1) ** 1.5
    seed_y[gone] = -1e6
    label = _nearest(seed_y, seed_x)
    y, x, triples = _junctions(label)
    start, end = _edges(triples)
    return (y - REACH) * size + y0, (x - REACH) * size + x0, start, end


def _nearest(seed_y: Floats, seed_x: Floats) -> Ints:
    """Number of the nearest seed at each sample of the raster; rows of squares are done one after the other."""
    rows, columns = seed_y.shape
    fine = (np.arange(FINE) + 0.5) / FINE
    lines = []
    for row in range(REACH, rows - REACH):
        y = (row + fine)[:, None, None]
        x = (np.arange(REACH, columns - REACH)[:, None] + fine)[None]
        best = np.full((FINE, columns - 2 * REACH, FINE), np.inf)
        label = np.zeros(best.shape, dtype=np.intp)
        for i in range(row - REACH, row + REACH + 1):
            for shift in range(-REACH, REACH + 1):
                chosen = np.arange(REACH, columns - REACH) + shift
                distance = np.square(y - seed_y[i, chosen][:, None]) + np.square(
                    x - seed_x[i, chosen][:, None]
                )
                nearer = distance < best
                best = np.where(nearer, distance, best)
                label = np.where(nearer, (i * columns + chosen)[:, None], label)
        lines.append(label.reshape(FINE, -1))
    return np.concatenate(lines)


def _junctions(label: Ints) -> tuple[Floats, Floats, Ints]:
    """Places where three labels meet, in units of polygons, and the sorted labels, shape (junctions, 3)."""
    corners = np.stack((label[:-1, :-1], label[:-1, 1:], label[1:, :-1], label[1:, 1:]), axis=-1)
    found_y, found_x, found = [], [], []
    for left_out in range(4):
        triple = np.sort(np.delete(corners, left_out, axis=-1), axis=-1)
        meet = (triple[..., 0] != triple[..., 1]) & (triple[..., 1] != triple[..., 2])
        row, column = np.nonzero(meet)
        found_y.append(row)
        found_x.append(column)
        found.append(triple[row, column])
    triples, first = np.unique(np.concatenate(found), axis=0, return_index=True)
    y = (np.concatenate(found_y)[first] + 1.0) / FINE + REACH
    x = (np.concatenate(found_x)[first] + 1.0) / FINE + REACH
    return y, x, triples


def _edges(triples: Ints) -> tuple[Ints, Ints]:
    """Pairs of junctions that have two labels in common: the ends of one Voronoi edge."""
    junction = np.tile(np.arange(len(triples)), 3)
    pair = np.concatenate((triples[:, [0, 1]], triples[:, [0, 2]], triples[:, [1, 2]]))
    code = pair[:, 0] * (int(triples.max(initial=0)) + 1) + pair[:, 1]
    order = np.argsort(code, kind="stable")
    code, junction = code[order], junction[order]
    _, first, count = np.unique(code, return_index=True, return_counts=True)
    first = first[count == 2]
    return junction[first], junction[first + 1]
