"""Writes docs/cli.md, the reference of every command, from the command line itself.

    python docs/generate.py            write it
    python docs/generate.py --check    fail if it isn't what would be written

The words are those of ``--help``: each parameter's own help record, and each command's own usage line.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).with_name("cli.md")
PROGRAM = "headstart"
APP = "headstart.cli:app"


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the reference of the command line.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    if parser.parse_args(arguments).check:
        return check()
    PAGE.write_text(page(load_app(APP), PROGRAM), encoding="utf-8")
    return 0


def check() -> int:
    """Prints what differs between the page and the commands; returns 1 if anything does."""
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    expected = page(load_app(APP), PROGRAM)
    if written == expected:
        return 0
    lines = (text.splitlines(keepends=True) for text in (written, expected))
    sys.stderr.writelines(difflib.unified_diff(*lines, "docs/cli.md", "the commands"))
    print("docs/cli.md is out of date; run `make docs` and commit the result", file=sys.stderr)
    return 1


def load_app(address: str) -> typer.Typer:
    """The app that "package.module:name" stands for."""
    module, _, name = address.partition(":")
    app: typer.Typer = getattr(importlib.import_module(module), name)
    return app


def page(app: typer.Typer, program: str) -> str:
    """The whole reference, in Markdown."""
    contexts = list(walk(typer.main.get_command(app), program))
    title = "# The command line\n\nWritten by `make docs`, so don't edit it. Each command also takes `--help`."
    links = "\n".join(f"- [`{path(context)}`](#{path(context).replace(' ', '-')})" for context in contexts)
    return "\n\n".join([title, links, *map(section, contexts)]) + "\n"


def walk(command: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """The context of a command and, depth first, of all the visible ones below it."""
    context = command.context_class(command, info_name=name, parent=parent)
    yield context
    for child_name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from walk(child, child_name, context)


def path(context: Any) -> str:
    """The words that call a command, without its parents' arguments."""
    parents = f"{path(context.parent)} " if context.parent else ""
    return f"{parents}{context.info_name}"


def section(context: Any) -> str:
    """A command's heading, usage, description, arguments, options and closing words."""
    command = context.command
    usage = " ".join([path(context), *command.collect_usage_pieces(context)])
    blocks = [
        f"## `{path(context)}`",
        f"```\n{usage}\n```",
        prose(command.help),
        table("Argument", records(context, "argument")),
        table("Option", records(context, "option")),
        prose(command.epilog),
    ]
    return "\n\n".join(block for block in blocks if block)


def records(context: Any, kind: str) -> list[tuple[str, str]]:
    """Each visible parameter's spelling and help, but for --help itself."""
    parameters = [parameter for parameter in context.command.get_params(context) if parameter.param_type_name == kind]
    shown = [parameter.get_help_record(context) for parameter in parameters if parameter.name != "help"]
    return [record for record in shown if record]


def prose(text: str | None) -> str:
    r"""Help text as Markdown; a paragraph that opens with \b keeps its lines, as it does in a terminal."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc((text or "").partition("\f")[0]))
    return "\n\n".join(map(paragraph, paragraphs)).strip()


def paragraph(text: str) -> str:
    """One paragraph, or one block of lines to be kept as they are."""
    kept = text.removeprefix("\b")
    return text if kept == text else f"```\n{inspect.cleandoc(kept)}\n```"


def table(kind: str, rows: list[tuple[str, str]]) -> str:
    """A Markdown table, or nothing where there are no rows."""
    if not rows:
        return ""
    lines = [f"| `{cell(name)}` | {cell(help_text)} |" for name, help_text in rows]
    return "\n".join([f"| {kind} | What it is |", "|---|---|", *lines])


def cell(text: str) -> str:
    """Text on one line, the same on every machine, in which | starts no new cell."""
    return " ".join(text.replace(f"{Path.home()}/", "~/").split()).replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main())
