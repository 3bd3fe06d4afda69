from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from headstart.errors import RunError, UsageError
from headstart.run import Manifest, RunDraft


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_appears_under_its_name_when_it_is_published_and_not_before(tmp_path: Path, manifest: Manifest) -> None:
    draft = RunDraft(tmp_path / "run")
    assert names(tmp_path) == []
    with draft:
        draft.write_json("metrics.json", {"accuracy": 0.5})
        assert not draft.out.exists()
        run = draft.publish(manifest)
        assert draft.out.is_dir()
    assert (run.folder, names(tmp_path)) == (tmp_path / "run", ["run"])
    assert run.metrics == {"accuracy": 0.5}


def test_folders_on_the_way_to_a_run_are_made(tmp_path: Path, manifest: Manifest) -> None:
    with RunDraft(tmp_path / "runs" / "today" / "first") as draft:
        draft.publish(manifest)
    assert names(tmp_path / "runs" / "today") == ["first"]


def test_the_manifest_has_the_right_sum_of_every_other_file(tmp_path: Path, manifest: Manifest) -> None:
    with RunDraft(tmp_path / "run") as draft:
        draft.write_json("metrics.json", {"accuracy": 0.5})
        draft.write_table("split.csv", ("file", "part"), [("a.png", "test")])
        draft.write_weights("weights.safetensors", {"kernel": np.ones(3, np.float32)})
        (draft.folder / "by-others.txt").write_bytes(b"others write here too")
        run = draft.publish(manifest)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in run.folder.iterdir()}
    del sums["manifest.json"]
    assert len(sums) == 4
    assert run.manifest.files == sums
    assert json.loads((run.folder / "manifest.json").read_text("utf-8"))["files"] == sums


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunDraft(tmp_path / "run") as draft:
        draft.write_json("metrics.json", {})
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, manifest: Manifest) -> None:
    leftover = RunDraft(tmp_path / "run").folder / "half-written"
    leftover.mkdir(parents=True)
    (leftover / "network.bin").write_bytes(b"half")
    with RunDraft(tmp_path / "run") as draft:
        run = draft.publish(manifest)
    assert names(run.folder) == ["manifest.json"]
    assert names(tmp_path) == ["run"]


def test_another_runs_draft_beside_it_is_left_alone(tmp_path: Path, manifest: Manifest) -> None:
    with RunDraft(tmp_path / "other") as other:
        with RunDraft(tmp_path / "run") as draft:
            draft.publish(manifest)
        other.publish(manifest)
    assert names(tmp_path) == ["other", "run"]


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_name_that_is_taken_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError) as caught:
        RunDraft(out)
    assert str(caught.value) == f"{out} exists already; name another folder with --out, or remove that one"


def test_a_name_that_is_taken_meanwhile_is_left_alone(tmp_path: Path, manifest: Manifest) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError, match="the run can't be written to"), RunDraft(out) as draft:
        out.mkdir()
        (out / "somebody-elses").write_text("work")
        draft.publish(manifest)
    assert names(tmp_path) == ["run"]
    assert names(out) == ["somebody-elses"]


def test_a_place_below_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a folder")
    out = tmp_path / "notes.txt" / "run"
    with pytest.raises(UsageError) as caught:
        RunDraft(out)
    assert str(caught.value) == (
        f"the run folder {out} can't be made: {tmp_path / 'notes.txt'} can't be written (Not a directory); "
        "name a folder elsewhere with --out"
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_place_that_nobody_can_write_to_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"the run folder /proc/runs/run can't be made: /proc can't be written \("):
        RunDraft(Path("/proc/runs/run"))


def test_tables_keep_commas_quotes_line_breaks_and_odd_bytes(tmp_path: Path, manifest: Manifest) -> None:
    rows = [['a, "b"\nc', "ü"], ["caf\udce9.png", "1"]]  # the second is what Python makes of a Latin-1 file name
    with RunDraft(tmp_path / "run") as draft:
        draft.write_table("table.csv", ("file", "label"), rows)
        run = draft.publish(manifest)
    with (run.folder / "table.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert list(csv.reader(file)) == [["file", "label"], *rows]
    assert b"caf\xe9.png,1\n" in (run.folder / "table.csv").read_bytes()


def test_weights_come_back_as_they_were_whatever_their_layout(tmp_path: Path, manifest: Manifest) -> None:
    kernel = np.arange(12, dtype=np.float32).reshape(3, 4)
    with RunDraft(tmp_path / "run") as draft:
        draft.write_weights("weights.safetensors", {"top/kernel": kernel.T, "top/bias": kernel[:, 1]})
        run = draft.publish(manifest)
    loaded = load_file(run.folder / "weights.safetensors")
    np.testing.assert_array_equal(loaded["top/kernel"], kernel.T)
    np.testing.assert_array_equal(loaded["top/bias"], [1, 5, 9])


def test_json_holds_no_number_that_json_has_not(tmp_path: Path) -> None:
    with RunDraft(tmp_path / "run") as draft, pytest.raises(ValueError, match="not JSON compliant"):
        draft.write_json("metrics.json", {"accuracy": float("nan")})


def test_what_others_fail_to_write_is_explained_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError) as caught, RunDraft(out) as draft, draft.writing():
        raise OSError("OpenVINO can't write network.xml")
    assert str(caught.value) == (
        f"the run can't be written to {out} (OpenVINO can't write network.xml); "
        "free some space or name a folder elsewhere with --out; what was computed is kept in the store"
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda draft: draft.write_table("split.csv", ("file",), [["x" * 100]] * 2000),
        lambda draft: draft.write_json("metrics.json", {"text": "x" * 200_000}),
        lambda draft: draft.write_weights("weights.safetensors", {"kernel": np.ones(50_000, np.float32)}),
    ],
    ids=["table", "JSON", "weights"],
)
def test_a_full_disk_is_explained_and_leaves_nothing_behind(
    small_disk: Callable[[int], Path], write: Callable[[RunDraft], None]
) -> None:
    out = small_disk(64) / "run"
    with pytest.raises(RunError) as caught, RunDraft(out) as draft:
        write(draft)
    assert str(caught.value) == (
        f"the run can't be written to {out} (No space left on device); "
        "free some space or name a folder elsewhere with --out; what was computed is kept in the store"
    )
    assert names(out.parent) == []
