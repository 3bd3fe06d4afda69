from __future__ import annotations

import re
from pathlib import Path

import pytest

from headstart.learn.kinds import KINDS
from headstart.report import write_card, write_report
from headstart.report.evidence import read_evidence
from headstart.report.stories import STORIES, story_of
from headstart.run import Run


def test_there_is_a_story_for_every_kind() -> None:
    assert STORIES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", ["trained", "tagged_run", "weight_run"])
def test_every_kind_has_a_whole_report_and_card(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run: Run = request.getfixturevalue(name)
    evidence = read_evidence(run.folder, run.manifest)
    story = story_of(evidence)
    page, card = (path.read_text("utf-8") for path in (run.report, run.folder / "README.md"))
    sections = re.findall(r'<section id="([a-z]+)">', page)
    named = [id for id, _ in (*story.first_sections, *story.last_sections)]
    assert sections == [
        "choices",
        *(id for id, _ in story.first_sections),
        "training",
        *(id for id, _ in story.last_sections),
        *("images", "time", "reproduce", "limits"),
    ]
    links = re.findall(r'<a href="#([a-z]+)">', page)
    assert links == sections
    assert len(set(named)) == len(named)
    for line in story.lines:
        assert f"| {line.alone or line.name} | {line.value} | {line.interval} |" in card
        assert line.name in page
    assert story.verdict in card
    assert "None" not in card


@pytest.mark.parametrize("name", ["tagged_run", "weight_run"])
def test_same_files_same_bytes(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run: Run = request.getfixturevalue(name)
    for file in run.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_report(tmp_path, run.manifest)
    write_card(tmp_path, run.manifest)
    for file in ("report.html", "README.md"):
        assert (tmp_path / file).read_bytes() == (run.folder / file).read_bytes()


@pytest.mark.parametrize("name", ["tagged_run", "weight_run"])
def test_the_cards_python_compiles(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    [code] = re.findall(r"```python\n(.*?)```", (run.folder / "README.md").read_text("utf-8"), re.DOTALL)
    compile(code, "README.md", "exec")
