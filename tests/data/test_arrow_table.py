from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headstart.data import arrow_table
from headstart.data.arrow_table import arrow_files, read_arrow
from headstart.data.table import TableChoice, images_of
from headstart.errors import DataError, HeadstartError
from headstart.images.file import Member, read_file

WriteArrow = Callable[..., Path]


@pytest.fixture
def shard(tmp_path: Path, write_arrow: WriteArrow) -> Callable[..., Path]:
    """`shard("train-0.parquet", label=["cat"])` is a file of the folder with these columns and one of images."""

    def write(name: str, **columns: list[Any]) -> Path:
        rows = len(next(iter(columns.values())))
        images = [f"{name} {row}".encode() for row in range(rows)]
        return write_arrow(tmp_path / name, pa.table({"image": pa.array(images, pa.binary()), **columns}), group=2)

    return write


def test_the_files_of_a_data_set_are_those_that_end_so(tmp_path: Path) -> None:
    visible = ["b.parquet", "a.PARQUET", "train/x.arrow", "caches.arrow"]
    others = ["cache-1.arrow", "train/cache-2.arrow", ".c.parquet", ".cache/d.arrow", "__MACOSX/e.parquet"]
    for name in [*visible, *others, "f.csv", "a/b/c.parquet", "folder.parquet/g.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert arrow_files(tmp_path) == sorted(tmp_path / name for name in visible)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "T.Parquet"])
def test_a_file_is_a_table_whose_images_are_called_by_their_row(shard: Callable[..., Path], name: str) -> None:
    path = shard(name, label=["cat", "dog", "cat"])
    table = read_arrow(path, [path])
    assert (table.path, table.columns, table.numbers) == (path, ("image", "label"), (1, 2, 3))
    assert table.rows == (("0000000", "cat"), ("0000001", "dog"), ("0000002", "cat"))
    assert [read_file(file) for file in table.images["image"]] == [f"{name} {row}".encode() for row in range(3)]


def test_the_files_of_a_folder_are_one_table_with_parts(tmp_path: Path, shard: Callable[..., Path]) -> None:
    paths = [shard("data/test-0.parquet", label=["dog"]), shard("data/train-0.parquet", label=["cat", "dog"])]
    table = read_arrow(tmp_path, paths)
    assert table.columns == ("image", "label", "split")
    assert table.rows == (
        ("data/test-0.parquet/0000000", "dog", "test"),
        ("data/train-0.parquet/0000000", "cat", "train"),
        ("data/train-0.parquet/0000001", "dog", "train"),
    )
    assert [read_file(file)[-2:] for file in table.images["image"]] == [b" 0", b" 0", b" 1"]
    dataset = images_of(table, TableChoice())
    assert [(sample.label, sample.part) for sample in dataset.samples] == [
        ("dog", "test"),
        ("cat", "train"),
        ("dog", "train"),
    ]


def test_the_name_of_a_single_file_tells_no_part(shard: Callable[..., Path]) -> None:
    path = shard("test-0.parquet", label=["cat", "dog"])
    assert read_arrow(path, [path]).columns == ("image", "label")


def test_a_column_of_parts_comes_before_what_the_files_names_tell(tmp_path: Path, shard: Callable[..., Path]) -> None:
    path = shard("train-0.parquet", label=["cat", "dog"], split=["train", "test"])
    assert read_arrow(tmp_path, [path]).cells("split") == ("train", "test")


def test_a_file_without_a_part_beside_others_leaves_it_open(tmp_path: Path, shard: Callable[..., Path]) -> None:
    paths = [shard("more.parquet", label=["cat"]), shard("train.parquet", label=["dog"])]
    assert read_arrow(tmp_path, paths).cells("split") == ("", "train")
    with pytest.raises(HeadstartError, match="row 1, column 'split': there is no part"):
        images_of(read_arrow(tmp_path, paths), TableChoice())


def test_columns_that_cant_be_text_are_left_out(shard: Callable[..., Path]) -> None:
    path = shard("t.parquet", box=[{"x": 1}], label=["cat"], time=pa.array([1], pa.timestamp("ns")), note=[[["x"]]])
    assert read_arrow(path, [path]).columns == ("image", "label")


def test_columns_may_be_in_any_order(tmp_path: Path, shard: Callable[..., Path]) -> None:
    paths = [shard("1.parquet", a=["a"], b=["b"]), shard("2.arrow", b=["d"], a=["c"])]
    table = read_arrow(tmp_path, paths)
    assert (table.cells("a"), table.cells("b")) == (("a", "c"), ("b", "d"))


def test_files_with_other_columns_are_refused(tmp_path: Path, shard: Callable[..., Path]) -> None:
    paths = [shard("1.parquet", label=["cat"]), shard("2.parquet", class_=["dog"])]
    with pytest.raises(DataError) as caught:
        read_arrow(tmp_path, paths)
    assert str(caught.value) == (
        f"{paths[1]} has other columns than {paths[0]}; give one of them, or a folder of like files"
    )


@pytest.mark.parametrize("cell", ["text", 2, {"path": "2.png"}], ids=str)
def test_a_file_that_has_something_else_where_another_has_images_has_none(
    tmp_path: Path, write_arrow: WriteArrow, cell: Any
) -> None:
    paths = [
        write_arrow(tmp_path / "1.parquet", pa.table({"image": [b"one"], "label": ["cat"]})),
        write_arrow(tmp_path / "2.parquet", pa.table({"image": [cell], "label": ["dog"]})),
    ]
    images = read_arrow(tmp_path, paths).images["image"]
    assert read_file(images[0]) == b"one"
    with pytest.raises(HeadstartError, match="its cell holds no bytes"):
        read_file(images[1])


def test_two_columns_of_images_are_told_apart(tmp_path: Path, write_arrow: WriteArrow) -> None:
    path = write_arrow(tmp_path / "t.parquet", pa.table({"photo": [b"p"], "mask": [b"m"], "label": ["cat"]}))
    table = read_arrow(path, [path])
    assert table.rows == (("photo/0000000", "mask/0000000", "cat"),)
    assert {column: read_file(images[0]) for column, images in table.images.items()} == {"photo": b"p", "mask": b"m"}


def test_a_table_without_images_names_them(tmp_path: Path, write_arrow: WriteArrow) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    path = write_arrow(tmp_path / "t.parquet", pa.table({"file": ["a.png", "b.png"], "label": [0.5, 1.5]}))
    dataset = images_of(read_arrow(path, [path]), TableChoice())
    assert (dataset.root, dataset.task) == (tmp_path, "regression")
    assert [read_file(sample.file) for sample in dataset.samples] == [b"a.png", b"b.png"]


def test_images_are_ordered_as_their_rows(tmp_path: Path, shard: Callable[..., Path]) -> None:
    path = shard("t.arrow", label=[f"class {row % 2}" for row in range(11)])
    dataset = images_of(read_arrow(path, [path]), TableChoice())
    names = [sample.file.name for sample in dataset.samples if isinstance(sample.file, Member)]
    assert names == [f"{row:07d}" for row in range(11)]


def test_a_table_without_rows_is_refused(shard: Callable[..., Path]) -> None:
    path = shard("t.parquet", label=pa.array([], pa.string()))
    with pytest.raises(DataError, match=r"t\.parquet has no rows; give a table with a row per image$"):
        read_arrow(path, [path])


def test_more_rows_than_any_data_set_has_are_refused(
    shard: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_table, "MOST_ROWS", 3)
    path = shard("few.parquet", label=["x"] * 3)
    assert len(read_arrow(path, [path]).rows) == 3
    path = shard("many.parquet", label=["x"] * 4)
    with pytest.raises(DataError, match=r"has 4 rows, more than any data set of images; divide it into several$"):
        read_arrow(path, [path])
