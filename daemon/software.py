"""Which software and which machine made a run."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["software"]

_PACKAGES = (
    "quietscope",
    "numpy",
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "zarr",
    "tensorstore",
    "pyzmq",
    "scikit-image",
)


def software() -> dict[str, str]:
    """Name → version of what pixels pass through, Python and the operating system."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return {**found, "Python": platform.python_version(), "system": system}
