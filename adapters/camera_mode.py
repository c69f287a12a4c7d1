"""Reads from Micro-Manager's metadata how camera and objective were set: what makes pictures of another kind."""

from collections.abc import Mapping
from typing import Any

__all__ = ["camera_mode"]

_PROPERTIES = {
    "binning": ("Binning",),
    "gain": ("Gain", "EMGain", "Multiplier", "MultiplierGain"),
    "readout_mode": ("ReadoutMode", "Readout Mode", "ReadoutRate", "PixelReadoutRate", "SensorMode"),
}
_TURRETS = ("objective", "nosepiece")
_LABEL = "-Label"


def camera_mode(said: Mapping[str, Any], camera: str) -> dict[str, str]:
    """Find ``binning``, ``gain``, ``readout_mode`` and ``objective``, as text, where they are said.

    Parameters
    ----------
    said
        Metadata of an image; properties of devices are named ``DEVICE-PROPERTY``.
    camera
        Label of the camera; empty where it is not known.
    """
    found = {}
    for name, properties in _PROPERTIES.items():
        keys = [f"{camera}-{each}" for each in properties] if camera else []
        keys += ["Binning"] if name == "binning" else []
        value = next((said[key] for key in keys if _is_said(said.get(key))), None)
        if value is not None:
            found[name] = str(value)
    for key in sorted(said):
        device = key.removesuffix(_LABEL).lower()
        if key.endswith(_LABEL) and any(name in device for name in _TURRETS) and _is_said(said[key]):
            found.setdefault("objective", str(said[key]))
    return found


def _is_said(value: object) -> bool:
    return isinstance(value, str | int | float) and value not in {"", "Undefined"}
