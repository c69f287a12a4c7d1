"""Prove that the import contracts bite: break each in a copy of the packages; lint-imports must say so.

A contract that names a package wrongly would be kept for ever without anybody noticing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORTIONS = ("config", "models", "adapters", "daemon")
FORBIDDEN = (
    ("config", "models"),
    ("config", "adapters"),
    ("config", "daemon"),
    ("models", "adapters"),
    ("adapters", "models"),
    ("models", "daemon"),
    ("adapters", "daemon"),
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lint-imports over the packages in a folder."""
    tool = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [tool, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    """Break every contract once."""
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for portion in PORTIONS:
            shutil.copytree(ROOT / portion, folder / "quietscope" / portion)
        whole = lint(folder)
        if whole.returncode:
            problems.append(f"the unbroken packages fail:\n{whole.stdout}{whole.stderr}")
        for importer, imported in FORBIDDEN:
            trespasser = folder / "quietscope" / importer / "trespasser.py"
            trespasser.write_text(f"import quietscope.{imported}\n", encoding="utf-8")
            report = lint(folder)
            trespasser.unlink()
            if not report.returncode or f"quietscope.{importer}.trespasser" not in report.stdout:
                problems.append(f"quietscope.{importer} may import quietscope.{imported} unnoticed")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"{len(FORBIDDEN)} forbidden imports tried, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
