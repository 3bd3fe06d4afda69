from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headstart.learn.benefit import Benefit, Contrast
from headstart.report.benefit_story import in_words, is_saving, share, tell, untold

MakeBenefit = Callable[..., Benefit]


def told(benefit: Benefit) -> tuple[str, ...]:
    headline, sentences = tell(benefit.standing, benefit.kind)
    return tuple(text.replace("\u00a0", " ") for text in (headline, *sentences))


def test_what_is_saved_is_told_in_three_sentences(make_benefit: MakeBenefit) -> None:
    headline, time, accuracy, labels = told(make_benefit())
    assert headline == (
        "Transfer learning helps here: with 10 % and 100 % of the labels its accuracy is clearly better than from "
        "scratch."
    )
    assert time.startswith("Time: a probe with 10 % of the labels takes 1.0 s in place of 1 min 40 s, 100 times sooner")
    assert accuracy.startswith("Accuracy: with all labels, fine-tuning is best of the transferred ways: 90.0 % against")
    assert "15.0 percentage points more (95 % interval +" in accuracy
    assert labels.startswith("Labels: a probe with 10 % of the labels equals training from scratch with all labels (80")


def test_that_it_does_not_help_is_told_as_plainly(make_benefit: MakeBenefit) -> None:
    headline, time, accuracy, labels = told(make_benefit(transferred=0.6))
    assert headline == (
        "Transfer learning doesn't help here: at no share of the labels is its accuracy clearly better than from "
        "scratch."
    )
    assert time == (
        "Time: no transferred way is as good as training from scratch is at its best, so that none is saved."
    )
    assert "15.0 percentage points less" in accuracy
    assert accuracy.endswith("no clear gain.")
    assert (
        labels
        == "Labels: none are saved; no transferred way reaches the 75.0 % of training from scratch with all labels."
    )


def test_where_nothing_can_be_learned_nothing_is_claimed(make_benefit: MakeBenefit) -> None:
    headline, time, _, labels = told(make_benefit(transferred=0.5, scratch=0.5))
    assert headline == (
        "Nothing can be learned from these labels: neither from scratch nor with transfer learning is the accuracy "
        "clearly better than by guessing (50.0 %)."
    )
    assert time == "Time: none is saved where nothing can be learned, however quickly."
    assert labels == "Labels: none are saved where nothing can be learned."


def test_what_there_was_no_time_for_is_told(make_benefit: MakeBenefit) -> None:
    benefit = make_benefit(missing=[("scratch", 1.0), ("finetune", 0.1), ("finetune", 1.0)])
    _, _, accuracy, labels = told(benefit)
    assert accuracy.startswith("Accuracy: with 10 % of the labels, ")
    assert labels == "Labels: there was no time to train from scratch with all labels, so that nothing is said of them."
    assert untold(benefit.standing).replace("\u00a0", " ") == (
        "There was no time for training from scratch with 100 % of the labels, nor for fine-tuning with 10 % and 100 % "
        "of the labels; the same command goes on from here."
    )
    assert untold(make_benefit().standing) == ""
    nothing = make_benefit(missing=[(way, share) for way in ("scratch",) for share in (0.1, 1.0)])
    assert told(nothing)[0] == "There was too little time to tell whether transfer learning helps here."
    assert told(nothing)[2] == "Accuracy: there was no time to compare any way with training from scratch."


def test_as_good_in_less_time_is_said_where_it_is_no_better(make_benefit: MakeBenefit) -> None:
    headline = told(make_benefit(transferred=0.751))[0]
    assert headline.endswith("clearly better than from scratch, though it is as good in less time.")


def test_what_takes_about_as_long_saves_no_time(make_benefit: MakeBenefit) -> None:
    time = make_benefit().standing.time
    assert isinstance(time, Contrast)
    assert is_saving(time)
    assert not is_saving(replace(time, better=replace(time.better, seconds=(70.0,))))
    assert not is_saving(None)


def test_shares_and_points_are_named(make_benefit: MakeBenefit) -> None:
    assert share(0.05) == "5\u00a0%"
    assert share(0.125) == "12.5\u00a0%"
    standing = make_benefit().standing
    assert in_words(standing.at("classic", 1.0)) == "the classic head with all labels"
