"""Training from tables, from start to end: classes, several labels an image, numbers."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import DataError, UsageError
from headstart.evaluation.multi_label import mean_average_precision
from headstart.learn.kinds import KINDS
from headstart.learn.probe import fit_probe
from headstart.run import MultiLabelRecord, RegressionRecord, Run
from headstart.workflow import train, training

Rows = list[dict[str, str]]
ReadTable = Callable[[Path], Rows]


@pytest.fixture
def own_tables(tables: Path, tmp_path: Path) -> Path:
    """A copy of `tables` that a test may change."""
    return Path(shutil.copytree(tables, tmp_path / "own"))


def train_probe(data: Any, out: Path, cache: Path, **options: Any) -> Run:
    return train(data, out, base="untrained", cache=cache, finetune=False, **options)


def choices(run: Run) -> dict[str, str]:
    return {choice.what: choice.value for choice in run.manifest.choices}


def rewrite(path: Path, change: Callable[[list[str], int], list[str]], more_columns: Sequence[str] = ()) -> None:
    """Change the rows below a table's header, each by its number from 0 on, and add names to the header."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [[*header, *more_columns], *(change(row, number) for number, row in enumerate(rows))]
        )


def test_a_table_of_classes_comes_to_the_same_as_folders(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train_probe(tables / "kinds.csv", tmp_path / "run", warm_cache)
    assert (run.manifest.task.kind, run.labels) == ("classes", ("blue", "red"))
    folders = tmp_path / "folders"
    with (tables / "kinds.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            (folders / row["kind"]).mkdir(parents=True, exist_ok=True)
            shutil.copy(tables / row["file"], folders / row["kind"])
    other = train_probe(folders, tmp_path / "other", warm_cache)
    assert run.metrics["test"]["accuracy"] == other.metrics["test"]["accuracy"]
    assert run.manifest.data.fingerprint == other.manifest.data.fingerprint
    assert run.manifest.split == other.manifest.split
    assert run.metrics["test"]["accuracy"] > 0.6


def test_labels_are_learned_and_measured(tagged_run: Run, tables: Path, table: ReadTable) -> None:
    test = tagged_run.metrics["test"]
    assert tagged_run.labels == ("red", "striped")
    assert test["mean_average_precision"] > 0.6
    rows = table(tagged_run.folder / "predictions.csv")
    assert test["n"] == len(rows) == tagged_run.manifest.split.images["test"]
    targets = np.array([[label in row["label"].split("|") for label in tagged_run.labels] for row in rows])
    found = np.array([[float(row[f"p:{label}"]) for label in tagged_run.labels] for row in rows])
    assert test["mean_average_precision"] == pytest.approx(mean_average_precision(found, targets), abs=1e-6)
    exact = np.mean([row["label"] == row["predicted"] for row in rows])
    assert test["exact_match"] == pytest.approx(exact)
    assert set(test["per_label"]) == {"red", "striped"}
    assert test["per_label"]["red"]["images"] == targets[:, 0].sum()
    assert tagged_run.metrics["balance"] is None


def test_labels_that_are_given_reach_their_thresholds(tagged_run: Run, tables: Path, table: ReadTable) -> None:
    assert isinstance(tagged_run.manifest.task, MultiLabelRecord)
    thresholds = dict(zip(tagged_run.labels, tagged_run.manifest.task.thresholds, strict=True))
    rows = table(tagged_run.folder / "predictions.csv")
    predictions = tagged_run.predict([tables / row["file"] for row in rows])
    for row, prediction in zip(rows, predictions, strict=True):
        given = {label for label in tagged_run.labels if prediction.probabilities[label] >= thresholds[label]}
        assert set(prediction.labels) == given == set(filter(None, row["predicted"].split("|")))
        written = {label: float(row[f"p:{label}"]) for label in tagged_run.labels}
        assert written == pytest.approx(prediction.probabilities, abs=1e-4)
    assert thresholds["red"] != 0.5


def test_a_number_is_learned_and_measured_in_its_own_unit(weight_run: Run, tables: Path, table: ReadTable) -> None:
    test = weight_run.metrics["test"]
    rows = table(weight_run.folder / "predictions.csv")
    truth, said = (np.array([float(row[column]) for row in rows]) for column in ("label", "predicted"))
    assert test["mae"] == pytest.approx(np.abs(truth - said).mean(), abs=1e-5)
    assert test["r2"] > 0.5
    assert 10 < said.mean() < 30
    for row, prediction in zip(rows, weight_run.predict([tables / row["file"] for row in rows]), strict=True):
        assert prediction.value == pytest.approx(float(row["predicted"]), abs=0.1)
        assert prediction.interval == pytest.approx((float(row["low"]), float(row["high"])), abs=0.1)
        assert (prediction.labels, prediction.probabilities) == ((), {})


def test_the_interval_is_that_of_the_validation_images(weight_run: Run, tables: Path, table: ReadTable) -> None:
    record = weight_run.manifest.task
    assert isinstance(record, RegressionRecord)
    rows = [row for row in table(weight_run.folder / "split.csv") if row["part"] == "validation"]
    predictions = weight_run.predict([tables / row["file"] for row in rows])
    errors = sorted(abs(float(row["label"]) - p.value) for row, p in zip(rows, predictions, strict=True))
    rank = int(np.ceil(0.9 * (len(errors) + 1)))
    assert record.half_width == pytest.approx(errors[rank - 1], abs=0.1)
    interval = weight_run.metrics["test"]["interval"]
    assert interval["half_width"] == record.half_width
    tested = table(weight_run.folder / "predictions.csv")
    held = np.mean([float(row["low"]) <= float(row["label"]) <= float(row["high"]) for row in tested])
    assert interval["covered"] == pytest.approx(held)
    assert 0.6 < held <= 1
    trained = [float(row["label"]) for row in table(weight_run.folder / "split.csv") if row["part"] == "train"]
    assert (record.mean, record.deviation) == pytest.approx((np.mean(trained), np.std(trained)))


def test_validation_images_of_numbers_are_never_learned_from(weight_run: Run, tagged_run: Run) -> None:
    assert "probe fitted to" not in choices(weight_run)
    assert "probe fitted to" in choices(tagged_run)


def test_every_choice_of_a_table_is_told(weight_run: Run, tagged_run: Run) -> None:
    told = {choice.what: (choice.value, choice.reason) for choice in weight_run.manifest.choices}
    assert told["images"] == ("column 'file'", "called as such columns are")
    assert told["labels"] == ("column 'weight'", "the only other column")
    assert told["task"] == ("regression", "column 'weight' has numbers with fractions")
    assert told["probe strength"][1] == "smallest squared error in 5-fold cross-validation"
    assert told["predictor"][0] == "probe"
    assert choices(tagged_run)["task"] == "multi-label"
    assert "class balance" not in choices(tagged_run)


def test_the_command_in_the_manifest_makes_the_run_again(
    own_tables: Path, warm_cache: Path, tmp_path: Path, headstart: Callable[..., Any]
) -> None:
    text = (own_tables / "weights.csv").read_text("utf-8").replace("file,weight", "where is it,label")
    (own_tables / "weights.csv").write_text(text, "utf-8")
    options = {"image_column": "where is it", "label_columns": ["label"], "task": "regression"}
    run = train_probe(own_tables / "weights.csv", tmp_path / "run", warm_cache, **options)
    words = shlex.split(run.manifest.command)
    words[words.index("--out") + 1] = str(tmp_path / "again")
    finished = headstart(*words[1:], "--cache", warm_cache)
    assert finished.code == 0, finished.err
    assert Run.load(tmp_path / "again").metrics["test"] == run.metrics["test"]


@pytest.mark.parametrize("name", ["tags", "weights"])
def test_images_that_are_added_move_none(
    name: str, tables: Path, own_tables: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    path = own_tables / f"{name}.csv"
    whole = train_probe(path, tmp_path / "whole", warm_cache)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:90]), "utf-8")
    some = train_probe(path, tmp_path / "some", warm_cache)
    before, after = ({row["file"]: row["part"] for row in table(run.folder / "split.csv")} for run in (some, whole))
    assert len(before) == 89
    assert {file: after[file] for file in before} == before


@pytest.mark.parametrize("name", ["tags", "weights"])
def test_what_the_table_says_of_test_images_has_no_say_in_what_is_learned(
    name: str, own_tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    path = own_tables / f"{name}.csv"
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    text = path.read_text("utf-8").splitlines()
    text = [f"{text[0]},split", *(f"{line},{parts[number % 10]}" for number, line in enumerate(text[1:]))]
    path.write_text("\n".join(text), "utf-8")
    honest = train_probe(path, tmp_path / "honest", warm_cache)
    assert honest.manifest.split.images == {"train": 72, "validation": 24, "test": 24}
    assert honest.manifest.split.origin == "as the table gives it"
    wrong = {"tags": "striped", "weights": "10.5"}[name]
    rewrite(path, lambda row, _: [row[0], wrong, row[2]] if row[2] == "test" else row)
    run = train_probe(path, tmp_path / "run", warm_cache)
    for file in ("weights.safetensors", "network.bin"):
        assert (run.folder / file).read_bytes() == (honest.folder / file).read_bytes()
    assert run.manifest.task == honest.manifest.task
    assert run.manifest.temperature == honest.manifest.temperature
    assert run.metrics["test"] != honest.metrics["test"]


@pytest.mark.parametrize(("name", "chosen"), [("tags", "labels"), ("weights", "numbers")])
def test_fine_tuning_views_and_averaging_work_for_every_kind(
    name: str, chosen: str, tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"epochs": 2, "test_views": 2, "augment": "natural", "finetune_from": "stage1"}
    run = train(tables / f"{name}.csv", tmp_path / "run", base="untrained", cache=warm_cache, **options)
    kind = KINDS[run.manifest.task.kind]
    finetune, views = run.metrics["finetune"], run.metrics["views"]
    assert len(run.manifest.test_views) == 2
    assert {f"validation_{kind.goodness_key}", "validation_loss", "loss", "epoch"} == set(finetune["history"][0])
    assert f"{kind.loss_key}_in_views" in finetune["trials"][0]
    assert kind.loss_key in views["measured"]["averaged"]
    assert run.metrics["comparison"]["p_value"] > 0
    paths = sorted(tables.glob("*.png"))[:4]
    inputs = np.stack([np.asarray(x) for x in rendered(run, paths)])
    model = run.to_keras()
    np.testing.assert_allclose(np.asarray(model(inputs)), run.predict_arrays(inputs), atol=0.02)


def rendered(run: Run, paths: list[Path]) -> list[np.ndarray]:
    from headstart.images.spec import ImageSpec

    return [ImageSpec.from_dict(run.manifest.image_spec).render(path.read_bytes())[0] for path in paths]


def test_with_a_time_several_ways_are_tried_and_mixed(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.workflow.tuning.MOST_TRIALS", 2)
        options: dict[str, Any] = {"epochs": 2, "augment": "none", "time": "1h"}
        run = train(tables / "weights.csv", tmp_path / "run", base="untrained", cache=warm_cache, **options)
    assert len(run.metrics["finetune"]["trials"]) == 2
    reason = next(choice.reason for choice in run.manifest.choices if choice.what == "fine-tuned network")
    assert reason.startswith("validation squared error 0.")


def test_few_images_a_label_are_not_fine_tuned_unless_asked(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    run = train(tables / "tags.csv", tmp_path / "run", base="untrained", cache=warm_cache)
    (reason,) = [choice.reason for choice in run.manifest.choices if choice.what == "classifier"]
    assert reason == "with 30 training images a label, fewer than 50, fine-tuning isn't tried"


def test_balancing_is_for_classes(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        train_probe(tables / "tags.csv", tmp_path / "run", warm_cache, balance="weights")
    assert str(caught.value) == (
        "--balance weights is for classes of unequal size, and the task is multi-label; leave it out"
    )


def test_labels_that_a_part_lacks_are_told(own_tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    path = own_tables / "tags.csv"
    text = path.read_text("utf-8").splitlines()
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    path.write_text("\n".join([f"{text[0]},split", *(f"{line},{parts[n % 10]}" for n, line in enumerate(text[1:]))]))
    rewrite(
        path,
        lambda row, _: [row[0], row[1].replace("striped", "").strip("|"), row[2]] if row[2] == "test" else row,
    )
    run = train_probe(path, tmp_path / "run", warm_cache)
    assert choices(run)["labels not in test"] == "striped"
    assert run.metrics["test"]["per_label"]["striped"]["average_precision"] is None
    red = run.metrics["test"]["per_label"]["red"]["average_precision"]
    assert run.metrics["test"]["mean_average_precision"] == pytest.approx(red)
    assert "no test image" in run.report.read_text("utf-8")
    rewrite(path, lambda row, _: [row[0], "" if row[2] == "test" else row[1], row[2]])
    with pytest.raises(DataError, match="no image of the test part has any label; put images with each label into"):
        train_probe(path, tmp_path / "other", warm_cache)


def test_an_unreadable_image_of_a_table_is_set_aside(
    own_tables: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    (own_tables / "000.png").write_bytes(b"not an image")
    run = train_probe(own_tables / "weights.csv", tmp_path / "run", warm_cache)
    (left_out,) = table(run.folder / "quarantine.csv")
    assert left_out["file"] == "000.png"
    assert sum(run.manifest.split.images.values()) == run.manifest.data.images["weight"] == 119


def test_very_few_numbers_get_no_interval(own_tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    path = own_tables / "weights.csv"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:31]), "utf-8")
    run = train_probe(path, tmp_path / "run", warm_cache)
    assert run.metrics["test"]["interval"] is None
    assert run.predict([own_tables / "000.png"])[0].interval is None
    assert "There are none" in run.report.read_text("utf-8")


@pytest.mark.parametrize("name", ["tags", "weights"])
def test_a_warm_probe_of_a_table_loads_neither_keras_nor_tensorflow(
    name: str, tables: Path, warm_cache: Path, tmp_path: Path, loaded_by: Callable[..., set[str]]
) -> None:
    arguments = ["--base", "untrained", "--cache", warm_cache, "--no-finetune"]
    loaded = loaded_by("train", tables / f"{name}.csv", "--out", tmp_path / "run", *arguments)
    assert loaded & {"keras", "tensorflow"} == set()


@pytest.mark.parametrize("name", ["tagged_run", "weight_run"])
def test_prediction_loads_neither_keras_nor_tensorflow_nor_scikit_learn(
    name: str, request: pytest.FixtureRequest, tables: Path, loaded_by: Callable[..., set[str]]
) -> None:
    run = request.getfixturevalue(name)
    loaded = loaded_by("predict", run.folder, tables / "000.png")
    assert "openvino" in loaded
    assert loaded & {"keras", "tensorflow", "sklearn", "scipy", "matplotlib"} == set()


HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(("name", "old", "column"), [("tags", "red", "tags"), ("weights", "weight", HOSTILE)])
def test_hostile_names_stay_text(
    name: str, old: str, column: str, own_tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    path = own_tables / f"{name}.csv"
    path.write_text(path.read_text("utf-8").replace(old, HOSTILE), "utf-8")
    run = train_probe(path, tmp_path / "run", warm_cache, label_columns=[column])
    assert HOSTILE in run.labels
    page, card = run.report.read_text("utf-8"), (run.folder / "README.md").read_text("utf-8")
    assert "<script" not in page
    assert "<script" not in re.sub(r"```.*?```", "", card, flags=re.DOTALL)
    assert all("&lt;script&gt;" in text for text in (page, card))


def test_a_list_of_pairs_comes_to_the_same_as_a_table(tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    with (tables / "kinds.csv").open(encoding="utf-8") as file:
        pairs = [(tables / row["file"], row["kind"]) for row in csv.DictReader(file)]
    run = train_probe(pairs, tmp_path / "run", warm_cache)
    other = train_probe(tables / "kinds.csv", tmp_path / "other", warm_cache)
    assert run.metrics["test"] == other.metrics["test"]
    assert run.manifest.data.fingerprint == other.manifest.data.fingerprint
    assert run.manifest.data.root == str(tables)
    assert "'(120 images, a list in Python)'" in run.manifest.command
    assert choices(run)["images"] == "120 pairs of a path and a label"
    assert train_probe(iter(pairs), tmp_path / "once", warm_cache).manifest.command == run.manifest.command.replace(
        str(tmp_path / "run"), str(tmp_path / "once")
    )
    with pytest.raises(UsageError, match="--image-column is about a table, and the images are a list; leave it out"):
        train_probe(pairs, tmp_path / "more", warm_cache, image_column="file")


def test_images_of_a_group_are_never_on_both_sides(own_tables: Path, warm_cache: Path, tmp_path: Path) -> None:
    """The command in the manifest says it, folds keep to it, and so does whoever reads the choices."""
    seen: list[set[str]] = []
    rewrite(own_tables / "kinds.csv", lambda row, number: [*row, f"farm {number // 4}"], ["farm"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit_probe", lambda *given: seen.append(set(given[-2])) or fit_probe(*given))
        run = train_probe(own_tables / "kinds.csv", tmp_path / "run", warm_cache, group_column="farm")
    rows = list(csv.DictReader((run.folder / "split.csv").read_text("utf-8").splitlines()))
    parts: dict[int, set[str]] = {}
    for row in rows:
        parts.setdefault(int(Path(row["file"]).stem) // 4, set()).add(row["part"])
    assert len(parts) == 30
    assert all(len(found) == 1 for found in parts.values())
    (units,) = seen
    assert units == {f" farm {number}" for number, found in parts.items() if found == {"train"}}
    assert choices(run)["groups"] == "column 'farm'"
    assert "--group-column farm" in run.manifest.command
    assert "no group in two parts" in run.manifest.split.origin


def test_images_count_in_learning_by_a_column_of_weights_and_once_in_measuring(
    own_tables: Path, warm_cache: Path, tmp_path: Path, table: ReadTable
) -> None:
    """One row in ten has the wrong colour; the column knows which, and that others are worth less."""
    path = own_tables / "kinds.csv"
    plain = train_probe(path, tmp_path / "plain", warm_cache)
    rewrite(path, lambda row, number: [*row, str(number % 10 and 0.5 + number % 2)], ["trust"])
    seen: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit_probe", lambda *given: seen.append(given[-1]) or fit_probe(*given))
        run = train_probe(path, tmp_path / "run", warm_cache, weight_column="trust")
    told = {choice.what: (choice.value, choice.reason) for choice in run.manifest.choices}
    reason = "as asked; from 0 to 1.5, in learning alone; 12 images of weight 0, for measuring only"
    assert told["weights"] == ("column 'trust'", reason)
    assert "--weight-column trust" in run.manifest.command
    # The split doesn't know of weights, and every image of its test part is measured.
    assert table(run.folder / "split.csv") == table(plain.folder / "split.csv")
    assert run.metrics["test"]["n"] == plain.metrics["test"]["n"] == run.manifest.split.images["test"]
    trained = [row["file"] for row in table(run.folder / "split.csv") if row["part"] == "train"]
    weights = [number % 10 and 0.5 + number % 2 for number in (int(Path(file).stem) for file in trained)]
    assert 0 in weights
    assert seen[0].tolist() == list(filter(None, weights))
    left = [row["file"] for row in table(run.folder / "split.csv") if row["part"] != "test"]
    counted = sum(int(Path(file).stem) % 10 > 0 for file in left)
    assert told["probe fitted to"][0] == f"{counted} images"
    assert run.metrics["probe"]["log_loss"] != plain.metrics["probe"]["log_loss"]


def test_weights_of_0_are_as_good_as_rows_that_are_not_there(
    own_tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    """Of numbers, whose probe isn't fitted to validation images in the end; the parts are given."""
    path = own_tables / "weights.csv"
    parts = ["train"] * 4 + ["validation", "test"]
    rewrite(path, lambda row, number: [*row, parts[number % 6], str(int(number % 12 > 1))], ["split", "sample_weight"])
    run = train_probe(path, tmp_path / "run", warm_cache)
    header, *rows = path.read_text("utf-8").splitlines()
    (own_tables / "less.csv").write_text("\n".join([header, *(row for row in rows if row[-1] == "1")]), "utf-8")
    less = train_probe(own_tables / "less.csv", tmp_path / "less", warm_cache)
    assert choices(run)["weights"] == choices(less)["weights"] == "column 'sample_weight'"
    assert run.manifest.split.images["train"] == less.manifest.split.images["train"] + 20
    assert run.metrics["test"] == less.metrics["test"]
    assert run.metrics["probe"] == less.metrics["probe"]
