from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headstart.data.arrow import ArrowFile
from headstart.errors import DataError, HeadstartError, ImageError, UsageError

WriteArrow = Callable[..., Path]

IMAGES = [bytes([number]) * (50 + number) for number in range(30)]
each_format = pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".footer.arrow"])


@each_format
def test_several_columns_of_one_name_are_refused(tmp_path: Path, write_arrow: WriteArrow, suffix: str) -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    with pytest.raises(DataError, match=r"has several columns of one name; give each a name of its own$"):
        ArrowFile(write_arrow(tmp_path / f"t{suffix}", table))


@each_format
def test_without_pyarrow_the_line_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str
) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as caught:
        ArrowFile(tmp_path / f"t{suffix}")
    assert str(caught.value) == (
        f"t{suffix} is read with PyArrow, which isn't installed; run: pip install 'headstart[arrow]'"
    )


@each_format
def test_a_file_that_cant_be_opened_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match=r"t[.\w]+ can't be read \(.*No such file.*\); check its name and its perm"):
        ArrowFile(tmp_path / f"t{suffix}")


@each_format
@pytest.mark.parametrize(
    "data", [b"", b"x", b"PAR1", b"PAR1" * 3, b"ARROW1\0\0" * 9, b"\xff" * 300, b"a,b\n1,2\n" * 99]
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, suffix: str, data: bytes) -> None:
    (tmp_path / f"t{suffix}").write_bytes(data)
    with pytest.raises(DataError, match=r"t[.\w]+ is damaged or cut short \((?s:.+)\); copy or make it again$"):
        ArrowFile(tmp_path / f"t{suffix}")


def test_a_parquet_file_is_refused_wherever_it_is_cut(tmp_path: Path, write_arrow: WriteArrow) -> None:
    data = write_arrow(tmp_path / "whole.parquet", pa.table({"image": IMAGES})).read_bytes()
    for length in range(0, len(data), 31):
        (tmp_path / "t.parquet").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"t\.parquet is damaged or cut short"):
            ArrowFile(tmp_path / "t.parquet")


def test_an_arrow_file_is_refused_wherever_it_is_cut_but_between_batches(
    tmp_path: Path, write_arrow: WriteArrow
) -> None:
    data = write_arrow(tmp_path / "whole.arrow", pa.table({"image": IMAGES[:12]})).read_bytes()
    rows = []
    for length in range(0, len(data), 4):
        path = tmp_path / f"{length}.arrow"  # one that is mapped into memory mustn't be overwritten
        path.write_bytes(data[:length])
        try:
            rows.append(ArrowFile(path).rows)
        except DataError as error:
            assert "is damaged or cut short" in str(error)
    assert set(rows) == {0, 4, 8, 12}
    assert len(rows) < 9


def test_a_type_that_pyarrow_doesnt_know_is_refused(tmp_path: Path, write_arrow: WriteArrow) -> None:
    sound = write_arrow(tmp_path / "sound.arrow", pa.table({"label": [1, 2]})).read_bytes()
    bits, more_bits = (64).to_bytes(4, "little"), (128).to_bytes(4, "little")
    assert bits in sound
    (tmp_path / "t.arrow").write_bytes(sound.replace(bits, more_bits))
    with pytest.raises(DataError, match=r"damaged or cut short \(.*Integers with more than 64 bits not implemented"):
        ArrowFile(tmp_path / "t.arrow")


@pytest.mark.parametrize("name", [b"label", b"bytes"])
def test_a_name_that_is_no_unicode_is_refused(
    tmp_path: Path, write_arrow: WriteArrow, hub_table: Any, name: bytes
) -> None:
    table = hub_table([b"x"], [0], ["cat"]).replace_schema_metadata()
    sound = write_arrow(tmp_path / "sound.arrow", table).read_bytes()
    assert sound.count(name) == 1
    (tmp_path / "t.arrow").write_bytes(sound.replace(name, b"\xff" * len(name)))
    with pytest.raises(DataError, match=r"damaged or cut short \('utf-8' codec can't decode"):
        ArrowFile(tmp_path / "t.arrow")


@each_format
def test_damaged_files_are_refused_or_read_but_nothing_worse(
    tmp_path: Path, write_arrow: WriteArrow, hub_table: Any, suffix: str
) -> None:
    rng = random.Random(7)
    sound = write_arrow(tmp_path / f"sound{suffix}", hub_table(IMAGES[:9], [0, 1, 2] * 3, ["a", "b", "c"])).read_bytes()
    for number in range(300):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.choice([0, 255, rng.randrange(256)])
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        read_or_refused(path)


def read_or_refused(path: Path) -> None:
    """Any other exception fails the test."""
    try:
        file = ArrowFile(path)
        for column in file.columns:
            assert len(file.texts(column)) == file.rows
    except HeadstartError as error:
        assert str(path) in str(error)
        return
    for column in file.image_columns:
        for row in range(min(file.rows, 20)):
            try:
                file.read(f"{column}/{row}", 10**6)
            except ImageError as error:
                assert str(error)
