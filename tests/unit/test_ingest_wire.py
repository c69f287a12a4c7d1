import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quietscope.adapters.frame import SUPPORTED_DTYPES
from quietscope.adapters.ingest import PROTOCOL, decode_message, encode_message
from quietscope.config import WireError


@given(
    st.sampled_from(SUPPORTED_DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
    )
)
def test_frames_come_out_as_they_went_in(pixels):
    parts = [bytes(part) for part in encode_message({"type": "frame", "n": 1}, pixels)]
    header, back = decode_message(parts)
    assert header["type"] == "frame"
    assert back is not None
    assert back.tobytes() == pixels.tobytes()
    assert back.shape == pixels.shape


def test_byte_order_of_the_sender_does_not_matter():
    pixels = np.arange(6, dtype=">u2").reshape(2, 3)
    _, back = decode_message([bytes(p) for p in encode_message({"type": "frame"}, pixels)])
    np.testing.assert_array_equal(back, pixels)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_bytes_are_an_error_and_nothing_else(parts):
    with pytest.raises(WireError):
        decode_message(parts)


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_random_header_and_buffer_are_an_error_or_right(header, buffer):
    with pytest.raises(WireError):
        decode_message([PROTOCOL.encode(), header, buffer])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2, 4]},
        {"shape": [6]},
        {"shape": [2, -3]},
        {"shape": [True, 6]},
        {"shape": "2,3"},
        {"dtype": "object"},
        {"dtype": "float64"},
        {"dtype": None},
        {"type": 7},
    ],
)
def test_faulty_headers(change):
    protocol, header, buffer = encode_message({"type": "frame"}, np.zeros((2, 3), "uint16"))
    faulty = json.dumps({**json.loads(bytes(header)), **change}).encode()
    with pytest.raises(WireError):
        decode_message([bytes(protocol), faulty, bytes(buffer)])


def test_half_a_character_is_no_text_and_a_whole_one_is():
    whole = encode_message({"type": "reject", "name": "\U0001f52c \\ud83d"})
    assert decode_message([bytes(part) for part in whole])[0]["name"] == "\U0001f52c \\ud83d"
    half = encode_message({"type": "reject", "name": "\ud83d"})
    with pytest.raises(WireError, match="lone surrogate"):
        decode_message([bytes(part) for part in half])
