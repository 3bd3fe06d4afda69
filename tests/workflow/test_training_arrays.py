"""Training, auditing and predicting with images that are arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import UsageError
from headstart.run import Run
from headstart.workflow import audit, train
from headstart.workflow.auditing import write_fixed

Pairs = list[tuple[np.ndarray, str]]
SETTINGS = {"base": "untrained", "finetune": False, "augment": "none"}


@pytest.fixture(scope="session")
def pairs(photos: Path) -> Pairs:
    """What `photos` shows, as arrays, in the order of the files."""
    return [(np.asarray(Image.open(path)), path.parent.name) for path in sorted(photos.rglob("*.png"))]


@pytest.fixture(scope="session")
def run(pairs: Pairs, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A probe on arrays. Tests leave it as it is."""
    pictures, labels = zip(*pairs, strict=True)
    out = tmp_path_factory.mktemp("arrays") / "run"
    return train(zip(pictures, labels, strict=True), out, cache=warm_cache, **SETTINGS)


def test_arrays_come_to_what_their_files_come_to(run: Run, pairs: Pairs, warm_cache: Path, tmp_path: Path) -> None:
    rows = []
    for number, (picture, label) in enumerate(pairs):
        Image.fromarray(picture).save(tmp_path / f"{number:02}.png", compress_level=0)  # the same bytes
        rows.append((tmp_path / f"{number:02}.png", label))
    files = train(rows, tmp_path / "run", cache=warm_cache, **SETTINGS)
    assert files.metrics["features"]["computed"] == 0
    assert files.metrics["test"] == run.metrics["test"]
    assert [row.part for row in files.placed] == [row.part for row in run.placed]
    assert (files.folder / "weights.safetensors").read_bytes() == (run.folder / "weights.safetensors").read_bytes()


def test_an_array_is_called_by_its_number(run: Run, table: Callable[[Path], list[dict[str, str]]]) -> None:
    assert [row.file for row in run.placed] == [f"{number:02}" for number in range(1, 73)]
    assert {row["file"] for row in table(run.folder / "predictions.csv")} < {row.file for row in run.placed}
    assert run.manifest.data.root == "arrays in memory"
    assert "(72 images, a list in Python)" in run.manifest.command


def test_the_report_shows_them(run: Run) -> None:
    page = run.report.read_text(encoding="utf-8")
    assert "<h1>arrays in memory</h1>" in page
    assert "data:image/jpeg;base64," in page
    assert "The original is gone" not in page


def test_an_array_is_predicted_as_its_file_is(run: Run, pairs: Pairs, photos: Path) -> None:
    paths = sorted(photos.rglob("*.png"))[:5]
    of_files = run.predict(paths)
    of_arrays = run.predict([picture for picture, _ in pairs[:5]])
    assert [one.probabilities for one in of_arrays] == [pytest.approx(one.probabilities, abs=1e-6) for one in of_files]
    assert [one.source for one in of_arrays] == ["0", "1", "2", "3", "4"]
    mixed = run.predict([paths[0], np.full((4, 4), 0.5), pairs[1][0]])
    assert mixed[1].error == ("it is of float64; give whole numbers from 0 to 255: (x * 255).round().astype('uint8')")
    assert [one.source for one in (mixed[0], mixed[2])] == [str(paths[0]), "2"]


def test_a_later_run_can_be_compared_with_one_on_arrays(
    run: Run, pairs: Pairs, warm_cache: Path, tmp_path: Path
) -> None:
    later = train([*pairs[1:], pairs[0]], tmp_path / "later", cache=warm_cache, compare_to=run.folder, **SETTINGS)
    assert later.metrics["earlier"]["images"] == {"kept": 72, "new": 0, "gone": 0, "moved": 0, "relabelled": 0}


def test_the_audit_finds_an_array_that_is_there_twice(pairs: Pairs, warm_cache: Path, tmp_path: Path) -> None:
    found = audit([*pairs, (pairs[4][0].copy(), pairs[4][1])], base="untrained", cache=warm_cache)
    (copies,) = (finding for finding in found.findings if finding.key == "exact-duplicates")
    assert [item.files for item in copies.items] == [("05", "73")]
    with pytest.raises(UsageError, match="aren't files, so a table can't name them; unpack or save them first"):
        write_fixed(found, tmp_path / "clean.csv")
