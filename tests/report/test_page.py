from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from headstart.errors import RunError
from headstart.report import write_report
from headstart.run import BaseRecord, Manifest

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in {"meta", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def report_of(run, manifest: Manifest | None = None) -> str:
    write_report(run.folder, manifest or run.write())
    return (run.folder / "report.html").read_text(encoding="utf-8")


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


def test_says_what_the_run_came_to(usual_report: str) -> None:
    text = plain(Page(usual_report).text)
    assert "cells" in text
    assert re.search(r"On 60 images it had never seen, this classifier was right for \d+\.\d %", text)
    assert "Sorts images into 2 classes: defective and functional. Trained on 300 images." in text
    assert "Always answering “defective”, the most frequent class, would be right for 50.0 %" in text
    assert (
        "Fine-tuning lowered the log loss by 0.043 nats an image, averaged over 8 views of each; the table has" in text
    )
    assert "The weights of epoch 2 were kept" in text
    assert "2,000 features were computed and 624 taken from the store" in text
    assert "headstart train photos --out run --seed 0" in text
    assert "functional/broken.png" in text
    assert "damaged or cut short" in text
    assert "efficientnet-lite0, revision 1, 4,694,024 parameters, licence Apache-2.0" in text


def test_a_probe_has_learned_from_validation_images_too(fake_run) -> None:
    text = plain(Page(report_of(fake_run(finetuned=False))).text)
    assert "Trained on 360 images." in text
    assert "choose by, then learn from" in text


def test_one_view_is_not_averaged_over(fake_run) -> None:
    run = fake_run()
    manifest = run.write()
    metrics = json.loads((run.folder / "metrics.json").read_text("utf-8"))
    metrics["finetune"]["views"] = 1
    (run.folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    text = plain(Page(report_of(run, manifest)).text)
    assert "nats an image. Were" in text


def test_sections_come_in_the_order_of_interest(usual_report: str) -> None:
    sections = [section["id"] for section in Page(usual_report).all("section") if "id" in section]
    assert sections == [
        *("choices", "accuracy", "confusion", "confidence", "training", "classes", "mistakes", "uncertain"),
        *("images", "time", "reproduce", "limits"),
    ]


def test_links_within_the_page_lead_somewhere(usual_report: str) -> None:
    page = Page(usual_report)
    ids = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    targets = {link["href"] for link in page.all("a")} | {use["xlink:href"] for use in page.all("use")}
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in targets if target.startswith("#")} <= set(ids)


def test_loads_nothing_from_elsewhere(usual_report: str) -> None:
    page = Page(usual_report)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not {"script", "link", "iframe", "object", "embed", "image", "base"} & {tag for tag, _ in page.elements}
    assert re.findall(r"https?://[^\"< ]*", usual_report) == ["https://arxiv.org/abs/1905.11946"] * 2
    assert "url(" not in usual_report.replace("url(#", "")
    assert "@import" not in usual_report
    policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_shows_every_chart_with_a_description(usual_report: str) -> None:
    charts = list(Page(usual_report).all("svg"))
    assert len(charts) == 4
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 30 for chart in charts)


def test_embeds_twelve_thumbnails_a_list_with_their_names(fake_run) -> None:
    page = Page(report_of(fake_run(skill=0.5)))
    images = list(page.all("img"))
    assert len(images) == 24
    assert all(image["alt"].endswith(".png") for image in images)


def test_the_surest_mistake_comes_first(fake_run) -> None:
    text = report_of(fake_run(skill=0.5))
    mistakes = text[text.index('id="mistakes"') : text.index('id="uncertain"')]
    confidences = [float(found) for found in re.findall(r"([\d.]+)\u00a0% sure", mistakes)]
    assert confidences == sorted(confidences, reverse=True)
    assert "wrong," in mistakes
    assert "right," not in mistakes


def test_says_so_when_there_are_no_mistakes(fake_run) -> None:
    text = plain(Page(report_of(fake_run(skill=1.0))).text)
    assert "It made no mistake on the test images." in text
    assert "None: every test image of every class was recognised." in text
    assert "(95 % interval 95.1 to 100.0 %)" in text
    assert "no mistakes to measure it by" in text


@pytest.mark.parametrize("gone", ["missing", "damaged", "outside"])
def test_an_original_that_cant_be_shown_becomes_a_note(fake_run, gone: str, tmp_path: Path) -> None:
    run = fake_run(images=2)
    if gone == "outside":
        Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
        run.files, run.keep_originals = ["../secret.png", str(tmp_path / "secret.png")], False
    manifest = run.write()
    for file in run.root.glob("*.png"):
        file.unlink() if gone == "missing" else file.write_bytes(b"not an image")
    page = Page(report_of(run, manifest))
    assert list(page.all("img")) == []
    assert "The original is gone" in page.text


def test_without_fine_tuning_it_says_why(fake_run) -> None:
    page = Page(report_of(fake_run(finetuned=False)))
    assert len(list(page.all("svg"))) == 2
    assert "Why it wasn't fine-tuned: too few images to fine-tune on." in plain(page.text)
    assert "Probe or fine-tuned?" not in page.text


def test_it_says_which_images_decided(fake_run) -> None:
    assert "Decided on 60 validation images; the test images" in plain(Page(report_of(fake_run())).text)
    text = plain(Page(report_of(fake_run(folds=4))).text)
    assert "Decided on 60 training or validation images, each held out once in 4 folds" in text
    assert "On the images held out in turn, fine-tuning lowered the log loss by 0.043" in text
    assert "as in the table" not in text


def test_hostile_text_stays_text(fake_run) -> None:
    labels = (HOSTILE, "$\\frac{1}{", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }}", "nul\x07\u202e")
    left_out = [(f"{HOSTILE}.png", "<b onclick=alert(3)>no</b>", 3)]
    run = fake_run(labels=labels, images=50, skill=0.5, quarantined=left_out)
    manifest = run.write()
    fields = {"command": f"headstart train '{HOSTILE}'", "base": hostile_base()}
    text = report_of(run, manifest.model_copy(update=fields))
    page = Page(text)
    assert not list(page.all("script"))
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert not [link for link in page.all("a") if link["href"].startswith("javascript")]
    for shown in (
        HOSTILE,
        "$\\frac{1}{",
        '"><img src=x onerror=alert(2)>',
        "{{ 7 * 7 }}",
        "nul\ufffd\ufffd",
        "<b onclick=alert(3)>no</b>",
    ):
        assert shown in page.text
    assert "\x07" not in text
    assert "\u202e" not in text


def hostile_base() -> BaseRecord:
    reference = "javascript:alert(4)"
    return BaseRecord(name="<i>", revision=1, weights="<w>", licence="<l>", reference=reference, parameters=1)


def test_many_classes_get_their_most_confused_pairs(fake_run) -> None:
    labels = tuple(f"class {number}" for number in range(60))
    text = report_of(fake_run(labels=labels, images=300, skill=0.6))
    page = Page(text)
    assert "With 60 classes a full table can't be read" in page.text
    assert 'class="matrix' not in text
    assert "The other 30 classes" in page.text
    assert "class 0, class 1, class 2, class 3, class 4 and 55 more" in page.text


def test_two_classes_get_a_matrix(usual_report: str) -> None:
    assert 'class="matrix"' in usual_report


def test_a_long_quarantine_is_cut_after_fifty(fake_run) -> None:
    left_out = [(f"dog/{number:03}.png", "the file is empty", 0) for number in range(70)]
    text = plain(Page(report_of(fake_run(quarantined=left_out))).text)
    assert text.count("the file is empty") == 50
    assert "70 files were left out." in text
    assert "And 20 more, in quarantine.csv." in text


def test_an_empty_quarantine_is_good_news(fake_run) -> None:
    assert "No file had to be left out." in Page(report_of(fake_run(quarantined=()))).text


def test_same_files_same_bytes(fake_run) -> None:
    run = fake_run()
    manifest = run.write()
    assert report_of(run, manifest) == report_of(run, manifest)


def test_the_readers_matplotlib_settings_are_neither_used_nor_changed(fake_run) -> None:
    import matplotlib

    run = fake_run()
    manifest = run.write()
    expected = report_of(run, manifest)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert report_of(run, manifest) == expected
        assert matplotlib.rcParams["font.size"] == 30


def test_a_name_that_isnt_unicode_is_shown_and_found(fake_run) -> None:
    run = fake_run(images=2, files=["a.png", "b.png"])
    manifest = run.write()
    odd = os.fsencode(run.root) + b"/\xff.png"
    try:
        os.rename(os.fsencode(run.root / "a.png"), odd)  # noqa: PTH104 - bytes, which Path doesn't take
    except OSError:
        pytest.skip("this file system takes only valid Unicode")
    table = run.folder / "predictions.csv"
    table.write_bytes(table.read_bytes().replace(b"a.png", b"\xff.png"))
    page = Page(report_of(run, manifest))
    assert "\ufffd.png" in page.text
    assert len(list(page.all("img"))) == 3 - ("no mistake" in page.text)


def test_a_missing_file_of_the_run_is_explained(fake_run) -> None:
    run = fake_run()
    manifest = run.write()
    (run.folder / "predictions.csv").unlink()
    with pytest.raises(RunError, match=r"can't be read for its report .*predictions\.csv.*; copy the whole run folder"):
        write_report(run.folder, manifest)


def test_where_classes_are_skewed_balanced_accuracy_stands_out(fake_run) -> None:
    run = fake_run(images=400, skill=0.9, skew=19, balance="logits")
    text = plain(Page(report_of(run)).text)
    metrics = json.loads((run.folder / "metrics.json").read_text("utf-8"))["test"]
    assert f"{100 * metrics['balanced_accuracy']:.1f} %balanced accuracy" in text
    assert f"in nats, with every class counting alike; lower is better{metrics['balanced_log_loss']:.3f}" in text
    assert "The training loss is that of images as they come" in text
    assert "Every class counts alike here" in text


def test_where_classes_are_of_similar_size_nothing_is_said_of_balance(usual_report: str) -> None:
    text = plain(Page(usual_report).text)
    assert "counting alike;" not in text
    assert "Every class counts" not in text


def test_what_was_found_is_told_but_for_files_that_are_left_out(fake_run) -> None:
    run = fake_run()
    manifest = run.write()
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    findings = [
        {"key": key, "title": title, "tone": tone, "sentence": f"{title} it is.", "mend": "", "images": 1}
        for key, title, tone in (
            ("unreadable", "Unreadable files", "fair"),
            ("contradictions", "The same file, told apart", "poor"),
            ("shortcuts", "Shortcuts", "poor"),
            ("odd-ones", "Odd ones", "good"),
        )
    ]
    (run.folder / "metrics.json").write_text(json.dumps(metrics | {"audit": findings}), encoding="utf-8")
    write_report(run.folder, manifest)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    told = [finding["title"] for finding in findings if f"<dt>{finding['title']}</dt>" in page]
    assert told == ["Shortcuts"]
    assert "None of these was left out or changed." in page
