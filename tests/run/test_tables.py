from __future__ import annotations

from pathlib import Path

import pytest

from headstart.run import Placed, Run, read_placed, read_rows


def test_the_split_is_read_as_it_was_written(trained: Run) -> None:
    placed = trained.placed
    assert len(placed) == 72
    assert {row.part for row in placed} == {"train", "validation", "test"}
    lines = (trained.folder / "split.csv").read_text(encoding="utf-8").splitlines()
    first = placed[0]
    assert lines[1] == f"{first.file},{first.sha256},{first.label},{first.part}"


def test_names_that_are_no_unicode_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(b'file,sha256,label,part\n"odd\xff,\nname.png",00,cat,test\n')
    assert read_placed(path) == [Placed("odd\udcff,\nname.png", "00", "cat", "test")]


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("file,label\na.png,cat\n", encoding="utf-8")
    assert list(read_rows(path)) == [{"file": "a.png", "label": "cat"}]
    with pytest.raises(KeyError):
        read_placed(path)
