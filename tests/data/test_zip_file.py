from __future__ import annotations

import random
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart.data.zip_file import MOST_DIRECTORY_BYTES, ZipContainer
from headstart.errors import DataError, HeadstartError, ImageError, UsageError
from headstart.images.decode import decode
from headstart.images.file import Member, read_file

Pack = Callable[..., Path]

MIB = 2**20
FILES = {f"cat/{number}.png": bytes([number]) * (1000 + number) for number in range(40)}


@contextmanager
def using_at_most(byte_count: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= byte_count
    finally:
        tracemalloc.stop()


def read_whole(path: Path, key: str) -> bytes:
    return ZipContainer(path).read(key, 2**30)


def end_record(members: int, size: int, offset: int = 0) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, members, members, size, offset, 0)


def record_64(members: int, size: int, offset: int = 0) -> bytes:
    return struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, members, members, size, offset)


def locator_64(offset: int) -> bytes:
    return struct.pack("<4sIQI", b"PK\6\7", 0, offset, 1)


def test_each_member_is_read_as_it_was_packed(tmp_path: Path, pack: Pack) -> None:
    container = ZipContainer(pack(tmp_path / "a.zip", FILES))
    assert dict(container.members()) == dict.fromkeys(FILES, True)
    assert {key: container.read(key, 2**30) for key in FILES} == FILES
    assert {key: container.byte_size(key) for key in FILES} == {key: len(data) for key, data in FILES.items()}


def test_no_more_is_read_than_asked_for(tmp_path: Path, pack: Pack) -> None:
    container = ZipContainer(pack(tmp_path / "a.zip", {"a": b"0123456789"}))
    assert [container.read("a", most) for most in (0, 3, 10, 11)] == [b"", b"012", b"0123456789", b"0123456789"]


def test_threads_read_at_once_what_each_asked_for(tmp_path: Path, pack: Pack) -> None:
    container = ZipContainer(pack(tmp_path / "a.zip", FILES))
    keys = random.Random(0).choices(list(FILES), k=800)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda key: container.read(key, 2**30), keys)) == [FILES[key] for key in keys]


def test_a_zip64_file_is_read(tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = pack(tmp_path / "a.zip", FILES)
    assert b"PK\6\6" in path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive, archive.open("dog/1.png", "w", force_zip64=True) as member:
        member.write(b"dog")
    container = ZipContainer(path)
    assert {key: container.read(key, 2**30) for key, _ in container.members()} == {**FILES, "dog/1.png": b"dog"}


def test_a_comment_and_what_stands_before_the_zip_file_are_passed_over(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"photos " * 9000
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read_whole(path, "cat/3.png") == FILES["cat/3.png"]


def test_a_zip_file_within_a_zip_file_is_just_no_image(tmp_path: Path, pack: Pack) -> None:
    inner = pack(tmp_path / "inner.zip", FILES).read_bytes()
    container = ZipContainer(pack(tmp_path / "a.zip", {"cat/inner.zip": inner}))
    assert dict(container.members()) == {"cat/inner.zip": True}
    with pytest.raises(ImageError, match="not an image in a format that is read here"):
        decode(read_file(Member("inner", container, "cat/inner.zip")))


def test_an_encrypted_member_is_set_aside(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", {"a": b"secret"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"^it can't be unpacked: File 'a' is encrypted, password required"):
        read_whole(path, "a")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_would_be_unpacked_without_a_limit_is_set_aside(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", bytes(8 * MIB), method)
    container = ZipContainer(tmp_path / "a.zip")
    with using_at_most(MIB), pytest.raises(ImageError, match=r"it is packed with another method than deflate$"):
        container.read("a", 1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_whose_data_is_damaged_is_set_aside_and_others_are_read(tmp_path: Path, method: int) -> None:
    rng = random.Random(0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("bad", rng.randbytes(2000))
        archive.writestr("good", b"good")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[1000:1010] = bytes(10)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ImageError, match=r"^damaged within its archive \(.+\)$"):
        read_whole(tmp_path / "a.zip", "bad")
    assert read_whole(tmp_path / "a.zip", "good") == b"good"


def test_a_member_whose_own_name_is_damaged_is_set_aside(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", {"é": b"x"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff", 1))
    with pytest.raises(ImageError, match=r"^damaged within its archive \('utf-8' codec can't decode"):
        read_whole(path, "é")


def test_a_member_larger_than_any_image_is_set_aside(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.images.file.MAX_BYTES", MIB)
    container = ZipContainer(pack(tmp_path / "a.zip", {"a": bytes(32 * MIB), "b": bytes(MIB)}))
    assert container.byte_size("a") == 32 * MIB
    with using_at_most(5 * MIB), pytest.raises(ImageError, match=r"^more than 1 MiB, the most that is read of a file$"):
        read_file(Member("a", container, "a"))
    assert read_file(Member("b", container, "b")) == bytes(MIB)


def test_a_member_that_claims_to_be_smaller_than_it_is_fills_no_memory(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", {"a": bytes(32 * MIB)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 32 * MIB), struct.pack("<I", 10)))
    container = ZipContainer(path)
    assert container.byte_size("a") == 10
    with using_at_most(MIB), pytest.raises(ImageError, match="damaged within its archive"):
        container.read("a", 2**30)


def directory_of(tmp_path: Path, ending: Callable[[int], bytes], size: int = 64 * MIB) -> Path:
    """A file that is a hole of so many bytes but for its ending, which is made for that place."""
    with (tmp_path / "forged.zip").open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(ending(size))
    return tmp_path / "forged.zip"


FORGED = {
    "32 bits": lambda end: end_record(0xFFFF, 64 * MIB),
    "64 bits": lambda end: record_64(10**6, 64 * MIB) + locator_64(end) + end_record(0xFFFF, 0xFFFFFFFF),
    # The place that one version of Python reads is harmless, and that which another reads isn't.
    "before": lambda end: record_64(1, 46) + record_64(10**6, 64 * MIB) + locator_64(end) + end_record(1, 46),
    "elsewhere": lambda end: record_64(10**6, 64 * MIB) + record_64(1, 46) + locator_64(end) + end_record(1, 46),
    "neither": lambda end: record_64(1, 46) + bytes(56) + locator_64(end) + end_record(0xFFFF, 64 * MIB),
}


@pytest.mark.parametrize("ending", FORGED.values(), ids=FORGED)
def test_a_list_of_a_million_members_is_refused_before_it_is_read(
    tmp_path: Path, ending: Callable[[int], bytes]
) -> None:
    path = directory_of(tmp_path, ending)
    start = time.perf_counter()
    with using_at_most(MIB), pytest.raises(DataError) as caught:
        ZipContainer(path)
    assert time.perf_counter() - start < 1
    assert str(caught.value).endswith(
        " members in 64 MiB, more than any data set of images; "
        "divide it into several, or unpack those that you mean into folders"
    )


def test_a_list_that_is_claimed_to_be_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for place in (2**63 - 1, 2**64 - 1, 10**6):
        path.write_bytes(locator_64(place) + end_record(1, MOST_DIRECTORY_BYTES))
        with pytest.raises(DataError, match=r"a\.zip isn't a whole zip file \(.+\); copy or make it again"):
            ZipContainer(path)


def test_a_zip_file_that_is_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, pack: Pack) -> None:
    data = pack(tmp_path / "whole.zip", dict(list(FILES.items())[:3])).read_bytes()
    for length in range(0, len(data), 5):
        (tmp_path / "a.zip").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"a\.zip isn't a whole zip file \(.+\); copy or make it again"):
            ZipContainer(tmp_path / "a.zip")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\5\6", b"Rar!\x1a\7\0" * 99, b"PK\3\4" * 99, b"\x1f\x8b" * 9000])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip isn't a whole zip file \(its end is missing\); copy or make it again"):
        ZipContainer(tmp_path / "a.zip")


def test_a_zip_file_that_cant_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.zip can't be read \(No such file or directory\); check its name and"):
        ZipContainer(tmp_path / "a.zip")


def test_damaged_zip_files_are_refused_or_read_but_nothing_worse(tmp_path: Path) -> None:
    rng = random.Random(7)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            archive.writestr(zipfile.ZipInfo(f"é/{method}.png"), b"x" * 30, method)
    sound = path.read_bytes()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice([0, 255, rng.randrange(256)])
        path.write_bytes(data)
        read_or_refused(path)


def read_or_refused(path: Path) -> None:
    """Any other exception fails the test."""
    try:
        container = ZipContainer(path)
    except HeadstartError as error:
        assert str(path) in str(error)
        return
    for key, _ in container.members():
        try:
            container.read(key, 10**6)
        except ImageError as error:
            assert str(error)
