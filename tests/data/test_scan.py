from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from headstart.data.dataset import Sample
from headstart.data.scan import list_files, scan
from headstart.errors import DataError, UsageError

HINT = "give a folder with one subfolder of images per class"


def tree(root: Path, paths: Iterable[str]) -> Path:
    """Files, whose bytes don't matter to a scan, below a folder."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def found(root: Path) -> set[tuple[str, str, str | None]]:
    samples = scan(root).samples
    return {(sample.file.relative_to(root).as_posix(), sample.label, sample.part) for sample in samples}


def test_each_subfolder_is_a_class(tmp_path: Path) -> None:
    dataset = scan(tree(tmp_path, ["dog/1.jpg", "cat/1.jpg", "cat/2.jpg"]))
    assert dataset.root == tmp_path
    assert dataset.labels == ("cat", "dog")
    assert dataset.counts() == {"cat": 2, "dog": 1}
    assert not dataset.is_divided
    assert dataset.samples == (
        Sample(tmp_path / "cat/1.jpg", "cat"),
        Sample(tmp_path / "cat/2.jpg", "cat"),
        Sample(tmp_path / "dog/1.jpg", "dog"),
    )


def test_the_order_does_not_depend_on_which_file_was_written_first(tmp_path: Path) -> None:
    names = ["cat/2.png", "cat/10.png", "dog/b.png", "dog/a.png", "cat/in/9.png"]
    one, other = tree(tmp_path / "one", names), tree(tmp_path / "other", reversed(names))
    assert [s.file.relative_to(one) for s in scan(one).samples] == [
        s.file.relative_to(other) for s in scan(other).samples
    ]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "VALID", "Testing"),
        ("TRAIN", "Validation", "TEST"),
        ("train", "dev", "test"),
    ],
)
def test_divided_folders_keep_their_parts_whatever_the_case(
    tmp_path: Path, train: str, validation: str, test: str
) -> None:
    names = [f"{part}/{label}/1.png" for part in (train, validation, test) for label in ("cat", "dog")]
    dataset = scan(tree(tmp_path, names))
    assert dataset.is_divided
    assert dataset.labels == ("cat", "dog")
    parts = {(sample.file.relative_to(tmp_path).parts[0], sample.part) for sample in dataset.samples}
    assert parts == {(train, "train"), (validation, "validation"), (test, "test")}


def test_a_training_and_a_test_folder_are_enough(tmp_path: Path) -> None:
    assert found(tree(tmp_path, ["train/a/1.png", "train/b/1.png", "test/a/1.png"])) == {
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
        ("test/a/1.png", "a", "test"),
    }


def test_a_training_folder_alone_is_enough(tmp_path: Path) -> None:
    assert found(tree(tmp_path, ["train/a/1.png", "train/b/1.png"])) == {
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
    }


@pytest.mark.parametrize("names", [["test/1.png", "val/1.png"], ["train/1.png", "wagon/1.png"]])
def test_classes_that_happen_to_be_named_like_parts_stay_classes(tmp_path: Path, names: list[str]) -> None:
    dataset = scan(tree(tmp_path, names))
    assert not dataset.is_divided
    assert len(dataset.labels) == 2


def test_hidden_files_and_the_litter_of_file_managers_do_not_count(tmp_path: Path) -> None:
    litter = [
        ".cache/1.png",
        "__MACOSX/1.png",
        "cat/.DS_Store",
        "cat/._1.png",
        "cat/Thumbs.db",
        "cat/desktop.ini",
        "dog/.thumbnails/1.png",
        "dog/__MACOSX/1.png",
        ".DS_Store",
    ]
    assert found(tree(tmp_path, ["cat/1.png", "dog/1.png", *litter])) == {
        ("cat/1.png", "cat", None),
        ("dog/1.png", "dog", None),
    }


def test_a_hidden_folder_does_not_hide_that_the_folders_are_divided(tmp_path: Path) -> None:
    names = [".git/config", "train/a/1.png", "train/b/1.png", "test/a/1.png", "README.txt"]
    assert scan(tree(tmp_path, names)).is_divided


def test_folders_inside_a_class_belong_to_it(tmp_path: Path) -> None:
    names = ["cat/2024/may/1.png", "cat/2025/1.png", "cat/1.png", "dog/1.png"]
    assert {(path, label) for path, label, _ in found(tree(tmp_path, names))} == {
        (name, name.partition("/")[0]) for name in names
    }


def test_names_may_hold_spaces_and_any_script(tmp_path: Path) -> None:
    names = ["Größe XL/ein Bild.jpg", "猫/写真 1.jpg", "a b/c'd\".png", "émoji 🐈/🐈.webp"]
    dataset = scan(tree(tmp_path, names))
    assert set(dataset.labels) == {"Größe XL", "猫", "a b", "émoji 🐈"}
    assert len(dataset.samples) == 4


def test_a_file_counts_whatever_its_suffix(tmp_path: Path) -> None:
    names = ["cat/1.JPG", "cat/2.JpEg", "cat/3", "cat/notes.txt", "dog/1.PNG"]
    assert {path for path, _, _ in found(tree(tmp_path, names))} == set(names)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    tree(tmp_path, ["store/1.png", "data/cat/1.png", "data/dog/1.png"])
    (tmp_path / "data/cat/linked.png").symlink_to(tmp_path / "store/1.png")
    assert scan(tmp_path / "data").counts() == {"cat": 2, "dog": 1}


def test_a_link_to_a_class_folder_is_a_class(tmp_path: Path) -> None:
    tree(tmp_path, ["store/1.png", "store/2.png", "data/dog/1.png"])
    (tmp_path / "data/cat").symlink_to(tmp_path / "store", target_is_directory=True)
    assert scan(tmp_path / "data").counts() == {"cat": 2, "dog": 1}


def test_links_that_lead_in_circles_are_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, ["cat/1.png", "dog/1.png"])
    (tmp_path / "cat/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dog/self").symlink_to(tmp_path / "dog", target_is_directory=True)
    (tmp_path / "ouroboros").symlink_to(tmp_path / "ouroboros")
    assert scan(tmp_path).counts() == {"cat": 1, "dog": 1}


def test_a_dangling_link_is_left_to_the_reader_of_the_files(tmp_path: Path) -> None:
    tree(tmp_path, ["cat/1.png", "dog/1.png"])
    (tmp_path / "cat/gone.png").symlink_to(tmp_path / "nowhere.png")
    assert scan(tmp_path).counts() == {"cat": 2, "dog": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_no_file_is_opened(tmp_path: Path) -> None:
    tree(tmp_path, ["cat/1.png", "dog/1.png"])
    os.mkfifo(tmp_path / "cat/pipe.png")  # opening this would wait for ever
    assert scan(tmp_path).counts() == {"cat": 2, "dog": 1}


def test_list_files_gives_the_visible_files_at_any_depth_by_path(tmp_path: Path) -> None:
    tree(tmp_path, ["b/1.png", "a.png", "b/c/2.png", ".hidden/3.png", "b/.4.png", "Thumbs.db"])
    assert [path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)] == ["a.png", "b/1.png", "b/c/2.png"]


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        scan(tmp_path / "photos")
    assert str(caught.value) == f"there is no folder {tmp_path / 'photos'}; {HINT}"


def test_a_file_in_place_of_a_folder_is_wrong_use(tmp_path: Path) -> None:
    tree(tmp_path, ["photos.zip"])
    with pytest.raises(UsageError) as caught:
        scan(tmp_path / "photos.zip")
    assert str(caught.value) == f"{tmp_path / 'photos.zip'} is a file, not a folder; {HINT}"


@pytest.mark.parametrize(
    "folders", [[], ["cat", "dog"], ["train/cat", "test/cat"]], ids=["nothing", "classes", "parts"]
)
def test_folders_without_files_are_refused(tmp_path: Path, folders: list[str]) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert str(caught.value) == f"{tmp_path} holds no labelled images: its subfolders are empty or missing; {HINT}"


def test_files_that_lie_loose_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, ["cat1.png", "dog1.png"])
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert (
        str(caught.value) == f"{tmp_path} holds no labelled images: its files lie loose, not in class folders; {HINT}"
    )


def test_files_lying_loose_beside_class_folders_have_no_label(tmp_path: Path) -> None:
    assert len(found(tree(tmp_path, ["cat/1.png", "dog/1.png", "loose.png"]))) == 2


@pytest.mark.parametrize("names", [["cat/1.png"], ["train/cat/1.png", "test/cat/1.png"]])
def test_a_single_class_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        scan(tree(tmp_path, names))
    assert str(caught.value) == (
        f"{tmp_path} holds one class only, 'cat'; a classifier needs at least two; add a folder for another"
    )


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_class_without_training_images_is_refused(tmp_path: Path, part: str) -> None:
    tree(tmp_path, ["train/cat/1.png", "train/dog/1.png", f"{part}/cat/1.png", f"{part}/owl/1.png"])
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert str(caught.value) == (
        "class 'owl' has images to validate or test on, but none to train on; "
        "add a folder 'owl' to the training folder, or take it out of the others"
    )


def test_parts_beside_other_folders_are_refused_rather_than_taken_as_classes(tmp_path: Path) -> None:
    root = tree(tmp_path, ["train/cat/1.png", "test/cat/2.png", "annotations/cat.xml"])
    with pytest.raises(DataError, match="for training and testing, and others beside them, such as 'annotations'"):
        scan(root)
