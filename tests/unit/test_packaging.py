"""The package as people install it: nothing is forgotten, and importing it is cheap."""

import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTIONS = ("config", "models", "adapters", "daemon")


def modules_in_tree() -> list[str]:
    names = []
    for portion in PORTIONS:
        for file in sorted((ROOT / portion).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            names.append(".".join(("quietscope", *(parts[:-1] if parts[-1] == "__init__" else parts))))
    return names


MODULES = modules_in_tree()
HEAVY = {"torch", "onnxruntime", "onnx", "onnxscript", "pycromanager", "napari"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(".__main__")])
def test_every_module_imports_and_says_what_is_public(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    missing = [public for public in getattr(module, "__all__", ()) if not hasattr(module, public)]
    assert missing == []


def test_every_folder_with_modules_is_listed_for_the_wheel():
    folders = {
        ".".join(("quietscope", *file.parent.relative_to(ROOT).parts))
        for portion in PORTIONS
        for file in (ROOT / portion).rglob("*.py")
    }
    assert set(project()["tool"]["setuptools"]["packages"]) == folders


def test_every_folder_of_modules_is_a_package():
    folders = {file.parent for portion in PORTIONS for file in (ROOT / portion).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_other_files_inside_the_packages_are_listed_as_package_data():
    data = project()["tool"]["setuptools"]["package-data"]
    left_out = []
    for portion in PORTIONS:
        for file in (ROOT / portion).rglob("*"):
            if not file.is_file() or file.suffix in {".py", ".pyc"}:
                continue
            path = file.relative_to(ROOT / portion)
            if not any(path.full_match(pattern) if sys.version_info >= (3, 13) else path.match(pattern)
                       for pattern in data[f"quietscope.{portion}"]):  # fmt: skip
                left_out.append(str(file.relative_to(ROOT)))
    assert left_out == []


@pytest.mark.parametrize("portion", PORTIONS)
def test_type_checkers_may_trust_each_portion(portion):
    package = importlib.import_module(f"quietscope.{portion}")
    assert Path(package.__file__).with_name("py.typed").is_file()


def test_quietscope_is_a_namespace_without_a_file():
    import quietscope

    assert getattr(quietscope, "__file__", None) is None
    assert not (ROOT / "__init__.py").exists()


def light_modules() -> str:
    return ", ".join(
        name
        for name in MODULES
        if name.startswith(("quietscope.config", "quietscope.adapters")) and not name.endswith(".__main__")
    )


def test_settings_and_adapters_import_without_torch_and_onnxruntime():
    names = light_modules()
    assert "quietscope.adapters.frame" in names
    code = (
        f"import sys, {names}\n"
        f"heavy = sorted({HEAVY} & set(sys.modules))\n"
        "sys.exit(f'imported as well: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_same_everywhere():
    version = project()["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert metadata.version("quietscope") == version
    assert cited is not None
    assert cited[1] == version


def test_exactly_one_onnxruntime_is_installed():
    installed = {dist.name for dist in metadata.distributions()}
    assert len({"onnxruntime", "onnxruntime-gpu"} & installed) == 1


def test_exactly_one_onnxruntime_is_asked_for_on_every_platform():
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in project()["project"]["dependencies"]]
    runtimes = [need for need in wanted if need.name.startswith("onnxruntime")]
    platforms = [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("win32", "AMD64"),
        ("win32", "ARM64"),
        ("darwin", "arm64"),
        ("darwin", "x86_64"),
    ]
    for system, machine in platforms:
        place = {"sys_platform": system, "platform_machine": machine}
        chosen = [need.name for need in runtimes if need.marker is None or need.marker.evaluate(place)]
        assert len(chosen) == 1, (place, chosen)


def test_the_readme_shows_both_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker in ("demo-command", "test-command"):
        assert re.search(rf"^<!-- {marker} -->\s*^```", readme, re.MULTILINE), f"marker {marker} is missing"
