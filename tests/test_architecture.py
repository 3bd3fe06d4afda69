"""What a reader may expect of the source as a whole. Which module may import which is checked by `lint-imports`."""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "headstart"
MODULES = sorted(PACKAGE.rglob("*.py"))

MEDIAN_LINES, NINE_IN_TEN_LINES, MOST_LINES = 8, 30, 60
FILE_LINES = 400
DUMPING_GROUNDS = {"utils", "util", "helpers", "helper", "common", "types", "misc"}
PICKLES = {"pickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}

# Tests of the project rather than of one module.
PROJECT_TESTS = {
    *("test_api.py", "test_architecture.py", "test_bad_input.py", "test_docs.py", "test_examples.py"),
    "test_hostile_files.py",
}

HEAVY = {"keras", "tensorflow", "openvino", "sklearn"}
NOT_AT_IMPORT = HEAVY | {"matplotlib", "numpy", "scipy", "PIL", "pydantic", "rich", "typer"}
RUN_COMMAND = """
import sys
from headstart.cli import main
sys.argv = ["headstart", *{arguments!r}]
try:
    main()
except SystemExit as exit:
    assert not exit.code, f"exit code {{exit.code}}"
"""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


each_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import headstart") & NOT_AT_IMPORT == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["audit", "--help"], ["compare", "--help"], ["rank", "--help"]],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_after(RUN_COMMAND.format(arguments=arguments)) & HEAVY == set()


def test_functions_are_short() -> None:
    lengths = {where: lines for path in MODULES for where, lines in body_lengths(path)}
    too_long = {where: lines for where, lines in lengths.items() if lines > MOST_LINES}
    assert too_long == {}
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    long = {where: lines for where, lines in lengths.items() if lines > NINE_IN_TEN_LINES}
    assert len(long) <= len(lengths) / 10, f"more than one in ten over {NINE_IN_TEN_LINES} lines: {long}"


@each_module
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < FILE_LINES


@each_module
def test_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), f"{name_of(path)} has no docstring"


@each_module
def test_module_is_named_for_what_it_holds(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    assert DUMPING_GROUNDS.isdisjoint(part.strip("_") for part in parts)


@each_module
def test_only_the_torch_reader_knows_pickle(path: Path) -> None:
    if name_of(path) != "catalog/torch_file.py":
        assert imported(parsed(path)) & PICKLES == set()


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_test_file_mirrors_a_module(path: Path) -> None:
    """test_store.py and, where one file would be too long, test_store_damage.py both mirror store.py."""
    subject = path.stem.removeprefix("test_")
    folder = PACKAGE / path.relative_to(TESTS).parent
    modules = {module.stem for module in folder.glob("*.py")} | {
        init.parent.name for init in folder.glob("*/__init__.py")
    }
    is_mirror = any(subject == module or subject.startswith(f"{module}_") for module in modules)
    assert is_mirror or path.relative_to(TESTS).as_posix() in PROJECT_TESTS, f"no module of {folder} is called so"


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded once it has run `code`."""
    ending = "\nimport sys\nprint('\\nloaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    process = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, encoding="utf-8", check=False)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.splitlines()[-1].removeprefix("loaded:").split())


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), path)


def imported(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    nodes = list(ast.walk(tree))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    from_ = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in plain + from_}


def body_lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's place and its lines of code: no signature, docstring, blank line or comment."""
    code_lines = lines_with_code(path.read_text("utf-8"))
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            span = range(body[0].lineno, (body[-1].end_lineno or 0) + 1) if body else range(0)
            yield f"{name_of(path)}:{node.lineno} {node.name}", len(code_lines & set(span))


def lines_with_code(source: str) -> set[int]:
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {line for token in tokens if token.type not in blank for line in range(token.start[0], token.end[0] + 1)}
