"""Placeholder docstring replaced by the folder source."""
