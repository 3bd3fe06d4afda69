from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.unlabelled import UNLABELLED, scan_unlabelled
from headstart.errors import DataError


def test_all_visible_files_below_a_folder_have_no_label(tmp_path: Path) -> None:
    for name in ("b.png", "deep/er/a.jpg", ".hidden", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    dataset = scan_unlabelled(tmp_path, "its files lie loose")
    assert [sample.file.relative_to(tmp_path).as_posix() for sample in dataset.samples] == ["b.png", "deep/er/a.jpg"]
    assert {sample.label for sample in dataset.samples} == {UNLABELLED} == set(dataset.labels)
    assert dataset.choices == (("labels", "none", "its files lie loose"),)


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no files; give a folder of images"):
        scan_unlabelled(tmp_path, "")
