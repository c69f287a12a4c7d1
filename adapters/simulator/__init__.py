"""A simulated microscope over live cells whose truth is known, for demonstrations, tests and measurements.

>>> from quietscope.adapters.simulator import Simulator
>>> from quietscope.config.sources import SimulatorSettings
>>> simulator = Simulator(SimulatorSettings(frames=10, height=64, width=64))
>>> simulator.series.planned
{'t': 10, 'c': 2}
"""

from quietscope.adapters.simulator.source import Simulator
from quietscope.adapters.simulator.specimen import Specimen

__all__ = ["Simulator", "Specimen"]
