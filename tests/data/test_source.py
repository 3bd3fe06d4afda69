from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.source import read_source
from headstart.data.table import TableChoice
from headstart.errors import UnknownNameError, UsageError


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("cat/a.png", "dog/b.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["labels.csv", "labels.TSV", "labels.txt"])
def test_a_table_is_read_and_folders_are_scanned(folders: Path, name: str) -> None:
    (folders / name).write_text("file\tlabel\ncat/a.png\t0.5\ndog/b.png\t1.5\n")
    assert read_source(folders / name).task == "regression"
    assert read_source(folders).labels == ("cat", "dog")
    assert read_source(folders, TableChoice(task="classes")).task == "classes"


@pytest.mark.parametrize(
    ("choice", "option"),
    [
        (TableChoice(image_column="file"), "--image-column"),
        (TableChoice(label_columns=("label",)), "--label-column"),
        (TableChoice(task="regression"), "--task"),
    ],
)
def test_what_is_said_of_a_table_cant_be_said_of_folders(folders: Path, choice: TableChoice, option: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_source(folders, choice)
    assert str(caught.value).startswith(f"{option} is about a table, and {folders} is a folder, whose subfolders are")


def test_a_task_that_there_isnt_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="there is no task named 'guess'"):
        read_source(tmp_path / "absent", TableChoice(task="guess"))


def test_another_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"x")
    with pytest.raises(UsageError, match="is a file, not a folder; give a folder with one subfolder of images per"):
        read_source(tmp_path / "photos.zip")
