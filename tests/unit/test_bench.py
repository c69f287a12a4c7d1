"""The benchmark measures what it says, and its tables hold what was measured. Nothing is asserted about speed."""

import importlib.util
import json

import numpy as np
import pytest

from quietscope.config import RunError, Settings
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.daemon.bench import command, limits
from quietscope.daemon.bench.adaptive import AdaptiveCost, adaptive_costs
from quietscope.daemon.bench.frames import PEERS, channel_costs, frame_costs, peer_costs
from quietscope.daemon.bench.growth import Growth, growth
from quietscope.daemon.bench.learning import Learned, learning_curve
from quietscope.daemon.bench.networks import write_default, write_n2v, write_published
from quietscope.daemon.bench.report import BenchReport
from quietscope.daemon.bench.stores import BARE, store_writes
from quietscope.daemon.bench.timing import Timing, in_turn
from quietscope.daemon.bench.wires import wires
from quietscope.daemon.evaluation.case import Case
from quietscope.models.denoiser import Denoiser
from quietscope.models.quality import psnr

ONE = RuntimeSettings(provider="cpu", threads=1)
FEW = {"rounds": 2, "longest_s": 5.0}


def test_contenders_take_turns_and_what_takes_long_fewer():
    calls = []
    found = in_turn(
        {name: lambda name=name: calls.append(name) for name in "abc"}, rounds=3, longest_s=60, rare={"c": 1}
    )
    assert "".join(calls) == "ab" + "abc" + "ab" + "ab"
    assert {name: timing.rounds for name, timing in found.items()} == {"a": 3, "b": 3, "c": 1}
    assert in_turn({"a": lambda: None}, rounds=100, longest_s=0)["a"].rounds == 1


def test_a_frame_is_measured_stage_by_stage(filter_model):
    path = filter_model(receptive_field=0)
    (cost,) = frame_costs(path, TilingSettings(), ONE, 64, **FEW).values()
    assert list(cost.stages) == ["normalise", "network", "assemble", "cast"]
    assert cost.pixels == 80 * 80  # the frame and 8 pixels around it
    # stages are parts of the whole: nothing is counted twice
    assert cost.end_to_end.wall_ms > max(wall for wall, _ in cost.stages.values())


def test_peers_see_the_same_frames(filter_model):
    ours, published = filter_model(receptive_field=0), filter_model(name="published.onnx")
    found = peer_costs(ours, published, TilingSettings(), ONE, 96, n2v=published, **FEW)
    expected = set(PEERS) | {"cpu"}
    assert set(found) == (expected if importlib.util.find_spec("bm3d") else expected - {"bm3d"})


@pytest.mark.skipif(importlib.util.find_spec("careamics") is not None, reason="CAREamics is installed")
def test_n2v_is_left_out_where_careamics_is_missing(tmp_path):
    assert not write_n2v(tmp_path / "n2v.onnx")
    assert list(tmp_path.iterdir()) == []


def test_limits_are_rates(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "_MATRIX", 64)
    monkeypatch.setattr(limits, "_COPY", 1 << 16)
    assert limits.arithmetic(**FEW)["float32"] > 0
    assert limits.memory_copy(rounds=2) > 0


def test_every_writer_has_the_same_durability(tmp_path):
    for sync in (True, False):
        writes = store_writes(64, tmp_path, sync=sync, **FEW)
        bare = {"quietscope", BARE, "tensorstore, one level"}
        assert set(writes) == (bare if sync else bare | {"zarr-python, one level"})
    assert list(tmp_path.iterdir()) == []


def test_both_wires_carry_every_frame():
    found = wires(64, rounds=2, longest_s=5.0)
    assert {name: timing.rounds for name, timing in found.items()} == {"quietscope": 2, "pyzmq": 2}


def test_channels_take_turns(filter_model):
    found = channel_costs(filter_model(receptive_field=0), TilingSettings(), ONE, 64, most=3, **FEW)
    assert {name: list(timings) for name, timings in found.items()} == {"cpu": [1, 2, 3]}


def test_a_short_and_a_long_series_go_on_in_turn(tmp_path):
    found = growth(tmp_path, early=3, late=70, **FEW)
    assert (found.early, found.late) == (3, 70)
    assert list(found.costs) == ["store", "ledger", "queue"]
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_scored_as_it_is_exported():
    options = {"base_channels": 4, "levels": 2, "batch": 2}
    settings = Settings(adaptive_sn2n=options, training={"max_steps": 3, "threads": 1}, runtime=ONE)
    truth = np.add.outer(np.arange(96), np.arange(96))
    frames = list(np.random.default_rng(0).poisson(truth, (3, 96, 96)).astype(np.uint16))
    case = Case("a slope", frames[:2], frames[2:], [truth])
    (learned,) = learning_curve(case, settings, [60.0])
    assert learned.steps == 3
    assert learned.noisy_db == pytest.approx(psnr(truth, frames[2], truth.max() - truth.min()))
    assert learned.denoised_db != learned.noisy_db


def test_scenes_are_denoised_both_ways():
    options = {"base_channels": 4, "levels": 2, "batch": 2}
    settings = Settings(adaptive_sn2n=options, training={"threads": 1}, runtime=ONE)
    found = adaptive_costs(settings, 192, steps=3, **FEW)
    own = [cost.own for costs in found.values() for cost in costs.values()]
    assert list(found) == ["empty", "sparse", "cells", "dense"]
    assert own == sorted(own)
    assert own[0] == 0
    assert own[-1] == found["dense"]["cpu"].tiles
    assert found["dense"]["cpu"].largest == 0
    assert 0 < found["sparse"]["cpu"].rms < 0.01


def timing(wall_ms, cpu_ms, least_cpu_ms):
    return Timing(wall_ms, cpu_ms, least_cpu_ms, rounds=5, p99_ms=2 * wall_ms)


@pytest.fixture
def report():
    costs = {
        "cpu": (
            timing(100, 200, 190),
            {"normalise": (5, 5), "network": (90, 180), "assemble": (3, 3), "cast": (2, 2)},
        ),
        "openvino bfloat16": (
            timing(50, 50, 40),
            {"normalise": (5, 5), "network": (40, 40), "assemble": (3, 3), "cast": (2, 2)},
        ),
    }
    from quietscope.daemon.bench.frames import FrameCosts

    return BenchReport(
        machine={"date": "2026-11-21"},
        model="a network",
        operations=1e5,
        frames={512: {name: FrameCosts(timing, stages, 300_000) for name, (timing, stages) in costs.items()}},
        peers={name: timing for name, (timing, _) in costs.items()}
        | {"published": timing(5000, 10_000, 9_000)},
        peer_side=512,
        limits={"matrix product on one core, bfloat16, GFLOP/s": 1500.0},
        stores={"synced": {"quietscope": timing(20, 10, 9), BARE: timing(10, 5, 4)}},
        wires={"quietscope": timing(25, 10, 9), "pyzmq": timing(20, 5, 4)},
        data_side=512,
        channels={"cpu": {1: timing(100, 200, 190), 2: timing(210, 410, 400)}},
        adaptive={
            "sparse": {"cpu": AdaptiveCost(3, 16, timing(50, 60, 40), timing(100, 180, 40), 2e-4, 0.001)}
        },
        growth=Growth(2, 20, {"store": (timing(10, 5, 4), timing(11, 5, 4))}, memory_mb=0.5),
        learned=[Learned("a field", 20.0, 100, 33.0, 41.0)],
    )


def test_figures_are_ratios_of_what_was_measured(report):
    figures = json.loads(json.dumps(report.figures()))
    assert figures["ratios"]["published_over_ours"] == {"cpu": 50.0, "openvino bfloat16": 200.0}
    fractions = figures["ratios"]["fraction_of_arithmetic_limit"]["512"]
    assert fractions["cpu"] is None  # no float32 limit was measured
    assert fractions["openvino bfloat16"] == pytest.approx(1e5 * 300_000 / 40e-3 / 1500e9)
    assert figures["ratios"]["beside_the_network"]["512"]["openvino bfloat16"] == pytest.approx(0.2)


def test_tables_are_well_formed(report):
    text = report.markdown()
    for table in text.split("\n\n"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1
    assert "| published configuration" in text
    assert "| 50 (50) | 200 (100) |" in text
    assert "| 512² | openvino bfloat16 | 50 (50) | 100 | 20 |" in text
    assert "| 2 | cpu | 210 (410) | 420 | 1.02 |" in text
    assert "| sparse | 3 of 16 | cpu | 100 (180) | 50 (60) | 2.00 (3.00) | 0.020 % (0.10 %) |" in text
    assert "| quietscope | synced | 20 (10) | 26 | 50 % |" in text
    assert "| quietscope | 25 (10) | 0.168 | 80 % |" in text
    assert "| store | 10 (5) | 11 (5) | 1.10 | 1.00 |" in text
    assert "| a field | 20 | 100 | 33.00 | 41.00 |" in text


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(RunError, match="taken"):
        command.bench(Settings(), quick=True, out=taken, json_file=None)


@pytest.mark.slow
def test_the_networks_are_the_real_ones(tmp_path):
    settings = Settings(adaptive_sn2n={"base_channels": 4})
    operations = write_default(settings, tmp_path / "ours.onnx")
    assert 1e3 < operations < 1e4
    ours = Denoiser(tmp_path / "ours.onnx", settings.tiling, ONE)
    assert ours.metadata["receptive_field"] == "48"
    write_published(tmp_path / "published.onnx")
    tiles = TilingSettings(tile=64, overlap=0.5, batch=1, adaptive=False)
    published = Denoiser(tmp_path / "published.onnx", tiles, ONE)
    assert published.network_shape((512, 512)) == (64, 64)
    assert np.isfinite(published.denoise(np.zeros((8, 8), np.uint8))).all()
