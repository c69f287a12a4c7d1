"""How many frames training has besides those it learns from."""

__all__ = ["HELD_OUT", "LOOK_AT"]

HELD_OUT = 6
"""Frames on which the gate judges a model that has not seen them."""

LOOK_AT = 400
"""Useless frames (empty, saturated, NaN) of a channel that are passed over before training does without more."""
