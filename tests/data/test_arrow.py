from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.data.arrow import ArrowFile
from headstart.errors import ImageError
from headstart.images.file import Member, read_file

WriteArrow = Callable[..., Path]

IMAGES = [bytes([number]) * (50 + number) for number in range(30)]
each_format = pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".footer.arrow"])


@pytest.fixture
def opened(tmp_path: Path, write_arrow: WriteArrow) -> Callable[..., ArrowFile]:
    """`opened(".parquet", column=[…])` is a file with these columns."""
    return lambda suffix, **columns: ArrowFile(write_arrow(tmp_path / f"t{suffix}", pa.table(columns)))


@each_format
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_a_column_of_bytes_holds_images(opened: Callable[..., ArrowFile], suffix: str, kind: Any) -> None:
    file = opened(suffix, image=pa.array(IMAGES, kind), label=list(range(30)))
    assert (file.columns, file.image_columns, file.rows) == (("image", "label"), ("image",), 30)
    assert [file.read(f"image/{row}", 999) for row in range(30)] == IMAGES
    assert file.read("image/9", 3) == b"\t\t\t"
    assert [file.byte_size(f"image/{row}") for row in range(30)] == list(map(len, IMAGES))


@each_format
def test_a_column_as_datasets_makes_it_holds_images(
    tmp_path: Path, write_arrow: WriteArrow, hub_table: Any, suffix: str
) -> None:
    file = ArrowFile(write_arrow(tmp_path / f"t{suffix}", hub_table(IMAGES, [0, 1, -1] * 10, ["cat", "dog"])))
    assert (file.columns, file.image_columns) == (("image", "label"), ("image",))
    assert [file.read(f"image/{row}", 999) for row in range(30)] == IMAGES
    assert file.texts("label") == ["cat", "dog", ""] * 10


@each_format
def test_a_column_name_may_hold_any_sign(opened: Callable[..., ArrowFile], suffix: str) -> None:
    file = opened(suffix, **{"a.b/c": [b"one"], "a": [b"other"], "x.y": ["text"], "x": ["another"]})
    assert (file.read("a.b/c/0", 9), file.read("a/0", 9)) == (b"one", b"other")
    assert (file.texts("x.y"), file.texts("x")) == (["text"], ["another"])


@each_format
def test_text_and_numbers_are_text(opened: Callable[..., ArrowFile], suffix: str) -> None:
    columns = {
        "text": pa.array(["x", None]),
        "large": pa.array(["x", None], pa.large_string()),
        "view": pa.array(["x", None], pa.string_view()),
        "dictionary": pa.array(["x", None]).dictionary_encode(),
        "whole": pa.array([2**63, None], pa.uint64()),
        "fraction": pa.array([0.5, None]),
        "truth": pa.array([True, None]),
        "list": pa.array([["x", "y"], None]),
        "nothing": pa.nulls(2),
    }
    file = opened(suffix, **columns)
    assert file.image_columns == ()
    assert {name: file.texts(name) for name in columns} == {
        **{name: ["x", ""] for name in ("text", "large", "view", "dictionary")},
        "whole": [str(2**63), ""],
        "fraction": ["0.5", ""],
        "truth": ["1", ""],
        "list": ["x|y", ""],
        "nothing": ["", ""],
    }


@each_format
@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([1, 2], pa.timestamp("us", "Nowhere/Town")),
        pa.array([1, 2], pa.duration("ns")),
        pa.array([datetime.date(2020, 1, 1)] * 2),
        pa.array([Decimal("1.5")] * 2),
        pa.array([{"x": 1}] * 2),
        pa.array([[["x"]]] * 2),
        pa.array([[b"image"]] * 2),
        pa.array([[{"bytes": b"image", "path": None}]] * 2),
    ],
    ids=lambda cells: str(cells.type),
)
def test_other_columns_have_no_text_and_are_not_read(
    opened: Callable[..., ArrowFile], monkeypatch: pytest.MonkeyPatch, suffix: str, cells: Any
) -> None:
    file = opened(suffix, column=cells)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    assert file.texts("column") == [None, None]
    assert file.image_columns == ()


@each_format
@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": "1.png"}], ids=["nothing", "a path"])
def test_a_cell_without_bytes_is_set_aside(opened: Callable[..., ArrowFile], suffix: str, cell: Any) -> None:
    kind = pa.binary() if cell is None else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    file = opened(suffix, image=pa.array([cell, None], kind))
    for key in ("image/0", "image/1"):
        with pytest.raises(ImageError, match=r"^its cell holds no bytes$"):
            file.read(key, 99)
        assert file.byte_size(key) == 0


@each_format
def test_threads_read_at_once_what_each_asked_for(opened: Callable[..., ArrowFile], suffix: str) -> None:
    file = opened(suffix, image=IMAGES)
    rows = random.Random(0).choices(range(30), k=600)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: file.read(f"image/{row}", 999), rows)) == [IMAGES[row] for row in rows]


def test_only_the_row_group_of_an_image_is_read_and_once_for_its_neighbours(
    opened: Callable[..., ArrowFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, Any]] = []
    read_row_group, read_all = pq.ParquetFile.read_row_group, pq.ParquetFile.read

    def count_group(self: Any, group: int, columns: Any) -> Any:
        read.append(("group", (group, *columns)))
        return read_row_group(self, group, columns=columns)

    def count_all(self: Any, columns: Any) -> Any:
        read.append(("all", tuple(columns)))
        return read_all(self, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", count_group)
    monkeypatch.setattr(pq.ParquetFile, "read", count_all)
    file = opened(".parquet", image=IMAGES, other=IMAGES, label=["x"] * 30)
    assert read == []
    file.texts("label")
    assert [file.read(f"image/{row}", 999) for row in (5, 4, 7, 8, 6)] == [IMAGES[row] for row in (5, 4, 7, 8, 6)]
    assert read == [("all", ("label",)), ("group", (1, "image")), ("group", (2, "image"))]


def test_many_files_together_keep_no_more_than_two_row_groups(tmp_path: Path, write_arrow: WriteArrow) -> None:
    image = random.Random(0).randbytes(2**18)
    table = pa.table({"image": [image] * 4})
    files = [ArrowFile(write_arrow(tmp_path / f"{number}.parquet", table)) for number in range(32)]
    before = pa.total_allocated_bytes()
    assert all(file.read(f"image/{row}", 2**20) == image for file in files for row in range(4))
    assert pa.total_allocated_bytes() - before < 16 * 2**20  # of 32, and PyArrow takes more than it needs


def test_an_arrow_file_is_not_read_into_memory(tmp_path: Path, write_arrow: WriteArrow) -> None:
    path = write_arrow(tmp_path / "t.arrow", pa.table({"image": [bytes(2**20)] * 16}))
    before = pa.total_allocated_bytes()
    file = ArrowFile(path)
    assert file.read("image/9", 9) == bytes(9)
    assert pa.total_allocated_bytes() - before < 2**20


@each_format
def test_an_image_larger_than_any_is_set_aside(
    opened: Callable[..., ArrowFile], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("headstart.images.file.MAX_BYTES", 2**20)
    file = opened(suffix, image=[bytes(2**20 + 1), b"x"])
    with pytest.raises(ImageError, match=r"^more than 1 MiB, the most that is read of a file$"):
        read_file(Member("0", file, "image/0"))
    assert read_file(Member("1", file, "image/1")) == b"x"


@pytest.mark.parametrize(
    "told",
    [
        *(b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null", b'{"info": []}', b'{"info": {"features": [1]}}'),
        *(json.dumps({"info": {"features": {"label": told}}}).encode() for told in (1, "names", {"names": 5}, {})),
    ],
)
@each_format
def test_what_is_told_of_classes_may_be_anything(
    tmp_path: Path, write_arrow: WriteArrow, suffix: str, told: bytes
) -> None:
    table = pa.table({"label": [0, 1]}).replace_schema_metadata({b"huggingface": told})
    assert ArrowFile(write_arrow(tmp_path / f"t{suffix}", table)).texts("label") == ["0", "1"]
