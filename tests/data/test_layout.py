from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.dataset import PART_NAMES, Sample
from headstart.data.layout import are_parts, is_junk, labelled, part_in, part_of, readable
from headstart.errors import DataError

ROOT = Path("/photos")


@pytest.mark.parametrize("name", [".git", "._1.png", ".", "Thumbs.db", "THUMBS.DB", "desktop.ini", "__MACOSX"])
def test_hidden_files_and_the_litter_of_file_managers_are_junk(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize("name", ["1.png", "thumbs", "a.b", "_x", "MACOSX", ""])
def test_other_names_are_no_junk(name: str) -> None:
    assert not is_junk(name)


def test_a_name_that_is_no_unicode_becomes_text_that_can_be_written() -> None:
    assert readable("caf\udce9") == "caf�"
    assert readable("Größe 猫") == "Größe 猫"


@pytest.mark.parametrize("name", PART_NAMES)
def test_a_part_is_known_in_any_case(name: str) -> None:
    assert part_of(name) == part_of(name.upper()) == PART_NAMES[name]


@pytest.mark.parametrize("name", ["trains", "train1", "", "cat", "train "])
def test_a_name_that_is_only_like_a_part_is_none(name: str) -> None:
    assert part_of(name) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-00000-of-00004.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("mnist-test.arrow", "test"),
        ("TEST_0.tar", "test"),
        ("train/data-00000-of-00001.arrow", "train"),
        ("train1.parquet", "train"),
        ("constraint-0.parquet", None),
        ("latest.tar", None),
        ("data-00000-of-00001.arrow", None),
        ("", None),
    ],
)
def test_a_part_is_found_among_the_words_of_a_name(name: str, part: str | None) -> None:
    assert part_in(name) == part


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train", "test"], True),
        (["Train", "VAL", "testing"], True),
        (["train"], True),
        (["cat", "dog"], False),
        (["test", "val"], False),
        (["train", "wagon"], False),
        ([], False),
    ],
)
def test_folders_are_parts_if_there_is_one_to_train_on_and_no_other(folders: list[str], expected: bool) -> None:
    assert are_parts(folders, ROOT) is expected


def test_parts_beside_other_folders_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        are_parts(["train", "test", "annotations"], ROOT)
    assert str(caught.value) == (
        "/photos has folders for training and testing, and others beside them, such as 'annotations'; "
        "move those elsewhere, or give a folder with class folders only"
    )


def test_samples_make_a_data_set_with_their_labels_in_order() -> None:
    samples = [Sample(ROOT / "1.png", "dog"), Sample(ROOT / "2.png", "cat"), Sample(ROOT / "3.png", "dog")]
    dataset = labelled(ROOT, samples, has_loose_files=True)
    assert (dataset.root, dataset.samples, dataset.labels) == (ROOT, tuple(samples), ("cat", "dog"))
    assert (dataset.task, dataset.origin, dataset.choices) == ("classes", "folders", ())


@pytest.mark.parametrize(
    ("loose", "where"),
    [(True, "its files lie loose, not in class folders"), (False, "its subfolders are empty or missing")],
)
def test_no_samples_are_refused_with_where_the_files_are(loose: bool, where: str) -> None:
    with pytest.raises(DataError) as caught:
        labelled(ROOT, [], has_loose_files=loose)
    assert str(caught.value) == (
        f"/photos holds no labelled images: {where}; give a folder with one subfolder of images per class"
    )


def test_one_class_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^/photos holds one class only, 'cat'; a classifier needs at least two; add a"
    ):
        labelled(ROOT, [Sample(ROOT / "1.png", "cat")], has_loose_files=False)


def test_a_class_that_is_only_tested_is_refused() -> None:
    samples = [Sample(ROOT / "1.png", "cat", "train"), Sample(ROOT / "2.png", "dog", "test")]
    with pytest.raises(DataError, match="class 'dog' has images to validate or test on, but none to train on; add"):
        labelled(ROOT, samples, has_loose_files=False)
