from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import UsageError
from headstart.run import Run
from headstart.workflow import train
from headstart.workflow.tuning_choice import TuningChoice, parse_time


@pytest.fixture(scope="module")
def asked(photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everything said, for fewer images than fine-tuning would be tried with."""
    return train(
        photos,
        tmp_path_factory.mktemp("asked") / "run",
        base="untrained",
        cache=warm_cache,
        finetune_from="stage0",
        epochs=2,
        learning_rate=3e-3,
        views=3,
        augment="flips",
    )


def test_what_is_asked_for_is_done(asked: Run) -> None:
    choices = {choice.what: choice for choice in asked.manifest.choices}
    found = {what: choices[what].value for what in ("fine-tuning from", "epochs", "learning rate", "views")}
    assert found == {"fine-tuning from": "above stage0", "epochs": "2", "learning rate": "0.003", "views": "3, flips"}
    assert all(choices[what].reason == "as asked" for what in found)
    tuned = asked.metrics["finetune"]
    assert (tuned["cut"], tuned["views"], len(tuned["history"])) == ("stage0", 3, 3)


def test_what_averaging_would_bring_is_told_where_logits_of_several_views_are_there(asked: Run) -> None:
    found = asked.metrics["views"]
    assert (found["averaged_over"], found["milliseconds"]) == (1, None)
    assert (found["measured"]["classifier"], found["measured"]["views"]) == (asked.manifest.chosen, 3)
    (noted,) = (choice for choice in asked.manifest.choices if choice.what == "test views")
    assert "over 3 views takes the log loss from" in noted.reason
    assert "--test-views 3" in noted.reason


def test_the_command_in_the_manifest_asks_for_the_same(asked: Run) -> None:
    said = "--finetune-from stage0 --epochs 2 --lr 0.003 --views 3 --augment flips"
    assert asked.manifest.command.endswith(said)


def test_the_whole_base_can_be_trained(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"finetune_from": "input", "epochs": 2, "learning_rate": 1e-2, "views": 2}
    run = train(photos, tmp_path / "run", base="untrained", cache=warm_cache, **how)
    assert (run.metrics["finetune"]["cut"], run.metrics["finetune"]["best_epoch"] > 0) == ("input", True)
    (chosen,) = (choice for choice in run.manifest.choices if choice.what == "fine-tuning from")
    assert (chosen.value, chosen.reason) == ("above input", "as asked")


@pytest.mark.parametrize("option", [{"epochs": 1}, {"views": 1}, {"augment": "none"}], ids=str)
def test_whoever_says_how_has_it_tried(photos: Path, warm_cache: Path, tmp_path: Path, option: dict[str, Any]) -> None:
    run = train(photos, tmp_path / "run", base="untrained", cache=warm_cache, **option)
    assert run.metrics["finetune"] is not None


def test_what_is_wrong_is_said_before_weights_are_looked_for(photos: Path, cache_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--epochs is 0"):
        train(photos, tmp_path / "run", base="vgg16", offline=True, cache=cache_dir, epochs=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "--epochs is 0; give a whole number from 1 on"),
        ({"views": -1}, "--views is -1; give a whole number from 1 on"),
        ({"learning_rate": 0.0}, "--lr is 0; give a rate above 0, such as 2e-4"),
        ({"learning_rate": float("nan")}, "--lr is nan; give a rate above 0"),
        ({"learning_rate": float("inf")}, "--lr is inf; give a rate above 0"),
        ({"seconds": 0.0}, "--time is 0 seconds; give a time such as 90s, 5m or 1h"),
        ({"seconds": float("inf")}, "--time is inf seconds; give a time"),
        ({"augment": "flip"}, "there is no augmentation named 'flip'; did you mean 'flips'?"),
        ({"stage": "stage9"}, "there is no stage to fine-tune from named 'stage9'; did you mean 'stage"),
        ({"stage": BASE.stages[-1]}, "there is no stage to fine-tune from named"),
        ({"test_views": 0}, "--test-views is 0; give a whole number from 1 on"),
        ({"wanted": False, "views": 2}, "--views says how to fine-tune, and --no-finetune not to; leave one out"),
        ({"wanted": False, "epochs": 3, "test_views": 4}, "--epochs says how to fine-tune, and --no-finetune not to"),
        (
            {"views": 2, "test_views": 4},
            "--views is 2 and --test-views 4, but views that are averaged over must be trained on as well; "
            "give --views 4 or more, or leave it out",
        ),
        ({"wanted": False, "epochs": 3}, "--epochs says how to fine-tune, and --no-finetune not to; leave one out"),
    ],
    ids=str,
)
def test_what_no_run_can_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choice = TuningChoice(**options)
        choice.check()
        choice.check_stage(BASE)
    assert str(caught.value).startswith(message)


def test_what_is_left_open_is_no_option() -> None:
    assert (TuningChoice().options(), TuningChoice(wanted=False).options()) == ([], ["--no-finetune"])
    assert TuningChoice(seconds=90).options() == ["--time", "90s"]
    assert not TuningChoice(seconds=90).is_asked_for
    assert not TuningChoice().is_asked_for
    assert TuningChoice().preset is None
    TuningChoice(wanted=False).check()
    TuningChoice(wanted=False).check_stage(BASE)


def test_views_to_average_over_have_nothing_to_do_with_whether_fine_tuning_is_tried() -> None:
    asked = TuningChoice(wanted=False, augment="flips", test_views=4)
    asked.check()
    assert asked.options() == ["--no-finetune", "--augment", "flips", "--test-views", "4"]
    assert not TuningChoice(test_views=4).is_asked_for
    assert TuningChoice(test_views=4).options() == ["--test-views", "4"]
    TuningChoice(views=4, test_views=4).check()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5 m", 90), ("2H", 7200), (45, 45), (None, None)],
)
def test_times_as_people_write_them(text: str | float | None, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-5m", "5m!", "1.2.3s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time; give hours, minutes or seconds, such as 1h30m, 5m or 90s"):
        parse_time(text)
