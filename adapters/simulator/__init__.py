"""Placeholder docstring replaced by the simulator source."""
