"""What is known of the files: cheap scans, identities."""

import os

from quietscope.adapters.folder import inventory as module
from quietscope.adapters.folder.inventory import Inventory


def test_files_left_alone_are_not_asked_again(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"x{number}.tif").write_bytes(b"x")
    inventory = Inventory(tmp_path, ("*.tif",), recursive=True)
    assert len(inventory.scan()) == 20
    assert inventory.scan() == []
    monkeypatch.setattr(module, "_FRESH_S", 0.0)
    met = []
    original = Inventory.meet
    monkeypatch.setattr(Inventory, "meet", lambda self, name: (met.append(name), original(self, name))[1])
    (tmp_path / "new.tif").write_bytes(b"x")
    (tmp_path / "part").write_bytes(b"other")
    (tmp_path / "part").replace(tmp_path / "x3.tif")
    assert sorted(record.name for record in inventory.scan()) == ["new.tif", "x3.tif"]
    assert sorted(met) == ["new.tif", "x3.tif"]


def test_a_full_scan_finds_what_grew_unseen(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FRESH_S", 0.0)
    path = tmp_path / "x.tif"
    path.write_bytes(b"x")
    inventory = Inventory(tmp_path, ("*.tif",), recursive=True)
    inventory.scan()
    path.write_bytes(b"longer")
    assert inventory.scan() == []
    monkeypatch.setattr(inventory, "_next_full_s", 0.0)
    assert [record.name for record in inventory.scan()] == ["x.tif"]


def test_a_share_mounted_again_with_other_inodes_is_the_same(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(b"x")
    inventory = Inventory(tmp_path, ("*.tif",), recursive=True)
    (record,) = inventory.scan()
    stamp = path.stat()
    (tmp_path / "copy").write_bytes(b"x")
    (tmp_path / "copy").replace(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert inventory.scan() == []
    assert inventory.known("x.tif") is record


def test_names_that_are_taken(tmp_path):
    inventory = Inventory(tmp_path, ("*.tif", "run?.PNG"), recursive=True)
    wanted = {
        name
        for name in ("a.TIF", "run1.png", "run12.png", ".a.tif", "._a.tif", "a.tif.part")
        if inventory.interesting(name)
    }
    assert wanted == {"a.TIF", "run1.png"}
