"""What a run says of an earlier one, on images whose classes can be told apart, but for the mistaken ones."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import RunError, UsageError
from headstart.run import Run
from headstart.workflow import train

Rows = list[dict[str, str]]
ReadTable = Callable[[Path], Rows]


def train_again(data: Path, out: Path, cache: Path, **options: object) -> Run:
    return train(data, out, base="untrained", cache=cache, finetune=False, augment="none", **options)


def parts_of(run: Run) -> dict[str, str]:
    """The part of each file, by its sha256."""
    return {row.sha256: row.part for row in run.placed}


@pytest.fixture(scope="session")
def first(photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A probe on `photos`. Tests leave it as it is."""
    return train_again(photos, tmp_path_factory.mktemp("runs") / "first", warm_cache)


@pytest.fixture(scope="session")
def grown(
    first: Run,
    photos: Path,
    warm_cache: Path,
    make_images: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A run on `photos` with a class more and 30 further images, one image gone and one relabelled, beside `first`."""
    root = tmp_path_factory.mktemp("grown")
    data = Path(shutil.copytree(photos, root / "photos"))
    more = make_images(root / "more", {"cat": 10, "dog": 10, "owl": 10, "yak": 24}, size=48, seed=77)
    for path in sorted(more.rglob("*.png")):
        (data / path.parent.name).mkdir(exist_ok=True)
        path.rename(data / path.parent.name / f"new-{path.name}")
    (data / "cat" / "005.png").unlink()
    (data / "dog" / "006.png").rename(data / "owl" / "was-a-dog.png")
    return train_again(data, root / "run", warm_cache, compare_to=first.folder)


def test_old_images_stay_and_new_ones_are_counted(first: Run, grown: Run) -> None:
    found = grown.metrics["earlier"]
    assert found["images"] == {"kept": 71, "new": 54, "gone": 1, "moved": 0, "relabelled": 1}
    assert found["labels"] == {"new": ["yak"], "gone": []}
    assert grown.metrics["features"]["reused"] >= 71
    before, after = parts_of(first), parts_of(grown)
    assert {digest: after[digest] for digest in before if digest in after} == {
        digest: part for digest, part in before.items() if digest in after
    }
    assert "what an earlier run placed stays where it was" in grown.manifest.split.origin


def test_both_are_measured_on_the_same_images(first: Run, grown: Run, table: ReadTable) -> None:
    found, before = grown.metrics["earlier"], parts_of(first)
    earlier = {row["file"]: row for row in table(first.folder / "predictions.csv")}
    digests = {row.file: row.sha256 for row in grown.placed}
    rows = table(grown.folder / "predictions.csv")
    old = [row for row in rows if before.get(digests[row["file"]]) == "test"]
    new = [row for row in rows if digests[row["file"]] not in before]
    assert (found["test"]["old"]["images"], found["test"]["new"]["images"]) == (len(old), len(new))
    assert len(old) + len(new) + found["left_out"] == len(rows)
    for since, some in (("old", old), ("new", new)):
        right = [row["label"] == row["predicted"] for row in some]
        assert found["test"][since]["now"] == pytest.approx(np.mean(right))
    told = [earlier[row["file"]]["predicted"] == row["label"] for row in old if row["file"] in earlier]
    assert len(told) >= len(old) - 1  # but for one that has another name
    assert found["test"]["old"]["earlier"] == pytest.approx(np.mean(told), abs=1 / len(old))
    assert 0 < found["test"]["old"]["p_value"] <= 1


def test_answers_that_changed_are_listed(grown: Run, table: ReadTable) -> None:
    rows = table(grown.folder / "changes.csv")
    assert rows, "the new class alone changes some"
    counts = {change: sum(row["change"] == change for row in rows) for change in ("mended", "broken", "otherwise")}
    assert counts == grown.metrics["earlier"]["changes"]
    for row in rows:
        assert row["earlier"] != row["now"]
        right = {"mended": "now", "broken": "earlier"}.get(row["change"])
        assert right is None or row[right] == row["label"]
    yaks = [row for row in rows if row["label"] == "yak"]
    assert yaks, "the earlier run knows of no yaks"
    assert {row["since"] for row in yaks} == {"new"}
    assert all(row["earlier"] != "yak" for row in yaks)


def test_the_report_and_the_command_line_tell_it(
    grown: Run, first: Run, warm_cache: Path, tmp_path: Path, headstart: Callable[..., object]
) -> None:
    page = grown.report.read_text(encoding="utf-8")
    assert "What changed since the run of" in page
    assert "54 images are new, 1 gone and 1 labelled otherwise; none of the others changed sides" in page
    assert "“yak” is new" in page
    assert f"--compare-to {first.folder}" in grown.manifest.command
    data = Path(grown.manifest.data.root)
    done = headstart(
        *("train", data, "--out", tmp_path / "run", "--base", "untrained", "--no-finetune", "--augment", "none"),
        *("--cache", warm_cache, "--compare-to", first.folder),
    )
    assert done.code == 0, done.err
    assert "since then" in done.out
    assert "images that both runs were tested with" in " ".join(done.out.split()).lower()


def test_the_same_images_have_changed_in_nothing(first: Run, photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    again = train_again(photos, tmp_path / "again", warm_cache, compare_to=first.folder)
    found = again.metrics["earlier"]
    assert found["images"] == {"kept": 72, "new": 0, "gone": 0, "moved": 0, "relabelled": 0}
    assert found["test"]["new"] is None
    assert found["test"]["old"]["earlier"] == found["test"]["old"]["now"] == again.metrics["test"]["accuracy"]
    assert found["left_out"] == 0
    assert set(found["changes"].values()) == {0}
    assert "No answer changed." in again.report.read_text(encoding="utf-8")


def test_an_image_that_the_earlier_run_learned_from_is_left_out(
    first: Run, divided_photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    run = train_again(divided_photos, tmp_path / "run", warm_cache, compare_to=first.folder)
    found, before = run.metrics["earlier"], parts_of(first)
    tested = [row.sha256 for row in run.placed if row.part == "test"]
    learned = sum(before[digest] != "test" for digest in tested)
    assert learned
    assert found["left_out"] == learned
    assert found["images"]["moved"] > 0


@pytest.fixture
def divided_photos(photos: Path, tmp_path: Path) -> Path:
    """`photos` with a test part that the folders give: every fourth image."""
    root = tmp_path / "divided"
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        folder = root / ("test" if number % 4 == 0 else "train") / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.name)
    return root


def test_a_near_duplicate_that_comes_later_follows_the_image_that_was_there(
    photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(photos, tmp_path / "photos"))
    first = train_again(data, tmp_path / "first", warm_cache)
    before = parts_of(first)
    for path in sorted((data / "cat").glob("0*.png")):  # some of the new ones have the smaller digest and another draw
        with Image.open(path) as image:
            image.resize((96, 96), Image.Resampling.BICUBIC).save(data / "cat" / f"larger-{path.name}")
    alone = train_again(data, tmp_path / "alone", warm_cache)
    beside = train_again(data, tmp_path / "beside", warm_cache, compare_to=first.folder)
    assert any(parts_of(alone)[digest] != part for digest, part in before.items()), "or else this shows nothing"
    after = parts_of(beside)
    assert {digest: after[digest] for digest in before} == before
    assert beside.metrics["earlier"]["images"]["moved"] == 0


def test_labels_and_numbers_are_compared_as_well(
    tables: Path, tagged_run: Run, weight_run: Run, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    tagged = train_again(tables / "tags.csv", tmp_path / "tags", warm_cache, compare_to=tagged_run.folder, seed=1)
    found = tagged.metrics["earlier"]
    assert found["measure"] == "exact_match"
    assert found["test"]["old"]["now"] == pytest.approx(tagged.metrics["test"]["exact_match"])
    numbers = train_again(tables / "weights.csv", tmp_path / "weights", warm_cache, compare_to=weight_run.folder)
    found = numbers.metrics["earlier"]
    assert found["measure"] == "mae"
    assert found["test"]["old"]["now"] == pytest.approx(numbers.metrics["test"]["mae"])
    assert found["test"]["old"]["earlier"] == pytest.approx(weight_run.metrics["test"]["mae"], rel=1e-3)


def test_a_run_of_another_task_is_refused(weight_run: Run, photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of the task regression, and this is classes"):
        train_again(photos, tmp_path / "run", warm_cache, compare_to=weight_run.folder)
    with pytest.raises(UsageError, match="there is no run folder"):
        train_again(photos, tmp_path / "run", warm_cache, compare_to=tmp_path / "nowhere")
    assert not (tmp_path / "run").exists()


def test_a_run_whose_split_was_changed_is_refused(first: Run, photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(first.folder, tmp_path / "damaged"))
    with (damaged / "split.csv").open("a", encoding="utf-8") as file:
        file.write("more.png,0,cat,train\n")
    with pytest.raises(RunError, match=r"split\.csv isn't the file that was written"):
        train_again(photos, tmp_path / "run", warm_cache, compare_to=damaged)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"file,sha256,label,part\na.png,00,cat,holdout\n", "has parts that there aren't"),
        (b"file,label,part\na.png,cat,train\n", "can't be read (KeyError('sha256'))"),
    ],
    ids=["part", "column"],
)
def test_a_run_whose_split_makes_no_sense_is_refused(
    first: Run, photos: Path, warm_cache: Path, tmp_path: Path, table: bytes, message: str
) -> None:
    odd = Path(shutil.copytree(first.folder, tmp_path / "odd"))
    (odd / "split.csv").write_bytes(table)
    manifest = json.loads((odd / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["split.csv"] = hashlib.sha256(table).hexdigest()
    (odd / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match=re.escape(message)):
        train_again(photos, tmp_path / "run", warm_cache, compare_to=odd)
