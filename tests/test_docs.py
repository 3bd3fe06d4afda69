"""What is written for people is run: the Python in the README and in docs, and the reference of the command line."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(page, number, id=f"{page.name}-{number}")
    for page in PAGES
    for number, _ in enumerate(BLOCK.findall(page.read_text("utf-8")), start=1)
]


@pytest.fixture(scope="module")
def cache_of_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def working_folder(
    tmp_path: Path, cache_of_examples: Path, make_images: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with photos/cat/000.png and so on, to work in."""
    make_images(tmp_path / "photos", {"cat": 10, "dog": 10}, size=96)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_CACHE", str(cache_of_examples))
    return tmp_path


@pytest.mark.real
@pytest.mark.parametrize(("page", "number"), EXAMPLES)
def test_a_python_example_runs_and_prints(
    page: Path, number: int, working_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = BLOCK.findall(page.read_text("utf-8"))[number - 1]
    exec(compile(source, f"{page.name}, example {number}", "exec"), {"__name__": "__main__"})
    if "print(" in source:
        assert capsys.readouterr().out.strip()


def test_the_readme_has_an_example() -> None:
    assert any(page.values[0].name == "README.md" for page in EXAMPLES)


def test_every_command_in_the_readme_exists() -> None:
    import typer

    from headstart.cli import app

    group = typer.main.get_command(app)
    commands = set(re.findall(r"^headstart (\w+)", (ROOT / "README.md").read_text("utf-8"), flags=re.MULTILINE))
    assert commands, "the README shows no command"
    assert commands <= set(group.commands)


@pytest.fixture
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_the_command_line_is_up_to_date(
    generate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_an_outdated_reference_is_noticed(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "PAGE", tmp_path / "cli.md")
    generate.PAGE.write_text("# The command line\n")
    assert generate.main(["--check"]) == 1
    assert "docs/cli.md is out of date; run `make docs` and commit the result" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
