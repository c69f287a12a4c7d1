import numpy as np
import pytest

from quietscope.adapters.frame import Frame, FrameKey
from quietscope.config import StoreError
from quietscope.config.faultpoints import armed
from quietscope.daemon.spool import Spool, read_spool


def frame(t: int, dtype: str = "uint16") -> Frame:
    pixels = np.random.default_rng(t).integers(0, 255, (7, 5)).astype(dtype)
    return Frame(pixels, FrameKey(t, 1, 2, 3), 1000 + t, 12.5, {"name": f"frame {t}"})


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_frames_come_back_as_they_went_in(tmp_path, dtype):
    spool = Spool(tmp_path / "spool.bin", 10_000)
    frames = [frame(t, dtype) for t in range(3)]
    for one in frames:
        spool.append(one)
    for one in frames:
        back = spool.pop()
        assert back is not None
        np.testing.assert_array_equal(back.pixels, one.pixels)
        assert back.pixels.dtype == one.pixels.dtype
        assert (back.key, back.received_ns, back.exposure_ms, back.metadata) == (
            one.key,
            one.received_ns,
            one.exposure_ms,
            one.metadata,
        )
    assert spool.pop() is None
    for _ in frames:
        spool.release()
    spool.close()
    assert not (tmp_path / "spool.bin").exists()


def test_space_is_given_back_when_empty(tmp_path):
    path = tmp_path / "spool.bin"
    spool = Spool(path, 10_000)
    for t in range(5):
        spool.append(frame(t))
        assert spool.pop() is not None
        assert path.stat().st_size > 0, "a frame in a writer's hands is still needed after a crash"
        spool.release()
        assert path.stat().st_size == 0
    assert spool.total == 5
    spool.close()


def test_bound_is_named_and_nothing_is_lost(tmp_path):
    spool = Spool(tmp_path / "spool.bin", 300)
    spool.append(frame(0))
    with pytest.raises(StoreError, match=r"raise recorder\.spool_mb"):
        spool.append(frame(1))
    back = spool.pop()
    assert back is not None
    np.testing.assert_array_equal(back.pixels, frame(0).pixels)
    spool.close()


def test_what_a_crash_leaves_is_read_up_to_the_torn_end(tmp_path):
    path = tmp_path / "spool.bin"
    spool = Spool(path, 10_000)
    frames = [frame(t) for t in range(3)]
    for one in frames:
        spool.append(one)
    whole = path.read_bytes()
    ends = []
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found = list(read_spool(path))
        ends.append(len(found))
        for back, one in zip(found, frames, strict=False):
            np.testing.assert_array_equal(back.pixels, one.pixels)
            assert back.key == one.key
    assert ends == sorted(ends)
    assert ends[-2:] == [2, 3]
    spool.close()


def test_a_spool_that_cannot_be_read_back_says_so_and_its_file_stays(tmp_path):
    path = tmp_path / "spool.bin"
    spool = Spool(path, 10_000)
    spool.append(frame(0))
    with armed("spool.read=EIO"), pytest.raises(StoreError, match="check the disk"):
        spool.pop()
    spool.close()
    assert [one.key for one in read_spool(path)] == [frame(0).key]
