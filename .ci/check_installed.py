"""Check an installed quietscope against the checkout: every module imports, every profile loads.

An editable install hides what a wheel forgets (a sub-package, a profile, ``py.typed``), so this runs in an
environment into which the wheel was installed, from outside the checkout, with ``python -I``.
"""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PORTIONS = ("config", "models", "adapters", "daemon")


def source_modules() -> list[str]:
    """Full names of all modules in the checkout."""
    names = []
    for portion in PORTIONS:
        for file in sorted((ROOT / portion).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            names.append(".".join(("quietscope", *(parts[:-1] if parts[-1] == "__init__" else parts))))
    return names


def main() -> int:
    """Import, load and compare; report every problem."""
    problems = []
    modules = source_modules()
    prefix = Path(sys.prefix).resolve()
    for name in modules:
        if name.endswith(".__main__"):
            continue
        try:
            module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever stops an import is what has to be reported
            problems.append(f"{name} does not import: {type(error).__name__}: {error}")
            continue
        if prefix not in Path(str(module.__file__)).resolve().parents:
            problems.append(f"{name} comes from {module.__file__}, not from the environment {prefix}")
    from quietscope.config.loader import load_settings, profile_names  # noqa: E402, RUF100

    shipped = {file.stem for file in (ROOT / "config" / "profiles").glob("*.toml")}
    problems += [f"profile {name} is not installed" for name in sorted(shipped - set(profile_names()))]
    for name in profile_names():
        load_settings(profile=name)
    for portion in PORTIONS:
        package = importlib.import_module(f"quietscope.{portion}")
        if not Path(str(package.__file__)).with_name("py.typed").is_file():
            problems.append(f"quietscope.{portion} has no py.typed")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"{len(modules)} modules, {len(profile_names())} profiles, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
