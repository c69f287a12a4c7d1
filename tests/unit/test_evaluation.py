"""The evaluation: what is asked for becomes cases, and rows become tables and a picture."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from quietscope.config import QuietscopeError, RunError, SettingsError
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.evaluation.asked import Asked
from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.columns import COLUMNS
from quietscope.daemon.evaluation.command import evaluate
from quietscope.daemon.evaluation.contender import Contender
from quietscope.daemon.evaluation.fmd import FMD
from quietscope.daemon.evaluation.gathering import gather
from quietscope.daemon.evaluation.item import Absent, Published, Trial
from quietscope.daemon.evaluation.own_images import OwnImages
from quietscope.daemon.evaluation.presets.catalogue import PRESETS
from quietscope.daemon.evaluation.report import Report
from quietscope.daemon.evaluation.scoring import score
from quietscope.daemon.evaluation.simulated import simulated_case, static_case
from quietscope.daemon.evaluation.workshop import Tool, Workshop

SMALL = SimulatorSettings(height=96, width=96, channels=("er",), photons=20)
FEW = (
    "training.max_steps=4",
    "training.budget_s=600",
    "training.min_steps=0",
    "training.threads=1",
    "adaptive_sn2n.base_channels=4",
    "adaptive_sn2n.levels=2",
    "adaptive_sn2n.batch=2",
    "noise2sr.width=8",
    "noise2sr.batch=1",
    "noise2sr.patch=64",
)


@pytest.fixture(scope="module")
def moving():
    return simulated_case("ER", SMALL, training=3)


@pytest.fixture(scope="module")
def static():
    return static_case("static ER", SMALL, training=2, captures=6)


def _images(folder, frames):
    folder.mkdir()
    for number, frame in enumerate(frames):
        tifffile.imwrite(folder / f"image_{number}.tif", frame)
    return folder


def _asked(**changes):
    nothing = {
        "sources": (),
        "references": (),
        "methods": (),
        "preset": None,
        "empty": None,
        "each": False,
        "static": False,
        "network": False,
        "frames": 50,
        "captures": 1,
        "data": None,
        "profile": None,
        "changes": (),
    }
    return Asked(**{**nothing, **changes})


def test_scores_of_the_truth_itself_are_perfect(moving):
    truths = iter([moving.references[0], *moving.references])
    figures, first = score(moving, Tool(lambda _: next(truths)))
    assert np.array_equal(first, moving.references[0])
    assert figures["psnr"] == np.inf
    assert figures["slope"] == pytest.approx(1)
    assert figures["offset"] == pytest.approx(0, abs=1e-3)
    assert figures["fragment_ratio"] == figures["length_ratio"] == 1
    assert figures["residue_std"] == figures["residue_max"] == 0
    assert set(figures) <= {column.key for column in COLUMNS} | {"true_fragments"}


def test_scores_of_the_noisy_frames_say_that_they_are_noisy(moving):
    figures, _ = score(moving, Tool(lambda frame: frame.astype(np.float32)))
    assert figures["psnr"] == pytest.approx(figures["psnr_raw"])
    assert figures["fragment_ratio"] > 3
    assert figures["residue_max"] > 3 * figures["residue_std"] > 0.1
    assert "flicker" not in figures


def test_a_wrong_gain_shows_in_slope_and_offset(moving):
    truths = iter([moving.references[0], *moving.references])
    figures, _ = score(moving, Tool(lambda _: 1.25 * next(truths)))
    assert figures["slope"] == pytest.approx(0.8)
    assert figures["slope_reverse"] == pytest.approx(1.25)
    assert figures["pearson"] == pytest.approx(1)


def test_a_static_series_has_flicker_and_ring_correlation(static):
    assert all(np.array_equal(truth, static.references[0]) for truth in static.references)
    assert not np.array_equal(static.frames[0], static.frames[1])
    levels = iter([1.0, 1.0, 1.04, 0.99, 0.99, 0.99, 0.99])
    clean = static.references[0]
    figures, _ = score(static, Tool(lambda _: (clean - static.dark) * next(levels) + static.dark))
    assert figures["flicker"] == pytest.approx(0.04, abs=1e-3)
    assert figures["frc_px"] == 2


def test_seams_are_looked_for_at_the_tiles_pitch(static):
    rng = np.random.default_rng(0)
    steps = np.kron(rng.normal(0, 5, (4, 4)), np.ones((24, 24))).astype(np.float32)
    tool = Tool(
        lambda _: static.references[0] + steps + rng.normal(0, 0.5, steps.shape).astype(np.float32),
        pitch=lambda _: (24.0, 24.0),
    )
    assert score(static, tool)[0]["seams"] > 3
    assert "seams" not in score(static, Tool(tool.denoise))[0]


def test_eight_bit_references_are_compared_as_eight_bits():
    truth = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (50, 1))
    figures, _ = score(Case("grey", [], [truth], [truth]), Tool(lambda f: f + np.float32(0.4)))
    assert figures["psnr"] == np.inf
    figures, _ = score(Case("grey", [], [truth], [truth]), Tool(lambda f: f + np.float32(1.2)))
    assert figures["psnr"] == pytest.approx(20 * np.log10(255))


def test_contenders_are_trained_exported_and_used_again_for_other_tiles(moving):
    plain = Contender("plain", "adaptive-sn2n", ("tiling.tile=32", "tiling.overlap=0", *FEW))
    overlapping = Contender("overlapping", "adaptive-sn2n", ("tiling.tile=32", "tiling.overlap=0.5", *FEW))
    with Workshop() as workshop:
        first = workshop.make(moving, plain)
        again = workshop.make(moving, overlapping)
        assert first.figures == again.figures
        assert first.figures["steps"] == 4
        assert again.pitch((96, 96))[0] < first.pitch((96, 96))[0]
        assert first.denoise(moving.frames[0]).shape == (96, 96)
        other = workshop.make(moving, Contender("other", "adaptive-sn2n", (*FEW, "training.seed=1")))
        assert other.figures["train_s"] != first.figures["train_s"]


def test_tiles_that_are_not_inverted_stretch_the_empty_ones_and_still_have_grey_levels():
    scene = np.full((96, 96), 100.0, np.float32)
    scene[:, 64:] = 1000
    frames = [np.random.default_rng(seed).poisson(scene).astype(np.uint16) for seed in range(3)]
    changes = ("adaptive_sn2n.normalisation=minmax", "tiling.tile=32", "tiling.overlap=0", *FEW)
    contender = Contender("patch-wise", "adaptive-sn2n", changes)
    case = Case("half empty", frames[:2], frames[2:])
    with Workshop() as workshop:
        inverted = workshop.make(case, contender).denoise(frames[2])
        released = workshop.make(case, replace(contender, inverted=False)).denoise(frames[2])
    empty = np.s_[:, :60]
    assert released[empty].std() > 3 * inverted[empty].std()
    assert released.mean() == pytest.approx(frames[2].mean(), rel=1e-3)


def test_the_users_settings_go_over_those_of_a_contender(moving):
    with Workshop(("training.max_steps=2",)) as workshop:
        assert workshop.make(moving, Contender("x", "adaptive-sn2n", FEW)).figures["steps"] == 2


def test_costs_and_second_captures(static):
    frames = list(static.frames[:2])
    case = Case("pair", frames, frames[:1], static.references[:1], zero_shot=True, costs=True)
    with Workshop(FEW) as workshop:
        tool = workshop.make(case, Contender("noise2noise", "noise2noise"))
        assert tool.figures["gmac"] > 0.01
        assert tool.figures["memory_mb"] >= 0
        assert tool.figures["train_cpu_s"] > 0
        figures, _ = score(case, tool)
        assert "psnr_bare" in figures
        alone = Case("one", frames[:1], frames[:1])
        with pytest.raises(QuietscopeError, match="at least two"):
            workshop.make(alone, Contender("noise2noise", "noise2noise"))


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(SettingsError, match="noise2noise"):
        Contender("magic", "magic")


def test_tables_and_picture_hold_every_row_so_far(moving, tmp_path):
    other = Case("other", [], moving.frames, moving.references, groups=("both",))
    first = Case("first", [], moving.frames, moving.references, groups=("both",))

    def items():
        yield Published("both", "a paper", {"psnr": 30.0})
        yield Trial(first, Contender("noisy", "noisy"))
        table = (tmp_path / "out" / "table.md").read_text()
        assert "| first | noisy |" in table
        assert "| both | a paper | – |" in table
        yield Absent("nothing is known of the moon")
        yield Trial(Case("tiny", [], [np.ones((2, 2))]), Contender("bm3d", "bm3d"))
        yield Trial(other, Contender("noisy", "noisy"))
        yield Trial(other, Contender("median", "median"))

    assert evaluate(items(), tmp_path / "out", command="quietscope evaluate x", words="About it.") == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.startswith("`quietscope evaluate x`")
    assert "About it." in table
    assert "* nothing is known of the moon" in table
    assert "* tiny, bm3d: " in table
    data = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [(row["case"], row["method"]) for row in data["rows"]] == [
        ("first", "noisy"),
        ("other", "noisy"),
        ("other", "median"),
    ]
    means = {row["method"]: row for row in data["means"]}
    assert means["noisy"]["cases"] == 2
    assert means["noisy"]["psnr"] == pytest.approx(data["rows"][0]["psnr"])
    assert means["a paper"]["psnr"] == 30
    with (tmp_path / "out" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["psnr"]) for row in rows] == pytest.approx([row["psnr"] for row in data["rows"]])
    with Image.open(tmp_path / "out" / "panel.png") as panel:
        assert panel.width > 3 * 96
        assert panel.height > 2 * 96
    with pytest.raises(RunError, match="never overwritten"):
        Report(tmp_path / "out", "again")


def test_an_evaluation_without_a_row_fails(tmp_path):
    assert evaluate([Absent("no data")], tmp_path, command="quietscope evaluate x") == 1
    assert "no data" in (tmp_path / "table.md").read_text()


def test_own_images_become_a_series_or_single_images(moving, tmp_path):
    frames = _images(tmp_path / "raw", [*moving.training, *moving.frames])
    truths = _images(tmp_path / "gt", [*moving.references, *moving.references])
    asked = {"empty": None, "static": True, "network": False, "training": 2, "most": 3}
    images = OwnImages(sources=[frames], references=[truths], each=False, **asked)
    (series,) = (item.case for item in images.items([Contender("noisy", "noisy")]))
    assert len(series.training) == 2
    assert len(series.frames) == len(series.references) == 3
    assert np.array_equal(series.frames[0], moving.training[2])
    assert np.array_equal(series.references[0], moving.references[2])
    assert series.static
    singles = OwnImages(sources=[frames], references=[truths], each=True, **asked)
    cases = [item.case for item in singles.items([Contender("noisy", "noisy")])]
    assert [case.name for case in cases] == ["raw, image 1", "raw, image 2", "raw, image 3"]
    assert all(np.array_equal(case.training[0], case.frames[0]) for case in cases)
    one = OwnImages(sources=[frames], references=[truths / "image_0.tif"], each=False, **asked)
    (series,) = (item.case for item in one.items([Contender("noisy", "noisy")]))
    assert np.array_equal(series.references[2], moving.references[0])


def test_images_that_do_not_go_together_are_refused(moving, tmp_path):
    frames = _images(tmp_path / "raw", moving.training)
    two = _images(tmp_path / "gt", moving.references[:2])
    rest = {"empty": None, "each": False, "static": False, "network": False, "training": 2, "most": 3}
    with pytest.raises(RunError, match="one reference for all"):
        list(OwnImages(sources=[frames], references=[two], **rest).items([Contender("noisy", "noisy")]))
    with pytest.raises(RunError, match="in the same order"):
        list(OwnImages(sources=[frames], references=[two, two], **rest).items([]))
    (two / "image_2.tif").write_bytes(b"nothing")
    with pytest.raises(RunError, match="image_2"):
        gather(two, 10)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to evaluate"),
        ({"preset": "ablatoin"}, "did you mean 'ablation'"),
        ({"preset": "ablation", "methods": ("noisy",)}, "leave out"),
        ({"preset": "ablation", "changes": ("training.max_steps=0",)}, "max_steps"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(asked, message, tmp_path):
    with pytest.raises(SettingsError, match=message):
        _asked(**asked).evaluate(tmp_path / "out", command="x")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_has_settings_that_exist_and_does_something_without_data(name):
    items = PRESETS[name].make(None, 1)
    first = next(items)
    assert isinstance(first, Trial | Absent | Published)
    if isinstance(first, Absent):
        assert "data" in first.words or "DATA" in first.words


@pytest.mark.realdata
@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"ablation", "background", "networks", "static"}))
def test_presets_on_real_images_name_every_setting_right(name, data_dir):
    trials = [item for item in PRESETS[name].make(data_dir, 1) if isinstance(item, Trial)]
    assert trials
    for trial in trials:
        assert trial.case.frames[0].shape == trial.case.references[0].shape
        if trial.contender.learns:
            settings = trial.contender.settings()
            assert settings.training.max_steps is not None or name == "few-frames", (
                "load would change figures"
            )


@pytest.mark.realdata
def test_real_pairs_are_found_by_their_names(data_dir):
    images = FMD(data_dir)
    assert "20 of the 48" in images.missing().words
    assert len(images.names()) == 20
    assert images.names(captures=1) == [name for name in images.names() if name.endswith("_1")]
    captures = images.other_captures("Confocal_FISH_2")
    assert len(captures) == 4
    assert np.array_equal(captures[0], images.raw("Confocal_FISH_2"))
    noisy, _ = score(images.case("Confocal_FISH_1"), Tool(lambda frame: frame.astype(np.float32)))
    assert noisy["psnr"] == pytest.approx(22.88, abs=0.005)
