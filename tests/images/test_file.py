from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headstart.errors import ImageError
from headstart.images.file import MAX_BYTES, Member, byte_size, name_within, read_file


@dataclass
class Shelf:
    """A container that remembers what was asked of it."""

    held: dict[str, bytes]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def read(self, key: str, most: int) -> bytes:
        self.asked.append((key, most))
        return self.held[key][:most]

    def byte_size(self, key: str) -> int:
        return len(self.held[key])


def test_a_file_of_its_own_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\0")
    assert read_file(tmp_path / "a.png") == b"\x89PNG\r\n\0"
    assert byte_size(tmp_path / "a.png") == 7


def test_a_member_is_read_by_its_key() -> None:
    shelf = Shelf({"k": b"data"})
    member = Member("cat/1.png", shelf, "k")
    assert read_file(member) == b"data"
    assert byte_size(member) == 4
    assert shelf.asked == [("k", MAX_BYTES + 1)]


def test_a_file_as_large_as_the_largest_is_read_and_a_larger_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.images.file.MAX_BYTES", 2**20)
    largest, larger = bytes(2**20), bytes(2**20 + 1)
    (tmp_path / "largest").write_bytes(largest)
    (tmp_path / "larger").write_bytes(larger)
    shelf = Shelf({"largest": largest, "larger": larger})
    assert read_file(tmp_path / "largest") == read_file(Member("a", shelf, "largest")) == largest
    for file in (tmp_path / "larger", Member("a", shelf, "larger")):
        with pytest.raises(ImageError, match=r"^more than 1 MiB, the most that is read of a file$"):
            read_file(file)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "No such file or directory"),
        ("dangling", "No such file or directory"),
        ("folder", "Is a directory"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_what_cant_be_read_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError) as caught:
        read_file(tmp_path / name)
    assert str(caught.value) == f"the file can't be read ({reason})"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused: list[ImageError] = []

    def read() -> None:
        try:
            read_file(tmp_path / "pipe.png")
        except ImageError as error:
            refused.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=5)
    assert [str(error) for error in refused] == ["it is a pipe or a device, not a file"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_a_device_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^it is a pipe or a device, not a file$"):
        read_file(Path("/dev/zero"))


def test_the_size_of_a_file_that_is_gone_is_0(tmp_path: Path) -> None:
    assert byte_size(tmp_path / "absent") == 0


def test_a_name_is_that_within_the_data_set(tmp_path: Path) -> None:
    assert name_within(tmp_path / "cat" / "1.png", tmp_path) == "cat/1.png"
    assert name_within(Member("cat/1.png", Shelf({}), "k"), tmp_path) == "cat/1.png"


def test_members_are_told_apart_and_ordered_by_name_alone() -> None:
    one, other = Shelf({}), Shelf({"k": b""})
    assert Member("a", one, "k") == Member("a", other, "l")
    assert len({Member("a", one, "k"), Member("a", other, "l"), Member("b", one, "k")}) == 2
    assert sorted([Member("b", one, "1"), Member("a", other, "2")]) == [Member("a", one, ""), Member("b", one, "")]


def test_a_member_is_shown_by_its_name() -> None:
    assert str(Member("cat/1.png", Shelf({}), "k")) == "cat/1.png"
