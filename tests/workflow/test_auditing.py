from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from headstart.data.source import read_source
from headstart.data.table import TableChoice
from headstart.errors import DataError, UsageError
from headstart.inspection.findings import DataAudit, Finding
from headstart.learn.kinds import CLASSES, KINDS
from headstart.workflow import audit, examining, near
from headstart.workflow.auditing import write_fixed
from headstart.workflow.examining import Labelling

MakeImages = Callable[..., Path]


def finding(found: DataAudit, key: str) -> Finding:
    return next(finding for finding in found.findings if finding.key == key)


def files(found: DataAudit, key: str) -> list[tuple[str, ...]]:
    return [item.files for item in finding(found, key).items]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory, make_images: MakeImages) -> Path:
    """Three classes of 24 images, with one trouble of each kind."""
    root = make_images(tmp_path_factory.mktemp("troubled") / "photos", {"cat": 24, "dog": 24, "owl": 24}, size=96)
    shutil.copy(root / "cat" / "003.png", root / "cat" / "copy.png")
    shutil.copy(root / "cat" / "004.png", root / "dog" / "taken-for-a-dog.png")
    brighter = ImageEnhance.Brightness(Image.open(root / "dog" / "005.png")).enhance(0.85)
    brighter.save(root / "dog" / "darker.jpg", quality=90)
    (root / "owl" / "cut.png").write_bytes((root / "owl" / "006.png").read_bytes()[:900])
    (root / "owl" / "007.png").rename(root / "cat" / "an-owl.png")
    Image.new("RGB", (96, 96), (3, 3, 3)).save(root / "owl" / "lens-cap.png")
    return root


@pytest.fixture(scope="module")
def found(troubled: Path, warm_cache: Path) -> DataAudit:
    return audit(troubled, base="untrained", cache=warm_cache)


def test_each_trouble_is_found(found: DataAudit) -> None:
    assert files(found, "unreadable") == [("owl/cut.png",)]
    assert "cut short" in finding(found, "unreadable").items[0].note
    assert set(files(found, "contradictions")) == {("cat/004.png",), ("dog/taken-for-a-dog.png",)}
    assert files(found, "exact-duplicates") == [("cat/003.png", "cat/copy.png")]
    assert files(found, "near-duplicates") == [("dog/005.png", "dog/darker.jpg")]
    assert files(found, "label-suspects")[0] == ("cat/an-owl.png",)
    assert "likelier 'owl'" in finding(found, "label-suspects").items[0].note
    assert ("owl/lens-cap.png",) in files(found, "flaws")
    assert ("owl/lens-cap.png",) in files(found, "odd-ones")


def test_what_is_well_is_said_to_be(found: DataAudit) -> None:
    for key in ("shortcuts", "class-sizes", "leaks", "confusable"):
        assert finding(found, key).tone == "good", finding(found, key)
        assert finding(found, key).items == ()


def test_it_tells_what_there_is(found: DataAudit, troubled: Path) -> None:
    assert found.task == "classes"
    assert found.images == 72 + 2  # the copy, the near-copy, the cap; less the contradictory ones
    assert sum(found.counts.values()) == found.images
    assert found.sizes["median"] == (96, 96)
    assert found.formats == {"PNG": 72, "JPEG": 1}
    assert found.source == str(troubled)


def test_the_users_files_stay_as_they_are(troubled: Path, warm_cache: Path) -> None:
    before = {path: path.read_bytes() for path in troubled.rglob("*.*")}
    audit(troubled, base="untrained", cache=warm_cache)
    assert {path: path.read_bytes() for path in troubled.rglob("*.*")} == before


def test_a_second_audit_takes_what_was_found_from_the_store(
    troubled: Path, warm_cache: Path, found: DataAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise AssertionError

    for module, name in ((near, "near_duplicates"), (examining, "odd_ones"), (examining, "out_of_fold")):
        monkeypatch.setattr(module, name, fail)
    again = audit(troubled, base="untrained", cache=warm_cache)
    assert again.findings == found.findings
    with pytest.raises(AssertionError):  # other folds
        audit(troubled, base="untrained", cache=warm_cache, seed=1)


def test_the_cleaned_table_can_be_trained_from(found: DataAudit, troubled: Path, tmp_path: Path) -> None:
    table = tmp_path / "clean.csv"
    write_fixed(found, table)
    with table.open(encoding="utf-8", newline="") as file:
        rows = {Path(row["image"]).name: row for row in csv.DictReader(file) if "dog" in row["image"]}
    assert rows["005.png"]["group"] == rows["darker.jpg"]["group"] == "dog/005.png"
    assert rows["006.png"]["group"] == rows["006.png"]["finding"] == ""
    dataset = read_source(table)
    names = {"/".join(sample.file.resolve().parts[-2:]) for sample in dataset.samples if isinstance(sample.file, Path)}
    assert names.isdisjoint({"cat/copy.png", "cat/004.png", "dog/taken-for-a-dog.png", "owl/cut.png"})
    assert {"cat/003.png", "dog/darker.jpg"} < names
    assert len(names) == len(dataset.samples) == found.images - 1
    assert all(sample.file.is_file() for sample in dataset.samples if isinstance(sample.file, Path))
    assert {sample.group for sample in dataset.samples if sample.group} == {"dog/005.png"}
    with pytest.raises(UsageError, match="exists already; name another file with --fix"):
        write_fixed(found, table)
    with pytest.raises(UsageError, match="can't be written"):
        write_fixed(found, tmp_path / "gone" / "clean.csv")


def test_archives_are_audited_and_have_no_table(troubled: Path, tmp_path: Path, warm_cache: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", troubled)
    found = audit(archive, base="untrained", cache=warm_cache)
    assert files(found, "near-duplicates") == [("dog/005.png", "dog/darker.jpg")]
    with pytest.raises(UsageError, match="aren't files, so a table can't name them; unpack or save them first"):
        write_fixed(found, tmp_path / "clean.csv")
    assert not (tmp_path / "clean.csv").exists()


def test_images_without_labels_are_audited_too(make_images: MakeImages, tmp_path: Path, warm_cache: Path) -> None:
    root = make_images(tmp_path / "made", {"x": 30})
    (root / "x").rename(tmp_path / "loose")
    shutil.copy(tmp_path / "loose" / "002.png", tmp_path / "loose" / "again.png")
    found = audit(tmp_path / "loose", base="untrained", cache=warm_cache)
    assert found.task == "unlabelled"
    (labels,) = [choice for choice in found.choices if choice.what == "labels"]
    assert "its files lie loose, not in class folders" in labels.reason
    assert files(found, "exact-duplicates") == [("002.png", "again.png")]
    keys = {finding.key for finding in found.findings}
    assert keys.isdisjoint({"label-suspects", "confusable", "class-sizes", "shortcuts"})
    assert [row.label for row in found.fixed] == [""] * 31


@pytest.mark.parametrize(("table", "task"), [("tags", "multi-label"), ("weights", "regression")])
def test_labels_of_every_kind_are_checked(tables: Path, warm_cache: Path, table: str, task: str) -> None:
    found = audit(tables / f"{table}.csv", base="untrained", cache=warm_cache)
    assert found.task == task
    assert finding(found, "label-suspects").tone in ("good", "fair")
    assert {finding.key for finding in found.findings}.isdisjoint({"confusable", "shortcuts"})


def test_parts_that_share_pictures_are_told(make_images: MakeImages, tmp_path: Path, warm_cache: Path) -> None:
    make_images(tmp_path / "data" / "train", {"a": 20, "b": 20}, size=96)
    make_images(tmp_path / "data" / "test", {"a": 8, "b": 8}, size=96, seed=1)
    leak = Image.open(tmp_path / "data" / "test" / "a" / "001.png")
    leak.save(tmp_path / "data" / "train" / "a" / "leak.jpg", quality=92)
    found = audit(tmp_path / "data", base="untrained", cache=warm_cache)
    alike = finding(found, "near-duplicates")
    assert alike.tone == "poor"
    assert alike.items[0].files == ("test/a/001.png", "train/a/leak.jpg")
    assert "in different parts" in alike.items[0].note
    assert "1 group lies in different given parts" in alike.sentence
    assert found.parts == {"train": 41, "test": 16}


def test_few_images_and_a_class_of_one_are_no_trouble(
    make_images: MakeImages, tmp_path: Path, warm_cache: Path
) -> None:
    found = audit(make_images(tmp_path / "few", {"a": 4, "b": 1}), base="untrained", cache=warm_cache)
    assert finding(found, "label-suspects").sentence == "There are too few images to check labels by."
    assert finding(found, "class-sizes").tone == "poor"
    assert "“b” has 1 usable image: training needs 3." in finding(found, "class-sizes").sentence


def test_classes_too_small_to_check_or_without_an_image_leave_the_others_to_be_checked(
    make_images: MakeImages, tmp_path: Path, warm_cache: Path
) -> None:
    root = make_images(tmp_path / "uneven", {"cat": 20, "dog": 20, "owl": 3, "yak": 2}, size=96)
    (root / "cat" / "004.png").rename(root / "dog" / "a-cat.png")
    for path in (root / "yak").iterdir():
        path.write_bytes(b"none")
    found = audit(root, base="untrained", cache=warm_cache)
    assert files(found, "label-suspects")[0] == ("dog/a-cat.png",)
    assert not any("owl" in name for item in files(found, "label-suspects") for name in item)
    assert finding(found, "class-sizes").tone == "poor"
    assert found.counts == {"cat": 19, "dog": 21, "owl": 3, "yak": 0}


def test_a_format_that_gives_a_class_away_is_told(make_images: MakeImages, tmp_path: Path, warm_cache: Path) -> None:
    root = make_images(tmp_path / "formats", {"a": 20, "b": 20})
    for path in (root / "b").glob("*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    shortcut = finding(audit(root, base="untrained", cache=warm_cache), "shortcuts")
    assert shortcut.tone == "poor"
    assert "The file format alone gives the class away for 100.0\xa0% of images" in shortcut.sentence
    assert "100.0\xa0% of “a” have PNG and 100.0\xa0% of “b” have JPEG" in shortcut.sentence


def test_nothing_readable_is_an_error(tmp_path: Path, warm_cache: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"none")
    with pytest.raises(DataError, match="no image can be used: not an image in a format"):
        audit(tmp_path, base="untrained", cache=warm_cache)


def test_a_list_of_pairs_is_audited(make_images: MakeImages, tmp_path: Path, warm_cache: Path) -> None:
    root = make_images(tmp_path / "pairs", {"a": 12, "b": 12})
    pairs = [(path, path.parent.name) for path in sorted(root.rglob("*.png"))]
    found = audit(pairs, base="untrained", cache=warm_cache)
    assert found.source == "a list of 24 images"
    assert np.array_equal(sorted(found.counts.values()), [12, 12])


def weigh(table: Path, weight_of: Callable[[int], object], column: str, folder: Path) -> Path:
    """A copy of a table and its images with a column more, of the rows' numbers from 0 on."""
    root = Path(shutil.copytree(table.parent, folder))
    header, *rows = table.read_text("utf-8").splitlines()
    lines = [f"{header},{column}", *(f"{row},{weight_of(number)}" for number, row in enumerate(rows))]
    (root / table.name).write_text("\n".join(lines), "utf-8")
    return root / table.name


def test_a_column_of_weights_is_no_label_and_says_what_labels_are_checked_by(
    tables: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray | None] = []
    real = examining.out_of_fold
    monkeypatch.setattr(examining, "out_of_fold", lambda *given: seen.append(given[-1]) or real(*given))
    paths = [
        weigh(tables / "kinds.csv", weight_of, "trust", tmp_path / name)
        for name, weight_of in (("one", lambda number: number % 3), ("two", lambda number: 1 + number % 3))
    ]
    for path in (*paths, paths[0]):
        found = audit(path, base="untrained", cache=warm_cache, weight_column="trust")
        (choice,) = [choice for choice in found.choices if choice.what == "weights"]
        assert (found.task, choice.value) == ("classes", "column 'trust'")
        assert found.images == 120
    # Once for each table: what came of it the first time was kept. Images of weight 0 aren't checked.
    assert [sorted(set(weights.tolist())) for weights in seen if weights is not None] == [[1, 2], [1, 2, 3]]
    assert [len(weights) for weights in seen if weights is not None] == [80, 120]


def test_classes_of_few_images_that_count_are_not_checked() -> None:
    units = [str(number) for number in range(12)]
    said = Labelling(CLASSES, np.arange(12) % 2, 2, units, np.where(np.arange(12) == 1, 0.0, 0.5))
    assert said.checkable().tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    fewer = replace(said, weights=np.where(np.isin(np.arange(12), [1, 3]), 0.0, 0.5))
    assert fewer.checkable().tolist() == [0, 2, 4, 6, 8, 10]
    numbers = replace(fewer, kind=KINDS["regression"]())
    assert numbers.checkable().tolist() == [0, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert replace(numbers, weights=None).checkable().tolist() == list(range(12))


def test_a_cleaned_table_keeps_weights(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    path = weigh(tables / "kinds.csv", lambda number: 20 + number / 8, "trust", tmp_path / "own")
    found = audit(path, base="untrained", cache=warm_cache, weight_column="trust")
    write_fixed(found, path.parent / "clean.csv")
    before = read_source(path, TableChoice(weight_column="trust")).samples
    after = read_source(path.parent / "clean.csv").samples
    weights = {sample.file: sample.weight for sample in before}
    assert len(after) > 100
    assert all(sample.weight == weights[sample.file] for sample in after)
