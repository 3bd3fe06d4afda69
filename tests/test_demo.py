from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.demo import free_name, lay_out
from headstart.errors import UsageError


def grades(folder: Path) -> dict[str, int]:
    return {label.name: len(list(label.iterdir())) for label in sorted(folder.iterdir())}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set package with four images, in place of the real one."""
    folder = tmp_path / "site" / "elpv_dataset"
    images = folder / "data" / "images"
    images.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    rows = []
    for number, grade in enumerate(("0.0", "0.3333333333333333", "0.6666666666666666", "1.0")):
        (images / f"cell{number:04}.png").write_bytes(b"png")
        rows.append(f"images/cell{number:04}.png   {grade}  mono")
    (folder / "data" / "labels.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(sys, "path", [str(folder.parent), *sys.path])
    monkeypatch.delitem(sys.modules, "elpv_dataset", raising=False)
    return folder


def test_cells_above_half_a_grade_are_defective(package: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "cells")
    placed = {path.name: path.parent.name for path in (tmp_path / "cells").rglob("*.png")}
    assert placed == {
        "cell0000.png": "functional",
        "cell0001.png": "functional",
        "cell0002.png": "defective",
        "cell0003.png": "defective",
    }
    assert "elpv_dataset" not in sys.modules
    assert all(path.read_bytes() == b"png" for path in (tmp_path / "cells").rglob("*.png"))


def test_laying_out_again_changes_nothing(package: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "cells")
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "cells").rglob("*")}
    lay_out(tmp_path / "cells")
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "cells").rglob("*")} == before


def test_a_link_to_where_the_package_used_to_be_is_mended(package: Path, tmp_path: Path) -> None:
    link = tmp_path / "cells" / "defective" / "cell0003.png"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "old-site" / "cell0003.png")
    lay_out(tmp_path / "cells")
    assert link.resolve() == (package / "data" / "images" / "cell0003.png").resolve()


def test_a_place_that_can_not_be_written_is_wrong_use(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        lay_out(tmp_path / "file" / "cells")
    assert str(caught.value) == (
        f"the images can't be laid out in {tmp_path / 'file' / 'cells'} (Not a directory); name --out elsewhere"
    )


def test_without_the_package_the_line_that_installs_it_is_named(
    tmp_path: Path, without_package: Callable[..., Any]
) -> None:
    finished = without_package("elpv_dataset", "demo", "--out", tmp_path / "runs" / "demo")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "headstart: the demonstration images aren't installed; run: pip install elpv-dataset\n"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_free_is_taken_and_one_that_is_not_gets_a_number(tmp_path: Path) -> None:
    wanted = tmp_path / "runs" / "demo"
    assert free_name(wanted) == wanted
    wanted.mkdir(parents=True)
    assert free_name(wanted) == tmp_path / "runs" / "demo-2"
    (tmp_path / "runs" / "demo-2").write_text("a file takes a name too")
    assert free_name(wanted) == tmp_path / "runs" / "demo-3"


@pytest.mark.real
def test_the_real_images_are_laid_out_by_grade(tmp_path: Path) -> None:
    pytest.importorskip("elpv_dataset")
    lay_out(tmp_path / "cells")
    assert grades(tmp_path / "cells") == {"defective": 821, "functional": 1803}
    assert all(path.is_file() for path in (tmp_path / "cells").rglob("*.png"))
