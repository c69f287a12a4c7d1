import numpy as np

from quietscope.adapters.frame import FrameKey
from quietscope.config import Settings
from quietscope.daemon.training_job import TrainingJob, place_by_place
from quietscope.models.gaussian import blur


def test_frames_of_different_positions_are_never_compared(tmp_path, write_filter_model):
    """Positions in turn, noise shared by neighbours: only time points of one position show the same."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(100, 900, 128, dtype=np.float32)[None].repeat(128, axis=0)
    keys = [FrameKey(t, p=p) for t in range(3) for p in range(2)]
    noise = [20 * blur(rng.standard_normal((128, 128), dtype=np.float32), 1.0) for _ in keys]
    frames = [(ramp if key.p else ramp[:, ::-1]) + one for key, one in zip(keys, noise, strict=True)]
    path = tmp_path / "c0.onnx"
    write_filter_model(path, np.full((9, 9), 1 / 81))
    job = TrainingJob(tmp_path, Settings(), lambda *_, **__: None, 0, "GFP")
    judgement = job.judge(path, None, frames, keys, held_out=True)
    assert judgement.figures["pairs"] == "temporal"
    # two independent noises, and not the hundreds of grey levels between the positions
    assert judgement.figures["pair_error_identity"] < 3 * float(np.var(noise[0]))


def test_frames_are_ordered_place_by_place_and_places_never_follow_one_another():
    keys = [FrameKey(t, 0, z, p) for t in range(3) for p in range(2) for z in range(2)]
    frames = [np.full((2, 2), key.t + 10 * key.z + 100 * key.p) for key in keys]
    ordered, times = place_by_place(frames, keys)
    assert [int(frame[0, 0]) for frame in ordered] == [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]
    steps = np.diff(times)
    assert [int(step) for step in steps[[0, 1, 3, 4, 6, 7, 9, 10]]] == [1] * 8
    assert steps[[2, 5, 8]].min() > 1000
