"""Packing of bit fields, against Python's big integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eie.contract.bits import pack_fields, unpack_fields


@given(
    width=st.integers(1, 32),
    fields=st.integers(1, 20),
    beats=st.integers(0, 5),
    spare=st.integers(0, 9),
    data=st.data(),
)
def test_fields_lie_side_by_side_from_the_low_bits(width, fields, beats, spare, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = rng.integers(0, 1 << width, (beats, fields), dtype=np.uint64).astype(np.uint32)
    beat_bytes = (width * fields + 7) // 8 + spare
    packed = pack_fields(values, width, beat_bytes)
    assert packed.shape == (beats, beat_bytes)
    for beat, row in zip(packed, values, strict=True):
        expected = sum(int(v) << (i * width) for i, v in enumerate(row))
        assert int.from_bytes(beat.tobytes(), "little") == expected
    assert np.array_equal(unpack_fields(packed, width, fields), values)
