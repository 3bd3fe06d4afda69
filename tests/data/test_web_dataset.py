from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.data.archive import open_archive
from headstart.data.table import TableChoice, images_of
from headstart.data.table_file import Table
from headstart.data.web_dataset import IMAGE_COLUMN, is_web_dataset, read_web_dataset
from headstart.errors import DataError
from headstart.images.file import Member, read_file

Pack = Callable[..., Path]


@pytest.fixture
def members(tmp_path: Path, pack: Pack) -> Callable[..., list[Member]]:
    """`members({"0001.jpg": b"…"}, "0.tar")` is what an archive of these files holds."""

    def make(files: dict[str, bytes], name: str = "") -> list[Member]:
        prefix = f"{name}/" if name else ""
        return open_archive(pack(tmp_path / (name or "a.tar"), files), prefix)[0]

    return make


@pytest.fixture
def read(tmp_path: Path, members: Callable[..., list[Member]]) -> Callable[[dict[str, bytes]], Table]:
    return lambda files: read_web_dataset(tmp_path / "a.tar", members(files))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["0.jpg", "0.cls"], True),
        (["0.JPEG", "0.json", "1.txt"], True),
        (["a/0.webp", "a/0.txt"], True),
        (["0.jpg", "1.cls"], False),
        (["a/0.jpg", "b/0.cls"], False),
        (["cat/0.jpg", "dog/0.jpg"], False),
        (["cat/0.jpg", "cat/0.png", "dog/0.png"], False),
        (["0.json", "0.cls"], False),
        ([], False),
    ],
)
def test_an_image_with_a_file_that_says_what_it_is_makes_a_web_dataset(
    members: Callable[..., list[Member]], names: list[str], expected: bool
) -> None:
    assert is_web_dataset(members(dict.fromkeys(names, b"0"))) is expected


def test_what_lies_beside_an_image_is_its_row(read: Callable[..., Table], tmp_path: Path) -> None:
    said = {"label": "cat", "weight": 1.5, "tags": ["x", "y"], "box": {"left": 1}, "none": None}
    files = {"0.jpg": b"image 0", "0.cls": b"7\n", "0.txt": b" a cat ", "0.json": json.dumps(said).encode()}
    table = read({**files, "1.png": b"image 1", "1.cls": b"8"})
    assert (table.path, table.numbers) == (tmp_path / "a.tar", (1, 2))
    assert table.columns == (IMAGE_COLUMN, "cls", "txt", "label", "weight", "tags", "none")
    assert table.rows == (("0.jpg", "7", "a cat", "cat", "1.5", "x|y", ""), ("1.png", "8", "", "", "", "", ""))
    assert [read_file(file) for file in table.images[IMAGE_COLUMN]] == [b"image 0", b"image 1"]


def test_suffixes_count_in_any_case_and_begin_at_the_first_point(read: Callable[..., Table]) -> None:
    table = read({"a.b/0.JPG": b"", "a.b/0.CLS": b"1", "a.b/0.seg.png": b"", "a.b/1.cls": b"2"})
    assert table.rows == (("a.b/0.JPG", "1"),)


def test_it_is_a_data_set_as_any_table(read: Callable[..., Table]) -> None:
    table = read({"0.jpg": b"0", "0.cls": b"cat", "1.jpg": b"1", "1.cls": b"dog"})
    dataset = images_of(table, TableChoice())
    assert (dataset.root, dataset.labels, dataset.origin) == (table.path, ("cat", "dog"), "table")
    assert [(str(sample.file), sample.label) for sample in dataset.samples] == [("0.jpg", "cat"), ("1.jpg", "dog")]


def test_the_names_of_archives_and_folders_tell_parts(tmp_path: Path, members: Callable[..., list[Member]]) -> None:
    files = {"0.jpg": b"", "0.cls": b"1"}
    found = members(files, "x-train-0.tar") + members(files, "x-val-0.tar")
    assert read_web_dataset(tmp_path, found).cells("split") == ("train", "validation")
    found = members({"test/0.jpg": b"", "test/0.cls": b"1"})
    assert read_web_dataset(tmp_path, found).cells("split") == ("test",)


def test_the_name_of_an_image_tells_no_part(read: Callable[..., Table]) -> None:
    table = read({"train-station.jpg": b"", "train-station.cls": b"1", "truck.jpg": b"", "truck.cls": b"2"})
    assert table.columns == (IMAGE_COLUMN, "cls")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("0.cls", b"caf\xe9", r"^0\.cls isn't UTF-8; make the archive again$"),
        ("0.json", b"\xff\xfe{", r"^0\.json isn't UTF-8"),
        ("0.json", b'{"a": ', r"^0\.json isn't JSON \(.+\); make the archive again$"),
        ("0.json", b"[" * 100_000, r"^0\.json isn't JSON \(maximum recursion"),
        ("0.json", b"[1]", r"^0\.json is no JSON object; make the archive again$"),
        ("0.json", b"", r"^0\.json isn't JSON"),
    ],
)
def test_what_cant_be_understood_is_named(read: Callable[..., Table], name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read({"0.jpg": b"", name: data})


def test_a_label_in_a_damaged_member_is_named(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", {"0.cls": b"a label that is damaged", "0.jpg": b""})
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"^0\.cls: damaged within its archive \(.+\); make the archive again$"):
        read_web_dataset(path, open_archive(path)[0])
