"""Runs that ended badly: verify names what is wrong, resume and repair mend it, twice as well as once."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader, plane_files
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.verification import is_finished, verify

pytestmark = pytest.mark.slow

COUNT = 8
SHAPE = (64, 640)
EASY = ["--set=training.frames=4", "--set=runtime.threads=1", "--set=runtime.provider=cpu"]


def image(t: int) -> np.ndarray:
    """A ramp, which a mean filter keeps as it is, under noise."""
    noise = np.random.default_rng(t).normal(0, 30, SHAPE)
    return np.rint(200 + 0.5 * np.arange(SHAPE[1]) + noise).astype("uint16")


def quietscope(*arguments: object, cwd: Path, faults: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quietscope.daemon", *map(str, arguments)]
    environment = {**os.environ, "QUIETSCOPE_FAULTS": faults}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False, env=environment
    )


def good(*arguments: object, cwd: Path) -> str:
    done = quietscope(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def findings(run: Path) -> list[tuple[str, list[int] | None]]:
    done = quietscope("verify", run, "--json", "found.json", cwd=run)
    found = json.loads((run / "found.json").read_text())
    assert done.returncode == (0 if found["good"] else 1), done.stdout + done.stderr
    assert found["good"] == (not found["findings"])
    return [(one["kind"], one["key"]) for one in found["findings"]]


def contents(run: Path) -> dict[str, dict[FrameKey, bytes]]:
    store = StoreReader(run)
    return {
        kind: {key: store.read(kind, key).tobytes() for key, _ in plane_files(run, kind)}
        for kind in ("raw", "denoised")
    }


def shard(run: Path, kind: str, t: int, level: int = 0) -> Path:
    return dict(plane_files(run, kind, level))[FrameKey(t)]


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def home(tmp_path_factory, write_filter_model):
    """A folder of images and a finished run over it, denoised with a mean filter."""
    home = tmp_path_factory.mktemp("home")
    (home / "incoming").mkdir()
    for t in range(COUNT):
        tifffile.imwrite(home / "incoming" / f"cell_{t}.tif", image(t))
    write_filter_model(home / "c0.onnx", np.full((9, 9), 1 / 81))
    good("denoise", "incoming", "--model", "c0.onnx", "--out", ".", "--name", "run", *EASY, cwd=home)
    with LedgerReader(home / "run" / "ledger.db") as ledger:
        assert ledger.counts() == {"raw": 0, "denoised": COUNT, "skipped": 0}, ledger.verdicts()
    return home


@pytest.fixture
def run(home, tmp_path):
    return Path(shutil.copytree(home / "run", tmp_path / "run"))


def places(ledger: LedgerReader) -> dict[str, int]:
    return {name: key.t for (name, _), found in ledger.pages().items() for key in found.values()}


def change_ledger(run: Path, *statements: str) -> None:
    with sqlite3.connect(run / "ledger.db") as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_good_run_verifies_and_neither_resume_nor_repair_changes_it(run):
    assert findings(run) == []
    before = contents(run)
    files = {
        name: (run / name).read_bytes() for name in ("summary.json", "report.html", "log.jsonl", "ledger.db")
    }
    assert "nothing to do" in good("resume", run, "--json", "told.json", cwd=run)
    good("repair", run, cwd=run)
    assert findings(run) == []
    assert contents(run) == before
    assert {name: (run / name).read_bytes() for name in files} == files
    assert (run / "told.json").read_bytes() == files["summary.json"]


@pytest.mark.parametrize(
    "left",
    [
        "DELETE FROM meta WHERE key = 'source_complete'",
        "UPDATE frame SET state = 'raw' WHERE t = 7",
        "UPDATE meta SET value = '9' WHERE key = 'received'",
        "DELETE FROM frame WHERE t = 7",
    ],
)
def test_a_run_with_anything_left_to_do_is_not_finished(run, left):
    assert is_finished(RunFolder(run))
    change_ledger(run, left)
    assert not is_finished(RunFolder(run))


def test_a_run_that_ended_with_a_fault_or_left_files_is_not_finished(run):
    (run / "spool-1.bin").touch()
    assert not is_finished(RunFolder(run))
    (run / "spool-1.bin").unlink()
    assert is_finished(RunFolder(run))
    summary = json.loads((run / "summary.json").read_text())
    for faults in ({"faults": ["the store could not be completed"]}, {}):
        (run / "summary.json").write_text(json.dumps({**summary, "faults": None, **faults}))
        assert not is_finished(RunFolder(run))


def test_every_damage_is_named_and_what_can_be_rebuilt_is(run):
    before = contents(run)
    spoil(shard(run, "raw", 1))
    spoil(shard(run, "denoised", 2))
    shard(run, "denoised", 3).unlink()
    shard(run, "raw", 4, level=1).unlink()
    spoil(shard(run, "denoised", 5, level=1))
    (run / "summary.json").write_text('{"denoised": 5}')
    assert sorted(findings(run)) == [
        ("denoised", [2, 0, 0, 0]),
        ("denoised", [3, 0, 0, 0]),
        ("denoised-pyramid", [5, 0, 0, 0]),
        ("raw", [1, 0, 0, 0]),
        ("raw-pyramid", [4, 0, 0, 0]),
        ("report", None),
    ]
    said = good("repair", run, cwd=run)
    assert "raw t1 c0 z0 p0 is taken again from folder" in said
    assert findings(run) == []
    assert contents(run) == before
    good("repair", run, cwd=run)
    assert contents(run) == before


def test_a_raw_plane_that_is_lost_for_good_is_listed(run, home):
    settings = run / "settings.toml"
    settings.write_text(settings.read_text().replace("incoming", "gone"))
    spoil(shard(run, "raw", 6))
    done = quietscope("repair", run, cwd=run)
    assert done.returncode == 1
    assert "the source could not be read again" in done.stdout
    assert findings(run) == [("raw", [6, 0, 0, 0])]


def test_a_model_that_is_not_the_accepted_one_is_named(run):
    (run / "models" / "c0.onnx").write_bytes(b"something else")
    assert findings(run) == [("model", None)]


def test_a_denoised_plane_without_a_row_is_named_with_its_mend(run):
    change_ledger(run, "UPDATE frame SET state = 'skipped', skip_reason = 'gate' WHERE t = 3")
    (found,) = verify(RunFolder(run)).of("orphan")
    assert found.key == FrameKey(3)
    assert found.text.endswith("`quietscope repair` removes it")


def test_a_damaged_ledger_is_named(run):
    ledger = bytearray((run / "ledger.db").read_bytes())
    page = len(ledger) // 4096 // 2 * 4096
    ledger[page : page + 4096] = os.urandom(4096)
    (run / "ledger.db").write_bytes(ledger)
    done = quietscope("verify", run, cwd=run)
    assert done.returncode in {1, 2}
    assert "ledger" in done.stdout + done.stderr


def test_a_folder_resumes_where_it_stopped_and_half_written_things_are_cleaned(run, home):
    before = contents(run)
    # Planes 5 and 6 were written and not committed, 7 never came; the coarse level of 7 was in the making.
    change_ledger(
        run,
        "DELETE FROM frame WHERE t >= 5",
        "UPDATE frame SET state = 'raw', denoised_ns = NULL, denoised_crc32 = NULL WHERE t = 4",
        "DELETE FROM meta WHERE key IN ('received', 'source_complete', 'exit_reason')",
    )
    torn = shard(run, "raw", 7, level=1)
    torn.rename(torn.with_name("0.__lock"))
    shard(run, "raw", 7).unlink()
    kinds = {kind for kind, _ in findings(run)}
    assert kinds == {"orphan", "unfinished", "litter"}
    good("resume", run, cwd=run)
    assert findings(run) == []
    assert contents(run) == before
    with LedgerReader(run / "ledger.db") as ledger:
        assert ledger.counts() == {"raw": 0, "denoised": COUNT, "skipped": 0}
        assert places(ledger) == {f"cell_{t}.tif": t for t in range(COUNT)}
    summary = (run / "summary.json").read_bytes()
    good("resume", run, cwd=run)
    assert (run / "summary.json").read_bytes() == summary


def test_a_plane_that_cannot_be_read_is_set_aside_and_not_deleted(run):
    change_ledger(run, "DELETE FROM frame WHERE t = 7")
    plane = shard(run, "raw", 7)
    broken = os.urandom(plane.stat().st_size)
    plane.write_bytes(broken)
    done = quietscope("resume", run, cwd=run)
    assert "1 of 8 received frames are not in the store" in done.stdout
    assert done.returncode == 1
    assert [path.read_bytes() for path in (run / "set-aside").iterdir()] == [broken]
    assert not plane.exists()


def test_frames_that_arrived_in_another_order_keep_their_places(run, home):
    """Names that mean nothing are counted in order of arrival; read again, the folder comes in natural order."""
    change_ledger(
        run,
        # what lies at t = 0 is said to have come from the last file
        f"UPDATE frame SET crc32 = {zlib.crc32(image(7).tobytes())} WHERE t = 0",  # noqa: S608 - a number
        'UPDATE frame SET metadata = \'{"name": "cell_7.tif", "page": 0}\' WHERE t = 0',
        "DELETE FROM frame WHERE t > 0",
        "DELETE FROM meta WHERE key IN ('received', 'source_complete')",
    )
    good("resume", run, cwd=run)
    with LedgerReader(run / "ledger.db") as ledger:
        found = places(ledger)
        assert len(ledger.checksums()) == COUNT
    assert found["cell_7.tif"] == 0
    assert sorted(found.values()) == list(range(COUNT))
    for t in range(7):
        np.testing.assert_array_equal(
            StoreReader(run).read("raw", FrameKey(found[f"cell_{t}.tif"])), image(t)
        )


def test_disk_full_then_space_freed_then_resume_is_complete_and_equal(home, tmp_path):
    for name in ("incoming", "c0.onnx"):
        (tmp_path / name).symlink_to(home / name)
    arguments = ("denoise", "incoming", "--model", "c0.onnx", "--out", ".", "--name", "run", *EASY)
    full = quietscope(*arguments, "--set=recorder.retries=2", cwd=tmp_path, faults="store.write=ENOSPC@7")
    assert full.returncode == 1
    assert "is full" in full.stdout
    good("resume", tmp_path / "run", cwd=tmp_path)
    assert findings(tmp_path / "run") == []
    assert contents(tmp_path / "run") == contents(home / "run")


def test_a_trainer_that_crashes_again_and_again_costs_no_frame(home, tmp_path):
    arguments = ("denoise", home / "incoming", "--out", ".", "--name", "run", *EASY)
    done = quietscope(*arguments, cwd=tmp_path, faults="trainer.train=exit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the trainer is started again" in done.stdout
    assert findings(tmp_path / "run") == []
    with LedgerReader(tmp_path / "run" / "ledger.db") as ledger:
        assert ledger.skipped() == {"training": COUNT}


def test_a_provider_lost_in_mid_run_is_said_and_the_run_goes_on_on_the_cpu(home, tmp_path):
    arguments = (
        "denoise",
        home / "incoming",
        "--model",
        home / "c0.onnx",
        "--out",
        ".",
        "--name",
        "run",
        *EASY,
    )
    done = quietscope(*arguments, cwd=tmp_path, faults="runtime.run=lost@6x1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loaded anew, on the CPU" in done.stdout
    assert contents(tmp_path / "run") == contents(home / "run")


def test_planes_without_a_row_are_taken_in_where_nothing_can_be_read_again(run):
    before = contents(run)
    settings = run / "settings.toml"
    text = settings.read_text()
    start = text.index("[source]")
    end = text.index("\n[", start)
    settings.write_text(text[:start] + '[source]\nkind = "wire"\n' + text[end:])
    change_ledger(run, "DELETE FROM frame WHERE t >= 6", "DELETE FROM meta WHERE key = 'source_complete'")
    assert ("orphan", [7, 0, 0, 0]) in findings(run)
    good("resume", run, cwd=run)
    assert findings(run) == []
    assert contents(run) == before
