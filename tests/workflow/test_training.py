from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from headstart.errors import DataError, RunError, StoreFullError, UnknownNameError, UsageError
from headstart.run import Run
from headstart.workflow import train

Rows = list[dict[str, str]]
ReadTable = Callable[[Path], Rows]
START = [sys.executable, "-c", "from headstart.cli import main; main()"]


def parts_of(run: Run, table: ReadTable) -> dict[str, str]:
    """The part of each file."""
    return {row["file"]: row["part"] for row in table(run.folder / "split.csv")}


def train_probe(data: Path, out: Path, cache: Path, **options: object) -> Run:
    return train(data, out, base="untrained", cache=cache, finetune=False, **options)


def test_every_image_is_in_one_part_and_every_class_in_every_part(trained: Run, photos: Path, table: ReadTable) -> None:
    rows = table(trained.folder / "split.csv")
    assert {row["file"] for row in rows} == {path.relative_to(photos).as_posix() for path in photos.rglob("*.png")}
    assert len(rows) == 72
    for part in ("train", "validation", "test"):
        labels = {row["label"] for row in rows if row["part"] == part}
        assert labels == {"cat", "dog", "owl"}, part
    assert all(row["file"].startswith(f"{row['label']}/") for row in rows)
    digests = [row["sha256"] for row in rows]
    assert len(set(digests)) == len(digests)


def test_predictions_have_a_row_a_test_image_and_are_those_of_the_run(
    trained: Run, photos: Path, table: ReadTable
) -> None:
    rows = table(trained.folder / "predictions.csv")
    tested = [file for file, part in parts_of(trained, table).items() if part == "test"]
    assert [row["file"] for row in rows] == tested
    for row, prediction in zip(rows, trained.predict([photos / row["file"] for row in rows]), strict=True):
        assert row["predicted"] == prediction.label
        assert float(row["confidence"]) == pytest.approx(prediction.confidence, abs=1e-4)
        written = {label: float(row[f"p:{label}"]) for label in trained.labels}
        assert written == pytest.approx(prediction.probabilities, abs=1e-4)


def test_the_accuracy_is_that_of_the_predictions(trained: Run, table: ReadTable) -> None:
    rows = table(trained.folder / "predictions.csv")
    right = [row["predicted"] == row["label"] for row in rows]
    assert trained.metrics["test"]["accuracy"] == pytest.approx(np.mean(right))
    assert 0.4 < np.mean(right) < 1


def test_training_again_computes_nothing_and_comes_to_the_same(
    trained: Run, photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    again = train(photos, tmp_path / "again", base="untrained", cache=warm_cache)
    assert again.metrics["features"]["computed"] == 0
    for key in ("test", "probe", "chosen"):
        assert again.metrics[key] == trained.metrics[key]
    for name in ("predictions.csv", "split.csv", "weights.safetensors"):
        assert (again.folder / name).read_bytes() == (trained.folder / name).read_bytes()


def test_the_command_in_the_manifest_makes_the_run_again(
    trained: Run, warm_cache: Path, tmp_path: Path, headstart: Callable[..., object]
) -> None:
    words = shlex.split(trained.manifest.command)
    assert words[:2] == ["headstart", "train"]
    words[words.index("--out") + 1] = str(tmp_path / "again")
    finished = headstart(*words[1:], "--cache", warm_cache)
    assert finished.code == 0, finished.err
    assert Run.load(tmp_path / "again").metrics["test"] == trained.metrics["test"]


def test_the_command_in_the_manifest_says_what_was_switched_off(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train_probe(photos, tmp_path / "a run", warm_cache, seed=3, precision="f32")
    assert run.manifest.command == (
        f"headstart train {photos} --out '{tmp_path / 'a run'}' --base untrained --precision f32 --seed 3 --no-finetune"
    )


def test_another_seed_is_another_split_of_the_same_features(
    trained: Run, photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    other = train_probe(photos, tmp_path / "other", warm_cache, seed=1, augment="none")
    assert other.metrics["features"]["computed"] == 0
    assert parts_of(other, table) != parts_of(trained, table)
    assert other.manifest.split.seed == 1


def test_images_that_are_added_are_all_that_is_computed_and_none_moves(
    trained: Run, own_photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable, make_images: Callable[..., Path]
) -> None:
    new = make_images(tmp_path / "new", {"cat": 4, "dog": 4, "owl": 4}, size=48, seed=99)
    for path in new.rglob("*.png"):
        shutil.copy(path, own_photos / path.parent.name / f"new-{path.name}")
    run = train_probe(own_photos, tmp_path / "run", warm_cache, augment="none")
    assert run.metrics["features"] == {"computed": 12, "reused": 72}
    before, after = parts_of(trained, table), parts_of(run, table)
    assert {file: after[file] for file in before} == before


def test_copies_of_an_image_stay_in_one_part(
    own_photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    for number in range(1, 24, 2):
        for copy in ("a", "b"):
            shutil.copy(own_photos / "cat" / f"{number:03}.png", own_photos / "cat" / f"copy-{copy}-{number:03}.png")
    run = train_probe(own_photos, tmp_path / "run", warm_cache)
    assert run.manifest.data.duplicates == 24
    places: dict[str, set[str]] = {}
    for row in table(run.folder / "split.csv"):
        places.setdefault(row["sha256"], set()).add(row["part"])
    assert all(len(parts) == 1 for parts in places.values())


def test_an_image_under_two_labels_is_set_aside(
    own_photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    shutil.copy(own_photos / "cat" / "001.png", own_photos / "dog" / "twin.png")
    run = train_probe(own_photos, tmp_path / "run", warm_cache)
    rows = {row["file"]: row["reason"] for row in table(run.folder / "quarantine.csv")}
    reason = "the same image is labelled 'cat' and 'dog'"
    assert rows == {"cat/001.png": reason, "dog/twin.png": reason}
    assert rows.keys().isdisjoint(parts_of(run, table))
    assert run.manifest.data.quarantined == 2


def test_divided_folders_are_taken_as_they_are(
    divided: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    run = train_probe(divided, tmp_path / "run", warm_cache)
    assert all(file.startswith(f"{part}/") for file, part in parts_of(run, table).items())
    assert run.manifest.split.images == {"train": 24, "validation": 10, "test": 12}
    assert run.manifest.split.origin == "as the folders give it"
    assert run.metrics["test"]["n"] == 12


def test_without_a_validation_folder_validation_images_come_from_the_training_folder(
    divided: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    root = Path(shutil.copytree(divided, tmp_path / "two-parts"))
    shutil.rmtree(root / "validation")
    run = train_probe(root, tmp_path / "run", warm_cache)
    parts = parts_of(run, table)
    assert {part for file, part in parts.items() if file.startswith("test/")} == {"test"}
    assert {part for file, part in parts.items() if file.startswith("train/")} == {"train", "validation"}
    assert run.manifest.split.origin == "as the folders give it; validation drawn from the training folder"


def test_the_labels_of_test_images_have_no_say_in_what_is_learned(
    divided: Path, warm_cache: Path, tmp_path: Path
) -> None:
    honest = train_probe(divided, tmp_path / "honest", warm_cache)
    swapped = Path(shutil.copytree(divided, tmp_path / "swapped"))
    (swapped / "test" / "cat").rename(swapped / "test" / "moved")
    (swapped / "test" / "dog").rename(swapped / "test" / "cat")
    (swapped / "test" / "moved").rename(swapped / "test" / "dog")
    run = train_probe(swapped, tmp_path / "run", warm_cache)
    assert run.metrics["test"]["accuracy"] == pytest.approx(1 - honest.metrics["test"]["accuracy"])
    for name in ("weights.safetensors", "network.bin"):
        assert (run.folder / name).read_bytes() == (honest.folder / name).read_bytes()
    assert run.manifest.temperature == honest.manifest.temperature
    assert run.metrics["probe"] == honest.metrics["probe"]


def test_the_training_images_labels_do_have_a_say(divided: Path, warm_cache: Path, tmp_path: Path) -> None:
    honest = train_probe(divided, tmp_path / "honest", warm_cache)
    mixed = Path(shutil.copytree(divided, tmp_path / "mixed"))
    (mixed / "train" / "cat" / "000.png").rename(mixed / "train" / "dog" / "was-cat.png")
    run = train_probe(mixed, tmp_path / "run", warm_cache)
    kernels = [load_file(found.folder / "weights.safetensors")["logits/kernel"] for found in (honest, run)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


def test_validation_images_are_learned_from_once_nothing_is_left_to_decide(
    divided: Path, warm_cache: Path, tmp_path: Path
) -> None:
    honest = train_probe(divided, tmp_path / "honest", warm_cache)
    (found,) = (choice for choice in honest.manifest.choices if choice.what == "probe fitted to")
    assert found.value == "34 images"
    mixed = Path(shutil.copytree(divided, tmp_path / "mixed"))
    (mixed / "validation" / "cat" / "000.png").rename(mixed / "validation" / "dog" / "was-cat.png")
    run = train_probe(mixed, tmp_path / "run", warm_cache)
    kernels = [load_file(made.folder / "weights.safetensors")["logits/kernel"] for made in (honest, run)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert run.metrics["probe"]["strength"] == honest.metrics["probe"]["strength"]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused(photos: Path, warm_cache: Path, tmp_path: Path, seed: int) -> None:
    with pytest.raises(UsageError) as caught:
        train_probe(photos, tmp_path / "run", warm_cache, seed=seed)
    assert str(caught.value) == f"the seed {seed} is out of range; give a whole number from 0 to 4294967295"


def test_the_largest_seed_is_taken(divided: Path, warm_cache: Path, tmp_path: Path) -> None:
    assert train_probe(divided, tmp_path / "run", warm_cache, seed=2**32 - 1).manifest.split.seed == 2**32 - 1


def test_an_unknown_precision_is_answered_with_those_there_are(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"there is no precision named 'f16'; did you mean 'bf16'\?"):
        train_probe(photos, tmp_path / "run", warm_cache, precision="f16")


def test_a_data_error_leaves_no_run(tmp_path: Path, warm_cache: Path, make_images: Callable[..., Path]) -> None:
    data = make_images(tmp_path / "few", {"cat": 2, "dog": 9}, size=48)
    with pytest.raises(DataError, match="class 'cat' has 2 usable images; at least 3 are needed"):
        train_probe(data, tmp_path / "runs" / "run", warm_cache)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("room", [16, 48], ids=["network", "report"])
def test_a_disk_that_fills_up_while_the_run_is_written_is_explained(
    photos: Path, warm_cache: Path, small_disk: Callable[[int], Path], room: int
) -> None:
    out = small_disk(room) / "run"
    with pytest.raises(RunError, match=r"the run can't be written to .*; free some space or name a folder elsewhere"):
        train_probe(photos, out, warm_cache)
    assert list(out.parent.iterdir()) == []


def test_a_disk_without_room_for_features_is_explained(
    photos: Path, fresh_cache: Path, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    cache = Path(shutil.copytree(fresh_cache, small_disk(224), dirs_exist_ok=True))
    with pytest.raises(StoreFullError) as caught:
        train_probe(photos, tmp_path / "run", cache)
    assert str(caught.value) == (
        f"the disk has no room left for the store {cache / 'features.sqlite'}; "
        "free some space, run `headstart cache prune`, or name a folder on another disk with --cache"
    )
    assert not (tmp_path / "run").exists()


def test_a_warm_probe_loads_neither_keras_nor_tensorflow(
    trained: Run, photos: Path, warm_cache: Path, tmp_path: Path, loaded_by: Callable[..., set[str]]
) -> None:
    loaded = loaded_by("train", photos, "--out", tmp_path / "run", "--base", "untrained", "--cache", warm_cache)
    assert {"openvino", "sklearn"} <= loaded
    assert loaded & {"keras", "tensorflow"} == set()


@pytest.fixture
def many_images(tmp_path: Path) -> Path:
    """Enough images that training takes a moment once their features are in the store."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        folder = tmp_path / "many" / label
        folder.mkdir(parents=True)
        for number in range(400):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "many"


def start_and_stop(command: list[str], store: Path, signal_number: int) -> tuple[int, str]:
    """Starts a training run and stops it once some features are in the store; its exit code and stderr."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while features_in(store) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def features_in(store: Path) -> int:
    if not store.exists():
        return 0
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM features").fetchone()[0])
    except sqlite3.OperationalError:  # the table isn't there yet
        return 0
    finally:
        connection.close()


def test_after_a_kill_there_is_no_run_and_a_second_start_goes_on(
    many_images: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "run"
    arguments = ["train", str(many_images), "--out", str(out), "--base", "untrained", "--no-finetune"]
    command = [*START, *arguments, "--cache", str(fresh_cache)]
    code, _ = start_and_stop(command, fresh_cache / "features.sqlite", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not out.exists()
    run = train_probe(many_images, out, fresh_cache)
    assert run.metrics["features"]["reused"] >= 256 // 2  # each with a look
    assert [path.name for path in out.parent.iterdir()] == ["run"]


def test_an_interruption_is_told_in_a_line_and_leaves_no_run(
    many_images: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "run"
    arguments = ["train", str(many_images), "--out", str(out), "--base", "untrained", "--no-finetune"]
    command = [*START, *arguments, "--cache", str(fresh_cache)]
    code, err = start_and_stop(command, fresh_cache / "features.sqlite", signal.SIGINT)
    assert code == 130
    assert err.splitlines()[-1] == (
        "headstart: interrupted; what was computed is kept: the same command goes on from there"
    )
    assert "Traceback" not in err
    assert not out.exists()
    assert features_in(fresh_cache / "features.sqlite") >= 256


def test_progress_goes_to_the_display_that_is_given(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    import io

    from headstart.progress import RichDisplay

    file = io.StringIO()
    train_probe(photos, tmp_path / "run", warm_cache, display=RichDisplay(file))
    for title in ("Preparing the base", "Computing features", "Fitting the probe", "Evaluating", "Writing the report"):
        assert title in file.getvalue()


def test_the_stores_place_may_come_from_the_environment(
    photos: Path, fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(fresh_cache))
    run = train(photos, tmp_path / "run", base="untrained", finetune=False, augment="none")
    assert run.metrics["features"] == {"computed": 72, "reused": 0}
    assert features_in(fresh_cache / "features.sqlite") == 2 * 72 + 3  # with looks, and three things that were found


@pytest.mark.real
def test_real_weights_learn_four_images_a_part(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    data = make_images(tmp_path / "photos", {"cat": 12, "dog": 12}, size=96)
    run = train(data, tmp_path / "run", cache=tmp_path / "cache")
    assert run.manifest.base.name == "efficientnet-lite0"
    assert run.metrics["test"]["accuracy"] == 1.0
    assert run.predict([data / "dog" / "003.png"])[0].label == "dog"
    assert json.loads((run.folder / "metrics.json").read_text("utf-8"))["finetune"] is None


@pytest.fixture(scope="module")
def rare_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light images that overlap, nine times as many dark ones."""
    root, rng = tmp_path_factory.mktemp("rare") / "photos", np.random.default_rng(0)
    for label, count, light in (("dark", 360, 0.4), ("light", 40, 0.5)):
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(rng.normal(light, 0.08), 0.1, (32, 32, 3))
            Image.fromarray((255 * np.clip(pixels, 0, 1)).astype(np.uint8)).save(root / label / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def balanced(rare_photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose classes were balanced because that helps."""
    return train_probe(rare_photos, tmp_path_factory.mktemp("balanced") / "run", warm_cache)


def balance_of(run: Run) -> str:
    return next(choice.value for choice in run.manifest.choices if choice.what == "class balance")


def test_skewed_classes_are_balanced_where_that_helps(
    balanced: Run, rare_photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    assert balance_of(balanced) == "logit adjustment"
    plain = train_probe(rare_photos, tmp_path / "plain", warm_cache, balance="none")
    assert (balance_of(plain), plain.metrics["balance"]["kind"]) == ("as they are", "none")
    recalls = [run.metrics["test"]["per_class"]["light"]["recall"] for run in (balanced, plain)]
    assert recalls[0] > recalls[1] + 0.2
    assert balanced.metrics["test"]["balanced_accuracy"] > plain.metrics["test"]["balanced_accuracy"] + 0.05
    assert balanced.metrics["probe"]["balanced_log_loss"] < plain.metrics["probe"]["balanced_log_loss"]


def test_the_adjustment_is_in_the_network_that_is_written(
    balanced: Run, rare_photos: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    plain = train_probe(rare_photos, tmp_path / "plain", warm_cache, balance="none")
    one, other = (load_file(run.folder / "weights.safetensors") for run in (plain, balanced))
    images = plain.manifest.split.images["train"] + plain.manifest.split.images["validation"]
    learned = [row["label"] for row in table(plain.folder / "split.csv") if row["part"] != "test"]
    assert len(learned) == images
    if plain.metrics["probe"]["strength"] == balanced.metrics["probe"]["strength"]:
        np.testing.assert_allclose(one["logits/kernel"], other["logits/kernel"], rtol=0.02, atol=1e-3)
        shift = np.diff(one["logits/bias"] - other["logits/bias"])[0]
        assert shift == pytest.approx(np.log(learned.count("light") / learned.count("dark")), abs=0.02)
    rows = table(balanced.folder / "predictions.csv")
    for row, prediction in zip(rows, balanced.predict([rare_photos / row["file"] for row in rows]), strict=True):
        assert float(row["confidence"]) == pytest.approx(prediction.confidence, abs=1e-3)


def test_how_classes_are_balanced_can_be_said(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train_probe(photos, tmp_path / "run", warm_cache, balance="weights")
    assert balance_of(run) == "class weights"
    assert "--balance weights" in run.manifest.command
    with pytest.raises(UnknownNameError, match=r"there is no balance named 'weight'; did you mean 'weights'\?"):
        train_probe(photos, tmp_path / "other", warm_cache, balance="weight")


def test_similar_classes_are_left_as_they_are(trained: Run) -> None:
    (found,) = (choice for choice in trained.manifest.choices if choice.what == "class balance")
    assert found.value == "as they are"
    assert found.reason.endswith("up to 3 times nothing is done")
    assert "--balance" not in trained.manifest.command
