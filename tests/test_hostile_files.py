"""Hundreds of files that are hostile, odd or broken: each is read or set aside, soon and without filling the memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import hostile, hostile_bombs
from tests.hostile import Odd, sound

FEWEST = 400
MOST_SECONDS = 2  # a file, of the processor
MOST_MEMORY = 500_000_000
# Of all files together, however busy the machine is.
PATIENCE = 300

# Read once here, and not audited as well: it takes longer than all others together.
TAKES_LONG = "giants"

# Reads every file below a folder as an audit does, for a network that takes 224 pixels, one after another.
READ_ALL = """
import json, sys, time
from pathlib import Path
from headstart.data.scan import list_files
from headstart.errors import ImageError
from headstart.images.file import read_file
from headstart.images.spec import ImageSpec

def peak():
    try:  # what this process itself held: getrusage counts what its parent held as well
        return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    except OSError:
        pass
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return 0
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

root, spec, before = Path(sys.argv[1]), ImageSpec(224, 224, "bilinear", 0.0, 1.0), peak()
for file in list_files(root):
    start = time.process_time()
    try:
        shape, reason = spec.render(read_file(file))[0].shape, None
    except ImageError as error:
        shape, reason = None, str(error)
    name = file.relative_to(root).as_posix()
    print(json.dumps([name, shape, reason, time.process_time() - start]), flush=True)
print(json.dumps(peak() - before))
"""


@dataclass(frozen=True)
class Read:
    """What became of a file: the reason why it can't be used, or None, and seconds of the processor."""

    reason: str | None
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of all files, by name, and how many bytes more than before were held at most."""

    files: dict[str, Read]
    memory: int


@pytest.fixture(scope="module")
def odd() -> dict[str, Odd]:
    made = [*hostile.files(), *hostile_bombs.files()]
    named = {file.name: file for file in made}
    assert len(named) == len(made)
    return named


@pytest.fixture(scope="module")
def folder(odd: dict[str, Odd], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them whose names this file system takes, and what isn't a file though it is called so."""
    root = tmp_path_factory.mktemp("hostile")
    for file in odd.values():
        path = root / file.name
        path.parent.mkdir(exist_ok=True)
        try:
            path.write_bytes(file.data)
        except (OSError, UnicodeError):
            assert file.name.startswith("names/")
    add_no_files(root / "no-files")
    return root


def add_no_files(root: Path) -> None:
    """Pipes, links and folders under the names of images, and a file larger than any."""
    (root / "folder.jpg" / "another.png").mkdir(parents=True)
    (root / "folder.jpg" / "within.png").write_bytes(sound()["plain.png"])
    (root / "to-nowhere.jpg").symlink_to("nowhere.jpg")
    (root / "to-itself.jpg").symlink_to("to-itself.jpg")
    (root / "one.jpg").symlink_to("other.jpg")
    (root / "other.jpg").symlink_to("one.jpg")
    (root / "to-a-folder.jpg").symlink_to(root)
    (root / "to-an-image.jpg").symlink_to("folder.jpg/within.png")
    (root / "within-a-file.jpg").symlink_to("folder.jpg/within.png/none.jpg")
    if Path("/dev/zero").exists():
        (root / "zeros.jpg").symlink_to("/dev/zero")
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe.jpg")
    with (root / "too-large.jpg").open("wb") as file:
        file.truncate(2**30)


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    command = [sys.executable, "-W", "ignore", "-c", READ_ALL, str(folder)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    *files, memory = map(json.loads, done.stdout.splitlines())
    assert all(shape == [224, 224, 3] for _, shape, reason, _ in files if reason is None)
    return Outcome({name: Read(reason, seconds) for name, _, reason, seconds in files}, memory)


def test_there_are_very_many(outcome: Outcome, odd: dict[str, Odd]) -> None:
    assert len(outcome.files) >= FEWEST
    assert sum(not file.is_sound for file in odd.values()) >= FEWEST
    assert len({file.data for file in odd.values()}) >= FEWEST


def test_none_takes_long(outcome: Outcome) -> None:
    assert {name: read.seconds for name, read in outcome.files.items() if read.seconds > MOST_SECONDS} == {}


@pytest.mark.skipif(sys.platform == "win32", reason="this system doesn't tell how much memory was held")
def test_none_fills_the_memory(outcome: Outcome) -> None:
    assert 0 < outcome.memory <= MOST_MEMORY


def test_what_is_sound_is_read_and_what_is_broken_is_not(outcome: Outcome, odd: dict[str, Odd]) -> None:
    known = {name: bool(odd[name].is_sound) for name in {*outcome.files} & {*odd} if odd[name].is_sound is not None}
    found = {name: outcome.files[name].reason is None for name in known}
    assert {name: outcome.files[name] for name in known if known[name] != found[name]} == {}
    assert min(sum(known.values()), sum(not is_sound for is_sound in known.values())) > FEWEST / 2


def test_what_is_no_file_is_not_waited_for(outcome: Outcome) -> None:
    reasons = {name.partition("/")[2]: read.reason for name, read in outcome.files.items() if "no-files/" in name}
    assert reasons.pop("pipe.jpg", "it is a pipe or a device, not a file") == "it is a pipe or a device, not a file"
    assert reasons.pop("zeros.jpg", "it is a pipe or a device, not a file") == "it is a pipe or a device, not a file"
    assert reasons == {
        "folder.jpg/within.png": None,
        "to-an-image.jpg": None,
        "to-nowhere.jpg": "the file can't be read (No such file or directory)",
        "to-itself.jpg": "the file can't be read (Too many levels of symbolic links)",
        "one.jpg": "the file can't be read (Too many levels of symbolic links)",
        "other.jpg": "the file can't be read (Too many levels of symbolic links)",
        "within-a-file.jpg": "the file can't be read (Not a directory)",
        "too-large.jpg": "more than 256 MiB, the most that is read of a file",
    }


def test_each_reason_is_a_plain_sentence(outcome: Outcome, folder: Path) -> None:
    reasons = {read.reason for read in outcome.files.values() if read.reason is not None}
    assert [reason for reason in reasons if not is_plain(reason) or str(folder) in reason] == []


def test_an_audit_sets_each_aside_with_its_reason_and_its_size(
    outcome: Outcome,
    folder: Path,
    make_images: Callable[..., Path],
    headstart: Callable[..., Any],
    warm_cache: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = make_images(tmp_path / "photos", {"cat": 12, "dog": 12}, size=48)
    for kind in folder.iterdir():
        if kind.name != TAKES_LONG:
            (root / kind.name).symlink_to(kind)
    finished = headstart("audit", root, "--out", tmp_path / "out", "--base", "untrained", "--cache", warm_cache)
    assert (finished.code, finished.err.count("Traceback"), caplog.text) == (0, 0, "")
    told = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    (unreadable,) = [finding for finding in told["findings"] if finding["key"] == "unreadable"]
    assert {item["files"][0]: item["note"] for item in unreadable["items"]} == {
        name: f"{read.reason} ({size_of(root / name):,} bytes)"
        for name, read in outcome.files.items()
        if read.reason is not None and not name.startswith(f"{TAKES_LONG}/")
    }


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_plain(reason: str) -> bool:
    """Whether it is one line of words, and nothing that only the program itself means something to."""
    is_line = reason.isprintable() and reason == reason.strip() and 10 < len(reason) < 200
    return is_line and not re.search(
        r"Traceback|Error\b|Exception|<\w+[. ]|\bobject at 0x|\(\)|/\w+/|NoneType|'\w+'", reason
    )
