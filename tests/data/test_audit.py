from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from headstart.data.audit import Audit, audit, check_weights, leave_out
from headstart.data.dataset import Dataset, Sample
from headstart.data.labels import Label, Task, names_in
from headstart.data.scan import scan
from headstart.errors import DataError


def audited(root: Path, contents: Mapping[str, str], unreadable: Mapping[str, str] | None = None) -> Audit:
    """The audit of files with these contents, of which some are said to be no images."""
    for path, content in contents.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    digests = {root / path: digest_of(content) for path, content in contents.items()}
    return audit(scan(root), digests, {root / path: reason for path, reason in (unreadable or {}).items()})


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def images(*folders: str, count: int = 3) -> dict[str, str]:
    """Paths and contents of files, each like no other."""
    paths = [f"{folder}/{number}.png" for folder in folders for number in range(count)]
    return {path: path for path in paths}


def names(result: Audit, root: Path) -> list[str]:
    return [sample.file.relative_to(root).as_posix() for sample in result.samples]


def left_out(result: Audit, root: Path) -> dict[str, str]:
    return {entry.file.relative_to(root).as_posix(): entry.reason for entry in result.quarantined}


def test_sound_images_all_stay_with_their_digests(tmp_path: Path) -> None:
    contents = images("cat", "dog")
    result = audited(tmp_path, contents)
    assert names(result, tmp_path) == sorted(contents)
    assert result.digests == tuple(digest_of(contents[name]) for name in names(result, tmp_path))
    assert result.quarantined == ()
    assert result.duplicates == 0


def test_different_images_are_by_their_first_file(tmp_path: Path) -> None:
    contents = {**images("cat", "dog"), "cat/a.png": "same", "cat/b.png": "same"}
    result = audited(tmp_path, contents)
    places = result.different()
    assert len(places) == len(result.digests) - 1
    assert [result.digests[place] for place in places.values()] == list(places)
    assert result.samples[places[digest_of("same")]].file == tmp_path / "cat/a.png"


def test_what_is_left_is_told_even_where_it_is_too_little(tmp_path: Path) -> None:
    contents = {"cat/1.png": "one", "dog/1.png": "two", "dog/2.png": "three"}
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    digests = {tmp_path / path: digest_of(content) for path, content in contents.items()}
    left = leave_out(scan(tmp_path), digests, {tmp_path / "dog/2.png": "not an image"})
    assert names(left, tmp_path) == ["cat/1.png", "dog/1.png"]
    with pytest.raises(DataError, match="has 1 usable image"):
        audit(scan(tmp_path), digests, {})


def test_an_unreadable_file_is_quarantined_with_its_reason_and_size(tmp_path: Path) -> None:
    contents = {**images("cat", "dog"), "dog/notes.txt": "twelve bytes"}
    result = audited(tmp_path, contents, {"dog/notes.txt": "not an image"})
    (entry,) = result.quarantined
    assert (entry.file, entry.reason, entry.byte_size) == (tmp_path / "dog/notes.txt", "not an image", 12)
    assert names(result, tmp_path) == sorted(images("cat", "dog"))
    assert len(result.digests) == 6


def test_a_file_that_has_gone_is_quarantined_at_no_bytes(tmp_path: Path) -> None:
    contents = images("cat", "dog")
    for path in contents:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(contents[path])
    gone = tmp_path / "cat/gone.png"
    gone.symlink_to(tmp_path / "nowhere")
    digests = {tmp_path / path: digest_of(content) for path, content in contents.items()}
    (entry,) = audit(scan(tmp_path), digests, {gone: "it could not be read"}).quarantined
    assert (entry.file, entry.byte_size) == (gone, 0)


def test_what_is_quarantined_is_listed_by_path(tmp_path: Path) -> None:
    contents = images("cat", "dog", count=5)
    result = audited(tmp_path, contents, {"dog/4.png": "z", "cat/3.png": "y", "dog/0.png": "x"})
    assert list(left_out(result, tmp_path).items()) == [("cat/3.png", "y"), ("dog/0.png", "x"), ("dog/4.png", "z")]


def test_the_same_image_under_two_labels_is_left_out_under_both(tmp_path: Path) -> None:
    contents = {**images("cat", "dog"), "dog/twin.png": "same", "cat/twin.png": "same", "cat/again.png": "same"}
    result = audited(tmp_path, contents)
    reason = "the same image is labelled 'cat' and 'dog'"
    assert left_out(result, tmp_path) == dict.fromkeys(["cat/again.png", "cat/twin.png", "dog/twin.png"], reason)
    assert names(result, tmp_path) == sorted(images("cat", "dog"))


def test_copies_within_a_class_stay_and_are_counted(tmp_path: Path) -> None:
    contents = {**images("cat", "dog"), "cat/a.png": "same", "cat/b.png": "same", "cat/c.png": "same"}
    result = audited(tmp_path, contents)
    assert result.quarantined == ()
    assert result.duplicates == 2
    assert len(result.samples) == 9


def test_a_copy_that_is_unreadable_contradicts_nobody(tmp_path: Path) -> None:
    contents = {**images("cat", "dog"), "cat/bad.png": "same", "dog/bad.png": "same"}
    result = audited(tmp_path, contents, {"cat/bad.png": "damaged", "dog/bad.png": "damaged"})
    assert left_out(result, tmp_path) == {"cat/bad.png": "damaged", "dog/bad.png": "damaged"}


@pytest.mark.parametrize(("earlier", "later"), [("train", "validation"), ("train", "test"), ("validation", "test")])
def test_a_leak_stays_in_the_later_part_only(tmp_path: Path, earlier: str, later: str) -> None:
    sound = images("train/cat", "train/dog", "validation/cat", "validation/dog", "test/cat", "test/dog")
    contents = {**sound, f"{earlier}/cat/leak.png": "same", f"{later}/cat/leak.png": "same"}
    result = audited(tmp_path, contents)
    reason = f"the same image is in the {later} part, which it would give away"
    assert left_out(result, tmp_path) == {f"{earlier}/cat/leak.png": reason}
    assert f"{later}/cat/leak.png" in names(result, tmp_path)


def test_an_image_in_all_three_parts_stays_in_the_test_part(tmp_path: Path) -> None:
    sound = images("train/cat", "train/dog", "val/cat", "val/dog", "test/cat", "test/dog")
    result = audited(tmp_path, {**sound, **dict.fromkeys(["train/cat/x", "val/cat/x", "test/cat/x"], "same")})
    assert set(left_out(result, tmp_path)) == {"train/cat/x", "val/cat/x"}


def test_copies_inside_a_given_part_are_no_leak(tmp_path: Path) -> None:
    sound = images("train/cat", "train/dog", "test/cat", "test/dog")
    result = audited(tmp_path, {**sound, "train/cat/x": "same", "train/cat/y": "same"})
    assert result.quarantined == ()
    assert result.duplicates == 1


@pytest.mark.parametrize(("count", "said"), [(1, "1 usable image"), (2, "2 usable images")])
def test_a_class_with_too_few_images_is_refused(tmp_path: Path, count: int, said: str) -> None:
    with pytest.raises(DataError) as caught:
        audited(tmp_path, {**images("dog"), **images("cat", count=count)})
    assert str(caught.value) == (
        f"class 'cat' has {said}; at least 3 are needed: one each to train, to validate and to test; "
        "add images of it, or take the class's folder away"
    )


def test_unreadable_images_do_not_count(tmp_path: Path) -> None:
    contents = images("dog", "cat", count=3)
    with pytest.raises(DataError, match="class 'cat' has 2 usable images; at least 3 are needed"):
        audited(tmp_path, contents, {"cat/0.png": "damaged"})


def test_a_class_without_a_usable_image_is_refused_with_a_file_and_its_reason(tmp_path: Path) -> None:
    contents = {**images("dog"), "cat/a.heic": "1", "cat/b.heic": "2"}
    with pytest.raises(DataError) as caught:
        audited(tmp_path, contents, {"cat/a.heic": "HEIC isn't read", "cat/b.heic": "HEIC isn't read"})
    assert str(caught.value) == (
        "no image of class 'cat' can be used: a.heic: HEIC isn't read; "
        "mend these files, or take the class's folder away"
    )


def test_a_class_that_only_repeats_another_s_images_is_refused_with_the_reason(tmp_path: Path) -> None:
    contents = {**images("cat", count=6), **{f"dog/{number}.png": f"cat/{number}.png" for number in range(3)}}
    message = "no image of class 'dog' can be used: 0.png: the same image is labelled 'cat' and 'dog'"
    with pytest.raises(DataError, match=re.escape(message)):
        audited(tmp_path, contents)


def table_of(tmp_path: Path, labels: dict[str, Label], task: Task, contents: dict[str, str] | None = None) -> Audit:
    """The audit of a table with so many files, each with bytes of its own unless said otherwise."""
    samples = tuple(Sample(tmp_path / name, label) for name, label in labels.items())
    found = sorted({name for label in labels.values() for name in names_in(label)}) or ["weight"]
    digests = {
        sample.file: hashlib.sha256((contents or {}).get(sample.file.name, sample.file.name).encode()).hexdigest()
        for sample in samples
    }
    return audit(Dataset(tmp_path, samples, tuple(found), task, "table"), digests, {})


def test_an_image_with_other_labels_elsewhere_is_a_contradiction(tmp_path: Path) -> None:
    labels: dict[str, Label] = {f"{n}.png": ("a", "b") for n in range(3)} | {"x.png": ("a",), "y.png": ("a", "b")}
    found = table_of(tmp_path, labels, "multi-label", {"x.png": "same", "y.png": "same"})
    reason = "the same image is labelled 'a' and 'a' + 'b'"
    assert {left.file.name: left.reason for left in found.quarantined} == {"x.png": reason, "y.png": reason}


def test_an_image_with_another_number_elsewhere_is_a_contradiction_and_with_the_same_a_copy(tmp_path: Path) -> None:
    labels: dict[str, Label] = {"a.png": 1.0, "b.png": 2.5, "c.png": 1.0, "d.png": 3.0, "e.png": 3.0}
    found = table_of(tmp_path, labels, "regression", {"a.png": "same", "b.png": "same", "d.png": "x", "e.png": "x"})
    reason = "the same image is labelled 1 and 2.5"
    assert {left.file.name: left.reason for left in found.quarantined} == {"a.png": reason, "b.png": reason}
    assert found.duplicates == 1


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (
            {"a.png": ("x",), "b.png": ("x",), "c.png": ("x", "y"), "d.png": ()},
            "multi-label",
            "label 'y' has 1 usable image; at least 3 are needed: one each to train, to validate and to test; "
            "add images of it, or take it out of the table",
        ),
        (
            {"a.png": 1.0, "b.png": 2.0},
            "regression",
            "the number 'weight' has 2 usable images; at least 3 are needed: one each to train, to validate and to "
            "test; add images of it",
        ),
    ],
)
def test_too_few_images_of_a_table_are_refused(
    tmp_path: Path, labels: dict[str, Label], task: Task, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        table_of(tmp_path, labels, task)
    assert str(caught.value) == message


def test_each_class_needs_a_training_image_that_counts() -> None:
    weights = {"cat": (0.0, 0.1), "dog": (0.0, 0.0), "owl": ()}
    samples = [Sample(Path("x.png"), label, weight=weight) for label, found in weights.items() for weight in found]
    dataset = Dataset(Path(), tuple(samples), tuple(weights))
    check_weights(dataset, samples[:2])
    check_weights(dataset, [Sample(Path("x.png"), "dog"), *samples])
    mend = "give one of them more, or leave weights alone with --weight-column none"
    with pytest.raises(DataError, match=f"class 'dog': none of its 2 training images has a weight above 0; {mend}"):
        check_weights(dataset, samples)
