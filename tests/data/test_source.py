from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from headstart.data.dataset import Dataset
from headstart.data.source import image_at, read_source
from headstart.data.table import TableChoice
from headstart.errors import DataError, HeadstartError, UnknownNameError, UsageError
from headstart.images.file import name_within, read_file

Pack = Callable[..., Path]
HubTable = Callable[[Sequence[bytes], Sequence[int], Sequence[str]], Any]

CLASSES = {"cat/1.png": b"cat 1", "cat/2.png": b"cat 2", "dog/1.png": b"dog 1"}
DIVIDED = {f"{part}/{name}": f"{part} {name}".encode() for part in ("train", "test") for name in CLASSES}
SAID = {"0.jpg": b"cat 1", "0.cls": b"cat", "1.jpg": b"cat 2", "1.cls": b"cat", "2.jpg": b"dog 1", "2.cls": b"dog"}


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
    assert str(caught.value).startswith(f"{option} is about a table, and in {folders} folders are classes")


def test_a_task_that_there_isnt_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="there is no task named 'guess'"):
        read_source(tmp_path / "absent", TableChoice(task="guess"))


def test_another_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "photos.doc").write_bytes(b"x")
    with pytest.raises(UsageError, match="is a file, not a folder; give a folder with one subfolder of images per"):
        read_source(tmp_path / "photos.doc")


def contents(dataset: Dataset) -> dict[str, tuple[Any, str | None, bytes]]:
    """What each image is called, what is said of it, its part and its bytes, which are also found by its name."""
    found = {}
    for sample in dataset.samples:
        name, data = name_within(sample.file, dataset.root), read_file(sample.file)
        again = image_at(dataset.root, name)
        assert again is not None
        assert read_file(again) == data
        found[name] = (sample.label, sample.part, data)
    return found


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def plain(files: dict[str, bytes]) -> dict[str, tuple[str, None, bytes]]:
    return {name: (name.partition("/")[0], None, data) for name, data in files.items()}


@pytest.mark.parametrize("name", ["photos", "photos.zip", "photos.TAR"])
def test_class_folders_are_the_same_data_set_in_a_folder_and_in_an_archive(
    tmp_path: Path, pack: Pack, name: str
) -> None:
    root = tmp_path / name
    dataset = read_source(pack(root, CLASSES) if root.suffix else folder_of(root, CLASSES))
    assert (dataset.root, dataset.labels, dataset.origin, dataset.choices) == (root, ("cat", "dog"), "folders", ())
    assert contents(dataset) == plain(CLASSES)
    divided = tmp_path / f"divided{root.suffix}"
    dataset = read_source(pack(divided, DIVIDED) if root.suffix else folder_of(divided, DIVIDED))
    assert {name: found[:2] for name, found in contents(dataset).items()} == {
        name: (name.split("/")[1], name.split("/")[0]) for name in DIVIDED
    }


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_images_with_what_is_said_beside_them_are_a_web_dataset(tmp_path: Path, pack: Pack, suffix: str) -> None:
    dataset = read_source(pack(tmp_path / f"a{suffix}", SAID))
    assert (dataset.root, dataset.origin, dataset.labels) == (tmp_path / f"a{suffix}", "table", ("cat", "dog"))
    assert contents(dataset) == {
        "0.jpg": ("cat", None, b"cat 1"),
        "1.jpg": ("cat", None, b"cat 2"),
        "2.jpg": ("dog", None, b"dog 1"),
    }


def test_a_folder_of_shards_is_one_web_dataset_with_parts(tmp_path: Path, pack: Pack) -> None:
    for name in ("x-train-0.tar", "x-train-1.tar", "x-test-0.tar", "._x-train-0.tar"):
        pack(tmp_path / name, SAID)
    dataset = read_source(tmp_path, TableChoice(label_columns=("cls",)))
    assert dataset.root == tmp_path
    assert [(name, part) for name, (_, part, _) in contents(dataset).items()] == [
        (f"{shard}/{number}.jpg", shard.split("-")[1])
        for shard in ("x-test-0.tar", "x-train-0.tar", "x-train-1.tar")
        for number in range(3)
    ]


def test_a_folder_of_archives_of_class_folders_is_one_data_set(tmp_path: Path, pack: Pack) -> None:
    pack(tmp_path / "train.zip", CLASSES)
    pack(tmp_path / "test.tar", {"dog/1.png": b"another"})
    assert contents(read_source(tmp_path)) == {
        **{f"train.zip/{name}": (label, "train", data) for name, (label, _, data) in plain(CLASSES).items()},
        "test.tar/dog/1.png": ("dog", "test", b"another"),
    }


def test_a_readme_beside_shards_changes_nothing(tmp_path: Path, pack: Pack) -> None:
    root = folder_of(tmp_path / "shards", {"README.md": b"# A data set"})
    pack(root / "0.tar", CLASSES)
    assert contents(read_source(root)) == {f"0.tar/{name}": found for name, found in plain(CLASSES).items()}


def test_a_folder_of_compressed_archives_is_told_how_to_mend_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "shards", {"0.tar.gz": b"x"})
    with pytest.raises(UsageError, match=r"run `gunzip 0\.tar\.gz` and give the \.tar file"):
        read_source(root)


def test_a_table_among_class_folders_is_just_a_file(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", CLASSES | {"cat/notes.parquet": b"x", "notes.parquet": b"x"})
    assert set(contents(read_source(root))) == {*CLASSES, "cat/notes.parquet"}


def test_a_name_that_no_file_can_have_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="there is no folder or file 'xxx"):
        read_source(Path("x" * 5000))


def test_archives_beside_other_files_are_just_files(tmp_path: Path, pack: Pack) -> None:
    root = folder_of(tmp_path / "photos", CLASSES)
    pack(root / "cat" / "more.zip", CLASSES)
    pack(root / "old.zip", CLASSES)
    assert set(contents(read_source(root))) == {*CLASSES, "cat/more.zip"}


def test_a_tar_file_that_is_cut_short_says_so_among_what_was_decided(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.tar", CLASSES | {"dog/2.png": bytes(5000)})
    path.write_bytes(path.read_bytes()[:5000])
    dataset = read_source(path)
    assert contents(dataset) == plain(CLASSES)
    assert dataset.choices == (("archive a.tar", "read as far as it goes", "it ends within 'dog/2.png'"),)


def test_json_lines_are_a_table_as_any(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"in/a.png": b"a", "in/b.png": b"b"})
    for name in ("t.jsonl", "t.NDJSON"):
        text = '{"image": "in/a.png", "tags": ["x", "y"]}\n{"image": "in/b.png", "tags": ["y"]}\n'
        (root / name).write_text(text)
        dataset = read_source(root / name)
        assert (dataset.root, dataset.task, dataset.labels) == (root, "multi-label", ("x", "y"))
        assert contents(dataset) == {"in/a.png": (("x", "y"), None, b"a"), "in/b.png": (("y",), None, b"b")}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_table_with_images_in_it_is_read_where_it_is(
    tmp_path: Path, write_arrow: Pack, hub_table: HubTable, suffix: str
) -> None:
    path = write_arrow(tmp_path / f"t{suffix}", hub_table([b"a", b"b", b"c"], [1, 0, 1], ["cat", "dog"]))
    dataset = read_source(path)
    assert (dataset.root, dataset.origin, dataset.labels) == (path, "table", ("cat", "dog"))
    assert contents(dataset) == {
        "0000000": ("dog", None, b"a"),
        "0000001": ("cat", None, b"b"),
        "0000002": ("dog", None, b"c"),
    }
    assert dataset.choices[0] == ("images", "column 'image'", "the only one that holds images")


def test_the_column_of_images_can_be_chosen_where_there_are_two(tmp_path: Path, write_arrow: Pack) -> None:
    import pyarrow as pa

    table = pa.table({"photo": [b"p0", b"p1"], "mask": [b"m0", b"m1"], "label": ["cat", "dog"]})
    path = write_arrow(tmp_path / "t.parquet", table)
    for column in ("photo", "mask"):
        dataset = read_source(path, TableChoice(image_column=column, label_columns=("label",)))
        assert [data for _, _, data in contents(dataset).values()] == [f"{column[0]}{row}".encode() for row in range(2)]


def hub_shards(root: Path, write_arrow: Pack, hub_table: HubTable) -> dict[str, tuple[str, str, bytes]]:
    """Parquet files as the hub has them; returns what is in them."""
    found = {}
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_arrow(root / "data" / f"{name}.parquet", hub_table([name.encode(), b"x"], [0, 1], ["cat", "dog"]))
        for row, (label, data) in enumerate([("cat", name.encode()), ("dog", b"x")]):
            found[f"data/{name}.parquet/{row:07d}"] = (label, name.partition("-")[0], data)
    return found


def test_a_folder_of_parquet_files_is_one_data_set_with_parts(
    tmp_path: Path, write_arrow: Pack, hub_table: HubTable
) -> None:
    expected = hub_shards(tmp_path, write_arrow, hub_table)
    folder_of(tmp_path, {"README.md": b"# A data set", ".cache/x.parquet": b"litter"})
    assert contents(read_source(tmp_path)) == expected


def test_what_save_to_disk_wrote_is_read(tmp_path: Path, write_arrow: Pack, hub_table: HubTable) -> None:
    root = folder_of(tmp_path / "saved", {"dataset_dict.json": b"{}", "train/state.json": b"{}"})
    for part in ("train", "test"):
        table = hub_table([part.encode(), b"x"], [0, 1], ["cat", "dog"])
        write_arrow(root / part / "data-00000-of-00001.arrow", table)
        write_arrow(root / part / "cache-0123456789abcdef.arrow", table)
    dataset = read_source(root)
    assert contents(dataset) == {
        f"{part}/data-00000-of-00001.arrow/{row:07d}": (label, part, data)
        for part in ("test", "train")
        for row, (label, data) in enumerate([("cat", part.encode()), ("dog", b"x")])
    }
    assert set(contents(read_source(root / "train"))) == {f"data-00000-of-00001.arrow/{row:07d}" for row in range(2)}


def test_a_data_set_in_the_cache_is_read_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_arrow: Pack, hub_table: HubTable
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    snapshot = tmp_path / "hub" / "datasets--owner--data" / "snapshots" / "abc"
    expected = hub_shards(snapshot, write_arrow, hub_table)
    dataset = read_source(Path("owner/data"))
    assert dataset.root == snapshot
    assert contents(dataset) == expected
    folder_of(tmp_path / "owner" / "data", CLASSES)
    assert contents(read_source(Path("owner/data"))) == plain(CLASSES)
    with pytest.raises(UsageError, match="there is no folder owner/other; give a folder with one subfolder"):
        read_source(Path("owner/other"))


@pytest.mark.parametrize("suffix", ["zip", "tar", "parquet", "arrow", "jsonl", "ndjson", "tar.gz", "csv"])
@pytest.mark.parametrize("data", [b"", b"\xff\x00garbage" * 200, b"[]" * 600])
def test_garbage_is_refused_whatever_it_is_called(tmp_path: Path, suffix: str, data: bytes) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(data)
    with pytest.raises(HeadstartError, match=r"a\.(tar\.)?\w+"):
        read_source(tmp_path / f"a.{suffix}")
    assert image_at(tmp_path / f"a.{suffix}", "0000000") is None


def test_what_needs_pyarrow_says_so_where_it_isnt_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match=r"t\.parquet is read with PyArrow, which isn't installed; run: pip install"):
        read_source(tmp_path)
    assert contents(read_source(pack(tmp_path / "a.zip", CLASSES))) == plain(CLASSES)


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_what_is_said_of_a_table_cant_be_said_of_class_folders_in_an_archive(
    tmp_path: Path, pack: Pack, suffix: str
) -> None:
    path = pack(tmp_path / f"a{suffix}", CLASSES)
    assert read_source(path, TableChoice(task="classes")).task == "classes"
    with pytest.raises(UsageError, match=r"--task is about a table, and in .* folders are classes"):
        read_source(path, TableChoice(task="regression"))


@pytest.mark.parametrize("name", ["cat/9.png", "../photos/cat/1.png", "/etc/hostname", "cat/../cat/1.png", "a\0b"])
@pytest.mark.parametrize("root", ["photos", "photos.zip", "photos.tar", "absent"])
def test_an_image_that_is_gone_or_lies_outside_is_none(tmp_path: Path, pack: Pack, root: str, name: str) -> None:
    folder_of(tmp_path / "photos", CLASSES)
    pack(tmp_path / "photos.zip", CLASSES)
    pack(tmp_path / "photos.tar", CLASSES)
    assert image_at(tmp_path / root, name) is None


def test_an_image_is_looked_for_in_what_is_there_now(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", CLASSES)
    assert image_at(path, "owl/1.png") is None
    path.unlink()
    assert image_at(path, "cat/1.png") is None
    pack(tmp_path / "b.zip", {"owl/1.png": b"owl"})
    shutil.move(tmp_path / "b.zip", path)
    found = image_at(path, "owl/1.png")
    assert found is not None
    assert read_file(found) == b"owl"


def test_an_archive_made_to_do_harm_is_refused(tmp_path: Path, pack: Pack) -> None:
    path = pack(tmp_path / "a.zip", CLASSES | {"../../x.png": b"x"})
    with pytest.raises(DataError, match="a name that leads out of it, as archives have that are made to do harm"):
        read_source(path)
    assert image_at(path, "cat/1.png") is None
