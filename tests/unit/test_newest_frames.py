"""Which frames a channel is trained on again, and which it is judged by."""

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreReader, StoreWriter
from quietscope.config.system import StoreSettings
from quietscope.daemon.ledger import LedgerWriter, RawRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.newest_frames import NewestFrames

EMPTY = (17, 18)


@pytest.fixture
def find(tmp_path):
    """Looks into a run of 20 frames, of which two near the end are empty."""
    store = StoreWriter(tmp_path, Series(32, 32, "uint16", ("a",), "test"), StoreSettings(sync=False))
    writer = LedgerWriter(tmp_path / "ledger.db")
    for t in range(20):
        noise = np.random.default_rng(t).poisson(100, (32, 32)).astype("uint16")
        store.write("raw", FrameKey(t), np.zeros_like(noise) if t in EMPTY else noise)
        writer.commit([RawRow(FrameKey(t), t, t, 0, None, {})])
    writer.close()
    ledger = LedgerReader(tmp_path / "ledger.db")

    def look(wanted, **options):
        found = NewestFrames(ledger, StoreReader(tmp_path), 0, wanted=wanted, **options).look()
        return None if found is None else tuple([key.t for key in chosen.keys] for chosen in found)

    yield look
    ledger.close()


def keys(*times):
    return [FrameKey(t) for t in times]


def test_the_newest_usable_frames_are_taken_and_the_very_newest_held_out(find):
    learned, held_out = find(4)
    assert held_out == [12, 13, 14, 15, 16, 19]
    assert learned == [8, 9, 10, 11]


def test_few_frames_are_shared_out(find):
    assert find(17) == (list(range(16)), [16, 19])
    assert find(4, after=14) == ([14, 15], [16, 19]), "ids begin with 1"


def test_what_the_model_in_use_has_learned_is_not_held_out(find):
    learned, held_out = find(4, seen=keys(*range(14)))
    assert held_out == [14, 15, 16, 19]
    assert learned == [10, 11, 12, 13]
    assert find(4, seen=keys(*range(17))) is None, "one frame is too few to judge by"


def test_of_a_changed_specimen_enough_frames_are_waited_for(find):
    assert find(4, after=13, least=4) is None
    assert find(4, after=12, least=4) == ([12, 13, 14, 15], [16, 19])
