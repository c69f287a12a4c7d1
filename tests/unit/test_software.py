import importlib.metadata
import platform

from quietscope.daemon.software import machine, software


def test_what_is_installed_is_named_with_its_version_and_nothing_else():
    found = software()
    assert found.pop("Python") == platform.python_version()
    assert found.pop("system").startswith(platform.system())
    assert found == {name: importlib.metadata.version(name) for name in found}
    assert {"quietscope", "numpy", "torch"} < set(found)
    installed = {dist.metadata["Name"] for dist in importlib.metadata.distributions()}
    assert ("bm3d" in found) == ("bm3d" in installed)


def test_the_machine_is_named_with_the_cpus_that_may_be_used():
    name, cpus = machine().rsplit(", ", 1)
    assert name
    assert int(cpus.removesuffix(" CPUs")) >= 1
