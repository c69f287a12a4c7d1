"""Importing OpenVINO without its telemetry.

``import openvino`` also imports its model converter, and that tells Intel, by Google Analytics, about every import and
writes an identity into the user's home folder. A computer that records belongs to its users, so the converter is kept
out: OpenVINO itself does without where it is missing.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

__all__ = ["import_openvino"]

_CONVERTER = "openvino.tools.ovc"


def import_openvino() -> ModuleType | None:
    """OpenVINO, or None where it is not installed."""
    if "openvino" not in sys.modules:
        if importlib.util.find_spec("openvino") is None:
            return None
        sys.modules[_CONVERTER] = None  # type: ignore[assignment] # Python's own way to say that a module is missing
        try:
            importlib.import_module("openvino")
        finally:
            del sys.modules[_CONVERTER]
    return sys.modules["openvino"]
