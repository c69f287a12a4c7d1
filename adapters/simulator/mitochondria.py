"""Mitochondria: curved tubules and fragments that bend, travel, divide and fuse."""

import math

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.canvas import splat
from quietscope.adapters.simulator.cell import Cell
from quietscope.adapters.simulator.motion import Events, Waves
from quietscope.adapters.simulator.paths import TubulePath, grow_paths

__all__ = ["Mitochondria"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SPACING = 0.75
"""Distance of neighbouring points along a tubule, pixels."""
ACROSS = (-0.8, -0.4, 0.0, 0.4, 0.8)
"""Lines of points across a tubule in units of its radius: together the profile of a filled cylinder."""
DIAMETER_UM = 0.29
SITE_UM = 2.4
"""Distance of the sites at which a tubule may divide, micrometres."""
GAP_UM = 0.5
"""Widest gap between divided ends, micrometres."""
CRISTAE_UM = 0.3
DEFOCUSED = 0.4
"""Share of bodies above or below the focal plane where the cell is thick."""
THICK_DEPTH = 0.4
"""The cell is thick from the nucleus to here (`Cell.depth`)."""


class Mitochondria:
    """The mitochondria of all cells, in closed form in time.

    A *body* is a tubule with its branches. *Sites* along it open into a gap (division) and close again (fusion);
    a tubule is constricted where it is about to divide.

    Parameters
    ----------
    cells
        Where they live.
    pixel_um
        Pixel size, micrometres.
    rng
        Source of their shapes and movements.
    """

    def __init__(self, cells: list[Cell], pixel_um: float, rng: np.random.Generator) -> None:
        paths: list[tuple[TubulePath, int]] = []
        brightness: list[float] = []
        width: list[float] = []
        reach: list[float] = []
        blurred: list[bool] = []
        for cell in cells:
            first = len(brightness)
            grown = grow_paths(cell, pixel_um, rng)
            for path in grown:
                if not path.branch:
                    depth = float(cell.depth(path.y[:1], path.x[:1])[0])
                    width.append(DIAMETER_UM * math.exp(rng.normal(0, 0.13)))
                    # Short ones travel, long ones mostly bend.
                    small = path.y.size < 12
                    travel = (rng.uniform(0.3, 0.8) if small else rng.uniform(0.12, 0.3)) / pixel_um
                    reach.append(min(travel, float(cell.room(path.y, path.x).min()) / 2.5))
                    far = bool(depth < THICK_DEPTH and rng.random() < DEFOCUSED)
                    blurred.append(far)
                    # The pinholes dim what is out of focus.
                    light = (1.15 - 0.35 * depth) * (0.5 if far else 1.0)
                    brightness.append(math.exp(rng.normal(0, 0.38)) * light)
                paths.append((path, first + path.body))
        self._brightness = np.array(brightness)
        self._blurred = np.array(blurred, dtype=bool)
        self._radius = np.array(width) / (2 * pixel_um)
        self._cut = GAP_UM / pixel_um
        self._lay_out(paths, pixel_um, rng)
        self._waves = Waves.random(
            rng, np.array(reach), wavelength=(2.0 / pixel_um, 8.0 / pixel_um), period=(70, 320)
        )
        self._events = Events.random(rng, self._site_path.size, period=(60, 220), likely=0.6)

    @property
    def bodies(self) -> int:
        """Number of tubules, branches not counted, if none is divided."""
        return self._brightness.size

    def _lay_out(
        self, paths: list[tuple[TubulePath, int]], pixel_um: float, rng: np.random.Generator
    ) -> None:
        """Resample the paths evenly, give every point its light, and place the sites of division."""
        columns: list[tuple[Floats, ...]] = []
        site_path: list[int] = []
        site_along: list[float] = []
        self._first = np.zeros(len(paths), dtype=np.intp)
        count = 0
        for number, (path, body) in enumerate(paths):
            length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(path.y), np.diff(path.x)))))
            along = np.arange(0.0, length[-1], SPACING)
            radius = self._radius[body]
            texture = 1 + 0.12 * np.sin(along * (2 * math.pi * pixel_um / CRISTAE_UM) + rng.uniform(0, 6))
            for wavelength_um, depth in ((0.9, 0.12), (2.3, 0.2)):
                wave = 2 * math.pi * pixel_um / (wavelength_um * rng.uniform(0.8, 1.25))
                texture += depth * np.sin(along * wave + rng.uniform(0, 6))
            to_end = length[-1] - along
            to_tip = to_end if path.branch else np.minimum(along, to_end)
            cap = np.sqrt(1 - (1 - np.clip(to_tip / radius, 0.02, 1)) ** 2)
            light = self._brightness[body] * radius * radius * texture * cap * SPACING
            y, x = np.interp(along, length, path.y), np.interp(along, length, path.x)
            own = np.full(along.size, body, dtype=np.float64)
            columns.append((y, x, light, own, np.full(along.size, number, dtype=np.float64), along))
            self._first[number] = count
            count += along.size
            place = rng.uniform(0.6, 1.4) * SITE_UM / 2 / pixel_um
            while place < length[-1] - 0.6 / pixel_um:
                site_path.append(number)
                site_along.append(place)
                place += rng.uniform(0.6, 1.4) * SITE_UM / pixel_um
        stacked: list[Floats] = (
            [np.concatenate(c) for c in zip(*columns, strict=True)] if columns else [np.zeros(0)] * 6
        )
        self._y, self._x, self._light = stacked[:3]
        self._body = stacked[3].astype(np.intp)
        path_of = stacked[4].astype(np.intp)
        self._site_path = np.array(site_path, dtype=np.intp)
        self._index_sites(path_of, stacked[5], np.array(site_along))

    def _index_sites(self, path_of: Ints, along: Floats, site_along: Floats) -> None:
        """List for every site the points it can darken, with their distance."""
        reach = self._cut + 2 * float(self._radius.max(initial=1.0))
        points: list[Ints] = [np.zeros(0, dtype=np.intp)]
        sites: list[Ints] = [np.zeros(0, dtype=np.intp)]
        bounds = np.append(self._first, path_of.size)
        for site, (path, place) in enumerate(zip(self._site_path, site_along, strict=True)):
            near = np.arange(bounds[path], bounds[path + 1])
            near = near[np.abs(along[near] - place) < reach]
            points.append(near)
            sites.append(np.full(near.size, site))
        self._near_point = np.concatenate(points)
        self._near_site = np.concatenate(sites)
        self._near_distance = np.abs(along[self._near_point] - site_along[self._near_site])
        self._last = np.zeros(path_of.size, dtype=bool)
        self._last[bounds[1:] - 1] = True

    def fragments(self, t: int) -> int:
        """Number of separate pieces at time point ``t``: tubules plus open gaps."""
        return self.bodies + int(np.count_nonzero(self._events.open(t) > 0.5))

    def render(
        self, t: float, border: int, within: NDArray[np.bool_], well_within: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw the mitochondria, not yet blurred.

        Parameters
        ----------
        t
            Time point; need not be whole.
        border
            Pixels of canvas before the frame's first row and column.
        within, well_within
            Canvas: the cells, and the part of them whose defocused light does not leave them; bool, shape (Y, X).

        Returns
        -------
        sharp, defocused : numpy.ndarray
            Light in the focal plane and outside of it, float32, shape (Y, X), arbitrary units.
        """
        light = self._light.copy()
        opened = self._events.open(t)[self._near_site]
        radius = self._radius[self._body[self._near_point]]
        # The half gap grows from −1 radius, where the tubule is whole, over a constriction to a real gap.
        half = opened * (self._cut / 2 + radius) - radius
        kept = np.clip((self._near_distance - half) / radius, 0, 1)
        np.multiply.at(light, self._near_point, kept * (2 - kept))
        y, x = self._waves.moved(self._y, self._x, self._body, t)
        along_y, along_x = self._tangent(y), self._tangent(x)
        size = np.maximum(np.hypot(along_y, along_x), 1e-9)
        out_y, out_x = along_x / size * self._radius[self._body], -along_y / size * self._radius[self._body]
        y, x = y + border, x + border
        share = np.sqrt(1 - np.square(ACROSS))
        share /= share.sum()
        all_y = np.concatenate([y + a * out_y for a in ACROSS])
        all_x = np.concatenate([x + a * out_x for a in ACROSS])
        all_light = np.concatenate([light * s for s in share])
        far = np.tile(self._blurred[self._body], len(ACROSS))
        near = ~far
        return (
            splat(all_y[near], all_x[near], all_light[near], within),
            splat(all_y[far], all_x[far], all_light[far], well_within),
        )

    def _tangent(self, values: Floats) -> Floats:
        """Difference to the next point of the same path (the last point repeats the one before)."""
        step = np.empty_like(values)
        step[:-1] = values[1:] - values[:-1]
        at_end = np.flatnonzero(self._last)
        step[at_end] = step[np.maximum(at_end - 1, 0)]
        return step
