"""Fail if the running environment holds a package or version that constraints.txt does not pin."""

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
NOT_OURS = {"pip", "quietscope"}


def main() -> int:
    """Compare what is installed with what is pinned."""
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    pins = {
        canonicalize_name(pin.name): pin.specifier for pin in (Requirement(line) for line in lines if line)
    }
    installed = {canonicalize_name(dist.name): dist.version for dist in metadata.distributions()}
    problems = [
        f"{name} {version} is installed, but constraints.txt has {pins.get(name) or 'no pin'}"
        for name, version in sorted(installed.items())
        if name not in NOT_OURS and not (pins.get(name) and pins[name].contains(version, prereleases=True))
    ]
    if {"onnxruntime", "onnxruntime-gpu"} <= installed.keys():
        problems.append("onnxruntime and onnxruntime-gpu are both installed and overwrite each other")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"{len(installed)} packages, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
