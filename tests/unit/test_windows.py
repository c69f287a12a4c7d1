"""Windows cover every pixel once, with enough around it, on the network's grid, and in bounded size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietscope.config.errors import ModelError
from quietscope.models.windows import cover


@given(
    cells=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    stride=st.sampled_from([1, 4, 8, 32]),
    reach=st.integers(0, 160),
    most=st.integers(1, 1 << 18),
)
def test_parts_tile_the_frame_and_see_what_the_whole_frame_sees(cells, stride, reach, most):
    shape = cells[0] * stride, cells[1] * stride
    layout = cover(shape, reach=reach, stride=stride, most=most)
    for axis, (starts, bounds) in enumerate([(layout.tops, layout.rows), (layout.lefts, layout.columns)]):
        length, side = shape[axis], layout.side[axis]
        assert bounds[0] == 0
        assert bounds[-1] == length
        assert list(bounds) == sorted(set(bounds))
        assert side % stride == 0
        for start, first, end in zip(starts, bounds, bounds[1:], strict=False):
            assert start % stride == 0
            assert 0 <= start <= length - side
            # where the window ends before the frame does, what it gives is further inside than the network looks
            assert start == 0 or first - start >= reach
            assert start + side == length or start + side - end >= reach
    assert len(list(layout.parts())) == layout.count


def test_a_frame_that_fits_is_one_window():
    layout = cover((544, 544), reach=24, stride=4, most=1 << 20)
    assert (layout.count, layout.side, layout.pixels) == (1, (544, 544), 544 * 544)


def test_large_frames_are_cut_into_bounded_windows_at_little_extra_cost():
    layout = cover((4128, 4128), reach=24, stride=4, most=1 << 20)
    assert layout.side[0] * layout.side[1] <= 1 << 20
    assert layout.pixels < 1.12 * 4128**2


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((10, 8), {"reach": 4, "stride": 4, "most": 100}),
        ((8, 8), {"reach": -1, "stride": 4, "most": 100}),
        ((8, 8), {"reach": 4, "stride": 0, "most": 100}),
        ((0, 8), {"reach": 4, "stride": 4, "most": 100}),
    ],
)
def test_impossible_values_are_refused(shape, options):
    with pytest.raises(ModelError, match="multiples of the stride"):
        cover(shape, **options)
