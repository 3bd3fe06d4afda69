from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from headstart.data.archive import archives_in, is_archive, open_archive, scan_members
from headstart.data.dataset import Dataset
from headstart.errors import DataError, UsageError
from headstart.images.file import read_file

Pack = Callable[..., Path]
Scanned = Callable[[str, Iterable[str]], Dataset]

SUFFIXES = [".zip", ".tar"]
each_kind = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture
def scanned(tmp_path: Path, pack: Pack) -> Scanned:
    """`scanned(".zip", names)` is the data set of an archive with members of these names."""

    def scan_archive(suffix: str, names: Iterable[str]) -> Dataset:
        path = pack(tmp_path / f"photos{suffix}", dict.fromkeys(names, b"x"))
        return scan_members(path, open_archive(path)[0])

    return scan_archive


def found(dataset: Dataset) -> set[tuple[str, str, str | None]]:
    return {(str(sample.file), sample.label, sample.part) for sample in dataset.samples}


@each_kind
def test_each_folder_is_a_class(scanned: Scanned, tmp_path: Path, suffix: str) -> None:
    dataset = scanned(suffix, ["dog/1.jpg", "cat/in/2.jpg", "cat/1.jpg"])
    assert (dataset.root, dataset.labels, dataset.origin) == (tmp_path / f"photos{suffix}", ("cat", "dog"), "folders")
    assert [str(sample.file) for sample in dataset.samples] == ["cat/1.jpg", "cat/in/2.jpg", "dog/1.jpg"]
    assert [sample.label for sample in dataset.samples] == ["cat", "cat", "dog"]


@each_kind
def test_divided_folders_keep_their_parts(scanned: Scanned, suffix: str) -> None:
    names = ["Train/cat/1.png", "Train/dog/1.png", "val/cat/2.png", "test/dog/3.png"]
    assert found(scanned(suffix, names)) == {
        ("Train/cat/1.png", "cat", "train"),
        ("Train/dog/1.png", "dog", "train"),
        ("val/cat/2.png", "cat", "validation"),
        ("test/dog/3.png", "dog", "test"),
    }


@each_kind
@pytest.mark.parametrize("top", ["photos/", "./", "./photos/", "a/b/"])
def test_a_folder_that_everything_lies_in_doesnt_count(scanned: Scanned, suffix: str, top: str) -> None:
    names = [f"{top}{name}" for name in ("train/cat/1.png", "train/dog/2.png", "test/cat/3.png")]
    dataset = scanned(suffix, names)
    assert {(sample.label, sample.part) for sample in dataset.samples} == {
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "test"),
    }


@each_kind
def test_a_file_beside_the_class_folders_changes_nothing(scanned: Scanned, suffix: str) -> None:
    dataset = scanned(suffix, ["photos/README.md", "photos/cat/1.png", "photos/dog/1.png"])
    assert dataset.counts() == {"cat": 1, "dog": 1}


@each_kind
def test_backslashes_divide_folders_too(scanned: Scanned, suffix: str) -> None:
    assert scanned(suffix, ["cat\\1.png", "dog\\in\\1.png"]).counts() == {"cat": 1, "dog": 1}


@each_kind
def test_hidden_files_and_the_litter_of_file_managers_do_not_count(scanned: Scanned, suffix: str) -> None:
    litter = [".DS_Store", "__MACOSX/cat/._1.png", "cat/._1.png", "cat/Thumbs.db", "dog/.cache/2.png"]
    dataset = scanned(suffix, ["cat/1.png", "dog/1.png", *litter])
    assert dataset.counts() == {"cat": 1, "dog": 1}


@each_kind
def test_a_name_that_is_both_a_file_and_a_folder_is_read_as_both(scanned: Scanned, suffix: str) -> None:
    assert scanned(suffix, ["a", "a/cat/1.png", "b/1.png"]).labels == ("a", "b")
    with pytest.raises(DataError, match="holds one class only, 'a'"):
        scanned(suffix, ["a", "a/cat/1.png", "a/dog/1.png"])


def test_a_class_that_is_no_unicode_gets_a_label_that_can_be_written(scanned: Scanned) -> None:
    dataset = scanned(".tar", ["caf\udce9/1.png", "dog/1.png"])
    assert dataset.labels == ("caf�", "dog")
    assert dataset.samples[0].label == "caf�"
    assert read_file(dataset.samples[0].file) == b"x"


@each_kind
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no labelled images: its subfolders are empty or missing"),
        (["1.png", "2.png"], "holds no labelled images: its files lie loose, not in class folders"),
        (["cat/1.png", "cat/2.png"], "holds one class only, 'cat'"),
        (["train/cat/1.png", "test/cat/2.png", "notes/a.txt"], "folders for training and testing, and others beside"),
        (["train/cat/1.png", "train/dog/1.png", "test/owl/1.png"], "class 'owl' has images to validate or test on"),
    ],
)
def test_what_cant_be_learned_from_is_refused(scanned: Scanned, suffix: str, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        scanned(suffix, names)


LEADING_OUT = ["../cat/1.png", "cat/../../1.png", "cat/..", "..\\1.png", "cat\\..\\..\\1.png", ".."]
ABSOLUTE = ["/etc/passwd", "\\\\server\\1.png", "\\1.png", "C:\\1.png", "c:/1.png", "C:1.png"]


@each_kind
@pytest.mark.parametrize("name", [*LEADING_OUT, *ABSOLUTE])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, pack: Pack, suffix: str, name: str) -> None:
    path = pack(tmp_path / f"a{suffix}", {"cat/1.png": b"", name: b"", "dog/1.png": b""})
    with pytest.raises(DataError) as caught:
        open_archive(path)
    assert str(caught.value) == (
        f"{path} holds {name!r}, a name that leads out of it, as archives have that are made to do harm; "
        "don't unpack it; ask whoever made it for another"
    )


@each_kind
@pytest.mark.parametrize("name", ["./../1.png", ".//etc/passwd"])
def test_a_name_that_leads_out_from_here_is_refused(tmp_path: Path, pack: Pack, suffix: str, name: str) -> None:
    with pytest.raises(DataError, match="a name that leads out of it, as archives have that are made to do harm"):
        open_archive(pack(tmp_path / f"a{suffix}", {name: b"x"}))


@each_kind
@pytest.mark.parametrize(
    "name", ["a..b/1.png", "cat/1..png", "ab:c.png", "a b/c'd\".png", "猫/写真.png", "-rf", "%2e%2e/1.png"]
)
def test_a_name_that_only_looks_odd_is_kept(tmp_path: Path, pack: Pack, suffix: str, name: str) -> None:
    members, problem = open_archive(pack(tmp_path / f"a{suffix}", {name: b"data"}))
    assert ([member.name for member in members], problem) == ([name], None)
    assert read_file(members[0]) == b"data"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_file_are_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("cat/link.png")
        info.external_attr = (kind | 0o644) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds 'cat/link\.png', which is a link or a device and no file; make the"):
        open_archive(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_links_and_devices_in_a_tar_file_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cat/link.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"holds 'cat/link\.png', which is a link or a device and no file; make the"):
        open_archive(tmp_path / "a.tar")


@each_kind
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat/1.png", b"one")
            archive.writestr("cat/1.png", b"other")
    else:
        with tarfile.open(path, "w") as archive:
            for data in (b"one", b"other"):
                info = tarfile.TarInfo("cat/1.png")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    with pytest.raises(DataError) as caught:
        open_archive(path)
    assert str(caught.value) == f"{path} holds 'cat/1.png' twice; make the archive again with each file once"


def test_folders_in_an_archive_are_no_members(tmp_path: Path) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(b"x")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "photos", arcname=".")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("cat")
        archive.write(tmp_path / "photos" / "cat" / "1.png", "cat/1.png")
    for suffix in SUFFIXES:
        members, problem = open_archive(tmp_path / f"a{suffix}")
        assert ([member.name for member in members], problem) == (["cat/1.png"], None)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("a.tar.gz", "gunzip a.tar.gz"),
        ("a.TGZ", "gunzip a.TGZ"),
        ("a.tar.bz2", "bunzip2 a.tar.bz2"),
        ("a.tar.xz", "unxz a.tar.xz"),
        ("a.tar.zst", "unzstd a.tar.zst"),
    ],
)
def test_an_archive_that_is_compressed_as_a_whole_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, name: str, command: str
) -> None:
    path = tmp_path / name
    assert is_archive(path)
    with pytest.raises(UsageError) as caught:
        open_archive(path)
    assert str(caught.value) == (
        f"{path} is compressed as a whole, so that images in it can't be read one by one; "
        f"run `{command}` and give the .tar file, or make a .zip of it"
    )


@pytest.mark.parametrize("name", ["photos", "zip", "a.csv", "a.parquet", "a.zip.part"])
def test_other_names_are_no_archives(name: str) -> None:
    assert not is_archive(Path(name))


def test_the_archives_of_a_folder_are_listed_by_name_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.tar", "a.ZIP", "._a.tar", "c.tar.gz", "d.txt", "e.csv.gz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "f.zip").mkdir()
    assert archives_in(tmp_path) == [tmp_path / "a.ZIP", tmp_path / "b.tar", tmp_path / "c.tar.gz"]


def test_a_prefix_tells_the_members_of_several_archives_apart(tmp_path: Path, pack: Pack) -> None:
    one = pack(tmp_path / "1.zip", {"cat/1.png": b"one"})
    other = pack(tmp_path / "2.tar", {"cat/1.png": b"other"})
    members = [*open_archive(one, "1.zip/")[0], *open_archive(other, "2.tar/")[0]]
    assert [(member.name, read_file(member)) for member in members] == [
        ("1.zip/cat/1.png", b"one"),
        ("2.tar/cat/1.png", b"other"),
    ]


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train.zip", "test.tar"), ("train", "test")),
        (("a-train-0.tar", "a-val-0.tar"), ("train", "validation")),
        (("0.zip", "1.zip"), (None, None)),
        (("train.zip", "more.zip"), (None, None)),
    ],
)
def test_the_names_of_several_archives_tell_parts_but_no_classes(
    tmp_path: Path, pack: Pack, names: tuple[str, str], parts: tuple[str | None, str | None]
) -> None:
    members = []
    for name in names:
        members += open_archive(pack(tmp_path / name, {"cat/1.png": b"", "dog/1.png": b""}), f"{name}/")[0]
    assert found(scan_members(tmp_path, members)) == {
        (f"{name}/{label}/1.png", label, part)
        for name, part in zip(names, parts, strict=True)
        for label in ("cat", "dog")
    }
