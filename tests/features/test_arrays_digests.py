from __future__ import annotations

import numpy as np
import pytest

from headstart.features.arrays import THREADED_BYTES, digest_of, digests_of


@pytest.mark.parametrize("length", [3, THREADED_BYTES], ids=["small rows", "large rows"])
def test_rows_are_hashed_one_by_one_and_in_order(length: int) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (20, length), np.uint8)
    rows[7] = rows[3]
    digests = digests_of(rows)
    assert digests == [digest_of(row) for row in rows]
    assert len(set(digests)) == 19


def test_no_rows_have_no_digests() -> None:
    assert digests_of(np.empty((0, 4))) == []
