from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.errors import ImageError
from headstart.images.arrays import Arrays, check_array
from headstart.images.decode import decode
from headstart.images.file import byte_size, read_file

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 5), np.uint8)
COLOURS = RNG.integers(0, 256, (7, 5, 3), np.uint8)


def decoded(array: np.ndarray) -> np.ndarray:
    (member,) = Arrays([array]).members(["x"])
    return np.asarray(decode(read_file(member)))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (COLOURS, COLOURS),
        (COLOURS[::-1, ::-1], COLOURS[::-1, ::-1]),
        (GREY > 99, np.where(GREY > 99, 255, 0)),
        (GREY.astype(np.uint16) * 257, GREY),
        (np.dstack([COLOURS, np.full((7, 5), 255, np.uint8)]), COLOURS),
        (np.dstack([COLOURS, np.zeros((7, 5), np.uint8)]), np.full((7, 5, 3), 255)),
    ],
    ids=["grey", "one-channel", "colours", "not-contiguous", "bool", "sixteen-bit", "opaque", "transparent"],
)
def test_an_array_is_the_image_that_its_file_would_be(array: np.ndarray, expected: np.ndarray) -> None:
    check_array(array)
    assert np.array_equal(decoded(array), expected)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (GREY / 255, "it is of float64; give whole numbers from 0 to 255: (x * 255).round().astype('uint8')"),
        (GREY * 1.0, "it is of float64; give whole numbers from 0 to 255: x.round().astype('uint8')"),
        (GREY.astype(np.int32), "it is of int32; give whole numbers from 0 to 255: x.astype('uint8')"),
        (GREY.astype(complex), "it is of complex128; give whole numbers from 0 to 255: as uint8"),
        (np.array([["a"]]), "it is of <U1; give whole numbers from 0 to 255: as uint8"),
        (
            COLOURS.astype(np.uint16),
            "it has colours of uint16; give whole numbers from 0 to 255: (x // 257).astype('ui",
        ),
        (
            np.moveaxis(COLOURS, 2, 0)[:, :2],
            "its shape is (3, 2, 5), and images have 1, 3 or 4 channels; channels come",
        ),
        (np.zeros((7, 5, 2), np.uint8), "its shape is (7, 5, 2), and images have 1, 3 or 4 channels"),
        (np.zeros((0, 5), np.uint8), "its shape is (0, 5); give (height, width) or (height, width, channels)"),
        (np.zeros(5, np.uint8), "its shape is (5,); give (height, width)"),
        (np.zeros((2, 7, 5, 3), np.uint8), "its shape is (2, 7, 5, 3); give (height, width)"),
    ],
    ids=str,
)
def test_what_is_no_image_is_told_with_its_mend(array: Any, problem: str) -> None:
    with pytest.raises(ImageError) as caught:
        check_array(array)
    assert str(caught.value).startswith(problem)


def test_equal_arrays_give_equal_bytes_and_others_dont() -> None:
    one, same, other = (read_file(member) for member in Arrays([GREY, GREY.copy(), GREY.T]).members("abc"))
    assert one == same != other


def test_no_more_is_read_than_asked_for_and_the_size_is_that_of_the_numbers() -> None:
    (member,) = Arrays([COLOURS]).members(["x"])
    assert member.container.read("0", 8) == b"\x89PNG\r\n\x1a\n"
    assert byte_size(member) == 7 * 5 * 3


def test_an_array_is_encoded_when_it_is_read() -> None:
    array = GREY.copy()
    (member,) = Arrays([array]).members(["x"])
    array[:] = 9
    assert set(np.asarray(Image.open(io.BytesIO(read_file(member)))).ravel()) == {9}
    array.resize((0, 5), refcheck=False)
    with pytest.raises(ImageError, match="its shape is"):
        read_file(member)
