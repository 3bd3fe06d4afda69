from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Sample
from headstart.data.pairs import read_pairs
from headstart.errors import DataError, HeadstartError, UnknownNameError
from headstart.images.file import read_file


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Six files in two folders, whose bytes don't matter to a list."""
    paths = [tmp_path / "images" / folder / f"{number}.png" for folder in ("a", "b") for number in range(3)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_pairs_are_a_dataset_whose_root_holds_all_of_them(files: list[Path], tmp_path: Path) -> None:
    found = read_pairs([(path, path.parent.name) for path in reversed(files)])
    assert found.root == tmp_path / "images"
    assert found.samples == tuple(Sample(path, path.parent.name) for path in files)
    assert (found.labels, found.task, found.origin) == (("a", "b"), "classes", "table")
    assert found.choices[0] == ("images", "6 pairs of a path and a label", "given in Python")
    assert [what for what, *_ in found.choices] == ["images", "task"]


def test_paths_are_relative_to_the_working_directory(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_pairs((f"images/b/{number}.png", number % 2) for number in range(3))
    assert [sample.file for sample in found.samples] == files[3:]
    assert found.root == tmp_path / "images" / "b"
    assert found.labels == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        (np.arange(6) % 3, "classes", ("0", "1", "2")),
        (np.arange(6) + 0.5, "regression", ("label",)),
        ([["x"], ["x", "y"], [], ("y",), ["x"], ["y"]], "multi-label", ("x", "y")),
        (["x|y", "x", "", "y", "x", "y"], "multi-label", ("x", "y")),
    ],
)
def test_labels_may_be_names_numbers_and_lists(
    files: list[Path], labels: Any, task: str, expected: tuple[str, ...]
) -> None:
    found = read_pairs(list(zip(files, labels, strict=True)))
    assert (found.task, found.labels) == (task, expected)


def test_the_task_can_be_said(files: list[Path]) -> None:
    assert read_pairs([(path, number) for number, path in enumerate(files)], "regression").task == "regression"
    with pytest.raises(UnknownNameError, match="no task named 'regresion'"):
        read_pairs([(path, "x") for path in files], "regresion")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: [], "the list of images is empty; give pairs of a path and a label"),
        (lambda pairs: [*pairs, "x.png"], "the list, row 7: 'x.png' is no pair"),
        (lambda pairs: [*pairs, ("x.png",)], "the list, row 7: ('x.png',) is no pair"),
        (
            lambda pairs: [*pairs, (7, "a")],
            "the list, row 7: 7 is neither a path nor an array; give pairs of one and a label",
        ),
        (lambda pairs: [*pairs, ("x.png", {"a": 1})], "the list, row 7: {'a': 1} is no label"),
        (lambda pairs: [*pairs, ("x.png", "a")], "the list, row 7, column 'path': there is no file 'x.png'"),
        (lambda pairs: [*pairs, pairs[2]], "is in row 3 already; keep one row per image"),
        (lambda pairs: [*pairs[:5], (pairs[5][0], "")], "the list, row 6, column 'label'"),
        (lambda pairs: [*pairs[:4], (pairs[4][0], None), pairs[5]], "the list, row 5, column 'label'"),
        (
            lambda pairs: [*pairs, ("x.png", np.array([0, 1, 0]))],
            "row 7: the label is an array of 0 and 1, which may be one class or several labels; give classes, "
            "y.argmax(axis=1), or lists of names",
        ),
        (
            lambda pairs: [*pairs, (np.zeros((4, 4), np.uint8), "a")],
            "the list has an array in row 7 and a path in row 1; give all images alike",
        ),
    ],
)
def test_what_is_wrong_is_told_by_row(files: list[Path], change: Any, message: str) -> None:
    with pytest.raises(HeadstartError, match=re.escape(message)):
        read_pairs(change([(path, path.parent.name) for path in files]))


def test_arrays_are_images_in_the_order_of_the_list() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), np.uint8)
    found = read_pairs(zip(pictures, ["a", "b"] * 6, strict=True))
    assert [str(sample.file) for sample in found.samples] == [f"{number:02}" for number in range(1, 13)]
    assert [sample.label for sample in found.samples] == ["a", "b"] * 6
    assert str(found.root) == "arrays in memory"
    assert found.choices[0] == ("images", "12 pairs of an array and a label", "given in Python")
    for sample, picture in zip(found.samples, pictures, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(read_file(sample.file)))), picture)


def test_classes_as_keras_keeps_them_are_classes() -> None:
    pictures = np.zeros((6, 4, 4), np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
    found = read_pairs(zip(pictures, np.array([[0], [1], [2], [0], [1], [2]]), strict=True))
    assert (found.task, found.labels) == ("classes", ("0", "1", "2"))


def test_an_array_that_is_no_image_is_told_by_row() -> None:
    pictures = [np.zeros((4, 4), np.uint8), np.full((4, 4, 3), 0.5)]
    message = (
        "the list, row 2: the array is no image: it is of float64; give whole numbers from 0 to 255: "
        "(x * 255).round().astype('uint8')"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        read_pairs(zip(pictures, ["a", "b"], strict=True))
