from __future__ import annotations

import re

import pytest

from headstart.report import write_card
from headstart.report.card import escape_markdown


def card_of(run) -> str:
    write_card(run.folder, run.write())
    return (run.folder / "README.md").read_text(encoding="utf-8").replace("\u00a0", " ")


def test_says_what_a_user_must_know(fake_run) -> None:
    card = card_of(fake_run())
    headings = re.findall(r"^#+ (.*)$", card, re.MULTILINE)
    assert headings == [
        "cells: an image classifier",
        *("Intended use", "Use it", "How good it is", "Base and licence", "Data", "Limits", "Make it again"),
    ]
    assert re.search(r"\| Accuracy \| \d+\.\d % \| \d+\.\d to \d+\.\d % \|", card)
    assert "headstart predict RUN image.jpg" in card
    assert 'hs.load("RUN")' in card
    assert "- Licence of the base's weights: Apache-2.0\n" in card
    assert "- Reference: <https://arxiv.org/abs/1905.11946>\n" in card
    assert "```sh\nheadstart train photos --out run --seed 0\n```" in card


@pytest.mark.parametrize(("finetuned", "what"), [(True, "its top fine-tuned"), (False, "a probe")])
def test_says_how_it_was_trained(fake_run, finetuned: bool, what: str) -> None:
    assert what in card_of(fake_run(finetuned=finetuned))


def test_the_python_in_it_compiles(fake_run) -> None:
    [code] = re.findall(r"```python\n(.*?)```", card_of(fake_run()), re.DOTALL)
    compile(code, "README.md", "exec")


def test_hostile_labels_neither_break_the_table_nor_make_markup(fake_run) -> None:
    labels = ("a|b", "<img src=x>", "*bold* [x](y) `z`", "new\nline")
    card = card_of(fake_run(labels=labels, images=40))
    assert "| a\\|b | 70 |" in card
    assert "| &lt;img src=x&gt; | 70 |" in card
    assert "| \\*bold\\* \\[x\\](y) \\`z\\` | 70 |" in card
    assert "| new\ufffdline | 70 |" in card


def test_a_command_cant_leave_its_block(fake_run) -> None:
    run = fake_run()
    command = "headstart train 'x\n```\n# heading' --out ```"
    write_card(run.folder, run.write().model_copy(update={"command": command}))
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "````sh\nheadstart train 'x\ufffd```\ufffd# heading' --out ```\n````" in card


def test_many_classes_are_summed_up(fake_run) -> None:
    card = card_of(fake_run(labels=tuple(f"class {number}" for number in range(60)), images=120))
    assert "| class 29 | 14 |\n| and 30 more classes | 420 |\n" in card


def test_same_files_same_bytes(fake_run) -> None:
    run = fake_run()
    assert card_of(run) == card_of(run)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("solar-cell 1.0", "solar-cell 1.0"),
        ("my_class", "my\\_class"),
        ("R&D <b>", "R&amp;D &lt;b&gt;"),
        ("$x$ ~~y~~ \\", "\\$x\\$ \\~\\~y\\~\\~ \\\\"),
        ("http://e.com www.e.com a@e.com", "http\\://e.com www\\.e.com a\\@e.com"),
    ],
)
def test_escape_markdown(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_balanced_classes_are_measured_as_such(fake_run) -> None:
    card = card_of(fake_run(images=400, skew=19, balance="weights"))
    assert "| Log loss (nats, every class counting alike) |" in card
    assert "**Do rare classes count?** “defective” has 19.0 times as many training images as “functional”." in card
    assert "multiply each class's probability by its share there" in card
