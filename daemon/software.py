"""Which software and which machine made a run."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from quietscope.config.machine import usable_cpus

__all__ = ["machine", "software"]

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
    "bm3d",
    "careamics",
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


def machine() -> str:
    """The processor, and how many of its CPUs this process may use, in words."""
    return f"{_processor()}, {usable_cpus()} CPUs"


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
