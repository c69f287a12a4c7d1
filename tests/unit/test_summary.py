import pytest

from quietscope.daemon.summary import Summary


@pytest.mark.parametrize("skipped", [{}, {"training": 3}])
def test_a_run_without_refused_frames_needs_no_advice(skipped):
    assert Summary({"skipped": skipped, "store": "out/run/image.ome.zarr"}, ()).advice == ""


def test_frames_that_no_model_was_good_enough_for_come_with_the_command_that_tries_again(tmp_path):
    store = str(tmp_path / "run" / "image.ome.zarr")
    advice = Summary({"skipped": {"gate": 8, "training": 1}, "store": store}, ()).advice
    assert advice.startswith("8 frames")
    assert f"quietscope denoise {tmp_path / 'run'} --set training.budget_s=" in advice
