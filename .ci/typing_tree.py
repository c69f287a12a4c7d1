"""Lay links build/typing/quietscope/X -> X for type checkers, which cannot follow an editable install."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PORTIONS = ("config", "models", "adapters", "daemon")


def main() -> None:
    """Make the links that are missing; leave those that are right."""
    tree = ROOT / "build" / "typing" / "quietscope"
    tree.mkdir(parents=True, exist_ok=True)
    for portion in PORTIONS:
        link = tree / portion
        if link.is_symlink() and link.resolve() == (ROOT / portion).resolve():
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..", "..", "..", portion), target_is_directory=True)


if __name__ == "__main__":
    main()
