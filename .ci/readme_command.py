"""Print the command that README.md shows after a marker: what is tested is what people are told.

Usage: python3 .ci/readme_command.py test-command
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(marker: str) -> str:
    """Text of the fenced block that directly follows ``<!-- marker -->``."""
    block = re.search(
        rf"^<!-- {re.escape(marker)} -->\s*^```\w*\n(?P<command>.+?)^```",
        README.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if block is None:
        sys.exit(
            f"README.md has no fenced block after <!-- {marker} -->; put the marker back above the command"
        )
    return block["command"].strip()


if __name__ == "__main__":
    sys.stdout.write(f"{command(sys.argv[1])}\n")
