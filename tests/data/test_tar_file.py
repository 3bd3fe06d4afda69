from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headstart.data import tar_file
from headstart.data.tar_file import TarContainer
from headstart.errors import DataError, HeadstartError, ImageError, UsageError
from headstart.images.file import Member, read_file

Pack = Callable[..., Path]

BLOCK = tarfile.BLOCKSIZE
FILES = {f"cat/{number}.png": bytes([number]) * (1000 + number) for number in range(40)}
THREE = {f"cat/{number}.png": bytes([number]) * 700 for number in range(3)}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def names(container: TarContainer) -> list[str]:
    return [name for name, _ in container.members()]


def test_each_member_is_read_as_it_was_packed(tmp_path: Path, pack: Pack) -> None:
    container = TarContainer(pack(tmp_path / "a.tar", FILES))
    assert list(container.members()) == [(name, True) for name in FILES]
    assert container.problem is None
    assert {key: container.read(key, 2**30) for key in FILES} == FILES
    assert {key: container.byte_size(key) for key in FILES} == {key: len(data) for key, data in FILES.items()}


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
def test_names_are_read_whatever_the_format(tmp_path: Path, kind: int) -> None:
    files = {"cat/1.png": b"one", "ä/" + "x" * 90 + "/" + "y" * 80: b"long", "Größe XL/猫.png": b"other"}
    with tarfile.open(tmp_path / "a.tar", "w", format=kind) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    container = TarContainer(tmp_path / "a.tar")
    assert ({key: container.read(key, 99) for key in files}, container.problem) == (files, None)


def test_no_more_is_read_than_asked_for_or_than_is_the_member_s(tmp_path: Path, pack: Pack) -> None:
    container = TarContainer(pack(tmp_path / "a.tar", {"a": b"0123456789", "b": b"next"}))
    assert [container.read("a", most) for most in (0, 3, 10, 11)] == [b"", b"012", b"0123456789", b"0123456789"]


def test_threads_read_at_once_what_each_asked_for(tmp_path: Path, pack: Pack) -> None:
    container = TarContainer(pack(tmp_path / "a.tar", FILES))
    keys = random.Random(0).choices(list(FILES), k=800)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda key: container.read(key, 2**30), keys)) == [FILES[key] for key in keys]


def test_a_member_larger_than_any_image_is_set_aside(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.images.file.MAX_BYTES", 2**20)
    container = TarContainer(pack(tmp_path / "a.tar", {"a": bytes(2**20 + 1)}))
    with pytest.raises(ImageError, match=r"^more than 1 MiB, the most that is read of a file$"):
        read_file(Member("a", container, "a"))


def test_a_tar_file_that_has_gone_since_gives_no_image(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.tar", FILES)
    container = TarContainer(path)
    path.unlink()
    with pytest.raises(ImageError, match=r"^its archive can't be read \(No such file or directory\)$"):
        container.read("cat/1.png", 99)


def test_a_tar_file_cut_in_the_middle_gives_what_it_has_and_says_so(tmp_path: Path, pack: Pack) -> None:
    data = pack(tmp_path / "whole.tar", THREE).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(data[: 5 * BLOCK])
    container = TarContainer(path)
    assert (names(container), container.problem) == (["cat/0.png"], "it ends within 'cat/1.png'")
    assert container.read("cat/0.png", 999) == THREE["cat/0.png"]


def test_wherever_a_tar_file_is_cut_it_says_so_and_gives_whole_members_only(tmp_path: Path, pack: Pack) -> None:
    data = pack(tmp_path / "whole.tar", THREE).read_bytes()
    path = tmp_path / "a.tar"
    for length in range(BLOCK, 9 * BLOCK + 1, BLOCK // 4):
        path.write_bytes(data[:length])
        container = TarContainer(path)
        assert container.problem is not None, length
        assert {key: container.read(key, 999) for key in names(container)}.items() <= THREE.items()
        assert len(names(container)) == (length - BLOCK - 700) // (3 * BLOCK) + 1


@pytest.mark.parametrize("place", [0, 100, 148, 257, 400])
def test_a_damaged_header_in_the_middle_isnt_taken_for_the_end(tmp_path: Path, pack: Pack, place: int) -> None:
    path = pack(tmp_path / "a.tar", THREE)
    data = bytearray(path.read_bytes())
    data[3 * BLOCK + place] ^= 0x55
    path.write_bytes(data)
    container = TarContainer(path)
    assert names(container) == ["cat/0.png"]
    assert container.problem == "it is damaged or cut short after 'cat/0.png' (no end is marked)"


@pytest.mark.parametrize("size", [-1, -BLOCK, -(2**40)])
def test_a_negative_size_doesnt_lead_in_circles(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(header("a", 0) + header("b", size) + bytes(2 * BLOCK))
    container = TarContainer(path)
    assert names(container) == ["a"]
    assert container.problem is not None
    assert "damaged or cut short after 'a'" in container.problem


@pytest.mark.parametrize(
    "front",
    [
        header("@LongLink", 0, tarfile.GNUTYPE_LONGNAME) * 3000,
        header("@LongLink", 2**50, tarfile.GNUTYPE_LONGNAME),
        header("@LongLink", 2**80, tarfile.GNUTYPE_LONGNAME),
        header("pax", BLOCK, tarfile.XHDTYPE) + b"30 GNU.sparse.map=x,y\n".ljust(BLOCK, b"\0"),
        header("pax", BLOCK, tarfile.XHDTYPE) + b"999999999 path=x\n".ljust(BLOCK, b"\0"),
        header("pax", BLOCK, tarfile.XHDTYPE) + b"0 path=x\n".ljust(BLOCK, b"\0"),
    ],
    ids=["a chain", "large", "larger", "sparse", "beyond the end", "no length"],
)
def test_headers_made_to_do_harm_do_none(tmp_path: Path, pack: Pack, front: bytes) -> None:
    rest = pack(tmp_path / "rest.tar", THREE).read_bytes()
    (tmp_path / "first.tar").write_bytes(front + rest)
    (tmp_path / "later.tar").write_bytes(header("cat/first.png", 0) + front + rest)
    read_or_refused(tmp_path / "first.tar")
    container = TarContainer(tmp_path / "later.tar")
    assert names(container)[0] == "cat/first.png"


def test_more_members_than_any_data_set_has_are_refused(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_file, "MOST_MEMBERS", 3)
    TarContainer(pack(tmp_path / "few.tar", THREE))
    with pytest.raises(DataError) as caught:
        TarContainer(pack(tmp_path / "many.tar", FILES))
    assert str(caught.value) == (
        f"{tmp_path / 'many.tar'} has more than 3 members, more than any data set of images; "
        "divide it into several, or unpack those that you mean into folders"
    )


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"x" * 5000, b"\x1f\x8b" * 9000, b"PK\5\6" + bytes(600)])
def test_what_is_no_tar_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tar isn't a tar file \(.+\); copy or make it again"):
        TarContainer(tmp_path / "a.tar")


def test_a_tar_file_that_cant_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.tar can't be read \(No such file or directory\); check its name and"):
        TarContainer(tmp_path / "a.tar")


def test_damaged_tar_files_are_refused_or_read_but_nothing_worse(tmp_path: Path, pack: Pack) -> None:
    rng = random.Random(7)
    sound = pack(tmp_path / "a.tar", {**THREE, "x" * 150 + "é": b"long"}).read_bytes()[: 16 * BLOCK]
    for _ in range(300):
        data = bytearray(sound)
        start = BLOCK * rng.choice([0, 3, 6, 9, 11])
        for _ in range(rng.randint(1, 4)):
            # Half of the damage goes to sizes, kinds and checksums.
            data[start + (rng.randrange(100, 160) if rng.random() < 0.5 else rng.randrange(BLOCK))] = rng.randrange(256)
        if rng.random() < 0.8:
            data[start : start + BLOCK] = with_checksum(data[start : start + BLOCK])
        (tmp_path / "a.tar").write_bytes(data)
        read_or_refused(tmp_path / "a.tar")


def with_checksum(block: bytes) -> bytes:
    """A header whose checksum is right, so that what else is in it is looked at."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def read_or_refused(path: Path) -> None:
    """Any other exception fails the test."""
    try:
        container = TarContainer(path)
    except HeadstartError as error:
        assert str(path) in str(error)
        return
    for name in names(container):
        assert len(container.read(name, 10**6)) == container.byte_size(name)
