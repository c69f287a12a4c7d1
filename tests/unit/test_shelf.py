"""Models of earlier runs: kept, found again, judged anew, and never trusted blindly."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from shelf_scene import SIDE, kernel, remembered, series, specimen
from typer.testing import CliRunner

from quietscope.adapters.frame import FrameKey, Series
from quietscope.config import ModelError, RunError, Settings
from quietscope.config.faultpoints import armed
from quietscope.config.science import RuntimeSettings
from quietscope.config.shelf import ModelsSettings
from quietscope.daemon.cli import app
from quietscope.daemon.earlier_model import EarlierModels
from quietscope.daemon.fingerprint import Fingerprint
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.ledger import DenoisedRow, LedgerWriter, MetaRow, ModelRow, RawRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.models_live import LiveModels
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.shelf import Shelf
from quietscope.daemon.training_job import TrainingJob
from quietscope.models.denoiser import Denoiser
from quietscope.models.normalisation import Normaliser, StreamScale

SERIES = Series(SIDE, SIDE, "uint16", ("GFP",), "test", 0.1)
METADATA = {"camera": "Zyla", "objective": "60x", "binning": "1", "name": "img_0.tif"}
KEYS = [FrameKey(t) for t in range(6)]


def fingerprint(settings=None, exposure_ms=100.0, metadata=METADATA, of=SERIES):
    return Fingerprint.of(of, "GFP", settings or Settings(), exposure_ms=exposure_ms, metadata=metadata)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", count=10, megabytes=10)


@pytest.fixture
def filter_model(tmp_path, write_filter_model):
    def write(sigma=3.0, name="model.onnx", **options):
        path = tmp_path / name
        write_filter_model(path, kernel(sigma), **options)
        return path

    return write


class Start:
    """A run that begins beside a shelf: its ledger holds what the source says of the first frame."""

    def __init__(self, tmp_path, shelf):
        self.settings = Settings(models={"shelf": str(shelf.folder)}, runtime={"provider": "cpu"})
        self.run = RunFolder.create(tmp_path, "run")
        writer = LedgerWriter(self.run.ledger)
        facts = {"height": SIDE, "width": SIDE, "dtype": "uint16", "channels": ("GFP",), "source": "test"}
        writer.commit(
            [
                MetaRow("series", {**facts, "pixel_size_um": 0.1, "planned": {}}),
                RawRow(KEYS[0], 1, 1, 0, 100.0, METADATA),
            ]
        )
        writer.close()
        self.ledger = LedgerReader(self.run.ledger)
        self.said = []
        self.job = TrainingJob(self.run.models, self.settings, self.emit, 0, "GFP")
        self.earlier = EarlierModels(self.run, self.settings, self.ledger, emit=self.emit)

    def emit(self, event, **fields):
        if event == "earlier_model":
            self.said.append(fields["text"])

    def look(self, frames):
        assert not self.earlier.wants(0, 2)
        assert self.earlier.wants(0, len(frames))
        found = self.earlier.start(self.job, 0, "GFP", frames, KEYS)
        assert not self.earlier.wants(0, len(frames))
        return found


@pytest.fixture
def start(tmp_path, shelf):
    begun = Start(tmp_path, shelf)
    yield begun
    begun.ledger.close()


def test_what_microscope_and_network_have_in_common_is_told_apart():
    own = fingerprint()
    assert fingerprint(exposure_ms=100.02).digest == own.digest
    assert fingerprint(metadata={**METADATA, "name": "img_1.tif", "elapsed_ms": 5.0}).digest == own.digest
    assert fingerprint(Settings(training={"frames": 20, "seed": 3})).digest == own.digest
    others = [
        fingerprint(exposure_ms=50.0),
        fingerprint(metadata={**METADATA, "objective": "20x"}),
        fingerprint(metadata={**METADATA, "binning": "2"}),
        fingerprint(of=replace(SERIES, pixel_size_um=0.2)),
        fingerprint(of=replace(SERIES, width=80)),
        fingerprint(Settings(method="fm2s")),
        fingerprint(Settings(adaptive_sn2n={"base_channels": 8})),
    ]
    assert len({own.digest, *(other.digest for other in others)}) == 8
    assert "objective 60x" in own.words
    assert fingerprint(exposure_ms=None, metadata={}).unknown == ("exposure", "camera", "objective")


def test_the_last_model_of_a_fingerprint_is_found_and_is_the_one_that_was_kept(shelf, filter_model, tmp_path):
    first = shelf.keep(filter_model(1.0), fingerprint(), run=tmp_path / "a", figures={})
    second = shelf.keep(filter_model(2.0), fingerprint(), run=tmp_path / "b", figures={"slope": 1.0})
    shelf.keep(filter_model(3.0), fingerprint(exposure_ms=1.0), run=tmp_path / "c", figures={})
    assert shelf.last(fingerprint()) == second
    assert shelf.last(fingerprint(exposure_ms=7.0)) is None
    shelf.take(first, tmp_path / "taken.onnx")
    assert (tmp_path / "taken.onnx").read_bytes() == filter_model(1.0).read_bytes()
    assert not [path for path in shelf.folder.iterdir() if path.suffix not in {".onnx", ".json"}]


def test_the_shelf_has_room_for_so_many_models_and_so_many_bytes(tmp_path, filter_model):
    size = filter_model(1.0).stat().st_size
    for shelf in (
        Shelf(tmp_path / "few", count=3, megabytes=10),
        Shelf(tmp_path / "small", count=10, megabytes=3.5 * size / 1e6),
    ):
        kept = [
            shelf.keep(filter_model(1 + n / 5), fingerprint(), run=tmp_path, figures={}).model_id
            for n in range(5)
        ]
        assert [model.model_id for model in shelf.models()] == kept[:1:-1]
        assert len(list(shelf.folder.iterdir())) == 6


def test_a_file_that_was_changed_is_not_loaded(shelf, filter_model, tmp_path):
    model = shelf.keep(filter_model(1.0), fingerprint(), run=tmp_path, figures={})
    file, good = shelf.folder / f"{model.model_id}.onnx", tmp_path / "taken.onnx"
    content = file.read_bytes()
    for changed in (content + b"x", content[:-1] + b"x"):
        file.write_bytes(changed)
        with pytest.raises(ModelError, match=f"quietscope shelf remove {model.model_id}"):
            shelf.take(model, good)
    file.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        shelf.take(model, good)
    assert not good.exists()
    with pytest.raises(ModelError):
        shelf.keep(tmp_path / "shelf" / f"{model.model_id}.json", fingerprint(), run=tmp_path, figures={})


@pytest.mark.parametrize(
    "change",
    [{"model_id": "../../etc"}, {"kept": "yesterday"}, {"format": 2}, {"size": "1"}, {"figures": []}],
)
def test_damaged_notes_are_passed_over(shelf, filter_model, tmp_path, change):
    model = shelf.keep(filter_model(1.0), fingerprint(), run=tmp_path, figures={})
    note = shelf.folder / f"{model.model_id}.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), **change}))
    (shelf.folder / "other.json").write_text("[")
    assert shelf.models() == []


def test_where_the_shelf_is(monkeypatch, tmp_path):
    assert Shelf.of(ModelsSettings()) is None  # the tests' own setting
    assert Shelf.of(ModelsSettings(shelf="off")) is None
    assert Shelf.of(ModelsSettings(shelf=str(tmp_path))).folder == tmp_path
    monkeypatch.delenv("QUIETSCOPE_SHELF")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert "quietscope" in str(Shelf.of(ModelsSettings()).folder)


def test_an_unwritable_shelf_says_so_and_does_not_stop_the_run(start, filter_model):
    path = filter_model()
    start.settings.models.shelf.write_text("a file, not a folder")
    said = []
    earlier = EarlierModels(
        start.run, start.settings, start.ledger, emit=lambda _, **fields: said.append(fields["text"])
    )
    earlier.keep(0, "GFP", path, {"trust": {}})
    assert len(said) == 1
    assert "models.shelf" in said[0]


def test_a_model_of_the_same_sample_serves_at_once_and_is_marked(start, shelf, filter_model, tmp_path):
    path, photons = filter_model(), specimen()
    kept = shelf.keep(
        path, fingerprint(), run=tmp_path / "monday", figures=remembered(path, series(photons, 0))
    )
    found = start.look(series(photons, 100))
    assert found is not None, start.said
    assert found.accepted
    assert found.model_id == kept.model_id
    assert found.path == start.run.models / "c0-earlier.onnx"
    assert "run monday" in found.figures["earlier"]["words"]
    assert found.figures["trust"] == json.loads(json.dumps(kept.figures["trust"]))
    assert "started from the earlier model" in start.said[0]
    assert start.earlier.serves(0)


def inventing(path, dots):
    """A model that draws what is not there: dots where there is noise, or always the same rings."""
    size = Denoiser(path, Settings().tiling, Settings().runtime).network_shape((SIDE, SIDE))
    y, x = np.indices(size)
    rings = 0.1 * np.cos(np.hypot(y - size[0] / 2, x - size[1] / 2) / 2)
    sizes = ["batch", 1, "height", "width"]
    weights = {"blur": kernel(3.0), "peak": kernel(1.0) - kernel(3.0), "rings": rings}
    nodes = [
        helper.make_node("Conv", ["input", "blur"], ["smooth"], pads=[15] * 4),
        helper.make_node("Conv", ["input", "peak"], ["peaks"], pads=[15] * 4),
        helper.make_node("Relu", ["peaks"], ["dots"]),
        helper.make_node("Add", ["smooth", "dots" if dots else "rings"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "inventing",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(w.astype(np.float32)[None, None], name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    metadata = Normaliser("stream", StreamScale(100.0, 50.0, 4.0)).to_metadata()
    helper.set_model_props(model, {**metadata, "stride": "8"})
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("makes dots of noise", "Gaussian blur"),
        ("draws rings", "comes through as structure"),
        ("blurs", "Gaussian blur"),
        ("other camera gain", "noise"),
        ("other sample", "intensities would be wrong"),
        ("other light", "during training"),
        ("no record", "without a record"),
        ("damaged record", "not used"),
    ],
)
def test_a_foreign_model_is_refused_in_words(start, shelf, filter_model, tmp_path, case, words):
    """All have the fingerprint of this run; gate and trust find out."""
    photons, path = specimen(), filter_model()
    here = series(photons, 100)
    figures = remembered(path, series(photons, 0))
    if case in {"makes dots of noise", "draws rings"}:
        inventing(path, dots=case == "makes dots of noise")
    elif case == "blurs":
        path = filter_model(7.0)
    elif case == "other camera gain":
        here = series(photons, 100, gain=1.1)
    elif case == "other sample":
        here = series(5 * specimen(7, size=3.0), 100)
    elif case == "other light":
        here = series(3 * specimen(7), 100)
    elif case == "no record":
        figures = {}
    else:
        figures["trust"]["strata"] = [{"centre": "x"}]
    shelf.keep(path, fingerprint(), run=tmp_path / "monday", figures=figures)
    assert start.look(here) is None
    assert len(start.said) == 1
    assert "run monday is not used" in start.said[0]
    assert words in start.said[0]
    assert not start.earlier.serves(0)
    assert not list(start.run.models.iterdir())


def own_model(start, path, frames):
    return start.job.judge(path, None, frames, KEYS[: len(frames)], held_out=True)


def test_the_better_of_both_models_serves_on_and_none_if_both_fail(start, shelf, filter_model, tmp_path):
    path, photons = filter_model(3.4), specimen()
    shelf.keep(path, fingerprint(), run=tmp_path / "monday", figures=remembered(path, series(photons, 0)))
    frames = series(photons, 100)[:3]
    assert start.look(frames) is not None
    arguments = {"keys": KEYS[:3], "held_out": True}

    def decided(own, frames=frames):
        earlier = EarlierModels(start.run, start.settings, start.ledger, emit=start.emit)
        earlier._serving[0] = start.run.models / "c0-earlier.onnx"
        return earlier.compare(start.job, 0, own, frames=frames, **arguments)

    worse, better = (
        own_model(start, filter_model(s, name), frames) for s, name in ((4.0, "w.onnx"), (3.0, "b.onnx"))
    )
    errors = [own_model(start, path, frames).figures["pair_error_model"]]
    errors += [model.figures["pair_error_model"] for model in (worse, better)]
    accepted = replace(worse, accepted=True)
    assert errors[1] > errors[0] > errors[2]
    refused = decided(accepted)
    assert not refused.accepted
    assert "worse than the earlier model" in refused.reason
    assert "withdrawn" not in refused.figures
    assert decided(replace(better, accepted=True)).accepted
    failed = Judgement("0" * 12, None, accepted=False, reason="diverged", figures={})
    assert decided(failed) == failed
    other_sample = series(5 * specimen(7, size=3.0), 100)[:3]
    gone = decided(failed, other_sample)
    assert not gone.accepted
    assert gone.figures["withdrawn"] == own_model(start, path, frames).model_id
    assert "does not pass any more" in gone.reason


def judged(channel, accepted, **figures):
    return ModelRow(f"{accepted}", channel, accepted, "models/c0.onnx", "words", figures)


def test_the_ledger_tells_an_earlier_model_from_the_run_s_own(tmp_path):
    earlier = {"words": "started from monday"}
    writer = LedgerWriter(tmp_path / "ledger.db")
    writer.commit(
        [
            RawRow(FrameKey(0), 1, 1, 0, None, {}),
            DenoisedRow(FrameKey(0), 2, 0, "True", None, live=True),
            *(judged(channel, True, earlier=earlier) for channel in range(4)),
            judged(1, False),
            judged(2, True),
            judged(3, False, withdrawn="True"),
        ]
    )
    writer.close()
    with LedgerReader(tmp_path / "ledger.db") as ledger:
        found = ledger.verdicts()
        assert [found[c].accepted for c in range(4)] == [True, True, True, False]
        assert [found[c].provisional for c in range(4)] == [True, False, False, False]
        assert ledger.earlier_models()[0] == ("started from monday", 1)
        assert set(ledger.earlier_models()) == {0, 1, 2, 3}


def test_while_an_earlier_model_serves_the_store_is_not_filled_up(start, filter_model):
    path = filter_model()
    path.replace(start.run.models / "c0.onnx")
    writer = LedgerWriter(start.run.ledger)
    models = LiveModels(start.run, start.settings, on_event=lambda *_, **__: None)
    for row, live, training in (
        (judged(0, True, earlier={}), True, True),
        (judged(0, False), True, False),
        (judged(0, False, withdrawn="x"), False, False),
    ):
        writer.commit([row])
        models.refresh(start.ledger.verdicts(), (SIDE, SIDE))
        assert (models.is_live(0), models.is_training(1)) == (live, training)
    writer.close()
    assert models.given_up(1) == {0: "gate"}


def test_a_device_that_failed_under_one_model_is_told_once_and_not_of_the_next(start, filter_model):
    for name, sigma in (("c0.onnx", 1.0), ("c0-2.onnx", 2.0)):
        filter_model(sigma).replace(start.run.models / name)
    told = []
    settings = start.settings.model_copy(update={"runtime": RuntimeSettings(provider="cpu", threads=1)})
    models = LiveModels(start.run, settings, on_event=lambda event, **fields: told.append((event, fields)))
    writer = LedgerWriter(start.run.ledger)
    for number, path in enumerate(("models/c0.onnx", "models/c0-2.onnx")):
        writer.commit([ModelRow(str(number), 0, True, path, "words", {})])
        models.refresh(start.ledger.verdicts(), (SIDE, SIDE))
        if number == 0:
            with armed("runtime.run=lost@1x1"):
                models[0].denoiser.denoise(np.ones((SIDE, SIDE), np.uint16))
        for _ in range(2):
            models.note_trouble(0)
    writer.close()
    warnings = [fields["text"] for event, fields in told if event == "log" and fields["level"] == "warning"]
    assert len(warnings) == 1
    assert "on the CPU" in warnings[0]


def test_list_show_and_remove(shelf, filter_model, tmp_path):
    kept = [
        shelf.keep(filter_model(s), fingerprint(), run=tmp_path / "monday", figures={"slope": s})
        for s in (1.0, 2.0)
    ]
    folder = ["--shelf", str(shelf.folder)]

    def call(*arguments):
        result = CliRunner().invoke(app, ["shelf", *arguments, *folder], env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    assert all(model.model_id in call("list") for model in kept)
    assert json.loads(call("show", kept[0].model_id[:8]))["figures"] == {"slope": 1.0}
    with pytest.raises(RunError, match="shelf list"):
        call("show", "zzz")
    with pytest.raises(RunError, match="--all"):
        call("remove")
    call("remove", kept[0].model_id)
    assert [model.model_id for model in shelf.models()] == [kept[1].model_id]
    call("remove", "--all")
    assert list(shelf.folder.iterdir()) == []
